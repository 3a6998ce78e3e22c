"""The test suite of tpm2-pytss, from its source distribution on PyPI.

It starts a simulator for each of its tests: swtpm if there is one on the PATH,
else tpm_server.
"""

import os
import subprocess
import xml.etree.ElementTree as xml

from . import servers
from .case import FAILED, PASSED, SKIPPED, Case, Unavailable

NAME = "tpm2-pytss"
VERSION = "2.3.0"
FOLDER = servers.CACHE / f"tpm2-pytss-{VERSION}"
PYTHON = servers.CACHE / "python/bin/python"

# A bit of everything, for make test.
SAMPLE = "test/test_esapi.py"


def setup():
    """Whether it is set up; raises Unavailable otherwise."""
    if not (FOLDER / "test").is_dir() or not PYTHON.exists():
        raise Unavailable("it is not set up: scripts/setup --suite pytss")


def one_line(text):
    """The last line that says something."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def read(report):
    """The cases of a JUnit report."""
    for element in xml.parse(report).getroot().iter("testcase"):
        name = f"{element.get('classname').rpartition('.')[2]}.{element.get('name')}"
        seconds = float(element.get("time", 0))
        state, reason = PASSED, ""
        for child in element:
            if child.tag in ("failure", "error"):
                state, reason = FAILED, child.get("message", "") or one_line(child.text)
                break
            if child.tag == "skipped":
                state, reason = SKIPPED, child.get("message", "")
        yield Case(name, state, " ".join(reason.split())[:300], seconds)


def run(tpm, wanted, sample, _jobs):
    """Runs it; a list of cases."""
    setup()
    report = servers.OUT / f"pytss-{tpm}.xml"
    report.unlink(missing_ok=True)
    # The suite would take swtpm if it saw one.
    environment = os.environ | {"PATH": str(servers.folder(tpm)), "TSS2_LOG": "all+NONE"}
    command = [PYTHON, "-m", "pytest", "-q", "--timeout", "120", "-p", "no:cacheprovider", f"--junitxml={report}"]
    command += ["-k", " or ".join(wanted)] if wanted else []
    command += [SAMPLE] if sample else ["test"]
    with open(servers.OUT / f"pytss-{tpm}.log", "w", encoding="utf-8") as log:
        status = subprocess.run(command, cwd=FOLDER, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                                stderr=subprocess.STDOUT, timeout=3000, check=False).returncode
    if not report.exists():
        raise Unavailable(f"pytest ended with status {status}; see {log.name}")
    return list(read(report))
