//! The launch of an IGVM file: QEMU's loader and the secure processor's
//! SNP_LAUNCH_UPDATE for each page.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::mem::offset_of;

use igvm_defs::{IGVM_VHS_PARAMETER, IGVM_VHS_SNP_ID_BLOCK, IgvmPageDataType};
use protocols::addr::Gpa;
use protocols::boot::{MemoryMapEntry, MemoryMapType};
use protocols::snp::{CpuidPage, GuestPolicy, LaunchPageType, SecretsPage, Vmsa};
use snp_model::launch::id_block::FinishError;
use snp_model::launch::{self as model, Launch, LaunchPage};
use snp_model::types::Spa;
use zerocopy::{FromZeros, IntoBytes};

use super::igvm::{Directive, IgvmError, IgvmFile};
use super::{id_block, keys};
use crate::host::memory::Memory;
use crate::mem::phys;
use crate::report::stats::Stats;

const PAGE: u64 = 0x1000;
/// Where every VMSA is measured.
const VMSA_GPA: u64 = 0xffff_ffff_f000;
/// SMT allowed, and the bit that has to be one.
const DEFAULT_POLICY: u64 = 0x3_0000;
/// The largest parameter area that is taken.
const MAX_PARAMETER_AREA: u64 = 0x10_0000;

/// Why an image does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    File(IgvmError),
    Policy(u64),
    Twice { gpa: u64 },
    NoMemory { gpa: u64 },
    PageSize { gpa: u64 },
    PageType { gpa: u64, kind: u16 },
    Parameter { index: u32 },
    VpContext { index: u16 },
    NoVpContext,
    IdBlock(FinishError),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::File(error) => error.fmt(f),
            Self::Policy(policy) => write!(f, "policy {policy:#x} has reserved bits wrong"),
            Self::Twice { gpa } => write!(f, "two pages of the image overlap at {gpa:#x}"),
            Self::NoMemory { gpa } => write!(f, "no memory for the page at {gpa:#x}"),
            Self::PageSize { gpa } => write!(f, "page at {gpa:#x}: only 4 KiB pages are loaded"),
            Self::PageType { gpa, kind } => {
                write!(f, "page at {gpa:#x}: data type {kind} is not supported")
            }
            Self::Parameter { index } => {
                write!(f, "parameter area {index} is missing or too small")
            }
            Self::VpContext { index } => write!(f, "context of vCPU {index} cannot be used"),
            Self::NoVpContext => write!(f, "no context for the first vCPU"),
            Self::IdBlock(error) => write!(f, "its ID block is not taken: {error:?}"),
        }
    }
}

impl From<IgvmError> for Refused {
    fn from(error: IgvmError) -> Self {
        Self::File(error)
    }
}

/// What the host tells the guest at launch.
pub(crate) struct Told {
    pub(crate) cpuid: CpuidPage,
    pub(crate) memory_map: Vec<MemoryMapEntry>,
    pub(crate) vp_count: u32,
    /// SEV_FEATURES beyond those that the image's VMSA has.
    pub(crate) sev_features: u64,
    /// Bits of the policy that the host sets, whatever the image says.
    pub(crate) policy_set: u64,
    /// Bits that it clears.
    pub(crate) policy_clear: u64,
}

/// A launched guest.
pub(crate) struct Launched {
    /// What the secure processor keeps of it.
    pub(crate) guest: model::Launched,
    /// The VMSA of the first vCPU: its GPA and its system page.
    pub(crate) vmsa: (u64, u64),
    /// Stretches of guest memory `[start, end)` that the image brings, loaded and
    /// required, in which at least one page is loaded: an SVSM's own are among them.
    pub(crate) brought: Vec<(u64, u64)>,
}

/// Memory that the image brings `[start, end)`: a loaded page or a required range.
#[derive(Clone, Copy)]
struct Piece {
    start: u64,
    end: u64,
    loaded: bool,
}

/// Joins pieces that touch each other, and gives the results with a loaded page.
fn stretches(mut pieces: Vec<Piece>) -> Vec<(u64, u64)> {
    pieces.sort_unstable_by_key(|piece| piece.start);
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if piece.start <= last.end => {
                last.end = last.end.max(piece.end);
                last.loaded |= piece.loaded;
            }
            _ => joined.push(piece),
        }
    }
    joined.retain(|piece| piece.loaded);
    joined
        .iter()
        .map(|piece| (piece.start, piece.end))
        .collect()
}

struct Loader<'a> {
    file: IgvmFile<'a>,
    memory: &'a mut Memory,
    stats: &'a mut Stats,
    launch: Launch,
    /// The policy of the launch.
    policy: u64,
    told: &'a Told,
    /// Memory that the image brings.
    pieces: Vec<Piece>,
    parameters: BTreeMap<u32, Vec<u8>>,
    vp_context: Option<u32>,
    id_block: Option<Box<IGVM_VHS_SNP_ID_BLOCK>>,
}

/// The memory map that the guest is told of, by IGVM's parameter.
pub(crate) fn memory_map(ram: &[(u64, u64)]) -> Vec<MemoryMapEntry> {
    ram.iter()
        .map(|&(start, end)| {
            MemoryMapEntry::new(start / PAGE, (end - start) / PAGE, MemoryMapType::MEMORY)
        })
        .collect()
}

/// Launches the file.
pub(crate) fn launch(
    bytes: &[u8],
    memory: &mut Memory,
    stats: &mut Stats,
    told: &Told,
) -> Result<Launched, Refused> {
    let file = IgvmFile::open(bytes)?;
    let mut policy = DEFAULT_POLICY;
    for directive in file.directives() {
        if let Directive::Policy(value) = directive? {
            policy = value;
        }
    }
    policy = policy & !told.policy_clear | told.policy_set;
    let launch = Launch::start(memory.asid(), GuestPolicy::from_bits_retain(policy))
        .map_err(|_| Refused::Policy(policy))?;
    let loader = Loader {
        file,
        memory,
        stats,
        launch,
        policy,
        told,
        pieces: Vec::new(),
        parameters: BTreeMap::new(),
        vp_context: None,
        id_block: None,
    };
    loader.run()
}

impl Loader<'_> {
    fn run(mut self) -> Result<Launched, Refused> {
        let directives: Vec<_> = self.file.directives().collect::<Result<_, _>>()?;
        for directive in directives {
            self.directive(directive)?;
        }
        // VMSAs are measured last.
        let offset = self.vp_context.ok_or(Refused::NoVpContext)?;
        let page = self.file.page(offset, VMSA_GPA)?;
        let mut contents = [0; PAGE as usize];
        contents.copy_from_slice(page);
        add_features(&mut contents, self.told.sev_features);
        let spa = self
            .memory
            .vmsa_frame()
            .ok_or(Refused::NoMemory { gpa: VMSA_GPA })?;
        self.update(VMSA_GPA, spa, LaunchPageType::VMSA, &contents)?;
        let guest = match &self.id_block {
            Some(given) => id_block::finish(self.launch, self.policy, given),
            None => Ok(self.launch.finish()),
        };
        Ok(Launched {
            guest: guest.map_err(Refused::IdBlock)?,
            vmsa: (VMSA_GPA, spa),
            brought: stretches(self.pieces),
        })
    }

    fn directive(&mut self, directive: Directive) -> Result<(), Refused> {
        match directive {
            Directive::Policy(_) => Ok(()),
            Directive::Page { gpa, data } => {
                if data.flags.is_2mb_page() || data.flags.shared() || gpa % PAGE != 0 {
                    return Err(Refused::PageSize { gpa });
                }
                let mut contents = [0; PAGE as usize];
                if data.file_offset != 0 {
                    contents.copy_from_slice(self.file.page(data.file_offset, gpa)?);
                }
                let kind = match data.data_type {
                    IgvmPageDataType::NORMAL if data.flags.unmeasured() => {
                        LaunchPageType::UNMEASURED
                    }
                    IgvmPageDataType::NORMAL => LaunchPageType::NORMAL,
                    IgvmPageDataType::SECRETS => {
                        contents = secrets();
                        LaunchPageType::SECRETS
                    }
                    IgvmPageDataType::CPUID_DATA => {
                        contents.copy_from_slice(self.told.cpuid.as_bytes());
                        LaunchPageType::CPUID
                    }
                    other => return Err(Refused::PageType { gpa, kind: other.0 }),
                };
                self.load(gpa, kind, &contents)
            }
            Directive::ParameterArea {
                index,
                bytes,
                file_offset,
            } => {
                let len = usize::try_from(bytes.min(MAX_PARAMETER_AREA)).unwrap_or_default();
                let mut area = vec![0; len];
                if file_offset != 0 {
                    let initial = self.file.data(file_offset, len);
                    area.copy_from_slice(initial.ok_or(Refused::Parameter { index })?);
                }
                self.parameters.insert(index, area);
                Ok(())
            }
            Directive::ParameterInsert { gpa, index } => {
                let area = self
                    .parameters
                    .remove(&index)
                    .ok_or(Refused::Parameter { index })?;
                for (number, chunk) in (0u64..).zip(area.chunks(PAGE as usize)) {
                    let mut contents = [0; PAGE as usize];
                    contents[..chunk.len()].copy_from_slice(chunk);
                    let at = gpa
                        .checked_add(number * PAGE)
                        .ok_or(Refused::NoMemory { gpa })?;
                    self.load(at, LaunchPageType::UNMEASURED, &contents)?;
                }
                Ok(())
            }
            Directive::VpContext { file_offset, index } => match index {
                0 if file_offset != 0 => {
                    self.vp_context = Some(file_offset);
                    Ok(())
                }
                _ => Err(Refused::VpContext { index }),
            },
            Directive::RequiredMemory { gpa, bytes } => {
                let bytes = u64::from(bytes);
                let end = gpa.checked_add(bytes).ok_or(Refused::NoMemory { gpa })?;
                self.pieces.push(Piece {
                    start: gpa,
                    end,
                    loaded: false,
                });
                self.memory
                    .add_window(gpa, bytes)
                    .ok_or(Refused::NoMemory { gpa })
            }
            Directive::IdBlock(given) => {
                self.id_block = Some(given);
                Ok(())
            }
            Directive::VpCount(at) => {
                let count = self.told.vp_count;
                self.fill_parameter(at, &count.to_le_bytes())
            }
            Directive::MemoryMap(at) => {
                let map = &self.told.memory_map;
                self.fill_parameter(at, map.as_bytes())
            }
        }
    }

    fn fill_parameter(&mut self, at: IGVM_VHS_PARAMETER, bytes: &[u8]) -> Result<(), Refused> {
        let index = at.parameter_area_index;
        let start = at.byte_offset as usize;
        self.parameters
            .get_mut(&index)
            .and_then(|area| area.get_mut(start..start.checked_add(bytes.len())?))
            .ok_or(Refused::Parameter { index })?
            .copy_from_slice(bytes);
        Ok(())
    }

    /// Loads a page at a guest address; where no memory is, it makes some, as
    /// QEMU does.
    fn load(
        &mut self,
        gpa: u64,
        kind: LaunchPageType,
        contents: &[u8; 4096],
    ) -> Result<(), Refused> {
        if !self.memory.is_memory(gpa) {
            self.memory
                .add_window(gpa, PAGE)
                .ok_or(Refused::NoMemory { gpa })?;
        }
        let spa = self.memory.spa(gpa).ok_or(Refused::NoMemory { gpa })?;
        self.update(gpa, spa, kind, contents)
    }

    fn update(
        &mut self,
        gpa: u64,
        spa: u64,
        kind: LaunchPageType,
        contents: &[u8; 4096],
    ) -> Result<(), Refused> {
        if self.memory.rmp().entry(Spa(spa)).is_assigned() {
            return Err(Refused::Twice { gpa });
        }
        self.memory
            .assign_for_launch(gpa, spa)
            .map_err(|_| Refused::NoMemory { gpa })?;
        phys::write_bytes(spa, contents);
        let page = LaunchPage::new(Spa(spa), Gpa::new(gpa), kind);
        self.launch
            .update(self.memory.rmp(), page, contents)
            .map_err(|_| Refused::Twice { gpa })?;
        self.stats.launch_page(kind.is_content_measured());
        if gpa != VMSA_GPA {
            self.pieces.push(Piece {
                start: gpa,
                end: gpa.saturating_add(PAGE),
                loaded: true,
            });
        }
        Ok(())
    }
}

/// The secrets page.
fn secrets() -> [u8; 4096] {
    let mut page = SecretsPage::new_zeroed();
    page.version = 3;
    page.vmpck = keys::vmpcks();
    let mut bytes = [0; 4096];
    bytes.copy_from_slice(page.as_bytes());
    bytes
}

/// Puts SEV_FEATURES bits into a VMSA.
fn add_features(vmsa: &mut [u8; 4096], features: u64) {
    let at = offset_of!(Vmsa, sev_features);
    if let Some(field) = vmsa.get_mut(at..at + 8) {
        for (byte, more) in field.iter_mut().zip(features.to_le_bytes()) {
            *byte |= more;
        }
    }
}
