"""The guest firmware of an image that has only its hash: a fw_cfg file, which the SVSM reads and checks."""

import hashlib
import pathlib

from . import image
from .qemu import quote

# protocols/src/fw_cfg.rs has the name.
FILE = "opt/rampart/firmware"


def wanted(options):
    """Size and SHA-384 that the image wants, or None. A file that is no image is for others to refuse."""
    try:
        return image.load(options.image).firmware
    except image.BadImage:
        return None


def path(options):
    """The file to give: what --firmware names, or what was built with the image."""
    if options.firmware_file:
        return options.firmware_file
    return options.image.with_suffix(".firmware")


def given(options):
    """The file that the image needs, or None: of an image that has its firmware in it, or with '--firmware none'."""
    if options.firmware_file == pathlib.Path("none") or wanted(options) is None:
        return None
    return path(options)


def arguments(options):
    """QEMU's arguments."""
    found = given(options)
    return ["-fw_cfg", f"name={FILE},file={quote(found)}"] if found else []


def note(options):
    """What is wrong with the file, or None. It is given all the same: to refuse it is the SVSM's to do."""
    found = given(options)
    if not found or not found.is_file():
        return None
    size, digest = wanted(options)
    content = found.read_bytes()
    if len(content) != size:
        return f"{found} has {len(content)} bytes, and the image wants a firmware of {size}: it will be refused"
    if hashlib.sha384(content).digest() != digest:
        return f"{found} is not the firmware that the image wants: it will be refused"
    return None


def values(options):
    """The file and what it must be, for a person; nothing for an image that has its firmware in it."""
    found = given(options)
    if not found:
        return []
    size, digest = wanted(options)
    return [("guest firmware", f"{found}, as fw_cfg file {FILE}; the image takes {size} bytes with SHA-384 {digest.hex()}")]
