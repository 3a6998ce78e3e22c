use super::*;
use crate::parse::parse;
use alloc::format;
use alloc::vec::Vec;

fn lies(text: &str) -> Vec<Lie> {
    let lines = parse(text).unwrap();
    lines.into_iter().map(|line| line.lie).collect()
}

fn wrong(text: &str) -> Wrong {
    parse(text).unwrap_err().wrong
}

#[test]
fn every_lie_about_messages_is_read() {
    let text = "
        message busy
        message error 0x100000000
        message drop
        message lose
        message lose 0x200000000
        message hold
        message release
        message edit 0x60 7
        message resend 2 1
        message replay 0 3
        message flip 0xfff 0
        message truncate 4096
        message rewrite 0x60 1
        message watch
        message scribble
        certificates needs 0xffffffffffffffff
        certificates needs more
        certificates keep
        certificates fill 0xff
        certificates poke 0x10 0x0000_1000_ffff_ffff
    ";
    use Lie::*;
    assert_eq!(
        lies(text),
        [
            Message(MessageLie::Error(2 << 32)),
            Message(MessageLie::Error(1 << 32)),
            Message(MessageLie::Drop),
            Message(MessageLie::Lose(0)),
            Message(MessageLie::Lose(2 << 32)),
            Message(MessageLie::Hold),
            MessageRelease,
            Message(MessageLie::Edit {
                offset: 0x60,
                bit: 7
            }),
            Message(MessageLie::Resend { vmpl: 2, number: 1 }),
            Message(MessageLie::Replay { vmpl: 0, number: 3 }),
            Message(MessageLie::Flip {
                offset: 0xfff,
                bit: 0
            }),
            Message(MessageLie::Truncate(4096)),
            Message(MessageLie::Rewrite {
                offset: 0x60,
                value: 1
            }),
            Message(MessageLie::Watch),
            Message(MessageLie::Scribble),
            Certificates(CertificateLie::Needs(u64::MAX)),
            Certificates(CertificateLie::NeedsMore),
            Certificates(CertificateLie::Keep),
            Certificates(CertificateLie::Fill(0xff)),
            Certificates(CertificateLie::Poke {
                offset: 0x10,
                value: 0x1000_ffff_ffff
            }),
        ]
    );
}

#[test]
fn every_forged_field_is_read() {
    for (text, field, value) in [
        (
            "sequence 0xffffffffffffffff",
            ForgedField::Sequence,
            u64::MAX,
        ),
        ("algorithm 2", ForgedField::Algorithm, 2),
        ("header-version 2", ForgedField::HeaderVersion, 2),
        ("header-size 0x40", ForgedField::HeaderSize, 0x40),
        ("type 4", ForgedField::Type, 4),
        ("version 255", ForgedField::Version, 255),
        ("size 0x4bf", ForgedField::Size, 0x4bf),
        ("vmpck 1", ForgedField::Vmpck, 1),
        ("payload 0x24 7", ForgedField::Payload(0x24), 7),
    ] {
        let lie = Lie::Message(MessageLie::Forge { field, value });
        assert_eq!(lies(&format!("message forge {text}")), [lie]);
    }
    assert_eq!(wrong("message forge type 256"), Wrong::TooLarge("a value"));
    assert_eq!(wrong("message forge sequence"), Wrong::Missing("a value"));
    assert_eq!(
        wrong("message forge tag 1"),
        Wrong::Unexpected("tag".into())
    );
}

#[test]
fn a_message_has_4096_bytes_of_8_bits() {
    assert_eq!(wrong("message flip 0x1000 0"), Wrong::TooLarge("an offset"));
    assert_eq!(wrong("message edit 0 8"), Wrong::TooLarge("a bit"));
    assert_eq!(
        wrong("message truncate 4097"),
        Wrong::TooLarge("a number of bytes")
    );
    assert_eq!(wrong("message rewrite 4 1"), Wrong::NotAField);
    assert_eq!(wrong("message replay 4 1"), Wrong::TooLarge("a level"));
    assert_eq!(wrong("certificates fill 256"), Wrong::TooLarge("a byte"));
}

#[test]
fn messages_are_answers_and_a_release_is_a_deed() {
    assert_eq!(wrong("when pvalidate #1 message drop"), Wrong::NotAnExit);
    assert!(parse("when enter vmpl0 #3 message release").is_ok());
}
