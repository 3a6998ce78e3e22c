use super::*;
use crate::lie::Register;
use alloc::format;
use alloc::vec::Vec;
use proptest::prelude::*;

fn lies(text: &str) -> Vec<Lie> {
    let lines = parse(text).unwrap();
    lines.into_iter().map(|line| line.lie).collect()
}

fn point_of(text: &str) -> Point {
    let lines = parse(&format!("when {text} force-4k")).unwrap();
    assert_eq!(lines[0].points.len(), 1);
    lines[0].points[0]
}

fn wrong(text: &str) -> Wrong {
    parse(text).unwrap_err().wrong
}

#[test]
fn every_lie_is_read() {
    let text = "
        sev-features set 0x800
        cpuid 0x8000001f 0 ebx 51
        cpuid-count 65
        memory-map clear
        memory-map add 0x1_0000_0000 0x2000 1
        vp-count 0
        hv-features set 0x40
        hv-features clear 0x20
        ghcb-versions 3 4
        c-bit 47
        force-4k
        force-4k off
        remap 0x2400000
        swap 0x2400000
        move 0x2019000 0x830000
        unassign 0x2000000
        smash 0x2400000
        inject 0x80
        inject 13 0
        forge-vc 0x7b
        psc pretend
        psc partial 3
        psc backwards
        psc overshoot
        psc error 0x100000000
        psc opposite
        msr answer 0xfff
        ghcb silent
        ghcb invalid
        ghcb exception 6
        ghcb exception 13 0x10
        ghcb set rax 1
        ghcb flip 0x3a0 2
        ghcb watch
        ghcb poke scratch 3
        shared poke TRANSFER_PAGES 0x8 4
        shared set 0x5000 0 5
        shared rewrite TRANSFER_PAGES+0x1000 0xff8 6
        shared watch 0x6000
        run-vmpl spurious
        run-vmpl refuse
        run-vmpl level 3
        apic-ids 3 0 5 5
        apic-ids 513
        ap-creation never
        ap-creation on 2
        ap-creation twice 2
        ap-creation at 2
        resume-after-termination 5
        policy set 0x80000
        policy clear 0x10000
    ";
    use Lie::*;
    assert_eq!(
        lies(text),
        [
            SevFeatures(0x800),
            Cpuid {
                leaf: 0x8000_001f,
                subleaf: 0,
                register: Register::Ebx,
                value: 51
            },
            CpuidCount(65),
            MemoryMapClear,
            MemoryMapAdd {
                first_page: 0x10_0000,
                pages: 2,
                kind: 1
            },
            VpCount(0),
            HvFeatures {
                set: 0x40,
                clear: 0
            },
            HvFeatures {
                set: 0,
                clear: 0x20
            },
            GhcbVersions { min: 3, max: 4 },
            CBit(47),
            Force4k(true),
            Force4k(false),
            Remap(0x240_0000),
            Swap(0x240_0000),
            Move {
                from: 0x201_9000,
                to: 0x83_0000
            },
            Unassign(0x200_0000),
            Smash(0x240_0000),
            Inject {
                vector: 0x80,
                error: None
            },
            Inject {
                vector: 13,
                error: Some(0)
            },
            ForgeVc(0x7b),
            Psc(PscLie::Pretend),
            Psc(PscLie::Partial(3)),
            Psc(PscLie::Backwards),
            Psc(PscLie::Overshoot),
            Psc(PscLie::Error(1 << 32)),
            Psc(PscLie::Opposite),
            MsrAnswer(0xfff),
            Ghcb(GhcbLie::Silent),
            Ghcb(GhcbLie::Invalid),
            Ghcb(GhcbLie::Exception {
                vector: 6,
                error: None
            }),
            Ghcb(GhcbLie::Exception {
                vector: 13,
                error: Some(0x10)
            }),
            Ghcb(GhcbLie::Set {
                offset: 0x1f8,
                value: 1
            }),
            Ghcb(GhcbLie::Flip {
                offset: 0x3a0,
                value: 2
            }),
            Ghcb(GhcbLie::Watch),
            GhcbPoke {
                offset: 0x3a8,
                value: 3
            },
            SharedPoke {
                page: 0x1820_0000,
                offset: 8,
                value: 4
            },
            Shared(SharedLie::Set {
                page: 0x5000,
                offset: 0,
                value: 5
            }),
            Shared(SharedLie::Rewrite {
                page: 0x1820_1000,
                offset: 0xff8,
                value: 6
            }),
            Shared(SharedLie::Watch(0x6000)),
            RunVmpl(RunVmplLie::Spurious),
            RunVmpl(RunVmplLie::Refuse),
            RunVmpl(RunVmplLie::Level(3)),
            ApicIds {
                count: 3,
                ids: [0, 5, 5, 0, 0, 0, 0, 0]
            },
            ApicIds {
                count: 513,
                ids: [0; 8]
            },
            ApCreation(ApCreationLie::Never),
            ApCreation(ApCreationLie::On(2)),
            ApCreation(ApCreationLie::Twice(2)),
            ApCreation(ApCreationLie::At(2)),
            ResumeAfterTermination(5),
            Policy {
                set: 0x8_0000,
                clear: 0
            },
            Policy {
                set: 0,
                clear: 0x1_0000
            },
        ]
    );
}

#[test]
fn a_count_can_be_a_range() {
    let times = |text| point_of(&format!("vmgexit {text}")).times;
    assert_eq!(times("#2-4"), Times::Between(2, 4));
    assert_eq!(times("#3-3"), Times::Between(3, 3));
    let counts: Vec<bool> = (1..6).map(|n| times("#2-4").contains(n)).collect();
    assert_eq!(counts, [false, true, true, true, false]);
    for text in ["#4-2", "#0-1", "#1-", "#-1", "#1-2-3", "#1-2+"] {
        let text = format!("when vmgexit {text} force-4k");
        assert!(matches!(wrong(&text), Wrong::NotANumber(..)), "{text}");
    }
}

#[test]
fn every_point_is_read() {
    let point = |moment, vmpl, times| Point {
        moment,
        vmpl,
        times,
    };
    for (text, expected) in [
        ("vmgexit", point(Moment::Vmgexit, None, Times::Every)),
        (
            "vmgexit vmpl0 #5",
            point(Moment::Vmgexit, Some(0), Times::Only(5)),
        ),
        (
            "nae 0x80000010 #2+",
            point(Moment::Nae(0x8000_0010), None, Times::From(2)),
        ),
        (
            "msr 0x014 vmpl2",
            point(Moment::Msr(0x14), Some(2), Times::Every),
        ),
        (
            "pvalidate 0x2400000",
            point(Moment::Pvalidate(Some(0x240_0000)), None, Times::Every),
        ),
        (
            "pvalidate vmpl0 #1",
            point(Moment::Pvalidate(None), Some(0), Times::Only(1)),
        ),
        (
            "rmpadjust #3",
            point(Moment::Rmpadjust(None), None, Times::Only(3)),
        ),
        (
            "enter vmpl0 #3",
            point(Moment::Enter, Some(0), Times::Only(3)),
        ),
        ("terminate", point(Moment::Terminate, None, Times::Every)),
    ] {
        assert_eq!(point_of(text), expected, "{text}");
    }
}

#[test]
fn comments_and_empty_lines_count_as_lines() {
    let lines = parse("# what it shows\n\n  force-4k  \r\n").unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].number, 3);
    assert_eq!(lines[0].text, "force-4k");
    assert!(lines[0].points.is_empty());
}

#[test]
fn points_follow_each_other() {
    let lines = parse("when pvalidate #1 then enter vmpl2 then msr 0x16 #2 force-4k").unwrap();
    let moments: Vec<_> = lines[0].points.iter().map(|point| point.moment).collect();
    assert_eq!(
        moments,
        [Moment::Pvalidate(None), Moment::Enter, Moment::Msr(0x16)]
    );
    assert_eq!(wrong("when enter then"), Wrong::Missing("a point"));
    assert_eq!(wrong("then enter force-4k"), Wrong::NoWhen);
    // The last point is the one that asks.
    assert_eq!(wrong("when msr 2 then enter psc pretend"), Wrong::NotAnExit);
}

#[test]
fn pages_have_the_names_of_the_image_layout() {
    use protocols::boot::layout::{BOOT_GHCB, KERNEL_AREA_BASE};
    assert_eq!(
        lies("remap KERNEL_AREA_BASE+0x3000\nunassign BOOT_GHCB"),
        [
            Lie::Remap(KERNEL_AREA_BASE + 0x3000),
            Lie::Unassign(BOOT_GHCB)
        ]
    );
    assert_eq!(
        lies("memory-map add FIRMWARE_BASE 0x1000 0"),
        [Lie::MemoryMapAdd {
            first_page: protocols::boot::layout::FIRMWARE_BASE / 0x1000,
            pages: 1,
            kind: 0
        }]
    );
    let point = point_of("pvalidate KERNEL_AREA_BASE vmpl0");
    assert_eq!(point.moment, Moment::Pvalidate(Some(KERNEL_AREA_BASE)));
    for text in ["remap NOWHERE", "remap BOOT_GHCB+", "remap BOOT_GHCB+x"] {
        assert!(matches!(wrong(text), Wrong::NotANumber(..)), "{text}");
    }
    assert_eq!(
        wrong("remap BOOT_GHCB+1"),
        Wrong::NotAPage("a page's address")
    );
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let error = parse("force-4k\n\nforce-8k").unwrap_err();
    assert_eq!(
        format!("{error}"),
        "line 3: \"force-8k\" means nothing here"
    );
    for (text, expected) in [
        ("force-4k now", Wrong::unexpected("now")),
        // A comment stands on a line of its own: # is a count here.
        ("force-4k # now", Wrong::unexpected("#")),
        ("when", Wrong::Missing("a point")),
        ("when vmgexit", Wrong::Missing("a lie")),
        ("when dawn force-4k", Wrong::unexpected("dawn")),
        ("vmgexit #1 force-4k", Wrong::NoWhen),
        (
            "when vmgexit #0 force-4k",
            Wrong::not_a_number("a count from 1", "0"),
        ),
        (
            "when vmgexit #x force-4k",
            Wrong::not_a_number("a count from 1", "x"),
        ),
        (
            "when vmgexit vmpl4 force-4k",
            Wrong::not_a_number("a level", "4"),
        ),
        (
            "when msr 0x1000 force-4k",
            Wrong::TooLarge("a request's number"),
        ),
        (
            "when pvalidate 0x1001 force-4k",
            Wrong::NotAPage("a page's address"),
        ),
        ("remap 0x1001", Wrong::NotAPage("a page's address")),
        (
            "remap here",
            Wrong::not_a_number("a page's address", "here"),
        ),
        ("remap", Wrong::Missing("a page's address")),
        ("vp-count 0x100000000", Wrong::TooLarge("a count")),
        ("inject 256", Wrong::TooLarge("a vector")),
        ("inject 13 x", Wrong::not_a_number("an error code", "x")),
        ("psc later", Wrong::unexpected("later")),
        ("psc", Wrong::Missing("how")),
        ("run-vmpl level 4", Wrong::TooLarge("a level")),
        ("apic-ids", Wrong::Missing("a count")),
        ("apic-ids 9 0 1 2 3 4 5 6 7 8", Wrong::unexpected("8")),
        ("apic-ids 1 x", Wrong::not_a_number("an APIC ID", "x")),
        ("ap-creation on", Wrong::Missing("an APIC ID")),
        ("ap-creation at 4", Wrong::TooLarge("a level")),
        ("ap-creation later", Wrong::unexpected("later")),
        ("when enter ap-creation never", Wrong::NotAnExit),
        ("when vmgexit vp-count 1", Wrong::LaunchHasNoPoint),
        ("when enter #1 psc pretend", Wrong::NotAnExit),
        (
            "when vmgexit #1 resume-after-termination 1",
            Wrong::NotAnExit,
        ),
    ] {
        assert_eq!(wrong(text), expected, "{text}");
    }
}

#[test]
fn a_scenario_is_small() {
    let text = "force-4k\n".repeat(MAX_LINES);
    assert_eq!(lies(&text).len(), MAX_LINES);
    assert_eq!(wrong(&(text + "force-4k")), Wrong::TooManyLines);
}

proptest! {
    #[test]
    fn no_text_panics(text in ".*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_row_of_known_words_panics(words in proptest::collection::vec(
        prop_oneof![
            "when|vmgexit|nae|msr|pvalidate|enter|vmpl[0-9]|#[0-9]?|psc|ghcb|set|flip|cpuid",
            "partial|remap|memory-map|add|inject|0x[0-9a-f]{0,20}|[0-9]{0,40}|_",
        ], 0..8))
    {
        let _ = parse(&words.join(" "));
    }
}
