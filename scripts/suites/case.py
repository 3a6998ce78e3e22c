"""One case of a suite, and what came of it."""

import dataclasses

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Unavailable(Exception):
    """A suite cannot run here; the text says why."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A case that ran, or did not."""

    name: str
    state: str
    # Why it failed or was skipped, in a line.
    reason: str = ""
    seconds: float = 0.0


def count(cases, state):
    """How many are of this state."""
    return sum(1 for case in cases if case.state == state)


def summary(cases):
    """In words."""
    return ", ".join(f"{count(cases, state)} {state}" for state in (PASSED, FAILED, SKIPPED))
