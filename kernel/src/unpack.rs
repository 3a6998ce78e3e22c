//! Inflating a payload piece by piece, for a target that no slice may point to.

use alloc::vec::Vec;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress};

/// How an inflation came out that no taker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Unpacked {
    /// All of it was one whole stream.
    Whole,
    /// It is not one whole deflate stream.
    Malformed,
    /// There is no memory to work in.
    OutOfMemory,
}

/// Inflates all of `packed` and hands the bytes to `take` in order.
///
/// # Errors
/// Those of `take`, which ends the work.
pub(crate) fn unpack<E>(
    packed: &[u8],
    take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<Unpacked, E> {
    // On the heap: together they are larger than a stack should be.
    let (mut state, mut window) = (Vec::new(), Vec::new());
    if state.try_reserve_exact(1).is_err() || window.try_reserve_exact(TINFL_LZ_DICT_SIZE).is_err()
    {
        return Ok(Unpacked::OutOfMemory);
    }
    state.push(DecompressorOxide::new());
    window.resize(TINFL_LZ_DICT_SIZE, 0u8);
    let Some(state) = state.first_mut() else {
        return Ok(Unpacked::OutOfMemory);
    };

    let (mut rest, mut at) = (packed, 0usize);
    loop {
        // Flags 0: raw deflate, the whole input is here, the output wraps around.
        let (status, read, made) = decompress(state, rest, &mut window, at, 0);
        let piece = at
            .checked_add(made)
            .and_then(|end| window.get(at..end))
            .unwrap_or_default();
        take(piece)?;
        at = at.wrapping_add(made) % TINFL_LZ_DICT_SIZE;
        rest = rest.get(read..).unwrap_or_default();
        match status {
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::Done if rest.is_empty() => return Ok(Unpacked::Whole),
            _ => return Ok(Unpacked::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflate(packed: &[u8]) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        let whole = unpack(packed, &mut |bytes: &[u8]| -> Result<(), ()> {
            all.extend_from_slice(bytes);
            Ok(())
        });
        (whole == Ok(Unpacked::Whole)).then_some(all)
    }

    /// Compresses with stored blocks: enough to cross the window several times.
    fn stored(data: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        let mut chunks = data.chunks(0xFFFF).peekable();
        while let Some(chunk) = chunks.next() {
            let len = u16::try_from(chunk.len()).unwrap();
            packed.push(u8::from(chunks.peek().is_none()));
            packed.extend_from_slice(&len.to_le_bytes());
            packed.extend_from_slice(&(!len).to_le_bytes());
            packed.extend_from_slice(chunk);
        }
        packed
    }

    #[test]
    fn more_than_the_window_comes_out_in_order() {
        let data: Vec<u8> = (0..300_000u32).map(|i| (i * 7 + (i >> 9)) as u8).collect();
        assert_eq!(inflate(&stored(&data)), Some(data));
    }

    #[test]
    fn matches_reach_back_over_the_window_s_end() {
        // 70,000 times 'a' by zlib: matches of 258 bytes at distance 1, round and round.
        let packed = [
            0xed, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0xac, 0xeb, 0x5f, 0xc2, 0x12,
            0x9e, 0x40, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x6f, 0x03,
        ];
        assert_eq!(inflate(&packed), Some(vec![b'a'; 70_000]));
    }

    #[test]
    fn a_truncated_stream_is_refused() {
        let packed = stored(&[1, 2, 3, 4, 5]);
        for len in 0..packed.len() {
            assert_eq!(inflate(&packed[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn bytes_behind_the_stream_are_refused() {
        let mut packed = stored(b"data");
        packed.push(0);
        assert_eq!(inflate(&packed), None);
    }

    #[test]
    fn an_error_of_the_taker_ends_the_work() {
        let packed = stored(&[0; 100_000]);
        let mut calls = 0;
        let result = unpack(&packed, &mut |_| {
            calls += 1;
            Err(7)
        });
        assert_eq!((result, calls), (Err(7), 1));
    }
}
