//! The first operator's key, where the environment names one: itself, or the file it is in.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

const VARIABLE: &str = "SUBLET_OPERATOR_KEY";
const FILE_VARIABLE: &str = "SUBLET_OPERATOR_KEY_FILE";
/// Bytes of the file, far more than a key.
const FILE_BYTES_MAX: u64 = 4_096;

/// Errors: both are given, or the file cannot be read.
pub(crate) fn given() -> Result<Option<String>> {
    read(std::env::var(VARIABLE).ok(), std::env::var_os(FILE_VARIABLE).map(PathBuf::from))
}

fn read(key: Option<String>, file: Option<PathBuf>) -> Result<Option<String>> {
    match (key, file) {
        (Some(_), Some(_)) => bail!("{VARIABLE} and {FILE_VARIABLE} are both set; give one"),
        (key, None) => Ok(key),
        (None, Some(file)) => {
            let unreadable = || format!("{FILE_VARIABLE}: cannot read {}", file.display());
            if std::fs::metadata(&file).with_context(unreadable)?.len() > FILE_BYTES_MAX {
                bail!("{FILE_VARIABLE}: {} is too long to hold a key", file.display());
            }
            let text = std::fs::read_to_string(&file).with_context(unreadable)?;
            // Editors and secret stores end files with a line break.
            Ok(Some(text.trim().to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_taken_from_the_variable_or_from_the_file_and_never_from_both() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "slo_from-a-file-0123456789\n").unwrap();
        let key = || Some("slo_itself".to_owned());
        assert_eq!(read(None, None).unwrap(), None);
        assert_eq!(read(key(), None).unwrap(), key());
        assert_eq!(read(None, Some(file.clone())).unwrap().as_deref(), Some("slo_from-a-file-0123456789"));
        assert!(read(key(), Some(file)).unwrap_err().to_string().contains("both"));
        let missing = format!("{:#}", read(None, Some(folder.path().join("none"))).unwrap_err());
        assert!(missing.contains(FILE_VARIABLE) && missing.contains("none"), "{missing}");
        std::fs::write(folder.path().join("long"), vec![b'x'; 5_000]).unwrap();
        assert!(read(None, Some(folder.path().join("long"))).unwrap_err().to_string().contains("too long"));
    }
}
