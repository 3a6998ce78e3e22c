//! Public areas and what goes around them.

use crate::command::{Command, Fields};
use crate::constants::{alg, cc, rh};

pub mod attribute {
    //! `TPMA_OBJECT`.
    #![allow(missing_docs)]
    pub const FIXED_TPM: u32 = 1 << 1;
    pub const FIXED_PARENT: u32 = 1 << 4;
    pub const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
    pub const USER_WITH_AUTH: u32 = 1 << 6;
    pub const ADMIN_WITH_POLICY: u32 = 1 << 7;
    pub const NO_DA: u32 = 1 << 10;
    pub const ENCRYPTED_DUPLICATION: u32 = 1 << 11;
    pub const RESTRICTED: u32 = 1 << 16;
    pub const DECRYPT: u32 = 1 << 17;
    pub const SIGN: u32 = 1 << 18;
    /// What most keys of the tests have: made by the TPM, used with a password.
    pub const USUAL: u32 =
        FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH | NO_DA;
    /// The same for a storage key.
    pub const STORAGE: u32 = USUAL | RESTRICTED | DECRYPT;
}

/// A `TPMT_PUBLIC` up to its parameters: type, name algorithm, attributes, policy.
#[must_use]
pub fn public(kind: u16, name: u16, attributes: u32, policy: &[u8]) -> Fields {
    Fields::new()
        .u16(kind)
        .u16(name)
        .u32(attributes)
        .sized(policy)
}

/// AES-128 CFB, as storage keys have it.
fn aes_cfb(fields: Fields) -> Fields {
    fields.u16(alg::AES).u16(128).u16(alg::CFB)
}

/// An ECC storage key.
#[must_use]
pub fn ecc_storage(curve: u16) -> Fields {
    aes_cfb(public(alg::ECC, alg::SHA256, attribute::STORAGE, &[]))
        .u16(alg::NULL)
        .u16(curve)
        .u16(alg::NULL)
        .sized(&[])
        .sized(&[])
}

/// An RSA storage key.
#[must_use]
pub fn rsa_storage(bits: u16) -> Fields {
    aes_cfb(public(alg::RSA, alg::SHA256, attribute::STORAGE, &[]))
        .u16(alg::NULL)
        .u16(bits)
        .u32(0)
        .sized(&[])
}

/// An ECC key with a scheme (`alg::NULL` for none).
#[must_use]
pub fn ecc_key(attributes: u32, curve: u16, scheme: u16) -> Fields {
    let fields = public(alg::ECC, alg::SHA256, attributes, &[]).u16(alg::NULL);
    with_scheme(fields, scheme)
        .u16(curve)
        .u16(alg::NULL)
        .sized(&[])
        .sized(&[])
}

/// An RSA key with a scheme (`alg::NULL` for none).
#[must_use]
pub fn rsa_key(attributes: u32, bits: u16, scheme: u16) -> Fields {
    let fields = public(alg::RSA, alg::SHA256, attributes, &[]).u16(alg::NULL);
    with_scheme(fields, scheme).u16(bits).u32(0).sized(&[])
}

fn with_scheme(fields: Fields, scheme: u16) -> Fields {
    match scheme {
        alg::NULL | alg::RSAES => fields.u16(scheme),
        alg::ECDAA => fields.u16(scheme).u16(alg::SHA256).u16(0),
        _ => fields.u16(scheme).u16(alg::SHA256),
    }
}

/// A keyedhash object: sealed data (`alg::NULL`) or an HMAC key (`alg::HMAC`).
#[must_use]
pub fn keyedhash(attributes: u32, scheme: u16, policy: &[u8]) -> Fields {
    let fields = public(alg::KEYEDHASH, alg::SHA256, attributes, policy);
    with_scheme(fields, scheme).sized(&[])
}

/// `TPM2_CreatePrimary` in a hierarchy with an empty password.
#[must_use]
pub fn create_primary(hierarchy: u32, template: &Fields) -> Command {
    Command::new(cc::CREATE_PRIMARY)
        .handle(hierarchy)
        .password(&[])
        .with(creation(&[], &[], template))
}

/// The parameters of Create and `CreatePrimary`: password, data to seal, template.
#[must_use]
pub fn creation(password: &[u8], data: &[u8], template: &Fields) -> Fields {
    let sensitive = Fields::new().sized(password).sized(data);
    Fields::new()
        .sized(&sensitive.0)
        .sized(&template.0)
        .sized(&[])
        .u32(0)
}

/// `TPM2_Create` under a parent with an empty password.
#[must_use]
pub fn create(parent: u32, password: &[u8], data: &[u8], template: &Fields) -> Command {
    Command::new(cc::CREATE)
        .handle(parent)
        .password(&[])
        .with(creation(password, data, template))
}

/// `TPM2_LoadExternal` of a public area alone.
#[must_use]
pub fn load_public(public: &Fields, hierarchy: u32) -> Command {
    Command::new(cc::LOAD_EXTERNAL).with(Fields::new().sized(&[]).sized(&public.0).u32(hierarchy))
}

/// `TPM2_LoadExternal` of a whole object with an empty password, in the NULL
/// hierarchy: `kind` is the sensitive area's type, `seed` a keyedhash's or
/// symmetric key's obfuscation value, `secret` its private part.
#[must_use]
pub fn load_external(kind: u16, seed: &[u8], secret: &[u8], public: &Fields) -> Command {
    let sensitive = Fields::new().u16(kind).sized(&[]).sized(seed).sized(secret);
    let fields = Fields::new().sized(&sensitive.0).sized(&public.0);
    Command::new(cc::LOAD_EXTERNAL).with(fields.u32(rh::NULL))
}
