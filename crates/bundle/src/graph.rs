//! What is reachable from a module, by names that are written out.

use std::collections::{BTreeMap, BTreeSet};

use crate::module::{Module, ModuleKind, module};
use crate::resolve::{Resolver, is_of_use};
use crate::scan::How;
use crate::source_map::SourceMap;
use crate::tree::{Package, Tree};

/// Files that a computed name may mean, in one package.
const COMPUTED_FILES_MAX: usize = 2_000;

/// The reachable files of a tree, and what reaching them depended on.
#[derive(Debug, Default)]
pub struct Graph {
    pub files: BTreeSet<String>,
    /// Folders of packages with a file that computes what it imports: any of their files may be meant.
    pub computed: BTreeSet<String>,
}

impl Graph {
    /// From `entry` on. A file that cannot be read as a module is part of it, but leads nowhere; what cannot be found is
    /// left out: who loads the package will say so.
    pub fn from<T: Tree>(resolver: &Resolver<T>, entry: &str) -> Graph {
        let mut graph = Graph::default();
        let mut open = vec![entry.to_owned()];
        while let Some(key) = open.pop() {
            if !graph.files.insert(key.clone()) {
                continue;
            }
            let Some(bytes) = resolver.tree().read(&key) else { continue };
            let Ok(module) = module(&key, &bytes, resolver.package_type(&key)) else { continue };
            if module.is_computed {
                graph.computed.insert(resolver.package_folder(&key));
            }
            for request in &module.requests {
                if let Ok(found) = resolver.resolve(&key, &request.specifier, request.how.importer()) {
                    open.push(found);
                }
            }
        }
        graph
    }
}

/// What a package's code may ask for only when its handler runs, beside what it has already got.
#[derive(Debug, Default)]
pub struct Late {
    /// Files that were not yet loaded, by key.
    pub modules: BTreeMap<String, (Module, Option<SourceMap>)>,
    /// Per importing file: whether by `import`, the specifier, the key it leads to.
    pub links: BTreeMap<String, Vec<(bool, String, String)>>,
}

/// From the modules that were loaded (`loaded`: which of their requests are late) on.
pub fn late(resolver: &Resolver<Package>, loaded: &BTreeMap<String, Module>, bytes_max: usize) -> Late {
    let mut late = Late::default();
    let mut open: Vec<String> = Vec::new();
    let mut computed = BTreeSet::new();
    let mut room = bytes_max;
    for (key, module) in loaded {
        follow(resolver, key, module, true, &mut late, &mut open);
        if module.is_computed {
            computed.insert(resolver.package_folder(key));
        }
    }
    let mut walked = BTreeSet::new();
    loop {
        while let Some(key) = open.pop() {
            if loaded.contains_key(&key) || late.modules.contains_key(&key) {
                continue;
            }
            let Some(bytes) = resolver.tree().read(&key) else { continue };
            let Some(left) = room.checked_sub(bytes.len()) else { continue };
            // One that cannot be read as a module says so when it is asked for, if ever.
            let Ok(module) = module(&key, &bytes, resolver.package_type(&key)) else { continue };
            room = left;
            follow(resolver, &key, &module, false, &mut late, &mut open);
            if module.is_computed {
                computed.insert(resolver.package_folder(&key));
            }
            let is_code = module.kind != ModuleKind::Json;
            let map = is_code.then(|| SourceMap::of(&key, &module.text, resolver.tree())).flatten();
            // One that does not fit is left out, and the places stay those of the file.
            let map = map.filter(|map| map.bytes() <= room);
            room -= map.as_ref().map_or(0, SourceMap::bytes);
            late.modules.insert(key, (module, map));
        }
        let Some(folder) = computed.iter().find(|folder| !walked.contains(*folder)).cloned() else { return late };
        let keys = resolver.tree().below(&folder).filter(|key| is_of_use(key) && !key.ends_with(".map"));
        let mut keys: Vec<String> = keys.map(str::to_owned).collect();
        keys.sort();
        keys.truncate(COMPUTED_FILES_MAX);
        open.extend(keys);
        walked.insert(folder);
    }
}

fn follow(
    resolver: &Resolver<Package>,
    key: &str,
    module: &Module,
    only_late: bool,
    late: &mut Late,
    open: &mut Vec<String>,
) {
    for request in module.requests.iter().filter(|request| request.is_late || !only_late) {
        if let Ok(found) = resolver.resolve(key, &request.specifier, request.how.importer()) {
            let links = late.links.entry(key.to_owned()).or_default();
            links.push((request.how != How::Require, request.specifier.clone(), found.clone()));
            open.push(found);
        }
    }
}
