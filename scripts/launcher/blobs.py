"""The binary values of a launch: ID block, ID authentication, host data. AMD 56860, SNP_LAUNCH_FINISH."""

import base64 as base64_codec
import binascii
import pathlib
import re
import struct

from .image import DIGEST_SIZE, Image

ID_BLOCK_SIZE = 96
ID_AUTH_SIZE = 4096
HOST_DATA_SIZE = 32
# In the ID block, behind digest, family and image: version, SVN, policy.
ID_BLOCK_TAIL = struct.Struct("<IIQ")
ID_BLOCK_VERSION = 1
# In the ID authentication, behind the ID key's algorithm; 0 is no author key.
AUTHOR_KEY_ALGORITHM = struct.Struct("<4xI")


class BadBlob(Exception):
    """A value that cannot be used; the text says why."""


def base64(content: bytes) -> str:
    """As QEMU's options take it."""
    return base64_codec.b64encode(content).decode()


def load(path: pathlib.Path, size: int, name: str) -> bytes:
    """A file of this size, or one with so much in base64."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadBlob(f"{path} cannot be read: {error.strerror}") from error
    if len(content) != size:
        try:
            content = base64_codec.b64decode(b"".join(content.split()), validate=True)
        except (binascii.Error, ValueError):
            content = b""
    if len(content) != size:
        raise BadBlob(f"{path} is no {name}: that has {size} bytes, or those in base64")
    return content


def id_block(path: pathlib.Path, image: Image) -> bytes:
    """The ID block, whose policy has to be the image's: the secure processor refuses the launch otherwise."""
    if image.id_block is not None:
        raise BadBlob("the image has an ID block of its own: --id-block would be another")
    content = load(path, ID_BLOCK_SIZE, "ID block")
    version, _, policy = ID_BLOCK_TAIL.unpack_from(content, ID_BLOCK_SIZE - ID_BLOCK_TAIL.size)
    if version != ID_BLOCK_VERSION:
        raise BadBlob(f"{path} is an ID block of version {version}; the firmware knows {ID_BLOCK_VERSION}")
    if policy != image.policy:
        raise BadBlob(f"{path} is for the policy {policy:#x}, the image's is {image.policy:#x}")
    return content


def digest(block: bytes) -> bytes:
    """The launch digest that an ID block is for."""
    return block[:DIGEST_SIZE]


def id_auth(path: pathlib.Path) -> bytes:
    """The ID authentication information."""
    return load(path, ID_AUTH_SIZE, "ID authentication information")


def has_author_key(authentication: bytes) -> bool:
    """Whether an author key has signed the ID key."""
    return AUTHOR_KEY_ALGORITHM.unpack_from(authentication)[0] != 0


def host_data(text: str) -> bytes:
    """32 bytes: in hexadecimal, or from a file."""
    if re.fullmatch(r"[0-9a-fA-F]+", text) and not pathlib.Path(text).exists():
        if len(text) != 2 * HOST_DATA_SIZE:
            raise BadBlob(f"--host-data has {len(text)} hexadecimal digits; it takes {2 * HOST_DATA_SIZE}")
        return bytes.fromhex(text)
    return load(pathlib.Path(text), HOST_DATA_SIZE, "host data")
