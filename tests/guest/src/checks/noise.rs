//! Calls without sense: no request, however malformed, may stop the SVSM. The numbers are the same
//! in every run. None of them names memory that the guest has, so no call has any success to have.

use protocols::svsm::{
    CoreCall, MAX_ENTRIES_IN_CA, ProtocolId, PvalidateEntry, PvalidateHeader, Request,
};

use super::unusable;
use crate::check::{Check, Outcome, check, holds, same};
use crate::list::List;
use crate::noise::Noise;
use crate::svsm::{self, Reply};

pub(crate) const CHECKS: &[Check] = &[
    check("noise/calls with any registers", registers),
    check("noise/calls at the edges of unusable pages", edges),
    check("noise/lists of any entries", lists),
];

const CALLS: usize = 1000;
const LISTS: usize = 200;
/// Above all memory, so that no number names any.
const BEYOND: u64 = 1 << 47;

/// A call that was taken and refused.
fn is_refused(reply: Reply) -> Outcome {
    same("call_pending after the call", reply.pending, 0u8)?;
    holds("a result that is an error", reply.result.0 >= 1 << 31)
}

/// Every call but the two that succeed with any argument.
fn any_call(noise: &mut Noise) -> Request {
    let call = noise.below(10) as u32;
    match CoreCall(call) {
        CoreCall::QUERY_PROTOCOL | CoreCall::CONFIGURE_VTOM => Request {
            protocol: ProtocolId(noise.next() as u32 | 1 << 31),
            call,
        },
        core => Request::core(core),
    }
}

fn registers() -> Outcome {
    let mut noise = Noise::new(0x5eed_0001);
    for _ in 0..CALLS {
        let request = any_call(&mut noise);
        let arguments = [0; 4].map(|_: u64| noise.next() | BEYOND);
        is_refused(svsm::call(request, arguments))?;
    }
    Ok(())
}

fn edges() -> Outcome {
    let mut noise = Noise::new(0x5eed_0002);
    let pages = unusable::pages();
    for _ in 0..CALLS {
        let request = any_call(&mut noise);
        let arguments = [0; 4].map(|_: u64| {
            let (_, page) = pages[noise.below(pages.len() as u64) as usize];
            page.wrapping_add([0, 8, 0xff0, 0xff8, 0xfff][noise.below(5) as usize])
        });
        is_refused(svsm::call(request, arguments))?;
    }
    Ok(())
}

fn lists() -> Outcome {
    let mut noise = Noise::new(0x5eed_0003);
    let list = List::in_calling_area();
    let mut entries = [PvalidateEntry(0); MAX_ENTRIES_IN_CA];
    for _ in 0..LISTS {
        entries.fill_with(|| PvalidateEntry(noise.next() | BEYOND));
        // Some lists are of the right form and fail at their first entry.
        let (count, mask) = if noise.below(2) == 0 {
            (0x10000, !0)
        } else {
            (510, !0xff2)
        };
        let header = PvalidateHeader {
            entries: noise.below(count) as u16,
            next: noise.below(4) as u16,
            reserved: if noise.below(4) == 0 {
                noise.next() as u32
            } else {
                0
            },
        };
        entries.iter_mut().for_each(|entry| entry.0 &= mask);
        list.write(header, &entries);
        is_refused(list.submit())?;
        same("next", list.next(), header.next)?;
    }
    Ok(())
}
