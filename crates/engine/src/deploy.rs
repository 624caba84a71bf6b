//! From an upload to an immutable version, live at once if that is wanted.

use bytes::Bytes;
use sublet_model::{Error, Name};
use sublet_sandbox::Failure;
use sublet_store::{LayerRecord, TenantRecord, VersionRecord};

use crate::core::Core;

/// What was uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageKind {
    Zip,
    /// One file, named after the handler.
    JavaScript,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum DeployError {
    /// The tenant's code or package is at fault: shown to the tenant with file and line.
    #[error("{}: {}", .0.error_type, .0.error_message)]
    Rejected(Failure),
    #[error(transparent)]
    Error(#[from] Error),
}

impl Core {
    pub(crate) async fn deploy(
        &self,
        _tenant: &TenantRecord,
        _function: &Name,
        _package: Bytes,
        _kind: PackageKind,
        _publish: bool,
    ) -> Result<VersionRecord, DeployError> {
        Err(Error::unavailable("not yet").into())
    }

    pub(crate) async fn publish_layer(&self, _name: &Name, _package: Bytes) -> Result<LayerRecord, DeployError> {
        Err(Error::unavailable("not yet").into())
    }
}
