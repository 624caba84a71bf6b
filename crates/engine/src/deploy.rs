//! From an upload to an immutable version, live at once if that is wanted.

use bytes::Bytes;
use sublet_model::{Error, Name, Runtime};
use sublet_sandbox::{BuildError, Failure};
use sublet_store::{LayerRecord, NewVersion, TenantRecord, VersionRecord};

use crate::core::Core;
use crate::package::{PackageError, open_zip, single_file};
use crate::runnable::{build_request, compile_request};

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

impl Core {
    /// Package and image are durable before the version names them; an image nobody names costs only its bytes.
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
        let mut layers = Vec::with_capacity(config.layers.len());
        for layer in &config.layers {
            let record = self.store.layer(layer, None).await?;
            let newest = record.ok_or_else(|| Error::invalid("layers", format!("there is no layer `{layer}`")))?;
            layers.push((layer.clone(), newest.number));
        }
        let built = match config.runtime {
            Runtime::Javascript => {
                let files = match kind {
                    PackageKind::JavaScript => single_file(&package, config.handler_parts()?.0)?,
                    PackageKind::Zip | PackageKind::Wasm => open_zip(&package)?,
                };
                let layer_files = self.layer_files(&layers).await?;
                self.sandbox.build(build_request(config, files, layer_files)?).await
            }
            Runtime::Wasm => self.sandbox.compile(compile_request(tenant.id, config, &package)?).await,
        };
        let built = match built {
            Ok(built) => built,
            Err(BuildError::Rejected(failure)) => return Err(DeployError::Rejected(failure)),
            Err(BuildError::Unavailable(error)) => return Err(Error::unavailable(error.to_string()).into()),
        };
        let package_bytes = package.len() as u64;
        let version = NewVersion {
            config: config.clone(),
            package: self.code.put(package).await?,
            package_bytes,
            image: self.code.put(built.image.bytes).await?,
            engine_hash: built.engine_hash,
            layers,
            make_live: publish,
        };
        let record = self.directory.publish_version(tenant.id, function.id, version).await?;
        metrics::counter!("sublet_versions_total").increment(1);
        Ok(record)
    }

    pub(crate) async fn publish_layer(&self, name: &Name, package: Bytes) -> Result<LayerRecord, DeployError> {
        open_zip(&package)?;
        let hash = self.code.put(package).await?;
        Ok(self.directory.publish_layer(name, hash).await?)
    }
}
