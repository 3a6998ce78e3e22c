"""Tests: python3 -m unittest discover -s scripts -t scripts -p 'test_*.py'"""

import base64
import contextlib
import io
import pathlib
import random
import struct
import tempfile
import unittest
from unittest import mock

from . import blobs, image, needs, options, policy, qemu, snp

HOSTS = pathlib.Path(__file__).resolve().parents[2] / "tests/hosts"
GIB = 1 << 30


def header(kind: int, body: bytes) -> bytes:
    """A variable header."""
    return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)


SNP = header(image.SUPPORTED_PLATFORM, struct.pack("<IBBHQ", 1, 0, image.PLATFORM_SEV_SNP, 1, 0))
NATIVE = header(image.SUPPORTED_PLATFORM, struct.pack("<IBBHQ", 2, 0, 0, 1, 0))


def page(gpa: int, offset: int) -> bytes:
    """A page of data."""
    return header(image.PAGE_DATA, struct.pack("<QIIIHH", gpa, 1, offset, 0, 0, 0))


def with_policy(value: int, mask: int = 1) -> bytes:
    """A guest policy."""
    return header(image.GUEST_POLICY, struct.pack("<QII", value, mask, 0))


def igvm(*headers: bytes, data: bytes = b"") -> bytes:
    """A file; its data begin behind the headers."""
    body = b"".join(headers)
    return struct.pack("<4sIIIII", b"IGVM", 1, 24, len(body), 24 + len(body) + len(data), 0) + body + data


def rampart(guest_vmpl: int = 2, c_bit: int = 51, magic: bytes = image.IMAGE_HEADER_MAGIC, content: bytes = b"") -> bytes:
    """A file with Rampart's own header, or with this content in its place."""
    headers = (SNP, with_policy(0x3_0000))
    offset = 24 + sum(map(len, headers)) + len(page(0, 0))
    content = content or image.IMAGE_HEADER.pack(magic, 3, guest_vmpl, c_bit, 0x1000, 0x2000, bytes(48))
    return igvm(*headers, page(image.IMAGE_HEADER_PAGE, offset), data=content)


class Images(unittest.TestCase):
    """What a launch reads of an IGVM file."""

    def test_policy_and_header_are_read(self):
        self.assertEqual(image.parse(rampart(3, 47)), image.Image(0x3_0000, 3, 47))
        self.assertEqual(image.parse(igvm(SNP, with_policy(0xB_0000))), image.Image(0xB_0000))
        self.assertEqual(image.parse(rampart(magic=b"ANOTHER\0")).guest_vmpl, 0)

    def test_a_firmware_by_hash_is_seen(self):
        digest = bytes(range(48))
        content = struct.pack("<8sIBB26xII24x48s", image.IMAGE_HEADER_MAGIC, 3, 2, 51, 0, 0x40_0000, digest)
        self.assertEqual(image.parse(rampart(content=content)).firmware, (0x40_0000, digest))
        content = struct.pack("<8sIBB26xII24x48s", image.IMAGE_HEADER_MAGIC, 3, 2, 51, 0x1000, 0x40_0000, bytes(48))
        self.assertIsNone(image.parse(rampart(content=content)).firmware)

    def test_what_is_for_another_platform_does_not_count(self):
        self.assertEqual(image.parse(igvm(NATIVE, SNP, with_policy(0xB_0000, mask=2))).policy, image.DEFAULT_POLICY)
        with self.assertRaisesRegex(image.BadImage, "not for SEV-SNP"):
            image.parse(igvm(NATIVE))

    def test_an_id_block_is_seen(self):
        block = header(image.SNP_ID_BLOCK, struct.pack("<IBxxx", 1, 1) + bytes(range(48)) + bytes(100))
        found = image.parse(igvm(SNP, block))
        self.assertEqual((found.id_block, found.author_key), (bytes(range(48)), True))

    def test_every_cut_is_told(self):
        content = rampart()
        for end in range(len(content)):
            with self.subTest(end=end), self.assertRaises(image.BadImage):
                image.parse(content[:end])

    def test_no_byte_makes_it_fail_otherwise(self):
        chance = random.Random(1)
        for _ in range(2000):
            content = bytearray(rampart())
            for _ in range(chance.randrange(1, 5)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            try:
                image.parse(bytes(content))
            except image.BadImage:
                pass

    def test_a_file_that_is_none_is_named(self):
        with self.assertRaisesRegex(image.BadImage, "/no/image cannot be read"):
            image.load(pathlib.Path("/no/image"))


class Blobs(unittest.TestCase):
    """ID block, ID authentication, host data."""

    def setUp(self):
        # pylint: disable-next=consider-using-with
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, content: bytes) -> pathlib.Path:
        """A file with this content."""
        path = pathlib.Path(self.folder.name) / "blob"
        path.write_bytes(content)
        return path

    def test_an_id_block_is_taken_as_bytes_and_as_base64(self):
        block = bytes(80) + struct.pack("<IIQ", 1, 7, 0x3_0000)
        for content in (block, base64.encodebytes(block)):
            self.assertEqual(blobs.id_block(self.file(content), image.Image()), block)

    def test_an_id_block_that_would_be_refused_is_refused_at_once(self):
        for tail, words in ((struct.pack("<IIQ", 2, 0, 0x3_0000), "version 2"), (struct.pack("<IIQ", 1, 0, 0xB_0000), "0xb0000")):
            with self.assertRaisesRegex(blobs.BadBlob, words):
                blobs.id_block(self.file(bytes(80) + tail), image.Image())
        with self.assertRaisesRegex(blobs.BadBlob, "96 bytes"):
            blobs.id_block(self.file(b"short"), image.Image())
        with self.assertRaisesRegex(blobs.BadBlob, "of its own"):
            blobs.id_block(self.file(bytes(96)), image.Image(id_block=bytes(48)))

    def test_an_author_key_is_seen_by_its_algorithm(self):
        self.assertFalse(blobs.has_author_key(struct.pack("<II", 1, 0) + bytes(4088)))
        self.assertTrue(blobs.has_author_key(struct.pack("<II", 1, 1) + bytes(4088)))

    def test_host_data_is_hexadecimal_or_a_file(self):
        self.assertEqual(blobs.host_data("5a" * 32), b"\x5a" * 32)
        self.assertEqual(blobs.host_data(str(self.file(b"\x01" * 32))), b"\x01" * 32)
        for text in ("5a", "5a" * 33, "/no/file"):
            with self.assertRaises(blobs.BadBlob):
                blobs.host_data(text)


def parsed(*arguments: str, host: str = "ready"):
    """Options for a made host."""
    return options.parse(["--host", "snp", "--dry-run", "--host-root", str(HOSTS / host), *image_option(arguments), *arguments])


def image_option(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """No image that was built by chance."""
    return () if "--no-svsm" in arguments or "--image" in arguments else ("--image", "/no/image")


def machine(*arguments: str, host: str = "ready") -> str:
    """QEMU's arguments for the machine, in one line."""
    wanted = parsed(*arguments, host=host)
    return " ".join(snp.arguments(wanted, snp.plan(wanted)))


class RealHosts(unittest.TestCase):
    """The command for a real host."""

    def test_planes_belong_to_the_guests_vmpl(self):
        self.assertIn("kernel-irqchip=split,device-plane=2", machine())
        with tempfile.NamedTemporaryFile() as file:
            file.write(rampart(guest_vmpl=3))
            file.flush()
            self.assertIn("device-plane=3", machine("--image", file.name))

    def test_anyway_leaves_out_what_this_qemu_lacks(self):
        self.assertIn("device-plane", machine(host="mainline"))
        self.assertNotIn("device-plane", machine("--anyway", host="mainline"))
        self.assertIn("certs-path=c,,d", machine("--certificates", "c,d"))
        self.assertNotIn("certs-path", machine("--certificates", "c", "--anyway", host="mainline"))

    def test_certificates_that_nobody_would_hand_out_are_missing(self):
        def lacking(host: str) -> list[str]:
            found = snp.plan(parsed("--certificates", "c", "--no-svsm", host=host))
            return [result.check.key for result in found.lacking()]

        # Without an image at hand, --no-svsm is what says that there is none in it.
        self.assertEqual(lacking("mainline"), ["kvm.certificates", "qemu.certificates"])
        self.assertEqual(lacking("ready"), [])

    def test_the_c_bit_is_the_processors(self):
        plan = snp.plan(parsed())
        self.assertEqual((plan.c_bit, plan.c_bit_note), (51, "CPUID Fn8000_001F EBX[5:0]"))
        with tempfile.TemporaryDirectory() as folder:
            plan = snp.plan(options.parse(["--host", "snp", "--dry-run", "--host-root", folder]))
        self.assertEqual(plan.c_bit, 51)
        self.assertTrue(plan.c_bit_note.startswith("assumed"))

    def test_addresses_suffice_for_memory_and_devices_and_stay_below_the_vmsas(self):
        self.assertEqual(snp.address_bits(2 * GIB), 40)
        self.assertEqual(snp.address_bits(512 * GIB), 40)
        self.assertEqual(snp.address_bits(513 * GIB), 41)
        self.assertEqual(snp.address_bits(1024 * GIB), 41)
        self.assertLess(snp.address_bits(options.LARGEST), 48)

    def test_every_value_is_said(self):
        wanted = parsed("--smp", "4", "--host-data", "5a" * 32)
        said = dict(snp.values(wanted, snp.plan(wanted)))
        self.assertEqual(said["policy"], "0x30000: SMT allowed, firmware 0.0 at least, no debugging")
        self.assertIn("digest depends on it", said["vCPUs"])
        self.assertEqual(said["host data"], "5a" * 32)
        self.assertIn("not built yet", said["image"])

    def test_what_is_missing_stops_a_launch_unless_it_is_to_start_anyway(self):
        for arguments, lacking in (((), True), (("--anyway",), False)):
            wanted = parsed(*arguments, host="mainline")
            plan = snp.plan(wanted)
            if lacking:
                with self.assertRaisesRegex(needs.Missing, "missing: vmpl.kernel: .*\n.*mend it: .*\n.*missing: vmpl.qemu"):
                    needs.check_snp(wanted, plan)
            else:
                needs.check_snp(wanted, plan)

    def test_auto_takes_a_real_host_only_if_it_would_do(self):
        for host, arguments, chosen in (("ready", (), "snp"), ("mainline", (), "emulated"), ("mainline", ("--no-svsm",), "snp"),
                                        ("bios-off", ("--no-svsm",), "emulated")):
            wanted = options.parse([*image_option(arguments), *arguments])
            wanted.host_root = HOSTS / host
            with self.subTest(host=host, arguments=arguments), mock.patch("os.path.exists", return_value=True), \
                    contextlib.redirect_stderr(io.StringIO()) as said:
                self.assertEqual(needs.choose_host(wanted), chosen)
                self.assertEqual("scripts/check-host" in said.getvalue(), chosen == "emulated")

    def test_a_policy_is_said_in_words(self):
        self.assertIn("DEBUGGING ALLOWED", policy.words(0xB_0000))
        self.assertIn("firmware 1.58 at least", policy.words(0x3_013A))
        self.assertIn("bit 17 is 0", policy.words(0x1_0000))


class Commands(unittest.TestCase):
    """The command as text."""

    def test_an_option_to_a_line(self):
        text = qemu.in_lines(["qemu", "-m", "2G", "-append", "-a b", "-nodefaults"])
        self.assertEqual(text.split(" \\\n    "), ["qemu", "-m 2G", "-append '-a b'", "-nodefaults"])


if __name__ == "__main__":
    unittest.main()
