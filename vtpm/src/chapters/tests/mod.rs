//! Commands from their bytes to their bytes.

mod asymmetric;
mod basics;
mod certify_x509;
mod commit;
mod create_loaded;
mod credential;
mod duplication;
mod fuzz;
pub(crate) mod keys;
mod nv;
mod object;
mod policy;
mod sequences;
mod sessions;
mod signing;
mod snapshot;
mod table;
mod template_policy;
