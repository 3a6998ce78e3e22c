"""What a check is: data, and a function that looks."""

import dataclasses
import enum
from collections.abc import Callable

from .facts import Facts


class Level(enum.Enum):
    """What does not work where the check fails."""

    SNP = "snp"
    SVSM = "svsm"
    ADVICE = "advice"


LEVEL_TEXT = {
    Level.SNP: "no SNP guest starts without it",
    Level.SVSM: "Rampart does not run without it; a plain SNP guest does",
    Level.ADVICE: "goes without it, and is better with it",
}


class State(enum.Enum):
    """What came of a check."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a check saw: its state, and in words what was found or why nothing was."""

    state: State
    found: str


def good(found: str) -> Seen:
    """What is needed is there."""
    return Seen(State.GOOD, found)


def bad(found: str) -> Seen:
    """What is needed is not there."""
    return Seen(State.BAD, found)


def unknown(found: str) -> Seen:
    """It could not be read; the text says why."""
    return Seen(State.UNKNOWN, found)


def blocked(keys: list[str]) -> Seen:
    """It was not looked at: what these other checks need comes first."""
    return Seen(State.BLOCKED, "waits for " + ", ".join(keys))


def judge(fine: bool, found: str) -> Seen:
    """Good or bad."""
    return good(found) if fine else bad(found)


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that a host needs."""

    key: str
    category: str
    level: Level
    need: str
    mend: str
    source: str
    look: Callable[[Facts], Seen]
    # Keys of checks that must not be bad: looking before is idle, and mending this one too.
    after: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Result:
    """A check and what it saw."""

    check: Check
    seen: Seen
