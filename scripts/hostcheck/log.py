"""The kernel's own words: why it could not set up SNP."""

import re

from .check import Check, Level, Seen, bad, good
from .facts import Facts

# In arch/x86/virt/svm/sev.c, drivers/iommu/amd/init.c, drivers/crypto/ccp/ and arch/x86/kvm/svm/sev.c.
REFUSALS = re.compile(
    r"RMP table has not been reserved|RMP configuration not valid|Memory reserved for the RMP table does not cover"
    r"|Failed to map RMP|SNP cannot be supported|memory encryption not enabled by BIOS|failed to INIT"
    r"|requires firmware version|broken BIOS|SEV-SNP disabled"
)
SHOWN = 3


def refusals(facts: Facts) -> Seen:
    """Lines of the kernel's log that say no."""
    lines = facts.host.ask("log sev").splitlines()
    found = list(dict.fromkeys(line for line in lines if REFUSALS.search(line)))
    if not found:
        return good(f"{len(lines)} lines about SEV, and none refuses")
    return bad(" | ".join(found[:SHOWN]))


CHECKS = (
    Check("kernel.log", "kernel", Level.ADVICE, "a kernel that says nothing against SNP",
          "the settings that these lines name; those after the first often follow from it",
          "Linux, arch/x86/virt/svm/sev.c, drivers/iommu/amd/init.c, drivers/crypto/ccp/sev-dev.c, arch/x86/kvm/svm/sev.c",
          refusals, ("processor.snp",)),
)  # fmt: skip
