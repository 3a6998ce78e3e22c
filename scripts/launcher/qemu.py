"""QEMU's command line for each kind of host."""

import os
import pathlib
import shlex
import shutil

from .options import COMMAND_LINE, MIB

# What the emulated machine keeps at the top of the memory below 4 GiB.
MACHINE_MEMORY = 64 * MIB

# No warnings about features of that processor which TCG lacks ("check=off").
TCG_CPU = "EPYC-Milan,check=off"
# The emulated machine needs nested virtualisation, 5-level paging (a C-bit above
# bit 47 is lost in 4-level nested tables) and 52 physical address bits.
MACHINE_CPU = TCG_CPU + ",+svm,+npt,+vgif,+la57,+x2apic,phys-bits=52"


def binary():
    """The QEMU to run."""
    name = os.environ.get("RAMPART_QEMU", "qemu-system-x86_64")
    return shutil.which(name) or name


def quote(path):
    """A value inside QEMU's comma-separated options."""
    return str(path).replace(",", ",,")


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


def network_arguments(options):
    """A network card that an SNP guest can use. No option ROM: it would be code that nobody measured."""
    if not options.network:
        return []
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for host, guest in options.forward)
    card = "virtio-net-pci,netdev=net0,disable-legacy=on,iommu_platform=on,romfile="
    return ["-netdev", f"user,id=net0{forwards}", "-device", card]


def debug_arguments(path):
    """QEMU's log."""
    if not path:
        return []
    return ["-D", str(path), "-d", "guest_errors,unimp", "-trace", "enable=kvm_sev_*", "-trace", "enable=kvm_memcrypt_*"]


def console_arguments(interactive, log):
    """The serial port on standard input and output; with QEMU's monitor behind Ctrl-A C for a person."""
    chardev = "stdio,id=console,signal=off"
    if interactive:
        chardev += ",mux=on"
    if log:
        chardev += f",logfile={quote(pathlib.Path(log))}"
    out = ["-chardev", chardev, "-serial", "chardev:console"]
    return out + (["-mon", "chardev=console"] if interactive else [])


def command(options, machine, interactive, control):
    """The whole command. machine has the arguments for the host's kind; control is the number of an open
    socket for QEMU's machine protocol, or None."""
    out = [binary(), *machine]
    out += ["-smp", str(options.smp), "-nodefaults", "-display", "none", "-no-reboot"]
    if options.kernel:
        out += ["-kernel", str(options.kernel)]
        if options.initrd:
            out += ["-initrd", str(options.initrd)]
        out += ["-append", f"{COMMAND_LINE} {options.append}".strip()]
    for index, path in enumerate(options.disk):
        out += disk_arguments(index, path)
    out += network_arguments(options)
    out += console_arguments(interactive, options.log)
    out += debug_arguments(options.debug)
    if control is not None:
        out += ["-chardev", f"socket,id=control,fd={control}", "-mon", "chardev=control,mode=control"]
    return out + options.qemu


def in_lines(words):
    """The command as a person reads it and a shell takes it: an option to a line."""
    lines = [shlex.quote(words[0])]
    for word in words[1:]:
        if word.startswith("-") and not lines[-1].endswith("-append"):
            lines.append(shlex.quote(word))
        else:
            lines[-1] += " " + shlex.quote(word)
    return " \\\n    ".join(lines)
