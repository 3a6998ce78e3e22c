//! What the launch left behind, and what the guest's level may not do.

use protocols::addr::{Gpa, GpaRange, PAGE_4K, PageSize};
use protocols::boot::layout::{
    FIRMWARE_BASE, FIRMWARE_SIZE, GUEST_CALLING_AREA, GUEST_CPUID_PAGE, GUEST_PARAMETER_AREA,
    GUEST_SECRETS_PAGE, GUEST_VP_COUNT_OFFSET,
};
use protocols::boot::params::MemoryMapType;
use protocols::ghcb::{ExitCode, HvFeatures};
use protocols::snp::{
    CpuidPage, EncryptionFeatures, Rights, RmpAttributes, RmpResult, SVSM_MAX_VERSION, SecretsPage,
    SevStatus, VMPCK_SIZE, Vmpl,
};
use zerocopy::IntoBytes;

use super::unusable;
use crate::arch::cpu::{self, Tried};
use crate::arch::exceptions::{self, Exception};
use crate::arch::layout::{PLAYGROUND, PLAYGROUND_SIZE};
use crate::arch::memory;
use crate::check::{Check, Failure, Outcome, check, holds, same};
use crate::playground::{self, Area, page_at};
use crate::{host, svsm};

pub(crate) const CHECKS: &[Check] = &[
    check("launch/secrets page: where the SVSM is", svsm_range),
    check(
        "launch/secrets page: calling area, version, level",
        svsm_fields,
    ),
    check(
        "launch/secrets page: keys of the levels above are wiped",
        keys,
    ),
    check("launch/secrets page: the rest is empty", reserved),
    check("launch/calling area is zero", empty_calling_area),
    check("launch/CPUID page", cpuid_page),
    check("launch/SEV_STATUS", sev_status),
    check("launch/memory map leaves the SVSM out", memory_map),
    check("launch/number of processors", processors),
    check("launch/hypervisor features", features),
    check("level/RMPADJUST of VMPL1 fails", rmpadjust),
    check("level/RMPADJUST of the own level fails", rmpadjust_own),
    check("level/PVALIDATE raises #GP", pvalidate),
    check(
        "level/access to a page that is not validated raises #VC",
        not_validated,
    ),
];

/// The secrets page, where the launch put it.
#[inline(never)]
fn secrets() -> SecretsPage {
    memory::read(GUEST_SECRETS_PAGE)
}

fn svsm_range() -> Outcome {
    let svsm = svsm::described();
    same("svsm_base", svsm.base, FIRMWARE_BASE)?;
    holds("svsm_size covers the firmware", svsm.size >= FIRMWARE_SIZE)?;
    same("svsm_size in page", svsm.size % PAGE_4K, 0u64)
}

fn svsm_fields() -> Outcome {
    let secrets = secrets();
    same("svsm_caa", secrets.svsm_caa, GUEST_CALLING_AREA)?;
    same(
        "svsm_max_version",
        secrets.svsm_max_version,
        SVSM_MAX_VERSION,
    )?;
    holds(
        "guest VMPL is 1 to 3",
        (1..=3).contains(&secrets.svsm_guest_vmpl),
    )
}

fn keys() -> Outcome {
    let wiped = [0; VMPCK_SIZE];
    let level = svsm::level().index();
    for (index, key) in secrets().vmpck.iter().enumerate() {
        let what = if index < level {
            "a key is wiped"
        } else {
            "a key is there"
        };
        holds(what, (*key == wiped) == (index < level))?;
    }
    Ok(())
}

fn reserved() -> Outcome {
    let secrets = secrets();
    let notes = secrets.os_area.as_bytes().iter().all(|byte| *byte == 0);
    holds("the guest's notes are empty", notes)?;
    let rest = secrets.reserved_0x164.iter().all(|byte| *byte == 0);
    holds("reserved bytes are zero", rest)
}

fn empty_calling_area() -> Outcome {
    playground::holds_only("content", page_at(GUEST_CALLING_AREA, PageSize::Size4K), 0)
}

fn cpuid_page() -> Outcome {
    let page: CpuidPage = memory::read(GUEST_CPUID_PAGE);
    holds("the count fits", page.entries().is_ok())?;
    let wanted = EncryptionFeatures::SEV | EncryptionFeatures::SEV_ES | EncryptionFeatures::SNP;
    let leaf = page.memory_encryption();
    holds(
        "leaf 0x8000001F",
        leaf.is_some_and(|leaf| leaf.features().contains(wanted)),
    )
}

fn sev_status() -> Outcome {
    let wanted = SevStatus::SEV | SevStatus::SEV_ES | SevStatus::SEV_SNP;
    same(
        "SEV, SEV-ES, SNP",
        (cpu::sev_status() & wanted).bits(),
        wanted.bits(),
    )
}

fn memory_map() -> Outcome {
    let svsm = svsm::described();
    let svsm = GpaRange::new(Gpa::new(svsm.base), svsm.size);
    let playground = GpaRange::new(Gpa::new(PLAYGROUND), PLAYGROUND_SIZE);
    let (Some(svsm), Some(playground)) = (svsm, playground) else {
        return holds("the SVSM's range does not wrap", false);
    };
    let mut found = false;
    for entry in unusable::memory_map()
        .iter()
        .take_while(|entry| !entry.is_end())
    {
        let range = GpaRange::from_pages(entry.first_page.get(), entry.pages.get());
        let ram = entry.kind() == MemoryMapType::MEMORY;
        found |= ram && range.is_some_and(|range| range.contains_range(playground));
        holds("an entry is a range", range.is_some())?;
        holds(
            "an entry has none of the SVSM",
            !range.is_some_and(|range| range.overlaps(svsm)),
        )?;
    }
    holds("the playground is RAM", found)
}

fn processors() -> Outcome {
    let count: u32 = memory::read(GUEST_PARAMETER_AREA + GUEST_VP_COUNT_OFFSET);
    holds("at least one", count >= 1)
}

fn features() -> Outcome {
    let wanted = HvFeatures::SNP | HvFeatures::AP_CREATION | HvFeatures::MULTI_VMPL;
    let offered = host::features().unwrap_or_default();
    same(
        "SNP, AP creation, several VMPLs",
        (offered & wanted).bits(),
        wanted.bits(),
    )
}

/// The answer of an RMPADJUST.
fn answer(tried: Tried<RmpResult>, want: RmpResult) -> Outcome {
    match tried {
        Tried::Done(code) => same("EAX", code.0, want.0),
        Tried::Raised(exception) => same("exception", exception.vector, 0u8),
    }
}

/// The exception of an instruction.
fn raises<T>(tried: Tried<T>, vector: u8, error_code: u64) -> Result<(), Failure> {
    match tried {
        Tried::Done(_) => same("exception", 0u8, vector),
        Tried::Raised(Exception {
            vector: raised,
            error_code: code,
        }) => {
            same("exception", raised, vector)?;
            same("error code", code, error_code)
        }
    }
}

/// Linux and OVMF find out so whether they are at VMPL0.
fn rmpadjust() -> Outcome {
    let attributes = RmpAttributes::new(Vmpl::VMPL1, Rights::all(), false);
    answer(
        cpu::rmpadjust(GUEST_CALLING_AREA, attributes),
        RmpResult::FAIL_PERMISSION,
    )
}

fn rmpadjust_own() -> Outcome {
    let attributes = RmpAttributes::new(svsm::level(), Rights::all(), true);
    answer(
        cpu::rmpadjust(GUEST_CALLING_AREA, attributes),
        RmpResult::FAIL_PERMISSION,
    )
}

fn pvalidate() -> Outcome {
    let tried = cpu::pvalidate(GUEST_CALLING_AREA, PageSize::Size4K, false);
    raises(tried, exceptions::GP, 0)
}

fn not_validated() -> Outcome {
    let page = Area::SMALL.page(0);
    playground::make_private(page)?;
    raises_not_validated(page.gpa().get())
}

/// A load there raises #VC because the page is not validated.
pub(crate) fn raises_not_validated(gpa: u64) -> Outcome {
    raises(
        cpu::read(gpa),
        exceptions::VC,
        ExitCode::PAGE_NOT_VALIDATED.0,
    )
}
