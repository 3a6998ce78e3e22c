//! A TPM for a platform that has no authority for certificates: its keys are proven by other means,
//! such as a report of the secure processor.

use super::{EK_HANDLE, EndorsementKey, ProvisionError, SRK_HANDLE, command, storage_root_key};
use crate::crypto::hash::HashAlg;
use crate::limits::{PCR_SELECT_MAX, SEED_SIZE};
use crate::platform::Platform;
use crate::tpm::Tpm;
use crate::wire::{Handle, Marshal, Public, Writer};

/// TPM_SU_CLEAR.
const CLEAR: u16 = 0;

impl<P: Platform> Tpm<P> {
    /// Makes a new TPM ([`Tpm::manufacture`]) and equips it: PCRs in `banks` and no others, the
    /// RSA-2048 endorsement key and the storage root key as persistent objects. With `seed` the
    /// endorsement hierarchy is made of that one, so that the same seed gives the same endorsement
    /// keys. Returns the endorsement key's public area. The TPM has power then and waits for
    /// Startup.
    ///
    /// # Errors
    /// [`ProvisionError`]; the TPM is of no use then.
    pub fn equip(
        &mut self,
        banks: &[HashAlg],
        seed: Option<&[u8; SEED_SIZE]>,
    ) -> Result<Public, ProvisionError> {
        let failed = |_| ProvisionError::Platform;
        self.manufacture_with(seed).map_err(failed)?;
        self.power_on().map_err(failed)?;
        self.startup()?;
        self.allocate(banks)?;
        let (h, public) = self.make(Handle::ENDORSEMENT, &EndorsementKey::Rsa2048.template())?;
        self.keep(h, EK_HANDLE)?;
        self.flush(h)?;
        let (h, _) = self.make(Handle::OWNER, &storage_root_key())?;
        self.keep(h, SRK_HANDLE)?;
        self.flush(h)?;
        self.send(&command(0x145, &[], 0, &CLEAR.to_bytes()))?;
        self.power_on().map_err(failed)?;
        Ok(public)
    }

    /// TPM2_Startup(CLEAR), before whoever uses the TPM sends it.
    ///
    /// # Errors
    /// [`ProvisionError::Command`].
    pub fn startup(&mut self) -> Result<(), ProvisionError> {
        self.send(&command(0x144, &[], 0, &CLEAR.to_bytes()))
            .map(|_| ())
    }

    /// TPM2_PCR_Extend of a started TPM with a digest for each bank.
    ///
    /// # Errors
    /// [`ProvisionError::Command`].
    pub fn extend(&mut self, pcr: u8, digests: &[(HashAlg, &[u8])]) -> Result<(), ProvisionError> {
        let mut parameters = Writer::new();
        u32::try_from(digests.len())
            .unwrap_or(u32::MAX)
            .marshal(&mut parameters);
        for (alg, digest) in digests {
            alg.marshal(&mut parameters);
            parameters.extend_from_slice(digest);
        }
        self.send(&command(0x182, &[Handle(pcr.into())], 1, &parameters))
            .map(|_| ())
    }

    /// TPM2_PCR_Allocate: all PCRs in these banks, none in the others. For the next start.
    fn allocate(&mut self, banks: &[HashAlg]) -> Result<(), ProvisionError> {
        let mut selection = Writer::new();
        u32::try_from(HashAlg::ALL.len())
            .unwrap_or(u32::MAX)
            .marshal(&mut selection);
        for alg in HashAlg::ALL {
            alg.marshal(&mut selection);
            3u8.marshal(&mut selection);
            let pcrs = if banks.contains(&alg) { 0xFF } else { 0 };
            [pcrs; PCR_SELECT_MAX].marshal(&mut selection);
        }
        self.send(&command(0x12B, &[Handle::PLATFORM], 1, &selection))
            .map(|_| ())
    }

    fn flush(&mut self, h: Handle) -> Result<(), ProvisionError> {
        self.send(&command(0x165, &[], 0, &h.to_bytes()))
            .map(|_| ())
    }
}
