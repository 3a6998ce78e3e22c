"""What the BIOS has to switch on, seen in registers, and without root in what the kernel made of them."""

import re

from .check import Check, Level, Seen, bad, good, judge, unknown
from .facts import Facts
from .host import Denied, Missing
from .processor import SEV_LEAF

CATEGORY = "BIOS"
# Linux, arch/x86/include/asm/msr-index.h.
SYSCFG = 0xC001_0010
SYSCFG_MEM_ENCRYPT = 1 << 23
SYSCFG_SNP = 1 << 24
SYSCFG_SNP_VMPL = 1 << 25
RMP_BASE, RMP_END, RMP_CFG = 0xC001_0132, 0xC001_0133, 0xC001_0136
RMP_SEGMENTED = 1

# The processor's own part of the RMP, then 16 bytes for each page.
RMP_HEAD = 16 << 10
RMP_ENTRY = 16
PAGE = 4096
GIB = 1 << 30

CBS = "BIOS: Advanced > AMD CBS > "
TUNING = "AMD 58207, Using SEV with AMD EPYC Processors; AMDESE/AMDSEV, README"


def by_flag(facts: Facts, flag: str, why: str, reason: Denied) -> Seen:
    """In place of a register that cannot be read: the kernel keeps the flag only if the BIOS did its part."""
    if flag in facts.host.flags():
        return good(f"the kernel keeps its flag {flag!r} ({why})")
    return bad(f"the kernel has given up its flag {flag!r} ({why}); the register itself: {reason}")


def smee(facts: Facts) -> Seen:
    """SME in SYSCFG."""
    try:
        value = facts.host.msr(SYSCFG)
    except Denied as reason:
        return by_flag(facts, "sev", "it drops it unless SYSCFG[23] is set", reason)
    return judge(value & SYSCFG_MEM_ENCRYPT != 0, f"SYSCFG is {value:#x}, bit 23 is {value >> 23 & 1}")


def sev_control(facts: Facts) -> Seen:
    """The secure processor's driver, and the device that it makes if SEV is on."""
    driver = facts.host.names("/sys/bus/pci/drivers/ccp")
    devices = [name for name in driver if re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", name)]
    try:
        facts.host.open_device("/dev/sev")
    except Denied:
        pass
    except Missing:
        return bad(f"driver ccp has {', '.join(devices) or 'no device'}, and made no /dev/sev")
    return good(f"driver ccp has {', '.join(devices) or 'no device'}, and made /dev/sev")


def total_memory(facts: Facts) -> int:
    """Bytes of memory that the kernel knows of."""
    match = re.search(r"^MemTotal:\s+(\d+) kB", facts.host.text("/proc/meminfo"), re.MULTILINE)
    if not match:
        raise Missing("/proc/meminfo has no MemTotal")
    return int(match[1]) << 10


def rmp(facts: Facts) -> Seen:
    """The memory that the BIOS has set aside for the RMP."""
    try:
        base = facts.host.msr(RMP_BASE)
    except Denied as reason:
        return by_flag(facts, "sev_snp", "it drops it unless the RMP is set up", reason)
    if base == 0:
        return bad("RMP_BASE is 0: the BIOS has set no memory aside")
    if facts.host.cpuid(SEV_LEAF)[0] >> 23 & 1 and facts.host.msr(RMP_CFG) & RMP_SEGMENTED:
        return good(f"a segmented RMP at {base:#x}")
    end = facts.host.msr(RMP_END)
    if end <= base:
        return bad(f"RMP_BASE is {base:#x} and RMP_END {end:#x}: no range")
    covered = (end + 1 - base - RMP_HEAD) // RMP_ENTRY * PAGE
    memory = total_memory(facts)
    text = f"[{base:#x}, {end + 1:#x}) covers {covered // GIB} GiB of addresses; memory is {memory // GIB} GiB"
    return judge(covered >= memory, text)


def snp_support(facts: Facts) -> Seen:
    """The IOMMU's SNP feature, EFR[63]."""
    units = [name for name in facts.host.names("/sys/class/iommu") if name.startswith("ivhd")]
    if not units:
        return bad("no AMD IOMMU is at work")
    # "EFR:EFR2" since Linux 6.7, which is older than SNP hosts.
    features = facts.host.text(f"/sys/class/iommu/{units[0]}/amd-iommu/features")
    register = int(features.split(":")[0], 16)
    return judge(register >> 63 & 1 == 1, f"{units[0]}: EFR {register:#x}, bit 63 is {register >> 63}")


def snp_enabled(facts: Facts) -> Seen:
    """SNP and VMPLs in SYSCFG, which the kernel sets at boot."""
    try:
        value = facts.host.msr(SYSCFG)
    except Denied as reason:
        return unknown(f"{reason}; kvm_amd's parameter sev_snp says the same with other words")
    both = SYSCFG_SNP | SYSCFG_SNP_VMPL
    return judge(value & both == both, f"SYSCFG is {value:#x}: SNP_EN {value >> 24 & 1}, VMPL_EN {value >> 25 & 1}")


# What turns the IOMMU off, or lets devices by it.
HARMFUL = {
    "iommu": ("off", "pt", "soft"),
    "iommu.passthrough": ("1", "on", "y", "Y"),
    "amd_iommu": ("off", "pgtbl_v2"),
}


def iommu_mode(facts: Facts) -> Seen:
    """Whether the kernel was told to let devices by the IOMMU."""
    given = facts.host.parameters()
    found = [f"{name}={given[name]}" for name, values in HARMFUL.items()
             if any(word in values for word in given.get(name, "").split(","))]
    if found:
        return bad(f"the kernel's command line has {', '.join(found)}")
    try:
        default = facts.host.kernel_option("CONFIG_IOMMU_DEFAULT_PASSTHROUGH")
    except (Denied, Missing):
        return good("the kernel's command line has nothing against it")
    told = given.get("iommu") in ("nopt",) or given.get("iommu.passthrough") in ("0", "off", "n", "N")
    return judge(default != "y" or told, f"CONFIG_IOMMU_DEFAULT_PASSTHROUGH={default}")


CHECKS = (
    Check("bios.smee", CATEGORY, Level.SNP, "memory encryption: MSR 0xC0010010 (SYSCFG) bit 23",
          CBS + "CPU Common Options > SMEE: Enabled", f"{TUNING}; Linux, arch/x86/kernel/cpu/amd.c", smee,
          ("processor.snp",)),
    Check("bios.sev-control", CATEGORY, Level.SNP, "SEV switched on, so that the secure processor's driver makes /dev/sev",
          CBS + "CPU Common Options > SEV Control: Enabled; then 'modprobe ccp', and 'dmesg | grep -i -e ccp -e psp' for its reasons",
          f"{TUNING}; Linux, drivers/crypto/ccp/sev-dev.c", sev_control, ("processor.snp", "bios.smee")),
    Check("bios.rmp", CATEGORY, Level.SNP, "memory for the RMP, for all of the machine's memory: MSRs 0xC0010132 and 0xC0010133",
          CBS + "CPU Common Options > SNP Memory (RMP Table) Coverage: Enabled",
          f"{TUNING}; Linux, arch/x86/virt/svm/sev.c", rmp, ("processor.snp",)),
    Check("bios.snp-support", CATEGORY, Level.SNP, "SNP in the IOMMU: its extended feature register's bit 63",
          CBS + "NBIO Common Options > IOMMU: Enabled, SEV-SNP Support: Enabled (Auto may mean off)",
          f"{TUNING}; Linux, drivers/iommu/amd/init.c, iommu_snp_enable()", snp_support, ("processor.snp",)),
    Check("kernel.iommu", "kernel", Level.SNP, "the IOMMU translating for every device, with page tables of its first kind",
          "take the named words off the kernel's command line and boot again",
          "Linux, drivers/iommu/amd/init.c, iommu_snp_enable()", iommu_mode),
    Check("kernel.snp-enabled", "kernel", Level.SNP, "SNP and VMPLs on in every core: MSR 0xC0010010 (SYSCFG) bits 24 and 25",
          "the kernel sets them at boot if all of the above is right: 'dmesg | grep -i -e SEV-SNP -e RMP -e AMD-Vi' says why not",
          "Linux, arch/x86/virt/svm/sev.c", snp_enabled,
          ("bios.smee", "bios.rmp", "bios.snp-support", "kernel.iommu")),
)  # fmt: skip
