//! Rampart's image: the launch area of `protocols::boot::layout`, filled.

use protocols::boot::{
    FirmwareHash, ImageFlags, ImageHeader, ImageHeaderError, PackedPayload, layout,
};
use protocols::snp::SevFeatures;
use sha2::{Digest, Sha384};
use thiserror::Error;
use zerocopy::IntoBytes;

use crate::elf::{ElfError, Executable};
use crate::launch::{Content, Launch, LaunchError, Parameter, ParameterArea};
use crate::layout::{PAGE_SIZE, Range, rom_range};
use crate::{page_tables, vmsa};

/// miniz_oxide's best compression; the pages it saves are worth more than the
/// time of a build.
const DEFLATE_LEVEL: u8 = 10;

/// What the image is made of.
pub struct Parts<'a> {
    /// The stage2 ELF file.
    pub stage2: &'a [u8],
    /// The kernel ELF file.
    pub kernel: &'a [u8],
    /// The guest firmware, a raw image.
    pub firmware: &'a [u8],
    /// The image has its hash alone.
    pub firmware_by_hash: bool,
    /// The SNP guest policy.
    pub policy: u64,
    /// SEV_FEATURES of Rampart and of the guest.
    pub sev_features: SevFeatures,
    /// The guest's VMPL.
    pub guest_vmpl: u8,
    /// The position of the C-bit in page table entries.
    pub c_bit: u8,
    /// What the firmware is to do.
    pub flags: ImageFlags,
    /// The PCR for [`ImageFlags::MEASURE_PARAMETERS`], or 0.
    pub parameters_pcr: u8,
}

/// Why the parts make no image.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RampartError {
    /// A part is no usable ELF file.
    #[error("{part}: {error}")]
    Elf {
        /// stage2 or kernel.
        part: &'static str,
        /// What is wrong with it.
        error: ElfError,
    },
    /// stage2 is not linked to its place.
    #[error("stage2: {what} is {found}, must be {needed}")]
    Stage2 {
        /// The entry or a segment.
        what: &'static str,
        /// Where it is.
        found: String,
        /// Where it must be.
        needed: String,
    },
    /// The guest firmware cannot be a ROM below 4 GiB.
    #[error("firmware: {0:#x} bytes are no ROM: whole 4 KiB pages, at most 16 MiB")]
    FirmwareSize(usize),
    /// The packed payloads do not fit the launch area.
    #[error(
        "{part}: packed to {packed:#x} bytes at {gpa:#x}, ends past the payload area's end \
         {:#x}",
        layout::PAYLOAD_END
    )]
    TooLarge {
        /// kernel or firmware.
        part: &'static str,
        /// Where it would be loaded.
        gpa: u64,
        /// Its packed size.
        packed: usize,
    },
    /// The kernel would refuse the image's header.
    #[error("image header: {0:?}")]
    Header(ImageHeaderError),
    /// Parts of the launch contradict each other.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// Lays out the launch.
pub fn launch(parts: &Parts<'_>) -> Result<Launch, RampartError> {
    let rom =
        rom_range(parts.firmware.len()).ok_or(RampartError::FirmwareSize(parts.firmware.len()))?;
    let stage2 = stage2_memory(parts.stage2)?;
    let stage2_end = layout::STAGE2_BASE + stage2.len() as u64;

    let mut payloads = Payloads {
        next: layout::PAYLOAD_BASE,
        packed: Vec::new(),
    };
    let kernel = crate::elf::without_symbols(parts.kernel).map_err(|error| RampartError::Elf {
        part: "kernel",
        error,
    })?;
    let kernel = payloads.pack("kernel", &kernel)?;
    let (firmware, firmware_sha384) = match parts.firmware_by_hash {
        true => by_hash(parts.firmware)?,
        false => (payloads.pack("firmware", parts.firmware)?, [0; 48]),
    };
    let header = ImageHeader {
        magic: ImageHeader::MAGIC,
        version: ImageHeader::VERSION,
        guest_vmpl: parts.guest_vmpl,
        c_bit: parts.c_bit,
        parameters_pcr: parts.parameters_pcr,
        reserved: 0,
        kernel,
        firmware,
        firmware_gpa: rom.start,
        sev_features: parts.sev_features.bits(),
        flags: parts.flags.bits(),
        firmware_sha384,
    };
    // The same check as in the firmware: what it would refuse is not built.
    header.check().map_err(RampartError::Header)?;

    let mut launch = Launch::new(
        parts.policy,
        vmsa::stage2_start(parts.sev_features, stage2_end),
    );
    launch.add_data(layout::STAGE2_BASE, &stage2, true, "stage2")?;
    let code = Range {
        start: layout::STAGE2_BASE,
        end: stage2_end,
    };
    let tables = page_tables::build(layout::PAGE_TABLES, parts.c_bit, code);
    launch.add_data(layout::PAGE_TABLES, &tables, false, "page tables")?;
    launch.add_page(layout::CPUID_PAGE, Content::Cpuid, "CPUID page")?;
    launch.add_page(layout::SECRETS_PAGE, Content::Secrets, "secrets page")?;
    launch.add_parameter_area(parameter_page(
        layout::MEMORY_MAP_PAGE,
        Parameter::MemoryMap,
    ))?;
    launch.add_parameter_area(parameter_page(layout::VP_COUNT_PAGE, Parameter::VpCount))?;
    launch.add_data(
        layout::IMAGE_HEADER_PAGE,
        header.as_bytes(),
        false,
        "image header",
    )?;
    for (part, gpa, packed) in &payloads.packed {
        launch.add_data(*gpa, packed, false, *part)?;
    }
    let own = Range {
        start: layout::FIRMWARE_BASE,
        end: layout::FIRMWARE_BASE + layout::FIRMWARE_SIZE,
    };
    launch.require_rest_of(own, "firmware range")?;
    launch.require_rest_of(rom, "guest firmware")?;
    Ok(launch)
}

/// A firmware of which the image has no more than size and hash.
fn by_hash(firmware: &[u8]) -> Result<(PackedPayload, FirmwareHash), RampartError> {
    let size = firmware.len().try_into();
    let payload = PackedPayload {
        gpa: 0,
        packed: 0,
        unpacked: size.map_err(|_| RampartError::FirmwareSize(firmware.len()))?,
    };
    Ok((payload, Sha384::digest(firmware).into()))
}

fn parameter_page(gpa: u64, parameter: Parameter) -> ParameterArea {
    ParameterArea {
        gpa,
        size: PAGE_SIZE,
        parameters: vec![(parameter, 0)],
        owner: "host parameters".into(),
    }
}

/// stage2's memory from its base on, bss and stack included, in whole pages.
fn stage2_memory(elf: &[u8]) -> Result<Vec<u8>, RampartError> {
    let executable = Executable::parse(elf).map_err(|error| RampartError::Elf {
        part: "stage2",
        error,
    })?;
    let place = Range {
        start: layout::STAGE2_BASE,
        end: layout::STAGE2_BASE + layout::STAGE2_SIZE,
    };
    if executable.entry != place.start {
        return Err(RampartError::Stage2 {
            what: "the entry",
            found: format!("{:#x}", executable.entry),
            needed: format!("the first byte, {:#x}", place.start),
        });
    }
    let mut memory = Vec::new();
    for segment in &executable.segments {
        let range = segment.memory_range();
        if !place.contains(&range) {
            return Err(RampartError::Stage2 {
                what: "a segment",
                found: range.to_string(),
                needed: format!("inside {place}"),
            });
        }
        let start = (range.start - place.start) as usize;
        let end = (range.end - place.start).next_multiple_of(PAGE_SIZE) as usize;
        memory.resize(memory.len().max(end), 0);
        memory[start..start + segment.data.len()].copy_from_slice(segment.data);
    }
    Ok(memory)
}

/// The payload area as it fills up.
struct Payloads {
    next: u64,
    packed: Vec<(&'static str, u64, Vec<u8>)>,
}

impl Payloads {
    fn pack(&mut self, part: &'static str, bytes: &[u8]) -> Result<PackedPayload, RampartError> {
        let packed = miniz_oxide::deflate::compress_to_vec(bytes, DEFLATE_LEVEL);
        let gpa = self.next;
        let end = gpa + packed.len() as u64;
        let too_large = RampartError::TooLarge {
            part,
            gpa,
            packed: packed.len(),
        };
        if end > layout::PAYLOAD_END {
            return Err(too_large);
        }
        let (Ok(packed_size), Ok(unpacked)) = (packed.len().try_into(), bytes.len().try_into())
        else {
            return Err(too_large);
        };
        self.next = end.next_multiple_of(PAGE_SIZE);
        self.packed.push((part, gpa, packed));
        Ok(PackedPayload {
            gpa,
            packed: packed_size,
            unpacked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ElfFile, ElfSegment};
    use protocols::boot::layout::{IMAGE_HEADER_PAGE, PAYLOAD_BASE, STAGE2_BASE};
    use zerocopy::FromBytes;

    fn stage2() -> ElfFile {
        ElfFile {
            entry: STAGE2_BASE,
            segments: vec![
                ElfSegment {
                    address: STAGE2_BASE,
                    data: vec![0x90; 0x1100],
                    memory_size: 0x1100,
                },
                ElfSegment {
                    address: STAGE2_BASE + 0x3000,
                    data: vec![1; 8],
                    memory_size: 0x2800,
                },
            ],
        }
    }

    struct Input {
        stage2: Vec<u8>,
        kernel: Vec<u8>,
        firmware: Vec<u8>,
        by_hash: bool,
        guest_vmpl: u8,
        c_bit: u8,
    }

    fn build(change: impl FnOnce(&mut Input)) -> Result<Launch, RampartError> {
        let mut input = Input {
            stage2: stage2().build(),
            kernel: ElfFile::single(0x1820_0000, vec![0x42; 0x3000]).build(),
            firmware: vec![0xff; 0x2000],
            by_hash: false,
            guest_vmpl: 2,
            c_bit: 51,
        };
        change(&mut input);
        launch(&Parts {
            stage2: &input.stage2,
            kernel: &input.kernel,
            firmware: &input.firmware,
            firmware_by_hash: input.by_hash,
            policy: 0x30000,
            sev_features: SevFeatures::SNP,
            guest_vmpl: input.guest_vmpl,
            c_bit: input.c_bit,
            flags: ImageFlags::TPM,
            parameters_pcr: 0,
        })
    }

    #[test]
    fn stage2_is_loaded_with_its_bss_and_stack() {
        let launch = build(|_| ()).unwrap();
        let content = |page: u64| launch.pages().get(&(STAGE2_BASE + page * PAGE_SIZE));
        let zero = |page: u64| content(page).unwrap().content == Content::Zero;
        // Code, rest of code, a gap, data, bss, bss; then nothing.
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(zero),
            [false, false, true, false, true, true]
        );
        assert_eq!(content(6), None);
        assert_eq!(launch.vmsa.rsp, STAGE2_BASE + 6 * PAGE_SIZE);
        assert_eq!(launch.vmsa.rip, STAGE2_BASE);
    }

    #[test]
    fn the_header_tells_where_the_payloads_are() {
        let launch = build(|_| ()).unwrap();
        let Content::Data(page) = &launch.pages()[&IMAGE_HEADER_PAGE].content else {
            panic!("the header is data")
        };
        let header = ImageHeader::read_from_bytes(page.as_slice()).unwrap();
        assert!(header.check().is_ok());
        assert_eq!(header.kernel.gpa, PAYLOAD_BASE);
        assert_eq!(header.firmware.gpa, PAYLOAD_BASE + PAGE_SIZE);
        assert_eq!(header.firmware.unpacked, 0x2000);
        assert_eq!(header.firmware_gpa, 0xFFFF_E000);
        let Content::Data(packed) = &launch.pages()[&PAYLOAD_BASE].content else {
            panic!("the kernel is data")
        };
        let packed = &packed[..header.kernel.packed as usize];
        let unpacked = miniz_oxide::inflate::decompress_to_vec(packed).unwrap();
        assert_eq!(unpacked.len(), header.kernel.unpacked as usize);
        let kernel = Executable::parse(&unpacked).unwrap();
        assert_eq!(kernel.segments[0].data, [0x42; 0x3000]);
    }

    #[test]
    fn a_firmware_by_hash_is_not_in_the_image() {
        let noise: Vec<u8> = (0..0x8000u32).map(|i| ((i * i) >> 3) as u8).collect();
        let build = |by_hash, firmware: Vec<u8>| {
            let launch = build(|input| {
                input.firmware = firmware;
                input.by_hash = by_hash;
            });
            let launch = launch.unwrap();
            let Content::Data(page) = &launch.pages()[&IMAGE_HEADER_PAGE].content else {
                panic!("the header is data")
            };
            let header = ImageHeader::read_from_bytes(page.as_slice()).unwrap();
            assert!(header.check().is_ok());
            (launch.pages().len(), header)
        };
        let (embedded, _) = build(false, noise.clone());
        let (pages, header) = build(true, noise.clone());
        assert!(pages < embedded, "{pages} of {embedded}");
        assert!(header.firmware_is_by_hash());
        assert_eq!(header.firmware.unpacked, 0x8000);
        assert_eq!(header.firmware_gpa, 0xFFFF_8000);
        assert_eq!(header.firmware_sha384[..], Sha384::digest(&noise)[..]);
        // Another firmware of that size is as many pages, and another image.
        let mut other = noise;
        other[0x7FFF] ^= 1;
        let (same, changed) = build(true, other);
        assert_eq!(same, pages);
        assert_ne!(changed.firmware_sha384, header.firmware_sha384);
    }

    #[test]
    fn all_of_the_firmware_range_and_the_rom_is_loaded_or_required() {
        let launch = build(|_| ()).unwrap();
        let required = |gpa: u64| {
            launch
                .required_memory()
                .iter()
                .any(|range| range.start <= gpa && gpa < range.end)
        };
        for gpa in (layout::FIRMWARE_BASE..layout::PAGE_MAP_BASE).step_by(PAGE_SIZE as usize) {
            assert_ne!(launch.owner_of(gpa).is_some(), required(gpa), "{gpa:#x}");
        }
        assert!(required(0xFFFF_E000) && required(0xFFFF_F000));
        assert!(!required(layout::PAGE_MAP_BASE) && !required(0x01FF_F000));
    }

    #[test]
    fn parts_in_wrong_places_are_named() {
        let message = |result: Result<Launch, RampartError>| result.err().unwrap().to_string();
        let mut moved = stage2();
        moved.entry += 0x10;
        let entry = message(build(|input| input.stage2 = moved.build()));
        assert_eq!(
            entry,
            "stage2: the entry is 0x18000010, must be the first byte, 0x18000000"
        );
        let mut large = stage2();
        large.segments[1].memory_size = 0xD001;
        let segment = message(build(|input| input.stage2 = large.build()));
        assert!(segment.contains("0x18003000..0x18010001"), "{segment}");
        let kernel = message(build(|input| input.kernel = b"no ELF".to_vec()));
        assert!(
            kernel.starts_with("kernel: not a readable ELF64 file"),
            "{kernel}"
        );
        let odd = message(build(|input| input.firmware = vec![0; 0x1001]));
        assert!(odd.starts_with("firmware: 0x1001 bytes"), "{odd}");
        assert_eq!(
            message(build(|input| input.guest_vmpl = 0)),
            "image header: GuestVmpl(0)"
        );
        assert_eq!(
            message(build(|input| input.c_bit = 47)),
            "image header: CBit(47)"
        );
    }

    #[test]
    fn payloads_that_do_not_pack_into_their_area_are_refused() {
        // A simple generator's output, which deflate cannot shrink.
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as u8
        })
        .take(0x40_0000)
        .collect();
        let error = build(|input| input.firmware = noise).err().unwrap();
        assert!(
            matches!(
                error,
                RampartError::TooLarge {
                    part: "firmware",
                    gpa: 0x1802_1000,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn symbols_do_not_enter_the_image() {
        let mut with_symbols = ElfFile::single(0x1820_0000, vec![0x42; 0x3000]).build();
        let length = with_symbols.len();
        with_symbols.extend(b"/home/builder/secret-name");
        with_symbols[40..48].copy_from_slice(&(length as u64).to_le_bytes());
        with_symbols[60..62].copy_from_slice(&1u16.to_le_bytes());
        let kept = crate::elf::without_symbols(&with_symbols).unwrap();
        assert_eq!(kept.len(), length);
        assert_eq!(kept[58..64], [0; 6]);
        assert!(Executable::parse(&kept).is_ok());
    }
}
