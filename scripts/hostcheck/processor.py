"""The processor: what CPUID says of itself, whatever the BIOS and the kernel make of it."""

from .check import Check, Level, Seen, bad, good, judge, unknown
from .facts import Facts
from .host import Unanswered

CATEGORY = "processor"
SEV_LEAF = 0x8000_001F
APM = "AMD64 Architecture Programmer's Manual, volume 3, appendix E.4.17 (CPUID Fn8000_001F)"
OTHER_MACHINE = "another machine: an EPYC 7003 (Milan) or later"

# Family and models with SNP: PPRs of each, as in Linux' arch/x86/kernel/cpu/amd.c.
MODELS = (
    (0x19, range(0x00, 0x10), "Milan (EPYC 7003)"),
    (0x19, range(0x10, 0x20), "Genoa (EPYC 9004)"),
    (0x19, range(0xA0, 0xB0), "Bergamo or Siena (EPYC 9704, 8004)"),
    (0x1A, range(0x00, 0x20), "Turin (EPYC 9005)"),
)


def family_and_model(eax: int) -> tuple[int, int]:
    """Of CPUID Fn0000_0001 EAX."""
    family, model = eax >> 8 & 0xF, eax >> 4 & 0xF
    if family == 0xF:
        family += eax >> 20 & 0xFF
        model |= (eax >> 16 & 0xF) << 4
    return family, model


def vendor(facts: Facts) -> Seen:
    """The vendor's name in leaf 0."""
    _, ebx, ecx, edx = facts.host.cpuid(0)
    name = b"".join(word.to_bytes(4, "little") for word in (ebx, edx, ecx)).decode("ascii", "replace")
    return judge(name == "AuthenticAMD", name)


def model(facts: Facts) -> Seen:
    """Family and model, with a name where it is known."""
    family, number = family_and_model(facts.host.cpuid(1)[0])
    text = f"family {family:#x}, model {number:#x}"
    for known, models, name in MODELS:
        if family == known and number in models:
            return good(f"{name}: {text}")
    return bad(f"{text}: none that is known to have SNP")


def bare_metal(facts: Facts) -> Seen:
    """The hypervisor bit."""
    _, _, ecx, _ = facts.host.cpuid(1)
    if not ecx >> 31 & 1:
        return good("this is no virtual machine")
    words = facts.host.cpuid_hypervisor()
    return bad(f"this is a virtual machine ({words}): Linux uses no SNP of a processor that it was lent")


def snp(facts: Facts) -> Seen:
    """SEV-SNP in silicon."""
    eax, _, _, _ = facts.host.cpuid(SEV_LEAF)
    names = {0: "SME", 1: "SEV", 3: "SEV-ES", 4: "SEV-SNP"}
    there = [name for bit, name in names.items() if eax >> bit & 1]
    return judge(eax >> 4 & 1 == 1, ", ".join(there) if there else "no memory encryption at all")


def vmpls(facts: Facts) -> Seen:
    """VMPLs in silicon, and how many."""
    eax, ebx, _, _ = facts.host.cpuid(SEV_LEAF)
    count = ebx >> 12 & 0xF if eax >> 5 & 1 else 0
    return judge(count > facts.image.guest_vmpl, f"{count} VMPLs")


def c_bit(facts: Facts) -> Seen:
    """The C-bit, which the measured page tables carry."""
    eax, ebx, _, _ = facts.host.cpuid(SEV_LEAF)
    if not eax >> 1 & 1:
        return bad("no C-bit: the processor has no SEV")
    here, reduced, wanted = ebx & 0x3F, ebx >> 6 & 0x3F, facts.image.c_bit
    text = f"C-bit {here}; {reduced} physical address bits fewer with encryption"
    return judge(wanted is None or here == wanted, text)


def guests(facts: Facts) -> Seen:
    """How many encrypted guests there may be, and how many of them SEV-ES or SNP."""
    _, _, ecx, edx = facts.host.cpuid(SEV_LEAF)
    for_snp = max(edx - 1, 0)
    return judge(for_snp > 0, f"{ecx} ASIDs, {for_snp} of them for SEV-ES and SNP")


def invlpgb(facts: Facts) -> Seen:
    """INVLPGB and TLBSYNC, with which one vCPU flushes the TLBs of all."""
    _, ebx, _, _ = facts.host.cpuid(0x8000_0008)
    there = ebx >> 3 & 1 == 1
    return judge(there, "INVLPGB" if there else "no INVLPGB")


# CPUID patch levels up to which the processor takes forged microcode (AMD-SB-7033, "EntrySign"):
# Linux' arch/x86/kernel/cpu/microcode/amd.c, get_cutoff_revision(). By the level's upper bits.
FORGEABLE = {
    0xA0010: 0xA00107A, 0xA0011: 0xA0011DA, 0xA0012: 0xA001243, 0xA0082: 0xA00820E,
    0xA1011: 0xA101153, 0xA1012: 0xA10124E, 0xAA001: 0xAA00116, 0xAA002: 0xAA00218,
    0xB0021: 0xB002146, 0xB1010: 0xB101046,
}  # fmt: skip


def microcode(facts: Facts) -> Seen:
    """The patch level against those with a known hole."""
    try:
        level = int(facts.host.text("/sys/devices/system/cpu/cpu0/microcode/version"), 16)
    except Unanswered:
        level = int(facts.host.cpuinfo("microcode"), 16)
    last = FORGEABLE.get(level >> 8)
    if last is None:
        return unknown(f"patch level {level:#x}: this project knows no minimum for this processor")
    return judge(level > last, f"patch level {level:#x}; up to {last:#x} it takes forged microcode")


CHECKS = (
    Check("processor.vendor", CATEGORY, Level.SNP, "a processor of AMD's", OTHER_MACHINE, APM, vendor),
    Check("processor.model", CATEGORY, Level.ADVICE, "an EPYC of the third generation (Milan) or later",
          OTHER_MACHINE, "Linux, arch/x86/kernel/cpu/amd.c", model),
    Check("processor.bare-metal", CATEGORY, Level.SNP, "the machine itself, not a virtual one",
          "run this on the host, outside of any virtual machine",
          "Linux, arch/x86/kernel/cpu/amd.c, bsp_determine_snp()", bare_metal),
    Check("processor.snp", CATEGORY, Level.SNP, "SEV-SNP: CPUID Fn8000_001F EAX[4]",
          OTHER_MACHINE + "; where the model has it, BIOS: Advanced > AMD CBS > CPU Common Options > SMEE and SEV Control",
          APM, snp, ("processor.vendor", "processor.bare-metal")),
    Check("processor.vmpl", CATEGORY, Level.SVSM, "a VMPL more than the guest's: CPUID Fn8000_001F EAX[5], EBX[15:12]",
          OTHER_MACHINE, APM, vmpls, ("processor.snp",)),
    Check("processor.c-bit", CATEGORY, Level.SVSM, "the C-bit of the image's measured page tables: CPUID Fn8000_001F EBX[5:0]",
          "build the image for this processor: svsm.c-bit in images/rampart.toml, and protocols' layout::C_BIT", APM, c_bit,
          ("processor.snp",)),
    Check("bios.asids", "BIOS", Level.SNP, "ASIDs for SEV-ES and SNP: CPUID Fn8000_001F EDX above 1",
          "BIOS: Advanced > AMD CBS > CPU Common Options > SEV-ES ASID Space Limit above 1 (100, for instance)", APM, guests,
          ("processor.snp",)),
    Check("processor.invlpgb", CATEGORY, Level.ADVICE, "INVLPGB for several vCPUs: CPUID Fn8000_0008 EBX[3]",
          OTHER_MACHINE + "; until then, one vCPU", "AMD64 Architecture Programmer's Manual, volume 3, INVLPGB", invlpgb,
          ("processor.snp",)),
    Check("microcode.level", "microcode", Level.ADVICE, "microcode that takes no forged updates",
          "update the BIOS (or linux-firmware's amd-ucode, and boot again)",
          "AMD-SB-7033; Linux, arch/x86/kernel/cpu/microcode/amd.c", microcode,
          ("processor.vendor", "processor.bare-metal")),
)  # fmt: skip
