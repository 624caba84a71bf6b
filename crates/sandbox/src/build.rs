//! From a package's files to an image that attempts start from.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use sublet_model::TenantId;

use crate::Unavailable;
use crate::attempt::Failure;

/// One file of a package or a layer; `path` is relative, with `/`, already checked against escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    pub path: String,
    pub content: Bytes,
}

impl SourceFile {
    /// Whether a build may read it: code, manifests, source maps, and what is refused by name rather than not found.
    pub fn is_of_use(&self) -> bool {
        sublet_bundle::is_of_use(&self.path)
    }
}

#[derive(Debug, Clone)]
pub struct BuildRequest {
    pub files: Vec<SourceFile>,
    /// Importable by the layer's name (`import {x} from "name"`, its `index` file) or below it (`"name/x.js"`).
    pub layers: Vec<(String, Vec<SourceFile>)>,
    /// The handler's module without its ending, and its export.
    pub handler: (String, String),
    /// `process.env`.
    pub environment: BTreeMap<String, String>,
    /// Variables that attempts will have and the top level has not: reading one fails the build.
    pub secret_names: Vec<String>,
    pub memory_bytes: u64,
    /// Wall deadline of the evaluation.
    pub timeout: Duration,
}

/// A tenant's own WebAssembly module, to be compiled.
#[derive(Debug, Clone)]
pub struct CompileRequest {
    /// Whose workers alone may run what comes of it.
    pub tenant: TenantId,
    pub module: Bytes,
    /// What the function may have; a module that begins with more is refused.
    pub memory_bytes: u64,
    /// Its attempts are to count their instructions.
    pub counts: bool,
    /// Wall deadline of the compilation.
    pub timeout: Duration,
}

/// What an image is, and with it who may run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageKind {
    /// The memory that JavaScript's top level left: data and no code. Any worker's engine runs on it.
    Snapshot,
    /// Machine code compiled from a tenant's own module, sealed for that tenant.
    Machine,
}

/// What attempts of a version start from. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub kind: ImageKind,
    /// What goes into the object store: made by the server from checked data, bound to `engine_hash`.
    pub bytes: Bytes,
}

/// A finished build.
#[derive(Debug, Clone)]
pub struct Build {
    pub image: Image,
    pub engine_hash: String,
    /// What the top level wrote by `console.*`.
    pub log: Bytes,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum BuildError {
    /// The tenant's code or package is at fault: shown to the tenant with file and line.
    #[error("{}: {}", .0.error_type, .0.error_message)]
    Rejected(Failure),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
