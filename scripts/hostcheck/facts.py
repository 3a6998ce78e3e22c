"""What checks look at: the host, and what the image to be launched wants of it."""

import dataclasses
import pathlib

from launcher.image import Image

from .host import Host

# What Rampart's images want, where no image is at hand: images/rampart.toml.
RAMPART = Image(guest_vmpl=2, c_bit=51)


@dataclasses.dataclass(frozen=True)
class Facts:
    """One host, one image."""

    host: Host
    image: Image = RAMPART
    # The guest firmware that goes into images, and whether there is any.
    firmware: pathlib.Path | None = None
