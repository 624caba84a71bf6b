//! From a package's files to its modules: which file a specifier means (as Node.js finds it), what a file is as
//! JavaScript (TypeScript's types blanked out in place), and what it imports in turn.
//!
//! Pure: files come through [`Tree`]. The command line uses it on a folder, to upload no more than what is reachable; a
//! builder process uses it on what was uploaded.
//!
//! It parses hostile text by recursion, so it must not run in the server's process, and wants [`STACK_BYTES`] wherever
//! it runs. Brackets that nest too deep are refused before a file is parsed. Chains without brackets are not: prefix
//! operators (`!!!!x`), arrows (`a => a => x`), `?:`, `**`, assignments, labels, `else if`, `A<A<A<T>>>`, and whatever
//! makes a tree that is deep on the left, like a sum of a great many terms. What would count them soundly is a parser:
//! a scan cannot tell comments, texts, templates and regular expressions from code, and the number of such signs in a
//! file says nothing, for an honest one of megabytes has more of them than any stack has room for. So a file with a
//! chain of some ten thousands of links overflows the stack, which ends the process by a signal (a guard page is met,
//! no other memory). Who is hit: the builder, which has this one package and nothing else, so that its deploy is
//! answered with `Sandbox.Crashed` and nobody else notices; and the command line, which reads the caller's own folder.

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

/// Bytes of stack for whoever parses and walks files: the builder's fiber has as many beside what the engine takes, the
/// command line reads in a thread of that size. Enough for brackets as deep as they may nest; what else recurses is not
/// bounded, see above.
pub const STACK_BYTES: usize = 32 << 20;
