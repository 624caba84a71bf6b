//! A folder as a tree of files to resolve in: links of `node_modules` are followed as far as they stay in the folder.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytes::Bytes;
use sublet_bundle::Tree;

/// Paths are keys below the root, with `/`.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// The links that were followed.
    links: RefCell<BTreeMap<String, String>>,
    /// The first thing that led out of the root.
    outside: RefCell<Option<String>>,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Result<Folder> {
        let root = root.canonicalize().with_context(|| format!("cannot read {}", root.display()))?;
        Ok(Folder { root, links: RefCell::default(), outside: RefCell::default() })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn links(&self) -> BTreeMap<String, String> {
        self.links.borrow().clone()
    }

    pub(super) fn outside(&self) -> Option<String> {
        self.outside.borrow().clone()
    }

    /// The real path below the root, as a key.
    fn real(&self, key: &str) -> Option<String> {
        let real = self.root.join(key).canonicalize().ok()?;
        match real.strip_prefix(&self.root) {
            Ok(below) => below.to_str().map(str::to_owned),
            Err(_) => {
                self.outside.borrow_mut().get_or_insert_with(|| key.to_owned());
                None
            }
        }
    }
}

impl Tree for Folder {
    fn has_file(&self, key: &str) -> bool {
        !key.starts_with('/') && self.root.join(key).is_file()
    }

    fn read(&self, key: &str) -> Option<Bytes> {
        if !self.has_file(key) {
            return None;
        }
        self.real(key)?;
        std::fs::read(self.root.join(key)).ok().map(Bytes::from)
    }

    fn link(&self, folder: &str) -> Option<String> {
        if let Some(known) = self.links.borrow().get(folder) {
            return Some(known.clone());
        }
        if !self.root.join(folder).is_dir() {
            return None;
        }
        let real = self.real(folder).filter(|real| real != folder)?;
        self.links.borrow_mut().insert(folder.to_owned(), real.clone());
        Some(real)
    }
}
