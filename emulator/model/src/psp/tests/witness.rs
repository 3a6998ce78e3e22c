//! Who reads along sees what must not be, and nothing else.

use super::*;
use crate::psp::witness::{Seen, Witness};

fn report(sequence: u64, key: Vmpl, vmpl: u32) -> Page {
    let of = report_request(vmpl);
    numbered(sequence, key, MessageType::REPORT_REQ, 1, of.as_bytes())
}

fn witness() -> Witness {
    Witness::new(Vmpl::ALL.map(key_of))
}

#[test]
fn the_same_bytes_may_be_sent_again() {
    let mut witness = witness();
    let page = report(1, Vmpl::VMPL0, 0);
    assert_eq!(witness.sent(Vmpl::VMPL0, &page), Ok(()));
    assert_eq!(witness.sent(Vmpl::VMPL0, &page), Ok(()));
    assert_eq!(
        witness.sent(Vmpl::VMPL0, &report(3, Vmpl::VMPL0, 1)),
        Ok(())
    );
}

#[test]
fn a_number_is_used_for_one_message() {
    let mut witness = witness();
    let twice = Seen::NumberTwice {
        key: 0,
        sequence: 1,
    };
    assert_eq!(
        witness.sent(Vmpl::VMPL0, &report(1, Vmpl::VMPL0, 0)),
        Ok(())
    );
    assert_eq!(
        witness.sent(Vmpl::VMPL0, &report(1, Vmpl::VMPL0, 1)),
        Err(twice)
    );
    // Another key, another number; and a lower level does with its own what it likes.
    let other = report(1, Vmpl::VMPL1, 1);
    assert_eq!(witness.sent(Vmpl::VMPL0, &other), Ok(()));
    for vmpl in [2, 3] {
        let page = report(1, Vmpl::VMPL2, vmpl);
        assert_eq!(witness.sent(Vmpl::VMPL2, &page), Ok(()));
    }
}

#[test]
fn the_number_of_an_answer_is_used() {
    let (mut psp, mut witness) = (processor(), witness());
    let page = report(1, Vmpl::VMPL0, 0);
    let mut answer = [0; size_of::<Page>()];
    assert_eq!(witness.sent(Vmpl::VMPL0, &page), Ok(()));
    assert_eq!(
        psp.guest_request(&page, &mut answer),
        FirmwareStatus::SUCCESS
    );
    witness.answered(&answer);
    let sent = witness.sent(Vmpl::VMPL0, &report(2, Vmpl::VMPL0, 0));
    assert_eq!(
        sent,
        Err(Seen::NumberTwice {
            key: 0,
            sequence: 2
        })
    );
}

#[test]
fn what_no_key_opens_says_nothing() {
    let mut witness = witness();
    for at in [0, 0x20, 0x34, 0x3c, 0x60] {
        let mut page = report(1, Vmpl::VMPL0, 0);
        page[at] ^= 1;
        assert_eq!(witness.sent(Vmpl::VMPL0, &page), Ok(()));
        assert_eq!(witness.sent(Vmpl::VMPL2, &page), Ok(()));
    }
    let page = report(1, Vmpl::VMPL0, 3);
    assert_eq!(witness.sent(Vmpl::VMPL0, &page), Ok(()));
}

#[test]
fn a_level_has_no_key_of_one_above_it() {
    for level in Vmpl::ALL {
        for key in Vmpl::ALL {
            let sent = witness().sent(level, &report(1, key, 3));
            let expected = match key < level {
                true => Err(Seen::ForeignKey {
                    level,
                    key: key.get(),
                }),
                false => Ok(()),
            };
            assert_eq!(sent, expected);
        }
    }
}

#[test]
fn keys_that_vmpl0_had_derived_are_remembered() {
    let (mut psp, mut witness) = (processor(), witness());
    let mut ask = |key: Vmpl, vmpl: u32| {
        let mut of = KeyRequest::new_zeroed();
        of.vmpl = vmpl;
        let bytes = &of.as_bytes()[..KeyRequest::SIZE_V1];
        let page = request(&psp, key, MessageType::KEY_REQ, 1, bytes);
        let mut answer = [0; size_of::<Page>()];
        assert_eq!(
            psp.guest_request(&page, &mut answer),
            FirmwareStatus::SUCCESS
        );
        witness.answered(&answer);
        witness.derived().len()
    };
    assert_eq!(ask(Vmpl::VMPL0, 0), 1);
    assert_eq!(ask(Vmpl::VMPL0, 0), 1);
    assert_eq!(ask(Vmpl::VMPL0, 2), 2);
    // Those of another level, and answers without a key, do not count.
    assert_eq!(ask(Vmpl::VMPL2, 3), 2);
    assert_eq!(ask(Vmpl::VMPL0, 7), 2);
    let [first, second] = witness.derived() else {
        panic!("two keys");
    };
    assert_ne!(first, second);
    assert!(!format!("{witness:?}").contains(&format!("{}, {}", first[0], first[1])));
}
