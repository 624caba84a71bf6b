//! Where files come from.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

/// The file of a package that says which folders are links to others: npm's workspaces, and stores of packages.
pub const LINKS_KEY: &str = ".sublet/links.json";

/// A package's files by key.
pub trait Tree {
    fn has_file(&self, key: &str) -> bool;
    fn read(&self, key: &str) -> Option<Bytes>;
    /// What a folder of `node_modules` is a link to.
    fn link(&self, folder: &str) -> Option<String>;
}

/// Files in memory, as they were uploaded.
#[derive(Debug, Default)]
pub struct Package {
    files: HashMap<String, Bytes>,
    links: BTreeMap<String, String>,
}

impl Package {
    pub fn new(files: HashMap<String, Bytes>) -> Package {
        // What is no such list is no list: links are a convenience of our own command line.
        let links = files.get(LINKS_KEY).and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        Package { files, links }
    }

    /// Loadable files in a folder and below, without those of packages in it.
    pub(crate) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        let keys = self.files.keys().map(String::as_str);
        keys.filter(move |key| {
            let rest = if folder.is_empty() {
                (!key.starts_with('/')).then_some(*key)
            } else {
                key.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'))
            };
            rest.is_some_and(|rest| !rest.starts_with("node_modules/") && !rest.contains("/node_modules/"))
        })
    }
}

impl Tree for Package {
    fn has_file(&self, key: &str) -> bool {
        self.files.contains_key(key)
    }

    fn read(&self, key: &str) -> Option<Bytes> {
        self.files.get(key).cloned()
    }

    fn link(&self, folder: &str) -> Option<String> {
        self.links.get(folder).cloned()
    }
}
