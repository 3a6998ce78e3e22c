//! The specification's numbers that the tests use (Part 2, chapter 6).
#![allow(missing_docs)]

pub mod cc {
    //! `TPM_CC`.
    pub const NV_UNDEFINE_SPACE_SPECIAL: u32 = 0x11f;
    pub const EVICT_CONTROL: u32 = 0x120;
    pub const HIERARCHY_CONTROL: u32 = 0x121;
    pub const NV_UNDEFINE_SPACE: u32 = 0x122;
    pub const CHANGE_EPS: u32 = 0x124;
    pub const CHANGE_PPS: u32 = 0x125;
    pub const CLEAR: u32 = 0x126;
    pub const CLEAR_CONTROL: u32 = 0x127;
    pub const CLOCK_SET: u32 = 0x128;
    pub const HIERARCHY_CHANGE_AUTH: u32 = 0x129;
    pub const NV_DEFINE_SPACE: u32 = 0x12a;
    pub const PCR_ALLOCATE: u32 = 0x12b;
    pub const PCR_SET_AUTH_POLICY: u32 = 0x12c;
    pub const SET_PRIMARY_POLICY: u32 = 0x12e;
    pub const CLOCK_RATE_ADJUST: u32 = 0x130;
    pub const CREATE_PRIMARY: u32 = 0x131;
    pub const NV_GLOBAL_WRITE_LOCK: u32 = 0x132;
    pub const GET_COMMAND_AUDIT_DIGEST: u32 = 0x133;
    pub const NV_INCREMENT: u32 = 0x134;
    pub const NV_SET_BITS: u32 = 0x135;
    pub const NV_EXTEND: u32 = 0x136;
    pub const NV_WRITE: u32 = 0x137;
    pub const NV_WRITE_LOCK: u32 = 0x138;
    pub const DICTIONARY_ATTACK_LOCK_RESET: u32 = 0x139;
    pub const DICTIONARY_ATTACK_PARAMETERS: u32 = 0x13a;
    pub const NV_CHANGE_AUTH: u32 = 0x13b;
    pub const PCR_EVENT: u32 = 0x13c;
    pub const PCR_RESET: u32 = 0x13d;
    pub const SEQUENCE_COMPLETE: u32 = 0x13e;
    pub const SET_COMMAND_CODE_AUDIT_STATUS: u32 = 0x140;
    pub const INCREMENTAL_SELF_TEST: u32 = 0x142;
    pub const SELF_TEST: u32 = 0x143;
    pub const STARTUP: u32 = 0x144;
    pub const SHUTDOWN: u32 = 0x145;
    pub const STIR_RANDOM: u32 = 0x146;
    pub const ACTIVATE_CREDENTIAL: u32 = 0x147;
    pub const CERTIFY: u32 = 0x148;
    pub const POLICY_NV: u32 = 0x149;
    pub const CERTIFY_CREATION: u32 = 0x14a;
    pub const DUPLICATE: u32 = 0x14b;
    pub const GET_TIME: u32 = 0x14c;
    pub const GET_SESSION_AUDIT_DIGEST: u32 = 0x14d;
    pub const NV_READ: u32 = 0x14e;
    pub const NV_READ_LOCK: u32 = 0x14f;
    pub const OBJECT_CHANGE_AUTH: u32 = 0x150;
    pub const POLICY_SECRET: u32 = 0x151;
    pub const REWRAP: u32 = 0x152;
    pub const CREATE: u32 = 0x153;
    pub const ECDH_ZGEN: u32 = 0x154;
    pub const HMAC: u32 = 0x155;
    pub const IMPORT: u32 = 0x156;
    pub const LOAD: u32 = 0x157;
    pub const QUOTE: u32 = 0x158;
    pub const RSA_DECRYPT: u32 = 0x159;
    pub const HMAC_START: u32 = 0x15b;
    pub const SEQUENCE_UPDATE: u32 = 0x15c;
    pub const SIGN: u32 = 0x15d;
    pub const UNSEAL: u32 = 0x15e;
    pub const POLICY_SIGNED: u32 = 0x160;
    pub const CONTEXT_LOAD: u32 = 0x161;
    pub const CONTEXT_SAVE: u32 = 0x162;
    pub const ECDH_KEYGEN: u32 = 0x163;
    pub const FLUSH_CONTEXT: u32 = 0x165;
    pub const LOAD_EXTERNAL: u32 = 0x167;
    pub const MAKE_CREDENTIAL: u32 = 0x168;
    pub const NV_READ_PUBLIC: u32 = 0x169;
    pub const POLICY_AUTHORIZE: u32 = 0x16a;
    pub const POLICY_AUTH_VALUE: u32 = 0x16b;
    pub const POLICY_COMMAND_CODE: u32 = 0x16c;
    pub const POLICY_COUNTER_TIMER: u32 = 0x16d;
    pub const POLICY_CP_HASH: u32 = 0x16e;
    pub const POLICY_LOCALITY: u32 = 0x16f;
    pub const POLICY_NAME_HASH: u32 = 0x170;
    pub const POLICY_OR: u32 = 0x171;
    pub const POLICY_TICKET: u32 = 0x172;
    pub const READ_PUBLIC: u32 = 0x173;
    pub const RSA_ENCRYPT: u32 = 0x174;
    pub const START_AUTH_SESSION: u32 = 0x176;
    pub const VERIFY_SIGNATURE: u32 = 0x177;
    pub const ECC_PARAMETERS: u32 = 0x178;
    pub const GET_CAPABILITY: u32 = 0x17a;
    pub const GET_RANDOM: u32 = 0x17b;
    pub const GET_TEST_RESULT: u32 = 0x17c;
    pub const HASH: u32 = 0x17d;
    pub const PCR_READ: u32 = 0x17e;
    pub const POLICY_PCR: u32 = 0x17f;
    pub const POLICY_RESTART: u32 = 0x180;
    pub const READ_CLOCK: u32 = 0x181;
    pub const PCR_EXTEND: u32 = 0x182;
    pub const PCR_SET_AUTH_VALUE: u32 = 0x183;
    pub const NV_CERTIFY: u32 = 0x184;
    pub const EVENT_SEQUENCE_COMPLETE: u32 = 0x185;
    pub const HASH_SEQUENCE_START: u32 = 0x186;
    pub const POLICY_PHYSICAL_PRESENCE: u32 = 0x187;
    pub const POLICY_DUPLICATION_SELECT: u32 = 0x188;
    pub const POLICY_GET_DIGEST: u32 = 0x189;
    pub const TEST_PARMS: u32 = 0x18a;
    pub const COMMIT: u32 = 0x18b;
    pub const POLICY_PASSWORD: u32 = 0x18c;
    pub const ZGEN_2PHASE: u32 = 0x18d;
    pub const EC_EPHEMERAL: u32 = 0x18e;
    pub const POLICY_NV_WRITTEN: u32 = 0x18f;
    pub const POLICY_TEMPLATE: u32 = 0x190;
    pub const CREATE_LOADED: u32 = 0x191;
    pub const POLICY_AUTHORIZE_NV: u32 = 0x192;
    pub const ENCRYPT_DECRYPT_2: u32 = 0x193;
    pub const ENCRYPT_DECRYPT: u32 = 0x164;
}

pub mod rh {
    //! `TPM_RH` and fixed handles.
    pub const OWNER: u32 = 0x4000_0001;
    pub const NULL: u32 = 0x4000_0007;
    pub const PW: u32 = 0x4000_0009;
    pub const LOCKOUT: u32 = 0x4000_000a;
    pub const ENDORSEMENT: u32 = 0x4000_000b;
    pub const PLATFORM: u32 = 0x4000_000c;
}

pub mod alg {
    //! `TPM_ALG_ID`.
    pub const RSA: u16 = 1;
    pub const SHA1: u16 = 4;
    pub const HMAC: u16 = 5;
    pub const AES: u16 = 6;
    pub const KEYEDHASH: u16 = 8;
    pub const XOR: u16 = 0xa;
    pub const SHA256: u16 = 0xb;
    pub const SHA384: u16 = 0xc;
    pub const SHA512: u16 = 0xd;
    pub const NULL: u16 = 0x10;
    pub const RSASSA: u16 = 0x14;
    pub const RSAES: u16 = 0x15;
    pub const RSAPSS: u16 = 0x16;
    pub const OAEP: u16 = 0x17;
    pub const ECDSA: u16 = 0x18;
    pub const ECDH: u16 = 0x19;
    pub const ECDAA: u16 = 0x1a;
    pub const ECSCHNORR: u16 = 0x1c;
    pub const KDF1_SP800_56A: u16 = 0x20;
    pub const KDF1_SP800_108: u16 = 0x22;
    pub const ECC: u16 = 0x23;
    pub const SYMCIPHER: u16 = 0x25;
    pub const CTR: u16 = 0x40;
    pub const OFB: u16 = 0x41;
    pub const CBC: u16 = 0x42;
    pub const CFB: u16 = 0x43;
    pub const ECB: u16 = 0x44;
}

/// The hashes that both TPMs have, with their digest sizes in bytes.
pub const HASHES: [(u16, usize); 4] = [
    (alg::SHA1, 20),
    (alg::SHA256, 32),
    (alg::SHA384, 48),
    (alg::SHA512, 64),
];

/// `TPM_ST_NO_SESSIONS`.
pub const NO_SESSIONS: u16 = 0x8001;
/// `TPM_ST_SESSIONS`.
pub const SESSIONS: u16 = 0x8002;

pub mod se {
    //! `TPM_SE`.
    pub const HMAC: u8 = 0;
    pub const POLICY: u8 = 1;
    pub const TRIAL: u8 = 3;
}
