"""All checks, from what cannot be mended to what can."""

from . import bios, firmware, kernel, log, processor, qemu
from .check import Check, Result, Seen, State, bad, blocked, unknown
from .facts import Facts
from .host import Denied, Missing

# kvm_amd has this only if all of these are right, so it stands in for those that this user may not read,
# and speaks against those that this program misreads.
VOUCHER = "kvm.sev-snp"
VOUCHED = frozenset((
    "bios.asids", "bios.smee", "bios.sev-control", "bios.rmp", "bios.snp-support", "kernel.iommu", "kernel.snp-enabled",
    "kernel.configuration", "firmware.state", "kvm.sev", "kvm.sev-es", "kvm.snp-guests",
))  # fmt: skip

EVERY: tuple[Check, ...] = processor.CHECKS + bios.CHECKS + log.CHECKS + firmware.CHECKS + kernel.CHECKS + qemu.CHECKS


def look(check: Check, facts: Facts) -> Seen:
    """What one check sees. What is not there is bad; what may not be read is unknown."""
    try:
        return check.look(facts)
    except Missing as reason:
        return bad(str(reason))
    except Denied as reason:
        return unknown(str(reason))
    except ValueError as error:
        return unknown(f"it cannot be understood: {error}")


def vouches(checks: tuple[Check, ...], facts: Facts) -> bool:
    """Whether KVM itself offers SNP guests."""
    return any(check.key == VOUCHER and look(check, facts).state is State.GOOD for check in checks)


def run(facts: Facts, checks: tuple[Check, ...] = EVERY, everything: bool = False) -> list[Result]:
    """Every check's result, in order. What waits for something that is not there is looked at only on demand."""
    results: list[Result] = []
    closed: set[str] = set()
    vouched = VOUCHED if vouches(checks, facts) else frozenset()
    for check in checks:
        waits = [key for key in check.after if key in closed and not everything]
        seen = blocked(waits) if waits else look(check, facts)
        if seen.state is State.BAD and check.key in vouched:
            seen = unknown(f"{seen.found}; yet kvm_amd offers SNP guests, which it does not without this")
        if seen.state in (State.BAD, State.BLOCKED):
            closed.add(check.key)
        results.append(Result(check, seen))
    return results
