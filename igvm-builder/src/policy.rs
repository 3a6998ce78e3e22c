//! The guest policy by name.

use std::fmt;

use protocols::snp::GuestPolicy;

/// One bit of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bit {
    /// The name on the command line.
    pub name: &'static str,
    /// The name in a report.
    pub words: &'static str,
    /// The bit.
    pub bit: GuestPolicy,
    /// What it means when it is set.
    pub meaning: &'static str,
}

const fn bit(
    name: &'static str,
    words: &'static str,
    bit: GuestPolicy,
    meaning: &'static str,
) -> Bit {
    Bit {
        name,
        words,
        bit,
        meaning,
    }
}

/// The bits that an owner chooses (SNP firmware ABI, guest policy).
pub const BITS: [Bit; 9] = [
    bit("smt", "SMT", GuestPolicy::SMT, "SMT may be on"),
    bit(
        "migration-agent",
        "migration agent",
        GuestPolicy::MIGRATE_MA,
        "a migration agent may be tied to the guest",
    ),
    bit(
        "debug",
        "debugging",
        GuestPolicy::DEBUG,
        "the host may read and write the guest's memory",
    ),
    bit(
        "single-socket",
        "single socket only",
        GuestPolicy::SINGLE_SOCKET,
        "the guest runs on one socket only",
    ),
    bit(
        "cxl",
        "CXL",
        GuestPolicy::CXL_ALLOW,
        "CXL devices and memory may be there",
    ),
    bit(
        "aes-256-xts",
        "AES-256-XTS only",
        GuestPolicy::MEM_AES_256_XTS,
        "memory has to be encrypted with AES-256-XTS",
    ),
    bit(
        "rapl-off",
        "RAPL off only",
        GuestPolicy::RAPL_DISABLE,
        "power measurement (RAPL) has to be off",
    ),
    bit(
        "ciphertext-hiding",
        "ciphertext hiding only",
        GuestPolicy::CIPHERTEXT_HIDING,
        "ciphertext hiding has to be on",
    ),
    bit(
        "page-swap-off",
        "page swap off",
        GuestPolicy::PAGE_SWAP_DISABLE,
        "the host may not move or swap the guest's pages",
    ),
];

/// The bits that no firmware ABI gives a meaning to.
const RESERVED: u64 = !((1 << 26) - 1);

/// A policy's bits in words, with the least ABI version.
pub struct Words(
    /// The raw policy.
    pub u64,
);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = GuestPolicy::from_bits_retain(self.0);
        let set = words(self.0);
        let set = if set.is_empty() {
            "none set".into()
        } else {
            set.join(", ")
        };
        let (major, minor) = (policy.abi_major(), policy.abi_minor());
        write!(
            f,
            "{:#x}: {set}; firmware ABI at least {major}.{minor}",
            self.0
        )
    }
}

/// The names of the bits that are set in a policy.
pub fn words(policy: u64) -> Vec<&'static str> {
    let set = BITS.iter().filter(|bit| policy & bit.bit.bits() != 0);
    set.map(|bit| bit.words).collect()
}

/// A policy of the named bits, and the bit that has to be one; no least ABI version.
///
/// # Errors
/// A name that is not known or stands twice, with the names that are.
pub fn parse(names: &str) -> Result<GuestPolicy, String> {
    let mut policy = GuestPolicy::MUST_BE_ONE;
    for name in names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let Some(bit) = BITS.iter().find(|bit| bit.name == name) else {
            let known: Vec<_> = BITS.iter().map(|bit| bit.name).collect();
            return Err(format!(
                "{name:?} is no policy bit; there are {}",
                known.join(", ")
            ));
        };
        if policy.contains(bit.bit) {
            return Err(format!("{name} stands twice"));
        }
        policy |= bit.bit;
    }
    Ok(policy)
}

/// A version of the firmware ABI, as `1.55`.
///
/// # Errors
/// What is no such version.
pub fn parse_abi(text: &str) -> Result<(u8, u8), String> {
    let version = text
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    version.ok_or_else(|| format!("{text:?} is no ABI version such as 1.55"))
}

/// Why no secure processor launches a guest with this policy, or none should.
pub fn contradictions(policy: u64) -> Vec<&'static str> {
    let flags = GuestPolicy::from_bits_retain(policy);
    let mut found = Vec::new();
    if !flags.contains(GuestPolicy::MUST_BE_ONE) {
        found.push("bit 17 is reserved and has to be one");
    }
    if policy & RESERVED != 0 {
        found.push("bits above 25 are reserved and have to be zero");
    }
    if flags.contains(GuestPolicy::MIGRATE_MA | GuestPolicy::PAGE_SWAP_DISABLE) {
        found.push("a migration agent moves a guest by swapping its pages out, which page-swap-off forbids");
    }
    if flags.contains(GuestPolicy::DEBUG | GuestPolicy::CIPHERTEXT_HIDING) {
        found.push(
            "with debug the host reads the plain text that ciphertext-hiding is to keep from it",
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_are_of_the_same_bits() {
        let names: Vec<_> = BITS.iter().map(|bit| bit.name).collect();
        let all = parse(&names.join(",")).unwrap();
        // Bits 16 to 25, 17 among them.
        assert_eq!(all.bits(), 0x3ff_0000);
        assert_eq!(words(all.bits()).len(), BITS.len());
        assert_eq!(parse("").unwrap().bits(), 0x2_0000);
        assert_eq!(parse("smt, debug").unwrap().bits(), 0xb_0000);
    }

    #[test]
    fn unknown_and_repeated_names_are_refused() {
        assert!(
            parse("smtp")
                .unwrap_err()
                .contains("there are smt, migration-agent")
        );
        assert_eq!(parse("smt,smt").unwrap_err(), "smt stands twice");
        assert_eq!(parse_abi("1.55"), Ok((1, 55)));
        for bad in ["1", "1.", "1.256", "a.b", "1.2.3", ""] {
            assert!(parse_abi(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn contradictions_are_found() {
        assert_eq!(contradictions(0x3_0000), [] as [&str; 0]);
        let first = |policy| *contradictions(policy).first().unwrap();
        assert!(first(0x1_0000).contains("bit 17"));
        assert!(first(0x403_0000).contains("above 25"));
        assert!(first(0x207_0000).contains("migration agent"));
        assert!(first(0x10b_0000).contains("ciphertext-hiding"));
        assert_eq!(contradictions(0).len(), 1);
    }
}
