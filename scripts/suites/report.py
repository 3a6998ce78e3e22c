"""What came of a run: lines, a file, and the comparison with swtpm."""

import json

from . import servers
from .case import FAILED, PASSED, SKIPPED, Case, count, summary

STORED = servers.ROOT / "docs/vtpm-suites.json"


def show(name, tpm, cases, everything):
    """A line for each case that did not pass, or for every one; and the sum."""
    for case in cases:
        if everything or case.state != PASSED:
            reason = f": {case.reason}" if case.reason else ""
            print(f"{case.state:8}{name} on {tpm}: {case.name}{reason}")
    print(f"{name} on {tpm}: {summary(cases)} of {len(cases)}", flush=True)


def worse(ours, theirs):
    """The cases that do not pass here and do pass there."""
    passed = {case.name for case in theirs if case.state == PASSED}
    return [case for case in ours if case.state != PASSED and case.name in passed]


def write(path, found):
    """All cases of all runs, as JSON: {suite: {tpm: [case...]}}."""
    content = {
        name: {tpm: [vars(case) for case in cases] for tpm, cases in runs.items()} for name, runs in found.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def stored():
    """What docs/vtpm-suites.json says: {suite: {tpm: {passed, failed, skipped, not_passed}}}."""
    return json.loads(STORED.read_text()) if STORED.exists() else {}


def store(found):
    """Keeps the sums, and every case that did not pass with its reason."""
    content = stored()
    for name, runs in found.items():
        for tpm, cases in runs.items():
            content.setdefault(name, {})[tpm] = {
                **{state: count(cases, state) for state in (PASSED, FAILED, SKIPPED)},
                "not_passed": {case.name: f"{case.state}: {case.reason}" for case in cases if case.state != PASSED},
            }
    STORED.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def baseline(name, cases):
    """swtpm's stored result for these cases, as cases; None if there is none."""
    kept = stored().get(name, {}).get(servers.SWTPM)
    if kept is None:
        return None
    return [Case(case.name, SKIPPED if case.name in kept["not_passed"] else PASSED) for case in cases]


def known(name):
    """The cases that docs/vtpm-suites.json says vtpm-server does not pass."""
    return stored().get(name, {}).get(servers.VTPM, {}).get("not_passed", {})


def verdict(found):
    """Whether no case fails that swtpm passes, beside those that are known; says which do."""
    good = True
    for name, runs in found.items():
        ours = runs.get(servers.VTPM)
        if ours is None:
            continue
        theirs = runs.get(servers.SWTPM) or baseline(name, ours)
        bad = worse(ours, theirs) if theirs is not None else [case for case in ours if case.state == FAILED]
        for case in bad:
            text = "as docs/vtpm-suites.json says" if case.name in known(name) else "NEW"
            print(f"{name}: swtpm passes {case.name}, vtpm-server does not ({case.state}; {text})")
        bad = [case for case in bad if case.name not in known(name)]
        good = good and not bad and bool(ours)
    return good
