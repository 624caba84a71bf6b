//! The code that the demo brings along: three tenants' extensions and the operator's layer, embedded so that a released
//! program needs no checkout, and written out as copies that the user may change.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// (path in the package, text)
type Files = &'static [(&'static str, &'static str)];

pub(super) struct Extension {
    pub(super) tenant: &'static str,
    pub(super) does: &'static str,
    files: Files,
}

/// The function's name, the same for every tenant: the to-do product dispatches to it.
pub(super) const FUNCTION: &str = "enrich";
pub(super) const LAYER: &str = "todo-kit";
const LAYER_FILES: Files = &[("index.js", include_str!("../../../../examples/todo/layers/todo-kit/index.js"))];

pub(super) const ACME: Extension = Extension {
    tenant: "acme",
    does: "finds due dates and tags",
    files: &[
        ("index.mjs", include_str!("../../../../examples/todo/tenants/acme/index.mjs")),
        ("dates.mjs", include_str!("../../../../examples/todo/tenants/acme/dates.mjs")),
    ],
};
pub(super) const GLOBEX: Extension = Extension {
    tenant: "globex",
    does: "scores urgency with a helper from the operator's layer",
    files: &[("index.js", include_str!("../../../../examples/todo/tenants/globex/index.js"))],
};
pub(super) const MALLORY: Extension = Extension {
    tenant: "mallory",
    does: "loops for ever",
    files: &[("index.mjs", include_str!("../../../../examples/todo/tenants/mallory/index.mjs"))],
};
pub(super) const ALL: [&Extension; 3] = [&ACME, &GLOBEX, &MALLORY];

impl Extension {
    /// What `PUT …/functions/enrich` says.
    pub(super) fn config(&self) -> Value {
        let mut config = json!({"timeout": "1s"});
        if self.tenant == GLOBEX.tenant {
            config["layers"] = json!([LAYER]);
        }
        config
    }

    /// Where the user finds the copy to change.
    pub(super) fn folder(&self, data: &Path) -> PathBuf {
        data.join("extensions").join(self.tenant)
    }

    /// Writes what is missing of the copy; what the user changed stays.
    pub(super) fn write_copy(&self, data: &Path) -> Result<PathBuf> {
        write_missing(self.folder(data), self.files)
    }

    /// As they came with the program.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.files.iter().copied()
    }
}

pub(super) fn write_layer(data: &Path) -> Result<PathBuf> {
    write_missing(data.join("layers").join(LAYER), LAYER_FILES)
}

fn write_missing(folder: PathBuf, files: Files) -> Result<PathBuf> {
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in files {
        let file = folder.join(name);
        if !file.exists() {
            std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_the_user_changed_is_not_written_over() {
        let data = tempfile::tempdir().unwrap();
        let folder = ACME.write_copy(data.path()).unwrap();
        std::fs::write(folder.join("index.mjs"), "mine").unwrap();
        std::fs::remove_file(folder.join("dates.mjs")).unwrap();
        ACME.write_copy(data.path()).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("index.mjs")).unwrap(), "mine");
        assert_eq!(std::fs::read_to_string(folder.join("dates.mjs")).unwrap(), ACME.files[1].1);
    }
}
