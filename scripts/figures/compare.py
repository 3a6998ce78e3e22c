"""Compares figures with the baseline."""

from . import catalogue

# How much worse a figure may get: a tenth.
TOLERANCE = 1.1


def worse(baseline, now):
    """A line for every compared figure that is missing, or worse by more than a tenth."""
    for figure in catalogue.every():
        if not figure.checked:
            continue
        old, new = baseline.get(figure.key), now.get(figure.key)
        if old is None or new is None:
            where = "the baseline" if old is None else "what was measured"
            yield f"{figure.key} ({figure.title}) is missing in {where}"
        elif new > old * TOLERANCE:
            yield f"{figure.key} ({figure.title}) is worse by more than a tenth: {new:,} instead of {old:,}"


def better(baseline, now):
    """A line for every compared figure that is better by more than a tenth."""
    for figure in catalogue.every():
        old, new = baseline.get(figure.key), now.get(figure.key)
        if figure.checked and old is not None and new is not None and new * TOLERANCE < old:
            yield f"{figure.key} is better: {new:,} instead of {old:,}"
