"""The host's kernel and KVM."""

import re

from .check import Check, Level, Seen, bad, good, judge, unknown
from .facts import Facts
from .host import Denied, Missing, Unanswered

CATEGORY = "kernel"
OPTIONS = ("CONFIG_KVM_AMD", "CONFIG_KVM_AMD_SEV", "CONFIG_CRYPTO_DEV_SP_PSP", "CONFIG_AMD_MEM_ENCRYPT", "CONFIG_AMD_IOMMU")
PARAMETERS = "/sys/module/kvm_amd/parameters"
TRUE = ("Y", "1")

# Linux, include/uapi/linux/kvm.h and arch/x86/include/uapi/asm/kvm.h.
KVM_CAP_VM_TYPES = 235
KVM_X86_SNP_VM = 4
SNP_POLICY_BITS = 1
SNP_REQ_CERTS = 2

# The lower 16 bits of a policy are the firmware's smallest version.
POLICY_FLAGS = ~0xFFFF

PLANES = (
    "a host kernel that runs the VMPLs of a guest as KVM planes, not in mainline so far: "
    "the branch svsm (or svsm-v7.2 and later) of github.com/coconut-svsm/linux"
)


def version(facts: Facts) -> Seen:
    """The release against the first one that runs SNP guests."""
    release = facts.host.release()
    match = re.match(r"(\d+)\.(\d+)", release)
    if not match:
        return unknown(f"release {release!r} has no number")
    return judge((int(match[1]), int(match[2])) >= (6, 11), f"Linux {release}")


def configuration(facts: Facts) -> Seen:
    """The options that an SNP host is built with."""
    try:
        off = [name for name in OPTIONS if facts.host.kernel_option(name) == "n"]
    except Unanswered as reason:
        return unknown(f"no configuration of the running kernel: {reason}")
    return judge(not off, f"without {', '.join(off)}" if off else ", ".join(OPTIONS))


def kvm_device(facts: Facts) -> Seen:
    """/dev/kvm."""
    try:
        facts.host.open_device("/dev/kvm")
    except Denied:
        pass
    return good("/dev/kvm is there")


def kvm_permission(facts: Facts) -> Seen:
    """/dev/kvm for this user."""
    try:
        facts.host.open_device("/dev/kvm")
    except Denied as reason:
        return bad(str(reason))
    return good("this user may open /dev/kvm")


def parameter(name: str, facts: Facts) -> Seen:
    """A switch of kvm_amd, as it came out of the module's start."""
    value = facts.host.text(f"{PARAMETERS}/{name}")
    return judge(value in TRUE, f"{name}={value}")


def vm_types(facts: Facts) -> Seen:
    """KVM's own word on SNP guests."""
    types = facts.host.kvm_extension(KVM_CAP_VM_TYPES)
    return judge(types >> KVM_X86_SNP_VM & 1 == 1, f"KVM_CAP_VM_TYPES is {types:#x}")


def policy(facts: Facts) -> Seen:
    """The image's policy against what KVM lets through."""
    try:
        known = facts.host.kvm_sev_attribute(SNP_POLICY_BITS)
    except Denied:
        raise
    except Missing as reason:
        return unknown(f"this kernel does not tell ({reason}): it is older than 6.19, or has no SNP")
    refused = facts.image.policy & ~known & POLICY_FLAGS
    text = f"policy {facts.image.policy:#x}, KVM knows {known:#x}"
    return bad(f"{text}: it refuses {refused:#x}") if refused else good(text)


def planes(facts: Facts) -> Seen:
    """Functions of KVM's planes in the running kernel. Numbers of ioctls would not do: each series has others."""
    symbols = facts.host.text("/proc/kallsyms")
    found = sorted(set(re.findall(r"^\S+ \S (kvm_\w*plane\w*)", symbols, re.MULTILINE)))
    if not re.search(r"^\S+ \S \w", symbols, re.MULTILINE) and not found:
        raise Denied("/proc/kallsyms shows no symbols to this user")
    if found:
        return good(f"KVM has planes: {', '.join(found[:3])}")
    return bad("this kernel's KVM has no planes: it runs one VMPL")


def certificates(facts: Facts) -> Seen:
    """Whether KVM asks QEMU for certificates."""
    value = facts.host.kvm_sev_attribute(SNP_REQ_CERTS)
    return judge(value != 0, f"KVM_X86_SEV_SNP_REQ_CERTS is {value}")


def switch(name: str, *after: str) -> Check:
    """The check of one parameter of kvm_amd."""
    return Check(f"kvm.{name.replace('_', '-')}", "KVM", Level.SNP, f"kvm_amd with {name}=Y",
                 f"'modprobe -r kvm_amd; modprobe kvm_amd {name}=1'; 'dmesg | grep -e kvm_amd -e ccp' says why it stays off",
                 "Linux, arch/x86/kvm/svm/sev.c, sev_hardware_setup()", lambda facts: parameter(name, facts), after)  # fmt: skip


CHECKS = (
    Check("kernel.version", CATEGORY, Level.ADVICE, "Linux 6.11 or later, or a distribution's kernel with the same",
          "a newer kernel", "Linux 6.11: 'KVM: SEV: Add initial SEV-SNP support'", version),
    Check("kernel.configuration", CATEGORY, Level.SNP, "a kernel built with " + ", ".join(OPTIONS),
          "a kernel with these options", "Linux, arch/x86/kvm/Kconfig, drivers/crypto/ccp/Kconfig", configuration),
    Check("kvm.device", "KVM", Level.SNP, "/dev/kvm", "BIOS: SVM Mode: Enabled; 'modprobe kvm_amd'",
          "Linux, Documentation/virt/kvm/api.rst", kvm_device),
    Check("kvm.permission", "KVM", Level.ADVICE, "/dev/kvm for this user", "as root, or with this user in the group kvm",
          "Linux, Documentation/virt/kvm/api.rst", kvm_permission, ("kvm.device",)),
    switch("sev", "kvm.device", "bios.smee", "bios.sev-control"),
    switch("sev_es", "kvm.sev", "bios.asids"),
    switch("sev_snp", "kvm.sev-es", "kernel.snp-enabled", "bios.rmp", "bios.snp-support", "firmware.version", "firmware.state"),
    Check("kvm.snp-guests", "KVM", Level.SNP, "SNP among the kinds of guests that KVM makes: KVM_CAP_VM_TYPES bit 4",
          "a newer kernel", "Linux, arch/x86/include/uapi/asm/kvm.h", vm_types, ("kvm.sev-snp",)),
    Check("kvm.policy", "KVM", Level.SNP, "every policy bit of the image known to KVM: KVM_X86_SNP_POLICY_BITS",
          "a newer kernel, or an image whose policy asks for less", "Linux 6.19: KVM_X86_SNP_POLICY_BITS", policy,
          ("kvm.sev-snp",)),
    Check("vmpl.kernel", "VMPL", Level.SVSM, "several VMPLs in one guest: KVM planes", PLANES,
          "KVM planes with SVSM, lore.kernel.org/kvm, October 2025; COCONUT-SVSM, pull request 1117, June 2026", planes,
          ("kvm.device",)),
    Check("kvm.certificates", "KVM", Level.ADVICE, "certificates beside reports: KVM_X86_SEV_SNP_REQ_CERTS",
          "Linux 7.0 or later; a verifier can also fetch them from AMD", "Linux, arch/x86/include/uapi/asm/kvm.h", certificates,
          ("kvm.sev-snp",)),
)  # fmt: skip
