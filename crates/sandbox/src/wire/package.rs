//! A build request as fields: the package's files, its layers, and how to evaluate them.

use std::collections::BTreeMap;

use sublet_model::limit;

use super::codec::{Reader, WireError, Writer};
use crate::{BuildRequest, SourceFile};

/// Bytes of a path or a name.
const NAME_BYTES_MAX: usize = 4 * 1024;

/// Bytes of the frame of a build request at its largest.
pub(crate) fn build_frame_bytes_max() -> usize {
    (1 + limit::LAYERS_MAX) * (limit::PACKAGE_UNPACKED_BYTES_MAX + limit::PACKAGE_FILES_MAX * NAME_BYTES_MAX)
        + limit::ENVIRONMENT_BYTES_MAX
        + 64 * 1024
}

pub(super) fn write(to: &mut Writer<'_>, request: &BuildRequest) {
    write_files(to, &request.files);
    to.count(request.layers.len());
    for (name, files) in &request.layers {
        to.text(name);
        write_files(to, files);
    }
    to.text(&request.handler.0);
    to.text(&request.handler.1);
    to.count(request.environment.len());
    for (name, value) in &request.environment {
        to.text(name);
        to.text(value);
    }
    to.count(request.secret_names.len());
    for name in &request.secret_names {
        to.text(name);
    }
    to.u64(request.memory_bytes);
    to.duration(request.timeout);
}

pub(super) fn read(from: &mut Reader) -> Result<BuildRequest, WireError> {
    let files = read_files(from)?;
    let mut layers = Vec::new();
    for _ in 0..from.count("layers", limit::LAYERS_MAX)? {
        layers.push((from.text("layer", NAME_BYTES_MAX)?, read_files(from)?));
    }
    let handler = (from.text("module", NAME_BYTES_MAX)?, from.text("export", NAME_BYTES_MAX)?);
    let mut environment = BTreeMap::new();
    for _ in 0..from.count("environment", limit::ENVIRONMENT_BYTES_MAX)? {
        let name = from.text("variable", limit::ENVIRONMENT_BYTES_MAX)?;
        environment.insert(name, from.text("value", limit::ENVIRONMENT_BYTES_MAX)?);
    }
    let mut secret_names = Vec::new();
    for _ in 0..from.count("secrets", limit::SECRETS_PER_FUNCTION_MAX)? {
        secret_names.push(from.text("variable", limit::VARIABLE_NAME_CHARS_MAX)?);
    }
    let (memory_bytes, timeout) = (from.u64("memory")?, from.duration("timeout")?);
    Ok(BuildRequest { files, layers, handler, environment, secret_names, memory_bytes, timeout })
}

fn write_files(to: &mut Writer<'_>, files: &[SourceFile]) {
    to.count(files.len());
    for file in files {
        to.text(&file.path);
        to.bytes(&file.content);
    }
}

fn read_files(from: &mut Reader) -> Result<Vec<SourceFile>, WireError> {
    let mut files = Vec::new();
    for _ in 0..from.count("files", limit::PACKAGE_FILES_MAX)? {
        let path = from.text("path", NAME_BYTES_MAX)?;
        files.push(SourceFile { path, content: from.bytes("content", limit::PACKAGE_UNPACKED_BYTES_MAX)? });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::{ToWorker, WireError};
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    #[test]
    fn a_request_survives_its_frame_and_no_part_of_it_does() {
        let file = |path: &str| SourceFile { path: path.into(), content: Bytes::from_static(b"export default 1") };
        let request = BuildRequest {
            files: vec![file("index.mjs"), file("lib/a.js")],
            layers: vec![("helper".into(), vec![file("index.js")])],
            handler: ("index".into(), "handler".into()),
            environment: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
            secret_names: vec!["KEY".to_owned()],
            memory_bytes: 1 << 27,
            timeout: Duration::from_secs(10),
        };
        let mut out = Vec::new();
        ToWorker::Build(request.clone()).encode(&mut out);
        let body = out.split_off(4);
        let ToWorker::Build(back) = ToWorker::decode(Bytes::copy_from_slice(&body)).unwrap() else { panic!("kind") };
        assert_eq!(format!("{back:?}"), format!("{request:?}"));
        for length in 1..body.len() {
            let error = ToWorker::decode(Bytes::copy_from_slice(&body[..length])).unwrap_err();
            assert!(matches!(error, WireError::Short(_)), "{length} bytes: {error}");
        }
    }
}
