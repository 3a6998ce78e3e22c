//! Tickets (Part 2, 10.6): proof that this TPM did something before.

use super::{Marshal, Reader, RhHierarchy, Tpm2bDigest, Unmarshal, Writer};
use crate::rc::{Rc, Result};

/// TPM_ST values.
#[allow(missing_docs)]
pub mod st {
    pub const RSP_COMMAND: u16 = 0x00C4;
    pub const NULL: u16 = 0x8000;
    pub const NO_SESSIONS: u16 = 0x8001;
    pub const SESSIONS: u16 = 0x8002;
    pub const ATTEST_NV: u16 = 0x8014;
    pub const ATTEST_COMMAND_AUDIT: u16 = 0x8015;
    pub const ATTEST_SESSION_AUDIT: u16 = 0x8016;
    pub const ATTEST_CERTIFY: u16 = 0x8017;
    pub const ATTEST_QUOTE: u16 = 0x8018;
    pub const ATTEST_TIME: u16 = 0x8019;
    pub const ATTEST_CREATION: u16 = 0x801A;
    pub const ATTEST_NV_DIGEST: u16 = 0x801C;
    pub const CREATION: u16 = 0x8021;
    pub const VERIFIED: u16 = 0x8022;
    pub const AUTH_SECRET: u16 = 0x8023;
    pub const HASHCHECK: u16 = 0x8024;
    pub const AUTH_SIGNED: u16 = 0x8025;
}

/// A ticket, for output.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub tag: u16,
    pub hierarchy: RhHierarchy,
    pub digest: Tpm2bDigest,
}

impl Marshal for Ticket {
    fn marshal(&self, out: &mut Writer) {
        self.tag.marshal(out);
        self.hierarchy.marshal(out);
        self.digest.marshal(out);
    }
}

impl Ticket {
    fn read(r: &mut Reader<'_>, tags: &[u16]) -> Result<Self> {
        let tag: u16 = r.read()?;
        if !tags.contains(&tag) {
            return Err(Rc::TAG);
        }
        Ok(Ticket {
            tag,
            hierarchy: r.read()?,
            digest: r.read()?,
        })
    }
}

macro_rules! ticket_types {
    ($($(#[$doc:meta])* $name:ident: [$($tag:ident),*];)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub Ticket);

        impl $name {
            /// The tags that may stand here; another is TPM_RC_TAG.
            pub const TAGS: &'static [u16] = &[$(st::$tag),*];
        }

        impl Marshal for $name {
            fn marshal(&self, out: &mut Writer) {
                self.0.marshal(out);
            }
        }

        impl Unmarshal for $name {
            fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
                Ticket::read(r, Self::TAGS).map($name)
            }
        }
    )*};
}

ticket_types! {
    /// TPMT_TK_CREATION.
    TkCreation: [CREATION];
    /// TPMT_TK_VERIFIED.
    TkVerified: [VERIFIED];
    /// TPMT_TK_AUTH.
    TkAuth: [AUTH_SIGNED, AUTH_SECRET];
    /// TPMT_TK_HASHCHECK.
    TkHashCheck: [HASHCHECK];
}
