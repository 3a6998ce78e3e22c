//! Several vCPUs: they are made in any order, and two requests at once that want the same thing.
//! Run by the first VMSA where there are four vCPUs.

use protocols::addr::GpaPage;
use protocols::svsm::{CoreCall, ProtocolId, ProtocolQuery, PvalidateEntry, Request, SvsmResult};

use super::attestation;
use crate::arch::memory;
use crate::check::{Check, Outcome, check, holds, result, same, succeeds};
use crate::hands::{self, hand};
use crate::list::{List, validate};
use crate::lives;
use crate::playground::{Area, is_ordinary};
use crate::svsm;
use crate::vcpus::{self, area_pages, free_page, vmsa_page};

/// vCPUs that the checks need, the first among them.
pub(crate) const VCPUS: usize = 4;

pub(crate) const CHECKS: &[Check] = &[
    check("several vCPUs/memory for them", vcpus::open),
    check("create_vcpu/in any order, started in another", any_order),
    check("several vCPUs/each is served", each_is_served),
    check("delete_vcpu/of a VMSA that runs: it runs on", running),
    check(
        "delete_vcpu/of a VMSA that the host was told to stop",
        stopped,
    ),
    check("delete_vcpu/the own VMSA does not return", own),
    check(
        "delete_vcpu/by three at once: one succeeds",
        deleted_at_once,
    ),
    check(
        "create_vcpu/by three at once: one succeeds",
        created_at_once,
    ),
    check(
        "create_vcpu/of a page that is rescinded at once",
        created_and_rescinded,
    ),
    check("remap_ca/to the calling areas of others", remap_to_others),
    check("remap_ca/to what another has left", remap_to_left),
    check("remap_ca/by three at once: one succeeds", remapped_at_once),
    check(
        "pvalidate/by three at once: one succeeds",
        validated_at_once,
    ),
    check(
        "attestation/by three at once: each has its own",
        attested_at_once,
    ),
    check(
        "vtpm/2,000 commands of two at once, each answer right",
        super::vtpm::by_two_at_once,
    ),
    check(
        "vtpm/calls of others go on while an RSA key is made",
        super::vtpm::others_go_on,
    ),
    check("several vCPUs/all of them can be deleted", end),
];

/// How often two or three do something at once.
const ROUNDS: usize = 40;
/// The vCPUs that are told what to do; the last one is made and deleted most of the time.
const HANDS: [usize; 3] = [1, 2, 3];
const LAST: usize = 3;
const QUERY: [u64; 4] = [
    ProtocolQuery {
        protocol: ProtocolId::CORE,
        version: 1,
    }
    .rcx(),
    0,
    0,
    0,
];

fn address(page: GpaPage) -> u64 {
    page.gpa().get()
}

fn any_order() -> Outcome {
    for vcpu in [3, 1, 2] {
        succeeds("result", vcpus::create(vcpu, 0, hand, vcpu as u64))?;
    }
    for vcpu in [2, 3, 1] {
        holds("AP creation", vcpus::run(vcpu, 0))?;
    }
    HANDS.into_iter().try_for_each(hands::is_up)
}

fn is_served(vcpu: usize) -> Outcome {
    let answer = hands::call(vcpu, Request::core(CoreCall::QUERY_PROTOCOL), QUERY);
    same("a call of another vCPU", answer.0, 0u64)
}

fn each_is_served() -> Outcome {
    HANDS.into_iter().try_for_each(is_served)
}

fn delete(vcpu: usize) -> svsm::Reply {
    svsm::core(CoreCall::DELETE_VCPU, address(vmsa_page(vcpu, 0)))
}

fn running() -> Outcome {
    for vcpu in HANDS.into_iter().cycle().take(ROUNDS) {
        result("result", delete(vcpu), SvsmResult::CORE_FAIL_INUSE)?;
        is_served(vcpu)?;
    }
    Ok(())
}

fn start_last() -> Outcome {
    vcpus::start(LAST, 0, hand, LAST as u64)?;
    hands::is_up(LAST)?;
    is_served(LAST)
}

fn is_deleted(vcpu: usize) -> Outcome {
    let [area, other] = area_pages(vcpu, 0);
    for page in [vmsa_page(vcpu, 0), area, other] {
        is_ordinary(page)?;
    }
    result("again", delete(vcpu), SvsmResult::INVALID_PARAMETER)
}

/// OVMF starts its processors again like this, and takes no second try when the first fails.
fn stopped() -> Outcome {
    for _ in 0..ROUNDS / 4 {
        holds("AP destruction", vcpus::stop(LAST, 0))?;
        hands::forget(LAST);
        succeeds("result", delete(LAST))?;
        is_deleted(LAST)?;
        start_last()?;
    }
    Ok(())
}

fn own() -> Outcome {
    let vmsa = address(vmsa_page(LAST, 0));
    hands::tell(LAST, Request::core(CoreCall::DELETE_VCPU), [vmsa, 0, 0, 0]);
    // Its page is one like any other then, and a validated one.
    let gone = |_| validate(vmsa_page(LAST, 0)).result == SvsmResult::CORE_NO_CHANGE;
    holds("the VMSA is gone", (0..1_000_000).any(gone))?;
    hands::forget(LAST);
    is_deleted(LAST)?;
    start_last()
}

/// The same call by the first three vCPUs at once.
fn at_once(call: CoreCall, arguments: impl Fn(usize) -> [u64; 4]) -> [SvsmResult; 3] {
    let request = Request::core(call);
    for vcpu in [1, 2] {
        hands::tell(vcpu, request, arguments(vcpu));
    }
    let own = svsm::call(request, arguments(0)).result;
    [own, hands::answer(1), hands::answer(2)]
}

fn attested_at_once() -> Outcome {
    for _ in 0..ROUNDS / 4 {
        let orders = [0, 1, 2].map(attestation::prepare_own);
        for vcpu in [1, 2] {
            let (request, arguments) = orders[vcpu];
            hands::tell(vcpu, request, arguments);
        }
        let (request, arguments) = orders[0];
        succeeds("result", svsm::call(request, arguments))?;
        for vcpu in [1, 2] {
            same("result of another", hands::answer(vcpu).0, 0u64)?;
        }
        [0, 1, 2].into_iter().try_for_each(attestation::is_own)?;
    }
    Ok(())
}

/// One of them has succeeded, and the others had one of these results.
fn one_has_it(results: [SvsmResult; 3], others: &[SvsmResult]) -> Outcome {
    let successes = results.iter().filter(|result| result.is_success()).count();
    same("successes", successes as u64, 1u64)?;
    let other = |result: &&SvsmResult| !result.is_success() && !others.contains(result);
    match results.iter().find(other) {
        Some(other) => same("the result of the others", other.0, others[0].0),
        None => Ok(()),
    }
}

fn deleted_at_once() -> Outcome {
    for _ in 0..ROUNDS / 4 {
        hands::rest(LAST)?;
        let vmsa = address(vmsa_page(LAST, 0));
        // The hand has said that it rests while it still ran.
        let results = loop {
            let results = at_once(CoreCall::DELETE_VCPU, |_| [vmsa, 0, 0, 0]);
            if results
                .iter()
                .any(|result| *result != SvsmResult::CORE_FAIL_INUSE)
            {
                break results;
            }
        };
        one_has_it(
            results,
            &[SvsmResult::INVALID_PARAMETER, SvsmResult::CORE_FAIL_INUSE],
        )?;
        is_deleted(LAST)?;
        start_last()?;
    }
    Ok(())
}

/// Deletes the last vCPU's VMSA while it rests.
fn delete_last() -> Outcome {
    hands::rest(LAST)?;
    let gone = |_| delete(LAST).result.is_success();
    holds("deletion", (0..1_000_000).any(gone))
}

/// Content of a VMSA of the last vCPU in this page, which may be none.
fn put_vmsa(page: GpaPage) {
    let stack = memory::stacks_of(LAST)[0];
    memory::fill(address(page), page.bytes(), 0);
    memory::write(address(page), &lives::vmsa_of(LAST, hand, stack, 0));
}

fn created_at_once() -> Outcome {
    delete_last()?;
    let page = vmsa_page(LAST, 0);
    for _ in 0..ROUNDS {
        put_vmsa(page);
        let results = at_once(CoreCall::CREATE_VCPU, |vcpu| {
            let area = free_page(vcpu, 0);
            [address(page), address(area), LAST as u64, 0]
        });
        one_has_it(results, &[SvsmResult::INVALID_ADDRESS])?;
        succeeds("deletion", delete(LAST))?;
        is_ordinary(page)?;
    }
    Ok(())
}

/// A list of one entry, which this vCPU submits.
fn list(vcpu: usize, page: GpaPage, validate: bool) -> u64 {
    let list = List(address(free_page(vcpu, 1)));
    list.write_new(&[PvalidateEntry::new(page, validate)]);
    list.0
}

fn created_and_rescinded() -> Outcome {
    let page = Area::WORK.page(0x60);
    let area = free_page(0, 0);
    for round in 0..ROUNDS {
        put_vmsa(page);
        let rescission = [list(1, page, false), 0, 0, 0];
        let creation = [address(page), address(area), LAST as u64, 0];
        hands::tell(1, Request::core(CoreCall::PVALIDATE), rescission);
        // Now this one is first, now the other.
        (0..round * 50).for_each(|_| core::hint::spin_loop());
        let created = svsm::call(Request::core(CoreCall::CREATE_VCPU), creation).result;
        let rescinded = hands::answer(1);
        match (created.is_success(), rescinded.is_success()) {
            (true, false) => {
                same("rescission", rescinded.0, SvsmResult::INVALID_ADDRESS.0)?;
                let deleted = svsm::core(CoreCall::DELETE_VCPU, address(page));
                succeeds("deletion", deleted)?;
            }
            (false, true) => {
                same("creation", created.0, SvsmResult::INVALID_ADDRESS.0)?;
                let list = list(0, page, true);
                succeeds("validation", svsm::core(CoreCall::PVALIDATE, list))?;
            }
            (both, _) => holds("one of the two", !both)?,
        }
        is_ordinary(page)?;
    }
    start_last()
}

fn remap(vcpu: usize, to: u64) -> SvsmResult {
    hands::call(vcpu, Request::core(CoreCall::REMAP_CA), [to, 0, 0, 0])
}

fn remap_to_others() -> Outcome {
    for vcpu in HANDS {
        let area = address(area_pages(vcpu, 0)[0]);
        let own = svsm::core(CoreCall::REMAP_CA, area);
        result("the first vCPU", own, SvsmResult::INVALID_ADDRESS)?;
        let other = HANDS[vcpu % HANDS.len()];
        same(
            "another vCPU",
            remap(other, area).0,
            SvsmResult::INVALID_ADDRESS.0,
        )?;
        same(
            "the first vCPU's",
            remap(vcpu, svsm::calling_area()).0,
            SvsmResult::INVALID_ADDRESS.0,
        )?;
        is_served(vcpu)?;
    }
    Ok(())
}

/// Moves a hand's calling area and tells it so.
fn move_hand(vcpu: usize, to: u64) -> Outcome {
    same("result of the other", remap(vcpu, to).0, 0u64)?;
    svsm::use_calling_area_of(vcpu, to);
    is_served(vcpu)
}

fn remap_to_left() -> Outcome {
    let [first, second] = area_pages(1, 0).map(address);
    let mine = svsm::calling_area();
    for _ in 0..ROUNDS {
        move_hand(1, second)?;
        succeeds("result", svsm::core(CoreCall::REMAP_CA, first))?;
        svsm::use_calling_area(first);
        let back = remap(1, first);
        same("taken", back.0, SvsmResult::INVALID_ADDRESS.0)?;
        succeeds("result", svsm::core(CoreCall::REMAP_CA, mine))?;
        svsm::use_calling_area(mine);
        move_hand(1, first)?;
    }
    Ok(())
}

fn remapped_at_once() -> Outcome {
    let wanted = address(free_page(0, 2));
    let homes = [
        svsm::calling_area(),
        address(area_pages(1, 0)[0]),
        address(area_pages(2, 0)[0]),
    ];
    for _ in 0..ROUNDS {
        let results = at_once(CoreCall::REMAP_CA, |_| [wanted, 0, 0, 0]);
        one_has_it(results, &[SvsmResult::INVALID_ADDRESS])?;
        for (vcpu, result) in results.iter().enumerate() {
            if !result.is_success() {
                continue;
            }
            svsm::use_calling_area_of(vcpu, wanted);
            match vcpu {
                0 => {
                    let back = svsm::core(CoreCall::REMAP_CA, homes[0]);
                    succeeds("back", back)?;
                    svsm::use_calling_area(homes[0]);
                }
                other => move_hand(other, homes[other])?,
            }
        }
    }
    Ok(())
}

fn validated_at_once() -> Outcome {
    let page = Area::WORK.page(0x61);
    for round in 0..ROUNDS {
        let validate = round % 2 == 1;
        let lists = [0, 1, 2].map(|vcpu| list(vcpu, page, validate));
        let results = at_once(CoreCall::PVALIDATE, |vcpu| [lists[vcpu], 0, 0, 0]);
        one_has_it(results, &[SvsmResult::CORE_NO_CHANGE])?;
    }
    is_ordinary(page)
}

fn end() -> Outcome {
    for vcpu in HANDS {
        hands::rest(vcpu)?;
        let gone = |_| delete(vcpu).result.is_success();
        holds("deletion", (0..1_000_000).any(gone))?;
        is_deleted(vcpu)?;
    }
    Ok(())
}
