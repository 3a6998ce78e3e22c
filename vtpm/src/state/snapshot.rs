//! The whole state as one value: taken between two commands, sealed by the
//! caller's key, and taken up by another run of this TPM or a newer one.

use crate::crypto::hash::{HashAlg, Hasher};
use crate::crypto::hmac::{ct_eq, hmac};
use crate::crypto::rng::Drbg;
use crate::rc::{Rc, Result};
use crate::session::Session;
use crate::state::commit::StateError;
use crate::state::object::{get_hasher, put_hasher};
use crate::state::{State, StateClear, StateReset, Tracked, TrackedMap, Transient, Volatile};
#[cfg(any(test, feature = "sample"))]
use crate::wire::NvType;
use crate::wire::{Handle, Marshal, Reader, Unmarshal, Writer};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// Version of a snapshot's format. The first had a clock without a rate.
const VERSION: u32 = 2;
/// What a snapshot starts with.
const MAGIC: [u8; 8] = *b"RampSnap";
/// Hash algorithm of the seal.
const ALG: HashAlg = HashAlg::Sha256;
/// Bytes before the body: magic, version, counter, length of the body.
const HEAD: usize = 8 + 4 + 8 + 4;

fn put_map<T: Marshal>(map: &BTreeMap<u32, T>, out: &mut Writer) {
    u32::try_from(map.len()).unwrap_or(u32::MAX).marshal(out);
    for (key, value) in map {
        key.marshal(out);
        value.marshal(out);
    }
}

fn get_map<T: Unmarshal>(r: &mut Reader<'_>) -> Result<BTreeMap<u32, T>> {
    let count = r.read::<u32>()?;
    let mut map = BTreeMap::new();
    for _ in 0..count {
        map.insert(r.read()?, r.read()?);
    }
    Ok(map)
}

fn put_tracked<T: Marshal>(map: &TrackedMap<T>, out: &mut Writer) {
    u32::try_from(map.len()).unwrap_or(u32::MAX).marshal(out);
    for (h, value) in map.iter() {
        h.marshal(out);
        value.marshal(out);
    }
}

fn get_tracked<T: Unmarshal>(r: &mut Reader<'_>) -> Result<TrackedMap<T>> {
    let count = r.read::<u32>()?;
    let mut map = TrackedMap::default();
    for _ in 0..count {
        map.insert(r.read()?, r.read()?);
    }
    Ok(map)
}

impl Volatile {
    /// `now` is the platform's time, so that the value holds times since
    /// _TPM_Init only.
    fn put(&self, now: u64, out: &mut Writer) {
        self.started.marshal(out);
        self.failure.marshal(out);
        self.ph_enable.marshal(out);
        self.drtm_before_startup.marshal(out);
        self.startup_locality_3.marshal(out);
        self.rng.export().marshal(out);
        put_map(&self.transient, out);
        put_map(&self.sessions, out);
        self.exclusive_audit.unwrap_or(Handle::NULL).marshal(out);
        self.time(now).marshal(out);
        self.clock_base.marshal(out);
        self.time_epoch.marshal(out);
        self.clock_safe.marshal(out);
        self.rate_change.marshal(out);
        self.da_timer.marshal(out);
        self.lockout_timer.marshal(out);
        self.drtm.is_some().marshal(out);
        let hashers: &[Hasher] = self.drtm.as_deref().unwrap_or_default();
        u8::try_from(hashers.len()).unwrap_or(0).marshal(out);
        hashers.iter().for_each(|h| put_hasher(h, out));
    }

    fn get(now: u64, r: &mut Reader<'_>) -> Result<Volatile> {
        let started = r.read()?;
        let failure = r.read()?;
        let ph_enable = r.read()?;
        let drtm_before_startup = r.read()?;
        let startup_locality_3 = r.read()?;
        let rng = Drbg::import(&r.array()?);
        let transient: BTreeMap<u32, Transient> = get_map(r)?;
        let sessions: BTreeMap<u32, Session> = get_map(r)?;
        let exclusive: Handle = r.read()?;
        let elapsed: u64 = r.read()?;
        let mut volatile = Volatile {
            started,
            failure,
            ph_enable,
            drtm_before_startup,
            startup_locality_3,
            transient,
            sessions,
            exclusive_audit: Some(exclusive).filter(|h| *h != Handle::NULL),
            clock_base: r.read()?,
            time_epoch: r.read()?,
            clock_safe: r.read()?,
            rate_change: crate::clock::check_rate(r.read()?)?,
            da_timer: r.read()?,
            lockout_timer: r.read()?,
            ..Volatile::new(rng, now)
        };
        // Time goes on from where it was, also on a platform whose clock is
        // younger.
        volatile.time_offset = elapsed;
        let has_drtm: bool = r.read()?;
        let count = r.read::<u8>()?;
        let mut hashers = Vec::new();
        for _ in 0..count {
            hashers.push(get_hasher(r)?);
        }
        volatile.drtm = has_drtm.then_some(hashers);
        Ok(volatile)
    }
}

impl State {
    /// Everything, for comparison and for a snapshot.
    pub(crate) fn put(&self, now: u64, out: &mut Writer) {
        self.hierarchies.marshal(out);
        self.lockout.marshal(out);
        self.clock.marshal(out);
        self.pcr_config.marshal(out);
        self.audit.marshal(out);
        self.shutdown.marshal(out);
        put_tracked(&self.nv, out);
        put_tracked(&self.persistent, out);
        self.reset.marshal(out);
        self.clear.marshal(out);
        self.volatile.put(now, out);
    }

    /// Everything but what a failed command may change.
    #[cfg(any(test, feature = "sample"))]
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.hierarchies.marshal(&mut out);
        self.pcr_config.marshal(&mut out);
        self.audit.marshal(&mut out);
        self.shutdown.marshal(&mut out);
        for (h, nv) in self.nv.iter() {
            h.marshal(&mut out);
            nv.public.marshal(&mut out);
            // A PIN counts authorizations, whatever becomes of the command.
            let counts = matches!(
                nv.public.attributes.nv_type(),
                Some(NvType::PinPass | NvType::PinFail)
            );
            if !counts {
                nv.data.marshal(&mut out);
            }
        }
        put_tracked(&self.persistent, &mut out);
        self.reset.marshal(&mut out);
        self.clear.marshal(&mut out);
        put_map(&self.volatile.transient, &mut out);
        put_map(&self.volatile.sessions, &mut out);
        self.volatile
            .exclusive_audit
            .unwrap_or(Handle::NULL)
            .marshal(&mut out);
        self.volatile.ph_enable.marshal(&mut out);
        out
    }

    fn get(now: u64, r: &mut Reader<'_>) -> Result<State> {
        Ok(State {
            hierarchies: Tracked::new(r.read()?),
            lockout: Tracked::new(r.read()?),
            clock: Tracked::new(r.read()?),
            pcr_config: Tracked::new(r.read()?),
            audit: Tracked::new(r.read()?),
            shutdown: Tracked::new(r.read()?),
            nv: get_tracked(r)?,
            persistent: get_tracked(r)?,
            reset: StateReset::unmarshal(r)?,
            clear: StateClear::unmarshal(r)?,
            volatile: Volatile::get(now, r)?,
        })
    }
}

/// The seal: an HMAC with the key, or a digest that shows accidents only.
fn seal(key: Option<&[u8]>, data: &[u8]) -> crate::crypto::hash::Digest {
    match key {
        Some(key) => hmac(ALG, key, &[data]),
        None => ALG.digest(&[data]),
    }
}

/// A snapshot of a state. It holds secrets: storing it is the caller's care.
pub(crate) fn take(
    state: &State,
    now: u64,
    key: Option<&[u8]>,
    counter: u64,
) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(Writer::new());
    state.put(now, &mut body);
    let mut out = Zeroizing::new(Writer::new());
    MAGIC.marshal(&mut out);
    VERSION.marshal(&mut out);
    counter.marshal(&mut out);
    u32::try_from(body.len())
        .unwrap_or(u32::MAX)
        .marshal(&mut out);
    out.extend_from_slice(&body);
    let seal = seal(key, &out);
    out.extend_from_slice(&seal);
    out
}

/// The state of a snapshot whose counter is at least `least`.
pub(crate) fn open(
    image: &[u8],
    now: u64,
    key: Option<&[u8]>,
    least: u64,
) -> core::result::Result<State, StateError> {
    let damaged = |_: Rc| StateError::Damaged;
    let mut r = Reader::new(image);
    if r.array::<8>().map_err(damaged)? != MAGIC {
        return Err(StateError::Damaged);
    }
    let version: u32 = r.read().map_err(damaged)?;
    let counter: u64 = r.read().map_err(damaged)?;
    let len: u32 = r.read().map_err(damaged)?;
    let len = usize::try_from(len).map_err(|_| StateError::Damaged)?;
    // The head and the seal have the same form in every version, so that a
    // newer one is told from a damaged one.
    let sealed = image
        .get(..HEAD.saturating_add(len))
        .ok_or(StateError::Damaged)?;
    let given = image.get(sealed.len()..).unwrap_or_default();
    if !ct_eq(given, &seal(key, sealed)) {
        return Err(StateError::Damaged);
    }
    if version > VERSION {
        return Err(StateError::Newer(version));
    }
    // Nothing that was released wrote an older one.
    if version < VERSION {
        return Err(StateError::Damaged);
    }
    if counter < least {
        return Err(StateError::RolledBack);
    }
    let mut body = Reader::new(r.take(len).map_err(damaged)?);
    let state = State::get(now, &mut body).map_err(damaged)?;
    if body.is_empty() {
        Ok(state)
    } else {
        Err(StateError::Damaged)
    }
}
