//! What all vCPUs share, and what each of them has for itself.
//!
//! A vCPU that serves a request holds its own *seat*, and nothing of another's: an empty call
//! touches no lock, and no line of memory, that another vCPU uses. Calls that change pages or VMSAs
//! take the guest's state on top of that.
//!
//! The order, which nobody turns round: a vCPU's own seat; a service ([`Services`]); the guest's
//! state; another vCPU's seat, which is never waited for. Who finds it taken answers that the vCPU
//! is in use.

use alloc::vec::Vec;

use protocols::addr::Gpa;

use crate::guest::Guest;
use crate::platform::{AccessFault, GuestMemory};
use crate::services::Services;
use crate::sync::{Guard, Lock};
use crate::vcpu::{OutOfMemory, Vcpu};

/// What all vCPUs share.
#[derive(Debug)]
pub struct Shared<S> {
    guest: Lock<Guest<S>>,
    /// Sorted by APIC ID.
    seats: Vec<Seat>,
    services: Services,
}

/// A vCPU's place. Whoever holds it knows that the VMSA and the calling area in it stay what they
/// are: a vCPU while it serves a request, or whoever gives the vCPU another VMSA or takes it away.
///
/// Always the same as [`Registry::current`](crate::vcpu::Registry::current), because both are
/// changed together. On a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub struct Seat {
    apic_id: u32,
    current: Lock<Option<Vcpu>>,
}

impl<S> Shared<S> {
    /// Shares the guest, and what is served beside the core protocol, with all vCPUs that it has.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new(guest: Guest<S>, services: Services) -> Result<Self, OutOfMemory> {
        let mut seats = Vec::new();
        seats
            .try_reserve_exact(guest.vcpus.count())
            .map_err(|_| OutOfMemory)?;
        seats.extend(guest.vcpus.apic_ids().map(|apic_id| Seat {
            apic_id,
            current: Lock::new(guest.vcpus.current(apic_id)),
        }));
        Ok(Self {
            guest: Lock::new(guest),
            seats,
            services,
        })
    }

    /// The guest's state, for as long as it is held. Whoever waits here holds no seat but its own.
    pub fn lock(&self) -> Guard<'_, Guest<S>> {
        self.guest.lock()
    }

    /// The guest's state, `None` when somebody has it.
    #[cfg(test)]
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, Guest<S>>> {
        self.guest.try_lock()
    }

    /// What is served beside the core protocol.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Offers other services than before.
    #[cfg(test)]
    pub(crate) fn offer(&mut self, services: Services) {
        self.services = services;
    }

    /// The guest's state, no longer shared.
    #[cfg(test)]
    pub(crate) fn into_inner(self) -> Guest<S> {
        self.guest.into_inner()
    }

    /// The seat of the vCPU with that APIC ID.
    #[must_use]
    pub fn seat(&self, apic_id: u32) -> Option<&Seat> {
        let at = self
            .seats
            .binary_search_by_key(&apic_id, |seat| seat.apic_id)
            .ok()?;
        self.seats.get(at)
    }
}

impl Seat {
    /// The APIC ID of the vCPU.
    #[must_use]
    pub fn apic_id(&self) -> u32 {
        self.apic_id
    }

    /// Takes the vCPU's own seat. Nobody else keeps it for longer than a change takes.
    pub(crate) fn take(&self) -> Guard<'_, Option<Vcpu>> {
        self.current.lock()
    }

    /// Takes another vCPU's seat, `None` when that vCPU serves a request.
    pub(crate) fn try_take(&self) -> Option<Guard<'_, Option<Vcpu>>> {
        self.current.try_lock()
    }
}

/// The two pages that every request of a vCPU needs, found once and then kept with the vCPU's loop.
#[derive(Clone, Copy, Debug)]
pub struct Pages<P> {
    gpas: [Gpa; 2],
    /// The VMSA.
    pub(crate) vmsa: P,
    /// The calling area.
    pub(crate) calling_area: P,
}

/// A vCPU's side of the request loop.
#[derive(Debug)]
pub struct Server<'a, S, P> {
    /// What it shares with the others.
    pub(crate) shared: &'a Shared<S>,
    /// Its own seat.
    pub(crate) seat: &'a Seat,
    known: Option<Pages<P>>,
}

impl<'a, S, P: Copy> Server<'a, S, P> {
    /// Serves the vCPU with that APIC ID, if there is one.
    #[must_use]
    pub fn new(shared: &'a Shared<S>, apic_id: u32) -> Option<Self> {
        Some(Self {
            shared,
            seat: shared.seat(apic_id)?,
            known: None,
        })
    }

    /// Whether the guest's first VMSA is what this vCPU has to run.
    #[must_use]
    pub fn runs_startup(&self) -> bool {
        self.seat.take().is_some_and(|current| current.startup)
    }

    /// The pages of `caller`, whose seat is held. They are looked for again only when they are
    /// others than the last time. On the way of every call, so it is to be inlined.
    #[inline(always)]
    pub(crate) fn pages<M: GuestMemory<Page = P> + ?Sized>(
        &mut self,
        platform: &mut M,
        caller: Vcpu,
    ) -> Result<Pages<P>, AccessFault> {
        let gpas = [caller.vmsa, caller.calling_area];
        if let Some(known) = self.known
            && known.gpas == gpas
        {
            return Ok(known);
        }
        self.find_pages(platform, caller, gpas)
    }

    #[cold]
    fn find_pages<M: GuestMemory<Page = P> + ?Sized>(
        &mut self,
        platform: &mut M,
        caller: Vcpu,
        gpas: [Gpa; 2],
    ) -> Result<Pages<P>, AccessFault> {
        let found = Pages {
            gpas,
            vmsa: platform.page(caller.vmsa)?,
            calling_area: platform.page(caller.calling_area)?,
        };
        self.known = Some(found);
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
