//! The wasm tier as the engine meets it: a pool of real, locked worker processes.

mod attempts;
mod hostile;
mod processes;
mod support;
