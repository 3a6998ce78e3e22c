"""What the Linux test guest says about itself, and what it ought to say."""

import re

# Terminal control sequences, which the firmware writes between lines.
CONTROL = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|[\x00-\x08\x0b-\x1f]")

SNP_FEATURES = "Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP"


def clean(line):
    """A console line as a person reads it."""
    return CONTROL.sub("", line).rstrip()


def guest_facts(lines):
    """The texts after "guest: "."""
    cleaned = (clean(line) for line in lines)
    return [line[len("guest: ") :] for line in cleaned if line.startswith("guest: ")]


def expected(options, host):
    """The facts that a smoke boot with these options must state."""
    facts = [f"cpus {options.smp}", "ready"]
    if host == "plain":
        return ["vmpl none", *facts]
    vmpl = 0 if options.no_svsm else 2
    return [f"vmpl {vmpl}", *facts, f"log {SNP_FEATURES}", f"log SEV: SNP running at VMPL{vmpl}."]


def memory_is_plausible(facts, options):
    """True if the guest sees about the memory it was given (the kernel keeps some, and bounce buffers)."""
    for fact in facts:
        match = re.fullmatch(r"memory ([0-9]+) kB", fact)
        if match:
            given = options.mem // 1024
            return given // 2 <= int(match[1]) <= given
    return False
