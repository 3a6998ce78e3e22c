//! What the services say of themselves.

use protocols::ovmf::Guid;
use protocols::svsm::{
    GUID_SERVICES_MANIFEST, GUID_VTPM_SERVICE, ServicesManifestEntry, ServicesManifestHeader,
};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use crate::services::Services;

/// The only version of a service's manifest.
const VERSION: u32 = 0;

/// The head of the services manifest with all services that there can be.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct Head {
    header: ServicesManifestHeader,
    vtpm: ServicesManifestEntry,
}

/// A manifest: a head, made for it, and the services' own bytes, which are not copied.
pub(super) struct Manifest<'a> {
    head: Head,
    /// How much of `head` is used.
    used: usize,
    bytes: &'a [u8],
}

impl<'a> Manifest<'a> {
    /// The manifest of all services. Those without a manifest of their own would be in it with
    /// none.
    pub(super) fn of_all(services: &'a Services) -> Option<Self> {
        let mut manifest = Self {
            head: Head::new_zeroed(),
            used: size_of::<ServicesManifestHeader>(),
            bytes: &[],
        };
        let mut count = 0;
        if let Some(tpm) = &services.tpm {
            manifest.used = size_of::<Head>();
            manifest.bytes = &tpm.manifest;
            manifest.head.vtpm = ServicesManifestEntry {
                guid: GUID_VTPM_SERVICE,
                offset: u32::try_from(manifest.used).ok()?,
                size: u32::try_from(tpm.manifest.len()).ok()?,
            };
            count = 1;
        }
        manifest.head.header = ServicesManifestHeader {
            guid: GUID_SERVICES_MANIFEST,
            size: u32::try_from(manifest.len()).ok()?,
            count,
        };
        Some(manifest)
    }

    /// The manifest of one service, if that is there and has one of that version.
    pub(super) fn of_one(services: &'a Services, service: Guid, version: u32) -> Option<Self> {
        let bytes = match (service, version, &services.tpm) {
            (GUID_VTPM_SERVICE, VERSION, Some(tpm)) => &tpm.manifest,
            _ => return None,
        };
        Some(Self {
            head: Head::new_zeroed(),
            used: 0,
            bytes,
        })
    }

    /// Bytes of it.
    pub(super) fn len(&self) -> usize {
        self.used.saturating_add(self.bytes.len())
    }

    /// The pieces, one after the other.
    pub(super) fn pieces(&self) -> [&[u8]; 2] {
        let head = self.head.as_bytes().get(..self.used).unwrap_or_default();
        [head, self.bytes]
    }
}
