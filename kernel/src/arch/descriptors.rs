//! Segment descriptors and the task state of a CPU: flat 64-bit segments, and one interrupt stack
//! for each vector that may hit a bad stack.

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

use super::percpu;

/// Interrupt-stack-table indices (0-based, as the TSS counts them in memory).
#[derive(Clone, Copy)]
#[repr(u16)]
pub(crate) enum Ist {
    /// #DF, double fault.
    DoubleFault = 0,
    /// NMI.
    Nmi = 1,
    /// #MC, machine check.
    MachineCheck = 2,
    /// #VC, VMM communication.
    Vc = 3,
    /// #HV, hypervisor injection.
    Hv = 4,
}

/// How many interrupt-stack-table entries are used: those of [`Ist`].
pub(crate) const IST_COUNT: usize = 5;

/// The tables of one CPU.
pub(crate) struct Descriptors {
    tss: Once<TaskStateSegment>,
    gdt: Once<(GlobalDescriptorTable, SegmentSelector)>,
}

impl Descriptors {
    pub(crate) const fn new() -> Self {
        Self {
            tss: Once::new(),
            gdt: Once::new(),
        }
    }
}

/// The kernel's code segment selector: the first descriptor after the null one.
pub(crate) const CODE_SELECTOR: u16 = 0x08;

/// Loads this CPU's GDT, segments and TSS.
pub(crate) fn load() {
    let cpu = percpu::this();
    let tss = cpu.descriptors.tss.call_once(|| {
        let mut tss = TaskStateSegment::new();
        // The field is unaligned, so it is written as a whole.
        let mut table = [VirtAddr::zero(); 7];
        for (slot, top) in table.iter_mut().zip(cpu.interrupt_stacks()) {
            *slot = VirtAddr::new_truncate(top);
        }
        tss.interrupt_stack_table = table;
        tss
    });
    let (gdt, tss_selector) = cpu.descriptors.gdt.call_once(|| {
        let mut gdt = GlobalDescriptorTable::new();
        let _code = gdt.append(Descriptor::kernel_code_segment());
        let _data = gdt.append(Descriptor::kernel_data_segment());
        let tss_selector = gdt.append(Descriptor::tss_segment(tss));
        (gdt, tss_selector)
    });
    gdt.load();
    let data = SegmentSelector(0x10);
    // SAFETY: the table just loaded is static; it has 64-bit ring-0 code at 0x08, flat data at
    // 0x10 and the TSS, itself static, at the selector that the table gave for it.
    unsafe {
        CS::set_reg(SegmentSelector(CODE_SELECTOR));
        DS::set_reg(data);
        ES::set_reg(data);
        SS::set_reg(data);
        load_tss(*tss_selector);
    }
}
