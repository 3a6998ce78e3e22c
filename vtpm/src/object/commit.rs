//! Commits: numbers that a key promises to sign with once (Part 1, C.2.3).

use crate::crypto::ecc::{self, Curve};
use crate::crypto::hash::HashAlg;
use crate::crypto::kdf::kdfa;
use crate::state::State;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// How many commits can be open: the bits of the array.
const WINDOW: u64 = 128;

fn bit(number: u64) -> (usize, u8) {
    let index = usize::try_from(number % WINDOW).unwrap_or(0);
    (index / 8, 1 << (index % 8))
}

/// The next commit's number, not yet taken.
#[must_use]
pub fn next(state: &State) -> u64 {
    state.reset.commit_counter
}

/// Takes the next number; gives the count that the caller signs with. What was
/// committed so many commits ago that its place is needed is given up.
pub fn begin(state: &mut State) -> u16 {
    let number = state.reset.commit_counter;
    let (byte, mask) = bit(number);
    if let Some(b) = state.reset.commit_array.get_mut(byte) {
        *b |= mask;
    }
    state.reset.commit_counter = number.wrapping_add(1);
    u16::try_from(number & 0xFFFF).unwrap_or(0)
}

/// The number of an open commit with a count.
#[must_use]
pub fn find(state: &State, count: u16) -> Option<u64> {
    let last = state.reset.commit_counter.checked_sub(1)?;
    let behind = last.wrapping_sub(u64::from(count)) & 0xFFFF;
    let number = last.checked_sub(behind).filter(|_| behind < WINDOW)?;
    let (byte, mask) = bit(number);
    (state.reset.commit_array.get(byte)? & mask != 0).then_some(number)
}

/// A commit is signed with, once.
pub fn end(state: &mut State, number: u64) {
    let (byte, mask) = bit(number);
    if let Some(b) = state.reset.commit_array.get_mut(byte) {
        *b &= !mask;
    }
}

/// The secret number of a commit, for the key or purpose of a name.
#[must_use]
pub fn secret_number(state: &State, curve: Curve, number: u64, name: &[u8]) -> Zeroizing<Vec<u8>> {
    // So many bits more than the order has that its remainder is even.
    let bits = curve.bits() + 64;
    let wide = kdfa(
        HashAlg::Sha512,
        &state.reset.commit_nonce,
        b"ECDAA Commit",
        name,
        &number.to_be_bytes(),
        bits,
    );
    ecc::reduce(curve, &wide)
}
