//! The channel against the model's secure processor, with hosts that carry messages as they like.

mod lies;

use std::collections::BTreeMap;
use std::vec::Vec;

use protocols::ghcb::{ExitCode, Ghcb, GhcbField, GuestRequestResult, RampartReason, Response};
use protocols::snp::{
    FirmwareStatus, GuestFields, GuestMessageHeader, GuestPolicy, MessageType, ReportResponse, Vmpl,
};
use zerocopy::FromZeros;

use super::*;
use crate::fatal::Fatal;
use crate::platform::CERTIFICATE_BYTES;
use crate::testing::{Courier, Machine, Post};

const POLICY: GuestPolicy = GuestPolicy::MUST_BE_ONE;

/// A channel, and a machine whose host carries its messages.
struct Line {
    courier: Courier,
    machine: Machine,
    channel: Channel,
}

impl Line {
    fn honest() -> Self {
        let courier = Courier::new(POLICY);
        let mut machine = Machine::new();
        machine.host.on_page(courier.honest());
        let channel = courier.channel();
        Self {
            courier,
            machine,
            channel,
        }
    }

    fn carried_by(carrier: impl FnMut(&mut Post, &mut Ghcb) -> u64 + Send + 'static) -> Self {
        let mut line = Self::honest();
        let script = line.courier.carried_by(std::boxed::Box::new(carrier));
        line.machine.host.on_page(script);
        line
    }

    fn report(&mut self, data: u8) -> Result<ReportResponse, ChannelError> {
        let mut answer = ReportResponse::new_zeroed();
        self.channel
            .report(&mut self.machine, &[data; 64], None, &mut answer)
            .map(|handed_out| {
                assert!(!handed_out);
                answer
            })
    }

    fn with_certificates(&mut self) -> Result<Option<Vec<u8>>, ChannelError> {
        let mut answer = ReportResponse::new_zeroed();
        let mut table = [0xee; CERTIFICATE_BYTES];
        self.channel
            .report(&mut self.machine, &[1; 64], Some(&mut table), &mut answer)
            .map(|handed_out| handed_out.then(|| table.to_vec()))
    }

    /// The messages that were sent: no two of one number differ.
    fn check_sent(&self) {
        let post = self.courier.post();
        let mut of_number = BTreeMap::new();
        for (_, page) in &post.sent {
            let first = of_number.entry(header(page).sequence).or_insert(page);
            assert!(*first == page, "one number, two messages");
        }
    }

    /// The key is gone, and nothing leaves any more.
    fn check_closed(&mut self) {
        assert!(!self.channel.is_open());
        let sent = self.courier.post().sent.len();
        assert_eq!(self.report(9), Err(ChannelError::Closed));
        let key = self
            .channel
            .derived_key(&mut self.machine, GuestFields::empty());
        assert_eq!(key, Err(ChannelError::Closed));
        assert_eq!(self.courier.post().sent.len(), sent);
        assert_eq!(
            (*self.channel.request, *self.channel.response),
            ([0; 4096], [0; 4096])
        );
    }
}

fn header(page: &Page) -> GuestMessageHeader {
    GuestMessageHeader::read_from_prefix(page).unwrap().0
}

fn host_says(code: u32) -> u64 {
    GuestRequestResult::new(code, 0).0
}

#[test]
fn a_report_is_of_vmpl0_and_over_what_was_asked() {
    let mut line = Line::honest();
    for data in 1..=3 {
        let answer = line.report(data).unwrap();
        assert_eq!(answer.report.vmpl, 0);
        assert_eq!(answer.report.report_data, [data; 64]);
        assert_eq!(answer.report.policy, POLICY.bits());
    }
    let numbers: Vec<_> = line
        .courier
        .post()
        .sent
        .iter()
        .map(|sent| header(&sent.1).sequence)
        .collect();
    assert_eq!(numbers, [1, 3, 5]);
    assert_eq!(
        line.channel.response[..],
        [0; 4096],
        "no answer is left behind"
    );
}

#[test]
fn threat_54_a_message_has_exactly_its_size_and_zeros_behind() {
    let mut line = Line::honest();
    line.report(1).unwrap();
    line.channel
        .derived_key(&mut line.machine, GuestFields::empty())
        .unwrap();
    let sizes = [0x60, 0x20];
    for ((_, page), size) in line.courier.post().sent.iter().zip(sizes) {
        assert_eq!(header(page).info.message_size, size);
        assert!(
            page[0x60 + usize::from(size)..]
                .iter()
                .all(|&byte| byte == 0)
        );
    }
}

#[test]
fn derived_keys_are_the_same_for_the_same_fields() {
    let mut line = Line::honest();
    let mut key = |fields| line.channel.derived_key(&mut line.machine, fields).unwrap();
    let one = key(GuestFields::MEASUREMENT);
    assert_ne!(*one, [0; 32]);
    assert_eq!(key(GuestFields::MEASUREMENT), one);
    assert_ne!(
        key(GuestFields::MEASUREMENT | GuestFields::GUEST_POLICY),
        one
    );
}

#[test]
fn a_refusal_is_an_answer_and_costs_no_key() {
    let mut line = Line::honest();
    let fields = GuestFields::from_bits_retain(1 << 63);
    let key = line.channel.derived_key(&mut line.machine, fields);
    let refused = ChannelError::Refused(FirmwareStatus::INVALID_PARAM);
    assert_eq!(key, Err(refused));
    line.report(1).unwrap();
}

#[test]
fn certificates_come_with_a_report_when_they_fit() {
    let mut line = Line::honest();
    line.courier.post().certificates = (0..9000).map(|at| at as u8).collect();
    let table = line.with_certificates().unwrap().unwrap();
    assert_eq!(table[..9000], line.courier.post().certificates);

    // Too many are none, and the report comes all the same, by the same message.
    line.courier
        .post()
        .certificates
        .resize(CERTIFICATE_BYTES + 1, 0);
    assert_eq!(line.with_certificates(), Ok(None));
    let exits: Vec<_> = line.courier.post().sent.iter().map(|sent| sent.0).collect();
    let (plain, extended) = (ExitCode::GUEST_REQUEST, ExitCode::EXTENDED_GUEST_REQUEST);
    assert_eq!(exits, [extended, extended, plain]);
    line.check_sent();
    line.report(2).unwrap();
}

#[test]
fn threat_50_a_busy_host_gets_the_same_bytes_again() {
    let mut busy = 3;
    let mut line = Line::carried_by(move |post, ghcb| {
        if busy == 0 {
            return post.carry(ghcb);
        }
        busy -= 1;
        // What the host has done to its page does not come back.
        post.request.fill(0xee);
        host_says(GuestRequestResult::HOST_BUSY)
    });
    line.report(1).unwrap();
    assert_eq!(line.courier.post().sent.len(), 4);
    line.check_sent();
}

#[test]
fn threat_50_a_message_that_is_not_answered_is_never_replaced() {
    let mut left = u64::from(RESENDS) + 1;
    let mut line = Line::carried_by(move |post, ghcb| {
        if left == 0 {
            return post.carry(ghcb);
        }
        left -= 1;
        host_says(GuestRequestResult::HOST_BUSY)
    });
    assert_eq!(line.report(1), Err(ChannelError::Busy));
    let first = line.courier.post().sent[0];
    assert!(line.courier.post().sent.iter().all(|sent| *sent == first));
    assert!(line.channel.is_open());
    line.courier.post().sent.clear();

    // Another message goes out, but behind the one that waits.
    assert_eq!(line.report(2).unwrap().report.report_data, [2; 64]);
    let sent = line.courier.post().sent.clone();
    assert_eq!(sent[0], first);
    assert_eq!((sent.len(), header(&sent[1].1).sequence), (2, 3));
}

#[test]
fn threat_50_the_same_question_takes_the_answer_that_waits() {
    let mut left = u64::from(RESENDS) + 1;
    let mut line = Line::carried_by(move |post, ghcb| {
        if left == 0 {
            return post.carry(ghcb);
        }
        left -= 1;
        host_says(GuestRequestResult::HOST_BUSY)
    });
    assert_eq!(line.report(1), Err(ChannelError::Busy));
    line.report(1).unwrap();
    assert_eq!(line.courier.post().psp.count(Vmpl::VMPL0), 2);
    line.check_sent();
}

#[test]
fn threat_50_an_error_wipes_the_key() {
    for code in [
        GuestRequestResult::new(0, FirmwareStatus::INVALID_PARAM.0).0,
        GuestRequestResult::new(3, 0).0,
        GuestRequestResult::new(GuestRequestResult::HOST_BUSY, 1).0,
        u64::MAX,
    ] {
        let mut line = Line::carried_by(move |_, _| code);
        let doubt = ChannelError::Doubt(Doubt::Failed(code));
        assert_eq!(line.report(1), Err(doubt));
        line.check_closed();
    }
}

#[test]
fn threat_50_no_room_for_certificates_that_nobody_wanted_is_a_doubt() {
    let mut line = Line::carried_by(|_, _| host_says(GuestRequestResult::HOST_INVALID_LENGTH));
    assert_eq!(
        line.with_certificates(),
        Err(ChannelError::Doubt(Doubt::OutOfPlace))
    );
    line.check_closed();
    line.check_sent();
}

#[test]
fn a_request_that_the_host_takes_for_malformed_is_a_doubt() {
    let mut line = Line::honest();
    line.machine.host.on_page(|_, ghcb| {
        ghcb.clear_valid();
        ghcb.respond(Response::MALFORMED_INPUT, 6);
    });
    assert_eq!(line.report(1), Err(ChannelError::Doubt(Doubt::Malformed)));
    line.check_closed();
}

#[test]
fn threat_17_an_answer_that_is_not_marked_ends_the_machine() {
    for missing in [GhcbField::EXIT_INFO1, GhcbField::EXIT_INFO2] {
        let mut line = Line::honest();
        line.machine.host.on_page(move |_, ghcb| {
            ghcb.clear_valid();
            for field in [GhcbField::EXIT_INFO1, GhcbField::EXIT_INFO2] {
                if field != missing {
                    ghcb.set(field, 0);
                }
            }
        });
        let end = Fatal::with_detail(RampartReason::BadGhcbAnswer, u64::from(missing.0));
        assert_eq!(line.report(1), Err(ChannelError::Fatal(end)));
    }
}

#[test]
fn the_numbers_end_before_they_come_again() {
    let mut line = Line::honest();
    line.channel.sequence = u64::MAX - 2;
    line.courier.post().psp.set_count(Vmpl::VMPL0, u64::MAX - 3);
    line.report(1).unwrap();
    assert_eq!(line.channel.sequence, u64::MAX);
    let mut line = Line::carried_by(|_, _| 0);
    line.channel.sequence = u64::MAX;
    assert_eq!(line.report(1), Err(ChannelError::Doubt(Doubt::Exhausted)));
    line.check_closed();
}

#[test]
fn no_doubt_and_no_channel_shows_a_secret() {
    let line = Line::honest();
    let text = std::format!("{:?}", line.channel);
    assert_eq!(text, "Channel { is_open: true, .. }");
    let text = std::format!("{}", ChannelError::Doubt(Doubt::Failed(0x16)));
    assert_eq!(text, "the request has failed (0x16): VMPCK0 is wiped");
}

#[test]
fn threat_52_a_request_that_the_host_edits_is_not_what_is_sent_again() {
    let mut first = true;
    let mut line = Line::carried_by(move |post, ghcb| {
        if core::mem::take(&mut first) {
            post.request[0x70] ^= 1;
            return host_says(GuestRequestResult::HOST_BUSY);
        }
        post.carry(ghcb)
    });
    line.report(1).unwrap();
    line.check_sent();
}

#[test]
fn threat_53_the_key_of_another_level_opens_nothing() {
    let mut line = Line::honest();
    let key = crate::testing::vmpck(Vmpl::VMPL2);
    let pages = std::boxed::Box::new(line.courier.clone());
    line.channel = Channel::new(&key, Vmpl::VMPL0, pages).unwrap();
    let bad = GuestRequestResult::new(0, FirmwareStatus::BAD_MEASUREMENT.0).0;
    assert_eq!(line.report(1), Err(ChannelError::Doubt(Doubt::Failed(bad))));
    line.check_closed();
    // A channel of VMPL2 gets reports of VMPL2.
    let mut line = Line::honest();
    let pages = std::boxed::Box::new(line.courier.clone());
    line.channel = Channel::new(&key, Vmpl::VMPL2, pages).unwrap();
    assert_eq!(line.report(1).unwrap().report.vmpl, 2);
    assert_eq!(
        header(&line.courier.post().sent[0].1).info.message_type,
        MessageType::REPORT_REQ
    );
}
