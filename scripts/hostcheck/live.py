"""The machine that this runs on. Reads only, and needs root for little: see each question."""

import ctypes
import fcntl
import gzip
import mmap
import os
import re
import shutil
import struct
import subprocess

from .host import Denied, Host, Missing, Unanswered

# Linux, include/uapi/linux/psp-sev.h: SEV_ISSUE_CMD = _IOWR('S', 0, struct sev_issue_cmd).
SEV_ISSUE_CMD = 0xC010_5300
SEV_ISSUE_CMD_LAYOUT = "<IQI"
SNP_PLATFORM_STATUS = 9
SNP_PLATFORM_STATUS_SIZE = 32
# Linux, include/uapi/linux/kvm.h.
KVM_CHECK_EXTENSION = 0xAE03
KVM_GET_DEVICE_ATTR = 0x4018_AEE2
KVM_DEVICE_ATTR_LAYOUT = "<IIQQ"
KVM_X86_GRP_SEV = 1

QEMU_SECONDS = 20

KMSG_RECORD = 8192
LOG_TOPIC = re.compile(r"\b(?:SEV|SNP|RMP|ccp|psp|kvm_amd)\b")

# cpuid(leaf in EDI, subleaf in ESI, four words at RDX) in the System V calling convention.
CPUID_CODE = bytes.fromhex("53 89f8 89f1 4989d0 0fa2 418900 41895804 41894808 4189500c 5b c3")


def refusal(path: str, error: OSError) -> Unanswered:
    """What an error of the system means."""
    text = f"{path}: {error.strerror}"
    return Denied(text) if isinstance(error, PermissionError) else Missing(text)


def run_cpuid(leaf: int, subleaf: int) -> tuple[int, ...]:
    """The CPUID instruction, which needs no privilege (the device /dev/cpu/0/cpuid does)."""
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(CPUID_CODE)
        start = ctypes.c_char.from_buffer(page)
        words = (ctypes.c_uint32 * 4)()
        function = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)
        function(ctypes.addressof(start))(leaf, subleaf, ctypes.addressof(words))
        # The page cannot be unmapped while something points into it.
        del start
        return tuple(words)


class LiveHost(Host):
    """This machine."""

    def __init__(self, qemu: str | None = None) -> None:
        self._qemu = qemu or os.environ.get("RAMPART_QEMU", "qemu-system-x86_64")
        self._said: dict[tuple[str, ...], str] = {}

    def ask(self, question: str) -> str:
        kind, _, rest = question.partition(" ")
        answer = getattr(self, f"_ask_{kind}")
        return str(answer(*(rest.split() if kind != "file" else [rest])))

    def _ask_file(self, path: str) -> str:
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            raise refusal(path, error) from error
        if path.endswith(".gz"):
            content = gzip.decompress(content)
        return content.decode(errors="replace")

    def _ask_list(self, path: str) -> str:
        try:
            return "\n".join(sorted(os.listdir(path)))
        except OSError as error:
            raise refusal(path, error) from error

    def _ask_cpuid(self, leaf: str, subleaf: str) -> str:
        if os.uname().machine != "x86_64":
            raise Missing(f"a processor of kind {os.uname().machine} has no CPUID")
        try:
            words = run_cpuid(int(leaf, 16), int(subleaf, 16))
        except OSError as error:
            raise Denied(f"this system lets no process run code that it wrote itself: {error.strerror}") from error
        return " ".join(f"{word:#010x}" for word in words)

    @staticmethod
    def _ask_log(_topic: str) -> str:
        path = "/dev/kmsg"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise refusal(path, error) from error
        texts = []
        try:
            while True:
                try:
                    record = os.read(descriptor, KMSG_RECORD)
                except BrokenPipeError:
                    # Overwritten meanwhile; the next read goes on behind the gap.
                    continue
                except BlockingIOError:
                    break
                # "level,number,time,flags;text", then lines of properties.
                texts.append(record.decode(errors="replace").partition(";")[2].split("\n")[0])
        except OSError as error:
            raise Denied(f"{path}: {error.strerror}") from error
        finally:
            os.close(descriptor)
        return "\n".join(text for text in texts if LOG_TOPIC.search(text))

    def _ask_msr(self, number: str) -> str:
        path = "/dev/cpu/0/msr"
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError as error:
            raise Denied(f"{path} is not there: 'modprobe msr' makes it") from error
        except OSError as error:
            raise refusal(path, error) from error
        try:
            return f"{struct.unpack('<Q', os.pread(descriptor, 8, int(number, 16)))[0]:#x}"
        except OSError as error:
            raise Missing(f"this processor has no register {number}") from error
        finally:
            os.close(descriptor)

    def _ask_device(self, path: str) -> str:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            raise refusal(path, error) from error
        return "usable"

    def _ask_ioctl(self, name: str, *arguments: str) -> str:
        path = "/dev/sev" if name == "snp_platform_status" else "/dev/kvm"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise refusal(path, error) from error
        try:
            return str(getattr(self, f"_ioctl_{name}")(descriptor, *arguments))
        except OSError as error:
            raise Missing(f"{path} does not answer {name}: {error.strerror}") from error
        finally:
            os.close(descriptor)

    @staticmethod
    def _ioctl_snp_platform_status(descriptor: int) -> str:
        status = ctypes.create_string_buffer(SNP_PLATFORM_STATUS_SIZE)
        command = bytearray(struct.pack(SEV_ISSUE_CMD_LAYOUT, SNP_PLATFORM_STATUS, ctypes.addressof(status), 0))
        fcntl.ioctl(descriptor, SEV_ISSUE_CMD, command)
        return status.raw.hex()

    @staticmethod
    def _ioctl_kvm_check_extension(descriptor: int, number: str) -> int:
        return fcntl.ioctl(descriptor, KVM_CHECK_EXTENSION, int(number))

    @staticmethod
    def _ioctl_kvm_sev_attribute(descriptor: int, number: str) -> str:
        value = ctypes.c_uint64()
        attribute = struct.pack(KVM_DEVICE_ATTR_LAYOUT, 0, KVM_X86_GRP_SEV, int(number), ctypes.addressof(value))
        fcntl.ioctl(descriptor, KVM_GET_DEVICE_ATTR, attribute)
        return f"{value.value:#x}"

    def _ask_qemu(self, *arguments: str) -> str:
        if arguments in self._said:
            return self._said[arguments]
        program = shutil.which(self._qemu)
        if not program:
            raise Missing(f"{self._qemu} is not there")
        try:
            done = subprocess.run(
                [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                errors="replace", check=False, timeout=QEMU_SECONDS,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Missing(f"{program} {' '.join(arguments)}: {error}") from error
        if done.returncode != 0:
            raise Missing((done.stderr.strip() or f"{program} ended with status {done.returncode}").splitlines()[-1])
        self._said[arguments] = done.stdout
        return done.stdout
