//! The services manifest (AMD publication 58019, attestation protocol), and what binds
//! it to the report.

use protocols::ovmf::Guid;
use protocols::snp::GuestPolicy;
use protocols::svsm::{GUID_EVENT_LOG, GUID_SERVICES_MANIFEST, GUID_VTPM_SERVICE};
use sha2::{Digest, Sha512};
use vtpm::wire::{Marshal, ObjectAttributes, Public, Unmarshal};

use crate::challenge::NONCE;
use crate::claim::{Claims, Failure, Id, refuted, unproven};
use crate::evidence::Evidence;
use crate::report::Report;

/// The entry of UEFI's variables.
const UEFI_MM: Guid = Guid::from_u128(0xa4453a59_9e1b_4787_a033_1986d6adbe55);

/// A service and its own manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service<'a> {
    /// Which.
    pub guid: Guid,
    /// What it says of itself.
    pub manifest: &'a [u8],
}

impl Service<'_> {
    fn name(&self) -> String {
        match self.guid {
            GUID_VTPM_SERVICE => "vTPM".into(),
            GUID_EVENT_LOG => "the firmware's own event log".into(),
            UEFI_MM => "UEFI variables".into(),
            other => format!("service {other}"),
        }
    }
}

/// What a manifest blob is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest<'a> {
    /// Of all services.
    Services(Vec<Service<'a>>),
    /// Of one, which was asked for alone.
    Single(&'a [u8]),
}

/// Reads a manifest blob.
///
/// # Errors
/// In words, what is wrong.
pub fn read(bytes: &[u8]) -> Result<Manifest<'_>, String> {
    let Some(rest) = bytes.strip_prefix(&GUID_SERVICES_MANIFEST.0) else {
        return match bytes {
            [] => Err("it is empty".into()),
            _ => Ok(Manifest::Single(bytes)),
        };
    };
    let number = |bytes: &[u8]| {
        bytes
            .first_chunk()
            .map(|word| u32::from_le_bytes(*word) as usize)
    };
    let header = number(rest).zip(rest.get(4..).and_then(number));
    let (size, count) = header.ok_or("it ends within its header")?;
    if size != bytes.len() {
        return Err(format!("it has {} bytes and says {size}", bytes.len()));
    }
    let mut entries = rest.get(8..).unwrap_or_default();
    let mut services = Vec::new();
    for index in 0..count {
        let entry = entries.split_first_chunk::<24>();
        let (entry, behind) = entry.ok_or_else(|| format!("it ends within entry {index}"))?;
        entries = behind;
        let (guid, place) = entry.split_first_chunk().ok_or("an entry without GUID")?;
        let (offset, length) = number(place)
            .zip(place.get(4..).and_then(number))
            .ok_or("an entry without place")?;
        let end = offset.checked_add(length);
        let manifest = end.and_then(|end| bytes.get(offset..end));
        services.push(Service {
            guid: Guid(*guid),
            manifest: manifest.ok_or_else(|| format!("entry {index} lies outside of it"))?,
        });
    }
    Ok(Manifest::Services(services))
}

/// What a manifest vouches for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vouched<'a> {
    /// The TPM's endorsement key.
    pub ek: Option<Public>,
    /// What the firmware has measured before the guest began.
    pub log: Option<&'a [u8]>,
}

/// Says what becomes of nonce and manifest, and what the manifest vouches for.
pub fn check<'a>(
    evidence: &'a Evidence,
    report: Option<&Report>,
    vmpl: u32,
    claims: &mut Claims,
) -> Vouched<'a> {
    claims.add(Id::ReportData, binding(evidence, report));
    let manifest = evidence.manifest.as_deref().map(read);
    let found = match &manifest {
        None => unproven("there is no manifest"),
        Some(Err(why)) => refuted(why.clone()),
        Some(Ok(Manifest::Services(services))) => {
            let names: Vec<_> = services.iter().map(Service::name).collect();
            let logs = services.iter().filter(|one| one.guid == GUID_EVENT_LOG);
            match (names.len(), logs.count()) {
                (_, 2..) => refuted("it names two event logs"),
                (0, _) => Ok("it names no service".into()),
                _ => Ok(format!("it names: {}", names.join(", "))),
            }
        }
        Some(Ok(Manifest::Single(bytes))) => {
            Ok(format!("it is of one service alone, {} bytes", bytes.len()))
        }
    };
    claims.add(Id::ManifestFormat, found);
    let log = match &manifest {
        Some(Ok(Manifest::Services(services))) => {
            let mut logs = services.iter().filter(|one| one.guid == GUID_EVENT_LOG);
            logs.next().map(|service| service.manifest)
        }
        _ => None,
    };
    let (ek, found) = match manifest {
        Some(Ok(manifest)) => match endorsement_key(&manifest) {
            Ok(ek) if vmpl != 0 => (
                Some(ek),
                unproven(format!("a report of VMPL{vmpl} says nothing of the SVSM")),
            ),
            Ok(ek) if is_open(report) => (
                Some(ek),
                unproven(
                    "under this policy the host can have the TPM's keys: with debug it reads the \
                     guest's memory, with a migration agent it can have it copied",
                ),
            ),
            Ok(ek) => {
                let name = format!("its Name is {}", crate::tpm::name(&ek));
                (Some(ek), Ok(name))
            }
            Err(why) => (None, refuted(why)),
        },
        _ => (None, unproven("there is no manifest that can be read")),
    };
    claims.add(Id::ManifestVtpm, found);
    Vouched { ek, log }
}

/// Whether the guest's memory is not its own, whatever the verifier allows.
fn is_open(report: Option<&Report>) -> bool {
    let open = GuestPolicy::DEBUG | GuestPolicy::MIGRATE_MA;
    report.is_some_and(|report| GuestPolicy::from_bits_retain(report.raw.policy).intersects(open))
}

fn binding(evidence: &Evidence, report: Option<&Report>) -> Result<String, Failure> {
    let (Some(nonce), Some(report)) = (&evidence.nonce, report) else {
        return unproven("there is no nonce, or no report that can be read");
    };
    let Some(manifest) = &evidence.manifest else {
        return unproven("there is no manifest");
    };
    if nonce.len() != NONCE {
        return refuted(format!("the nonce has {} bytes, not {NONCE}", nonce.len()));
    }
    let digest = Sha512::new().chain_update(nonce).chain_update(manifest);
    if digest.finalize().as_slice() == report.raw.report_data {
        Ok("REPORT_DATA is SHA-512 of the nonce and the manifest".into())
    } else {
        refuted(
            "REPORT_DATA is not SHA-512 of the nonce and the manifest: the report is of another \
             round, or the manifest was changed",
        )
    }
}

/// What an endorsement key of a TPM has: it never leaves, was made there, and only
/// decrypts what has the TPM's own form.
const EK: ObjectAttributes = ObjectAttributes::FIXED_TPM
    .with(ObjectAttributes::FIXED_PARENT)
    .with(ObjectAttributes::SENSITIVE_DATA_ORIGIN)
    .with(ObjectAttributes::RESTRICTED)
    .with(ObjectAttributes::DECRYPT);

fn endorsement_key(manifest: &Manifest<'_>) -> Result<Public, String> {
    let bytes = match manifest {
        Manifest::Single(bytes) => bytes,
        Manifest::Services(services) => {
            let mut vtpms = services
                .iter()
                .filter(|service| service.guid == GUID_VTPM_SERVICE);
            match (vtpms.next(), vtpms.next()) {
                (Some(vtpm), None) => vtpm.manifest,
                (None, _) => return Err("it names no vTPM".into()),
                (Some(_), Some(_)) => return Err("it names two vTPMs".into()),
            }
        }
    };
    let ek = Public::from_bytes(bytes)
        .map_err(|rc| format!("the vTPM's manifest is no TPMT_PUBLIC: {rc:?}"))?;
    if ek.to_bytes() != bytes {
        return Err("the vTPM's manifest is a TPMT_PUBLIC in another form".into());
    }
    if !ek.attributes.has(EK) || ek.attributes.has(ObjectAttributes::SIGN) {
        return Err("the vTPM's key has not the attributes of an endorsement key".into());
    }
    Ok(ek)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest(entries: &[(Guid, &[u8])]) -> Vec<u8> {
        let mut offset = 24 + 24 * entries.len();
        let size = offset + entries.iter().map(|entry| entry.1.len()).sum::<usize>();
        let mut out = GUID_SERVICES_MANIFEST.0.to_vec();
        out.extend((size as u32).to_le_bytes());
        out.extend((entries.len() as u32).to_le_bytes());
        for (guid, bytes) in entries {
            out.extend(guid.0);
            out.extend((offset as u32).to_le_bytes());
            out.extend((bytes.len() as u32).to_le_bytes());
            offset += bytes.len();
        }
        entries.iter().for_each(|entry| out.extend(entry.1));
        out
    }

    #[test]
    fn services_are_found_where_it_says() {
        let bytes = manifest(&[(UEFI_MM, b"ab"), (GUID_VTPM_SERVICE, b"c")]);
        let Ok(Manifest::Services(found)) = read(&bytes) else {
            panic!()
        };
        assert_eq!(found[1].manifest, b"c");
        assert_eq!(found[0].name(), "UEFI variables");
    }

    proptest! {
        #[test]
        fn any_cut_of_it_is_an_error(at in 16usize..74) {
            let bytes = manifest(&[(UEFI_MM, b"ab"), (GUID_VTPM_SERVICE, b"c")]);
            prop_assert!(read(&bytes[..at]).is_err());
        }

        #[test]
        fn any_bytes_are_looked_at(bytes: Vec<u8>) {
            let bytes = [&GUID_SERVICES_MANIFEST.0[..], &bytes].concat();
            let _ = read(&bytes);
        }
    }
}
