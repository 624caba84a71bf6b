//! WebAssembly modules of tenants' own: looked at and compiled in a builder ([`compile`]), run in a worker of the tenant's
//! ([`run`]).
//!
//! Unlike a function's snapshot, what comes of a module is machine code. The process that made it had hostile input, so
//! the server neither loads it nor lets it near other tenants: it authenticates it (pool/code_key.rs) and hands it to
//! processes of that tenant alone.

mod compile;
mod inspect;
mod run;

pub(crate) use compile::machine_hash;
pub(super) use run::{LoadedModule, attempt};
