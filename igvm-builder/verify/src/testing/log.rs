//! An event log as OVMF and Linux leave one.

use protocols::ovmf::Guid;

use super::tpm::BANKS;

const EFI_GLOBAL: Guid = Guid::from_u128(0x8be4df61_93ca_11d2_aa0d_00e098032b8c);
const IMAGE_SECURITY: Guid = Guid::from_u128(0xd719b2cb_3d3a_4596_a3bc_dad00e67656f);

/// An event that is measured.
pub(super) struct Event {
    pub(super) pcr: u32,
    kind: u32,
    /// What the digest is of.
    pub(super) measured: Vec<u8>,
    /// What it says of itself.
    data: Vec<u8>,
}

/// All of them.
pub(super) struct EventLog {
    pub(super) events: Vec<Event>,
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn plain(pcr: u32, kind: u32, data: &[u8]) -> Event {
    Event {
        pcr,
        kind,
        measured: data.to_vec(),
        data: data.to_vec(),
    }
}

fn variable(vendor: Guid, name: &str, value: &[u8]) -> Vec<u8> {
    let mut data = vendor.0.to_vec();
    data.extend((name.len() as u64).to_le_bytes());
    data.extend((value.len() as u64).to_le_bytes());
    data.extend(utf16(name));
    data.extend(value);
    data
}

/// An application from a file of a firmware volume.
fn application(program: &[u8]) -> Event {
    let path: Vec<u8> = [
        &[4, 4, 28, 0][..],
        &utf16("\\linux.efi\0"),
        &[0; 2],
        &[0x7f, 0xff, 4, 0],
    ]
    .concat();
    let mut data = 0x1000_0000u64.to_le_bytes().to_vec();
    data.extend((program.len() as u64).to_le_bytes());
    data.extend(0u64.to_le_bytes());
    data.extend((path.len() as u64).to_le_bytes());
    data.extend(path);
    Event {
        pcr: 4,
        kind: 0x8000_0003,
        measured: program.to_vec(),
        data,
    }
}

fn tagged(pcr: u32, tag: u32, text: &[u8], measured: &[u8]) -> Event {
    let mut data = tag.to_le_bytes().to_vec();
    data.extend((text.len() as u32).to_le_bytes());
    data.extend(text);
    Event {
        pcr,
        kind: 6,
        measured: measured.to_vec(),
        data,
    }
}

impl EventLog {
    /// What Rampart measures of the host's parameters, in the form of its log.
    pub(super) fn of_parameters() -> Self {
        let event = |name: &[u8; 16], value: &[u8]| plain(8, 0x10, &[name, value].concat());
        Self {
            events: vec![
                event(b"RampartMemoryMap", &[0; 48]),
                event(b"RampartVpCount\0\0", &[4, 0, 0, 0]),
            ],
        }
    }

    pub(super) fn of_a_boot() -> Self {
        let mut blob = vec![5];
        blob.extend(b"DXEFV");
        blob.extend(0x90_0000u64.to_le_bytes());
        blob.extend(0xe8_0000u64.to_le_bytes());
        let config =
            |name, vendor, value: &[u8]| plain(7, 0x8000_0001, &variable(vendor, name, value));
        let boot = Event {
            measured: vec![1, 0, 0, 0],
            ..plain(
                1,
                0x8000_0002,
                &variable(EFI_GLOBAL, "BootOrder", &[1, 0, 0, 0]),
            )
        };
        let mut events = vec![
            plain(0, 8, &utf16("2026.08\0")),
            Event {
                measured: b"the firmware's volume".to_vec(),
                ..plain(0, 0x8000_000a, &blob)
            },
            config("SecureBoot", EFI_GLOBAL, &[0]),
            config("PK", EFI_GLOBAL, &[]),
            config("db", IMAGE_SECURITY, &[]),
            boot,
            plain(4, 0x8000_0007, b"Calling EFI Application from Boot Option"),
        ];
        events.extend((0..8).map(|pcr| plain(pcr, 4, &[0; 4])));
        events.extend([
            application(b"a kernel"),
            tagged(
                9,
                0x8f3b_22ed,
                &utf16("LOADED_IMAGE::LoadOptions\0"),
                b"console=ttyS0",
            ),
            tagged(9, 0x8f3b_22ec, &utf16("Linux initrd\0"), b"an initrd"),
            plain(5, 0x8000_0007, b"Exit Boot Services Invocation"),
            plain(5, 0x8000_0007, b"Exit Boot Services Returned with Success"),
        ]);
        Self { events }
    }

    /// In the crypto-agile format.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut spec = b"Spec ID Event03\0".to_vec();
        // Class: client; version 2.0, errata 106; a UINTN has eight bytes.
        spec.extend([0, 0, 0, 0, 0, 2, 106, 2]);
        spec.extend((BANKS.len() as u32).to_le_bytes());
        for bank in BANKS {
            spec.extend(bank.id().to_le_bytes());
            spec.extend((bank.digest_size() as u16).to_le_bytes());
        }
        spec.push(0);
        let mut out = [0u32, 3].map(u32::to_le_bytes).concat();
        out.extend([0; 20]);
        out.extend((spec.len() as u32).to_le_bytes());
        out.extend(spec);
        for event in &self.events {
            out.extend(event.pcr.to_le_bytes());
            out.extend(event.kind.to_le_bytes());
            out.extend((BANKS.len() as u32).to_le_bytes());
            for bank in BANKS {
                out.extend(bank.id().to_le_bytes());
                out.extend_from_slice(&bank.digest(&[&event.measured]));
            }
            out.extend((event.data.len() as u32).to_le_bytes());
            out.extend(&event.data);
        }
        out
    }
}
