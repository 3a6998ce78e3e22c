//! TPM_CAP_TPM_PROPERTIES (Part 2, 6.13) and TPM_CAP_PCR_PROPERTIES (6.14).

use crate::chapters::pcr;
use crate::chapters::startup::shutdown_kind;
use crate::command;
use crate::limits::{
    IMPLEMENTATION_PCR, MAX_ACTIVE_SESSIONS, MAX_COMMAND_SIZE, MAX_CONTEXT_SIZE, MAX_DIGEST_BUFFER,
    MAX_DIGEST_SIZE, MAX_LOADED_OBJECTS, MAX_LOADED_SESSIONS, MAX_NV_BUFFER_SIZE,
    MAX_NV_INDEX_SIZE, MAX_PERSISTENT_OBJECTS, MAX_RESPONSE_SIZE, PCR_SELECT_MIN,
};
use crate::state::State;
use crate::state::reset::ContextSlot;
use crate::wire::{NvType, Permanent, StartupClear, id};
use alloc::vec::Vec;

/// Version of this TPM's firmware: the crate's version, as two numbers.
pub(crate) const FIRMWARE_VERSION_1: u32 = 0x0000_0001;
/// The low half.
pub(crate) const FIRMWARE_VERSION_2: u32 = 0;

/// PT_FIXED: the first fixed property.
const FIXED: u32 = 0x100;
/// PT_VAR: the first variable property.
const VAR: u32 = 0x200;

fn ascii(text: &[u8; 4]) -> u32 {
    u32::from_be_bytes(*text)
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// All properties, ascending.
pub(super) fn all(state: &State) -> Vec<(u32, u32)> {
    let mut all = fixed();
    all.extend(variable(state));
    all
}

fn fixed() -> Vec<(u32, u32)> {
    let commands = number(command::all().count());
    let values = [
        (0, ascii(b"2.0\0")),
        (1, 0),
        (2, 159),
        // The specification's date: day of the year, and year.
        (3, 312),
        (4, 2019),
        (5, ascii(b"RMPT")),
        (6, ascii(b"Ramp")),
        (7, ascii(b"art ")),
        (8, ascii(b"vTPM")),
        (9, 0),
        (10, 1),
        (11, FIRMWARE_VERSION_1),
        (12, FIRMWARE_VERSION_2),
        (13, number(MAX_DIGEST_BUFFER)),
        (14, number(MAX_LOADED_OBJECTS)),
        (15, number(MAX_PERSISTENT_OBJECTS)),
        (16, number(MAX_LOADED_SESSIONS)),
        (17, number(MAX_ACTIVE_SESSIONS)),
        (18, number(IMPLEMENTATION_PCR)),
        (19, number(PCR_SELECT_MIN)),
        // Saved sessions may be any number of saves apart.
        (20, u32::MAX),
        (22, 0),
        (23, number(MAX_NV_INDEX_SIZE)),
        // TPMA_MEMORY: persistent objects take no transient slot.
        (24, 0x2),
        (25, crate::clock::UPDATE_INTERVAL as u32),
        (26, u32::from(id::SHA256)),
        (27, u32::from(id::AES)),
        (28, 256),
        (29, 255),
        (30, number(MAX_COMMAND_SIZE)),
        (31, number(MAX_RESPONSE_SIZE)),
        (32, number(MAX_DIGEST_SIZE)),
        (33, number(MAX_CONTEXT_SIZE)),
        (34, 0),
        // TPM_PS_PC: the PC Client profile, its level, revision, day and year.
        (35, 1),
        (36, 0),
        (37, 0x104),
        (38, 0),
        (39, 0),
        (40, 128),
        (41, commands),
        (42, commands),
        (43, 0),
        (44, number(MAX_NV_BUFFER_SIZE)),
        // TPMA_MODES.
        (45, 0),
        (46, 1024),
    ];
    values.into_iter().map(|(n, v)| (FIXED + n, v)).collect()
}

fn variable(state: &State) -> Vec<(u32, u32)> {
    let objects = &state.volatile.transient;
    let active = state
        .reset
        .contexts
        .iter()
        .filter(|s| s.state != ContextSlot::FREE)
        .count();
    let counters = state
        .nv
        .iter()
        .filter(|(_, nv)| nv.public.attributes.nv_type() == Some(NvType::Counter))
        .count();
    let values = [
        (0, permanent(state).0),
        (1, startup_clear(state).0),
        (2, number(state.nv.len())),
        (3, number(state.volatile.sessions.len())),
        (
            4,
            number(MAX_LOADED_SESSIONS.saturating_sub(state.volatile.sessions.len())),
        ),
        (5, number(active)),
        (6, number(MAX_ACTIVE_SESSIONS.saturating_sub(active))),
        (7, number(MAX_LOADED_OBJECTS.saturating_sub(objects.len()))),
        (8, number(state.persistent.len())),
        (
            9,
            number(MAX_PERSISTENT_OBJECTS.saturating_sub(state.persistent.len())),
        ),
        (10, number(counters)),
        (
            11,
            number(crate::limits::MAX_NV_INDICES.saturating_sub(state.nv.len())),
        ),
        (12, 0),
        (13, 0),
        (14, state.lockout.failed_tries),
        (15, state.lockout.max_tries),
        (16, state.lockout.recovery_time),
        (17, state.lockout.lockout_recovery),
        (18, 0),
        (19, u32::try_from(state.audit.counter >> 32).unwrap_or(0)),
        (
            20,
            u32::try_from(state.audit.counter & 0xFFFF_FFFF).unwrap_or(0),
        ),
    ];
    values.into_iter().map(|(n, v)| (VAR + n, v)).collect()
}

fn permanent(state: &State) -> Permanent {
    let h = &state.hierarchies;
    let mut p = Permanent::default();
    for (set, bit) in [
        (!h.owner_auth.is_empty(), Permanent::OWNER_AUTH_SET),
        (
            !h.endorsement_auth.is_empty(),
            Permanent::ENDORSEMENT_AUTH_SET,
        ),
        (!h.lockout_auth.is_empty(), Permanent::LOCKOUT_AUTH_SET),
        (h.disable_clear, Permanent::DISABLE_CLEAR),
        (
            state.lockout.failed_tries >= state.lockout.max_tries,
            Permanent::IN_LOCKOUT,
        ),
        (h.eps_from_tpm, Permanent::TPM_GENERATED_EPS),
    ] {
        if set {
            p = p.with(bit);
        }
    }
    p
}

fn startup_clear(state: &State) -> StartupClear {
    let mut s = StartupClear::default();
    for (set, bit) in [
        (state.volatile.ph_enable, StartupClear::PH_ENABLE),
        (state.clear.sh_enable, StartupClear::SH_ENABLE),
        (state.clear.eh_enable, StartupClear::EH_ENABLE),
        (state.clear.ph_enable_nv, StartupClear::PH_ENABLE_NV),
        (
            state.shutdown.kind != shutdown_kind::NONE,
            StartupClear::ORDERLY,
        ),
    ] {
        if set {
            s = s.with(bit);
        }
    }
    s
}

/// TPM_CAP_PCR_PROPERTIES: for each property the PCRs that have it.
pub(super) fn pcr() -> Vec<(u32, [u8; 3])> {
    let select = |wanted: &dyn Fn(usize, pcr::Attributes) -> bool| {
        let mut bits = [0u8; 3];
        for n in 0..IMPLEMENTATION_PCR {
            if wanted(n, pcr::attributes(n))
                && let Some(byte) = bits.get_mut(n / 8)
            {
                *byte |= 1 << (n % 8);
            }
        }
        bits
    };
    let mut all = Vec::new();
    all.push((0, select(&|_, a| a.saved)));
    for locality in 0..5u8 {
        let bit = 1 << locality;
        all.push((
            1 + 2 * u32::from(locality),
            select(&|_, a| a.extend & bit != 0),
        ));
        all.push((
            2 + 2 * u32::from(locality),
            select(&|_, a| a.reset & bit != 0),
        ));
    }
    let in_group = |n: usize| (pcr::AUTH_FIRST..pcr::AUTH_FIRST + pcr::AUTH_PCRS).contains(&n);
    all.push((0x11, select(&|_, a| !a.counted)));
    all.push((0x12, select(&|n, _| pcr::is_drtm(n))));
    all.push((0x13, select(&|n, _| in_group(n))));
    all.push((0x14, select(&|n, _| in_group(n))));
    all
}
