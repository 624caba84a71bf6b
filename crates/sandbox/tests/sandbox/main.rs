//! The wasm tier as the engine meets it: a pool of real, locked worker processes.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod attack;
mod attempts;
mod cordons;
mod counts;
mod egress;
mod fetch;
mod hostile;
mod modules;
mod processes;
mod support;
