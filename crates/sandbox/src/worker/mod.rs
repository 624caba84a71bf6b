//! The worker process: `sublet __sandbox`. It locks itself up, then runs attempts (or evaluates one package) that the
//! server sends over the socket it was born with.
//!
//! One thread does everything: attempts are fibers that yield at every tick, so that nothing here needs a lock and the
//! system call filter need not allow threads. The process trusts the machine code that the server hands it before the
//! locks close; everything after that is treated as hostile input, and hostile code is assumed to run in here.
//!
//! Order of life: [`startup`] (jail, engine) → [`serve`] (messages) around [`executor`] (attempts) or [`builder`].

mod builder;
mod executor;
mod meter;
mod outlet;
mod queue;
mod serve;
mod startup;
mod tick;

pub(crate) use builder::ceiling_bytes as builder_ceiling_bytes;
pub use startup::{Hooks, Play, main, main_with};
pub(crate) use startup::{Orders, SOCKET};
