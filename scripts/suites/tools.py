"""The integration scripts of tpm2-tools, from Debian's source package.

Each starts a simulator and tpm2-abrmd on a bus of its own, and calls the tools
that are installed.
"""

import concurrent.futures
import contextlib
import os
import re
import signal
import subprocess
import time

from . import servers
from .case import FAILED, PASSED, SKIPPED, Case, Unavailable

NAME = "tpm2-tools"
FOLDER = servers.CACHE / "tpm2-tools"
TESTS = FOLDER / "test/integration/tests"
SKIP_STATUS = 77
SECONDS = 300

# A bit of everything, for make test.
SAMPLE = ("attestation.sh", "clear.sh", "create.sh", "createprimary.sh", "duplicate.sh", "evictcontrol.sh", "hash.sh",
          "import.sh", "nv.sh", "abrmd_policyor.sh", "quote.sh", "sign.sh", "unseal.sh")  # fmt: skip


def setup():
    """Whether it is set up; raises Unavailable otherwise."""
    if not TESTS.is_dir():
        reason = FOLDER / "unavailable"
        raise Unavailable(reason.read_text().strip() if reason.exists() else "it is not set up: scripts/setup --suite tools")


def why(log):
    """The line in which a script says what failed."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for pattern in (r" on line \d+ failed", r"ERROR|error:", r"[Ss]kip"):
        for line in lines:
            if re.search(pattern, line):
                return " ".join(line.split())[:300]
    return ""


def one(tpm, name):
    """Runs a case."""
    log = servers.OUT / f"tools-{tpm}" / f"{name}.log"
    path = f"{servers.CACHE / 'tools-bin'}:{servers.folder(tpm)}:{FOLDER / 'test/integration'}:{os.environ['PATH']}"
    environment = os.environ | {
        "PATH": path,
        # A name without a folder: the scripts look for it in the output of ss.
        "TPM2_SIM": servers.PROGRAMS[tpm],
        "TPM2_ABRMD": "tpm2-abrmd",
        "TPM2_SIM_NV_CHIP": "NVChip",
        # Not the disk, which vtpm-server would wait for at every change.
        "TMPDIR": "/dev/shm" if os.path.isdir("/dev/shm") else "/tmp",
        "TPM2_TOOLS_TEST_FIXTURES": str(FOLDER / "test/integration/fixtures"),
        "abs_top_srcdir": str(FOLDER),
        "abs_srcdir": str(FOLDER),
        "abs_builddir": str(FOLDER),
        "srcdir": str(FOLDER),
    }
    begin = time.monotonic()
    with open(log, "w", encoding="utf-8") as out:
        # The scripts want a relative path of theirs. A session of its own: what
        # a script has started can be ended with it.
        with subprocess.Popen(["dbus-run-session", "--", "bash", TESTS.relative_to(FOLDER) / name], cwd=FOLDER,
                              env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                              start_new_session=True) as script:
            try:
                status = script.wait(SECONDS)
            except subprocess.TimeoutExpired:
                return Case(name, FAILED, f"no end after {SECONDS} s", SECONDS)
            finally:
                # A script that starts a simulator twice leaves one behind.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(script.pid, signal.SIGKILL)
    seconds = time.monotonic() - begin
    if status == 0:
        return Case(name, PASSED, "", seconds)
    if status == SKIP_STATUS:
        return Case(name, SKIPPED, why(log), seconds)
    return Case(name, FAILED, f"status {status}: {why(log)}", seconds)


def run(tpm, wanted, sample, jobs):
    """Runs it; a list of cases."""
    setup()
    (servers.OUT / f"tools-{tpm}").mkdir(parents=True, exist_ok=True)
    chosen = sorted(path.name for path in TESTS.glob("*.sh") if not wanted or any(word in path.name for word in wanted))
    if sample:
        chosen = [name for name in chosen if name in SAMPLE]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda name: one(tpm, name), chosen))
