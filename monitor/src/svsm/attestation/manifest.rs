//! What the services say of themselves.

use protocols::ovmf::Guid;
use protocols::svsm::{
    GUID_EVENT_LOG, GUID_SERVICES_MANIFEST, GUID_VTPM_SERVICE, ServicesManifestEntry,
    ServicesManifestHeader,
};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use crate::services::Services;

/// The only version of a service's manifest.
const VERSION: u32 = 0;

/// How many services there can be.
const MOST: usize = 2;

/// The head of the services manifest with all services that there can be.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct Head {
    header: ServicesManifestHeader,
    entries: [ServicesManifestEntry; MOST],
}

/// A manifest: a head, made for it, and the services' own bytes, which are not copied.
pub(super) struct Manifest<'a> {
    head: Head,
    /// How much of `head` is used.
    used: usize,
    bytes: [&'a [u8]; MOST],
}

/// The TPM's key, and the log of what was measured into it.
fn known(services: &Services) -> [(Guid, Option<&[u8]>); MOST] {
    let tpm = services.tpm.as_ref();
    [
        (GUID_VTPM_SERVICE, tpm.map(|tpm| &*tpm.manifest)),
        (GUID_EVENT_LOG, tpm.and_then(|tpm| tpm.event_log.as_deref())),
    ]
}

impl<'a> Manifest<'a> {
    /// The manifest of all services. Those without a manifest of their own would be in it with
    /// none.
    pub(super) fn of_all(services: &'a Services) -> Option<Self> {
        let there = known(services).map(|(guid, bytes)| bytes.map(|bytes| (guid, bytes)));
        let count = there.iter().flatten().count();
        let used = size_of::<ServicesManifestHeader>()
            .checked_add(count.checked_mul(size_of::<ServicesManifestEntry>())?)?;
        let mut manifest = Self {
            head: Head::new_zeroed(),
            used,
            bytes: [&[]; MOST],
        };
        let places = manifest.head.entries.iter_mut().zip(&mut manifest.bytes);
        let mut offset = used;
        for ((guid, bytes), (entry, place)) in there.into_iter().flatten().zip(places) {
            *entry = ServicesManifestEntry {
                guid,
                offset: u32::try_from(offset).ok()?,
                size: u32::try_from(bytes.len()).ok()?,
            };
            *place = bytes;
            offset = offset.checked_add(bytes.len())?;
        }
        manifest.head.header = ServicesManifestHeader {
            guid: GUID_SERVICES_MANIFEST,
            size: u32::try_from(offset).ok()?,
            count: u32::try_from(count).ok()?,
        };
        Some(manifest)
    }

    /// The manifest of one service, if that is there and has one of that version.
    pub(super) fn of_one(services: &'a Services, service: Guid, version: u32) -> Option<Self> {
        if version != VERSION {
            return None;
        }
        let found = known(services)
            .into_iter()
            .find(|(guid, _)| *guid == service);
        let (_, bytes) = found?;
        Some(Self {
            head: Head::new_zeroed(),
            used: 0,
            bytes: [bytes?, &[]],
        })
    }

    /// Bytes of it.
    pub(super) fn len(&self) -> usize {
        let services = self.bytes.iter().map(|bytes| bytes.len());
        services.fold(self.used, usize::saturating_add)
    }

    /// The pieces, one after the other.
    pub(super) fn pieces(&self) -> [&[u8]; 1 + MOST] {
        let head = self.head.as_bytes().get(..self.used).unwrap_or_default();
        let [first, second] = self.bytes;
        [head, first, second]
    }
}
