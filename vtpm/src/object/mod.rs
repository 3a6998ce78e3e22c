//! What is done with objects, whichever command asks for it: names, the rules
//! for public areas, the making of keys, and the protection of what leaves the
//! TPM (Part 1, 22 to 27).

pub mod check;
pub mod commit;
pub mod creation;
pub mod derive;
pub mod load;
pub mod make;
pub mod name;
pub mod protect;
pub mod secret;
pub mod sign;
pub mod validate;
