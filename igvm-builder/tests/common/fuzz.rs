//! Files that no builder writes: changes to a seed, and all that this tool does with a file.

use std::fmt;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex};

use igvm::{
    IgvmDirectiveHeader as Directive, IgvmFile, IgvmInitializationHeader, IgvmPlatformHeader,
    IgvmRevision,
};
use igvm_builder::measure::{KvmHost, measure, measure_with_kvm};
use igvm_builder::sign::{Place, Request, sign};
use igvm_builder::verify::{Expected, verify};
use igvm_builder::{diff, hex, id_block, inspect, keys};
use igvm_defs::{
    IGVM_VHS_PARAMETER, IGVM_VHS_PARAMETER_INSERT, IGVM_VHS_SUPPORTED_PLATFORM, IgvmPageDataFlags,
    IgvmPageDataType, IgvmPlatformType,
};
use zerocopy::FromZeros;

/// The offset of the checksum in the fixed header.
const CHECKSUM: usize = 20;

/// A change of a seed: bytes at offsets, then perhaps a cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) seed: Seed,
    pub(crate) edits: Vec<(usize, Vec<u8>)>,
    pub(crate) length: Option<usize>,
}

/// A file to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seed {
    /// A firmware alone.
    Plain,
    /// Every header that the `igvm` crate writes for two platforms.
    Rich,
}

impl Seed {
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Rich];

    pub(crate) fn bytes(self) -> &'static [u8] {
        static PLAIN: LazyLock<Vec<u8>> =
            LazyLock::new(|| super::firmware_alone(super::boot_processor("EPYC-v4", 1)));
        static RICH: LazyLock<Vec<u8>> = LazyLock::new(rich);
        match self {
            Self::Plain => &PLAIN,
            Self::Rich => &RICH,
        }
    }
}

impl Input {
    /// The file. Its checksum is right unless a change of it is asked for.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = self.seed.bytes().to_vec();
        for (offset, bytes) in &self.edits {
            if let Some(place) = file.get_mut(*offset..*offset + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
        file.truncate(self.length.unwrap_or(usize::MAX));
        let touches_checksum = |(offset, bytes): &(usize, Vec<u8>)| {
            *offset < CHECKSUM + 4 && *offset + bytes.len() > CHECKSUM
        };
        if !self.edits.iter().any(touches_checksum) {
            let _ = set_checksum(&mut file);
        }
        file
    }
}

fn set_checksum(file: &mut [u8]) -> Option<()> {
    let word = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?) as usize);
    let size = if word(4)? == 1 { 24 } else { 32 };
    let (start, length) = (word(8)?, word(12)?);
    file.get_mut(CHECKSUM..CHECKSUM + 4)?.fill(0);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(file.get(..size)?);
    hasher.update(file.get(start..start + length)?);
    let checksum = hasher.finalize().to_le_bytes();
    file.get_mut(CHECKSUM..CHECKSUM + 4)?
        .copy_from_slice(&checksum);
    Some(())
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = match self.seed {
            Seed::Plain => "plain",
            Seed::Rich => "rich",
        };
        write!(f, "{seed}")?;
        for (offset, bytes) in &self.edits {
            write!(f, " {offset:x}={}", hex::digits(bytes))?;
        }
        match self.length {
            Some(length) => write!(f, " length={length:x}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Input {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let bad = || format!("no input: {line}");
        let mut words = line.split_whitespace();
        let seed = match words.next() {
            Some("plain") => Seed::Plain,
            Some("rich") => Seed::Rich,
            _ => return Err(bad()),
        };
        let mut input = Self {
            seed,
            edits: vec![],
            length: None,
        };
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(bad)?;
            let number = |text| usize::from_str_radix(text, 16).map_err(|_| bad());
            match name {
                "length" => input.length = Some(number(value)?),
                offset => input
                    .edits
                    .push((number(offset)?, hex::bytes(value).ok_or_else(bad)?)),
            }
        }
        Ok(input)
    }
}

/// A file with every header that the `igvm` crate writes, for SNP and without isolation.
fn rich() -> Vec<u8> {
    let platform = |compatibility_mask, platform_type| {
        IgvmPlatformHeader::SupportedPlatform(IGVM_VHS_SUPPORTED_PLATFORM {
            compatibility_mask,
            highest_vtl: 0,
            platform_type,
            platform_version: 1,
            shared_gpa_boundary: 0,
        })
    };
    let policy = |policy, compatibility_mask| IgvmInitializationHeader::GuestPolicy {
        policy,
        compatibility_mask,
    };
    let page = |gpa, flags, data_type, data| Directive::PageData {
        gpa,
        compatibility_mask: 1,
        flags,
        data_type,
        data,
    };
    let at = |byte_offset| IGVM_VHS_PARAMETER {
        parameter_area_index: 0,
        byte_offset,
    };
    let insert = |index, gpa| {
        Directive::ParameterInsert(IGVM_VHS_PARAMETER_INSERT {
            gpa,
            compatibility_mask: 1,
            parameter_area_index: index,
        })
    };
    let area = |index, pages: u64, initial_data| Directive::ParameterArea {
        number_of_bytes: pages * 0x1000,
        parameter_area_index: index,
        initial_data,
    };
    let vmsa = |vp_index| Directive::SnpVpContext {
        gpa: protocols::snp::Vmsa::LAUNCH_GPA,
        compatibility_mask: 1,
        vp_index,
        vmsa: super::boot_processor("EPYC-v4", 1),
    };
    let none = IgvmPageDataFlags::new();
    let id_block = id_block::SignedIdBlock::sign(FromZeros::new_zeroed(), &KEY, None);
    let directives = vec![
        area(0, 2, vec![]),
        Directive::MemoryMap(at(0)),
        Directive::VpCount(at(0xc0)),
        Directive::EnvironmentInfo(at(0xc8)),
        Directive::Srat(at(0x100)),
        Directive::Madt(at(0x200)),
        Directive::Slit(at(0x300)),
        Directive::Pptt(at(0x400)),
        Directive::MmioRanges(at(0x500)),
        Directive::CommandLine(at(0x600)),
        Directive::DeviceTree(at(0x700)),
        insert(0, 0x10_0000),
        Directive::RequiredMemory {
            gpa: 0x20_0000,
            compatibility_mask: 3,
            number_of_bytes: 0x4000,
            vtl2_protectable: false,
        },
        page(
            0x20_1000,
            none,
            IgvmPageDataType::NORMAL,
            vec![0xa5; 0x1000],
        ),
        page(0x20_2000, none, IgvmPageDataType::NORMAL, vec![]),
        page(
            0x20_3000,
            none.with_unmeasured(true),
            IgvmPageDataType::NORMAL,
            vec![],
        ),
        area(1, 1, vec![]),
        insert(1, 0x30_0000),
        page(0x31_0000, none, IgvmPageDataType::SECRETS, vec![]),
        page(0x31_1000, none, IgvmPageDataType::CPUID_DATA, vec![]),
        page(0x31_2000, none, IgvmPageDataType::CPUID_XF, vec![]),
        page(
            0x31_3000,
            none.with_shared(true),
            IgvmPageDataType::NORMAL,
            vec![],
        ),
        Directive::ErrorRange {
            gpa: 0x40_0000,
            compatibility_mask: 1,
            size_bytes: 0x1000,
        },
        vmsa(0),
        vmsa(1),
        id_block.to_directive(1),
    ];
    let platforms = vec![
        platform(1, IgvmPlatformType::SEV_SNP),
        platform(2, IgvmPlatformType::NATIVE),
    ];
    let policies = vec![policy(0x3_0000, 1), policy(0x1f, 2)];
    let file = IgvmFile::new(IgvmRevision::V1, platforms, policies, directives).unwrap();
    let mut bytes = Vec::new();
    file.serialize(&mut bytes).unwrap();
    bytes
}

/// The key that signs.
static KEY: LazyLock<p384::ecdsa::SigningKey> =
    LazyLock::new(|| keys::private(super::ID_KEY).unwrap());

/// The input that is being tried: a panic prints it.
static CURRENT: Mutex<String> = Mutex::new(String::new());

/// Has panics print the input that they come from: the process ends with them.
pub(crate) fn print_input_on_panic() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let input = CURRENT
            .lock()
            .map(|input| input.clone())
            .unwrap_or_default();
        eprintln!("panic with the input: {input}");
        hook(info);
    }));
}

/// Does with the input all that the tool can do with a file, and says in short what came
/// of it.
pub(crate) fn exercise(input: &Input) -> String {
    if let Ok(mut current) = CURRENT.lock() {
        *current = input.to_string();
    }
    let file = input.bytes();
    let mut results = Vec::new();
    results.push(match inspect::inspect(&file) {
        Ok(report) => {
            let json = serde_json::to_string(&report).unwrap();
            let picture = inspect::svg::svg("x", &report.map);
            assert!(!report.to_string().is_empty() && !json.is_empty() && !picture.is_empty());
            // A kind of memory is news, how much of it is not.
            let mut kinds: Vec<_> = report
                .map
                .iter()
                .map(|region| region.kind.words())
                .collect();
            kinds.sort_unstable();
            kinds.dedup();
            kinds.join(",")
        }
        // Nothing else is done with what is no IGVM file.
        Err(error) => return shape(&error.to_string()),
    });
    let host = KvmHost {
        vcpus: 3,
        signature: Some(0x80_0f12),
    };
    for measured in [measure("x", &file), measure_with_kvm("x", &file, host)] {
        results.push(match measured {
            Ok(measured) => shape(&measured.to_string()),
            Err(error) => shape(&error.to_string()),
        });
    }
    let report = verify("x", &file, &Expected::default()).unwrap();
    let _ = serde_json::to_string(&report).unwrap() + &report.to_string();
    let mut rules: Vec<_> = report.findings.iter().map(|finding| finding.rule).collect();
    rules.dedup();
    results.push(rules.join(","));
    let signed = sign("x", &file, &Request::default(), &KEY, None, Place::Embedded);
    results.push(match signed {
        Ok(signed) => {
            let again = verify("x", &signed.file, &Expected::default()).unwrap();
            let mut findings = again.findings.iter();
            assert!(!findings.any(|finding| finding.rule.starts_with("id-block")));
            "signed".into()
        }
        Err(error) => shape(&error.to_string()),
    });
    let difference = diff::diff(("a", &file), ("b", input.seed.bytes()));
    if let Ok(difference) = difference {
        let _ = serde_json::to_string(&difference).unwrap() + &difference.to_string();
    }
    results.join("; ")
}

/// A text without its numbers.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for word in text.split(' ') {
        let is_number = word.chars().any(|letter| letter.is_ascii_digit());
        shape += if is_number { "#" } else { word };
        shape += " ";
    }
    shape
}
