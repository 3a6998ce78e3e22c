//! The checks by area, and which of them each VMSA runs. What is expected is what the SVSM
//! specification asks for, and where that leaves room, what Rampart's documentation promises.

mod attestation;
mod core_calls;
mod create_vcpu;
mod delete_vcpu;
mod deposit_mem;
mod guest_request;
mod launch;
mod noise;
mod pending;
mod pvalidate;
mod pvalidate_entry;
mod pvalidate_list;
mod registered;
mod remap_ca;
mod several;
pub(crate) mod unusable;
mod vtpm;

use crate::check::run;
use crate::vcpus;

/// Before the first call.
pub(crate) fn at_launch() {
    run(launch::CHECKS);
}

/// By the VMSA of the launch.
pub(crate) fn in_first_life() {
    run(pending::CHECKS);
    run(core_calls::CHECKS);
    run(pvalidate::CHECKS);
    run(pvalidate_list::CHECKS);
    run(pvalidate_entry::CHECKS);
    run(deposit_mem::CHECKS);
    run(guest_request::CHECKS);
    run(attestation::CHECKS);
    run(vtpm::checks());
    run(remap_ca::CHECKS);
    run(create_vcpu::CHECKS);
    run(noise::CHECKS);
    if vcpus::count() >= several::VCPUS {
        run(several::CHECKS);
    }
}

/// By the second VMSA.
pub(crate) fn in_second_life() {
    run(registered::CHECKS);
}

/// By the third VMSA, when the second is left.
pub(crate) fn in_third_life() {
    run(delete_vcpu::CHECKS);
}
