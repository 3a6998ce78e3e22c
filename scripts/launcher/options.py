"""The options of scripts/launch."""

import argparse
import pathlib
import re

from . import outcome

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
IMAGES = ROOT / "target/images"
MACHINE = ROOT / "target/machine/machine.bin"
GUEST = ROOT / ".cache/guest"

# One shared line for every host, so that boots can be compared. "panic=-1": a
# kernel that panics resets at once, and the launcher tells that from a power-off.
COMMAND_LINE = "console=ttyS0,115200 quiet panic=-1"

MIB = 1 << 20
# Rampart's own memory lies at 384 MiB; the emulated machine shows 43 bits of physical address.
SMALLEST = 512 * MIB
LARGEST = 4 << 40
UNITS = {"M": MIB, "G": 1 << 30, "T": 1 << 40}


def memory_size(text):
    """Bytes of a size such as 512M or 2G."""
    match = re.fullmatch(r"([1-9][0-9]*)([MGT])i?B?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 512M or 2G")
    size = int(match[1]) * UNITS[match[2]]
    if size < SMALLEST:
        raise argparse.ArgumentTypeError(f"{text} is too little: a guest needs 512M at least")
    if size > LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is more than the guest's 43 bits of physical address can hold: 4T at most")
    return size


def positive(text):
    """A whole number from 1."""
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def forward(text):
    """HOST:GUEST, two TCP ports."""
    match = re.fullmatch(r"([0-9]{1,5}):([0-9]{1,5})", text)
    if not match or not all(0 < int(port) < 1 << 16 for port in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not two ports such as 2222:22")
    return (int(match[1]), int(match[2]))


def machine_option(text):
    """KEY=VALUE for the emulated machine's options file."""
    if not re.fullmatch(r"[a-z_]+=[^\n]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return text


def parser(prog):
    """The parser of scripts/launch; scripts/smoke takes the same options."""
    p = argparse.ArgumentParser(
        prog=prog,
        usage="%(prog)s [OPTION]... [-- QEMU-OPTION...]",
        description="Starts a guest from an IGVM image: on a real SEV-SNP host, or on the emulated SNP machine in QEMU.",
        epilog=outcome.help_text()
        + "\n\nWhat comes after -- goes to QEMU as it is. RAMPART_QEMU names another QEMU. \nIn the console, Ctrl-A X ends QEMU and Ctrl-A C opens its monitor.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("--host", choices=("auto", "snp", "emulated"), default="auto",
                   help="where to run; auto takes a real SNP host that has what the image needs, else the emulated machine (default)")
    p.add_argument("--image", type=pathlib.Path, metavar="FILE",
                   help="the IGVM image (default: target/images/rampart.igvm)")
    p.add_argument("--firmware", type=pathlib.Path, metavar="FILE", dest="firmware_file",
                   help="the guest firmware, of an image that has only its hash, or 'none' "
                   "(default: the file beside the image, such as target/images/rampart-byhash.firmware)")
    p.add_argument("--no-svsm", action="store_true",
                   help="OVMF alone at VMPL0, without an SVSM (target/images/ovmf.igvm)")
    p.add_argument("--plain", action="store_true",
                   help="the same OVMF and Linux in plain QEMU, without SNP, to compare with")
    p.add_argument("--smp", type=positive, default=1, metavar="N", help="virtual CPUs (default: 1)")
    p.add_argument("--mem", type=memory_size, default=memory_size("2G"), metavar="SIZE",
                   help="guest memory, such as 512M or 64G (default: 2G)")
    p.add_argument("--append", default="", metavar="TEXT",
                   help=f"added to the kernel's command line ({COMMAND_LINE!r})")
    p.add_argument("--kernel", metavar="FILE",
                   help="the Linux kernel, or 'none' (default: .cache/guest/vmlinuz)")
    p.add_argument("--initrd", metavar="FILE",
                   help="its initramfs, or 'none' (default: .cache/guest/initramfs.cpio.gz)")
    p.add_argument("--disk", type=pathlib.Path, action="append", default=[], metavar="FILE",
                   help="a virtio disk: .qcow2 by its name, else raw; may be repeated")
    p.add_argument("--network", action="store_true",
                   help="a virtio network card, with QEMU's user-mode network behind it: needs no rights on the host")
    p.add_argument("--forward", type=forward, action="append", default=[], metavar="HOST:GUEST",
                   help="a TCP port of this host's 127.0.0.1 leads to a port of the guest (with --network); may be repeated")
    p.add_argument("--machine", type=pathlib.Path, default=MACHINE, metavar="FILE",
                   help="the emulated machine (default: target/machine/machine.bin)")
    p.add_argument("--machine-option", type=machine_option, action="append", default=[], metavar="KEY=VALUE",
                   help="an option of the emulated machine; may be repeated: check_every=N checks all invariants after each "
                   "N VMGEXITs, count_instructions=PROTOCOL:CALL,... counts the instructions of SVSM calls, "
                   "release_ghcbs=yes lets Linux bring a CPU online more than twice, "
                   "report_version=2|3|5 is that of attestation reports (default: 3), "
                   "host_data=HEX their HOST_DATA, reported_tcb=HEX their TCB version, "
                   "mask=chip_id and mask=chip_key leave the chip and the signature out")
    p.add_argument("--scenario", type=pathlib.Path, metavar="FILE",
                   help="how the emulated machine misbehaves")
    p.add_argument("--stats", type=pathlib.Path, metavar="FILE",
                   help="the emulated machine writes its counters there, as JSON")
    p.add_argument("--log", type=pathlib.Path, metavar="FILE", help="the console goes to this file as well")
    p.add_argument("--timeout", type=positive, metavar="SECONDS",
                   help="end the guest after this time, with exit status 124")
    p.add_argument("--parallel", action="store_true",
                   help="each virtual CPU is a thread of its own, not one for all in turn: for guests that leave the "
                   "floating-point registers alone, because of a fault of QEMU (docs/architecture.md)")
    p.add_argument("--debug", type=pathlib.Path, metavar="FILE",
                   help="QEMU's own log goes there: its errors, and each command to the secure processor")
    p.add_argument("--dry-run", action="store_true",
                   help="print the QEMU command, ready for a shell, and start nothing")
    add_snp_options(p)
    return p


def add_snp_options(p):
    """What only a real SNP host has."""
    real = p.add_argument_group("of a real SNP host", "docs/hosts.md says what such a host needs, scripts/check-host what it lacks.")
    real.add_argument("--certificates", type=pathlib.Path, metavar="FILE",
                      help="a certificate table for the guest (snphost export), as the GHCB standard has it")
    real.add_argument("--id-block", type=pathlib.Path, metavar="FILE",
                      help="the ID block, 96 bytes or those in base64; goes with --id-auth")
    real.add_argument("--id-auth", type=pathlib.Path, metavar="FILE",
                      help="the ID authentication information, 4096 bytes or those in base64")
    real.add_argument("--host-data", metavar="HEX|FILE",
                      help="32 bytes that the report shows: 64 hexadecimal digits, or a file of 32 bytes")
    real.add_argument("--anyway", action="store_true",
                      help="start QEMU although something was found missing")
    real.add_argument("--host-root", type=pathlib.Path, metavar="DIR",
                      help="with --dry-run: the command for a host that check-host --record has written down")


def optional_file(text, default):
    """The path that --kernel or --initrd means, or None."""
    if text == "none":
        return None
    return pathlib.Path(text) if text else default


def split_at(items, mark):
    """The items before the mark and those after it."""
    if mark not in items:
        return items, []
    at = items.index(mark)
    return items[:at], items[at + 1 :]


def parse(arguments, prog="launch"):
    """The options, complete and checked against each other."""
    p = parser(prog)
    own, for_qemu = split_at(arguments, "--")
    options = p.parse_args(own)
    options.qemu = for_qemu
    if options.plain and (options.no_svsm or options.image or options.scenario or options.stats
                          or options.machine_option or options.host != "auto"):
        p.error("--plain runs without an image and without the emulated machine: it goes with none of "
                "--host, --image, --no-svsm, --scenario, --stats, --machine-option")
    if options.firmware_file and not options.image:
        p.error("--firmware goes with --image")
    if options.no_svsm and options.image:
        p.error("--no-svsm names an image of its own: it does not go with --image")
    if options.forward and not options.network:
        p.error("--forward goes with --network")
    if (options.id_block is None) != (options.id_auth is None):
        p.error("--id-block and --id-auth go together")
    if options.host_root and not (options.dry_run and options.host == "snp"):
        p.error("--host-root goes with --host snp --dry-run")
    if options.image is None:
        options.image = IMAGES / ("ovmf.igvm" if options.no_svsm else "rampart.igvm")
    options.kernel = optional_file(options.kernel, GUEST / "vmlinuz")
    options.initrd = optional_file(options.initrd, GUEST / "initramfs.cpio.gz")
    if options.kernel is None:
        options.initrd = None
    options.firmware = GUEST / "OVMF.fd"
    return options
