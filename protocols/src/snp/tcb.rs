//! TCB versions (SEV-SNP firmware ABI, TCB_VERSION; for Turin the later editions).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Security versions of what a processor's firmware is made of. Which byte means
/// what depends on the processor: see [`TcbLayout`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct TcbVersion(
    /// The eight bytes.
    pub u64,
);

/// How a [`TcbVersion`] is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcbLayout {
    /// Milan and Genoa (family 0x19): boot loader 0, TEE 1, SNP 6, microcode 7.
    Milan,
    /// Turin (family 0x1A) and later: FMC 0, boot loader 1, TEE 2, SNP 3,
    /// microcode 7.
    Turin,
}

impl TcbLayout {
    /// The layout of a processor by its combined family, as CPUID_FAM_ID of a
    /// report has it.
    pub const fn of_family(family: u8) -> Option<Self> {
        match family {
            0x19 => Some(Self::Milan),
            0x1a => Some(Self::Turin),
            _ => None,
        }
    }
}

/// A [`TcbVersion`] taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcbParts {
    /// The first mutable code; from Turin on.
    pub fmc: u8,
    /// The secure processor's boot loader.
    pub boot_loader: u8,
    /// The secure processor's operating system.
    pub tee: u8,
    /// The SNP firmware.
    pub snp: u8,
    /// The lowest microcode patch level of all cores.
    pub microcode: u8,
}

impl TcbVersion {
    /// Takes it apart.
    pub const fn parts(self, layout: TcbLayout) -> TcbParts {
        let [b0, b1, b2, b3, _, _, b6, microcode] = self.0.to_le_bytes();
        let (fmc, boot_loader, tee, snp) = match layout {
            TcbLayout::Milan => (0, b0, b1, b6),
            TcbLayout::Turin => (b0, b1, b2, b3),
        };
        TcbParts {
            fmc,
            boot_loader,
            tee,
            snp,
            microcode,
        }
    }

    /// Puts one together.
    pub const fn from_parts(parts: TcbParts, layout: TcbLayout) -> Self {
        let TcbParts {
            fmc,
            boot_loader,
            tee,
            snp,
            microcode,
        } = parts;
        Self(u64::from_le_bytes(match layout {
            TcbLayout::Milan => [boot_loader, tee, 0, 0, 0, 0, snp, microcode],
            TcbLayout::Turin => [fmc, boot_loader, tee, snp, 0, 0, 0, microcode],
        }))
    }

    /// Whether no part of it is newer than the same part of `other`.
    pub fn is_at_most(self, other: Self) -> bool {
        let mut parts = self.as_bytes().iter().zip(other.as_bytes());
        parts.all(|(mine, theirs)| mine <= theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARTS: TcbParts = TcbParts {
        fmc: 1,
        boot_loader: 2,
        tee: 3,
        snp: 4,
        microcode: 5,
    };

    #[test]
    fn parts_lie_where_the_processor_has_them() {
        let milan = TcbVersion::from_parts(PARTS, TcbLayout::Milan);
        assert_eq!(milan.as_bytes(), [2, 3, 0, 0, 0, 0, 4, 5]);
        assert_eq!(milan.parts(TcbLayout::Milan), TcbParts { fmc: 0, ..PARTS });
        let turin = TcbVersion::from_parts(PARTS, TcbLayout::Turin);
        assert_eq!(turin.as_bytes(), [1, 2, 3, 4, 0, 0, 0, 5]);
        assert_eq!(turin.parts(TcbLayout::Turin), PARTS);
        assert_eq!(TcbLayout::of_family(0x19), Some(TcbLayout::Milan));
        assert_eq!(TcbLayout::of_family(0x1a), Some(TcbLayout::Turin));
        assert_eq!(TcbLayout::of_family(0x17), None);
    }

    #[test]
    fn one_newer_part_is_not_made_up_for_by_older_ones() {
        let committed = TcbVersion(0x0505_0000_0000_0505);
        assert!(committed.is_at_most(committed));
        assert!(TcbVersion(0x0405_0000_0000_0005).is_at_most(committed));
        assert!(!TcbVersion(0x0004_0000_0000_0006).is_at_most(committed));
    }

    proptest! {
        #[test]
        fn at_most_is_the_order_of_each_byte(a: [u8; 8], b: [u8; 8]) {
            let low: [u8; 8] = core::array::from_fn(|at| a[at].min(b[at]));
            let [a, b, low] = [a, b, low].map(|bytes| TcbVersion(u64::from_le_bytes(bytes)));
            prop_assert!(low.is_at_most(a) && low.is_at_most(b));
            prop_assert_eq!(a.is_at_most(b), a == low);
        }
    }
}
