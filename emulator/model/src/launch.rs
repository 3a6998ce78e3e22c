//! The launch of a guest by the secure processor: it takes pages in, measures them
//! and hands them to the guest validated (SNP firmware ABI, SNP_LAUNCH_START,
//! SNP_LAUNCH_UPDATE and SNP_LAUNCH_FINISH).

pub mod id_block;

use protocols::addr::{Gpa, PAGE_4K, PageSize};
use protocols::snp::{
    GuestPolicy, LAUNCH_DIGEST_SIZE, LaunchPageType, PageInfo, Rights, Vmpl, Vmsa,
};
use sha2::{Digest, Sha384};
use zerocopy::IntoBytes;

use crate::access::guest_page;
use crate::psp::guest;
use crate::rmp::Rmp;
use crate::types::{Asid, Spa};

/// A launch digest: SHA-384.
pub type LaunchDigest = [u8; LAUNCH_DIGEST_SIZE];

/// The contents of a launched page.
pub type Contents = [u8; PAGE_4K as usize];

/// The guest address at which every VMSA is measured, and at which the host has to
/// give it to the guest.
pub const VMSA_GPA: Gpa = Gpa::new(Vmsa::LAUNCH_GPA);

/// The bits of a policy that must be zero: 63:26.
const POLICY_RESERVED: u64 = !((1 << 26) - 1);

/// One page of a launch. A page that belongs to an initial migration image is not
/// modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchPage {
    /// Where it is in system memory.
    pub spa: Spa,
    /// Where the guest sees it: the address in the entry; [`VMSA_GPA`] for VMSAs.
    pub gpa: Gpa,
    /// What it is.
    pub page_type: LaunchPageType,
    /// The rights of VMPL1, VMPL2 and VMPL3. VMPL0 has all.
    pub rights: [Rights; 3],
}

impl LaunchPage {
    /// A page that only VMPL0 may touch.
    pub const fn new(spa: Spa, gpa: Gpa, page_type: LaunchPageType) -> LaunchPage {
        LaunchPage {
            spa,
            gpa,
            page_type,
            rights: [Rights::empty(); 3],
        }
    }
}

/// Why the secure processor refuses a launch command. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchError {
    /// Reserved bits of the policy.
    Policy,
    /// No such page type.
    PageType,
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
/// ```compile_fail,E0382
/// # use snp_model::{launch::*, rmp::Rmp, types::*};
/// # use protocols::{addr::Gpa, snp::*};
/// # let mut rmp = Rmp::new(0x1000);
/// # let zero = LaunchPage::new(Spa(0), Gpa::new(0), LaunchPageType::ZERO);
/// let mut launch = Launch::start(Asid::new(1).unwrap(), GuestPolicy::MUST_BE_ONE).unwrap();
/// let guest = launch.finish();
/// let _ = launch.update(&mut rmp, zero, &[0; 4096]);
/// ```
#[derive(Debug)]
pub struct Launch {
    asid: Asid,
    policy: GuestPolicy,
    digest: LaunchDigest,
    pages: u64,
}

/// What remains of a launch: what a report says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The guest.
    pub asid: Asid,
    /// Its policy.
    pub policy: GuestPolicy,
    /// The launch digest (MEASUREMENT in a report).
    pub digest: LaunchDigest,
    /// How many pages were taken in, measured or not.
    pub pages: u64,
    /// What its ID block says, if it came with one.
    pub id_block: Option<guest::IdBlock>,
}

impl Launch {
    /// SNP_LAUNCH_START: the digest starts as 48 zero bytes.
    ///
    /// # Errors
    /// [`LaunchError::Policy`].
    pub fn start(asid: Asid, policy: GuestPolicy) -> Result<Launch, LaunchError> {
        if !policy.contains(GuestPolicy::MUST_BE_ONE) || policy.bits() & POLICY_RESERVED != 0 {
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
    /// In the order of the checks: [`LaunchError::PageType`],
    /// [`LaunchError::Address`], [`LaunchError::PageState`].
    pub fn update(
        &mut self,
        rmp: &mut Rmp,
        page: LaunchPage,
        contents: &Contents,
    ) -> Result<(), LaunchError> {
        if !(LaunchPageType::NORMAL.0..=LaunchPageType::CPUID.0).contains(&page.page_type.0) {
            return Err(LaunchError::PageType);
        }
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
            e.set_vmsa(page.page_type == LaunchPageType::VMSA);
            e.set_validated(true);
            e.clear_immutable();
        });
        Ok(())
    }

    /// The digest so far.
    pub fn digest(&self) -> &LaunchDigest {
        &self.digest
    }

    /// SNP_LAUNCH_FINISH without an ID block.
    pub fn finish(self) -> Launched {
        Launched {
            asid: self.asid,
            policy: self.policy,
            digest: self.digest,
            pages: self.pages,
            id_block: None,
        }
    }
}

/// The digest after one more page: SHA-384 of PAGE_INFO, which holds the digest
/// before.
pub fn extend(digest: &LaunchDigest, page: &LaunchPage, contents: &Contents) -> LaunchDigest {
    let contents: LaunchDigest = if page.page_type.is_content_measured() {
        Sha384::digest(contents).into()
    } else {
        [0; LAUNCH_DIGEST_SIZE]
    };
    let [vmpl1, vmpl2, vmpl3] = page.rights;
    let info = PageInfo::new(*digest, contents, page.page_type, page.gpa.get())
        .with_rights(vmpl1, vmpl2, vmpl3);
    Sha384::digest(info.as_bytes()).into()
}

#[cfg(test)]
mod tests;
