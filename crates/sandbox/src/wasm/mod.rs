//! The wasm tier: JavaScript on QuickJS-ng inside wasmtime, a fresh environment for every attempt.
//!
//! The engine is one WebAssembly module compiled once per server and shared by all tenants. A function's own state is
//! the memory that its top-level code left at deploy time, kept as its difference from the memory of a function that
//! does nothing ([`Base`], a module that holds data and no code), or whole if it is large. An attempt is: a copy-on-write
//! mapping of the base, the difference written into it, an instance of the engine on top, one call. Three processes take
//! part:
//!
//! * the **server** compiles the engine ([`compile_engine`]) and turns raw memory into images ([`seal_image`]);
//! * a **builder** runs a package's top level once and hands back its raw memory ([`Initializer`]);
//! * a **worker** runs attempts from images ([`Runner`]).
//!
//! A tenant's own module ([`module`], with [`wasi`] as its world) takes the same way but for what an image is: machine code
//! that the builder makes of the module, for workers of that tenant alone.
//!
//! This module starts no process and opens no file; `worker/` and `pool/` do. The engine itself is made by
//! engines/quickjs, and the JavaScript around the tenant's code lies in `prelude/`.

mod base;
mod compile;
mod config;
mod count;
mod ending;
mod error;
mod host;
mod initializer;
mod log;
mod module;
mod package;
mod patch;
mod prelude;
mod runner;
mod seal;
mod snapshot;
mod wasi;

pub use base::Base;
pub use compile::{EngineCode, compile_counting_engine, compile_engine, compile_engine_with, engine_hash};
pub use error::WasmError;
pub(crate) use host::Outgoing;
pub use initializer::{Initializer, Prepared};
pub(crate) use module::machine_hash;
pub use runner::{EpochHandle, LoadedImage, RunEnd, Runner, Running, Task};
pub use seal::seal_image;
pub use snapshot::RawSnapshot;
