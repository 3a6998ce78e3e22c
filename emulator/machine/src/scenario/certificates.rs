//! Lies about the certificates that come with an extended guest request.

use alloc::vec::Vec;

use protocols::ghcb::{GhcbField, GuestRequestResult, Response};
use snp_scenario::CertificateLie;

use super::messages::{Exchange, is_answered};
use crate::host::ghcb::GhcbView;
use crate::machine::Machine;
use crate::mem::phys;

const PAGE: u64 = 0x1000;

/// The most pages that are looked at, whatever the guest offers.
const MOST_PAGES: u64 = 64;

/// The pages for certificates: GPA and system address of each that is shared.
fn shared(machine: &Machine, gpa: u64, count: u64) -> Vec<(u64, u64)> {
    (0..count.min(MOST_PAGES))
        .map_while(|index| {
            let gpa = gpa.checked_add(index * PAGE)?;
            Some((gpa, machine.memory.shared(gpa, PAGE)?))
        })
        .collect()
}

/// What is in the pages that the guest offers.
pub(super) fn read(machine: &Machine, gpa: u64, count: u64) -> Vec<u8> {
    let pages = shared(machine, gpa, count);
    let mut bytes = alloc::vec![0; pages.len() * PAGE as usize];
    for (chunk, (_, spa)) in bytes.chunks_mut(PAGE as usize).zip(pages) {
        phys::read_bytes(spa, chunk);
    }
    bytes
}

/// The pages of a request: none if it asked for no certificates.
pub(super) fn pages(machine: &Machine, exchange: &Exchange) -> Vec<(u64, u64)> {
    let data = exchange.data;
    data.map_or_else(Vec::new, |(gpa, count)| shared(machine, gpa, count))
}

/// Asks for more pages. None: the lie is another one, or no certificates are asked for.
pub(super) fn instead(ghcb: &GhcbView, exchange: &Exchange, lie: CertificateLie) -> Option<()> {
    let (_, offered) = exchange.data?;
    let needed = match lie {
        CertificateLie::Needs(pages) => pages,
        CertificateLie::NeedsMore => offered.saturating_add(1),
        _ => return None,
    };
    ghcb.begin_answer();
    ghcb.set(GhcbField::RBX, needed);
    let result = GuestRequestResult::new(GuestRequestResult::HOST_INVALID_LENGTH, 0);
    ghcb.respond(Response::NO_ACTION, result.0);
    Some(())
}

/// Spoils the certificates. None: there are none, or the lie is another one.
pub(super) fn spoil(
    machine: &Machine,
    ghcb: &GhcbView,
    exchange: &Exchange,
    lie: CertificateLie,
) -> Option<()> {
    let (gpa, _) = exchange.data.filter(|_| is_answered(ghcb))?;
    match lie {
        CertificateLie::Keep => machine.memory.write_shared(gpa, &exchange.data_before),
        CertificateLie::Fill(byte) => {
            for (_, spa) in pages(machine, exchange) {
                phys::fill(spa, PAGE, byte);
            }
            Some(())
        }
        CertificateLie::Poke { offset, value } => {
            let at = gpa.checked_add(offset.into())?;
            machine.memory.write_shared(at, &value.to_le_bytes())
        }
        CertificateLie::Needs(_) | CertificateLie::NeedsMore => None,
    }
}
