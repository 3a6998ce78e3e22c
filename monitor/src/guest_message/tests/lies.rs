//! Answers that are not the answer.

use std::vec;

use proptest::prelude::*;
use snp_model::psp::message;

use super::*;
use crate::testing::vmpck;

/// What a host does with one message.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Carry,
    /// Says that it is busy, and has not carried it.
    Busy,
    /// Says that it is busy, and has carried it.
    LateBusy,
    /// Says that it was carried, and has not.
    Drop,
    /// Says that it has failed, and has carried it.
    LateError,
    NoRoom,
    /// Carries it, and gives an older answer instead.
    Replay(usize),
    /// Carries it, and changes one bit of the answer.
    Flip(usize),
    /// Carries it, and keeps only so much of the answer.
    Truncate(usize),
    /// Changes one bit of the request before it carries it.
    Edit(usize),
    /// Carries another message of VMPL0's instead.
    Old(usize),
}

impl Deed {
    fn done(self, post: &mut Post, ghcb: &mut Ghcb) -> u64 {
        match self {
            Deed::Carry => post.carry(ghcb),
            Deed::Busy => host_says(GuestRequestResult::HOST_BUSY),
            Deed::LateBusy => {
                post.carry(ghcb);
                host_says(GuestRequestResult::HOST_BUSY)
            }
            Deed::Drop => 0,
            Deed::LateError => {
                post.carry(ghcb);
                host_says(0xff)
            }
            Deed::NoRoom => host_says(GuestRequestResult::HOST_INVALID_LENGTH),
            Deed::Replay(which) => {
                post.carry(ghcb);
                let count = post.answers.len();
                if count != 0 {
                    post.response = post.answers[which % count];
                }
                0
            }
            Deed::Flip(bit) => {
                let result = post.carry(ghcb);
                post.response[bit / 8 % 0x5c0] ^= 1 << (bit % 8);
                result
            }
            Deed::Truncate(len) => {
                let result = post.carry(ghcb);
                post.response[len % 0x520..].fill(0);
                result
            }
            Deed::Edit(bit) => {
                post.request[bit / 8 % 0xc0] ^= 1 << (bit % 8);
                post.carry(ghcb)
            }
            Deed::Old(which) => {
                post.request = post.sent[which % post.sent.len()].1;
                post.carry(ghcb)
            }
        }
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => Just(Deed::Carry),
        3 => Just(Deed::Busy),
        1 => Just(Deed::LateBusy),
        1 => Just(Deed::Drop),
        1 => Just(Deed::LateError),
        1 => Just(Deed::NoRoom),
        1 => any::<usize>().prop_map(Deed::Replay),
        1 => any::<usize>().prop_map(Deed::Flip),
        1 => any::<usize>().prop_map(Deed::Truncate),
        1 => any::<usize>().prop_map(Deed::Edit),
        1 => any::<usize>().prop_map(Deed::Old),
    ]
}

/// A line whose host does these deeds, and is honest afterwards.
fn line_of(deeds: Vec<Deed>) -> Line {
    let mut deeds = deeds.into_iter();
    Line::carried_by(move |post, ghcb| deeds.next().unwrap_or(Deed::Carry).done(post, ghcb))
}

proptest! {
    #![proptest_config(crate::testing::cases(256))]

    #[test]
    fn threat_50_threat_51_threat_52_no_host_makes_two_messages_of_one_number_or_a_false_answer(
        deeds in prop::collection::vec(deed(), 1..12),
        kinds in prop::collection::vec(0u8..3, 1..8),
    ) {
        let mut line = line_of(deeds);
        let mut closed = false;
        for (data, kind) in (1u8..).zip(kinds) {
            let result = match kind {
                0 => line.report(data).map(|answer| {
                    assert_eq!(answer.report.report_data, [data; 64]);
                    assert_eq!(answer.report.vmpl, 0);
                }),
                1 => line.with_certificates().map(|_| ()),
                _ => {
                    let fields = GuestFields::MEASUREMENT;
                    line.channel.derived_key(&mut line.machine, fields).map(|_| ())
                }
            };
            match result {
                Ok(()) => prop_assert!(!closed),
                Err(ChannelError::Doubt(_)) => {
                    prop_assert!(!closed);
                    closed = true;
                }
                Err(ChannelError::Closed) => prop_assert!(closed),
                Err(other) => prop_assert!(false, "{other:?}"),
            }
            prop_assert_eq!(line.channel.is_open(), !closed);
        }
        line.check_sent();
        if closed {
            line.check_closed();
        }
    }

    #[test]
    fn threat_51_any_bit_of_an_answer_closes_the_channel_but_those_that_mean_nothing(
        bit in 0usize..0x520 * 8,
    ) {
        let mut line = line_of(Vec::from([Deed::Flip(bit)]));
        // Behind the tag, and beside the number: nobody vouches for them, nobody reads them.
        let means_nothing = (0x10..0x20).contains(&(bit / 8)) || (0x28..0x30).contains(&(bit / 8));
        let result = line.report(1);
        prop_assert_eq!(result.is_ok(), means_nothing, "{:?}", result);
        prop_assert_eq!(line.channel.is_open(), means_nothing);
    }
}

/// Gives an answer that the secure processor's key has sealed, with another header.
fn sealed_as(change: impl Fn(&mut GuestMessageHeader) + Send + 'static) -> Line {
    Line::carried_by(move |post, ghcb| {
        let result = post.carry(ghcb);
        let mut answer = post.response;
        let key = vmpck(Vmpl::VMPL0);
        let plain = message::open(&key, &mut answer).unwrap().to_vec();
        let mut header = message::header(&post.response);
        change(&mut header);
        let size = usize::from(header.info.message_size);
        let mut plain = plain;
        plain.resize(size, 0);
        message::seal(
            &key,
            header.sequence,
            header.info,
            &plain,
            &mut post.response,
        )
        .unwrap();
        result
    })
}

/// Each field is looked at by itself, the tag being right for all of them.
#[test]
fn threat_51_threat_54_each_field_of_an_authentic_answer_is_checked() {
    type Change = fn(&mut GuestMessageHeader);
    let cases: [(Change, Doubt); 10] = [
        (|h| h.sequence -= 1, Doubt::WrongSequence),
        (|h| h.sequence += 2, Doubt::WrongSequence),
        (|h| h.info.algorithm = 2, Doubt::WrongFormat),
        (|h| h.info.header_version = 0, Doubt::WrongFormat),
        (|h| h.info.header_size = 0x5f, Doubt::WrongFormat),
        (
            |h| h.info.message_type = MessageType::KEY_REQ.answer(),
            Doubt::WrongType,
        ),
        (|h| h.info.message_version = 2, Doubt::WrongVersion),
        (|h| h.info.vmpck = 1, Doubt::WrongKey),
        (|h| h.info.message_size -= 1, Doubt::WrongSize),
        (|h| h.info.message_size += 1, Doubt::WrongSize),
    ];
    for (change, doubt) in cases {
        let mut line = sealed_as(change);
        assert_eq!(line.report(1), Err(ChannelError::Doubt(doubt)));
        line.check_closed();
    }
    sealed_as(|_| ()).report(1).unwrap();
}

#[test]
fn threat_54_a_size_beyond_the_page_is_refused() {
    let mut line = Line::carried_by(|post, ghcb| {
        let result = post.carry(ghcb);
        post.response[0x36..0x38].fill(0xff);
        result
    });
    assert_eq!(line.report(1), Err(ChannelError::Doubt(Doubt::WrongSize)));
}

#[test]
fn an_answer_that_is_only_a_refusal_may_end_early() {
    let refusal = |status: u8| {
        Line::carried_by(move |post, ghcb| {
            let result = post.carry(ghcb);
            let mut header = message::header(&post.response);
            header.info.message_size = 0x20;
            let mut plain = [0; 0x20];
            plain[0] = status;
            let key = vmpck(Vmpl::VMPL0);
            let page = &mut post.response;
            message::seal(&key, header.sequence, header.info, &plain, page).unwrap();
            result
        })
    };
    let refused = ChannelError::Refused(FirmwareStatus::INVALID_KEY);
    let mut line = refusal(0x27);
    assert_eq!(line.report(1), Err(refused));
    assert!(line.channel.is_open());
}

/// The head of a report, by itself, would be a report full of zeros: one that no policy forbids.
#[test]
fn threat_54_an_answer_that_is_no_refusal_has_its_size() {
    let cut = || sealed_as(|header| header.info.message_size = 0x20);
    let wrong_size = ChannelError::Doubt(Doubt::WrongSize);
    let mut line = cut();
    assert_eq!(line.report(0), Err(wrong_size));
    line.check_closed();
    let mut line = cut();
    let key = line
        .channel
        .derived_key(&mut line.machine, GuestFields::empty());
    assert_eq!(key, Err(wrong_size));
    line.check_closed();
}

#[test]
fn threat_51_an_answer_is_not_taken_twice() {
    let mut kept = None;
    let mut line = Line::carried_by(move |post, ghcb| match kept {
        None => {
            let result = post.carry(ghcb);
            kept = Some(post.response);
            result
        }
        Some(first) => {
            post.carry(ghcb);
            post.response = first;
            0
        }
    });
    line.report(1).unwrap();
    assert_eq!(
        line.report(1),
        Err(ChannelError::Doubt(Doubt::WrongSequence))
    );
    line.check_closed();
}
