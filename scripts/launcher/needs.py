"""Which host a launch goes to, and what has to be there before QEMU starts."""

import os
import shutil
import sys

from hostcheck.firmware import PERMISSION
from hostcheck.verdict import Verdict

from . import firmware, qemu, snp


class Missing(Exception):
    """Something that a launch needs is not there; the text says what makes it."""


def choose_host(options):
    """'plain', 'snp' or 'emulated'."""
    if options.plain:
        return "plain"
    if options.host != "auto":
        return options.host
    if not os.path.exists("/dev/sev") or not os.path.exists("/dev/kvm"):
        return "emulated"
    verdict = snp.plan(options).verdict()
    if verdict == Verdict.READY or (verdict == Verdict.NO_SVSM and options.no_svsm):
        return "snp"
    print("launch: this SNP host lacks something (scripts/check-host says what), so this is the emulated machine",
          file=sys.stderr)
    return "emulated"


def files(options, host):
    """The files that must be there, each with the command that makes it."""
    if host == "plain":
        yield options.firmware, "make setup"
    else:
        yield options.image, "make image"
        given = firmware.given(options)
        if given:
            yield given, None if options.firmware_file else "make image"
    if host == "emulated":
        yield options.machine, "make machine"
    for path in (options.kernel, options.initrd):
        if path:
            yield path, "make setup"
    for path in (*options.disk, options.scenario, options.certificates):
        if path:
            yield path, None


EMULATED_ALONE = ("scenario", "stats", "machine_option")
REAL_ALONE = ("certificates", "id_block", "id_auth", "host_data", "anyway")


def check(options, host):
    """Raises Missing unless every file and program that a launch needs is there."""
    for name in EMULATED_ALONE:
        if host == "snp" and getattr(options, name):
            raise Missing(f"--{name.replace('_', '-')} is for the emulated machine: add --host emulated")
    for name in REAL_ALONE:
        if host != "snp" and getattr(options, name):
            raise Missing(f"--{name.replace('_', '-')} is for a real SNP host: add --host snp")
    if not shutil.which(qemu.binary()):
        raise Missing(f"{qemu.binary()} is missing; scripts/setup installs it")
    for path, maker in files(options, host):
        if not path.is_file():
            raise Missing(f"{path} is missing" + (f"; '{maker}' makes it" if maker else ""))
    for path in (options.stats, options.log, options.debug):
        if path and not path.absolute().parent.is_dir():
            raise Missing(f"{path} cannot be written: its folder does not exist")
        if path and path.is_dir():
            raise Missing(f"{path} is a folder, and has to be a file that can be written")


def check_snp(options, plan):
    """Raises Missing unless the host has what the plan needs, or --anyway was said."""
    if options.anyway:
        return
    lacking = plan.lacking()
    if lacking:
        lines = [f"missing: {result.check.key}: {result.seen.found}\nlaunch:     mend it: {result.check.mend}"
                 for result in lacking]
        lines.append("nothing was started: scripts/check-host says more of each; --anyway starts QEMU all the same")
        raise Missing("\nlaunch: ".join(lines))
    for device in ("/dev/sev", "/dev/kvm"):
        if not os.access(device, os.R_OK | os.W_OK):
            raise Missing(f"this user may not open {device}: {PERMISSION}")
