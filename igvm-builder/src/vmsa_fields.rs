//! The fields of a VMSA by name: to say which of them differ.

use std::mem::offset_of;

use protocols::snp::Vmsa;
use serde::Serialize;

use crate::layout::PAGE_SIZE;

/// A VMSA as it is measured: a page.
pub type VmsaPage = [u8; PAGE_SIZE as usize];

/// A field, or one part of a segment register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The manual's name.
    pub name: &'static str,
    /// The part of a segment register.
    pub part: Option<&'static str>,
    /// The byte offset in the page.
    pub offset: usize,
    /// The size in bytes.
    pub size: usize,
}

/// A field that has two values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The field's name, `cs.base` for a part of a segment register.
    pub field: String,
    /// The first value, most significant digit first.
    pub first: String,
    /// The second value.
    pub second: String,
}

macro_rules! offsets {
    ($($name:ident)*) => {
        /// Every field of [`Vmsa`] with its offset, in their order.
        const OFFSETS: &[(&str, usize)] = &[$((stringify!($name), offset_of!(Vmsa, $name))),*];
    };
}
offsets! {
    es cs ss ds fs gs gdtr ldtr idtr tr pl0_ssp pl1_ssp pl2_ssp pl3_ssp u_cet reserved_0xc8 vmpl
    cpl reserved_0xcc efer reserved_0xd8 xss cr4 cr3 cr0 dr7 dr6 rflags rip dr0 dr1 dr2 dr3
    dr0_addr_mask dr1_addr_mask dr2_addr_mask dr3_addr_mask reserved_0x1c0 rsp s_cet ssp isst_addr
    rax star lstar cstar sfmask kernel_gs_base sysenter_cs sysenter_esp sysenter_eip cr2
    reserved_0x248 g_pat dbgctl br_from br_to last_excp_from last_excp_to reserved_0x298 spec_ctrl
    pkru tsc_aux tsc_scale tsc_offset reg_prot_nonce rcx rdx rbx reserved_0x320 rbp rsi rdi r8 r9
    r10 r11 r12 r13 r14 r15 reserved_0x380 guest_exit_info_1 guest_exit_info_2 guest_exit_int_info
    guest_nrip sev_features vintr_ctrl guest_exit_code virtual_tom tlb_id pcpu_id event_inj xcr0
    reserved_0x3f0 x87_dp mxcsr x87_ftw x87_fsw x87_fcw x87_fop x87_ds x87_cs x87_rip fpreg_x87
    fpreg_xmm fpreg_ymm
}

/// The parts of a segment register: name, offset, size.
const SEGMENT: [(&str, usize, usize); 4] = [
    ("selector", 0, 2),
    ("attributes", 2, 2),
    ("limit", 4, 4),
    ("base", 8, 8),
];
const SEGMENT_REGISTERS: usize = 10;

/// All bytes of a VMSA page as fields, those after the defined part as one.
pub fn fields() -> impl Iterator<Item = Field> {
    let ends = OFFSETS.iter().skip(1).map(|(_, offset)| *offset);
    let ends = ends.chain([size_of::<Vmsa>()]);
    let whole = OFFSETS.iter().zip(ends).map(|((name, offset), end)| Field {
        name,
        part: None,
        offset: *offset,
        size: end - offset,
    });
    let segments = whole.clone().take(SEGMENT_REGISTERS).flat_map(|register| {
        SEGMENT.map(|(part, offset, size)| Field {
            part: Some(part),
            offset: register.offset + offset,
            size,
            ..register
        })
    });
    let rest = Field {
        name: "after_the_save_area",
        part: None,
        offset: size_of::<Vmsa>(),
        size: PAGE_SIZE as usize - size_of::<Vmsa>(),
    };
    segments.chain(whole.skip(SEGMENT_REGISTERS)).chain([rest])
}

impl Field {
    /// Its bytes in `page`.
    pub fn of<'a>(&self, page: &'a VmsaPage) -> &'a [u8] {
        &page[self.offset..self.offset + self.size]
    }

    /// `cs.base`, `cr0`.
    pub fn full_name(&self) -> String {
        match self.part {
            Some(part) => format!("{}.{part}", self.name),
            None => self.name.into(),
        }
    }

    /// Its value in `page` in hexadecimal; of a long field the first bytes that are set.
    pub fn value(&self, page: &VmsaPage) -> String {
        let bytes = self.of(page);
        match bytes.len() {
            0..=8 => {
                let number = bytes
                    .iter()
                    .rev()
                    .fold(0u64, |n, byte| n << 8 | u64::from(*byte));
                format!("{number:#x}")
            }
            _ => match bytes.iter().position(|byte| *byte != 0) {
                Some(at) => {
                    let shown = &bytes[at..bytes.len().min(at + 8)];
                    format!("+{at:#x}: {}", crate::hex::digits(shown))
                }
                None => "0".into(),
            },
        }
    }
}

/// The fields in which two VMSAs differ.
pub fn differences(first: &VmsaPage, second: &VmsaPage) -> Vec<Difference> {
    let differing = fields().filter(|field| field.of(first) != field.of(second));
    differing
        .map(|field| Difference {
            field: field.full_name(),
            first: field.value(first),
            second: field.value(second),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_belongs_to_one_field() {
        let mut end = 0;
        for field in fields() {
            assert_eq!(field.offset, end, "{field:?}");
            assert_ne!(field.size, 0, "{field:?}");
            end += field.size;
        }
        assert_eq!(end, PAGE_SIZE as usize);
    }

    #[test]
    fn differences_are_named() {
        let zero = [0; PAGE_SIZE as usize];
        let mut other = zero;
        other[offset_of!(Vmsa, cs) + 9] = 0x12;
        other[offset_of!(Vmsa, rip)] = 1;
        other[0xFFF] = 0xAB;
        let named = differences(&zero, &other);
        let text: Vec<_> = named
            .iter()
            .map(|difference| {
                format!(
                    "{} {} {}",
                    difference.field, difference.first, difference.second
                )
            })
            .collect();
        assert_eq!(
            text,
            [
                "cs.base 0x0 0x1200",
                "rip 0x0 0x1",
                "after_the_save_area 0 +0x98f: ab"
            ]
        );
    }
}
