"""QEMU: what it says of itself, before it is given a guest."""

import re

from .check import Check, Level, Seen, bad, good, judge, unknown
from .facts import Facts
from .host import Missing

CATEGORY = "QEMU"
BUILD = "build QEMU 10.1 or later with --enable-igvm and libigvm (github.com/microsoft/igvm), and name it in RAMPART_QEMU"
PLANES_BUILD = (
    "a QEMU that knows KVM planes, not in mainline so far: the branch svsm of github.com/coconut-svsm/qemu, "
    "built with --enable-igvm, and named in RAMPART_QEMU"
)


def program(facts: Facts) -> Seen:
    """Whether there is one."""
    return good(facts.host.qemu("--version").splitlines()[0])


def version(facts: Facts) -> Seen:
    """The version against the first with an IGVM loader."""
    first = facts.host.qemu("--version").splitlines()[0]
    match = re.search(r"version ((\d+)\.(\d+)[.\d]*)", first)
    if not match:
        return unknown(f"it says {first!r}")
    return judge((int(match[2]), int(match[3])) >= (10, 1), f"QEMU {match[1]}")


def has_object(facts: Facts, name: str) -> Seen:
    """An object that -object makes."""
    listing = facts.host.qemu("-object", "help").split()
    return judge(name in listing, f"QEMU {'has' if name in listing else 'does not have'} the object {name}")


def object_has(facts: Facts, option: str) -> bool:
    """An option of sev-snp-guest. (cbitpos and reduced-phys-bits are never in its help.)"""
    return re.search(rf"^\s*{option}=", facts.host.qemu("-object", "sev-snp-guest,help"), re.MULTILINE) is not None


def snp_options(facts: Facts) -> Seen:
    """What a launch gives to sev-snp-guest."""
    wanted = ("policy", "host-data", "id-block", "id-auth", "author-key-enabled")
    lacking = [name for name in wanted if not object_has(facts, name)]
    return judge(not lacking, f"without {', '.join(lacking)}" if lacking else "with " + ", ".join(wanted))


def has_planes(facts: Facts) -> bool:
    """The machine's option device-plane, which is added late in QEMU and stands in one of two texts."""
    texts = (facts.host.qemu("-help"), facts.host.qemu("-machine", "q35,help"))
    return any("device-plane=" in text for text in texts)


def planes(facts: Facts) -> Seen:
    """Whether this QEMU tells KVM which VMPL devices belong to."""
    if has_planes(facts):
        return good("the machine has the option device-plane")
    return bad("the machine has no option device-plane: this QEMU runs one VMPL")


def certificates(facts: Facts) -> Seen:
    """The option for certificates beside reports."""
    there = object_has(facts, "certs-path")
    return judge(there, f"sev-snp-guest has {'the' if there else 'no'} option certs-path")


def invlpgb(facts: Facts) -> Seen:
    """Whether QEMU can give a guest INVLPGB at all."""
    there = "invlpgb" in facts.host.qemu("-cpu", "help").split()
    return judge(there, "QEMU knows INVLPGB" if there else "QEMU has no name for INVLPGB: Rampart runs one vCPU")


# The guest firmware's descriptor and its entries: OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm.
DESCRIPTOR = b"ASEV"
CALLING_AREA = 4


def metadata_kinds(rom: bytes) -> list[int]:
    """The kinds of memory that OVMF's SEV metadata ask for."""
    at = rom.rfind(DESCRIPTOR)
    if at < 0:
        raise Missing("the firmware has no SEV metadata: it is no build for SEV-SNP")
    count = int.from_bytes(rom[at + 12 : at + 16], "little")
    entries = rom[at + 16 : at + 16 + 12 * min(count, 64)]
    return [int.from_bytes(entries[i + 8 : i + 12], "little") for i in range(0, len(entries) - 11, 12)]


def ovmf(facts: Facts) -> Seen:
    """The guest firmware that images are built with."""
    if facts.firmware is None or not facts.firmware.is_file():
        return unknown("no OVMF at hand: 'make setup' fetches one")
    kinds = metadata_kinds(facts.firmware.read_bytes())
    if CALLING_AREA not in kinds and facts.image.guest_vmpl:
        return bad(f"{facts.firmware.name} keeps no page for an SVSM's calling area: it boots at VMPL0 alone")
    return good(f"{facts.firmware.name}: SEV metadata with {len(kinds)} entries, the calling area among them")


CHECKS = (
    Check("qemu.program", CATEGORY, Level.SNP, "QEMU", BUILD, "this project", program),
    Check("qemu.version", CATEGORY, Level.ADVICE, "QEMU 10.1 or later, the first with IGVM files for SNP", BUILD,
          "QEMU's change log for 10.1", version, ("qemu.program",)),
    Check("qemu.igvm", CATEGORY, Level.SNP, "IGVM files: the object igvm-cfg", BUILD,
          "QEMU, docs/system/igvm.rst", lambda facts: has_object(facts, "igvm-cfg"), ("qemu.program",)),
    Check("qemu.sev-snp-guest", CATEGORY, Level.SNP, "SNP guests: the object sev-snp-guest", BUILD,
          "QEMU 9.1, docs/system/i386/amd-memory-encryption.rst", lambda facts: has_object(facts, "sev-snp-guest"),
          ("qemu.program",)),
    Check("qemu.options", CATEGORY, Level.SNP, "the options of sev-snp-guest for policy, ID block and host data", BUILD,
          "QEMU, qapi/qom.json, SevSnpGuestProperties", snp_options, ("qemu.sev-snp-guest",)),
    Check("qemu.memfd", CATEGORY, Level.SNP, "shared memory of its own: the object memory-backend-memfd", BUILD,
          "AMDESE/AMDSEV, launch-qemu.sh", lambda facts: has_object(facts, "memory-backend-memfd"), ("qemu.program",)),
    Check("vmpl.qemu", "VMPL", Level.SVSM, "several VMPLs in one guest: the machine's option device-plane", PLANES_BUILD,
          "KVM planes with SVSM, lore.kernel.org/kvm, October 2025; COCONUT-SVSM, scripts/launch_guest.sh", planes,
          ("qemu.program",)),
    Check("qemu.certificates", CATEGORY, Level.ADVICE, "certificates beside reports: sev-snp-guest's option certs-path",
          "AMD's QEMU (github.com/AMDESE/qemu, snp-certs-v3), or a later mainline; a verifier can also fetch them from AMD",
          "AMDESE/AMDSEV, launch-qemu.sh, -certs", certificates, ("qemu.sev-snp-guest",)),
    Check("qemu.invlpgb", CATEGORY, Level.ADVICE, "INVLPGB in the guest's CPUID page, for several vCPUs under Rampart",
          "none known: neither QEMU nor KVM gives it to guests (QEMU 11.1, Linux 7.3); give the guest one vCPU",
          "docs/architecture.md; QEMU, target/i386/cpu.c, FEAT_8000_0008_EBX", invlpgb, ("qemu.program",)),
    Check("guest.ovmf", "guest", Level.ADVICE, "an OVMF that keeps the calling area free: edk2-stable202405 or later, 202608 tried",
          "'make setup' fetches Debian's 2026.08", "edk2, OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm", ovmf),
)  # fmt: skip
