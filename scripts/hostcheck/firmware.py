"""The secure processor's firmware, as SNP_PLATFORM_STATUS tells."""

import dataclasses
import struct

from .check import Check, Level, Seen, bad, good, judge
from .facts import Facts
from .host import Denied, Missing
from .processor import family_and_model

CATEGORY = "firmware"
ABI = "AMD 56860, SEV-SNP Firmware ABI, SNP_PLATFORM_STATUS"
UPDATE = "update the BIOS, or put the newer file of AMD's (amd.com/sev) into /lib/firmware/amd/ and boot again"
# Linux, drivers/crypto/ccp/sev-dev.h: SNP_MIN_API_MAJOR, SNP_MIN_API_MINOR.
SMALLEST = (1, 51)

# struct sev_user_data_snp_status (Linux, include/uapi/linux/psp-sev.h).
STATUS = struct.Struct("<BBBBIIIQQ")
STATE_INIT = 1
FAMILY_TURIN = 0x1A


@dataclasses.dataclass(frozen=True)
class Status:
    """The platform's status."""

    version: tuple[int, int]
    state: int
    rmp_initialized: bool
    build: int
    flags: int
    guests: int
    current_tcb: int
    reported_tcb: int

    def flag(self, bit: int) -> bool:
        """A bit of the word behind the build number."""
        return self.flags >> bit & 1 == 1


MASK_CHIP_ID, MASK_CHIP_KEY, VLEK, _, RAPL_OFF, HIDING_CAPABLE, HIDING_ON = range(7)


def status(facts: Facts) -> Status:
    """Asks the secure processor."""
    raw = facts.host.snp_platform_status()
    if len(raw) != STATUS.size:
        raise Missing(f"/dev/sev answers {len(raw)} bytes in place of {STATUS.size}")
    major, minor, state, rmp, build, flags, guests, current, reported = STATUS.unpack(raw)
    return Status((major, minor), state, rmp & 1 == 1, build, flags, guests, current, reported)


def device(facts: Facts) -> Seen:
    """/dev/sev for this user."""
    try:
        facts.host.open_device("/dev/sev")
    except Denied as reason:
        return bad(str(reason))
    return good("this user may open /dev/sev")


def version(facts: Facts) -> Seen:
    """The firmware's version against the kernel's minimum and the image's."""
    now = status(facts)
    wanted = (facts.image.policy >> 8 & 0xFF, facts.image.policy & 0xFF)
    text = f"{now.version[0]}.{now.version[1]}, build {now.build}"
    if now.version < wanted:
        return bad(f"{text}; the image's policy wants {wanted[0]}.{wanted[1]}")
    return judge(now.version >= SMALLEST, text)


def state(facts: Facts) -> Seen:
    """Whether SNP has been initialised."""
    now = status(facts)
    words = "initialised" if now.state == STATE_INIT else "not initialised"
    rmp = "initialised" if now.rmp_initialized else "not initialised"
    return judge(now.state == STATE_INIT and now.rmp_initialized, f"SNP is {words}, the RMP is {rmp}, {now.guests} guests")


def tcb_words(facts: Facts, tcb: int) -> str:
    """The parts of a TCB version: AMD 56860, table TCB_VERSION; Turin has them in another order."""
    raw = tcb.to_bytes(8, "little")
    family, _ = family_and_model(facts.host.cpuid(1)[0])
    if family == FAMILY_TURIN:
        parts = {"FMC": raw[0], "boot loader": raw[1], "TEE": raw[2], "SNP": raw[3], "microcode": raw[7]}
    else:
        parts = {"boot loader": raw[0], "TEE": raw[1], "SNP": raw[6], "microcode": raw[7]}
    return ", ".join(f"{name} {number}" for name, number in parts.items())


def tcb(facts: Facts) -> Seen:
    """The TCB that reports state against the one that runs."""
    now = status(facts)
    running = tcb_words(facts, now.current_tcb)
    if now.current_tcb == now.reported_tcb:
        return good(running)
    return bad(f"running: {running}; in reports: {tcb_words(facts, now.reported_tcb)}")


def chip_key(facts: Facts) -> Seen:
    """Whether reports are signed, and name the chip."""
    now = status(facts)
    masked = [name for bit, name in ((MASK_CHIP_ID, "the chip's number"), (MASK_CHIP_KEY, "the signature"))
              if now.flag(bit)]
    signer = "VLEK" if now.flag(VLEK) else "VCEK"
    return bad(f"reports lack {' and '.join(masked)}") if masked else good(f"reports are signed with the {signer}")


def hiding(facts: Facts) -> Seen:
    """Ciphertext hiding."""
    now = status(facts)
    if now.flag(HIDING_ON):
        return good("on")
    return bad("off, and the firmware could" if now.flag(HIDING_CAPABLE) else "this firmware or processor has none")


PERMISSION = (
    "as root, or once: echo 'KERNEL==\"sev\", GROUP=\"kvm\", MODE=\"0660\"' > /etc/udev/rules.d/60-sev.rules, "
    "then 'udevadm trigger /dev/sev', with this user in the group kvm"
)

CHECKS = (
    Check("firmware.permission", CATEGORY, Level.ADVICE, "/dev/sev for this user: QEMU opens it, and Linux makes it for root alone",
          PERMISSION, "QEMU, target/i386/sev.c", device, ("bios.sev-control",)),
    Check("firmware.version", CATEGORY, Level.SNP, "firmware 1.51 or later, and the image's policy's minimum", UPDATE,
          f"{ABI}; Linux, drivers/crypto/ccp/sev-dev.h", version, ("bios.sev-control",)),
    Check("firmware.state", CATEGORY, Level.SNP, "SNP and the RMP initialised",
          "'dmesg | grep -i -e ccp -e SEV' says why the kernel could not; newer kernels initialise with kvm_amd: 'modprobe kvm_amd'",
          ABI, state, ("firmware.version",)),
    Check("firmware.tcb", CATEGORY, Level.ADVICE, "reports that state the TCB that runs",
          "'snphost commit' (for ever), or 'snphost config set' with the running TCB",
          "AMD 56860, SNP_COMMIT and SNP_SET_CONFIG", tcb, ("firmware.version",)),
    Check("firmware.reports", CATEGORY, Level.ADVICE, "reports that are signed and name the chip, for verifiers",
          "'snphost config reset'", "AMD 56860, SNP_CONFIG: MASK_CHIP_KEY, MASK_CHIP_ID", chip_key, ("firmware.version",)),
    Check("firmware.ciphertext-hiding", CATEGORY, Level.ADVICE, "ciphertext hiding, so that the host cannot watch ciphertext change",
          "where the processor has it (Turin): Linux 6.18 or later with kvm_amd.ciphertext_hiding_asids=N, N the SNP guests at a time",
          "Linux, Documentation/admin-guide/kernel-parameters.txt", hiding, ("firmware.version",)),
)  # fmt: skip
