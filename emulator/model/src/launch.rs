//! The launch of a guest by the secure processor: it takes pages in, measures them
//! and hands them to the guest validated (SNP firmware ABI, SNP_LAUNCH_START,
//! SNP_LAUNCH_UPDATE and SNP_LAUNCH_FINISH).

use protocols::addr::{Gpa, PageSize};
use protocols::snp::{Rights, Vmpl};
use sha2::{Digest, Sha384};

use crate::access::guest_page;
use crate::rmp::Rmp;
use crate::types::{Asid, Spa};

/// A launch digest: SHA-384.
pub type LaunchDigest = [u8; 48];

/// The guest address at which every VMSA is measured.
pub const VMSA_GPA: Gpa = Gpa::new(0xffff_ffff_f000);

/// The guest policy that a launch starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy(pub u64);

impl Policy {
    /// Bit 17, which must be one.
    pub const RESERVED_ONE: u64 = 1 << 17;
    /// Bit 18: a migration agent may be associated.
    pub const MIGRATION_AGENT: u64 = 1 << 18;
    /// Bit 19: the host may decrypt the guest's memory.
    pub const DEBUG: u64 = 1 << 19;
    /// Bits 63:26, which must be zero.
    pub const RESERVED_ZERO: u64 = !((1 << 26) - 1);

    /// Whether the reserved bits are as they must be.
    pub const fn is_well_formed(self) -> bool {
        self.0 & Self::RESERVED_ONE != 0 && self.0 & Self::RESERVED_ZERO == 0
    }
}

/// The page types of SNP_LAUNCH_UPDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PageType {
    /// Contents measured.
    Normal = 1,
    /// Contents measured; the page becomes a VMSA.
    Vmsa = 2,
    /// Zeros; the secure processor clears the page.
    Zero = 3,
    /// Contents neither measured nor changed.
    Unmeasured = 4,
    /// The secure processor writes the secrets page.
    Secrets = 5,
    /// The host's CPUID page, checked by the secure processor.
    Cpuid = 6,
}

impl PageType {
    /// Whether the contents go into the launch digest.
    pub const fn is_measured(self) -> bool {
        matches!(self, PageType::Normal | PageType::Vmsa)
    }
}

/// One page of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchPage {
    /// Where it is in system memory.
    pub spa: Spa,
    /// Where the guest sees it: the address in the entry; [`VMSA_GPA`] for VMSAs.
    pub gpa: Gpa,
    /// What it is.
    pub page_type: PageType,
    /// The rights of VMPL1, VMPL2 and VMPL3. VMPL0 has all.
    pub rights: [Rights; 3],
    /// Whether it belongs to an initial migration image.
    pub imi: bool,
}

impl LaunchPage {
    /// A page that only VMPL0 may touch.
    pub const fn new(spa: Spa, gpa: Gpa, page_type: PageType) -> LaunchPage {
        LaunchPage {
            spa,
            gpa,
            page_type,
            rights: [Rights::empty(); 3],
            imi: false,
        }
    }
}

/// Why the secure processor refuses a launch command. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchError {
    /// Reserved bits of the policy.
    Policy,
    /// A page address that is not a multiple of 4 KiB.
    Address,
    /// The page is not in the state before the launch: 4 KiB, given to this guest at
    /// this address by RMPUPDATE, immutable, not validated.
    PageState,
}

/// A guest between SNP_LAUNCH_START and SNP_LAUNCH_FINISH.
///
/// A finished launch takes no more pages:
///
/// ```compile_fail
/// # use snp_model::{launch::*, rmp::Rmp, types::*};
/// # use protocols::addr::Gpa;
/// # let mut rmp = Rmp::new(0x1000);
/// let mut launch = Launch::start(Asid::new(1).unwrap(), Policy(Policy::RESERVED_ONE)).unwrap();
/// let guest = launch.finish();
/// let _ = launch.update(&mut rmp, LaunchPage::new(Spa(0), Gpa::new(0), PageType::Zero), &[0; 4096]);
/// ```
#[derive(Debug)]
pub struct Launch {
    asid: Asid,
    policy: Policy,
    digest: LaunchDigest,
    pages: u64,
}

/// What remains of a launch: what a report says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The guest.
    pub asid: Asid,
    /// Its policy.
    pub policy: Policy,
    /// The launch digest (MEASUREMENT in a report).
    pub digest: LaunchDigest,
    /// How many pages were taken in, measured or not.
    pub pages: u64,
}

impl Launch {
    /// SNP_LAUNCH_START: the digest starts as 48 zero bytes.
    ///
    /// # Errors
    /// [`LaunchError::Policy`].
    pub fn start(asid: Asid, policy: Policy) -> Result<Launch, LaunchError> {
        if !policy.is_well_formed() {
            return Err(LaunchError::Policy);
        }
        Ok(Launch {
            asid,
            policy,
            digest: [0; 48],
            pages: 0,
        })
    }

    /// SNP_LAUNCH_UPDATE of one 4 KiB page: measures it, and leaves it validated,
    /// with the asked rights, no longer immutable, a VMSA if it is one.
    ///
    /// `contents` are hashed for the types whose contents are measured. Clearing a
    /// zero page and writing the secrets page is the caller's: the model owns no
    /// memory here.
    ///
    /// # Errors
    /// In the order of the checks: [`LaunchError::Address`],
    /// [`LaunchError::PageState`].
    pub fn update(
        &mut self,
        rmp: &mut Rmp,
        page: LaunchPage,
        contents: &[u8; 4096],
    ) -> Result<(), LaunchError> {
        if !page.spa.is_aligned(PageSize::Size4K) || !page.gpa.is_aligned(PageSize::Size4K) {
            return Err(LaunchError::Address);
        }
        let entry =
            guest_page(rmp, self.asid, page.spa, page.gpa).map_err(|_| LaunchError::PageState)?;
        let is_ready = entry.size() == PageSize::Size4K
            && entry.is_immutable()
            && !entry.is_validated()
            && !entry.is_vmsa();
        if !is_ready {
            return Err(LaunchError::PageState);
        }
        self.digest = extend(&self.digest, &page, contents);
        self.pages += 1;
        rmp.modify(page.spa, |e| {
            for (vmpl, rights) in [Vmpl::VMPL1, Vmpl::VMPL2, Vmpl::VMPL3]
                .iter()
                .zip(page.rights)
            {
                e.set_rights(*vmpl, rights);
            }
            e.set_vmsa(page.page_type == PageType::Vmsa);
            e.set_validated(true);
            e.clear_immutable();
        });
        Ok(())
    }

    /// The digest so far.
    pub fn digest(&self) -> &LaunchDigest {
        &self.digest
    }

    /// SNP_LAUNCH_FINISH.
    pub fn finish(self) -> Launched {
        Launched {
            asid: self.asid,
            policy: self.policy,
            digest: self.digest,
            pages: self.pages,
        }
    }
}

/// The digest after one more page: SHA-384 of the 0x70 bytes of PAGE_INFO (SNP
/// firmware ABI, "Page Info structure"), which hold the digest before.
pub fn extend(digest: &LaunchDigest, page: &LaunchPage, contents: &[u8; 4096]) -> LaunchDigest {
    const LENGTH: u16 = 0x70;
    let contents: LaunchDigest = if page.page_type.is_measured() {
        Sha384::digest(contents).into()
    } else {
        [0; 48]
    };
    let [vmpl1, vmpl2, vmpl3] = page.rights.map(|r| r.bits());
    let mut hash = Sha384::new();
    hash.update(digest);
    hash.update(contents);
    hash.update(LENGTH.to_le_bytes());
    hash.update([
        page.page_type as u8,
        u8::from(page.imi),
        vmpl3,
        vmpl2,
        vmpl1,
        0,
    ]);
    hash.update(page.gpa.get().to_le_bytes());
    hash.finalize().into()
}
