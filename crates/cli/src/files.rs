//! From what a developer has on disk to what is uploaded: one file as it is, a .zip as it is, a folder as a .zip.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use sublet_model::limit;
use zip::write::SimpleFileOptions;

use crate::project::Ignore;

/// The content type of a WebAssembly module.
pub(crate) const MODULE: &str = "application/wasm";

pub(crate) struct Package {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) files: usize,
}

/// A folder whole, its packages included, but for what `.subletignore` names: for what is no function of a tenant's.
pub(crate) fn package(path: &Path) -> Result<Package> {
    let about = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if about.is_dir() { folder(path) } else { single(path, "index") }
}

/// A file as it is; `module`: what the handler calls it.
pub(crate) fn single(path: &Path, module: &str) -> Result<Package> {
    let content_type = match path.extension().and_then(|ending| ending.to_str()) {
        Some("js" | "mjs" | "cjs") => "text/javascript",
        Some("zip") => "application/zip",
        Some(ending @ ("ts" | "mts" | "cts")) => {
            let content = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            return zipped(vec![(format!("{module}.{ending}"), content)], path);
        }
        Some("wasm") => MODULE,
        _ => bail!("{} is neither a folder nor a .js, .mjs, .cjs, .ts, .mts, .cts, .wasm or .zip file", path.display()),
    };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Package { content_type, bytes: bytes.into(), files: 1 })
}

/// Of a layer, what says that it is a wrapper; a function's folder, which has its settings there, is gathered elsewhere.
const LAYER_MANIFEST: &str = "sublet.json";

fn folder(root: &Path) -> Result<Package> {
    let mut found = Vec::new();
    collect(root, &Ignore::of(root)?, Path::new(""), &mut found)?;
    found.sort();
    if found.is_empty() {
        bail!("{} holds no files", root.display());
    }
    let mut files = Vec::with_capacity(found.len());
    for relative in &found {
        let name = relative.to_str().with_context(|| format!("{} is not UTF-8", relative.display()))?;
        let content = std::fs::read(root.join(relative)).with_context(|| format!("cannot read {name}"))?;
        files.push((name.replace('\\', "/"), content));
    }
    zipped(files, root)
}

/// The same files give the same bytes: they come sorted, and entries carry no times. `from`: what a message names.
pub(crate) fn zipped(files: Vec<(String, Vec<u8>)>, from: &Path) -> Result<Package> {
    let unpacked: usize = files.iter().map(|(_, content)| content.len()).sum();
    if unpacked > limit::PACKAGE_UNPACKED_BYTES_MAX {
        let most = limit::PACKAGE_UNPACKED_BYTES_MAX;
        bail!("{}: the files have {unpacked} bytes together, of at most {most}", from.display());
    }
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in &files {
        writer.start_file(name, SimpleFileOptions::default())?;
        writer.write_all(content)?;
    }
    let bytes = writer.finish()?.into_inner();
    if bytes.len() > limit::PACKAGE_BYTES_MAX {
        bail!("{} packs to {} bytes, of at most {}", from.display(), bytes.len(), limit::PACKAGE_BYTES_MAX);
    }
    Ok(Package { content_type: "application/zip", bytes: bytes.into(), files: files.len() })
}

fn collect(root: &Path, ignore: &Ignore, below: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let relative = below.join(entry.file_name());
        let kind = entry.file_type()?;
        let path = relative.to_str().with_context(|| format!("{} is not UTF-8", relative.display()))?;
        if path != LAYER_MANIFEST && ignore.leaves_out(path, kind.is_dir()) {
            continue;
        }
        if kind.is_symlink() {
            bail!("{path} is a link; a package holds plain files only");
        } else if kind.is_dir() {
            collect(root, ignore, &relative, found)?;
        } else {
            found.push(relative);
        }
        if found.len() > limit::PACKAGE_FILES_MAX {
            bail!("{} holds more than {} files", root.display(), limit::PACKAGE_FILES_MAX);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_packs_to_the_same_bytes_whatever_its_times() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lib")).unwrap();
        std::fs::write(folder.path().join("index.mjs"), "export const handler = () => 1").unwrap();
        std::fs::write(folder.path().join("lib/a.mjs"), "export const a = 1").unwrap();
        let first = package(folder.path()).unwrap();
        std::fs::write(folder.path().join("lib/a.mjs"), "export const a = 1").unwrap();
        assert_eq!(first.bytes, package(folder.path()).unwrap().bytes);
        assert_eq!(first.files, 2);
        std::fs::write(folder.path().join("sublet.json"), "{\"wrapper\": \"index.wrap\"}").unwrap();
        std::fs::write(folder.path().join(".env"), "KEY=1").unwrap();
        assert_eq!(package(folder.path()).unwrap().files, 3, "a layer says there that it is a wrapper");
    }

    #[test]
    fn a_link_in_a_folder_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("passwd")).unwrap();
        assert!(package(folder.path()).err().unwrap().to_string().contains("passwd"));
    }
}
