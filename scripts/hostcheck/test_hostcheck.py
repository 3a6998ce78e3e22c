"""Tests: python3 -m unittest discover -s scripts -t scripts -p 'test_*.py'"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from launcher.image import Image

from . import catalogue, qemu, report, verdict
from .check import Level, Result, State
from .facts import RAMPART, Facts
from .host import Denied, Host, Missing, Unanswered
from .live import LiveHost
from .recorded import Recorder, RecordedHost
from .verdict import Verdict

HOSTS = pathlib.Path(__file__).resolve().parents[2] / "tests/hosts"
READY = RecordedHost(HOSTS / "ready")
DENIED = Denied("Permission denied")


class Changed(Host):
    """Another host with some answers changed: to a text, or to a reason."""

    def __init__(self, host: Host, changes: dict[str, str | Unanswered]) -> None:
        self._host = host
        self._changes = changes

    def ask(self, question: str) -> str:
        answer = self._changes.get(question)
        if isinstance(answer, Unanswered):
            raise answer
        return self._host.ask(question) if answer is None else answer


def run(host: Host, image: Image = RAMPART) -> list[Result]:
    """Every check on a host."""
    return catalogue.run(Facts(host, image))


def keys(results: list[Result], state: State, *levels: Level) -> set[str]:
    """Checks in a state."""
    wanted = levels or tuple(Level)
    return {result.check.key for result in results if result.seen.state is state and result.check.level in wanted}


def seen(results: list[Result], key: str) -> tuple[State, str]:
    """One check's state and words."""
    found = next(result.seen for result in results if result.check.key == key)
    return found.state, found.found


class Trees(unittest.TestCase):
    """The made hosts in tests/hosts."""

    def test_a_host_with_everything_is_ready(self):
        results = run(READY)
        self.assertEqual(keys(results, State.BAD), {"qemu.invlpgb"})
        self.assertEqual(keys(results, State.UNKNOWN), {"guest.ovmf"})
        self.assertEqual(verdict.of(results), Verdict.READY)

    def test_a_mainline_host_runs_snp_guests_without_an_svsm(self):
        results = run(RecordedHost(HOSTS / "mainline"))
        self.assertEqual(keys(results, State.BAD, Level.SNP, Level.SVSM), {"vmpl.kernel", "vmpl.qemu"})
        self.assertLess({"microcode.level", "firmware.tcb", "kvm.certificates"}, keys(results, State.BAD, Level.ADVICE))
        self.assertEqual(verdict.of(results), Verdict.NO_SVSM)

    def test_a_bios_as_delivered_is_named_setting_by_setting(self):
        results = run(RecordedHost(HOSTS / "bios-off"))
        bios = {key for key in keys(results, State.BAD) if key.startswith("bios.")}
        self.assertEqual(bios, {"bios.asids", "bios.smee", "bios.rmp", "bios.snp-support"})
        self.assertIn("kvm.sev-snp", keys(results, State.BLOCKED))
        self.assertEqual(verdict.of(results), Verdict.NO_SNP)

    def test_a_host_that_has_nothing_lacks_everything(self):
        with tempfile.TemporaryDirectory() as folder:
            results = run(RecordedHost(pathlib.Path(folder)))
        self.assertEqual(keys(results, State.GOOD), set())
        self.assertEqual(verdict.of(results), Verdict.NO_SNP)


# One change to the host that has everything, and the check that has to notice.
CHANGES: tuple[tuple[str, str, str | Unanswered], ...] = (
    ("processor.vendor", "cpuid 0x0 0x0", "0x10 0x756e6547 0x6c65746e 0x49656e69"),
    ("processor.model", "cpuid 0x1 0x0", "0x00800f12 0x0 0x0 0x0"),
    ("processor.bare-metal", "cpuid 0x1 0x0", "0x00b00f21 0x0 0x80000000 0x0"),
    ("processor.snp", "cpuid 0x8000001f 0x0", "0x0b 0x4173 0x3ee 0x64"),
    ("processor.vmpl", "cpuid 0x8000001f 0x0", "0x5b 0x0173 0x3ee 0x64"),
    ("processor.vmpl", "cpuid 0x8000001f 0x0", "0x7b 0x2173 0x3ee 0x64"),
    ("processor.c-bit", "cpuid 0x8000001f 0x0", "0x7b 0x416f 0x3ee 0x64"),
    ("processor.invlpgb", "cpuid 0x80000008 0x0", "0x30 0x0 0x0 0x0"),
    ("bios.asids", "cpuid 0x8000001f 0x0", "0x7b 0x4173 0x3ee 0x1"),
    ("microcode.level", "file /sys/devices/system/cpu/cpu0/microcode/version", "0xb002146"),
    ("bios.smee", "msr 0xc0010010", "0x340000"),
    ("bios.sev-control", "device /dev/sev", Missing("none")),
    ("bios.sev-control", "list /sys/bus/pci/drivers/ccp", Missing("none")),
    ("bios.rmp", "msr 0xc0010132", "0x0"),
    ("bios.rmp", "msr 0xc0010133", "0x0"),
    ("bios.rmp", "msr 0xc0010133", "0x65ffffff"),
    ("bios.snp-support", "list /sys/class/iommu", ""),
    ("bios.snp-support", "file /sys/class/iommu/ivhd0/amd-iommu/features", "246577efa2254afa:10"),
    ("kernel.iommu", "file /proc/cmdline", "quiet iommu=pt"),
    ("kernel.iommu", "file /proc/cmdline", "quiet amd_iommu=fullflush,pgtbl_v2"),
    ("kernel.iommu", "file /boot/config-7.2.0-svsm", "CONFIG_IOMMU_DEFAULT_PASSTHROUGH=y"),
    ("kernel.snp-enabled", "msr 0xc0010010", "0x1fc0000"),
    ("kernel.log", "log sev", "ccp 0000:c2:00.5: SEV-SNP: failed to INIT rc -5, error 0x3"),
    ("firmware.permission", "device /dev/sev", DENIED),
    ("firmware.version", "ioctl snp_platform_status", "01320101" + "00" * 28),
    ("firmware.state", "ioctl snp_platform_status", "013a0001" + "00" * 28),
    ("firmware.state", "ioctl snp_platform_status", "013a0100" + "00" * 28),
    ("firmware.tcb", "ioctl snp_platform_status", "013a0101" + "00" * 20 + "01" + "00" * 7),
    ("firmware.reports", "ioctl snp_platform_status", "013a0101" + "00000000" + "02" + "00" * 23),
    ("firmware.ciphertext-hiding", "ioctl snp_platform_status", "013a0101" + "00000000" + "20" + "00" * 23),
    ("kernel.version", "file /proc/sys/kernel/osrelease", "6.10.3-generic"),
    ("kernel.configuration", "file /boot/config-7.2.0-svsm", "CONFIG_KVM_AMD=m\n# CONFIG_KVM_AMD_SEV is not set"),
    ("kvm.device", "device /dev/kvm", Missing("none")),
    ("kvm.permission", "device /dev/kvm", DENIED),
    ("kvm.sev", "file /sys/module/kvm_amd/parameters/sev", "N"),
    ("kvm.sev-es", "file /sys/module/kvm_amd/parameters/sev_es", "0"),
    ("kvm.sev-snp", "file /sys/module/kvm_amd/parameters/sev_snp", "N"),
    ("kvm.sev-snp", "file /sys/module/kvm_amd/parameters/sev_snp", Missing("none")),
    ("kvm.snp-guests", "ioctl kvm_check_extension 235", "13"),
    ("kvm.policy", "ioctl kvm_sev_attribute 1", "0x2ffff"),
    ("kvm.certificates", "ioctl kvm_sev_attribute 2", "0x0"),
    ("vmpl.kernel", "file /proc/kallsyms", "0000000000000000 t kvm_vcpu_ioctl\t[kvm]"),
    ("qemu.program", "qemu --version", Missing("none")),
    ("qemu.version", "qemu --version", "QEMU emulator version 10.0.2 (Debian)"),
    ("qemu.igvm", "qemu -object help", "  memory-backend-memfd\n  sev-snp-guest"),
    ("qemu.sev-snp-guest", "qemu -object help", "  igvm-cfg\n  memory-backend-memfd"),
    ("qemu.options", "qemu -object sev-snp-guest,help", "  policy=<uint64>"),
    ("qemu.memfd", "qemu -object help", "  igvm-cfg\n  sev-snp-guest"),
    ("qemu.certificates", "qemu -object sev-snp-guest,help", "  policy=<uint64>"),
    ("qemu.invlpgb", "qemu -cpu help", "clzero"),
    ("vmpl.qemu", "qemu -help", "-machine"),
)  # fmt: skip

# KVM's word would stand against most of these.
WITHOUT_VOUCHER = {"file /sys/module/kvm_amd/parameters/sev_snp": "N"}


class EveryCheck(unittest.TestCase):
    """Each check notices the one thing that it is about."""

    def test_each_change_is_noticed(self):
        for key, question, answer in CHANGES:
            with self.subTest(key=key, answer=str(answer)):
                good = catalogue.run(Facts(READY), everything=True)
                changed = catalogue.run(Facts(Changed(READY, {**WITHOUT_VOUCHER, question: answer})), everything=True)
                if key != "qemu.invlpgb":
                    self.assertEqual(seen(good, key)[0], State.GOOD)
                self.assertEqual(seen(changed, key)[0], State.BAD, seen(changed, key)[1])
                self.assertTrue(seen(changed, key)[1])

    def test_no_check_is_left_out(self):
        self.assertEqual({key for key, _, _ in CHANGES} | {"guest.ovmf"}, {check.key for check in catalogue.EVERY})

    def test_each_check_is_complete_and_waits_for_earlier_ones(self):
        before: set[str] = set()
        for check in catalogue.EVERY:
            with self.subTest(key=check.key):
                self.assertNotIn(check.key, before)
                self.assertTrue(all((check.category, check.need, check.mend, check.source)))
                self.assertLessEqual(set(check.after), before)
                before.add(check.key)
        self.assertLessEqual(catalogue.VOUCHED, before)

    def test_kvm_is_believed_against_a_register(self):
        change = {"msr 0xc0010010": "0x340000"}
        results = run(Changed(READY, change))
        self.assertEqual(seen(results, "bios.smee")[0], State.UNKNOWN)
        self.assertEqual(verdict.of(results), Verdict.READY)
        results = run(Changed(READY, {**change, **WITHOUT_VOUCHER}))
        self.assertEqual(seen(results, "bios.smee")[0], State.BAD)
        self.assertEqual(verdict.of(results), Verdict.NO_SNP)


class Details(unittest.TestCase):
    """What is found is said right."""

    def test_without_root_the_kernel_vouches(self):
        denied = {f"msr {number:#x}": DENIED for number in (0xC0010010, 0xC0010132, 0xC0010133)}
        host = Changed(READY, {**denied, "device /dev/sev": DENIED, "ioctl snp_platform_status": DENIED})
        results = run(host)
        self.assertEqual(seen(results, "bios.smee")[0], State.GOOD)
        self.assertIn("sev_snp", seen(results, "bios.rmp")[1])
        self.assertEqual(seen(results, "firmware.version"), (State.UNKNOWN, "Permission denied"))
        self.assertEqual(verdict.of(results), Verdict.READY)

    def test_without_root_and_without_kvm_nothing_is_certain(self):
        host = Changed(READY, {"device /dev/sev": DENIED, "ioctl snp_platform_status": DENIED,
                               "file /sys/module/kvm_amd/parameters/sev_snp": DENIED})  # fmt: skip
        self.assertEqual(verdict.of(run(host)), Verdict.NOT_READABLE)

    def test_a_flag_that_the_kernel_gave_up_speaks_for_the_register(self):
        cpuinfo = READY.text("/proc/cpuinfo").replace(" sev_snp", "").replace(" sev ", " ")
        host = Changed(READY, {"file /proc/cpuinfo": cpuinfo, "msr 0xc0010010": DENIED, "msr 0xc0010132": DENIED,
                               "file /sys/module/kvm_amd/parameters/sev_snp": "N"})  # fmt: skip
        results = run(host)
        self.assertLess({"bios.smee", "bios.rmp"}, keys(results, State.BAD))

    def test_a_segmented_rmp_has_no_end(self):
        host = Changed(READY, {"cpuid 0x8000001f 0x0": "0x80007b 0x4173 0x3ee 0x64", "msr 0xc0010136": "0x2401",
                               "msr 0xc0010133": "0x0"})  # fmt: skip
        self.assertIn("segmented", seen(run(host), "bios.rmp")[1])

    def test_the_rmp_is_measured_against_memory(self):
        self.assertIn("covers 65 GiB of addresses; memory is 62 GiB", seen(run(READY), "bios.rmp")[1])

    def test_tcb_versions_are_read_by_family(self):
        self.assertEqual(seen(run(READY), "firmware.tcb")[1], "FMC 1, boot loader 1, TEE 1, SNP 4, microcode 77")
        found = seen(run(RecordedHost(HOSTS / "mainline")), "firmware.tcb")[1]
        self.assertTrue(found.startswith("running: boot loader 4, TEE 0, SNP 24, microcode 219"), found)

    def test_the_image_decides_what_is_enough(self):
        strict = Image(policy=0x13_013B, guest_vmpl=3, c_bit=47)
        results = run(READY, strict)
        self.assertIn("wants 1.59", seen(results, "firmware.version")[1])
        self.assertEqual(seen(results, "processor.c-bit")[0], State.BAD)
        self.assertEqual(seen(results, "processor.vmpl")[0], State.GOOD)

    def test_answers_that_nobody_understands_are_unknown(self):
        for question in ("ioctl kvm_check_extension 235", "file /sys/devices/system/cpu/cpu0/microcode/version"):
            with self.subTest(question=question):
                results = run(Changed(READY, {question: "nonsense"}))
                self.assertIn("cannot be understood", " ".join(result.seen.found for result in results))

    def test_the_guest_firmware_has_to_keep_the_calling_area(self):
        def rom(*kinds: int) -> bytes:
            entries = b"".join(kind.to_bytes(4, "little").rjust(12, b"\0") for kind in kinds)
            return b"\xff" * 64 + b"ASEV" + b"\0" * 8 + len(kinds).to_bytes(4, "little") + entries + b"\xff" * 64

        self.assertEqual(qemu.metadata_kinds(rom(1, 2, 3, 4)), [1, 2, 3, 4])
        with self.assertRaises(Missing):
            qemu.metadata_kinds(b"\0" * 64)
        with tempfile.NamedTemporaryFile() as file:
            file.write(rom(1, 2, 3))
            file.flush()
            facts = Facts(READY, RAMPART, pathlib.Path(file.name))
            self.assertEqual(seen(catalogue.run(facts), "guest.ovmf")[0], State.BAD)


class Reports(unittest.TestCase):
    """Text and JSON."""

    def test_what_is_missing_comes_with_how_to_mend_it(self):
        text = report.text(run(RecordedHost(HOSTS / "bios-off")))
        self.assertIn("MISSING   bios.smee: SYSCFG is 0x740000, bit 23 is 0", text)
        self.assertIn("SMEE: Enabled", text)
        self.assertTrue(text.endswith("check-host: no SNP guest can run here"))

    def test_json_has_every_check(self):
        read = json.loads(report.as_json(run(RecordedHost(HOSTS / "mainline")), "here"))
        self.assertEqual(read["verdict"], "no-svsm")
        self.assertEqual(read["exit_status"], Verdict.NO_SVSM)
        self.assertEqual(len(read["checks"]), len(catalogue.EVERY))
        for check in read["checks"]:
            self.assertEqual(set(check), {"key", "category", "level", "state", "found", "needed", "mend", "source"})


class Program(unittest.TestCase):
    """scripts/check-host itself."""

    @staticmethod
    def run_it(*arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs it as a person does."""
        program = pathlib.Path(__file__).resolve().parents[1] / "check-host"
        return subprocess.run([sys.executable, program, *arguments], capture_output=True, text=True, check=False)

    def test_the_exit_status_is_the_verdict(self):
        for host, status in (("ready", 0), ("mainline", 4), ("bios-off", 5)):
            done = self.run_it("--json", "--image", "/no/image", "--root", str(HOSTS / host))
            self.assertEqual(done.returncode, 2, "an image that cannot be read")
            done = self.run_it("--json", "--root", str(HOSTS / host))
            self.assertEqual((done.returncode, done.stderr), (status, ""))
            self.assertEqual(json.loads(done.stdout)["exit_status"], status)

    def test_options_that_are_wrong_are_refused(self):
        for arguments in (("--root", "/no/folder"), ("--root", "a", "--record", "b"), ("stray",)):
            self.assertEqual(self.run_it(*arguments).returncode, 2, arguments)

    def test_this_machine_gets_a_verdict(self):
        done = self.run_it("--all")
        self.assertEqual(done.stderr, "")
        self.assertIn(done.returncode, [int(each) for each in Verdict])
        self.assertTrue(done.stdout.rstrip().endswith(verdict.TEXT[Verdict(done.returncode)]))


class Recording(unittest.TestCase):
    """This machine, whatever it is, and what is written down of one."""

    def test_a_recorded_host_is_judged_like_the_host(self):
        for host in (READY, LiveHost()):
            with self.subTest(host=type(host).__name__), tempfile.TemporaryDirectory() as folder:
                recorder = Recorder(host, pathlib.Path(folder))
                before = catalogue.run(Facts(recorder), everything=True)
                recorder.save()
                after = catalogue.run(Facts(RecordedHost(pathlib.Path(folder))), everything=True)
                self.assertEqual([result.seen for result in before], [result.seen for result in after])

    def test_only_what_is_judged_is_written_down(self):
        private = "root=UUID=1234 iommu=pt rd.luks.name=secret kvm_amd.sev=1"
        host = Changed(READY, {"file /proc/cmdline": private})
        with tempfile.TemporaryDirectory() as folder:
            Recorder(host, pathlib.Path(folder)).text("/proc/cmdline")
            kept = (pathlib.Path(folder) / "proc/cmdline").read_text()
        self.assertEqual(kept.split(), ["iommu=pt", "kvm_amd.sev=1"])

    def test_cpuid_runs_here(self):
        eax, ebx, ecx, edx = LiveHost().cpuid(0)
        vendor = b"".join(word.to_bytes(4, "little") for word in (ebx, edx, ecx))
        self.assertGreater(eax, 0)
        self.assertIn(vendor, (b"AuthenticAMD", b"GenuineIntel", b"HygonGenuine"))

    def test_a_qemu_that_is_not_there_is_missing(self):
        results = run(LiveHost("/no/qemu"))
        self.assertEqual(seen(results, "qemu.program")[0], State.BAD)
        self.assertEqual(seen(results, "qemu.igvm")[0], State.BLOCKED)


if __name__ == "__main__":
    unittest.main()
