//! Handles (Part 2, 7) and their interface types (Part 2, 9): which handles a
//! command accepts at a place. A handle of another kind is TPM_RC_VALUE.

use super::{Marshal, Reader, Unmarshal, Writer};
use crate::limits::IMPLEMENTATION_PCR;
use crate::rc::{Rc, Result};
use core::fmt;
use core::ops::Deref;

/// A TPM_HANDLE.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

/// What the top byte of a handle says.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleType {
    Pcr,
    NvIndex,
    HmacSession,
    PolicySession,
    Permanent,
    Transient,
    Persistent,
    Other,
}

#[allow(missing_docs)]
impl Handle {
    pub const OWNER: Handle = Handle(0x4000_0001);
    pub const NULL: Handle = Handle(0x4000_0007);
    pub const UNASSIGNED: Handle = Handle(0x4000_0008);
    pub const PW: Handle = Handle(0x4000_0009);
    pub const LOCKOUT: Handle = Handle(0x4000_000A);
    pub const ENDORSEMENT: Handle = Handle(0x4000_000B);
    pub const PLATFORM: Handle = Handle(0x4000_000C);
    pub const PLATFORM_NV: Handle = Handle(0x4000_000D);

    pub const PCR_FIRST: u32 = 0;
    pub const NV_FIRST: u32 = 0x0100_0000;
    pub const HMAC_SESSION_FIRST: u32 = 0x0200_0000;
    pub const POLICY_SESSION_FIRST: u32 = 0x0300_0000;
    pub const PERMANENT_FIRST: u32 = 0x4000_0000;
    pub const TRANSIENT_FIRST: u32 = 0x8000_0000;
    pub const PERSISTENT_FIRST: u32 = 0x8100_0000;
    /// The first persistent handle that belongs to the platform.
    pub const PLATFORM_PERSISTENT: u32 = 0x8180_0000;

    /// The kind of the handle.
    #[must_use]
    pub fn kind(self) -> HandleType {
        match self.0 >> 24 {
            0x00 => HandleType::Pcr,
            0x01 => HandleType::NvIndex,
            0x02 => HandleType::HmacSession,
            0x03 => HandleType::PolicySession,
            0x40 => HandleType::Permanent,
            0x80 => HandleType::Transient,
            0x81 => HandleType::Persistent,
            _ => HandleType::Other,
        }
    }

    /// Whether it is a session's.
    #[must_use]
    pub fn is_session(self) -> bool {
        matches!(
            self.kind(),
            HandleType::HmacSession | HandleType::PolicySession
        )
    }

    /// Whether it is a transient or persistent object's.
    #[must_use]
    pub fn is_object(self) -> bool {
        matches!(self.kind(), HandleType::Transient | HandleType::Persistent)
    }

    /// The number of the PCR, for a PCR's handle.
    #[must_use]
    pub fn pcr(self) -> Option<usize> {
        let n = usize::try_from(self.0).ok()?;
        (n < IMPLEMENTATION_PCR).then_some(n)
    }

    /// The handle of PCR `n`.
    #[must_use]
    pub fn of_pcr(n: usize) -> Handle {
        Handle(u32::try_from(n).unwrap_or(u32::MAX))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl Marshal for Handle {
    fn marshal(&self, out: &mut Writer) {
        self.0.marshal(out);
    }
}

impl Unmarshal for Handle {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Handle(r.read()?))
    }
}

/// An interface type of handles.
pub trait HandleKind {
    /// Whether the handle is one of the type's; TPM_RC_VALUE if not.
    fn check(h: Handle) -> Result<()>;
}

macro_rules! handle_kinds {
    ($($(#[$doc:meta])* $name:ident: $pattern:pat,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub Handle);

        impl HandleKind for $name {
            fn check(h: Handle) -> Result<()> {
                #[allow(unused_imports)]
                use {Handle as H, HandleType::*};
                match (h, h.kind()) {
                    $pattern => Ok(()),
                    _ => Err(Rc::VALUE),
                }
            }
        }

        impl Deref for $name {
            type Target = Handle;
            fn deref(&self) -> &Handle {
                &self.0
            }
        }

        impl Marshal for $name {
            fn marshal(&self, out: &mut Writer) {
                self.0.marshal(out);
            }
        }

        impl Unmarshal for $name {
            fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
                let h = r.read()?;
                Self::check(h)?;
                Ok($name(h))
            }
        }
    )*};
}

/// Largest PCR handle.
const PCR_LAST: u32 = IMPLEMENTATION_PCR as u32 - 1;

handle_kinds! {
    /// TPMI_DH_OBJECT.
    DhObject: (_, Transient | Persistent),
    /// TPMI_DH_OBJECT+.
    DhObjectOrNull: (_, Transient | Persistent) | (H::NULL, _),
    /// TPMI_DH_PARENT (which holds TPM_RH_NULL always).
    DhParent: (_, Transient | Persistent) | (H::OWNER | H::PLATFORM | H::ENDORSEMENT | H::NULL, _),
    /// TPMI_DH_PERSISTENT.
    DhPersistent: (_, Persistent),
    /// TPMI_DH_ENTITY.
    DhEntity: (_, Transient | Persistent | NvIndex) | (Handle(0..=PCR_LAST), _)
        | (H::OWNER | H::PLATFORM | H::ENDORSEMENT | H::LOCKOUT, _),
    /// TPMI_DH_ENTITY+.
    DhEntityOrNull: (_, Transient | Persistent | NvIndex) | (Handle(0..=PCR_LAST), _)
        | (H::OWNER | H::PLATFORM | H::ENDORSEMENT | H::LOCKOUT | H::NULL, _),
    /// TPMI_DH_PCR.
    DhPcr: (Handle(0..=PCR_LAST), _),
    /// TPMI_DH_PCR+.
    DhPcrOrNull: (Handle(0..=PCR_LAST), _) | (H::NULL, _),
    /// TPMI_SH_AUTH_SESSION+ (TPM_RS_PW is the conditional value).
    ShAuthSession: (_, HmacSession | PolicySession) | (H::PW, _),
    /// TPMI_SH_HMAC.
    ShHmac: (_, HmacSession),
    /// TPMI_SH_POLICY.
    ShPolicy: (_, PolicySession),
    /// TPMI_DH_CONTEXT.
    DhContext: (_, HmacSession | PolicySession | Transient),
    /// TPMI_DH_SAVED.
    DhSaved: (_, HmacSession | PolicySession) | (Handle(0x8000_0000..=0x8000_0002), _),
    /// TPMI_RH_HIERARCHY (which holds TPM_RH_NULL always).
    RhHierarchy: (H::OWNER | H::PLATFORM | H::ENDORSEMENT | H::NULL, _),
    /// TPMI_RH_ENABLES.
    RhEnables: (H::OWNER | H::PLATFORM | H::ENDORSEMENT | H::PLATFORM_NV, _),
    /// TPMI_RH_HIERARCHY_AUTH.
    RhHierarchyAuth: (H::OWNER | H::PLATFORM | H::ENDORSEMENT | H::LOCKOUT, _),
    /// TPMI_RH_BASE_HIERARCHY.
    RhBaseHierarchy: (H::OWNER | H::PLATFORM | H::ENDORSEMENT, _),
    /// TPMI_RH_PLATFORM.
    RhPlatform: (H::PLATFORM, _),
    /// TPMI_RH_OWNER.
    RhOwner: (H::OWNER, _),
    /// TPMI_RH_ENDORSEMENT.
    RhEndorsement: (H::ENDORSEMENT, _),
    /// TPMI_RH_PROVISION.
    RhProvision: (H::OWNER | H::PLATFORM, _),
    /// TPMI_RH_CLEAR.
    RhClear: (H::LOCKOUT | H::PLATFORM, _),
    /// TPMI_RH_NV_AUTH.
    RhNvAuth: (H::OWNER | H::PLATFORM, _) | (_, NvIndex),
    /// TPMI_RH_LOCKOUT.
    RhLockout: (H::LOCKOUT, _),
    /// TPMI_RH_NV_INDEX.
    RhNvIndex: (_, NvIndex),
}
