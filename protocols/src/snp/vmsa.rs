//! The virtual machine save area (APM volume 2, appendix B, table B-4).

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::{SevFeatures, Vmpl};

/// A segment register as VMSA and VMCB hold it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Segment {
    /// Selector.
    pub selector: u16,
    /// Type, S, DPL, P in bits 7:0; AVL, L, D/B, G in bits 11:8.
    pub attributes: u16,
    /// Limit in bytes.
    pub limit: u32,
    /// Base, linear address.
    pub base: u64,
}

impl Segment {
    /// A segment register.
    pub const fn new(selector: u16, attributes: u16, limit: u32, base: u64) -> Self {
        Self {
            selector,
            attributes,
            limit,
            base,
        }
    }
}

/// The VMSA's defined part. It lies at the start of a 4 KiB page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Vmsa {
    /// Offset 0x000.
    pub es: Segment,
    /// Offset 0x010.
    pub cs: Segment,
    /// Offset 0x020.
    pub ss: Segment,
    /// Offset 0x030.
    pub ds: Segment,
    /// Offset 0x040.
    pub fs: Segment,
    /// Offset 0x050.
    pub gs: Segment,
    /// Offset 0x060.
    pub gdtr: Segment,
    /// Offset 0x070.
    pub ldtr: Segment,
    /// Offset 0x080.
    pub idtr: Segment,
    /// Offset 0x090.
    pub tr: Segment,
    /// Offset 0x0a0.
    pub pl0_ssp: u64,
    /// Offset 0x0a8.
    pub pl1_ssp: u64,
    /// Offset 0x0b0.
    pub pl2_ssp: u64,
    /// Offset 0x0b8.
    pub pl3_ssp: u64,
    /// Offset 0x0c0.
    pub u_cet: u64,
    /// Offset 0x0c8.
    pub reserved_0xc8: [u8; 2],
    /// Offset 0x0ca.
    pub vmpl: u8,
    /// Offset 0x0cb.
    pub cpl: u8,
    /// Offset 0x0cc.
    pub reserved_0xcc: [u8; 4],
    /// Offset 0x0d0.
    pub efer: u64,
    /// Offset 0x0d8.
    pub reserved_0xd8: [u8; 104],
    /// Offset 0x140.
    pub xss: u64,
    /// Offset 0x148.
    pub cr4: u64,
    /// Offset 0x150.
    pub cr3: u64,
    /// Offset 0x158.
    pub cr0: u64,
    /// Offset 0x160.
    pub dr7: u64,
    /// Offset 0x168.
    pub dr6: u64,
    /// Offset 0x170.
    pub rflags: u64,
    /// Offset 0x178.
    pub rip: u64,
    /// Offset 0x180.
    pub dr0: u64,
    /// Offset 0x188.
    pub dr1: u64,
    /// Offset 0x190.
    pub dr2: u64,
    /// Offset 0x198.
    pub dr3: u64,
    /// Offset 0x1a0.
    pub dr0_addr_mask: u64,
    /// Offset 0x1a8.
    pub dr1_addr_mask: u64,
    /// Offset 0x1b0.
    pub dr2_addr_mask: u64,
    /// Offset 0x1b8.
    pub dr3_addr_mask: u64,
    /// Offset 0x1c0.
    pub reserved_0x1c0: [u8; 24],
    /// Offset 0x1d8.
    pub rsp: u64,
    /// Offset 0x1e0.
    pub s_cet: u64,
    /// Offset 0x1e8.
    pub ssp: u64,
    /// Offset 0x1f0.
    pub isst_addr: u64,
    /// Offset 0x1f8.
    pub rax: u64,
    /// Offset 0x200.
    pub star: u64,
    /// Offset 0x208.
    pub lstar: u64,
    /// Offset 0x210.
    pub cstar: u64,
    /// Offset 0x218.
    pub sfmask: u64,
    /// Offset 0x220.
    pub kernel_gs_base: u64,
    /// Offset 0x228.
    pub sysenter_cs: u64,
    /// Offset 0x230.
    pub sysenter_esp: u64,
    /// Offset 0x238.
    pub sysenter_eip: u64,
    /// Offset 0x240.
    pub cr2: u64,
    /// Offset 0x248.
    pub reserved_0x248: [u8; 32],
    /// Offset 0x268.
    pub g_pat: u64,
    /// Offset 0x270.
    pub dbgctl: u64,
    /// Offset 0x278.
    pub br_from: u64,
    /// Offset 0x280.
    pub br_to: u64,
    /// Offset 0x288.
    pub last_excp_from: u64,
    /// Offset 0x290.
    pub last_excp_to: u64,
    /// Offset 0x298.
    pub reserved_0x298: [u8; 72],
    /// Offset 0x2e0.
    pub spec_ctrl: u64,
    /// Offset 0x2e8.
    pub pkru: u32,
    /// Offset 0x2ec.
    pub tsc_aux: u32,
    /// Offset 0x2f0.
    pub tsc_scale: u64,
    /// Offset 0x2f8.
    pub tsc_offset: u64,
    /// Offset 0x300.
    pub reg_prot_nonce: u64,
    /// Offset 0x308.
    pub rcx: u64,
    /// Offset 0x310.
    pub rdx: u64,
    /// Offset 0x318.
    pub rbx: u64,
    /// Offset 0x320.
    pub reserved_0x320: [u8; 8],
    /// Offset 0x328.
    pub rbp: u64,
    /// Offset 0x330.
    pub rsi: u64,
    /// Offset 0x338.
    pub rdi: u64,
    /// Offset 0x340.
    pub r8: u64,
    /// Offset 0x348.
    pub r9: u64,
    /// Offset 0x350.
    pub r10: u64,
    /// Offset 0x358.
    pub r11: u64,
    /// Offset 0x360.
    pub r12: u64,
    /// Offset 0x368.
    pub r13: u64,
    /// Offset 0x370.
    pub r14: u64,
    /// Offset 0x378.
    pub r15: u64,
    /// Offset 0x380.
    pub reserved_0x380: [u8; 16],
    /// Offset 0x390.
    pub guest_exit_info_1: u64,
    /// Offset 0x398.
    pub guest_exit_info_2: u64,
    /// Offset 0x3a0.
    pub guest_exit_int_info: u64,
    /// Offset 0x3a8.
    pub guest_nrip: u64,
    /// Offset 0x3b0.
    pub sev_features: u64,
    /// Offset 0x3b8.
    pub vintr_ctrl: u64,
    /// Offset 0x3c0.
    pub guest_exit_code: u64,
    /// Offset 0x3c8.
    pub virtual_tom: u64,
    /// Offset 0x3d0.
    pub tlb_id: u64,
    /// Offset 0x3d8.
    pub pcpu_id: u64,
    /// Offset 0x3e0.
    pub event_inj: u64,
    /// Offset 0x3e8.
    pub xcr0: u64,
    /// Offset 0x3f0.
    pub reserved_0x3f0: [u8; 16],
    /// Offset 0x400.
    pub x87_dp: u64,
    /// Offset 0x408.
    pub mxcsr: u32,
    /// Offset 0x40c.
    pub x87_ftw: u16,
    /// Offset 0x40e.
    pub x87_fsw: u16,
    /// Offset 0x410.
    pub x87_fcw: u16,
    /// Offset 0x412.
    pub x87_fop: u16,
    /// Offset 0x414.
    pub x87_ds: u16,
    /// Offset 0x416.
    pub x87_cs: u16,
    /// Offset 0x418.
    pub x87_rip: u64,
    /// Offset 0x420.
    pub fpreg_x87: [u8; 80],
    /// Offset 0x470.
    pub fpreg_xmm: [u8; 256],
    /// Offset 0x570.
    pub fpreg_ymm: [u8; 256],
}

const _: () = {
    assert!(size_of::<Segment>() == 16);
    assert!(size_of::<Vmsa>() == 0x670);
    assert!(offset_of!(Vmsa, es) == 0x0);
    assert!(offset_of!(Vmsa, cs) == 0x10);
    assert!(offset_of!(Vmsa, ss) == 0x20);
    assert!(offset_of!(Vmsa, ds) == 0x30);
    assert!(offset_of!(Vmsa, fs) == 0x40);
    assert!(offset_of!(Vmsa, gs) == 0x50);
    assert!(offset_of!(Vmsa, gdtr) == 0x60);
    assert!(offset_of!(Vmsa, ldtr) == 0x70);
    assert!(offset_of!(Vmsa, idtr) == 0x80);
    assert!(offset_of!(Vmsa, tr) == 0x90);
    assert!(offset_of!(Vmsa, pl0_ssp) == 0xa0);
    assert!(offset_of!(Vmsa, pl1_ssp) == 0xa8);
    assert!(offset_of!(Vmsa, pl2_ssp) == 0xb0);
    assert!(offset_of!(Vmsa, pl3_ssp) == 0xb8);
    assert!(offset_of!(Vmsa, u_cet) == 0xc0);
    assert!(offset_of!(Vmsa, reserved_0xc8) == 0xc8);
    assert!(offset_of!(Vmsa, vmpl) == 0xca);
    assert!(offset_of!(Vmsa, cpl) == 0xcb);
    assert!(offset_of!(Vmsa, reserved_0xcc) == 0xcc);
    assert!(offset_of!(Vmsa, efer) == 0xd0);
    assert!(offset_of!(Vmsa, reserved_0xd8) == 0xd8);
    assert!(offset_of!(Vmsa, xss) == 0x140);
    assert!(offset_of!(Vmsa, cr4) == 0x148);
    assert!(offset_of!(Vmsa, cr3) == 0x150);
    assert!(offset_of!(Vmsa, cr0) == 0x158);
    assert!(offset_of!(Vmsa, dr7) == 0x160);
    assert!(offset_of!(Vmsa, dr6) == 0x168);
    assert!(offset_of!(Vmsa, rflags) == 0x170);
    assert!(offset_of!(Vmsa, rip) == 0x178);
    assert!(offset_of!(Vmsa, dr0) == 0x180);
    assert!(offset_of!(Vmsa, dr1) == 0x188);
    assert!(offset_of!(Vmsa, dr2) == 0x190);
    assert!(offset_of!(Vmsa, dr3) == 0x198);
    assert!(offset_of!(Vmsa, dr0_addr_mask) == 0x1a0);
    assert!(offset_of!(Vmsa, dr1_addr_mask) == 0x1a8);
    assert!(offset_of!(Vmsa, dr2_addr_mask) == 0x1b0);
    assert!(offset_of!(Vmsa, dr3_addr_mask) == 0x1b8);
    assert!(offset_of!(Vmsa, reserved_0x1c0) == 0x1c0);
    assert!(offset_of!(Vmsa, rsp) == 0x1d8);
    assert!(offset_of!(Vmsa, s_cet) == 0x1e0);
    assert!(offset_of!(Vmsa, ssp) == 0x1e8);
    assert!(offset_of!(Vmsa, isst_addr) == 0x1f0);
    assert!(offset_of!(Vmsa, rax) == 0x1f8);
    assert!(offset_of!(Vmsa, star) == 0x200);
    assert!(offset_of!(Vmsa, lstar) == 0x208);
    assert!(offset_of!(Vmsa, cstar) == 0x210);
    assert!(offset_of!(Vmsa, sfmask) == 0x218);
    assert!(offset_of!(Vmsa, kernel_gs_base) == 0x220);
    assert!(offset_of!(Vmsa, sysenter_cs) == 0x228);
    assert!(offset_of!(Vmsa, sysenter_esp) == 0x230);
    assert!(offset_of!(Vmsa, sysenter_eip) == 0x238);
    assert!(offset_of!(Vmsa, cr2) == 0x240);
    assert!(offset_of!(Vmsa, reserved_0x248) == 0x248);
    assert!(offset_of!(Vmsa, g_pat) == 0x268);
    assert!(offset_of!(Vmsa, dbgctl) == 0x270);
    assert!(offset_of!(Vmsa, br_from) == 0x278);
    assert!(offset_of!(Vmsa, br_to) == 0x280);
    assert!(offset_of!(Vmsa, last_excp_from) == 0x288);
    assert!(offset_of!(Vmsa, last_excp_to) == 0x290);
    assert!(offset_of!(Vmsa, reserved_0x298) == 0x298);
    assert!(offset_of!(Vmsa, spec_ctrl) == 0x2e0);
    assert!(offset_of!(Vmsa, pkru) == 0x2e8);
    assert!(offset_of!(Vmsa, tsc_aux) == 0x2ec);
    assert!(offset_of!(Vmsa, tsc_scale) == 0x2f0);
    assert!(offset_of!(Vmsa, tsc_offset) == 0x2f8);
    assert!(offset_of!(Vmsa, reg_prot_nonce) == 0x300);
    assert!(offset_of!(Vmsa, rcx) == 0x308);
    assert!(offset_of!(Vmsa, rdx) == 0x310);
    assert!(offset_of!(Vmsa, rbx) == 0x318);
    assert!(offset_of!(Vmsa, reserved_0x320) == 0x320);
    assert!(offset_of!(Vmsa, rbp) == 0x328);
    assert!(offset_of!(Vmsa, rsi) == 0x330);
    assert!(offset_of!(Vmsa, rdi) == 0x338);
    assert!(offset_of!(Vmsa, r8) == 0x340);
    assert!(offset_of!(Vmsa, r9) == 0x348);
    assert!(offset_of!(Vmsa, r10) == 0x350);
    assert!(offset_of!(Vmsa, r11) == 0x358);
    assert!(offset_of!(Vmsa, r12) == 0x360);
    assert!(offset_of!(Vmsa, r13) == 0x368);
    assert!(offset_of!(Vmsa, r14) == 0x370);
    assert!(offset_of!(Vmsa, r15) == 0x378);
    assert!(offset_of!(Vmsa, reserved_0x380) == 0x380);
    assert!(offset_of!(Vmsa, guest_exit_info_1) == 0x390);
    assert!(offset_of!(Vmsa, guest_exit_info_2) == 0x398);
    assert!(offset_of!(Vmsa, guest_exit_int_info) == 0x3a0);
    assert!(offset_of!(Vmsa, guest_nrip) == 0x3a8);
    assert!(offset_of!(Vmsa, sev_features) == 0x3b0);
    assert!(offset_of!(Vmsa, vintr_ctrl) == 0x3b8);
    assert!(offset_of!(Vmsa, guest_exit_code) == 0x3c0);
    assert!(offset_of!(Vmsa, virtual_tom) == 0x3c8);
    assert!(offset_of!(Vmsa, tlb_id) == 0x3d0);
    assert!(offset_of!(Vmsa, pcpu_id) == 0x3d8);
    assert!(offset_of!(Vmsa, event_inj) == 0x3e0);
    assert!(offset_of!(Vmsa, xcr0) == 0x3e8);
    assert!(offset_of!(Vmsa, reserved_0x3f0) == 0x3f0);
    assert!(offset_of!(Vmsa, x87_dp) == 0x400);
    assert!(offset_of!(Vmsa, mxcsr) == 0x408);
    assert!(offset_of!(Vmsa, x87_ftw) == 0x40c);
    assert!(offset_of!(Vmsa, x87_fsw) == 0x40e);
    assert!(offset_of!(Vmsa, x87_fcw) == 0x410);
    assert!(offset_of!(Vmsa, x87_fop) == 0x412);
    assert!(offset_of!(Vmsa, x87_ds) == 0x414);
    assert!(offset_of!(Vmsa, x87_cs) == 0x416);
    assert!(offset_of!(Vmsa, x87_rip) == 0x418);
    assert!(offset_of!(Vmsa, fpreg_x87) == 0x420);
    assert!(offset_of!(Vmsa, fpreg_xmm) == 0x470);
    assert!(offset_of!(Vmsa, fpreg_ymm) == 0x570);
};

/// EFER.SVME: set in every VMSA that may be entered.
pub const EFER_SVME: u64 = 1 << 12;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;

const CR0_PE: u64 = 1;
const CR0_MP: u64 = 1 << 1;
const CR0_ET: u64 = 1 << 4;
const CR0_NE: u64 = 1 << 5;
const CR0_WP: u64 = 1 << 16;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_MCE: u64 = 1 << 6;

/// The reset values that KVM and silicon agree on.
const PAT_RESET: u64 = 0x0007_0406_0007_0406;
const DR6_RESET: u64 = 0xffff_0ff0;
const DR7_RESET: u64 = 0x400;
const MXCSR_RESET: u32 = 0x1f80;
const FCW_RESET: u16 = 0x37f;
const RFLAGS_RESET: u64 = 2;
const XCR0_RESET: u64 = 1;

impl Vmsa {
    /// Where the secure processor measures every VMSA.
    pub const LAUNCH_GPA: u64 = 0xffff_ffff_f000;

    fn at_reset(vmpl: Vmpl, features: SevFeatures) -> Self {
        let mut vmsa = Self::new_zeroed();
        vmsa.vmpl = vmpl.get();
        vmsa.efer = EFER_SVME;
        vmsa.dr6 = DR6_RESET;
        vmsa.dr7 = DR7_RESET;
        vmsa.rflags = RFLAGS_RESET;
        vmsa.g_pat = PAT_RESET;
        vmsa.xcr0 = XCR0_RESET;
        vmsa.mxcsr = MXCSR_RESET;
        vmsa.x87_fcw = FCW_RESET;
        vmsa.sev_features = features.bits();
        vmsa
    }

    /// A vCPU at the x86 reset vector, in real mode.
    pub fn reset_vector(vmpl: Vmpl, features: SevFeatures) -> Self {
        let mut vmsa = Self::at_reset(vmpl, features);
        let data = Segment::new(0, 0x93, 0xffff, 0);
        vmsa.cs = Segment::new(0xf000, 0x9b, 0xffff, 0xffff_0000);
        (vmsa.ds, vmsa.es, vmsa.ss, vmsa.fs, vmsa.gs) = (data, data, data, data, data);
        vmsa.gdtr = Segment::new(0, 0, 0xffff, 0);
        vmsa.idtr = Segment::new(0, 0, 0xffff, 0);
        vmsa.ldtr = Segment::new(0, 0x82, 0xffff, 0);
        vmsa.tr = Segment::new(0, 0x8b, 0xffff, 0);
        vmsa.cr0 = CR0_CD | CR0_NW | CR0_ET;
        vmsa.rip = 0xfff0;
        vmsa
    }

    /// A vCPU in 64-bit mode with flat segments, interrupts off and empty
    /// descriptor tables. Addresses are linear; `cr3` is physical and carries
    /// no C-bit (walks are private whatever it says).
    pub fn long_mode_start(
        vmpl: Vmpl,
        features: SevFeatures,
        rip: u64,
        rsp: u64,
        cr3: u64,
    ) -> Self {
        let mut vmsa = Self::at_reset(vmpl, features);
        let data = Segment::new(0x10, 0xc93, 0xffff_ffff, 0);
        vmsa.cs = Segment::new(0x08, 0xa9b, 0xffff_ffff, 0);
        (vmsa.ds, vmsa.es, vmsa.ss, vmsa.fs, vmsa.gs) = (data, data, data, data, data);
        vmsa.ldtr = Segment::new(0, 0x82, 0xffff, 0);
        vmsa.tr = Segment::new(0, 0x8b, 0xffff, 0);
        vmsa.efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE;
        vmsa.cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
        vmsa.cr4 = CR4_PAE | CR4_MCE;
        vmsa.cr3 = cr3;
        vmsa.rip = rip;
        vmsa.rsp = rsp;
        vmsa
    }

    /// Whether EFER.SVME lets the vCPU be entered.
    pub const fn is_runnable(&self) -> bool {
        self.efer & EFER_SVME != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reset_vector_is_16_bytes_below_4_gib() {
        let vmsa = Vmsa::reset_vector(Vmpl::VMPL2, SevFeatures::SNP);
        assert_eq!(vmsa.cs.base + vmsa.rip, 0xffff_fff0);
        assert_eq!(vmsa.cr0, 0x6000_0010);
        assert_eq!(vmsa.vmpl, 2);
        assert!(vmsa.is_runnable());
    }
}
