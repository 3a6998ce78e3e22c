//! AP creation: exit 0x80000013 (AMD publication 56421, SNP AP creation).
//! SW_EXITINFO2 is the VMSA's GPA and RAX its SEV_FEATURES.

/// What is to become of the virtual processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApOperation(
    /// The number.
    pub u16,
);

impl ApOperation {
    /// Run the VMSA from the next INIT on.
    pub const CREATE_ON_INIT: Self = Self(0);
    /// Run the VMSA now.
    pub const CREATE: Self = Self(1);
    /// Do not run the VMSA any more.
    pub const DESTROY: Self = Self(2);
}

/// SW_EXITINFO1: APIC ID in 63:32, VMPL in 19:16, operation in 15:0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApCreation {
    /// The processor.
    pub apic_id: u32,
    /// The number of the VMPL, 4 bits. It may name none.
    pub vmpl: u8,
    /// What to do.
    pub operation: ApOperation,
}

impl ApCreation {
    /// SW_EXITINFO1. Four bits of the VMPL are kept.
    pub const fn exit_info1(self) -> u64 {
        (self.apic_id as u64) << 32 | (self.vmpl as u64 & 0xf) << 16 | self.operation.0 as u64
    }

    /// The request in SW_EXITINFO1, unless bits 31:20 are set, which have to be
    /// zero.
    pub const fn from_exit_info1(info1: u64) -> Option<Self> {
        let request = Self {
            apic_id: (info1 >> 32) as u32,
            vmpl: (info1 >> 16 & 0xf) as u8,
            operation: ApOperation(info1 as u16),
        };
        if request.exit_info1() == info1 {
            Some(request)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_laid_out_as_published() {
        let request = ApCreation {
            apic_id: 3,
            vmpl: 2,
            operation: ApOperation::CREATE,
        };
        assert_eq!(request.exit_info1(), 0x3_0002_0001);
        assert_eq!(ApCreation::from_exit_info1(1 << 20), None);
    }

    proptest! {
        #[test]
        fn a_request_comes_back(apic_id: u32, vmpl in 0u8..16, operation: u16) {
            let request = ApCreation { apic_id, vmpl, operation: ApOperation(operation) };
            prop_assert_eq!(ApCreation::from_exit_info1(request.exit_info1()), Some(request));
        }
    }
}
