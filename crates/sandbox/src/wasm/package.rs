//! A build request as the prelude wants it: JSON text. The files themselves it asks for one by one (see
//! [`super::host::Files`]), so that only those are in the guest that are reached.

use std::collections::BTreeMap;

use serde::Serialize;

use super::host::Files;
use crate::{BuildRequest, Failure};

#[derive(Serialize)]
struct Package<'a> {
    layers: Vec<&'a str>,
    /// Of the layers, those that wrap the handler: name, key of the module, export.
    wrappers: Vec<(&'a str, String, &'a str)>,
    environment: &'a BTreeMap<String, String>,
    secret_names: &'a [String],
    /// The key of the module, and its export.
    handler: (&'a str, &'a str),
}

/// Errors: the handler's module is not there, or a wrapper's.
pub(super) fn encode(request: &BuildRequest, files: &Files) -> Result<Vec<u8>, Failure> {
    let (path, export) = &request.handler;
    let Some(key) = files.handler(path) else {
        return Err(Failure {
            error_type: "Runtime.ImportModuleError".into(),
            error_message: format!(
                "the handler's file '{path}' (.js, .mjs, .cjs, .ts, .mts or .cts) is not in the package"
            ),
            stack_trace: Vec::new(),
        });
    };
    let wrappers = files.wrappers().map_err(|(layer, wrapper)| Failure {
        error_type: "Runtime.ImportModuleError".into(),
        error_message: format!("layer {layer}: there is no file for its wrapper '{wrapper}'"),
        stack_trace: Vec::new(),
    })?;
    let package = Package {
        wrappers,
        layers: request.layers.iter().map(|(name, _)| name.as_str()).collect(),
        environment: &request.environment,
        secret_names: &request.secret_names,
        handler: (&key, export),
    };
    serde_json::to_vec(&package).map_err(|error| Failure {
        error_type: "Runtime.Internal".into(),
        error_message: error.to_string(),
        stack_trace: Vec::new(),
    })
}
