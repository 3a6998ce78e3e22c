//! Events in words.

use protocols::ovmf::Guid;

use super::parse::{Event, NO_ACTION};
use super::proof::{Proof, is_variable, proof};
use super::values::{device_path, guid_at, printable, text, u32_at, u64_at, utf16};
use super::{Measurer, Named};

pub(super) const SEPARATOR: u32 = 4;
pub(super) const EVENT_TAG: u32 = 6;
pub(super) const S_CRTM_VERSION: u32 = 8;
pub(super) const IPL: u32 = 0xd;
pub(super) const NONHOST_CONFIG: u32 = 0x10;
pub(super) const OMIT_BOOT_DEVICES: u32 = 0x12;
pub(super) const EFI_VARIABLE_DRIVER_CONFIG: u32 = 0x8000_0001;
pub(super) const EFI_VARIABLE_BOOT: u32 = 0x8000_0002;
pub(super) const EFI_APPLICATION: u32 = 0x8000_0003;
pub(super) const EFI_BOOT_DRIVER: u32 = 0x8000_0004;
pub(super) const EFI_RUNTIME_DRIVER: u32 = 0x8000_0005;
pub(super) const EFI_GPT: u32 = 0x8000_0006;
pub(super) const EFI_ACTION: u32 = 0x8000_0007;
pub(super) const EFI_BLOB: u32 = 0x8000_0008;
pub(super) const EFI_TABLES: u32 = 0x8000_0009;
pub(super) const EFI_BLOB2: u32 = 0x8000_000a;
pub(super) const EFI_TABLES2: u32 = 0x8000_000b;
pub(super) const EFI_VARIABLE_BOOT2: u32 = 0x8000_000c;
pub(super) const EFI_VARIABLE_AUTHORITY: u32 = 0x8000_00e0;

const TYPES: [(u32, &str); 31] = [
    (0, "EV_PREBOOT_CERT"),
    (1, "EV_POST_CODE"),
    (NO_ACTION, "EV_NO_ACTION"),
    (SEPARATOR, "EV_SEPARATOR"),
    (5, "EV_ACTION"),
    (EVENT_TAG, "EV_EVENT_TAG"),
    (7, "EV_S_CRTM_CONTENTS"),
    (S_CRTM_VERSION, "EV_S_CRTM_VERSION"),
    (9, "EV_CPU_MICROCODE"),
    (0xa, "EV_PLATFORM_CONFIG_FLAGS"),
    (0xb, "EV_TABLE_OF_DEVICES"),
    (0xc, "EV_COMPACT_HASH"),
    (IPL, "EV_IPL"),
    (0xe, "EV_IPL_PARTITION_DATA"),
    (0xf, "EV_NONHOST_CODE"),
    (NONHOST_CONFIG, "EV_NONHOST_CONFIG"),
    (0x11, "EV_NONHOST_INFO"),
    (OMIT_BOOT_DEVICES, "EV_OMIT_BOOT_DEVICE_EVENTS"),
    (EFI_VARIABLE_DRIVER_CONFIG, "EV_EFI_VARIABLE_DRIVER_CONFIG"),
    (EFI_VARIABLE_BOOT, "EV_EFI_VARIABLE_BOOT"),
    (EFI_APPLICATION, "EV_EFI_BOOT_SERVICES_APPLICATION"),
    (EFI_BOOT_DRIVER, "EV_EFI_BOOT_SERVICES_DRIVER"),
    (EFI_RUNTIME_DRIVER, "EV_EFI_RUNTIME_SERVICES_DRIVER"),
    (EFI_GPT, "EV_EFI_GPT_EVENT"),
    (EFI_ACTION, "EV_EFI_ACTION"),
    (EFI_BLOB, "EV_EFI_PLATFORM_FIRMWARE_BLOB"),
    (EFI_TABLES, "EV_EFI_HANDOFF_TABLES"),
    (EFI_BLOB2, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"),
    (EFI_TABLES2, "EV_EFI_HANDOFF_TABLES2"),
    (EFI_VARIABLE_BOOT2, "EV_EFI_VARIABLE_BOOT2"),
    (EFI_VARIABLE_AUTHORITY, "EV_EFI_VARIABLE_AUTHORITY"),
];

/// GUIDs of variables that have a name.
const VENDORS: [(Guid, &str); 3] = [
    (
        Guid::from_u128(0x8be4df61_93ca_11d2_aa0d_00e098032b8c),
        "EFI global",
    ),
    (
        Guid::from_u128(0xd719b2cb_3d3a_4596_a3bc_dad00e67656f),
        "image security",
    ),
    (
        Guid::from_u128(0x605dab50_e046_4300_abb6_3dd810dd8b23),
        "shim",
    ),
];

/// GUIDs of tables that have a name.
const TABLES: [(Guid, &str); 3] = [
    (
        Guid::from_u128(0xeb9d2d31_2d88_11d3_9a16_0090273fc14d),
        "SMBIOS",
    ),
    (
        Guid::from_u128(0xf2fd1544_9794_4a2c_992e_e5bbcf20e394),
        "SMBIOS 3",
    ),
    (
        Guid::from_u128(0x8868e871_e4f1_11d3_bc22_0080c73c8881),
        "ACPI",
    ),
];

/// Text that is shown of one event at most, in characters.
const MOST_TEXT: usize = 160;

/// An event in words. Only of a PCR that was quoted does a digest show anything.
pub fn describe(event: &Event<'_>, by: Measurer, is_quoted: bool) -> Named {
    let kind = TYPES.iter().find(|(number, _)| *number == event.kind);
    Named {
        by,
        pcr: event.pcr,
        kind: kind.map_or_else(
            || format!("type {:#x}", event.kind),
            |(_, name)| (*name).into(),
        ),
        text: words(event),
        proof: match proof(event) {
            Proof::Digest | Proof::Contents if !is_quoted => Proof::LogAlone,
            found => found,
        },
    }
}

fn words(event: &Event<'_>) -> String {
    let data = event.data;
    let found = match event.kind {
        SEPARATOR => separator(data),
        kind if is_variable(kind) => variable(data).map(|variable| variable.words()),
        EFI_APPLICATION => image("application", data),
        EFI_BOOT_DRIVER => image("boot driver", data),
        EFI_RUNTIME_DRIVER => image("runtime driver", data),
        EFI_GPT => partitions(data),
        EFI_BLOB => blob(data),
        EFI_BLOB2 => {
            described(data).and_then(|(name, rest)| Some(format!("{name}: {}", blob(rest)?)))
        }
        EFI_TABLES => tables(data),
        EFI_TABLES2 => described(data).map(|(name, _)| format!("tables for the OS: {name}")),
        EVENT_TAG => tagged(data),
        NONHOST_CONFIG => parameter(data),
        1 if data.len() == 16 => blob(data),
        _ => None,
    };
    let text = found.unwrap_or_else(|| text(data));
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn separator(data: &[u8]) -> Option<String> {
    match data {
        [0, 0, 0, 0] | [0xff, 0xff, 0xff, 0xff] => Some("end of the firmware's part".into()),
        [1, 0, 0, 0] => Some("an error in the firmware's part".into()),
        _ => None,
    }
}

/// UEFI_VARIABLE_DATA.
#[derive(Clone, Copy)]
pub(super) struct Variable<'a> {
    vendor: Guid,
    name: &'a [u8],
    pub(super) data: &'a [u8],
}

pub(super) fn variable(data: &[u8]) -> Option<Variable<'_>> {
    let (units, size) = (u64_at(data, 16)?, u64_at(data, 24)?);
    let name = usize::try_from(units).ok()?.checked_mul(2)?;
    let (name, rest) = data.get(32..)?.split_at_checked(name)?;
    Some(Variable {
        vendor: guid_at(data, 0)?,
        name,
        data: rest.get(..usize::try_from(size).ok()?)?,
    })
}

impl Variable<'_> {
    fn words(&self) -> String {
        let vendor = VENDORS.iter().find(|(known, _)| *known == self.vendor);
        let vendor = vendor.map_or_else(|| self.vendor.to_string(), |(_, name)| (*name).into());
        let name = utf16(self.name);
        let value = match (name.as_str(), self.data) {
            ("SecureBoot", [0]) => "off".into(),
            ("SecureBoot", [1]) => "on".into(),
            (_, []) => "not set".into(),
            ("BootOrder", data) => {
                let entries = data.chunks_exact(2).map(|pair| match pair {
                    [low, high] => format!("{:04X}", u16::from_le_bytes([*low, *high])),
                    _ => String::new(),
                });
                entries.collect::<Vec<_>>().join(" ")
            }
            (name, data) if is_boot_option(name) => option(data),
            (_, data) => text(data),
        };
        format!("variable {name} ({vendor}): {value}")
    }
}

fn is_boot_option(name: &str) -> bool {
    let digits = name.strip_prefix("Boot").unwrap_or_default();
    digits.len() == 4 && digits.chars().all(|digit| digit.is_ascii_hexdigit())
}

/// EFI_LOAD_OPTION: its description.
fn option(data: &[u8]) -> String {
    format!("\"{}\"", utf16(data.get(6..).unwrap_or_default()))
}

/// UEFI_IMAGE_LOAD_EVENT.
fn image(what: &str, data: &[u8]) -> Option<String> {
    let (size, path) = (u64_at(data, 8)?, u64_at(data, 24)?);
    let path = data.get(32..)?.get(..usize::try_from(path).ok()?)?;
    Some(format!("{what} of {size} bytes from {}", device_path(path)))
}

/// UEFI_GPT_DATA: the header's disk GUID, and how many partitions.
fn partitions(data: &[u8]) -> Option<String> {
    let disk = guid_at(data, 56)?;
    let count = u64_at(data, 92)?;
    Some(format!("disk {disk} with {count} partitions"))
}

/// EFI_PLATFORM_FIRMWARE_BLOB.
fn blob(data: &[u8]) -> Option<String> {
    let (base, size) = (u64_at(data, 0)?, u64_at(data, 8)?);
    Some(format!("firmware of {size:#x} bytes at {base:#x}"))
}

/// UEFI_HANDOFF_TABLE_POINTERS.
fn tables(data: &[u8]) -> Option<String> {
    let count = usize::try_from(u64_at(data, 0)?).ok()?;
    let entries = data.get(8..)?.get(..count.checked_mul(24)?)?;
    let names = entries.chunks_exact(24).filter_map(|entry| {
        let guid = guid_at(entry, 0)?;
        let known = TABLES.iter().find(|(known, _)| *known == guid);
        Some(known.map_or_else(|| guid.to_string(), |(_, name)| (*name).into()))
    });
    let names: Vec<String> = names.collect();
    Some(format!("tables for the OS: {}", names.join(", ")))
}

/// A description behind its length, and the rest.
fn described(data: &[u8]) -> Option<(String, &[u8])> {
    let (size, rest) = data.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*size))?;
    Some((printable(&String::from_utf8_lossy(name)), rest))
}

/// A parameter of the host's, as Rampart measures it: a name of sixteen bytes and the
/// parameter.
fn parameter(data: &[u8]) -> Option<String> {
    let (name, value) = data.split_at_checked(16)?;
    let name = std::str::from_utf8(name).ok()?.trim_end_matches('\0');
    if !name.starts_with("Rampart") {
        return None;
    }
    Some(format!("parameter {}: {}", printable(name), text(value)))
}

/// TCG_PCClientTaggedEvent: Linux's loader says so what it measured.
fn tagged(data: &[u8]) -> Option<String> {
    let (tag, size) = (u32_at(data, 0)?, u32_at(data, 4)?);
    Some(format!(
        "tag {tag:#x}: {}",
        text(data.get(8..)?.get(..size)?)
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vtpm::crypto::hash::HashAlg;

    use super::*;

    fn event(kind: u32, data: &[u8]) -> Named {
        let digest = HashAlg::Sha256.digest(&[data]);
        let event = Event {
            pcr: 1,
            kind,
            digests: vec![(0xb, &digest)],
            data,
        };
        describe(&event, Measurer::Guest, true)
    }

    fn variable(name: &str, value: &[u8]) -> Vec<u8> {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut data = VENDORS[0].0.0.to_vec();
        data.extend((name.len() as u64 / 2).to_le_bytes());
        data.extend((value.len() as u64).to_le_bytes());
        data.extend(name);
        data.extend(value);
        data
    }

    #[test]
    fn events_have_words() {
        let secure_boot = event(EFI_VARIABLE_DRIVER_CONFIG, &variable("SecureBoot", &[0]));
        assert_eq!(secure_boot.text, "variable SecureBoot (EFI global): off");
        assert_eq!(secure_boot.proof, Proof::Digest);
        let order = event(EFI_VARIABLE_BOOT, &variable("BootOrder", &[1, 0, 0, 0]));
        assert_eq!(order.text, "variable BootOrder (EFI global): 0001 0000");
        assert_eq!(event(5, b"Exit").text, "Exit");
        assert_eq!(event(S_CRTM_VERSION, b"1\0.\x002\0\0\0").text, "1.2");
        assert_eq!(event(SEPARATOR, &[0; 4]).text, "end of the firmware's part");
        assert_eq!(event(5, b"a\x1b[2Jb").text, "611b5b324a62");
    }

    #[test]
    fn a_digest_of_a_pcr_that_was_not_quoted_shows_nothing() {
        let measured = HashAlg::Sha256.digest(&[b"Exit"]);
        let action = Event {
            pcr: 5,
            kind: EFI_ACTION,
            digests: vec![(0xb, &measured)],
            data: b"Exit",
        };
        assert_eq!(
            describe(&action, Measurer::Guest, true).proof,
            Proof::Digest
        );
        assert_eq!(
            describe(&action, Measurer::Guest, false).proof,
            Proof::LogAlone
        );
    }

    #[test]
    fn what_turns_the_text_around_is_shown_as_its_number() {
        assert_eq!(
            printable("a\u{202e}b\u{2066}\u{200b}"),
            "a\\u{202e}b\\u{2066}\\u{200b}"
        );
        assert_eq!(printable("\u{feff}\u{3164}"), "\\u{feff}\\u{3164}");
        assert_eq!(printable("Grüße, \\linux.efi"), "Grüße, \\linux.efi");
        let named = event(
            EFI_VARIABLE_DRIVER_CONFIG,
            &variable("\u{202e}toobeS", &[1]),
        )
        .text;
        assert!(named.contains("\\u{202e}toobeS"), "{named}");
    }

    proptest! {
        #[test]
        fn any_event_has_words(kind in 0u32..0x20, is_efi: bool, data: Vec<u8>) {
            let kind = if is_efi { kind | 0x8000_0000 } else { kind };
            let text = event(kind, &data).text;
            prop_assert!(!text.chars().any(char::is_control));
        }
    }
}
