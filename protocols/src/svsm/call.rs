//! Protocols and calls, RAX on entry (AMD publication 58019, calling
//! convention and each protocol's calls).

/// Number of the MSR by which a guest learns its calling area's address. The
/// guest's own #VC handler serves it.
pub const MSR_SVSM_CAA: u32 = 0xc001_f000;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProtocolId(
    /// The number.
    pub u32,
);

impl ProtocolId {
    /// Core.
    pub const CORE: Self = Self(0);
    /// Attestation.
    pub const ATTESTATION: Self = Self(1);
    /// Virtual TPM.
    pub const VTPM: Self = Self(2);
    /// APIC, for alternate injection.
    pub const APIC: Self = Self(3);
    /// UEFI management mode.
    pub const UEFI_MM: Self = Self(4);
}

/// A call of the core protocol, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CoreCall(
    /// The number.
    pub u32,
);

impl CoreCall {
    /// RCX = GPA of the new calling area.
    pub const REMAP_CA: Self = Self(0);
    /// RCX = GPA of the list.
    pub const PVALIDATE: Self = Self(1);
    /// RCX = GPA of the VMSA, RDX = GPA of the calling area, R8 = APIC ID.
    pub const CREATE_VCPU: Self = Self(2);
    /// RCX = GPA of the VMSA.
    pub const DELETE_VCPU: Self = Self(3);
    /// Give the SVSM memory. RCX = GPA of the list.
    pub const DEPOSIT_MEM: Self = Self(4);
    /// Take memory back from the SVSM. RCX = GPA of the list that it writes.
    pub const WITHDRAW_MEM: Self = Self(5);
    /// RCX = a [`ProtocolQuery`]; out RCX, see [`ProtocolQuery::answer`].
    pub const QUERY_PROTOCOL: Self = Self(6);
    /// Query or configure the virtual top of memory.
    pub const CONFIGURE_VTOM: Self = Self(7);
}

/// A call of the attestation protocol, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttestationCall(
    /// The number.
    pub u32,
);

impl AttestationCall {
    /// A report over all services. RCX = GPA of the request.
    pub const SERVICES: Self = Self(0);
    /// A report over one service. RCX = GPA of the request.
    pub const SINGLE_SERVICE: Self = Self(1);
}

/// A call of the vTPM protocol, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VtpmCall(
    /// The number.
    pub u32,
);

impl VtpmCall {
    /// Out: RCX = supported platform commands, RDX = features.
    pub const QUERY: Self = Self(0);
    /// RCX = GPA of the request.
    pub const CMD: Self = Self(1);
}

/// RAX on entry: protocol in 63:32, call in 31:0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The protocol.
    pub protocol: ProtocolId,
    /// The call's number in the protocol.
    pub call: u32,
}

impl Request {
    /// A call of the core protocol.
    pub const fn core(call: CoreCall) -> Self {
        Self {
            protocol: ProtocolId::CORE,
            call: call.0,
        }
    }

    /// The request in RAX.
    pub const fn from_rax(rax: u64) -> Self {
        Self {
            protocol: ProtocolId((rax >> 32) as u32),
            call: rax as u32,
        }
    }

    /// RAX of the request.
    pub const fn rax(self) -> u64 {
        (self.protocol.0 as u64) << 32 | self.call as u64
    }
}

/// RCX of QUERY_PROTOCOL: protocol in 63:32, version in 31:0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProtocolQuery {
    /// The protocol asked for.
    pub protocol: ProtocolId,
    /// The version asked for.
    pub version: u32,
}

impl ProtocolQuery {
    /// RCX of an answer that does not offer the protocol.
    pub const NOT_OFFERED: u64 = 0;

    /// The query in RCX.
    pub const fn from_rcx(rcx: u64) -> Self {
        Self {
            protocol: ProtocolId((rcx >> 32) as u32),
            version: rcx as u32,
        }
    }

    /// RCX of the query.
    pub const fn rcx(self) -> u64 {
        (self.protocol.0 as u64) << 32 | self.version as u64
    }

    /// RCX of the answer: highest version in 63:32, lowest in 31:0.
    pub const fn answer(max_version: u32, min_version: u32) -> u64 {
        (max_version as u64) << 32 | min_version as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_protocol_is_the_high_half() {
        let request = Request::from_rax(0x2_0000_0001);
        assert_eq!(request.protocol, ProtocolId::VTPM);
        assert_eq!(request.call, VtpmCall::CMD.0);
        assert_eq!(Request::core(CoreCall::QUERY_PROTOCOL).rax(), 6);
        assert_eq!(ProtocolQuery::answer(2, 1), 0x2_0000_0001);
    }

    proptest! {
        #[test]
        fn registers_come_back(register: u64) {
            prop_assert_eq!(Request::from_rax(register).rax(), register);
            prop_assert_eq!(ProtocolQuery::from_rcx(register).rcx(), register);
        }
    }
}
