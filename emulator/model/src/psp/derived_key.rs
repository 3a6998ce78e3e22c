//! Derived keys (SNP firmware ABI, MSG_KEY_REQ).
//!
//! What goes into a key is the ABI's: the chip, the level, and the fields that the
//! request selects. How it goes in is the model's own: HKDF-SHA-384, the chip's
//! secret as keying material, and as info GUEST_FIELD_SELECT, the level, and each
//! field in the ABI's order, zeros in place of those that are not selected. Equal
//! requests of equal guests on one chip give equal keys, and others do not.

use hkdf::Hkdf;
use protocols::snp::{FirmwareStatus, GuestFields, KeyRequest, KeySelect, Vmpl};
use sha2::Sha384;

use super::chip::Chip;
use super::guest::Guest;
use super::report::level;

/// Bits of ROOT_KEY_SELECT that have a meaning.
const ROOT_KEY_SELECT: u32 = 0b111;

/// The key for the holder of the key of `own`, asked for by a message of that
/// version.
///
/// # Errors
/// INVALID_PARAM for a level above its own or none, reserved bits, a security
/// version, TCB version or mitigation that the guest was not launched with or that is
/// not committed; INVALID_KEY for the VMRK and the VLEK, which are not there.
pub fn derive(
    chip: &Chip,
    guest: &Guest,
    own: Vmpl,
    version: u8,
    request: &KeyRequest,
) -> Result<[u8; 32], FirmwareStatus> {
    let vmpl = level(own, request.vmpl).ok_or(FirmwareStatus::INVALID_PARAM)?;
    let known = match version {
        1 => GuestFields::LAUNCH_MIT_VECTOR.bits() - 1,
        _ => (GuestFields::LAUNCH_MIT_VECTOR.bits() << 1) - 1,
    };
    let is_allowed = request.reserved == 0
        && request.root_key_select & !ROOT_KEY_SELECT == 0
        && request.fields & !known == 0
        && request.guest_svn <= guest.svn()
        && request.tcb_version.is_at_most(chip.committed_tcb)
        && request.launch_mit_vector & !guest.launch_mit_vector == 0;
    if !is_allowed {
        return Err(FirmwareStatus::INVALID_PARAM);
    }
    match request.key_select() {
        _ if request.root_key_select & KeyRequest::ROOT_VMRK != 0 => {
            return Err(FirmwareStatus::INVALID_KEY);
        }
        KeySelect::ANY | KeySelect::VCEK => {}
        KeySelect::VLEK => return Err(FirmwareStatus::INVALID_KEY),
        _ => return Err(FirmwareStatus::INVALID_PARAM),
    }
    expand(chip, guest, vmpl, request).ok_or(FirmwareStatus::INVALID_KEY)
}

fn expand(chip: &Chip, guest: &Guest, vmpl: Vmpl, request: &KeyRequest) -> Option<[u8; 32]> {
    let fields = GuestFields::from_bits_retain(request.fields);
    let block = guest.id_block;
    let values: [(GuestFields, &[u8]); 7] = [
        (
            GuestFields::GUEST_POLICY,
            &guest.policy.bits().to_le_bytes(),
        ),
        (
            GuestFields::IMAGE_ID,
            &block.map_or([0; 16], |block| block.image_id),
        ),
        (
            GuestFields::FAMILY_ID,
            &block.map_or([0; 16], |block| block.family_id),
        ),
        (GuestFields::MEASUREMENT, &guest.measurement),
        (GuestFields::GUEST_SVN, &request.guest_svn.to_le_bytes()),
        (
            GuestFields::TCB_VERSION,
            &request.tcb_version.0.to_le_bytes(),
        ),
        (
            GuestFields::LAUNCH_MIT_VECTOR,
            &request.launch_mit_vector.to_le_bytes(),
        ),
    ];
    let zeros = [0; 48];
    let values = values.map(|(field, value)| match fields.contains(field) {
        true => value,
        false => zeros.get(..value.len()).unwrap_or_default(),
    });
    let [policy, image, family, measurement, svn, tcb, mitigations] = values;
    let (select, level) = (request.fields.to_le_bytes(), [vmpl.get()]);
    let info = [
        &select[..],
        &level,
        policy,
        image,
        family,
        measurement,
        svn,
        tcb,
        mitigations,
    ];
    let mut key = [0; 32];
    Hkdf::<Sha384>::new(Some(b"snp-model derived key"), &chip.secret)
        .expand_multi_info(&info, &mut key)
        .ok()?;
    Some(key)
}
