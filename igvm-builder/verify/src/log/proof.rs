//! Whether an event's digest shows that its words are true.

use serde::Serialize;
use vtpm::crypto::hash::HashAlg;

use super::parse::Event;
use super::words::{
    EFI_ACTION, EFI_GPT, EFI_VARIABLE_AUTHORITY, EFI_VARIABLE_BOOT, EFI_VARIABLE_BOOT2,
    EFI_VARIABLE_DRIVER_CONFIG, NONHOST_CONFIG, OMIT_BOOT_DEVICES, S_CRTM_VERSION, SEPARATOR,
    variable,
};

/// How far an event's own words can be believed, given that its digest was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// The digest is of these very words or contents.
    Digest,
    /// The digest is of the contents alone: the log alone says of what.
    Contents,
    /// The digest is of something else, such as a program: the log alone names it.
    LogAlone,
    /// The digest should be of these contents and is not.
    Wrong,
    /// Nothing was measured.
    NotMeasured,
}

/// The PCR of Secure Boot: all that the firmware measures there is in the log itself. The
/// type is in no digest, so that another one excuses nothing.
const SECURE_BOOT: u32 = 7;

/// Whether the event's digest has to be of its own data.
fn is_of_its_data(event: &Event<'_>) -> bool {
    event.pcr == SECURE_BOOT
        || matches!(
            event.kind,
            SEPARATOR | 5 | S_CRTM_VERSION | EFI_GPT | EFI_ACTION
        )
        || is_variable(event.kind)
}

/// Whether a digest of the event's own data shows that its words are true. Of other types
/// the words name something else, such as a program, that should have been measured and
/// was not.
fn has_words_of_its_data(kind: u32) -> bool {
    matches!(
        kind,
        SEPARATOR | 5 | S_CRTM_VERSION | NONHOST_CONFIG | OMIT_BOOT_DEVICES | EFI_GPT | EFI_ACTION
    ) || is_variable(kind)
}

/// Whether the event is of one of UEFI's variables.
pub(super) fn is_variable(kind: u32) -> bool {
    matches!(
        kind,
        EFI_VARIABLE_DRIVER_CONFIG
            | EFI_VARIABLE_BOOT
            | EFI_VARIABLE_BOOT2
            | EFI_VARIABLE_AUTHORITY
    )
}

/// What an event's digest shows, given that it was measured.
pub(super) fn proof(event: &Event<'_>) -> Proof {
    if !event.is_measured() {
        return Proof::NotMeasured;
    }
    let known = || {
        let digests = event.digests.iter();
        digests.filter_map(|(alg, digest)| Some((HashAlg::from_id(*alg)?, *digest)))
    };
    let is_of = |data: &[u8]| known().all(|(alg, digest)| alg.digest(&[data])[..] == *digest);
    if known().next().is_none() {
        return Proof::LogAlone;
    }
    if is_of(event.data) {
        return match has_words_of_its_data(event.kind) {
            true => Proof::Digest,
            false => Proof::LogAlone,
        };
    }
    // Of a boot option only the contents are measured, not the name.
    let is_option = event.kind == EFI_VARIABLE_BOOT && event.pcr != SECURE_BOOT;
    let contents = variable(event.data).filter(|_| is_option);
    if contents.is_some_and(|variable| is_of(variable.data)) {
        return Proof::Contents;
    }
    match is_of_its_data(event) {
        true => Proof::Wrong,
        false => Proof::LogAlone,
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::{
        EFI_APPLICATION, EFI_BLOB, EFI_BLOB2, EFI_BOOT_DRIVER, EFI_RUNTIME_DRIVER, EVENT_TAG, IPL,
    };
    use super::*;

    /// UEFI_VARIABLE_DATA of SecureBoot.
    fn secure_boot(value: u8) -> Vec<u8> {
        let name: Vec<u8> = "SecureBoot"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let sizes = [10u64, 1].map(u64::to_le_bytes).concat();
        [&[0; 16][..], &sizes, &name, &[value]].concat()
    }

    #[test]
    fn words_that_were_not_measured_are_found_out() {
        let measured = HashAlg::Sha256.digest(&[&secure_boot(0)]);
        let said = secure_boot(1);
        let lie = Event {
            pcr: 7,
            kind: EFI_VARIABLE_DRIVER_CONFIG,
            digests: vec![(0xb, &measured)],
            data: &said,
        };
        assert_eq!(proof(&lie), Proof::Wrong);
        // The type is the guest's word, and PCR 7 has nothing but data.
        for kind in [IPL, 0x11, EFI_APPLICATION, EFI_VARIABLE_BOOT] {
            let other = Event {
                kind,
                ..lie.clone()
            };
            assert_eq!(proof(&other), Proof::Wrong, "{kind:#x}");
            let program = Event { pcr: 4, ..other };
            let expected = match kind {
                EFI_VARIABLE_BOOT => Proof::Wrong,
                _ => Proof::LogAlone,
            };
            assert_eq!(proof(&program), expected, "{kind:#x}");
        }
    }

    #[test]
    fn only_of_a_boot_option_may_the_contents_alone_be_measured() {
        let said = secure_boot(1);
        let measured = HashAlg::Sha256.digest(&[&[1]]);
        let event = |kind, pcr| Event {
            pcr,
            kind,
            digests: vec![(0xb, &measured[..])],
            data: &said,
        };
        assert_eq!(proof(&event(EFI_VARIABLE_BOOT, 1)), Proof::Contents);
        assert_eq!(proof(&event(EFI_VARIABLE_BOOT, 7)), Proof::Wrong);
        for kind in [
            EFI_VARIABLE_DRIVER_CONFIG,
            EFI_VARIABLE_BOOT2,
            EFI_VARIABLE_AUTHORITY,
        ] {
            assert_eq!(proof(&event(kind, 1)), Proof::Wrong, "{kind:#x}");
        }
    }

    #[test]
    fn a_digest_of_a_program_s_name_shows_no_program() {
        let text = b"/boot/vmlinuz";
        let measured = HashAlg::Sha256.digest(&[text]);
        for kind in [
            IPL,
            EFI_APPLICATION,
            EFI_BOOT_DRIVER,
            EFI_RUNTIME_DRIVER,
            EFI_BLOB,
            EFI_BLOB2,
            EVENT_TAG,
            1,
        ] {
            let event = Event {
                pcr: 4,
                kind,
                digests: vec![(0xb, &measured)],
                data: text,
            };
            assert_eq!(proof(&event), Proof::LogAlone, "{kind:#x}");
        }
    }
}
