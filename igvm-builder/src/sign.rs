//! Signing an image: the ID block that names its launch digest, embedded in the file
//! or beside it.

use igvm::Arch;
use igvm::{IgvmDirectiveHeader as Directive, IgvmFile, IgvmInitializationHeader, IgvmRevision};
use igvm_defs::IgvmPlatformType;
use p384::ecdsa::SigningKey;
use protocols::snp::{GuestPolicy, IdBlock};
use serde::Serialize;
use thiserror::Error;

use crate::container::{self, ContainerError};
use crate::hex::{self, Hex};
use crate::id_block::SignedIdBlock;
use crate::keys;
use crate::measure::{KvmHost, MeasureError, Measurement, measure, measure_with_kvm};
use crate::policy;
use crate::sequence;

/// Why an image is not signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// It has no launch digest.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// It is no IGVM file.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// QEMU or KVM would refuse the launch.
    #[error("QEMU or KVM refuses the file: {0}")]
    Refused(String),
    /// The policy contradicts itself.
    #[error("the policy {policy}: {reason}")]
    Contradiction {
        /// The policy in words.
        policy: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The policy beside a file is not the file's own.
    #[error(
        "the file has the policy {file:#x}, which counts at launch: an ID block beside it cannot \
         have {asked:#x} (embed the ID block to change the file's policy)"
    )]
    PolicyBeside {
        /// The file's.
        file: u64,
        /// What was asked for.
        asked: u64,
    },
    /// The author key is the ID key.
    #[error("the author key is the ID key: a key that certifies itself certifies nothing")]
    SameKey,
    /// There is nowhere to put the ID block.
    #[error("the file has no SEV-SNP platform, which an embedded ID block belongs to")]
    NoPlatform,
    /// The `igvm` crate refuses the result.
    #[error("the signed image is no valid IGVM file")]
    Invalid(#[from] igvm::Error),
    /// The signed image would launch otherwise.
    #[error("internal error: the signed image reads back otherwise ({0})")]
    ReadBack(&'static str),
}

/// What the owner wants signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The guest's security version.
    pub guest_svn: u32,
    /// The owner's name of a family of images.
    pub family_id: [u8; 16],
    /// The owner's name of the image.
    pub image_id: [u8; 16],
    /// The policy bits; the file's own if none are given.
    pub policy: Option<GuestPolicy>,
    /// The least ABI version; the file's own if none is given.
    pub minimum_abi: Option<(u8, u8)>,
    /// The launch is QEMU's with KVM; by the file alone if there is none.
    pub host: Option<KvmHost>,
}

/// Where the ID block goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Into the file.
    Embedded,
    /// Beside it.
    Beside,
}

/// A signed image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The file, with the ID block if it is embedded.
    pub file: Vec<u8>,
    /// The ID block.
    pub id_block: SignedIdBlock,
}

/// A signed image in a report's form.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The launch digest that was signed.
    pub launch_digest: String,
    /// The policy that was signed.
    pub policy: Hex,
    /// The guest's security version.
    pub guest_svn: u32,
    /// In hexadecimal.
    pub family_id: String,
    /// In hexadecimal.
    pub image_id: String,
    /// SHA-384 of the ID key, as reports have it.
    pub id_key_digest: String,
    /// SHA-384 of the author key, as reports have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author_key_digest: Option<String>,
}

impl Report {
    /// What `signed` says.
    pub fn of(signed: &SignedIdBlock) -> Self {
        let SignedIdBlock {
            block,
            authentication,
        } = signed;
        let digest = |key| hex::digits(&keys::digest(key));
        Self {
            launch_digest: hex::digits(&block.launch_digest),
            policy: Hex(block.policy),
            guest_svn: block.guest_svn,
            family_id: hex::digits(&block.family_id),
            image_id: hex::digits(&block.image_id),
            id_key_digest: digest(&authentication.id_key),
            author_key_digest: authentication
                .has_author_key()
                .then(|| digest(&authentication.author_key)),
        }
    }
}

/// Signs the image in `bytes`. An ID block that it has is replaced.
///
/// # Errors
/// [`SignError`].
pub fn sign(
    name: &str,
    bytes: &[u8],
    request: &Request,
    id_key: &SigningKey,
    author_key: Option<&SigningKey>,
    place: Place,
) -> Result<Signed, SignError> {
    if author_key.is_some_and(|author| author.verifying_key() == id_key.verifying_key()) {
        return Err(SignError::SameKey);
    }
    let measurement = measured(name, bytes, request.host)?;
    let file = container::parse(bytes)?;
    let policy = asked_policy(sequence::policy(&file), request);
    if let Some(reason) = policy::contradictions(policy).first() {
        return Err(SignError::Contradiction {
            policy: policy::Words(policy).to_string(),
            reason,
        });
    }
    let block = IdBlock {
        launch_digest: hex::bytes(&measurement.launch_digest)
            .and_then(|digest| digest.try_into().ok())
            .ok_or(SignError::ReadBack("the digest"))?,
        family_id: request.family_id,
        image_id: request.image_id,
        version: IdBlock::VERSION,
        guest_svn: request.guest_svn,
        policy,
    };
    let id_block = SignedIdBlock::sign(block, id_key, author_key);
    let file = match place {
        Place::Embedded => embedded(name, bytes, &file, &id_block, request.host)?,
        Place::Beside => {
            // Without a policy in the file the host's counts, which is unknown here.
            if let Some(own) = sequence::stated_policy(&file).filter(|own| *own != policy) {
                return Err(SignError::PolicyBeside {
                    file: own,
                    asked: policy,
                });
            }
            bytes.to_vec()
        }
    };
    Ok(Signed { file, id_block })
}

fn measured(name: &str, bytes: &[u8], host: Option<KvmHost>) -> Result<Measurement, SignError> {
    let measurement = match host {
        Some(host) => measure_with_kvm(name, bytes, host)?,
        None => measure(name, bytes)?,
    };
    let refusals = measurement.kvm.iter().flat_map(|kvm| &kvm.refusals);
    if let Some(refusal) = refusals.into_iter().next() {
        return Err(SignError::Refused(refusal.to_string()));
    }
    Ok(measurement)
}

fn asked_policy(own: u64, request: &Request) -> u64 {
    let own = GuestPolicy::from_bits_retain(own);
    let (major, minor) = request
        .minimum_abi
        .unwrap_or((own.abi_major(), own.abi_minor()));
    let flags = request.policy.unwrap_or(own);
    flags.with_abi(major, minor).bits()
}

/// The file with `id_block` and its policy.
fn embedded(
    name: &str,
    bytes: &[u8],
    file: &IgvmFile,
    id_block: &SignedIdBlock,
    host: Option<KvmHost>,
) -> Result<Vec<u8>, SignError> {
    let mask = snp_platform(file).ok_or(SignError::NoPlatform)?;
    let is_ours = |own: u32| own & mask != 0;
    let mut initializations: Vec<_> = file.initializations().to_vec();
    initializations.retain(|header| match header {
        IgvmInitializationHeader::GuestPolicy {
            compatibility_mask, ..
        } => !is_ours(*compatibility_mask),
        _ => true,
    });
    initializations.push(IgvmInitializationHeader::GuestPolicy {
        policy: id_block.block.policy,
        compatibility_mask: mask,
    });
    let mut directives: Vec<_> = file.directives().to_vec();
    directives.retain(|directive| match directive {
        Directive::SnpIdBlock {
            compatibility_mask, ..
        } => !is_ours(*compatibility_mask),
        _ => true,
    });
    // Last, so that no run of pages is torn apart.
    directives.push(id_block.to_directive(mask));
    let platforms = file.platforms().to_vec();
    let signed = IgvmFile::new(revision(bytes), platforms, initializations, directives)?;
    let mut output = Vec::new();
    signed.serialize(&mut output)?;

    let again = container::parse(&output)?;
    let policy = sequence::stated_policy(&again);
    let found = SignedIdBlock::of_file(&again, policy.unwrap_or(0));
    if found.map(|(_, found)| found).as_ref() != Some(id_block) {
        return Err(SignError::ReadBack("the ID block"));
    }
    let digest = measured(name, &output, host)?.launch_digest;
    if digest != hex::digits(&id_block.block.launch_digest) {
        return Err(SignError::ReadBack("the launch digest"));
    }
    Ok(output)
}

/// The compatibility mask of the SNP platform.
fn snp_platform(file: &IgvmFile) -> Option<u32> {
    let mut platforms = file.platforms().iter();
    platforms.find_map(|igvm::IgvmPlatformHeader::SupportedPlatform(info)| {
        (info.platform_type == IgvmPlatformType::SEV_SNP).then_some(info.compatibility_mask)
    })
}

/// The format of a file that has been parsed.
fn revision(bytes: &[u8]) -> IgvmRevision {
    let word = |at: usize| {
        let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    };
    match word(4) {
        1 => IgvmRevision::V1,
        _ => IgvmRevision::V2 {
            arch: match word(24) {
                0 => Arch::X64,
                _ => Arch::AArch64,
            },
            page_size: word(28),
        },
    }
}

#[cfg(test)]
mod tests;
