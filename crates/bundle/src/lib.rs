//! From a package's files to its modules: which file a specifier means (as Node.js finds it), what a file is as
//! JavaScript (TypeScript's types blanked out in place), and what it imports in turn.
//!
//! Pure: files come through [`Tree`]. The command line uses it on a folder, to upload no more than what is reachable; a
//! builder process uses it on what was uploaded. It parses hostile text by recursion, so it must not run in the server's
//! process, and wants a deep stack wherever it runs.

mod conditions;
mod fault;
mod graph;
mod manifest;
mod module;
mod path;
mod resolve;
mod scan;
mod source_map;
mod strip;
mod tree;

pub use fault::Fault;
pub use graph::{Graph, Late, late};
pub use manifest::PackageType;
pub use module::{Module, ModuleKind, module};
pub use path::{LAYER_ROOT, directory, join};
pub use resolve::{Importer, LOADABLE, Missing, Resolver, is_of_use};
pub use scan::{How, Request};
pub use source_map::SourceMap;
pub use tree::{LINKS_KEY, Package, Tree};

/// Bytes of stack that parsing and walking a file may take; nesting is refused well before.
pub const STACK_BYTES: usize = 32 << 20;
