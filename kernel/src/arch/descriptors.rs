//! Segment descriptors and the task state of a CPU: flat 64-bit segments, and one interrupt stack
//! for each vector that may hit a bad stack.

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

use super::stacks;

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

static TSS: Once<TaskStateSegment> = Once::new();
static GDT: Once<(GlobalDescriptorTable, SegmentSelector)> = Once::new();

/// The kernel's code segment selector: the first descriptor after the null one.
pub(crate) const CODE_SELECTOR: u16 = 0x08;

/// Loads the boot CPU's GDT, segments and TSS.
pub(crate) fn load() {
    let tss = TSS.call_once(|| {
        let mut tss = TaskStateSegment::new();
        // The field is unaligned, so it is written as a whole.
        let mut table = [VirtAddr::zero(); 7];
        for (index, slot) in table.iter_mut().take(stacks::IST_COUNT).enumerate() {
            *slot = VirtAddr::new_truncate(stacks::ist_top(index));
        }
        tss.interrupt_stack_table = table;
        tss
    });
    let (gdt, tss_selector) = GDT.call_once(|| {
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
