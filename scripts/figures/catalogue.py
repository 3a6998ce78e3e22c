"""Which figures there are, what each should reach, and which of them a test may compare.

Less is better in every one of them.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure."""

    key: str
    title: str
    # Where it should be: as words, and the number that says whether it is there.
    goal: str = ""
    limit: float | None = None
    # Whether it is the same on every machine, so that a test may compare it.
    checked: bool = True


PHASES = {
    "launch": "launch",
    "stage2": "stage2",
    "kernel": "kernel",
    "guest_firmware": "guest firmware",
    "os": "OS",
}
# What the firmware alone decides: it ends with the guest firmware's first instruction.
FIRMWARE_PHASES = ("launch", "stage2", "kernel")

COUNTERS = {
    "vmgexits": "VMGEXITs",
    "pvalidate_4k": "PVALIDATEs of 4 KiB",
    "pvalidate_2m": "PVALIDATEs of 2 MiB",
    "rmpadjust_4k": "RMPADJUSTs of 4 KiB",
    "rmpadjust_2m": "RMPADJUSTs of 2 MiB",
    "page_state_4k": "page-state changes of 4 KiB",
    "page_state_2m": "page-state changes of 2 MiB",
}

PARTS = ("stage2", "kernel", "monitor", "protocols")
# Trusted too, and counted for itself: the leading SVSM's TPM is another project's C, and not in its lines.
TPM = "vtpm"

GENERAL = (
    Figure("launch_pages", "launch pages", "560, with the vTPM", 560),
    Figure("launch_pages_unmeasured", "of these not measured"),
    Figure("launch_pages.by_hash", "launch pages with the firmware by hash", "130, with the vTPM", 130),
    Figure("to_guest.vmgexits", "VMGEXITs from launch to the guest firmware's first instruction", "under 100", 99),
    Figure("to_guest.pvalidates", "PVALIDATEs from launch to the guest firmware's first instruction"),
    Figure("instructions.null_call", "instructions at VMPL0 for a null call (QUERY_PROTOCOL)", "under 500", 499),
    Figure("instructions.no_request", "instructions at VMPL0 for an entry without a request"),
    Figure("instructions.pvalidate_2m", "instructions at VMPL0 for PVALIDATE of one page of 2 MiB"),
    Figure("instructions.pvalidate_512_4k",
           "instructions at VMPL0 for PVALIDATE of 512 pages of 4 KiB (two lists: 510 and 2)"),
    Figure("instructions.create_vcpu", "instructions at VMPL0 for CREATE_VCPU"),
    Figure("instructions.report", "instructions at VMPL0 for a report with the services' manifest"),
    Figure("instructions.pcr_extend", "instructions at VMPL0 for TPM2_PCR_Extend of one bank"),
    Figure("wait.rsa_2048", "the longest that calls of another vCPU took while an RSA-2048 key was made, in thousandths "
           "of that time", checked=False),
    Figure("memory_kib.1", "memory kept by the firmware without the page map, in KiB: 1 vCPU", "8,192, with the vTPM", 8192),
    Figure("memory_kib.8", "the same with 8 vCPUs"),
    Figure("memory_kib.64", "the same with 64 vCPUs", "8,192", 8192),
    Figure("memory_kib.page_map", "memory of the page map for 2 GiB, in KiB"),
    Figure("lines", "trusted lines of code", "9,760: a fifth of the leading SVSM's", 9760),
    *(Figure(f"lines.{part}", f"of these in {part}") for part in PARTS),
    Figure("lines_of_the_tpm", "lines of the TPM (vtpm), which is trusted too"),
)
# Of the machine that it was measured on: never compared by a test. The numbers of vCPUs are those
# of the README; "make bench" can be asked for others.
VCPUS = (1, 2, 4, 8)
# How often plain QEMU's time Rampart may take.
BUDGET = 3.0


def time_key(kind, vcpus):
    """The key of a time: plain_qemu in seconds, plain_snp and rampart in plain QEMU's times."""
    return f"time.{kind}.{vcpus}"


def times():
    """A figure for each time."""
    for vcpus in VCPUS:
        of = f"Linux to a shell, {vcpus} vCPUs: "
        yield Figure(time_key("plain_qemu", vcpus), of + "seconds with plain QEMU", checked=False)
        yield Figure(time_key("plain_snp", vcpus), of + "a plain SNP guest's times of that", checked=False)
        yield Figure(time_key("rampart", vcpus), of + "Rampart's times of that", "3 times", BUDGET, checked=False)


def phase_key(counter, phase):
    """The key of a counter in a phase."""
    return f"{counter}.{phase}"


def by_phase():
    """A figure for each counter in each phase."""
    for counter, words in COUNTERS.items():
        for phase, name in PHASES.items():
            yield Figure(phase_key(counter, phase), f"{words} in the phase {name}", checked=phase in FIRMWARE_PHASES)


def every():
    """All figures."""
    return (*GENERAL, *times(), *by_phase())
