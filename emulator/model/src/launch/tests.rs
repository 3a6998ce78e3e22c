//! The expected digests are computed by Python's hashlib from the list of fields in
//! the firmware ABI, not by this crate or `protocols`: for each page
//!
//! ```python
//! sha384(digest + contents + struct.pack('<HBBBBBBQ', 0x70, type, 0, vmpl3, vmpl2, vmpl1, 0, gpa))
//! ```
//!
//! from a digest of 48 zero bytes, `contents` being sha384 of the page for types 1
//! and 2 and 48 zero bytes for the others.

use super::*;
use crate::entry::RmpEntry;
use crate::host::{HostError, RmpUpdate, rmpupdate};
use crate::testing::*;
use alloc::format;
use alloc::string::String;

const POLICY: GuestPolicy = GuestPolicy::MUST_BE_ONE.union(GuestPolicy::SMT);

/// Byte i is i mod 251.
fn normal_contents() -> Contents {
    core::array::from_fn(|i| (i % 251) as u8)
}

/// Zeros but for EFER = 0x1d00 at offset 0xd0.
fn vmsa_contents() -> Contents {
    core::array::from_fn(|i| if i == 0xd1 { 0x1d } else { 0 })
}

fn hex(digest: &LaunchDigest) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// Launches pages one behind the other from [`SPA`] on.
fn launch(pages: &[(LaunchPageType, u64, Contents)], rights: [Rights; 3]) -> (Rmp, Launched) {
    let mut rmp = Rmp::new(16 << 20);
    let mut launch = Launch::start(guest(), POLICY).unwrap();
    for ((page_type, gpa, contents), i) in pages.iter().zip(0..) {
        let (spa, gpa) = (spa_at(i), Gpa::new(*gpa));
        rmpupdate(&mut rmp, spa, RmpUpdate::to_launch(guest(), gpa)).unwrap();
        let page = LaunchPage {
            rights,
            ..LaunchPage::new(spa, gpa, *page_type)
        };
        launch.update(&mut rmp, page, contents).unwrap();
    }
    (rmp, launch.finish())
}

fn digest(pages: &[(LaunchPageType, u64, Contents)]) -> String {
    hex(&launch(pages, [Rights::empty(); 3]).1.digest)
}

#[test]
fn an_empty_launch_has_a_digest_of_zeros() {
    let launch = Launch::start(guest(), POLICY).unwrap();
    assert_eq!(launch.digest(), &[0; 48]);
    let done = launch.finish();
    assert_eq!((done.asid, done.policy, done.pages), (guest(), POLICY, 0));
    assert_eq!(done.digest, [0; 48]);
}

#[test]
fn zero_pages() {
    let page = |gpa| (LaunchPageType::ZERO, gpa, [0; 4096]);
    assert_eq!(
        digest(&[page(0x1000)]),
        "4bd4147976a1e7554c1c778a781affc1c672f1965a727ba16084989b7e356044\
         a28bbe585a2f75dac9356fa5ab78f061"
    );
    assert_eq!(
        digest(&[page(0x1000), page(0x2000)]),
        "ea37b63d953f133bc2700172e723bceb5066ec1d3126e8f2f67f70f742fd3b17\
         f4c4150c1733bf53638b2c90a14075c9"
    );
}

#[test]
fn one_normal_page() {
    let page = (LaunchPageType::NORMAL, 0x0200_0000, normal_contents());
    assert_eq!(
        digest(&[page]),
        "c3eab317e5cad410d2c5bc082deb4aa5b0b40ee3fd0fe3b01e4e30e9f355a3a7\
         f6bb201d878a167db644b68e99829e88"
    );
}

#[test]
fn one_normal_page_with_rights_for_each_level() {
    let page = (LaunchPageType::NORMAL, 0x0200_0000, normal_contents());
    let (rmp, done) = launch(&[page], [Rights::READ, RW, Rights::all()]);
    assert_eq!(
        hex(&done.digest),
        "4ea50ebf1e9a6af526e624622fbbf91cc9639e401579b20710ed3d81a55ad698\
         9781695d4e4dfb39d831d470f1fe6caf"
    );
    let rights = Vmpl::ALL.map(|v| rmp.entry(SPA).rights(v));
    assert_eq!(rights, [Rights::all(), Rights::READ, RW, Rights::all()]);
}

#[test]
fn one_vmsa() {
    let page = (LaunchPageType::VMSA, VMSA_GPA.get(), vmsa_contents());
    assert_eq!(
        digest(&[page]),
        "ad2996af9a04da1c839820d1a04a2135c6587acb41dc574f558b915b329296d2\
         b126f9f3df2caf9edf218abcbcb2e8d5"
    );
}

#[test]
fn a_whole_launch() {
    let noise = [0xa5; 4096];
    let pages = [
        (LaunchPageType::NORMAL, 0x0200_0000, normal_contents()),
        (LaunchPageType::UNMEASURED, 0x0200_1000, noise),
        (LaunchPageType::CPUID, 0x0201_8000, noise),
        (LaunchPageType::SECRETS, 0x0201_9000, noise),
        (LaunchPageType::ZERO, 0x0201_a000, noise),
        (LaunchPageType::VMSA, VMSA_GPA.get(), vmsa_contents()),
    ];
    let expected = "e8fdc6e13e5bd58b72bdefeb8d22f7cc356fca953c6ed6ecbe4595dc43dd30e5\
                    a06970bdabb17310905136b61423bad4";
    assert_eq!(digest(&pages), expected);

    let (rmp, done) = launch(&pages, [Rights::empty(); 3]);
    assert_eq!(done.pages, 6);
    for ((page_type, gpa, _), i) in pages.iter().zip(0..) {
        let entry = rmp.entry(spa_at(i));
        assert_eq!((entry.asid(), entry.gpa()), (Some(guest()), Gpa::new(*gpa)));
        assert!(entry.is_validated() && !entry.is_immutable());
        assert_eq!(entry.is_vmsa(), *page_type == LaunchPageType::VMSA);
    }
}

#[test]
fn reserved_bits_of_the_policy_are_refused() {
    assert!(Launch::start(guest(), GuestPolicy::MUST_BE_ONE).is_ok());
    assert_eq!(
        Launch::start(guest(), GuestPolicy::SMT).err(),
        Some(LaunchError::Policy)
    );
    for bit in 26..64 {
        let policy = GuestPolicy::from_bits_retain(POLICY.bits() | 1 << bit);
        assert_eq!(
            Launch::start(guest(), policy).err(),
            Some(LaunchError::Policy)
        );
    }
}

/// The launch of one page at [`SPA`] and [`GPA`], and whether the digest moved.
fn try_update(rmp: &mut Rmp, page: LaunchPage) -> Result<(), LaunchError> {
    let mut launch = Launch::start(guest(), POLICY).unwrap();
    let result = launch.update(rmp, page, &[0; 4096]);
    assert_eq!(result.is_ok(), launch.digest() != &[0; 48]);
    result
}

#[test]
fn a_page_not_in_the_state_before_the_launch_is_refused() {
    let page = LaunchPage::new(SPA, GPA, LaunchPageType::NORMAL);
    let given_to = |asid, gpa| {
        let mut rmp = Rmp::new(16 << 20);
        rmpupdate(&mut rmp, SPA, RmpUpdate::to_launch(asid, gpa)).unwrap();
        rmp
    };
    let ready = || given_to(guest(), GPA);
    assert_eq!(try_update(&mut ready(), page), Ok(()));

    for number in [0, 7, 255] {
        let page = LaunchPage {
            page_type: LaunchPageType(number),
            ..page
        };
        assert_eq!(try_update(&mut ready(), page), Err(LaunchError::PageType));
    }
    let crooked = LaunchPage {
        spa: Spa(SPA.0 + 8),
        ..page
    };
    assert_eq!(try_update(&mut ready(), crooked), Err(LaunchError::Address));
    let crooked = LaunchPage {
        gpa: Gpa::new(GPA.get() + 8),
        ..page
    };
    assert_eq!(try_update(&mut ready(), crooked), Err(LaunchError::Address));

    let refused = Err(LaunchError::PageState);
    assert_eq!(try_update(&mut Rmp::new(16 << 20), page), refused);
    assert_eq!(try_update(&mut given_to(other(), GPA), page), refused);
    assert_eq!(try_update(&mut given_to(guest(), gpa_at(1)), page), refused);
    assert_eq!(try_update(&mut given(PageSize::Size4K), page), refused);
    let mut twice = ready();
    assert_eq!(try_update(&mut twice, page), Ok(()));
    assert_eq!(try_update(&mut twice, page), refused);
    let mut large = given(PageSize::Size2M);
    large.modify(SPA, |e| {
        *e = RmpEntry::assigned(guest(), GPA, PageSize::Size2M, true)
    });
    assert_eq!(try_update(&mut large, page), refused);
}

#[test]
fn the_host_cannot_take_a_page_between_rmpupdate_and_launch_update() {
    let mut rmp = Rmp::new(16 << 20);
    rmpupdate(&mut rmp, SPA, RmpUpdate::to_launch(guest(), GPA)).unwrap();
    let taken = RmpUpdate::to_host(PageSize::Size4K);
    assert_eq!(rmpupdate(&mut rmp, SPA, taken), Err(HostError::Permission));
    let page = LaunchPage::new(SPA, GPA, LaunchPageType::NORMAL);
    assert_eq!(try_update(&mut rmp, page), Ok(()));
    assert_eq!(rmpupdate(&mut rmp, SPA, taken), Ok(()));
}
