"""What all results mean together."""

import enum

from .catalogue import VOUCHED, VOUCHER
from .check import Level, Result, State


class Verdict(enum.IntEnum):
    """The exit status of scripts/check-host."""

    READY = 0
    NOT_READABLE = 3
    NO_SVSM = 4
    NO_SNP = 5


TEXT = {
    Verdict.READY: "everything that Rampart needs is there",
    Verdict.NOT_READABLE: "nothing is known to be missing, but something that is needed could not be read: see above",
    Verdict.NO_SVSM: "SNP guests can run, but Rampart cannot: 'scripts/launch --host snp --no-svsm' starts OVMF alone",
    Verdict.NO_SNP: "no SNP guest can run here",
}


# Of these KVM and the firmware make sure themselves, with an error of their own, when the guest starts.
ASKED_AT_LAUNCH = frozenset(("firmware.version", "kvm.policy"))


def of(results: list[Result]) -> Verdict:
    """The worst that a result says."""
    found = {(result.check.level, result.seen.state) for result in results}
    if (Level.SNP, State.BAD) in found:
        return Verdict.NO_SNP
    if (Level.SVSM, State.BAD) in found:
        return Verdict.NO_SVSM
    if {(Level.SNP, State.UNKNOWN), (Level.SVSM, State.UNKNOWN)} & found and not vouched(results):
        return Verdict.NOT_READABLE
    return Verdict.READY


def vouched(results: list[Result]) -> bool:
    """Whether KVM vouches for everything that is needed and could not be read."""
    by_kvm = any(result.check.key == VOUCHER and result.seen.state is State.GOOD for result in results)
    unread = {result.check.key for result in results
              if result.seen.state is State.UNKNOWN and result.check.level is not Level.ADVICE}
    return by_kvm and unread <= VOUCHED | ASKED_AT_LAUNCH


def help_text() -> str:
    """The table of exit statuses, for --help."""
    rows = [(int(verdict), TEXT[verdict]) for verdict in Verdict]
    rows.append((2, "the options were wrong"))
    return "exit status:\n" + "\n".join(f"  {status:<4}{text}" for status, text in sorted(rows))
