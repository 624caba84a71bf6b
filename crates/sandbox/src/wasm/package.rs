//! A build request as the prelude wants it: JSON text with the modules' sources.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{BuildRequest, Failure, SourceFile};

#[derive(Serialize)]
struct Package<'a> {
    /// By key: the path in the package, or `/opt/LAYER/path`.
    files: BTreeMap<String, &'a str>,
    layers: Vec<&'a str>,
    environment: &'a BTreeMap<String, String>,
    secret_names: &'a [String],
    handler: (&'a str, &'a str),
}

/// What the guest can load; other files of a package stay outside its memory.
const ENDINGS: [&str; 4] = [".js", ".mjs", ".cjs", ".json"];

pub(super) fn encode(request: &BuildRequest) -> Result<Vec<u8>, Failure> {
    let mut files = BTreeMap::new();
    for file in &request.files {
        add(&mut files, file.path.clone(), file)?;
    }
    for (name, layer) in &request.layers {
        for file in layer {
            add(&mut files, format!("/opt/{name}/{}", file.path), file)?;
        }
    }
    let package = Package {
        files,
        layers: request.layers.iter().map(|(name, _)| name.as_str()).collect(),
        environment: &request.environment,
        secret_names: &request.secret_names,
        handler: (&request.handler.0, &request.handler.1),
    };
    serde_json::to_vec(&package).map_err(|error| Failure {
        error_type: "Runtime.Internal".into(),
        error_message: error.to_string(),
        stack_trace: Vec::new(),
    })
}

fn add<'a>(files: &mut BTreeMap<String, &'a str>, key: String, file: &'a SourceFile) -> Result<(), Failure> {
    if !ENDINGS.iter().any(|ending| key.ends_with(ending)) {
        return Ok(());
    }
    match std::str::from_utf8(&file.content) {
        Ok(text) => {
            files.insert(key, text);
            Ok(())
        }
        Err(error) => {
            let line = file.content[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            Err(Failure {
                error_type: "SyntaxError".into(),
                error_message: format!("{key}:{line}: the file is not UTF-8 text"),
                stack_trace: vec![format!("at {key}:{line}:1")],
            })
        }
    }
}
