//! The ID block and its authentication: what a guest's owner says and signs about a
//! launch, and the secure processor holds against it (SEV-SNP firmware ABI, sections
//! "ID Block" and "ID Authentication Information Structure"; SNP_LAUNCH_FINISH).

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::{LAUNCH_DIGEST_SIZE, ReportSignature};

/// What the owner expects of the launch, and names that go into the reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdBlock {
    /// The launch digest that the launch has to end with.
    pub launch_digest: [u8; LAUNCH_DIGEST_SIZE],
    /// The owner's; copied into reports.
    pub family_id: [u8; 16],
    /// The owner's; copied into reports.
    pub image_id: [u8; 16],
    /// [`Self::VERSION`].
    pub version: u32,
    /// The guest's security version; copied into reports.
    pub guest_svn: u32,
    /// The [`GuestPolicy`](super::GuestPolicy) that the launch has to have.
    pub policy: u64,
}

impl IdBlock {
    /// The version of the format.
    pub const VERSION: u32 = 1;
}

/// An algorithm of a key.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct KeyAlgorithm(
    /// The number.
    pub u32,
);

impl KeyAlgorithm {
    /// No key.
    pub const NONE: Self = Self(0);
    /// ECDSA on P-384 with SHA-384.
    pub const ECDSA_P384_SHA384: Self = Self(1);
}

/// A curve.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Curve(
    /// The number.
    pub u32,
);

impl Curve {
    /// P-384.
    pub const P384: Self = Self(2);
}

/// An ECDSA public key; the numbers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EcdsaPublicKey {
    /// The curve.
    pub curve: Curve,
    /// The point's X, then zeros.
    pub x: [u8; 72],
    /// The point's Y, then zeros.
    pub y: [u8; 72],
    /// Zero.
    pub reserved: [u8; 880],
}

/// Who says so: the key that signed the ID block, and the key that signed that key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdAuthentication {
    /// The algorithm of the ID key.
    pub id_key_algorithm: KeyAlgorithm,
    /// The algorithm of the author key.
    pub author_key_algorithm: KeyAlgorithm,
    /// Zero.
    pub reserved_0x08: [u8; 56],
    /// The ID key's signature of the 96 bytes of the [`IdBlock`].
    pub id_block_signature: ReportSignature,
    /// The ID key.
    pub id_key: EcdsaPublicKey,
    /// Zero.
    pub reserved_0x644: [u8; 60],
    /// The author key's signature of the 1028 bytes of the ID key.
    pub id_key_signature: ReportSignature,
    /// The author key; zero without one.
    pub author_key: EcdsaPublicKey,
    /// Zero.
    pub reserved_0xc84: [u8; 892],
}

impl IdAuthentication {
    /// Nobody's.
    pub fn none() -> Self {
        Self::new_zeroed()
    }

    /// Whether an author key certifies the ID key.
    pub const fn has_author_key(&self) -> bool {
        self.author_key.curve.0 != 0
    }
}

const _: () = {
    assert!(size_of::<IdBlock>() == 0x60);
    assert!(offset_of!(IdBlock, family_id) == 0x30);
    assert!(offset_of!(IdBlock, image_id) == 0x40);
    assert!(offset_of!(IdBlock, version) == 0x50);
    assert!(offset_of!(IdBlock, guest_svn) == 0x54);
    assert!(offset_of!(IdBlock, policy) == 0x58);
    assert!(size_of::<EcdsaPublicKey>() == 0x404);
    assert!(offset_of!(EcdsaPublicKey, x) == 0x04);
    assert!(offset_of!(EcdsaPublicKey, y) == 0x4c);
    assert!(size_of::<ReportSignature>() == 0x200);
    assert!(size_of::<IdAuthentication>() == 0x1000);
    assert!(offset_of!(IdAuthentication, id_block_signature) == 0x040);
    assert!(offset_of!(IdAuthentication, id_key) == 0x240);
    assert!(offset_of!(IdAuthentication, id_key_signature) == 0x680);
    assert!(offset_of!(IdAuthentication, author_key) == 0x880);
    assert!(offset_of!(IdAuthentication, reserved_0xc84) == 0xc84);
};
