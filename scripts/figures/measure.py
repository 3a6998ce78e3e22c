"""Gets the figures: boots on the emulated machine, and the source."""

import json
import pathlib
import re
import subprocess
import time

from launcher import facts, outcome

from . import catalogue, lines

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LAUNCH = ROOT / "scripts/launch"
TEST_GUEST = ROOT / "target/images/test-guest.igvm"
BY_HASH = ROOT / "target/images/rampart-byhash.igvm"

# The calls whose instructions are counted: PVALIDATE, CREATE_VCPU, QUERY_PROTOCOL, a report with the services'
# manifest, a command of the TPM.
PVALIDATE, CREATE_VCPU, QUERY_PROTOCOL, REPORT, TPM_COMMAND = (0, 1), (0, 2), (0, 6), (1, 0), (2, 1)
COUNTED = ",".join(f"{protocol}:{call}" for protocol, call in
                   (PVALIDATE, CREATE_VCPU, QUERY_PROTOCOL, REPORT, TPM_COMMAND))
PCR_EXTEND = 0x182

KINDS = {
    "plain QEMU": ["--plain"],
    "plain SNP guest": ["--host", "emulated", "--no-svsm"],
    "Rampart": ["--host", "emulated"],
}


# How often a boot whose time is taken may be tried.
TRIES = 3


class Failed(Exception):
    """A figure cannot be had; the text says why."""


class Boot:
    """A finished boot: seconds to "ready" (or None) and to the end, the console, the counters."""

    def __init__(self, arguments, stats=None):
        command = [LAUNCH, *arguments, "--timeout", "900"]
        if stats:
            command += ["--stats", stats]
        begin = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, errors="replace")
        self.ready, self.console = None, []
        for line in process.stdout:
            self.console.append(facts.clean(line))
            if self.ready is None and facts.guest_facts([line]) == ["ready"]:
                self.ready = time.monotonic() - begin
        messages = process.stderr.read()
        self.end = time.monotonic() - begin
        if process.wait() != outcome.POWERED_OFF:
            raise Failed("\n".join(self.console[-30:]) + f"\n{messages}\na boot failed; see above")
        self.stats = json.loads(stats.read_text()) if stats else None


def linux(arguments, stats=None):
    """A boot of Linux that ends by itself."""
    boot = Boot([*arguments, "--append", "rampart.mode=smoke"], stats)
    if boot.ready is None:
        raise Failed("\n".join(boot.console[-30:]) + "\nthe guest was never ready; see above")
    return boot


def timed(arguments):
    """A boot whose time is taken; again if it fails: Linux in plain QEMU panics where it finds its timer late."""
    for _ in range(TRIES - 1):
        try:
            return linux(arguments)
        except Failed:
            continue
    return linux(arguments)


def times(rounds, vcpus, extra):
    """{vCPUs: {kind: [seconds to ready, seconds to the end]}}, the best of the rounds.

    The best, because what else this machine does only adds; and round by round,
    not kind by kind, so that it adds to all of them.
    """
    found = {}
    for number in range(rounds):
        for smp in vcpus:
            for kind, arguments in KINDS.items():
                yield f"round {number + 1} of {rounds}: {kind}, vCPUs: {smp}", None
                boot = timed([*arguments, "--smp", str(smp), *extra])
                now = [boot.ready, boot.end]
                of_kind = found.setdefault(smp, {})
                of_kind[kind] = list(map(min, of_kind.get(kind, now), now))
    yield None, found


def of_times(found):
    """The figures of the times to "ready"."""
    out = {}
    for vcpus, kinds in found.items():
        base = kinds["plain QEMU"][0]
        out[catalogue.time_key("plain_qemu", vcpus)] = round(base, 1)
        out[catalogue.time_key("plain_snp", vcpus)] = round(kinds["plain SNP guest"][0] / base, 2)
        out[catalogue.time_key("rampart", vcpus)] = round(kinds["Rampart"][0] / base, 2)
    return out


def memory_kib(console):
    """What the kernel says that it keeps, and what its page map takes."""
    for line in console:
        if match := re.search(r"(\d+) KiB kept, and (\d+) KiB for the page map", line):
            return int(match[1]), int(match[2])
    raise Failed("the kernel's line with the memory that it keeps is not in the console")


def memory_for(vcpus, folder):
    """What the kernel keeps when the host says that there are so many vCPUs."""
    scenario = folder / f"vcpus-{vcpus}.scn"
    scenario.write_text(f"vp-count {vcpus}\n")
    boot = Boot(["--host", "emulated", "--image", TEST_GUEST, "--kernel", "none", "--scenario", scenario])
    return memory_kib(boot.console)[0]


def of_boot(stats):
    """The figures that a boot's counters hold."""
    pages = stats["launch_pages"]
    out = {"launch_pages": pages["measured"] + pages["unmeasured"], "launch_pages_unmeasured": pages["unmeasured"]}
    nothing = {"vmgexits": 0} | {name: {"4k": 0, "2m": 0} for name in ("pvalidate", "rmpadjust", "page_state_entries")}
    for phase in catalogue.PHASES:
        found = stats["phases"].get(phase, nothing)
        values = {"vmgexits": found["vmgexits"]}
        for counter, name in (("pvalidate", "pvalidate"), ("rmpadjust", "rmpadjust"),
                              ("page_state", "page_state_entries")):
            for size in ("4k", "2m"):
                values[f"{counter}_{size}"] = found[name][size]
        out |= {catalogue.phase_key(counter, phase): value for counter, value in values.items()}

    def to_guest(*counters):
        return sum(out[catalogue.phase_key(c, phase)] for c in counters for phase in catalogue.FIRMWARE_PHASES)

    out["to_guest.vmgexits"] = to_guest("vmgexits")
    out["to_guest.pvalidates"] = to_guest("pvalidate_4k", "pvalidate_2m")
    return out


def by_hash():
    """The launch pages of the image that has only the hash of its firmware."""
    measured = subprocess.run(
        ["cargo", "run", "--locked", "--quiet", "-p", "igvm-builder", "--", "measure", BY_HASH, "--json"],
        cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(measured.stdout)["launch_pages"]


def of_calls(calls):
    """The figures that the counted calls hold."""

    def most(call, result=0, small=0, large=0, command=0):
        """The most that a call cost which had this result, and named these pages to validate or this TPM command."""
        found = [
            one["instructions_max"] for one in calls
            if ((one["protocol"], one["call"]), one["result"], one["tpm_command"]) == (call, result, command)
            and one["validate"] == {"4k": small, "2m": large} and one["rescind"] == {"4k": 0, "2m": 0}
        ]  # fmt: skip
        if not found:
            raise Failed(f"the test guest made no call {call} with result {result} for {small} + {large} pages")
        return max(found)

    return {
        "instructions.null_call": most(QUERY_PROTOCOL),
        # The result is still the request: nothing was pending.
        "instructions.no_request": most(QUERY_PROTOCOL, result=QUERY_PROTOCOL[1]),
        "instructions.pvalidate_2m": most(PVALIDATE, large=1),
        "instructions.pvalidate_512_4k": most(PVALIDATE, small=510) + most(PVALIDATE, small=2),
        "instructions.create_vcpu": most(CREATE_VCPU),
        "instructions.report": most(REPORT),
        "instructions.pcr_extend": most(TPM_COMMAND, command=PCR_EXTEND),
    }


def of_source():
    """Trusted lines of code."""
    out = {f"lines.{part}": lines.count(ROOT / part / "src") for part in catalogue.PARTS}
    return out | {"lines": sum(out.values()), "lines_of_the_tpm": lines.count(ROOT / catalogue.TPM / "src")}


def of_the_long_command(console):
    """The longest that another vCPU's calls took while an RSA key was made, in thousandths of that time."""
    for line in console:
        if match := re.search(r"while an RSA-2048 key was made: .* the longest two in (\d+) thousandths", line):
            return {"wait.rsa_2048": int(match[1])}
    raise Failed("the test guest's line about calls while an RSA key is made is not in the console")


def counts(folder):
    """(figures, counters): everything that does not depend on time.

    Three boots: Linux with its counters, the test guest with VMPL0 in single steps, and the test
    guest with several vCPUs, one of which waits for the TPM.
    """
    boot = linux(KINDS["Rampart"], folder / "boot.json")
    steps = Boot(["--host", "emulated", "--image", TEST_GUEST, "--kernel", "none",
                  "--machine-option", f"count_instructions={COUNTED}"], folder / "calls.json")
    figures = of_boot(boot.stats) | of_calls(steps.stats["svsm_calls"]) | of_source()
    figures |= of_the_long_command(Boot(["--host", "emulated", "--image", TEST_GUEST, "--kernel", "none",
                                         "--smp", "4"]).console)
    kept, page_map = memory_kib(boot.console)
    memory = {"memory_kib.1": kept, "memory_kib.page_map": page_map}
    for vcpus in (8, 64):
        memory[f"memory_kib.{vcpus}"] = memory_for(vcpus, folder)
    return figures | memory | {"launch_pages.by_hash": by_hash()}, boot.stats
