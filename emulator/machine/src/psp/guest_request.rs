//! The running guest's secure processor: the model's, with the machine's keys.

use snp_model::launch::Launched;
use snp_model::psp::chip::{Processor, ReportVersion};
use snp_model::psp::guest::Guest;
use snp_model::psp::{SecureProcessor, emulated};

use super::keys;

/// The secure processor of a launched guest. `eax` is that of CPUID leaf 1.
pub(crate) fn secure_processor(
    launched: &Launched,
    eax: u32,
    version: ReportVersion,
) -> SecureProcessor {
    let chip = emulated::chip(Processor::from_cpuid(eax), version);
    let guest = Guest::new(launched, &chip, keys::report_id(&launched.digest));
    SecureProcessor::new(chip, guest, keys::vmpcks())
}
