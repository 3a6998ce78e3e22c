"""A host as files: DIR/proc/…, DIR/sys/… as they were, and DIR/answers.json for what is no file.

answers.json maps a question to {"answer": TEXT}, {"missing": WHY} or {"denied": WHY}. What is not there
is missing.
"""

import json
import pathlib
import re

from .host import Denied, Host, Missing, Unanswered

ANSWERS = "answers.json"

# Of these files only what checks read is written down: the rest is long, or is nobody's business.
KEPT = (
    (re.compile(r"/proc/cmdline"), re.compile(r"(?:amd_iommu|iommu|mem_encrypt|kvm|kvm_amd|kvm-amd|ccp)[\w.-]*(?:=\S*)?")),
    (re.compile(r"/proc/kallsyms"), re.compile(r"^\S+ \S (?:kvm_\w*plane\w*|kvm_vcpu_ioctl)\b.*$", re.MULTILINE)),
    (re.compile(r"/proc/cpuinfo"), re.compile(r"\A(?:.+\n)+")),
    (re.compile(r"/proc/meminfo"), re.compile(r"^MemTotal:.*$", re.MULTILINE)),
    (re.compile(r".*/config(-.*|\.gz)?"), re.compile(r"^CONFIG_\w*(?:KVM|CCP|SP_PSP|AMD|IOMMU|SEV)\w*=.*$", re.MULTILINE)),
)


class RecordedHost(Host):
    """The host in a folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        path = folder / ANSWERS
        self._answers: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}

    def ask(self, question: str) -> str:
        kind, _, rest = question.partition(" ")
        stored = self._answers.get(question)
        if stored is None and kind in ("file", "list"):
            return self._read(kind, rest)
        if stored is None:
            raise Missing(f"{question!r} was not recorded")
        if "denied" in stored:
            raise Denied(stored["denied"])
        if "missing" in stored:
            raise Missing(stored["missing"])
        return stored["answer"]

    def _read(self, kind: str, path: str) -> str:
        place = self._folder / path.lstrip("/")
        try:
            if kind == "list":
                return "\n".join(sorted(entry.name for entry in place.iterdir()))
            return place.read_text(errors="replace")
        except OSError as error:
            raise Missing(f"{path}: {error.strerror}") from error


def kept(path: str, text: str) -> str:
    """What is written down of a file."""
    for name, part in KEPT:
        if name.fullmatch(path):
            return "".join(f"{match[0].rstrip()}\n" for match in part.finditer(text))
    return text


class Recorder(Host):
    """Asks another host, and writes each answer into a folder."""

    def __init__(self, host: Host, folder: pathlib.Path) -> None:
        self._host = host
        self._folder = folder
        self._answers: dict[str, dict[str, str]] = {}

    def ask(self, question: str) -> str:
        try:
            answer = self._host.ask(question)
        except Unanswered as error:
            self._answers[question] = {"denied" if isinstance(error, Denied) else "missing": str(error)}
            raise
        kind, _, rest = question.partition(" ")
        if kind == "file":
            place = self._folder / rest.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(kept(rest, answer))
        else:
            self._answers[question] = {"answer": answer}
        return answer

    def save(self) -> None:
        """Writes the answers that are no files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self._answers, indent=2, sort_keys=True)
        (self._folder / ANSWERS).write_text(text + "\n")
