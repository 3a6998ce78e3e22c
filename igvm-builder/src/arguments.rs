//! What the command line takes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use igvm_builder::measure::KvmHost;
use igvm_builder::{hex, kvm, policy};
use protocols::snp::GuestPolicy;

/// Builds, measures, signs and explains IGVM images for AMD SEV-SNP guests.
///
/// Every command but build and flatten takes IGVM files of any origin. docs/igvm-builder.md
/// has the manual.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Build an image from its manifest.
    ///
    /// Of an image with firmware-by-hash, the firmware is written beside it, as
    /// FILE with the extension .firmware in the place of its own.
    Build {
        /// The manifest, for example images/rampart.toml.
        manifest: PathBuf,
        /// Where the IGVM file is written.
        #[arg(long)]
        out: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what an IGVM file holds, directive by directive, and what guest memory is then.
    Inspect {
        /// The IGVM file.
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Draw the map of guest memory as an SVG picture here.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Say why two IGVM files have different launch digests.
    ///
    /// Page by page with the owners' names, VMSA field by field, then what the launch
    /// digest does not cover. Exit status 0 if the digest is the same, 1 if not, 2 if
    /// one of the files cannot be launched.
    Diff {
        /// The first IGVM file.
        first: PathBuf,
        /// The second IGVM file.
        second: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compute the launch digest of an IGVM file.
    ///
    /// By the file alone: its pages in their order and its VMSAs, those at the address
    /// where KVM has them after all pages. The emulated machine measures the same.
    ///
    /// With --check-kvm as QEMU (10.1 or later) with KVM has it measured: every field
    /// to which KVM gives another value is named. Exit status 1 if they refuse the file.
    Measure {
        /// The IGVM file.
        file: PathBuf,
        /// As JSON: the reference values that rampart-verify takes.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        kvm: Kvm,
    },
    /// Sign an IGVM file: an ID block with its launch digest and policy.
    ///
    /// The ID block is embedded in a copy of the file (--out), which is then launched
    /// with the policy that was signed, or written beside it (--beside). The secure
    /// processor refuses a launch with another digest or policy, and puts the digests
    /// of the keys into the guest's reports. The launch digest itself stays the same.
    Sign(Sign),
    /// Check an IGVM file: its ID block, its policy, and QEMU's and KVM's rules.
    ///
    /// Every finding has the name of the rule and its reason. Exit status 1 if one of them
    /// is an error.
    Verify(Verify),
    /// Cut a flat firmware image (a ROM) out of an ELF file.
    ///
    /// The PT_LOAD segments are placed by physical address; the image ends at
    /// --end and is padded at the front to a multiple of --align.
    Flatten {
        /// The ELF file.
        elf: PathBuf,
        /// Where the image is written.
        #[arg(long)]
        out: PathBuf,
        /// The physical address after the image's last byte.
        #[arg(long, default_value = "0x100000000", value_parser = number)]
        end: u64,
        /// The image's size is a multiple of this (bytes).
        #[arg(long, default_value = "65536", value_parser = number)]
        align: u64,
    },
}

/// Which launch is meant.
#[derive(Args)]
pub(crate) struct Kvm {
    /// The launch by QEMU with KVM, which make the VMSAs that are measured.
    #[arg(long)]
    check_kvm: bool,
    /// The guest's vCPUs: KVM measures a VMSA for each that exists at launch.
    #[arg(long, requires = "check_kvm", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=4096))]
    vcpus: u32,
    /// The processor, by the name that QEMU's -cpu takes (EPYC-v4, EPYC-Milan, ...) or by
    /// CPUID 1 EAX (0x800f12). It enters the digest with vCPUs that have no VMSA in the file.
    #[arg(long, requires = "check_kvm", value_name = "MODEL", value_parser = cpu)]
    cpu: Option<u32>,
}

impl Kvm {
    /// The host, if the launch is KVM's.
    pub(crate) fn host(&self) -> Option<KvmHost> {
        self.check_kvm.then_some(KvmHost {
            vcpus: self.vcpus,
            signature: self.cpu,
        })
    }
}

#[derive(Args)]
pub(crate) struct Sign {
    /// The IGVM file.
    pub(crate) file: PathBuf,
    /// The private key that signs the ID block: P-384, PEM, PKCS#8 or SEC 1
    /// (openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384).
    #[arg(long, value_name = "PEM")]
    pub(crate) id_key: PathBuf,
    /// The private key that certifies the ID key.
    #[arg(long, value_name = "PEM")]
    pub(crate) author_key: Option<PathBuf>,
    /// Where the file with the ID block embedded is written.
    #[arg(long, required_unless_present = "beside", conflicts_with = "beside")]
    pub(crate) out: Option<PathBuf>,
    /// Write PREFIX.id-block and PREFIX.id-auth instead, in base64, as QEMU's options
    /// id-block and id-auth take them. QEMU drops these options with an IGVM file.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) beside: Option<PathBuf>,
    /// The guest's security version, which reports carry.
    #[arg(long, default_value = "0")]
    pub(crate) guest_svn: u32,
    /// The owner's name of the family: up to 16 characters, or 32 hexadecimal digits.
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) family_id: Option<Id>,
    /// The owner's name of the image: up to 16 characters, or 32 hexadecimal digits.
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) image_id: Option<Id>,
    /// The policy bits that are set, by name: smt, migration-agent, debug, single-socket,
    /// cxl, aes-256-xts, rapl-off, ciphertext-hiding, page-swap-off. Default: the file's.
    #[arg(long, value_name = "BITS", value_parser = policy::parse)]
    pub(crate) policy: Option<GuestPolicy>,
    /// The least version of the firmware ABI, such as 1.55. Default: the file's.
    #[arg(long, value_name = "VERSION", value_parser = policy::parse_abi)]
    pub(crate) min_abi: Option<(u8, u8)>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) kvm: Kvm,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The IGVM file.
    pub(crate) file: PathBuf,
    /// There must be an ID block.
    #[arg(long)]
    pub(crate) signed: bool,
    /// The key that must have signed the ID block: PEM, the public key will do.
    #[arg(long, value_name = "PEM")]
    pub(crate) id_key: Option<PathBuf>,
    /// The key that must have certified the ID key.
    #[arg(long, value_name = "PEM")]
    pub(crate) author_key: Option<PathBuf>,
    /// The ID block beside the file, in base64 or binary; the file's own is left aside.
    #[arg(long, requires = "id_auth")]
    pub(crate) id_block: Option<PathBuf>,
    /// The ID authentication beside the file.
    #[arg(long, requires = "id_block")]
    pub(crate) id_auth: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) kvm: Kvm,
}

/// 16 bytes that name something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) [u8; 16]);

/// Up to 16 characters, or 32 hexadecimal digits.
fn id(text: &str) -> Result<Id, String> {
    if let Some(bytes) = hex::bytes(text).and_then(|bytes| bytes.try_into().ok()) {
        return Ok(Id(bytes));
    }
    let mut bytes = [0; 16];
    match bytes.get_mut(..text.len()) {
        Some(place) if text.is_ascii() => place.copy_from_slice(text.as_bytes()),
        _ => return Err("neither up to 16 ASCII characters nor 32 hexadecimal digits".into()),
    }
    Ok(Id(bytes))
}

/// A number in decimal or, with 0x, in hexadecimal; `_` may group digits.
fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    }
    .map_err(|error| format!("{error}"))
}

/// A processor model of QEMU, or a signature.
fn cpu(text: &str) -> Result<u32, String> {
    let known = || kvm::models().collect::<Vec<_>>().join(", ");
    if let Some(signature) = kvm::model(text) {
        return Ok(signature);
    }
    match number(text).map(u32::try_from) {
        Ok(Ok(signature)) => Ok(signature),
        _ => Err(format!(
            "no known model ({}) and no signature such as 0x800f12",
            known()
        )),
    }
}
