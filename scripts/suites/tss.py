"""The integration tests of tpm2-tss, from Debian's source package.

Each is a program; the log compiler that the suite brings starts a simulator for
it, runs it and ends the simulator.
"""

import concurrent.futures
import os
import re
import subprocess
import time

from . import servers
from .case import FAILED, PASSED, SKIPPED, Case, Unavailable

NAME = "tpm2-tss"
VERSION = "4.1.3"
FOLDER = servers.CACHE / f"tpm2-tss-{VERSION}"
SKIP_STATUS = 77
SECONDS = 300

# A bit of everything, for make test.
SAMPLE = (
    "esys-audit.int", "esys-certify.int", "esys-clear.int", "esys-clockset.int", "esys-create-session-auth.int",
    "esys-duplicate.int", "esys-hmac.int", "esys-import.int", "esys-nv-ram-counter.int", "esys-nv-certify.int",
    "esys-policy-authorize.int", "esys-policy-nv-undefine-special.int", "esys-quote.int", "esys-save-and-load-context.int",
    "esys-tpm-tests.int", "sys-param-encrypt-decrypt.int", "sys-policy-template.int",
    "fapi-key-create-sign.fint", "fapi-nv-ordinary.fint", "fapi-quote.fint", "fapi-seal.fint",
)  # fmt: skip


def setup():
    """Whether it is set up; raises Unavailable otherwise."""
    if not (FOLDER / "built").exists():
        raise Unavailable("it is not set up: scripts/setup --suite tss")


def names():
    """All cases."""
    return sorted(path.name for end in ("int", "fint") for path in (FOLDER / "test/integration").glob(f"*.{end}"))


def why(log):
    """The first line of a log that looks like a reason."""
    text = log.read_text(errors="replace")
    lines = re.findall(r"^.*(?:ERROR|error|FAIL|SKIP|skip|not supported).*$", text, re.M)
    return " ".join((lines or [""])[0].split())[:300]


def one(tpm, name):
    """Runs a case."""
    kind = name.rpartition(".")[2]
    logs = servers.OUT / f"tss-{tpm}"
    log = logs / f"{name}.log"
    environment = os.environ | {"srcdir": ".", "PATH": f"{servers.folder(tpm)}:{os.environ['PATH']}"}
    command = ["bash", f"script/{kind}-log-compiler.sh", servers.TCTI[tpm], f"test/integration/{name}"]
    begin = time.monotonic()
    with open(log, "w", encoding="utf-8") as out:
        try:
            status = subprocess.run(command, cwd=FOLDER, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=subprocess.STDOUT, timeout=SECONDS, check=False).returncode
        except subprocess.TimeoutExpired:
            return Case(name, FAILED, f"no end after {SECONDS} s", SECONDS)
    seconds = time.monotonic() - begin
    if status == 0:
        return Case(name, PASSED, "", seconds)
    if status == SKIP_STATUS:
        return Case(name, SKIPPED, why(log), seconds)
    return Case(name, FAILED, f"status {status}: {why(log)}", seconds)


def run(tpm, wanted, sample, jobs):
    """Runs it; a list of cases."""
    setup()
    (servers.OUT / f"tss-{tpm}").mkdir(parents=True, exist_ok=True)
    chosen = [name for name in names() if not wanted or any(word in name for word in wanted)]
    if sample:
        chosen = [name for name in chosen if name in SAMPLE]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda name: one(tpm, name), chosen))
