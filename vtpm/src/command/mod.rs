//! Commands as data: each is declared once, with [`commands!`](crate::commands),
//! and from that follow decoding, dispatch, GetCapability's attributes and the
//! fuzz inputs.

#[macro_use]
mod macros;
pub mod auth;
pub mod dispatch;
pub mod hash;
mod policy;
mod response;
pub mod sessions;

use crate::context::Context;
use crate::rc::Result;
use crate::wire::{CommandAttributes, Handle, Writer};

/// What an authorization of a handle must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// USER: the auth value or policy, as the object's attributes say.
    User,
    /// ADMIN: for certifying and changing.
    Admin,
    /// DUP: a policy, for duplication.
    Dup,
}

/// A handle of a command.
pub struct HandleSpec {
    /// The specification's name for it, in snake case.
    pub name: &'static str,
    /// Whether a handle can stand here.
    pub check: fn(Handle) -> Result<()>,
    /// The authorization it needs.
    pub role: Option<Role>,
    #[cfg(any(test, feature = "sample"))]
    /// The name of its interface type.
    pub kind: &'static str,
}

/// A parameter of a command or response.
pub struct ParameterSpec {
    /// The specification's name for it, in snake case.
    pub name: &'static str,
    /// Whether it is a TPM2B, which a session can encrypt if it is the first.
    pub sized: bool,
    #[cfg(any(test, feature = "sample"))]
    /// Makes a plausible value.
    pub sample: fn(&mut crate::wire::sample::Gen, &mut Writer),
}

/// What a command does beyond its handles and parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags {
    /// It may write NV.
    pub nv: bool,
    /// It may flush any number of objects.
    pub extensive: bool,
    /// It flushes the transient object of a handle (sequences).
    pub flushed: bool,
    /// It takes no sessions at all.
    pub no_sessions: bool,
    /// It works before Startup.
    pub before_startup: bool,
    /// It works in failure mode.
    pub in_failure: bool,
    /// Its NV handle is written: policy and auth attributes for writing count.
    pub nv_write: bool,
    /// Its NV handle is read: those for reading count.
    pub nv_read: bool,
    /// It cannot be audited.
    pub no_audit: bool,
    /// Physical presence can be required for it.
    pub pp: bool,
    /// Physical presence is always required for it.
    pub pp_always: bool,
}

/// A command, as the table describes it.
pub struct CommandSpec {
    /// TPM_CC.
    pub code: u32,
    /// The specification's name without TPM2_.
    pub name: &'static str,
    /// Its handles.
    pub handles: &'static [HandleSpec],
    /// Its parameters.
    pub parameters: &'static [ParameterSpec],
    /// Whether its response has a handle.
    pub response_handle: bool,
    /// The parameters of its response.
    pub response_parameters: &'static [ParameterSpec],
    /// The rest.
    pub flags: Flags,
    /// Decodes the parameters, acts, and encodes the response.
    pub(crate) run: fn(&mut Context<'_>, &[Handle], &[u8], &mut Output) -> Result<()>,
}

/// The body of a successful response.
#[derive(Default)]
pub struct Output {
    /// Its handle.
    pub handle: Option<Handle>,
    /// Its parameters.
    pub parameters: Writer,
}

impl CommandSpec {
    /// TPMA_CC.
    #[must_use]
    pub fn attributes(&self) -> CommandAttributes {
        let mut a = CommandAttributes(self.code & 0xFFFF);
        if self.code & 0x2000_0000 != 0 {
            a = a.with(CommandAttributes::V);
        }
        if self.flags.nv {
            a = a.with(CommandAttributes::NV);
        }
        if self.flags.extensive {
            a = a.with(CommandAttributes::EXTENSIVE);
        }
        if self.flags.flushed {
            a = a.with(CommandAttributes::FLUSHED);
        }
        let handles = u32::try_from(self.handles.len()).unwrap_or(0);
        a = CommandAttributes(a.0 | (handles << 25));
        if self.response_handle {
            a = a.with(CommandAttributes::R_HANDLE);
        }
        a
    }

    /// Whether the first parameter can be encrypted.
    #[must_use]
    pub fn decrypts(&self) -> bool {
        self.parameters.first().is_some_and(|p| p.sized)
    }

    /// Whether the first response parameter can be encrypted.
    #[must_use]
    pub fn encrypts(&self) -> bool {
        self.response_parameters.first().is_some_and(|p| p.sized)
    }

    /// How many handles need an authorization. They are the first ones.
    #[must_use]
    pub fn auth_handles(&self) -> usize {
        self.handles.iter().filter(|h| h.role.is_some()).count()
    }
}

/// All commands of this TPM, by ascending code.
pub fn all() -> impl Iterator<Item = &'static CommandSpec> {
    // The lists are few and sorted by chapter; a merge by code gives order.
    let mut last = None;
    core::iter::from_fn(move || {
        let next = crate::chapters::ALL
            .iter()
            .flat_map(|list| list.iter())
            .filter(|c| last.is_none_or(|l| c.code > l))
            .min_by_key(|c| c.code)?;
        last = Some(next.code);
        Some(next)
    })
}

/// The command with a code.
#[must_use]
pub fn find(code: u32) -> Option<&'static CommandSpec> {
    crate::chapters::ALL
        .iter()
        .flat_map(|list| list.iter())
        .find(|c| c.code == code)
}

/// What the author of a chapter writes for each command.
pub trait Action {
    /// The response.
    type Response;

    /// Acts. Two phases: everything that can fail first, then the changes; an
    /// error leaves the state as it was (only failed authorizations count).
    fn run(self, ctx: &mut Context<'_>) -> Result<Self::Response>;
}
