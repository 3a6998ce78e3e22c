"""Results as text and as JSON."""

import json
import textwrap

from . import verdict
from .check import LEVEL_TEXT, Level, Result, State

MARKS = {State.GOOD: "ok", State.BAD: "MISSING", State.UNKNOWN: "unknown", State.BLOCKED: "waits"}
WIDTH = 110


def mark(result: Result) -> str:
    """One word for a result; what is only advised is not shouted."""
    if result.seen.state is State.BAD and result.check.level is Level.ADVICE:
        return "advice"
    return MARKS[result.seen.state]


def paragraph(name: str, text: str) -> str:
    """A named, wrapped paragraph under a check."""
    lead = f"{name}: "
    return textwrap.fill(lead + text, WIDTH, initial_indent=" " * 12, subsequent_indent=" " * (12 + len(lead)),
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def lines(result: Result) -> list[str]:
    """A result; what is not good comes with what is needed and how to get it."""
    check, seen = result.check, result.seen
    lead = f"  {mark(result):<8}  {check.key}: "
    out = [textwrap.fill(lead + seen.found, WIDTH, subsequent_indent=" " * 16, break_long_words=False, break_on_hyphens=False)]
    if seen.state in (State.GOOD, State.BLOCKED):
        return out
    out.append(paragraph("needed", check.need))
    if seen.state is State.BAD:
        out.append(paragraph("mend", check.mend))
        out.append(paragraph("source", check.source))
    elif "Permission denied" in seen.found:
        out.append(paragraph("to read it", "sudo scripts/check-host"))
    return out


def text(results: list[Result]) -> str:
    """The whole report."""
    out: list[str] = []
    categories = list(dict.fromkeys(result.check.category for result in results))
    for category in categories:
        out.append(category)
        for result in results:
            if result.check.category == category:
                out += lines(result)
    counts = {word: sum(mark(result) == word for result in results) for word in ("ok", "MISSING", "waits", "unknown", "advice")}
    out.append("")
    out.append(", ".join(f"{number} {word}" for word, number in counts.items()))
    out.append(f"check-host: {verdict.TEXT[verdict.of(results)]}")
    return "\n".join(out)


def as_json(results: list[Result], where: str) -> str:
    """The whole report for programs."""
    final = verdict.of(results)
    return json.dumps({
        "host": where,
        "verdict": final.name.lower().replace("_", "-"),
        "exit_status": int(final),
        "text": verdict.TEXT[final],
        "levels": {level.value: words for level, words in LEVEL_TEXT.items()},
        "checks": [{
            "key": result.check.key, "category": result.check.category, "level": result.check.level.value,
            "state": result.seen.state.value, "found": result.seen.found, "needed": result.check.need,
            "mend": result.check.mend, "source": result.check.source,
        } for result in results],
    }, indent=2)  # fmt: skip
