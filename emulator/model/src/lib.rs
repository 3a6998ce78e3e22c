//! The rules of SEV-SNP as data and functions: what a processor with SNP, and the
//! secure processor beside it, would answer.
//!
//! # What it is
//!
//! * [`rmp::Rmp`], the reverse map table: who owns each page of system memory, at
//!   which guest address, validated or not, with which rights of the four levels.
//! * What the host may do to it ([`host`]), what the guest may do
//!   ([`pvalidate`], [`rmpadjust`], [`rmpquery`]), what the secure processor does at
//!   a launch ([`launch`]), and what VMRUN does ([`vmsa`]).
//! * The secure processor's answers to guest messages ([`psp`]): attestation reports
//!   and derived keys, encrypted and signed for real, by keys that are no secret.
//! * The check of every access ([`access`]), with the fault that the architecture
//!   names, down to the bits of EXITINFO1 ([`fault`]).
//! * [`system::System`], a small machine around it for tests: memory, nested page
//!   tables in the hands of a host that may be hostile, a guest.
//!
//! The emulated machine asks it on every question about the table, and the tests of
//! `monitor` run on it: one truth for both.
//!
//! # What it is not
//!
//! It is no emulator of instructions: it takes operands and translated addresses and
//! walks no tables. It has no caches and no TLB: what it forbids is forbidden at
//! once. What silicon might still allow until a flush is a ledger of its own
//! ([`stale`]), which the emulated machine keeps. It encrypts
//! nothing. It protects nobody: whoever holds the table can change it.
//!
//! ```
//! use protocols::addr::{Gpa, GpaPage, PageSize};
//! use protocols::snp::{RmpResult, Vmpl};
//! use snp_model::access::Encryption::Private;
//! use snp_model::instruction::Outcome;
//! use snp_model::system::{PageState, System};
//! use snp_model::types::Asid;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut system = System::new(64 << 30, Asid::new(1).ok_or("host")?);
//! let page = GpaPage::new_4k(Gpa::new(0x1000)).ok_or("misaligned")?;
//! system.page_state_change(page, PageState::Private).map_err(|e| format!("{e:?}"))?;
//! assert!(system.write(Vmpl::VMPL0, Private, page.gpa(), b"text").is_err());
//!
//! let end = system.pvalidate(Vmpl::VMPL0, page.gpa(), PageSize::Size4K, true);
//! assert!(matches!(end, Outcome::Complete(d) if d.code == RmpResult::SUCCESS && !d.carry));
//! assert!(system.write(Vmpl::VMPL0, Private, page.gpa(), b"text").is_ok());
//! assert!(system.write(Vmpl::VMPL2, Private, page.gpa(), b"text").is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # How sure it is
//!
//! The rules are AMD's manual's (APM volumes 2 and 3, and the SNP firmware ABI) as
//! far as Linux, KVM and edk2, which run on silicon, agree with them. The order of
//! the checks of an instruction is the order in its module. Where nothing public
//! settles a point, its documentation carries the mark (?): bit 35 on ordinary
//! accesses, shared accesses through large mappings, PVALIDATE of a VMSA in use, a
//! 2 MiB VMSA's code, RMPQUERY's registers, the shadow-stack right, some codes of
//! PSMASH, and that VMPL0 may write a VMSA page (every SVSM does).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod access;
pub mod entry;
pub mod fault;
pub mod host;
pub mod instruction;
pub mod launch;
pub mod psp;
pub mod pvalidate;
pub mod rmp;
pub mod rmpadjust;
pub mod rmpquery;
pub mod stale;
pub mod system;
#[cfg(test)]
mod testing;
pub mod types;
pub mod vmsa;
