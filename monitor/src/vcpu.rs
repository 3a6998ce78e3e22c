//! The registry of the guest's VMSAs and calling areas.
//!
//! A page in here is live: no other call may take it, validate it or write its
//! control bytes. All memory is reserved when the registry is made, in
//! proportion to the number of vCPUs, so registering cannot run out of memory
//! and a guest cannot make it grow (threat 48).

use alloc::vec::Vec;

use protocols::addr::{Gpa, GpaRange, PageSize};

/// VMSAs that one vCPU may have at a time. The guest firmware makes one for each
/// AP and never deletes it; the OS makes its own, and so does a kexec'd one.
const VMSAS_PER_VCPU: usize = 8;

/// The bytes at the start of a calling area that are not its buffer.
const CONTROL_BYTES: u64 = 8;

/// A registered VMSA with its calling area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vcpu {
    /// The VMSA's page.
    pub vmsa: Gpa,
    /// The calling area's page.
    pub calling_area: Gpa,
    /// The APIC ID of the vCPU that runs it.
    pub apic_id: u32,
    /// The vCPU that started the guest; it cannot be deleted.
    pub startup: bool,
}

/// Why a VMSA was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// The virtual machine has no vCPU with this APIC ID (threat 47).
    UnknownApicId,
    /// The VMSA is registered already, or the calling area is, and not for the VMSA that the same
    /// vCPU runs now (threat 40).
    InUse,
    /// The guest has more VMSAs than it can have a use for.
    Full,
}

/// The registry could not get its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// A vCPU of the virtual machine and the VMSA that it runs for the guest.
#[derive(Clone, Copy, Debug)]
struct Cpu {
    apic_id: u32,
    /// The VMSA that was registered last for this vCPU.
    current: Option<Vcpu>,
}

/// All live VMSAs and calling areas.
#[derive(Debug)]
pub struct Registry {
    /// Sorted by APIC ID.
    cpus: Vec<Cpu>,
    /// Sorted by VMSA.
    vcpus: Vec<Vcpu>,
    /// Sorted. One for each element of `vcpus`, so a page may be in here more than once.
    areas: Vec<Gpa>,
}

impl Registry {
    /// An empty registry for the vCPUs with these APIC IDs.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new(apic_ids: &[u32]) -> Result<Self, OutOfMemory> {
        let limit = apic_ids
            .len()
            .checked_mul(VMSAS_PER_VCPU)
            .ok_or(OutOfMemory)?;
        let mut cpus = reserved(apic_ids.len())?;
        cpus.extend(apic_ids.iter().map(|&apic_id| Cpu {
            apic_id,
            current: None,
        }));
        cpus.sort_unstable_by_key(|cpu: &Cpu| cpu.apic_id);
        cpus.dedup_by_key(|cpu| cpu.apic_id);
        Ok(Registry {
            cpus,
            vcpus: reserved(limit)?,
            areas: reserved(limit)?,
        })
    }

    /// Registers a VMSA; it becomes the current one of its vCPU.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing has changed.
    pub fn register(&mut self, vcpu: Vcpu) -> Result<(), RegisterError> {
        self.may_register(&vcpu)?;
        let at = self.vcpus.partition_point(|v| v.vmsa < vcpu.vmsa);
        self.vcpus.insert(at, vcpu);
        let at = self.areas.partition_point(|area| *area < vcpu.calling_area);
        self.areas.insert(at, vcpu.calling_area);
        if let Some(cpu) = self.cpu_mut(vcpu.apic_id) {
            cpu.current = Some(vcpu);
        }
        Ok(())
    }

    /// Whether [`register`](Self::register) would take `vcpu`.
    ///
    /// # Errors
    /// As `register`.
    pub fn may_register(&self, vcpu: &Vcpu) -> Result<(), RegisterError> {
        if self.cpu(vcpu.apic_id).is_none() {
            return Err(RegisterError::UnknownApicId);
        }
        if self.is_live(vcpu.vmsa) || !self.may_be_area(vcpu.calling_area, vcpu.apic_id) {
            return Err(RegisterError::InUse);
        }
        // Both lists were reserved for this many, so `insert` never allocates.
        let limit = self.cpus.len().saturating_mul(VMSAS_PER_VCPU);
        if self.vcpus.len() >= limit {
            Err(RegisterError::Full)
        } else {
            Ok(())
        }
    }

    /// Whether `page` may be the calling area of a new VMSA of this vCPU: it is not live, or is
    /// that of the VMSA that the vCPU runs now. Linux starts a processor again with a VMSA beside
    /// the old one, which it deletes afterwards, and gives it the area that it has always had.
    #[must_use]
    pub fn may_be_area(&self, page: Gpa, apic_id: u32) -> bool {
        !self.is_live(page)
            || self
                .current(apic_id)
                .is_some_and(|current| current.calling_area == page)
    }

    /// Forgets a VMSA and its calling area. Returns what was registered.
    pub fn remove(&mut self, vmsa: Gpa) -> Option<Vcpu> {
        let at = self.position(vmsa)?;
        let vcpu = self.vcpus.remove(at);
        self.remove_area(vcpu.calling_area);
        if let Some(cpu) = self.cpu_mut(vcpu.apic_id)
            && cpu.current.is_some_and(|current| current.vmsa == vmsa)
        {
            cpu.current = None;
        }
        Some(vcpu)
    }

    /// Moves the calling area of a registered VMSA to a page that is not live.
    ///
    /// # Errors
    /// [`RegisterError::InUse`] when the page is live; nothing has changed.
    pub fn move_calling_area(&mut self, vmsa: Gpa, area: Gpa) -> Result<(), RegisterError> {
        if self.is_live(area) {
            return Err(RegisterError::InUse);
        }
        let Some(vcpu) = self.position(vmsa).and_then(|at| self.vcpus.get_mut(at)) else {
            return Ok(());
        };
        let old = core::mem::replace(&mut vcpu.calling_area, area);
        let vcpu = *vcpu;
        self.remove_area(old);
        let at = self.areas.partition_point(|other| *other < area);
        self.areas.insert(at, area);
        if let Some(current) = self
            .cpu_mut(vcpu.apic_id)
            .and_then(|cpu| cpu.current.as_mut())
            && current.vmsa == vmsa
        {
            *current = vcpu;
        }
        Ok(())
    }

    /// The registered VMSA at this address.
    #[must_use]
    pub fn find(&self, vmsa: Gpa) -> Option<Vcpu> {
        self.position(vmsa)
            .and_then(|at| self.vcpus.get(at))
            .copied()
    }

    /// The VMSA that the vCPU with this APIC ID runs: the one registered last.
    #[must_use]
    pub fn current(&self, apic_id: u32) -> Option<Vcpu> {
        self.cpu(apic_id)?.current
    }

    /// The APIC IDs of the vCPUs, in their order.
    pub fn apic_ids(&self) -> impl Iterator<Item = u32> {
        self.cpus.iter().map(|cpu| cpu.apic_id)
    }

    /// How many vCPUs there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.cpus.len()
    }

    /// Whether a vCPU other than this one has a VMSA to run.
    #[must_use]
    pub fn others_run(&self, apic_id: u32) -> bool {
        self.cpus
            .iter()
            .any(|cpu| cpu.apic_id != apic_id && cpu.current.is_some())
    }

    /// The VMSA that started the guest.
    #[must_use]
    pub fn startup(&self) -> Option<Vcpu> {
        self.vcpus.iter().find(|vcpu| vcpu.startup).copied()
    }

    /// Whether the page at `page` is a VMSA or a calling area.
    #[must_use]
    pub fn is_live(&self, page: Gpa) -> bool {
        self.position(page).is_some() || self.areas.binary_search(&page).is_ok()
    }

    /// Whether `range` shares a byte with a live VMSA.
    #[must_use]
    pub fn covers_vmsa(&self, range: GpaRange) -> bool {
        let from = range.start().page_base(PageSize::Size4K);
        let at = self.vcpus.partition_point(|vcpu| vcpu.vmsa < from);
        self.vcpus
            .get(at)
            .is_some_and(|vcpu| vcpu.vmsa < range.end())
    }

    /// Whether `range` shares a byte with any calling area.
    #[must_use]
    pub fn covers_calling_area(&self, range: GpaRange) -> bool {
        self.first_area(range)
            .is_some_and(|area| area < range.end())
    }

    /// Whether `range`, within one page, shares a byte with the control bytes of
    /// a calling area.
    #[must_use]
    pub fn covers_control_bytes(&self, range: GpaRange) -> bool {
        self.first_area(range).is_some_and(|area| {
            area < range.end() && range.start().get() < area.get().saturating_add(CONTROL_BYTES)
        })
    }

    fn first_area(&self, range: GpaRange) -> Option<Gpa> {
        let from = range.start().page_base(PageSize::Size4K);
        let at = self.areas.partition_point(|area| *area < from);
        self.areas.get(at).copied()
    }

    fn remove_area(&mut self, area: Gpa) {
        if let Ok(at) = self.areas.binary_search(&area) {
            self.areas.remove(at);
        }
    }

    fn position(&self, vmsa: Gpa) -> Option<usize> {
        self.vcpus
            .binary_search_by_key(&vmsa, |vcpu| vcpu.vmsa)
            .ok()
    }

    fn cpu(&self, apic_id: u32) -> Option<&Cpu> {
        let at = self
            .cpus
            .binary_search_by_key(&apic_id, |cpu| cpu.apic_id)
            .ok()?;
        self.cpus.get(at)
    }

    fn cpu_mut(&mut self, apic_id: u32) -> Option<&mut Cpu> {
        let at = self
            .cpus
            .binary_search_by_key(&apic_id, |cpu| cpu.apic_id)
            .ok()?;
        self.cpus.get_mut(at)
    }
}

/// An empty list with room for `count` elements.
fn reserved<T>(count: usize) -> Result<Vec<T>, OutOfMemory> {
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
    Ok(list)
}

#[cfg(test)]
mod tests;
