//! The processor's own accesses to guest memory by linear address: fetching
//! an instruction, reading descriptors, pushing an exception's frame. Each is
//! checked like an access of the guest at its level.

use snp_model::access::AccessKind;

use super::vcpu::Vcpu;
use super::walk::{self, WalkFault};
use crate::host::memory::Memory;
use crate::mem::phys;

/// Why the guest's memory could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuestFault {
    /// #PF for the guest.
    Page { linear: u64, code: u32 },
    /// The nested tables or the RMP forbid it.
    Nested { gpa: u64, private: bool },
}

/// Translates a linear address and checks the access to it.
pub(crate) fn resolve(
    vcpu: &Vcpu,
    memory: &Memory,
    linear: u64,
    kind: AccessKind,
) -> Result<u64, GuestFault> {
    let write = kind == AccessKind::Write;
    let fetch = matches!(
        kind,
        AccessKind::ExecuteUser | AccessKind::ExecuteSupervisor
    );
    let physical =
        walk::translate(&vcpu.vmcb, linear, write, |gpa| memory.spa(gpa)).map_err(|fault| {
            match fault {
                WalkFault::Page(code) => GuestFault::Page { linear, code },
                WalkFault::NoMemory(gpa) => GuestFault::Nested { gpa, private: true },
                WalkFault::UnsupportedMode => GuestFault::Nested {
                    gpa: linear,
                    private: true,
                },
            }
        })?;
    // Instruction fetches are private whatever the C-bit.
    let private = physical.private || fetch;
    memory
        .check(physical.gpa, private, vcpu.level, kind)
        .map_err(|_| GuestFault::Nested {
            gpa: physical.gpa,
            private,
        })
}

fn for_each_page(
    linear: u64,
    len: usize,
    mut access: impl FnMut(u64, usize, usize) -> Result<(), GuestFault>,
) -> Result<(), GuestFault> {
    let mut done = 0;
    while done < len {
        let address = linear.wrapping_add(done as u64);
        let part = (len - done).min((0x1000 - (address & 0xfff)) as usize);
        access(address, done, part)?;
        done += part;
    }
    Ok(())
}

fn copy_in(
    vcpu: &Vcpu,
    memory: &Memory,
    linear: u64,
    buffer: &mut [u8],
    kind: AccessKind,
) -> Result<(), GuestFault> {
    for_each_page(linear, buffer.len(), |address, at, part| {
        let spa = resolve(vcpu, memory, address, kind)?;
        phys::read_bytes(spa, &mut buffer[at..at + part]);
        Ok(())
    })
}

/// Reads data.
pub(crate) fn read_linear(
    vcpu: &Vcpu,
    memory: &Memory,
    linear: u64,
    buffer: &mut [u8],
) -> Result<(), GuestFault> {
    copy_in(vcpu, memory, linear, buffer, AccessKind::Read)
}

/// Reads instruction bytes.
pub(crate) fn fetch_linear(
    vcpu: &Vcpu,
    memory: &Memory,
    linear: u64,
    buffer: &mut [u8],
) -> Result<(), GuestFault> {
    let kind = if vcpu.vmcb.cpl() == 3 {
        AccessKind::ExecuteUser
    } else {
        AccessKind::ExecuteSupervisor
    };
    copy_in(vcpu, memory, linear, buffer, kind)
}

/// Writes data; nothing is written if any part of it cannot be.
pub(crate) fn write_linear(
    vcpu: &Vcpu,
    memory: &Memory,
    linear: u64,
    bytes: &[u8],
) -> Result<(), GuestFault> {
    for_each_page(linear, bytes.len(), |address, _, _| {
        resolve(vcpu, memory, address, AccessKind::Write).map(|_| ())
    })?;
    for_each_page(linear, bytes.len(), |address, at, part| {
        let spa = resolve(vcpu, memory, address, AccessKind::Write)?;
        phys::write_bytes(spa, &bytes[at..at + part]);
        Ok(())
    })
}
