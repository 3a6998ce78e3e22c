//! RSA: keys, their generation, and the paddings of PKCS #1 (RFC 8017).
//!
//! Private operations run in constant time as `crypto-bigint` makes it, with the
//! input blinded, and their results are checked before they go out. Not in
//! constant time are operations with public values only, and the search for
//! primes: the sieve's accesses and the number of candidates tell something of
//! numbers near the primes to whoever watches a key being made.

mod key;
mod keygen;
mod number;
mod oaep;
mod pkcs1;
mod prime;
mod pss;

pub use key::{PrivateKey, PublicKey};
pub use keygen::KeyGen;
pub use oaep::{oaep_decrypt, oaep_encrypt};
pub use pkcs1::{pkcs1_decrypt, pkcs1_encrypt, pkcs1_sign, pkcs1_verify};
pub use pss::{pss_salt_len, pss_sign, pss_verify};

#[cfg(test)]
mod tests;
