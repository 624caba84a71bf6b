//! Opens an uploaded archive without believing it: names, kinds and sizes are checked entry by entry, and what is
//! unpacked is counted, not what the archive declares. Nothing is ever written to a file system.

use std::collections::HashSet;
use std::io::{Cursor, Read};

use bytes::Bytes;
use sublet_model::limit::{PACKAGE_BYTES_MAX, PACKAGE_FILES_MAX, PACKAGE_UNPACKED_BYTES_MAX};
use sublet_sandbox::SourceFile;

/// Bytes of an entry's path.
const PATH_BYTES_MAX: usize = 512;
/// The type bits of a Unix mode.
const MODE_TYPE: u32 = 0o170_000;
const MODE_FILE: u32 = 0o100_000;
const MODE_FOLDER: u32 = 0o040_000;

/// Why an archive was refused. Each says which entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    #[error("could not unzip the uploaded file: {0}")]
    NotAnArchive(String),
    #[error("the archive has no files")]
    Empty,
    #[error("the package has more than {} bytes", PACKAGE_BYTES_MAX)]
    TooLong,
    #[error("entry `{0}`: the archive unpacks to more than {max} bytes", max = PACKAGE_UNPACKED_BYTES_MAX)]
    TooLongUnpacked(String),
    #[error("the archive has more than {} entries", PACKAGE_FILES_MAX)]
    TooMany,
    #[error("it is no WebAssembly module")]
    NotAModule,
    #[error("the archive holds no .wasm file")]
    NoModule,
    #[error("the archive holds several .wasm files, and the handler `{0}` names none of them")]
    WhichModule(String),
    #[error("entry `{name}`: {why}")]
    Entry { name: String, why: &'static str },
}

/// The files of a zip, checked.
pub fn open_zip(package: &Bytes) -> Result<Vec<SourceFile>, PackageError> {
    if package.len() > PACKAGE_BYTES_MAX {
        return Err(PackageError::TooLong);
    }
    let listed = central_names(package)?;
    let broken = |error: zip::result::ZipError| PackageError::NotAnArchive(error.to_string());
    let mut archive = zip::ZipArchive::new(Cursor::new(package.clone())).map_err(broken)?;
    if archive.len() > PACKAGE_FILES_MAX {
        return Err(PackageError::TooMany);
    }
    // The reader keeps one of several entries with one name, so the directory was read by hand as well.
    if archive.len() != listed {
        return Err(PackageError::NotAnArchive("its directory does not agree with itself".to_owned()));
    }
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let mut room = PACKAGE_UNPACKED_BYTES_MAX;
    for index in 0..archive.len() {
        let (name, is_folder) = {
            let entry = archive.by_index_raw(index).map_err(broken)?;
            let name = entry.name().map_err(broken)?.into_owned();
            check_kind(&name, entry.encrypted(), entry.unix_mode())?;
            let is_folder = entry.is_dir();
            (name, is_folder)
        };
        let path = checked_path(&name)?;
        if is_folder {
            continue;
        }
        if !seen.insert(path.clone()) {
            return Err(refused(&name, "is there twice"));
        }
        let content = {
            let entry = archive
                .by_index(index)
                .map_err(|error| PackageError::NotAnArchive(format!("entry `{}`: {error}", shown(&name))))?;
            let mut content = Vec::new();
            let most = room as u64 + 1;
            entry
                .take(most)
                .read_to_end(&mut content)
                .map_err(|error| PackageError::NotAnArchive(format!("entry `{}`: {error}", shown(&name))))?;
            content
        };
        if content.len() > room {
            return Err(PackageError::TooLongUnpacked(shown(&name)));
        }
        room -= content.len();
        files.push(SourceFile { path, content: content.into() });
    }
    if files.is_empty() {
        return Err(PackageError::Empty);
    }
    Ok(files)
}

/// One uploaded file as a package: named after the handler's module, as a module if it reads like one.
pub(crate) fn single_file(source: &Bytes, module: &str) -> Result<Vec<SourceFile>, PackageError> {
    if source.len() > PACKAGE_BYTES_MAX {
        return Err(PackageError::TooLong);
    }
    let text = String::from_utf8_lossy(source);
    let is_module = text.lines().map(str::trim_start).any(|line| {
        ["export ", "export{", "export*", "import ", "import{", "import\"", "import'"]
            .iter()
            .any(|start| line.starts_with(start))
    });
    let ending = if is_module { "mjs" } else { "js" };
    let path = checked_path(&format!("{module}.{ending}"))?;
    Ok(vec![SourceFile { path, content: source.clone() }])
}

fn shown(name: &str) -> String {
    name.chars().take(100).flat_map(char::escape_default).collect()
}

fn refused(name: &str, why: &'static str) -> PackageError {
    PackageError::Entry { name: shown(name), why }
}

fn check_kind(name: &str, is_encrypted: bool, mode: Option<u32>) -> Result<(), PackageError> {
    if is_encrypted {
        return Err(refused(name, "is encrypted"));
    }
    match mode.map_or(0, |bits| bits & MODE_TYPE) {
        0 | MODE_FILE | MODE_FOLDER => Ok(()),
        0o120_000 => Err(refused(name, "is a link")),
        _ => Err(refused(name, "is neither a file nor a folder")),
    }
}

/// The path with `/`, relative, inside the package; `./` is dropped.
fn checked_path(name: &str) -> Result<String, PackageError> {
    if name.len() > PATH_BYTES_MAX {
        return Err(refused(name, "has too long a name"));
    }
    if name.contains('\0') || name.chars().any(char::is_control) {
        return Err(refused(name, "has a control character in its name"));
    }
    if name.contains('\\') {
        return Err(refused(name, "has a backslash in its name"));
    }
    if name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') {
        return Err(refused(name, "has an absolute path"));
    }
    let mut parts = Vec::new();
    for part in name.trim_end_matches('/').split('/') {
        match part {
            ".." => return Err(refused(name, "leads out of the package")),
            "" => return Err(refused(name, "has an empty part in its path")),
            "." => {}
            _ => parts.push(part),
        }
    }
    if parts.first().is_some_and(|first| first.starts_with("sublet:") || first.starts_with("node:")) {
        return Err(refused(name, "has a name that is kept for the runtime's own modules"));
    }
    if parts.is_empty() && !name.ends_with('/') {
        return Err(refused(name, "has no name"));
    }
    Ok(parts.join("/"))
}

const END_SIGNATURE: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const ENTRY_SIGNATURE: &[u8] = b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;

/// Reads the central directory for what the archive reader hides: names that are there twice. Answers how many entries
/// there are.
fn central_names(package: &[u8]) -> Result<usize, PackageError> {
    let broken = |why: &str| PackageError::NotAnArchive(why.to_owned());
    let tail = package.len().saturating_sub(END_BYTES + usize::from(u16::MAX));
    let end = (tail..=package.len().saturating_sub(END_BYTES))
        .rev()
        .find(|at| package[*at..].starts_with(END_SIGNATURE))
        .ok_or_else(|| broken("it has no directory at its end"))?;
    let count = usize::from(number16(package, end + 10).unwrap_or(0));
    let length = number32(package, end + 12).unwrap_or(0);
    if count > PACKAGE_FILES_MAX {
        return Err(PackageError::TooMany);
    }
    // Reckoned back from the end, so that what stands before the archive does not matter.
    let mut at = end.checked_sub(length).ok_or_else(|| broken("its directory is longer than the file"))?;
    let mut names = HashSet::new();
    for _ in 0..count {
        let header = package.get(at..at + ENTRY_BYTES).filter(|header| header.starts_with(ENTRY_SIGNATURE));
        if header.is_none() || at + ENTRY_BYTES > end {
            return Err(broken("its directory is broken"));
        }
        let lengths = [28, 30, 32].map(|offset| usize::from(number16(package, at + offset).unwrap_or(0)));
        let name = package.get(at + ENTRY_BYTES..at + ENTRY_BYTES + lengths[0]).unwrap_or_default();
        if !names.insert(name) {
            return Err(refused(&String::from_utf8_lossy(name), "is there twice"));
        }
        at += ENTRY_BYTES + lengths.iter().sum::<usize>();
    }
    Ok(count)
}

fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn number32(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
}
