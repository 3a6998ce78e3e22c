"""The guest policy in words: AMD 56860, SEV-SNP Firmware ABI, table 'Guest Policy'."""

BITS = {
    16: "SMT allowed",
    18: "a migration agent allowed",
    19: "DEBUGGING ALLOWED",
    20: "one socket only",
    21: "CXL memory allowed",
    22: "AES-256-XTS wanted",
    23: "RAPL off wanted",
    24: "ciphertext hiding wanted",
    25: "page swapping refused",
}
RESERVED_ONE = 17


def words(policy: int) -> str:
    """What the policy allows and wants."""
    out = [text for bit, text in BITS.items() if policy >> bit & 1]
    out.append(f"firmware {policy >> 8 & 0xFF}.{policy & 0xFF} at least")
    if not policy >> RESERVED_ONE & 1:
        out.append("bit 17 is 0, which the firmware refuses")
    if not policy >> 19 & 1:
        out.append("no debugging")
    return ", ".join(out)
