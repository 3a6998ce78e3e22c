//! What this TPM has room for. GetCapability reports these.

/// Largest command, in bytes.
pub const MAX_COMMAND_SIZE: usize = 4096;
/// Largest response, in bytes.
pub const MAX_RESPONSE_SIZE: usize = 4096;
/// Largest digest, in bytes (SHA-512).
pub const MAX_DIGEST_SIZE: usize = 64;
/// Largest TPM2B_MAX_BUFFER, in bytes.
pub const MAX_DIGEST_BUFFER: usize = 1024;
/// Largest NV index, in bytes.
pub const MAX_NV_INDEX_SIZE: usize = 2048;
/// Largest piece that NV_Read and NV_Write move, in bytes.
pub const MAX_NV_BUFFER_SIZE: usize = 1024;
/// Largest sealed datum or symmetric key material, in bytes.
pub const MAX_SYM_DATA: usize = 128;
/// Largest RSA modulus, in bytes.
pub const MAX_RSA_KEY_BYTES: usize = 512;
/// Largest ECC coordinate, in bytes (P-521).
pub const MAX_ECC_KEY_BYTES: usize = 66;
/// Transient objects and sequences loaded at once.
pub const MAX_LOADED_OBJECTS: usize = 3;
/// Persistent objects.
pub const MAX_PERSISTENT_OBJECTS: usize = 24;
/// NV indices.
pub const MAX_NV_INDICES: usize = 64;
/// Bytes of NV data of all indices together.
pub const MAX_NV_DATA: usize = 64 * 1024;
/// Sessions loaded at once.
pub const MAX_LOADED_SESSIONS: usize = 3;
/// Sessions loaded or saved.
pub const MAX_ACTIVE_SESSIONS: usize = 64;
/// Sessions in one command.
pub const MAX_SESSION_NUM: usize = 3;
/// Handles in one command.
pub const MAX_HANDLE_NUM: usize = 3;
/// PCRs per bank.
pub const IMPLEMENTATION_PCR: usize = 24;
/// Bytes of a PCR selection.
pub const PCR_SELECT_MAX: usize = 3;
/// Fewest bytes of a PCR selection.
pub const PCR_SELECT_MIN: usize = 3;
/// Banks of PCRs: one for each hash algorithm.
pub const PCR_BANKS: usize = 4;
/// Digests in a TPML_DIGEST.
pub const MAX_DIGEST_LIST: usize = 8;
/// Algorithms in a TPML_ALG.
pub const MAX_ALG_LIST: usize = 64;
/// Command codes in a TPML_CC.
pub const MAX_CAP_CC: usize = 256;
/// Largest TPM2B_CONTEXT_DATA, in bytes.
pub const MAX_CONTEXT_SIZE: usize = 3072;
/// Bytes of a primary seed and of a proof.
pub const SEED_SIZE: usize = 64;
