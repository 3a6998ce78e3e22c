"""A host that is asked questions: the machine itself, or one that was recorded.

A question is a few words ("file /proc/cmdline", "cpuid 0x8000001f 0x0", "qemu --version"), an answer is
text. So whatever a check reads can be written down on one machine and judged on another.
"""

import abc
import re


class Unanswered(Exception):
    """A question without an answer; the text says why."""


class Missing(Unanswered):
    """The thing asked for is not there."""


class Denied(Unanswered):
    """It may be there, and this user may not read it."""


class Host(abc.ABC):
    """Questions in types."""

    @abc.abstractmethod
    def ask(self, question: str) -> str:
        """The answer as text. Raises Missing or Denied."""

    def text(self, path: str) -> str:
        """A file's text, without its last line end."""
        return self.ask(f"file {path}").rstrip("\n")

    def names(self, path: str) -> list[str]:
        """A folder's names, sorted."""
        return self.ask(f"list {path}").split()

    def cpuid(self, leaf: int, subleaf: int = 0) -> tuple[int, int, int, int]:
        """EAX, EBX, ECX and EDX of a CPUID leaf; zeros for one above the processor's last."""
        if leaf > self._cpuid(leaf & 0x8000_0000, 0)[0]:
            return (0, 0, 0, 0)
        return self._cpuid(leaf, subleaf)

    def _cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        words = [int(word, 16) for word in self.ask(f"cpuid {leaf:#x} {subleaf:#x}").split()]
        return (words[0], words[1], words[2], words[3])

    def cpuid_hypervisor(self) -> str:
        """The hypervisor's name in leaf 0x40000000."""
        words = self._cpuid(0x4000_0000, 0)[1:]
        name = b"".join(word.to_bytes(4, "little") for word in words).rstrip(b"\0")
        return name.decode("ascii", "replace") or "nameless"

    def msr(self, number: int) -> int:
        """A model-specific register of the first processor."""
        return int(self.ask(f"msr {number:#x}"), 16)

    def open_device(self, path: str) -> None:
        """Returns if this user may read and write the device; raises Missing or Denied."""
        self.ask(f"device {path}")

    def snp_platform_status(self) -> bytes:
        """The 32 bytes of struct sev_user_data_snp_status (Linux, include/uapi/linux/psp-sev.h)."""
        return bytes.fromhex(self.ask("ioctl snp_platform_status"))

    def kvm_extension(self, number: int) -> int:
        """KVM_CHECK_EXTENSION on /dev/kvm."""
        return int(self.ask(f"ioctl kvm_check_extension {number}"))

    def kvm_sev_attribute(self, number: int) -> int:
        """An attribute of KVM_X86_GRP_SEV on /dev/kvm. Raises Missing where this kernel has no such attribute."""
        return int(self.ask(f"ioctl kvm_sev_attribute {number}"), 16)

    def qemu(self, *arguments: str) -> str:
        """What QEMU prints for these arguments."""
        return self.ask(" ".join(("qemu", *arguments)))

    def cpuinfo(self, field: str) -> str:
        """A field of the first processor in /proc/cpuinfo."""
        match = re.search(rf"^{re.escape(field)}\s*: (.*)$", self.text("/proc/cpuinfo"), re.MULTILINE)
        if not match:
            raise Missing(f"/proc/cpuinfo has no field {field!r}")
        return match[1].strip()

    def flags(self) -> frozenset[str]:
        """The kernel's processor flags: those that it has and has not given up."""
        return frozenset(self.cpuinfo("flags").split())

    def parameters(self) -> dict[str, str]:
        """The kernel's command line; of a parameter that is given twice, the last."""
        words = (word.partition("=") for word in self.text("/proc/cmdline").split())
        return {name: value for name, _, value in words}

    def release(self) -> str:
        """The running kernel's release, such as 6.11.0-9-generic."""
        return self.text("/proc/sys/kernel/osrelease")

    def kernel_option(self, name: str) -> str:
        """'y', 'm' or 'n' of a kernel's configuration option."""
        match = re.search(rf"^{name}=(\S+)$", self._kernel_configuration(), re.MULTILINE)
        return match[1] if match else "n"

    def _kernel_configuration(self) -> str:
        release = self.release()
        places = (f"/boot/config-{release}", f"/lib/modules/{release}/config", "/proc/config.gz")
        for path in places:
            try:
                return self.text(path)
            except Unanswered:
                continue
        raise Missing(f"none of {', '.join(places)} can be read")
