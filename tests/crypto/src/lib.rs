//! Tests of `vtpm`'s cryptography with vectors that are too large to stand beside
//! the code: see `tests/`.
