//! The running guest's secure processor: the model's, with the machine's keys.

use snp_model::launch::Launched;
use snp_model::psp::chip::Processor;
use snp_model::psp::guest::Guest;
use snp_model::psp::{SecureProcessor, emulated};

use super::keys;
use crate::options::Options;

/// The secure processor of a launched guest. `eax` is that of CPUID leaf 1.
pub(crate) fn secure_processor(
    launched: &Launched,
    eax: u32,
    options: &Options,
) -> SecureProcessor {
    let mut chip = emulated::chip(Processor::from_cpuid(eax), options.report_version);
    chip.config = options.chip;
    let mut guest = Guest::new(launched, &chip, keys::report_id(&launched.digest));
    guest.host_data = options.host_data;
    SecureProcessor::new(chip, guest, keys::vmpcks())
}
