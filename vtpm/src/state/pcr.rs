//! PCR banks.

use crate::crypto::hash::{Digest, HashAlg};
use crate::limits::IMPLEMENTATION_PCR;
use crate::rc::{Rc, Result};
use crate::state::hierarchy::AuthPolicy;
use crate::wire::{BankSelection, Marshal, Reader, Tpm2bAuth, Unmarshal, Writer};
use alloc::vec::Vec;

crate::state_struct! {
    /// The allocation of PCRs, which takes effect at the next start, and the
    /// policies of PCRs.
    pub struct PcrConfig {
        /// For each bank the allocated PCRs, as PCR_Allocate asked for them.
        pub allocated: Vec<BankSelection>,
        /// The policy of the PCR group that has one.
        pub policy: AuthPolicy,
    }
}

impl PcrConfig {
    /// All PCRs of all banks.
    #[must_use]
    pub fn all_banks() -> Self {
        PcrConfig {
            allocated: HashAlg::ALL
                .iter()
                .map(|&alg| BankSelection {
                    alg,
                    pcrs: [0xFF; 3],
                })
                .collect(),
            policy: AuthPolicy::none(),
        }
    }
}

/// The values of all PCRs in the banks that are active since the last start.
#[derive(Clone, PartialEq, Eq)]
pub struct PcrBanks {
    banks: Vec<(BankSelection, Vec<Digest>)>,
}

impl PcrBanks {
    /// Banks as allocated, all PCRs zero.
    #[must_use]
    pub fn zeroed(allocated: &[BankSelection]) -> Self {
        let banks = allocated
            .iter()
            .filter(|b| b.pcrs != [0; 3])
            .map(|b| (*b, alloc::vec![Digest::zero(b.alg); IMPLEMENTATION_PCR]))
            .collect();
        PcrBanks { banks }
    }

    /// The active banks.
    pub fn selections(&self) -> impl Iterator<Item = BankSelection> + '_ {
        self.banks.iter().map(|(s, _)| *s)
    }

    /// The value of a PCR, if the bank has it.
    #[must_use]
    pub fn get(&self, alg: HashAlg, pcr: usize) -> Option<&Digest> {
        let (selection, values) = self.banks.iter().find(|(s, _)| s.alg == alg)?;
        if !selection.has(pcr) {
            return None;
        }
        values.get(pcr)
    }

    /// Sets the value of a PCR, if the bank has it.
    pub fn set(&mut self, alg: HashAlg, pcr: usize, value: Digest) {
        if let Some((selection, values)) = self.banks.iter_mut().find(|(s, _)| s.alg == alg)
            && selection.has(pcr)
            && let Some(slot) = values.get_mut(pcr)
        {
            *slot = value;
        }
    }
}

impl Marshal for PcrBanks {
    fn marshal(&self, out: &mut Writer) {
        u32::try_from(self.banks.len()).unwrap_or(0).marshal(out);
        for (selection, values) in &self.banks {
            selection.marshal(out);
            for value in values {
                out.extend_from_slice(value);
            }
        }
    }
}

impl Unmarshal for PcrBanks {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        let count = r.read::<u32>()?;
        let mut banks = Vec::new();
        for _ in 0..count {
            let selection: BankSelection = r.read()?;
            let mut values = Vec::new();
            for _ in 0..IMPLEMENTATION_PCR {
                values.push(
                    Digest::from_slice(r.take(selection.alg.digest_size())?).ok_or(Rc::SIZE)?,
                );
            }
            banks.push((selection, values));
        }
        Ok(PcrBanks { banks })
    }
}

/// Auth values of the PCRs that have one (PCR_SetAuthValue).
pub type PcrAuth = Tpm2bAuth;
