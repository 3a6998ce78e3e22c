//! CREATE_VCPU with something wrong. After each refusal the page is ordinary memory: the level has
//! its rights back. What is right is in [`crate::lives`].

use protocols::addr::GpaPage;
use protocols::snp::{EFER_SVME, Vmpl, Vmsa};
use protocols::svsm::SvsmResult;

use super::unusable;
use crate::arch::{exceptions, memory};
use crate::check::{Check, Outcome, check, refused, same};
use crate::lives::{self, apic_id, create_vcpu};
use crate::playground::{Area, is_ordinary};
use crate::svsm;

pub(crate) const CHECKS: &[Check] = &[
    check("create_vcpu/VMSA of another level", level),
    check("create_vcpu/VMSA of a level that does not exist", no_level),
    check("create_vcpu/VMSA with EFER.SVME clear", not_runnable),
    check(
        "create_vcpu/VMSA with foreign SEV_FEATURES",
        foreign_features,
    ),
    check("create_vcpu/VMSA of zeroes", zeroes),
    check("create_vcpu/VMSA aligned to 2 MiB", aligned_to_2m),
    check("create_vcpu/VMSA not aligned", misaligned_vmsa),
    check("create_vcpu/calling area not aligned", misaligned_area),
    check("create_vcpu/calling area is the VMSA", same_page),
    check(
        "create_vcpu/VMSA is the calling area in use",
        live_area_as_vmsa,
    ),
    check("create_vcpu/calling area is in use", live_area),
    check("create_vcpu/unknown APIC ID", unknown_apic_id),
    check("create_vcpu/VMSA at unusable addresses", unusable_vmsa),
    check(
        "create_vcpu/calling area at unusable addresses",
        unusable_area,
    ),
    check("create_vcpu/pages that are not validated", not_validated),
];

const VMSA: GpaPage = Area::WORK.page(0x20);
const AREA: GpaPage = Area::WORK.page(0x21);

/// Writes a VMSA that would be right but for `change`.
fn put(page: GpaPage, change: impl Fn(&mut Vmsa)) {
    let mut content = lives::vmsa(lives::never, Area::WORK.page(0x30).gpa().get());
    change(&mut content);
    memory::write(page.gpa().get(), &content);
}

/// Right content in [`VMSA`], and a call with these arguments.
fn create(vmsa: u64, area: u64, apic_id: u64) -> svsm::Reply {
    put(VMSA, |_| {});
    create_vcpu(vmsa, area, apic_id)
}

/// A VMSA with a wrong field has to be refused, and to keep its content.
fn is_refused(what: &'static str, change: impl Fn(&mut Vmsa)) -> Outcome {
    put(VMSA, change);
    let reply = create_vcpu(VMSA.gpa().get(), AREA.gpa().get(), apic_id().into());
    refused(what, reply, SvsmResult::INVALID_PARAMETER)?;
    let content: Vmsa = memory::read(VMSA.gpa().get());
    same(
        "GDTR of the refused VMSA",
        content.gdtr.base,
        exceptions::gdt().base,
    )?;
    is_ordinary(VMSA)
}

/// Right content, and addresses or an APIC ID that have to be refused.
fn refuses(vmsa: u64, area: u64, apic_id: u64, want: SvsmResult) -> Outcome {
    refused("result", create(vmsa, area, apic_id), want)?;
    is_ordinary(VMSA)?;
    is_ordinary(AREA)
}

fn level() -> Outcome {
    let own = svsm::level();
    for level in Vmpl::ALL.into_iter().filter(|level| *level != own) {
        is_refused("result", |vmsa| vmsa.vmpl = level.get())?;
    }
    Ok(())
}

fn no_level() -> Outcome {
    for level in [4, 0x82, u8::MAX] {
        is_refused("result", |vmsa| vmsa.vmpl = level)?;
    }
    Ok(())
}

fn not_runnable() -> Outcome {
    is_refused("result", |vmsa| vmsa.efer &= !EFER_SVME)
}

fn foreign_features() -> Outcome {
    is_refused("without SNP", |vmsa| vmsa.sev_features = 0)?;
    for bit in [1, 2, 3, 4, 5, 9, 16, 63] {
        is_refused("a bit changed", |vmsa| vmsa.sev_features ^= 1 << bit)?;
    }
    Ok(())
}

fn zeroes() -> Outcome {
    memory::fill(VMSA.gpa().get(), VMSA.bytes(), 0);
    let reply = create_vcpu(VMSA.gpa().get(), AREA.gpa().get(), apic_id().into());
    refused("result", reply, SvsmResult::INVALID_PARAMETER)?;
    is_ordinary(VMSA)
}

/// An erratum makes such a page fault for no reason.
fn aligned_to_2m() -> Outcome {
    let first = Area::WORK.page(0);
    put(first, |_| {});
    let reply = create_vcpu(first.gpa().get(), AREA.gpa().get(), apic_id().into());
    refused("result", reply, SvsmResult::INVALID_PARAMETER)?;
    is_ordinary(first)
}

fn misaligned_vmsa() -> Outcome {
    for offset in [1, 8, 0x800] {
        let vmsa = VMSA.gpa().get() + offset;
        refuses(
            vmsa,
            AREA.gpa().get(),
            apic_id().into(),
            SvsmResult::INVALID_PARAMETER,
        )?;
    }
    Ok(())
}

fn misaligned_area() -> Outcome {
    for offset in [1, 8, 0x800] {
        let area = AREA.gpa().get() + offset;
        refuses(
            VMSA.gpa().get(),
            area,
            apic_id().into(),
            SvsmResult::INVALID_PARAMETER,
        )?;
    }
    Ok(())
}

fn same_page() -> Outcome {
    let page = VMSA.gpa().get();
    refuses(page, page, apic_id().into(), SvsmResult::INVALID_PARAMETER)
}

fn live_area_as_vmsa() -> Outcome {
    let area = svsm::calling_area();
    refuses(
        area,
        AREA.gpa().get(),
        apic_id().into(),
        SvsmResult::INVALID_ADDRESS,
    )
}

fn live_area() -> Outcome {
    let area = svsm::calling_area();
    refuses(
        VMSA.gpa().get(),
        area,
        apic_id().into(),
        SvsmResult::INVALID_ADDRESS,
    )
}

fn unknown_apic_id() -> Outcome {
    let own = u64::from(apic_id());
    for apic_id in [own + 0x7700, u64::from(u32::MAX), own + (1 << 32), u64::MAX] {
        let (vmsa, area) = (VMSA.gpa().get(), AREA.gpa().get());
        refuses(vmsa, area, apic_id, SvsmResult::INVALID_PARAMETER)?;
    }
    Ok(())
}

fn unusable_vmsa() -> Outcome {
    let own = apic_id().into();
    unusable::are_refused(|gpa| create(gpa, AREA.gpa().get(), own))
}

fn unusable_area() -> Outcome {
    let own = apic_id().into();
    unusable::are_refused(|gpa| create(VMSA.gpa().get(), gpa, own))?;
    is_ordinary(VMSA)
}

fn not_validated() -> Outcome {
    let (own, hole) = (apic_id().into(), Area::INVALID.page(2).gpa().get());
    let vmsa = create(hole, AREA.gpa().get(), own);
    refused("VMSA", vmsa, SvsmResult::INVALID_ADDRESS)?;
    let area = create(VMSA.gpa().get(), hole, own);
    refused("calling area", area, SvsmResult::INVALID_ADDRESS)?;
    is_ordinary(VMSA)
}
