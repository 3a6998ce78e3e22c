//! Usage of the GHCB page and the host's answers in it (AMD publication 56421,
//! GHCB layout and invoking VMGEXIT).

/// The page's usage, offset 0xffc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage(
    /// The number.
    pub u32,
);

impl Usage {
    /// The layout of this file.
    pub const STANDARD: Self = Self(0);
}

/// The low 32 bits of SW_EXITINFO1 as the host answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the request has failed unless this is NO_ACTION"]
pub struct Response(
    /// The number.
    pub u32,
);

impl Response {
    /// Done.
    pub const NO_ACTION: Self = Self(0);
    /// The guest has to raise the event in SW_EXITINFO2.
    pub const EXCEPTION: Self = Self(1);
    /// The request is malformed: SW_EXITINFO2 has a [`MalformedReason`].
    pub const MALFORMED_INPUT: Self = Self(2);
}

/// SW_EXITINFO2 beside [`Response::MALFORMED_INPUT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MalformedReason(
    /// The number.
    pub u64,
);

impl MalformedReason {
    /// The GHCB's address was not registered.
    pub const NOT_REGISTERED: Self = Self(1);
    /// Unknown usage.
    pub const INVALID_USAGE: Self = Self(2);
    /// The scratch area is not where it may be.
    pub const INVALID_SCRATCH: Self = Self(3);
    /// An input field is not marked valid.
    pub const MISSING_INPUT: Self = Self(4);
    /// An input field's value is wrong.
    pub const INVALID_INPUT: Self = Self(5);
    /// The event is unknown.
    pub const INVALID_EVENT: Self = Self(6);
}

/// SW_EXITINFO2 beside [`Response::EXCEPTION`], laid out as EVENTINJ of the VMCB
/// (APM volume 2, section 15.20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventInjection(
    /// The 64 bits.
    pub u64,
);

impl EventInjection {
    /// Type of an exception, in bits 10:8.
    const EXCEPTION: u64 = 3 << 8;
    const TYPE: u64 = 7 << 8;
    const HAS_ERROR_CODE: u64 = 1 << 11;
    const VALID: u64 = 1 << 31;

    /// An exception, with an error code or without.
    pub const fn exception(vector: u8, error_code: Option<u32>) -> Self {
        let bits = Self::VALID | Self::EXCEPTION | vector as u64;
        match error_code {
            Some(code) => Self(bits | Self::HAS_ERROR_CODE | (code as u64) << 32),
            None => Self(bits),
        }
    }

    /// The vector, if this is a valid event of type exception.
    pub const fn exception_vector(self) -> Option<u8> {
        if self.0 & Self::VALID != 0 && self.0 & Self::TYPE == Self::EXCEPTION {
            Some(self.0 as u8)
        } else {
            None
        }
    }

    /// The error code, if the event has one.
    pub const fn error_code(self) -> Option<u32> {
        if self.0 & Self::HAS_ERROR_CODE != 0 {
            Some((self.0 >> 32) as u32)
        } else {
            None
        }
    }
}

/// SW_EXITINFO2 after a guest request: the secure processor's status in 31:0,
/// the host's in 63:32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the request has failed unless this is SUCCESS"]
pub struct GuestRequestResult(
    /// The 64 bits.
    pub u64,
);

impl GuestRequestResult {
    /// Both are content.
    pub const SUCCESS: Self = Self(0);
    /// The host's status: too few pages for the certificates, RBX has the number.
    pub const HOST_INVALID_LENGTH: u32 = 1;
    /// The host's status: the same request has to be made again.
    pub const HOST_BUSY: u32 = 2;

    /// A result of both parts.
    pub const fn new(host: u32, firmware: u32) -> Self {
        Self((host as u64) << 32 | firmware as u64)
    }

    /// The host's status.
    pub const fn host(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The secure processor's status.
    pub const fn firmware(self) -> u32 {
        self.0 as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_general_protection_fault_is_laid_out_as_the_manual_says() {
        assert_eq!(EventInjection::exception(13, Some(0)).0, 0x8000_0b0d);
        assert_eq!(EventInjection::exception(6, None).0, 0x8000_0306);
    }

    #[test]
    fn what_is_not_an_exception_has_no_vector() {
        assert_eq!(EventInjection(0x30d).exception_vector(), None);
        assert_eq!(EventInjection(0x8000_000d).exception_vector(), None);
    }

    #[test]
    fn the_host_s_status_is_the_high_half() {
        let busy = GuestRequestResult::new(GuestRequestResult::HOST_BUSY, 7);
        assert_eq!(busy.0, 0x2_0000_0007);
        assert_eq!((busy.host(), busy.firmware()), (2, 7));
    }

    proptest! {
        #[test]
        fn an_event_gives_back_what_made_it(vector: u8, code: Option<u32>) {
            let event = EventInjection::exception(vector, code);
            prop_assert_eq!(event.exception_vector(), Some(vector));
            prop_assert_eq!(event.error_code(), code);
        }
    }
}
