"""The two TPMs that a suite runs against: folders with the programs that suites look for."""

import pathlib
import shutil
import subprocess
import threading

from .case import Unavailable

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache/suites"
OUT = ROOT / "target/suites"
BUILT = ROOT / "target/server"

VTPM, SWTPM = "vtpm-server", "swtpm"
# The TCTI of tpm2-tss that speaks with each.
TCTI = {VTPM: "mssim", SWTPM: "swtpm"}
PROGRAMS = {VTPM: "tpm_server", SWTPM: "swtpm"}
# Cases run at once, and each asks for its TPM's folder.
FOLDERS = threading.Lock()


def build():
    """Builds vtpm-server; quick if it is built."""
    subprocess.run([ROOT / "scripts/build", VTPM], check=True)


def program(tpm):
    """The path of the program that a suite starts for this TPM."""
    name = PROGRAMS[tpm]
    path = BUILT / name if tpm == VTPM else shutil.which(name)
    if path is None or not pathlib.Path(path).exists():
        raise Unavailable(f"there is no {name}: scripts/setup installs swtpm, scripts/build vtpm-server the other")
    return pathlib.Path(path)


def folder(tpm):
    """A folder with this TPM's program, tpm2-tools and no other TPM, for a PATH."""
    path = OUT / "bin" / tpm
    path.mkdir(parents=True, exist_ok=True)
    tools = pathlib.Path(shutil.which("tpm2") or "/usr/bin/tpm2").parent
    targets = [program(tpm), *tools.glob("tpm2*")]
    with FOLDERS:
        for name, target in {target.name: target for target in targets}.items():
            link = path / (PROGRAMS[tpm] if target == program(tpm) else name)
            if not link.is_symlink() or link.readlink() != target:
                link.unlink(missing_ok=True)
                link.symlink_to(target)
    return path
