"""QEMU's command line for each kind of host."""

import os
import pathlib
import shutil
import subprocess

from .options import COMMAND_LINE, MIB

# What the emulated machine keeps at the top of the memory below 4 GiB.
MACHINE_MEMORY = 64 * MIB

# No warnings about features of that processor which TCG lacks ("check=off").
TCG_CPU = "EPYC-Milan,check=off"
# The emulated machine needs nested virtualisation, 5-level paging (a C-bit above
# bit 47 is lost in 4-level nested tables) and 52 physical address bits.
MACHINE_CPU = TCG_CPU + ",+svm,+npt,+vgif,+la57,+x2apic,phys-bits=52"


class Missing(Exception):
    """Something that a launch needs is not there; the text says what makes it."""


def binary():
    """The QEMU to run."""
    name = os.environ.get("RAMPART_QEMU", "qemu-system-x86_64")
    return shutil.which(name) or name


def quote(path):
    """A value inside QEMU's comma-separated options."""
    return str(path).replace(",", ",,")


def loads_igvm():
    """True if this QEMU can load IGVM files."""
    try:
        listing = subprocess.run([binary(), "-object", "help"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return "igvm-cfg" in listing.stdout


def choose_host(options):
    """'plain', 'snp' or 'emulated'."""
    if options.plain:
        return "plain"
    if options.host != "auto":
        return options.host
    if os.path.exists("/dev/sev") and os.path.exists("/dev/kvm") and loads_igvm():
        return "snp"
    return "emulated"


def needs(options, host):
    """The files that must be there, each with the command that makes it."""
    if host == "plain":
        yield options.firmware, "make setup"
    else:
        yield options.image, "make image"
    if host == "emulated":
        yield options.machine, "make machine"
    for path in (options.kernel, options.initrd):
        if path:
            yield path, "make setup"
    for path in (*options.disk, options.scenario):
        if path:
            yield path, None


def check(options, host):
    """Raises Missing unless everything that a launch needs is there."""
    for name in ("scenario", "stats", "machine_option"):
        if host == "snp" and getattr(options, name):
            raise Missing(f"--{name.replace('_', '-')} is for the emulated machine: add --host emulated")
    if not shutil.which(binary()):
        raise Missing(f"{binary()} is missing; scripts/setup installs it")
    for path, maker in needs(options, host):
        if not path.is_file():
            raise Missing(f"{path} is missing" + (f"; '{maker}' makes it" if maker else ""))
    for path in (options.stats, options.log):
        if path and not path.absolute().parent.is_dir():
            raise Missing(f"{path} cannot be written: its folder does not exist")
        if path and path.is_dir():
            raise Missing(f"{path} is a folder, and has to be a file that can be written")
    if host != "snp":
        return
    for device in ("/dev/sev", "/dev/kvm"):
        if not os.access(device, os.R_OK | os.W_OK):
            raise Missing(f"{device} cannot be opened: this is no SEV-SNP host, or this user may not use it")
    if not loads_igvm():
        raise Missing(f"{binary()} cannot load IGVM files: QEMU 10.1 or newer, built with libigvm, is needed")


# RAM below 4 GiB ends at 2 GiB at the latest. OVMF counts the RAM up to Rampart's range as its low
# memory and puts PCI devices from 2 GiB on; with q35's default, RAM could lie there as well.
LOW_RAM = "max-ram-below-4g=2G"


def memory_arguments(size):
    """Memory that takes no room on the host before it is used."""
    return ["-m", f"{size // MIB}M", "-object", f"memory-backend-ram,id=ram,size={size // MIB}M,reserve=off"]


def emulated_machine(options):
    """The emulated SNP machine, which takes the image from fw_cfg."""
    # Side by side, QEMU's processors break the first one's nested virtualization when they load
    # floating-point registers: docs/architecture.md. In turn they are quicker, too.
    threads = "multi" if options.smp == 1 or options.parallel else "single"
    out = ["-machine", f"q35,smm=off,hpet=off,memory-backend=ram,{LOW_RAM}"]
    out += ["-accel", f"tcg,thread={threads}", "-cpu", MACHINE_CPU]
    out += memory_arguments(options.mem + MACHINE_MEMORY)
    out += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-bios", str(options.machine)]
    out += ["-fw_cfg", f"name=opt/rampart/igvm,file={quote(options.image)}"]
    if options.machine_option:
        out += ["-fw_cfg", "name=opt/rampart/options,string=" + quote("\n".join(options.machine_option))]
    if options.scenario:
        out += ["-fw_cfg", f"name=opt/rampart/scenario,file={quote(options.scenario)}"]
    if options.stats:
        out += ["-chardev", f"file,id=stats,path={quote(options.stats)}"]
        out += ["-device", "isa-debugcon,iobase=0x503,chardev=stats"]
    return out


def snp_host(options):
    """A real host, with a QEMU that loads IGVM files. Never run by this project so far."""
    size = f"{options.mem // MIB}M"
    return [
        "-machine", f"q35,confidential-guest-support=sev0,memory-backend=ram1,igvm-cfg=igvm0,{LOW_RAM}",
        "-accel", "kvm", "-cpu", "EPYC-v4", "-m", size,
        "-object", f"memory-backend-memfd,id=ram1,size={size},share=true,prealloc=false,reserve=false",
        "-object", "sev-snp-guest,id=sev0,cbitpos=51,reduced-phys-bits=1",
        "-object", f"igvm-cfg,id=igvm0,file={quote(options.image)}",
        "-vga", "none",
    ]  # fmt: skip


def plain_machine(options):
    """The same firmware and kernel without SNP."""
    out = ["-machine", f"q35,smm=off,hpet=off,memory-backend=ram,{LOW_RAM}", "-accel", "tcg,thread=multi", "-cpu", TCG_CPU]
    return out + memory_arguments(options.mem) + ["-bios", str(options.firmware)]


def disk_arguments(index, path):
    """A virtio disk that an SNP guest can use: its rings and buffers go through shared memory."""
    kind = "qcow2" if path.suffix == ".qcow2" else "raw"
    return [
        "-drive", f"if=none,id=disk{index},format={kind},file={quote(path)}",
        "-device", f"virtio-blk-pci,drive=disk{index},disable-legacy=on,iommu_platform=on",
    ]  # fmt: skip


def console_arguments(interactive, log):
    """The serial port on standard input and output; with QEMU's monitor behind Ctrl-A C for a person."""
    chardev = "stdio,id=console,signal=off"
    if interactive:
        chardev += ",mux=on"
    if log:
        chardev += f",logfile={quote(pathlib.Path(log))}"
    out = ["-chardev", chardev, "-serial", "chardev:console"]
    return out + (["-mon", "chardev=console"] if interactive else [])


def command(options, host, interactive, control):
    """The whole command. control is the path of the socket for QEMU's machine protocol."""
    kinds = {"emulated": emulated_machine, "snp": snp_host, "plain": plain_machine}
    out = [binary(), *kinds[host](options)]
    out += ["-smp", str(options.smp), "-nodefaults", "-display", "none", "-no-reboot"]
    if options.kernel:
        out += ["-kernel", str(options.kernel)]
        if options.initrd:
            out += ["-initrd", str(options.initrd)]
        out += ["-append", f"{COMMAND_LINE} {options.append}".strip()]
    for index, path in enumerate(options.disk):
        out += disk_arguments(index, path)
    out += console_arguments(interactive, options.log)
    out += ["-qmp", f"unix:{quote(control)},server=on,wait=off"]
    return out + options.qemu
