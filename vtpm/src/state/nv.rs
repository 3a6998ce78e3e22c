//! An NV index as it is kept.

use crate::crypto::hash::Digest;
use crate::wire::{Marshal, NvAttributes, NvPublic, Tpm2bAuth, Tpm2bName};
use alloc::vec::Vec;

crate::state_struct! {
    /// An NV index: its public area, auth value and data.
    pub struct NvIndex {
        /// Public area; its attributes change at writes and locks.
        pub public: NvPublic,
        /// Auth value, without trailing zeros.
        pub auth: Tpm2bAuth,
        /// The data, of the public area's size; of no meaning before the
        /// first write.
        pub data: Vec<u8>,
    }
}

impl NvIndex {
    /// The Name: algorithm and digest of the public area.
    #[must_use]
    pub fn name(&self) -> Tpm2bName {
        let digest: Digest = self.public.name_alg.digest(&[&self.public.to_bytes()]);
        let mut name = self.public.name_alg.to_bytes();
        name.extend_from_slice(&digest);
        Tpm2bName::cut(&name)
    }

    /// Whether the index has all the attributes.
    #[must_use]
    pub fn has(&self, attributes: NvAttributes) -> bool {
        self.public.attributes.has(attributes)
    }
}
