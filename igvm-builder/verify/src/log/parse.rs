//! The log's structures (TCG PC Client Platform Firmware Profile, 10).

use vtpm::crypto::hash::HashAlg;

use crate::demands::bank_name;

/// EV_NO_ACTION: nothing was measured.
pub(crate) const NO_ACTION: u32 = 3;
/// How the first event's data begin.
const SPEC_ID: &[u8; 16] = b"Spec ID Event03\0";
/// How the data begin of the event that tells the first locality.
const STARTUP_LOCALITY: &[u8; 16] = b"StartupLocality\0";
/// More banks than any TPM has.
const MAX_BANKS: u32 = 16;
/// More PCRs than any TPM has.
const MAX_PCRS: u32 = 32;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The PCR.
    pub pcr: u32,
    /// Its type.
    pub kind: u32,
    /// Algorithm and digest, by bank.
    pub digests: Vec<(u16, &'a [u8])>,
    /// What it says of itself.
    pub data: &'a [u8],
}

impl<'a> Event<'a> {
    /// Whether a PCR was extended.
    pub fn is_measured(&self) -> bool {
        self.kind != NO_ACTION
    }

    /// The digest of a bank.
    pub fn digest(&self, bank: HashAlg) -> Option<&'a [u8]> {
        let found = self.digests.iter().find(|(alg, _)| *alg == bank.id());
        found.map(|(_, digest)| *digest)
    }
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log<'a> {
    /// The banks that it has, with their digests' sizes.
    pub banks: Vec<(u16, usize)>,
    /// The locality of TPM2_Startup.
    pub startup_locality: u8,
    /// All events but the first, which describes the log.
    pub events: Vec<Event<'a>>,
}

/// A bank's name, or its number.
pub(crate) fn bank(alg: u16) -> String {
    match HashAlg::from_id(alg) {
        Some(alg) => bank_name(alg).into(),
        None => format!("algorithm {alg:#x}"),
    }
}

/// What is not read yet, with its place in the file.
struct Cursor<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| format!("it ends within an event, at byte {}", self.at))?;
        self.rest = rest;
        self.at = self.at.saturating_add(count);
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N)?);
        Ok(out)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    /// A length of four bytes, and so many bytes.
    fn sized(&mut self) -> Result<&'a [u8], String> {
        let size = self.u32()?;
        self.bytes(usize::try_from(size).unwrap_or(usize::MAX))
    }
}

/// Reads a log.
///
/// # Errors
/// In words, what is wrong.
pub fn read(bytes: &[u8]) -> Result<Log<'_>, String> {
    let mut cursor = Cursor { rest: bytes, at: 0 };
    let (_pcr, kind) = (cursor.u32()?, cursor.u32()?);
    let _digest: [u8; 20] = cursor.array()?;
    let mut spec = Cursor {
        rest: cursor.sized()?,
        at: 0,
    };
    if kind != NO_ACTION || spec.array().as_ref() != Ok(SPEC_ID) {
        return Err("it is not a log in the crypto-agile format".into());
    }
    let banks = banks(&mut spec)?;
    let mut log = Log {
        banks,
        startup_locality: 0,
        events: Vec::new(),
    };
    while !cursor.rest.is_empty() {
        let event = event(&mut cursor, &log.banks)?;
        if let Some(data) = startup(&event) {
            let is_late = log
                .events
                .iter()
                .any(|event| (event.is_measured() && event.pcr == 0) || startup(event).is_some());
            log.startup_locality = match data {
                _ if is_late => return Err("it names a first locality when it is too late".into()),
                [locality @ (0 | 3 | 4)] => *locality,
                _ => return Err("the first locality that it names is none".into()),
            };
        }
        log.events.push(event);
    }
    Ok(log)
}

fn startup<'a>(event: &Event<'a>) -> Option<&'a [u8]> {
    let is_notice = event.kind == NO_ACTION && event.pcr == 0;
    event
        .data
        .strip_prefix(STARTUP_LOCALITY)
        .filter(|_| is_notice)
}

/// What is in the first event behind its signature: platform class, version and errata,
/// size of a UINTN, and the banks.
fn banks(spec: &mut Cursor<'_>) -> Result<Vec<(u16, usize)>, String> {
    let _class_and_version: [u8; 8] = spec.array()?;
    let count = spec.u32()?;
    if count > MAX_BANKS {
        return Err(format!("it names {count} banks"));
    }
    let mut banks: Vec<(u16, usize)> = Vec::new();
    for _ in 0..count {
        let (alg, size) = (spec.u16()?, usize::from(spec.u16()?));
        if HashAlg::from_id(alg).is_some_and(|known| known.digest_size() != size) {
            return Err(format!("digests of {} have not {size} bytes", bank(alg)));
        }
        if banks.iter().any(|(known, _)| *known == alg) {
            return Err(format!("it names {} twice", bank(alg)));
        }
        banks.push((alg, size));
    }
    Ok(banks)
}

fn event<'a>(cursor: &mut Cursor<'a>, banks: &[(u16, usize)]) -> Result<Event<'a>, String> {
    let at = cursor.at;
    let (pcr, kind, count) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    if kind != NO_ACTION && pcr >= MAX_PCRS {
        return Err(format!("the event at byte {at} is of PCR {pcr}"));
    }
    if count > MAX_BANKS {
        return Err(format!("the event at byte {at} has {count} digests"));
    }
    let mut digests: Vec<(u16, &[u8])> = Vec::new();
    for _ in 0..count {
        let alg = cursor.u16()?;
        let Some((_, size)) = banks.iter().find(|(known, _)| *known == alg) else {
            return Err(format!(
                "the event at byte {at} has a digest of a bank not named before"
            ));
        };
        if digests.iter().any(|(known, _)| *known == alg) {
            return Err(format!(
                "the event at byte {at} has two digests of {}",
                bank(alg)
            ));
        }
        digests.push((alg, cursor.bytes(*size)?));
    }
    Ok(Event {
        pcr,
        kind,
        digests,
        data: cursor.sized()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A log of one bank with one event.
    fn small() -> Vec<u8> {
        let mut log = [0, 0, 0, 0, 3, 0, 0, 0].to_vec();
        log.extend([0; 20]);
        let spec = [
            &SPEC_ID[..],
            &[0, 0, 0, 0, 0, 2, 0, 2],
            &[1, 0, 0, 0],
            &[0xb, 0, 32, 0],
            &[0],
        ]
        .concat();
        log.extend((spec.len() as u32).to_le_bytes());
        log.extend(spec);
        log.extend([7, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0xb, 0]);
        log.extend([5; 32]);
        log.extend([4, 0, 0, 0, 0, 0, 0, 0]);
        log
    }

    #[test]
    fn an_event_is_read() {
        let bytes = small();
        let log = read(&bytes).unwrap();
        assert_eq!(log.banks, [(0xb, 32)]);
        let [event] = &log.events[..] else { panic!() };
        assert_eq!((event.pcr, event.kind, event.data), (7, 4, &[0; 4][..]));
        assert_eq!(event.digest(HashAlg::Sha256), Some(&[5; 32][..]));
        assert_eq!(event.digest(HashAlg::Sha384), None);
    }

    proptest! {
        #[test]
        fn any_cut_but_between_events_is_an_error(at in 0usize..125) {
            let bytes = small();
            let first = bytes.len() - 54;
            prop_assert_eq!(read(&bytes[..at.min(bytes.len() - 1)]).is_ok(), at == first);
        }

        #[test]
        fn any_bytes_are_looked_at(bytes: Vec<u8>, at in 0usize..125, byte: u8) {
            let _ = read(&bytes);
            let mut changed = small();
            if let Some(place) = changed.get_mut(at) {
                *place = byte;
            }
            changed.extend(bytes);
            let _ = read(&changed);
        }
    }
}
