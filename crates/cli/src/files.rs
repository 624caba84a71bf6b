//! From what a developer has on disk to what is uploaded: one file as it is, a .zip as it is, a folder as a .zip.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use sublet_model::limit;
use zip::write::SimpleFileOptions;

/// What is never uploaded.
const LEFT_OUT: &[&str] = &[".git", ".DS_Store", "target", ".sublet"];

pub(crate) struct Package {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) files: usize,
}

pub(crate) fn package(path: &Path) -> Result<Package> {
    let about = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if about.is_dir() {
        return folder(path);
    }
    let content_type = match path.extension().and_then(|ending| ending.to_str()) {
        Some("js" | "mjs" | "cjs") => "text/javascript",
        Some("zip") => "application/zip",
        _ => bail!("{} is neither a folder nor a .js, .mjs, .cjs or .zip file", path.display()),
    };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Package { content_type, bytes: bytes.into(), files: 1 })
}

/// The same folder gives the same bytes: entries are sorted and carry no times.
fn folder(root: &Path) -> Result<Package> {
    let mut found = Vec::new();
    collect(root, Path::new(""), &mut found)?;
    found.sort();
    if found.is_empty() {
        bail!("{} holds no files", root.display());
    }
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for relative in &found {
        let name = relative.to_str().with_context(|| format!("{} is not UTF-8", relative.display()))?;
        writer.start_file(name.replace('\\', "/"), SimpleFileOptions::default())?;
        let content = std::fs::read(root.join(relative)).with_context(|| format!("cannot read {name}"))?;
        writer.write_all(&content)?;
    }
    let bytes = writer.finish()?.into_inner();
    if bytes.len() > limit::PACKAGE_BYTES_MAX {
        bail!("{} packs to {} bytes, of at most {}", root.display(), bytes.len(), limit::PACKAGE_BYTES_MAX);
    }
    Ok(Package { content_type: "application/zip", bytes: bytes.into(), files: found.len() })
}

fn collect(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let relative = below.join(&name);
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            bail!("{} is a link; a package holds plain files only", relative.display());
        } else if kind.is_dir() {
            collect(root, &relative, found)?;
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
    }

    #[test]
    fn a_link_in_a_folder_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("passwd")).unwrap();
        assert!(package(folder.path()).err().unwrap().to_string().contains("passwd"));
    }
}
