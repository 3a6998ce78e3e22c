//! Capabilities (Part 3, 30.2).

pub(crate) mod algorithms;
mod properties;

pub(crate) use properties::{FIRMWARE_VERSION_1, FIRMWARE_VERSION_2};

use crate::command::{self, Action};
use crate::context::Context;
use crate::crypto::ecc::Curve;
use crate::rc::{Rc, Result};
use crate::state::State;
use crate::state::reset::ContextSlot;
use crate::wire::{Handle, HandleType, Marshal, PublicParams, Writer};
use alloc::vec::Vec;

/// Bytes of values in one answer.
const MAX_DATA: usize = 1000;

crate::commands! {
    /// TPM2_GetCapability (Part 3, 30.2).
    GetCapability = 0x17A [in_failure] {
        handles {}
        parameters { capability: u32, property: u32, property_count: u32 }
        response GetCapabilityResponse [] { more_data: bool, capability_data: CapabilityData }
    }

    /// TPM2_TestParms (Part 3, 30.3).
    TestParms = 0x18A [] {
        handles {}
        parameters { parameters: PublicParams }
        response TestParmsResponse [] {}
    }
}

/// TPMS_CAPABILITY_DATA: a capability and a list of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityData {
    capability: u32,
    count: u32,
    values: Vec<u8>,
}

impl Marshal for CapabilityData {
    fn marshal(&self, out: &mut Writer) {
        self.capability.marshal(out);
        self.count.marshal(out);
        out.extend_from_slice(&self.values);
    }
}

/// TPM_CAP.
mod cap {
    pub(super) const ALGS: u32 = 0;
    pub(super) const HANDLES: u32 = 1;
    pub(super) const COMMANDS: u32 = 2;
    pub(super) const PP_COMMANDS: u32 = 3;
    pub(super) const AUDIT_COMMANDS: u32 = 4;
    pub(super) const PCRS: u32 = 5;
    pub(super) const TPM_PROPERTIES: u32 = 6;
    pub(super) const PCR_PROPERTIES: u32 = 7;
    pub(super) const ECC_CURVES: u32 = 8;
    pub(super) const AUTH_POLICIES: u32 = 9;
    pub(super) const ACT: u32 = 10;
}

/// Values in ascending order, of which the answer holds `count` at most.
struct Answer {
    from: u32,
    count: usize,
    data: CapabilityData,
    more: bool,
}

impl Answer {
    fn new(capability: u32, from: u32, count: u32) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Answer {
            from,
            count,
            data: CapabilityData {
                capability,
                count: 0,
                values: Vec::new(),
            },
            more: false,
        }
    }

    /// Adds the value of a property, if it is asked for and has room.
    fn put(&mut self, property: u32, value: &impl Marshal) {
        if property < self.from || self.more {
            return;
        }
        let mut bytes = value.to_bytes();
        let full = usize::try_from(self.data.count).unwrap_or(usize::MAX) >= self.count;
        if full || self.data.values.len() + bytes.len() > MAX_DATA {
            self.more = true;
            return;
        }
        self.data.values.append(&mut bytes);
        self.data.count += 1;
    }
}

impl Action for GetCapability {
    type Response = GetCapabilityResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<GetCapabilityResponse> {
        let state = &*ctx.state;
        if state.volatile.failure && self.capability != cap::TPM_PROPERTIES {
            return Err(Rc::FAILURE);
        }
        let mut a = Answer::new(self.capability, self.property, self.property_count);
        match self.capability {
            cap::ALGS => {
                for (id, attributes) in algorithms::ALL {
                    a.put(u32::from(*id), &Pair(*id, *attributes));
                }
            }
            cap::HANDLES => handles(state, self.property, &mut a)?,
            cap::COMMANDS => {
                for spec in command::all() {
                    a.put(spec.code, &spec.attributes());
                }
            }
            cap::PP_COMMANDS => {
                let chosen = &state.hierarchies.pp_commands;
                for spec in command::all() {
                    if spec.flags.pp_always || chosen.contains(&spec.code) {
                        a.put(spec.code, &spec.code);
                    }
                }
            }
            cap::ACT => {}
            cap::AUDIT_COMMANDS => {
                for code in &state.audit.commands {
                    a.put(*code, code);
                }
            }
            cap::PCRS => {
                if self.property != 0 {
                    return Err(Rc::VALUE.parameter(2));
                }
                a.count = usize::MAX;
                for bank in &state.pcr_config.allocated {
                    a.put(0, bank);
                }
            }
            cap::TPM_PROPERTIES => {
                for (property, value) in properties::all(state) {
                    a.put(property, &Pair(property, value));
                }
            }
            cap::PCR_PROPERTIES => {
                for (property, select) in properties::pcr() {
                    a.put(property, &Pair(property, Pair(3u8, select)));
                }
            }
            cap::ECC_CURVES => {
                for curve in Curve::ALL {
                    a.put(u32::from(curve.id()), &curve);
                }
            }
            cap::AUTH_POLICIES => {
                if Handle(self.property).kind() != HandleType::Permanent {
                    return Err(Rc::VALUE.parameter(2));
                }
                auth_policies(state, &mut a);
            }
            _ => return Err(Rc::VALUE.parameter(1)),
        }
        Ok(GetCapabilityResponse {
            more_data: a.more,
            capability_data: a.data,
        })
    }
}

/// Two values one after the other.
struct Pair<A, B>(A, B);

impl<A: Marshal, B: Marshal> Marshal for Pair<A, B> {
    fn marshal(&self, out: &mut Writer) {
        self.0.marshal(out);
        self.1.marshal(out);
    }
}

/// The permanent handles, ascending.
const PERMANENT: [Handle; 7] = [
    Handle::OWNER,
    Handle::NULL,
    Handle::PW,
    Handle::LOCKOUT,
    Handle::ENDORSEMENT,
    Handle::PLATFORM,
    Handle::PLATFORM_NV,
];

fn handles(state: &State, from: u32, a: &mut Answer) -> Result<()> {
    let sessions = |wanted: u8| {
        let contexts = state.reset.contexts.iter().enumerate();
        contexts
            .filter(move |(_, slot)| slot.state == wanted)
            .filter_map(|(n, _)| u32::try_from(n).ok())
    };
    match Handle(from).kind() {
        HandleType::Pcr => {
            for n in 0..crate::limits::IMPLEMENTATION_PCR {
                let h = Handle::of_pcr(n);
                a.put(h.0, &h);
            }
        }
        HandleType::NvIndex => state.nv.handles().for_each(|h| a.put(h.0, &h)),
        // Loaded sessions, of either type; the top byte of the question is 02.
        HandleType::HmacSession => {
            for n in sessions(ContextSlot::LOADED) {
                let policy = Handle(Handle::POLICY_SESSION_FIRST | n);
                let is_policy = state.session(policy).is_ok();
                let h = if is_policy {
                    policy
                } else {
                    Handle(Handle::HMAC_SESSION_FIRST | n)
                };
                a.put(Handle::HMAC_SESSION_FIRST | n, &h);
            }
        }
        // Saved sessions; the top byte of the question is 03.
        HandleType::PolicySession => {
            for n in sessions(ContextSlot::SAVED) {
                a.put(
                    Handle::POLICY_SESSION_FIRST | n,
                    &Handle(Handle::HMAC_SESSION_FIRST | n),
                );
            }
        }
        HandleType::Permanent => PERMANENT.iter().for_each(|h| a.put(h.0, h)),
        HandleType::Transient => {
            state.volatile.transient.keys().for_each(|&h| a.put(h, &h));
        }
        HandleType::Persistent => {
            for (h, object) in state.persistent.iter() {
                if state.hierarchy_enabled(*object.hierarchy) {
                    a.put(h.0, &h);
                }
            }
        }
        HandleType::Other => return Err(Rc::HANDLE.parameter(2)),
    }
    Ok(())
}

/// TPMS_TAGGED_POLICY of the hierarchies that have a policy.
fn auth_policies(state: &State, a: &mut Answer) {
    for h in PERMANENT {
        if let Some((alg, digest)) = state.policy_of(h) {
            let mut value = Writer::new();
            h.marshal(&mut value);
            alg.marshal(&mut value);
            value.extend_from_slice(&digest);
            a.put(h.0, &Raw(value));
        }
    }
}

/// Bytes as they are.
struct Raw(Writer);

impl Marshal for Raw {
    fn marshal(&self, out: &mut Writer) {
        out.extend_from_slice(&self.0);
    }
}

impl Action for TestParms {
    type Response = TestParmsResponse;

    fn run(self, _ctx: &mut Context<'_>) -> Result<TestParmsResponse> {
        // What reads, this TPM can do.
        let _ = self.parameters;
        Ok(TestParmsResponse {})
    }
}
