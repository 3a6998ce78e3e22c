"""What a launch must know of an IGVM file: its policy, its ID block, and Rampart's own header.

The format is that of igvm_defs (IGVM_FIXED_HEADER, IGVM_VHS_*); Rampart's header is protocols/src/boot/header.rs.
"""

import dataclasses
import pathlib
import struct
from collections.abc import Iterator

FIXED_HEADER = struct.Struct("<4sIIIII")
VARIABLE_HEADER = struct.Struct("<II")
SUPPORTED_PLATFORM = 0x001
GUEST_POLICY = 0x101
PAGE_DATA = 0x302
SNP_ID_BLOCK = 0x30B
PLATFORM_SEV_SNP = 2
DIGEST_SIZE = 48

IMAGE_HEADER_PAGE = 0x1801_C000
# Magic, version, VMPL, C-bit; packed and unpacked size of the firmware; its SHA-384.
IMAGE_HEADER = struct.Struct("<8sIBB26xII24x48s")
IMAGE_HEADER_MAGIC = b"RAMPART\0"

# QEMU's own, for a file without a policy.
DEFAULT_POLICY = 0x3_0000


class BadImage(Exception):
    """The file cannot be launched; the text says why."""


@dataclasses.dataclass(frozen=True)
class Image:
    """What was found in a file."""

    policy: int = DEFAULT_POLICY
    # The guest's VMPL and the C-bit of the measured page tables; none without an SVSM.
    guest_vmpl: int = 0
    c_bit: int | None = None
    # The file brings an ID block for this launch digest, and an author key with it.
    id_block: bytes | None = None
    author_key: bool = False
    # Size and SHA-384 of a guest firmware that the host has to give.
    firmware: tuple[int, bytes] | None = None


def headers(content: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Type, body and file offset of each variable header."""
    if len(content) < FIXED_HEADER.size:
        raise BadImage("it is too short for an IGVM file")
    magic, _, offset, size, _, _ = FIXED_HEADER.unpack_from(content)
    if magic != b"IGVM":
        raise BadImage("it is no IGVM file")
    end = offset + size
    if end > len(content):
        raise BadImage(f"its headers end at {end:#x}, behind the file's end")
    while offset < end:
        if offset + VARIABLE_HEADER.size > end:
            raise BadImage(f"the header at {offset:#x} is cut off")
        kind, length = VARIABLE_HEADER.unpack_from(content, offset)
        body = offset + VARIABLE_HEADER.size
        if body + length > end:
            raise BadImage(f"the header at {offset:#x} is cut off")
        yield kind, content[body : body + length], offset
        offset = body + (length + 7) // 8 * 8


def field(layout: str, body: bytes, position: int, offset: int) -> int:
    """One number of a header's body."""
    try:
        return int(struct.unpack_from(layout, body, position)[0])
    except struct.error as error:
        raise BadImage(f"the header at {offset:#x} is too short") from error


def parse(content: bytes) -> Image:
    """Reads a file for SEV-SNP. Raises BadImage."""
    mask = 0
    image = Image()
    for kind, body, offset in headers(content):
        if kind == SUPPORTED_PLATFORM and field("<B", body, 5, offset) == PLATFORM_SEV_SNP:
            mask = field("<I", body, 0, offset)
        elif kind == GUEST_POLICY and field("<I", body, 8, offset) & mask:
            image = dataclasses.replace(image, policy=field("<Q", body, 0, offset))
        elif kind == SNP_ID_BLOCK and field("<I", body, 0, offset) & mask:
            digest = body[8 : 8 + DIGEST_SIZE]
            image = dataclasses.replace(image, id_block=digest, author_key=field("<B", body, 4, offset) != 0)
        elif kind == PAGE_DATA and field("<Q", body, 0, offset) == IMAGE_HEADER_PAGE:
            image = with_image_header(image, content, field("<I", body, 12, offset))
    if not mask:
        raise BadImage("it is not for SEV-SNP")
    return image


def with_image_header(image: Image, content: bytes, position: int) -> Image:
    """Adds what Rampart's header says; another project's page at that address says nothing."""
    if position + IMAGE_HEADER.size > len(content):
        raise BadImage("its image header lies behind the file's end")
    magic, _, guest_vmpl, c_bit, packed, unpacked, sha384 = IMAGE_HEADER.unpack_from(content, position)
    if magic != IMAGE_HEADER_MAGIC:
        return image
    firmware = (unpacked, sha384) if unpacked and not packed else None
    return dataclasses.replace(image, guest_vmpl=guest_vmpl, c_bit=c_bit, firmware=firmware)


def load(path: pathlib.Path) -> Image:
    """Reads a file. Raises BadImage, which names it."""
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise BadImage(f"{path} cannot be read: {error.strerror}") from error
    except BadImage as error:
        raise BadImage(f"{path}: {error}") from error
