//! From an upload to an immutable version, live at once if that is wanted.

use bytes::Bytes;
use sublet_model::{Error, ErrorKind, FunctionConfig, Name, Runtime, TenantId, limit};
use sublet_sandbox::{BuildError, Failure, SourceFile};
use sublet_store::{LayerRecord, NewVersion, TenantRecord, VersionRecord};

use crate::core::Core;
use crate::package::{PackageError, open_zip, single_file};
use crate::runnable::{build_request, compile_request};

/// Builds of one deploy: so often may a layer change while it builds.
const BUILDS_MAX: u32 = 3;

/// What was uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageKind {
    Zip,
    /// One file, named after the handler.
    JavaScript,
    /// One WebAssembly module.
    Wasm,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum DeployError {
    /// The tenant's code or package is at fault: shown to the tenant with file and line.
    #[error("{}: {}", .0.error_type, .0.error_message)]
    Rejected(Failure),
    #[error(transparent)]
    Error(#[from] Error),
}

impl From<PackageError> for DeployError {
    fn from(error: PackageError) -> DeployError {
        Error::invalid("package", error.to_string()).into()
    }
}

/// Whether what was uploaded can be what the function is.
fn check_kind(kind: PackageKind, runtime: Runtime) -> Result<(), Error> {
    match (kind, runtime) {
        (PackageKind::JavaScript, Runtime::Wasm) => {
            Err(Error::invalid("runtime", "is wasm, and what was uploaded is JavaScript"))
        }
        (PackageKind::Wasm, Runtime::Javascript) => {
            Err(Error::invalid("runtime", "is javascript, and what was uploaded is a WebAssembly module"))
        }
        _ => Ok(()),
    }
}

/// A package to build from.
pub(crate) enum Source {
    Uploaded(Bytes),
    /// It is in the code store already.
    Stored {
        package: Bytes,
        hash: sublet_store::ObjectHash,
    },
}

impl Source {
    pub(crate) fn stored(version: &VersionRecord, package: Bytes) -> Source {
        Source::Stored { package, hash: version.package }
    }

    fn package(&self) -> &Bytes {
        let (Source::Uploaded(package) | Source::Stored { package, .. }) = self;
        package
    }
}

impl Core {
    #[tracing::instrument(name = "engine.deploy", level = "debug", skip_all, fields(function.name = %name))]
    pub(crate) async fn deploy(
        &self,
        tenant: &TenantRecord,
        name: &Name,
        package: Bytes,
        kind: PackageKind,
        publish: bool,
    ) -> Result<VersionRecord, DeployError> {
        let found = self.directory.function(tenant.id, name).await?;
        let function = found.ok_or_else(|| Error::not_found(format!("function {name}")))?;
        let config = &function.config;
        self.check_secrets(tenant.id, function.id, &config.secrets).await?;
        check_kind(kind, config.runtime)?;
        let is_zip = kind != PackageKind::JavaScript;
        let mut builds = 0;
        let record = loop {
            builds += 1;
            let layers = self.layers_for(&tenant.spec.wrappers, &config.layers, |_| None).await?;
            let source = Source::Uploaded(package.clone());
            let new = self.build_from(tenant.id, config, is_zip, source, layers).await?;
            let new = NewVersion { make_live: publish, ..new };
            match self.directory.publish_version(tenant.id, function.id, new).await {
                // A layer was published or taken back meanwhile; what builds with the one may not build with the other.
                Err(error) if error.kind == ErrorKind::Conflict && builds < BUILDS_MAX => {
                    tracing::info!(function.id = %function.id, "{name} is built once more: {error}");
                }
                published => break published?,
            }
        };
        metrics::counter!("sublet_versions_total").increment(1);
        Ok(record)
    }

    /// The layers of a new version, in the order in which wrappers nest: the tenant's, then the function's own, each once
    /// and in the version that `pinned` says, or the current one.
    pub(crate) async fn layers_for(
        &self,
        wrappers: &[Name],
        own: &[Name],
        pinned: impl Fn(&Name) -> Option<u32>,
    ) -> Result<Vec<(Name, u32)>, Error> {
        let mut layers: Vec<(Name, u32)> = Vec::with_capacity(wrappers.len() + own.len());
        for name in wrappers.iter().chain(own) {
            if layers.iter().any(|(known, _)| known == name) {
                continue;
            }
            let number = match pinned(name) {
                Some(number) => number,
                None => {
                    let current = self.store.layer(name, None).await?;
                    current.ok_or_else(|| Error::invalid("layers", format!("there is no layer `{name}`")))?.number
                }
            };
            layers.push((name.clone(), number));
        }
        if layers.len() > limit::LAYERS_MAX {
            let most = limit::LAYERS_MAX;
            let detail = format!("are {} with the tenant's wrappers, more than {most}", layers.len());
            return Err(Error::invalid("layers", detail));
        }
        Ok(layers)
    }

    /// From a package in the code store.
    pub(crate) async fn build_version(
        &self,
        tenant: TenantId,
        config: &FunctionConfig,
        source: Source,
        layers: Vec<(Name, u32)>,
    ) -> Result<NewVersion, DeployError> {
        // A zip begins with its mark; everything else was uploaded as one file.
        let is_zip = source.package().starts_with(b"PK");
        self.build_from(tenant, config, is_zip, source, layers).await
    }

    /// Package and image are durable before a version names them; an image nobody names costs only its bytes. `is_zip`
    /// is of JavaScript alone: a module says itself what it is.
    async fn build_from(
        &self,
        tenant: TenantId,
        config: &FunctionConfig,
        is_zip: bool,
        source: Source,
        layers: Vec<(Name, u32)>,
    ) -> Result<NewVersion, DeployError> {
        let package = source.package();
        let built = match config.runtime {
            Runtime::Javascript => {
                let files = match is_zip {
                    true => open_zip(package)?,
                    false => single_file(package, config.handler_parts()?.0)?,
                };
                let layer_files = self.layer_files(&layers).await?;
                self.sandbox.build(build_request(config, files, layer_files)?).await
            }
            Runtime::Wasm => self.sandbox.compile(compile_request(tenant, config, package)?).await,
        };
        let built = match built {
            Ok(built) => built,
            Err(BuildError::Rejected(failure)) => return Err(DeployError::Rejected(failure)),
            Err(BuildError::Unavailable(error)) => return Err(Error::unavailable(error.to_string()).into()),
        };
        let (package_bytes, package) = match source {
            Source::Uploaded(package) => (package.len() as u64, self.code.put(package).await?),
            Source::Stored { package, hash } => (package.len() as u64, hash),
        };
        Ok(NewVersion {
            config: config.clone(),
            package,
            package_bytes,
            image: self.code.put(built.image.bytes).await?,
            engine_hash: built.engine_hash,
            layers,
            make_live: true,
        })
    }

    /// `rolls_out`: the functions that use the layer are rebuilt with it, in the background.
    pub(crate) async fn publish_layer(
        &self,
        name: &Name,
        package: Bytes,
        rolls_out: bool,
    ) -> Result<LayerRecord, DeployError> {
        check_wrapper(&open_zip(&package)?)?;
        let hash = self.code.put(package).await?;
        let record = self.directory.publish_layer(name, hash, rolls_out).await?;
        self.rollouts.notify_one();
        Ok(record)
    }
}

/// Whether what a layer says of its wrapper can be read: `sublet.json`, or `package.json` under `sublet`, with
/// `{"wrapper": "file.export"}`. The sandbox looks for the file and its export when a function is built with it.
fn check_wrapper(files: &[SourceFile]) -> Result<(), Error> {
    let json_of = |path: &str| -> Result<Option<serde_json::Value>, Error> {
        let Some(file) = files.iter().find(|file| file.path == path) else { return Ok(None) };
        let parsed = serde_json::from_slice(&file.content);
        parsed.map(Some).map_err(|error| Error::invalid("package", format!("{path} is not JSON: {error}")))
    };
    let manifest = match json_of("sublet.json")? {
        Some(manifest) => Some(manifest),
        None => json_of("package.json")?.and_then(|package| package.get("sublet").cloned()),
    };
    let Some(wrapper) = manifest.as_ref().and_then(|manifest| manifest.get("wrapper")) else { return Ok(()) };
    let is_named = wrapper
        .as_str()
        .and_then(|text| text.rsplit_once('.'))
        .is_some_and(|(module, export)| !module.is_empty() && !export.is_empty());
    match is_named {
        true => Ok(()),
        false => Err(Error::invalid("package", "`wrapper` must be of the form file.export, such as index.wrap")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layers_manifest_names_its_wrapper_as_a_file_and_an_export() {
        let check = |path: &str, text: &'static str| {
            check_wrapper(&[SourceFile { path: path.to_owned(), content: Bytes::from_static(text.as_bytes()) }])
        };
        for good in [r#"{"wrapper": "index.wrap"}"#, r#"{"wrapper": "lib/a.b.wrap"}"#, "{}"] {
            check("sublet.json", good).unwrap();
        }
        for bad in [r#"{"wrapper": "index"}"#, r#"{"wrapper": 1}"#, r#"{"wrapper": ".wrap"}"#, "{"] {
            assert!(check("sublet.json", bad).is_err(), "{bad}");
        }
        check("package.json", r#"{"name": "x"}"#).unwrap();
        assert!(check("package.json", r#"{"sublet": {"wrapper": "index"}}"#).is_err());
    }
}
