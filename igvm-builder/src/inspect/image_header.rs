//! Rampart's image header in a file, and whose page is whose by its account.

use igvm::{IgvmDirectiveHeader, IgvmFile};
use protocols::boot::{ImageFlags, ImageHeader, PackedPayload, layout};
use serde::Serialize;
use zerocopy::FromBytes;

use crate::hex::{Hex, digits};

/// What the image header says.
#[derive(Debug, Serialize)]
pub struct HeaderReport {
    /// The header's version.
    pub version: u32,
    /// The guest's VMPL.
    pub guest_vmpl: u8,
    /// The C-bit of the measured page tables.
    pub c_bit: u8,
    /// The kernel.
    pub kernel: PayloadReport,
    /// The guest firmware.
    pub firmware: PayloadReport,
    /// SHA-384 of the guest firmware, if the host gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_sha384: Option<String>,
    /// Where the guest firmware is placed.
    pub firmware_gpa: Hex,
    /// SEV_FEATURES of the guest.
    pub sev_features: Hex,
    /// What the firmware is to do.
    pub flags: Vec<String>,
    /// The PCR that the host's parameters are measured into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_pcr: Option<u8>,
    /// Why the firmware would refuse the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A packed payload.
#[derive(Debug, Serialize)]
pub struct PayloadReport {
    /// Where it is loaded.
    pub gpa: Hex,
    /// Its packed size in bytes.
    pub packed: u32,
    /// Its size in bytes after unpacking.
    pub unpacked: u32,
}

/// The header of `file`, if it is a Rampart image.
pub fn find(file: &IgvmFile) -> Option<ImageHeader> {
    file.directives()
        .iter()
        .find_map(|directive| match directive {
            IgvmDirectiveHeader::PageData {
                gpa: layout::IMAGE_HEADER_PAGE,
                data,
                ..
            } => {
                let (header, _) = ImageHeader::read_from_prefix(data).ok()?;
                (header.magic == ImageHeader::MAGIC).then_some(header)
            }
            _ => None,
        })
}

impl HeaderReport {
    /// The header in a report's form.
    pub fn of(header: &ImageHeader) -> Self {
        let payload = |payload: &PackedPayload| PayloadReport {
            gpa: Hex(payload.gpa),
            packed: payload.packed,
            unpacked: payload.unpacked,
        };
        Self {
            version: header.version,
            guest_vmpl: header.guest_vmpl,
            c_bit: header.c_bit,
            kernel: payload(&header.kernel),
            firmware: payload(&header.firmware),
            firmware_sha384: header
                .firmware_is_by_hash()
                .then(|| digits(&header.firmware_sha384)),
            firmware_gpa: Hex(header.firmware_gpa),
            sev_features: Hex(header.sev_features),
            flags: header.image_flags().iter_names().map(flag_name).collect(),
            parameters_pcr: header.measured_into(),
            problem: header.check().err().map(|error| format!("{error:?}")),
        }
    }
}

/// A flag in the words of the manifest.
fn flag_name((name, _): (&'static str, ImageFlags)) -> String {
    name.to_lowercase().replace('_', " ")
}

/// What lies at `gpa` in an image with this header.
pub fn part(header: &ImageHeader, gpa: u64) -> Option<&'static str> {
    let within = |start: u64, size: u64| gpa >= start && gpa - start < size;
    let payload = |payload: &PackedPayload| within(payload.gpa, payload.packed.into());
    Some(match gpa {
        _ if within(layout::STAGE2_BASE, layout::STAGE2_SIZE) => "stage2",
        _ if within(layout::PAGE_TABLES, layout::PAGE_TABLES_SIZE) => "page tables",
        layout::IMAGE_HEADER_PAGE => "image header",
        _ if payload(&header.kernel) => "kernel, packed",
        _ if payload(&header.firmware) => "guest firmware, packed",
        layout::KERNEL_AREA_BASE => "kernel area",
        _ if gpa == header.firmware_gpa => "guest firmware",
        _ => return None,
    })
}
