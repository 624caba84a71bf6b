//! Which file a specifier means: Node.js's algorithm, and beside it what TypeScript and bundlers have made a habit
//! (endings and `index` may be left out, `./x.js` may mean `./x.ts`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::conditions::{self, Target};
use crate::manifest::{Manifest, PackageType};
use crate::path::{LAYER_ROOT, directory, join, layer_folder};
use crate::tree::Tree;

/// Endings of files that can be modules, in the order in which they are tried for a path without one.
pub const LOADABLE: [&str; 7] = [".js", ".mjs", ".cjs", ".json", ".ts", ".mts", ".cts"];
/// Endings of files that say why they cannot be, and of source maps.
const READ_TOO: [&str; 4] = [".map", ".tsx", ".jsx", ".node"];
/// Declarations only.
const DECLARATIONS: [&str; 3] = [".d.ts", ".d.mts", ".d.cts"];
/// What an ending of JavaScript may stand for while the source is TypeScript.
const TYPESCRIPT: [(&str, &str); 3] = [(".js", ".ts"), (".mjs", ".mts"), (".cjs", ".cts")];

/// Whether loading a package may read a file of that name.
pub fn is_of_use(path: &str) -> bool {
    let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
    (ends(&LOADABLE) && !ends(&DECLARATIONS)) || ends(&READ_TOO)
}

/// Who asks, which decides between the conditions `import` and `require`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Importer {
    Import,
    Require,
}

impl Importer {
    fn conditions(self) -> [&'static str; 3] {
        match self {
            Importer::Import => ["sublet", "import", "node"],
            Importer::Require => ["sublet", "require", "node"],
        }
    }
}

/// Why there is no such file: a message for the package's author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub String);

/// Finds files in a tree. Manifests are read once.
#[derive(Debug)]
pub struct Resolver<T> {
    tree: T,
    layers: Vec<String>,
    /// Of the layers, those whose files are found by their own files alone.
    hidden: Vec<String>,
    manifests: RefCell<HashMap<String, Option<Arc<Manifest>>>>,
}

impl<T: Tree> Resolver<T> {
    /// `layers`: names that specifiers may begin with, before any package of that name.
    pub fn new(tree: T, layers: Vec<String>) -> Resolver<T> {
        Resolver { tree, layers, hidden: Vec::new(), manifests: RefCell::default() }
    }

    /// With layers whose files nobody finds but they themselves.
    pub fn hiding(self, hidden: Vec<String>) -> Resolver<T> {
        Resolver { hidden, ..self }
    }

    pub fn tree(&self) -> &T {
        &self.tree
    }

    /// The key of the handler's module, named without its ending or with it.
    pub fn handler(&self, module: &str) -> Option<String> {
        self.file_or_folder(&join("", module)).filter(|key| !key.ends_with(".json") && !self.is_hidden("", key))
    }

    /// The key of a layer's own module, named without its ending or with it.
    pub fn in_layer(&self, layer: &str, module: &str) -> Option<String> {
        let folder = format!("{LAYER_ROOT}/{layer}");
        let found = self.file_or_folder(&join(&folder, module)).filter(|key| !key.ends_with(".json"));
        found.filter(|key| layer_folder(key) == Some(folder.as_str()))
    }

    /// Whether `key` is a hidden layer's and `base`, which asks for it, is not.
    fn is_hidden(&self, base: &str, key: &str) -> bool {
        let Some(folder) = layer_folder(key) else { return false };
        let name = &folder[LAYER_ROOT.len() + 1..];
        self.hidden.iter().any(|hidden| hidden == name) && layer_folder(base) != Some(folder)
    }

    /// Errors: what to tell the author.
    pub fn resolve(&self, base: &str, specifier: &str, importer: Importer) -> Result<String, Missing> {
        self.find(base, specifier, importer).and_then(|found| match found {
            Some(key) if !self.is_hidden(base, &key) => Ok(key),
            _ if specifier.starts_with("node:") || is_node_builtin(specifier) => {
                let name = specifier.strip_prefix("node:").unwrap_or(specifier);
                Err(Missing(format!("node:{name} is not available in this runtime; see docs/runtime-js.md")))
            }
            _ => Err(Missing(format!("cannot find module '{specifier}'"))),
        })
    }

    /// `type` of the package that a key belongs to.
    pub fn package_type(&self, key: &str) -> Option<PackageType> {
        self.scope(key).and_then(|(_, manifest)| manifest.package_type)
    }

    /// The folder of the package that a key belongs to.
    pub fn package_folder(&self, key: &str) -> String {
        match self.scope(key) {
            Some((folder, _)) => folder,
            None => layer_folder(key).unwrap_or_default().to_owned(),
        }
    }

    /// Keys of the manifests that were read so far.
    pub fn manifests(&self) -> Vec<String> {
        let read = self.manifests.borrow();
        read.iter().filter(|(_, manifest)| manifest.is_some()).map(|(folder, _)| manifest_key(folder)).collect()
    }

    fn find(&self, base: &str, specifier: &str, importer: Importer) -> Result<Option<String>, Missing> {
        if let Some(path) = specifier.strip_prefix("file://") {
            return Ok(self.absolute(path));
        }
        if specifier.starts_with("./") || specifier.starts_with("../") || matches!(specifier, "." | "..") {
            return Ok(self.file_or_folder(&join(directory(base), specifier)));
        }
        if specifier.starts_with('/') {
            return Ok(self.absolute(specifier));
        }
        if specifier.starts_with('#') {
            return self.internal(base, specifier, importer);
        }
        let Some((name, subpath)) = split(specifier) else { return Ok(None) };
        let folder = format!("{LAYER_ROOT}/{name}");
        // A hidden one's name is free for a package of the tenant's.
        if self.layers.iter().any(|layer| layer == name) && !self.is_hidden(base, &format!("{folder}/")) {
            return self.in_package(&folder, name, subpath, importer);
        }
        if let Some((folder, manifest)) = self.scope(base)
            && manifest.name.as_deref() == Some(name)
            && manifest.exports.is_some()
        {
            return self.in_package(&folder, name, subpath, importer);
        }
        // A layer is not to be led into a tenant's files.
        let top = layer_folder(base).unwrap_or_default();
        let mut folder = directory(base);
        loop {
            if folder != "node_modules" && !folder.ends_with("/node_modules") {
                let place = join(folder, &format!("node_modules/{name}"));
                // Links are the tenant's, and a layer does not follow them.
                let linked = if top.is_empty() { self.tree.link(&place) } else { None };
                let real = linked.unwrap_or(place);
                if let Some(found) = self.in_package(&real, name, subpath, importer)? {
                    return Ok(Some(found));
                }
            }
            if folder == top || folder.is_empty() {
                return Ok(None);
            }
            folder = directory(folder);
        }
    }

    fn absolute(&self, path: &str) -> Option<String> {
        let key = join("", path);
        let is_layers = key.starts_with(LAYER_ROOT) && layer_folder(&key).is_some();
        self.file_or_folder(if is_layers { &key } else { key.trim_start_matches('/') })
    }

    /// A package's subpath, `""` for the package itself. `None`: there is no such file, and another folder may have it.
    fn in_package(
        &self,
        folder: &str,
        name: &str,
        subpath: &str,
        importer: Importer,
    ) -> Result<Option<String>, Missing> {
        let Some(manifest) = self.manifest(folder) else { return Ok(self.file_or_folder(&join(folder, subpath))) };
        let Some(exports) = &manifest.exports else { return Ok(self.file_or_folder(&join(folder, subpath))) };
        let wanted = if subpath.is_empty() { ".".to_owned() } else { format!("./{subpath}") };
        for target in conditions::exported(exports, &wanted, &importer.conditions()) {
            if let Target::Path(path) = target
                && let Some(found) = self.file(&join(folder, &path))
            {
                return Ok(Some(found));
            }
        }
        Err(Missing(match subpath {
            "" => format!("the package '{name}' exports nothing that this runtime can load ({folder}/package.json)"),
            _ => format!("the package '{name}' does not export './{subpath}' ({folder}/package.json)"),
        }))
    }

    fn internal(&self, base: &str, name: &str, importer: Importer) -> Result<Option<String>, Missing> {
        let Some((folder, manifest)) = self.scope(base) else { return Ok(None) };
        let Some(imports) = &manifest.imports else { return Ok(None) };
        for target in conditions::internal(imports, name, &importer.conditions()) {
            let found = match target {
                Target::Path(path) => self.file(&join(&folder, &path)),
                // As in Node.js, one does not lead on to another: lists of them would make more ways than can be tried.
                Target::Bare(specifier) if specifier.starts_with('#') => None,
                Target::Bare(specifier) => self.find(&manifest_key(&folder), &specifier, importer)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// As a file, with one of the endings, or as a folder.
    fn file_or_folder(&self, path: &str) -> Option<String> {
        if let Some(found) = self.with_ending(path) {
            return Some(found);
        }
        if let Some(main) = self.manifest(path).and_then(|manifest| manifest.main.clone()) {
            let entry = join(path, &main);
            if let Some(found) = self.with_ending(&entry).or_else(|| self.index(&entry)) {
                return Some(found);
            }
        }
        self.index(path)
    }

    fn index(&self, folder: &str) -> Option<String> {
        self.with_ending(&join(folder, "index"))
    }

    fn with_ending(&self, path: &str) -> Option<String> {
        if path.is_empty() || path == "/" {
            return None;
        }
        if let Some(found) = self.file(path) {
            return Some(found);
        }
        LOADABLE.iter().map(|ending| format!("{path}{ending}")).find(|key| self.tree.has_file(key))
    }

    /// The very file, or the TypeScript that it is made from.
    fn file(&self, path: &str) -> Option<String> {
        if self.tree.has_file(path) {
            return Some(path.to_owned());
        }
        let (stem, ending) = TYPESCRIPT.iter().find_map(|(made, source)| Some((path.strip_suffix(made)?, source)))?;
        Some(format!("{stem}{ending}")).filter(|key| self.tree.has_file(key))
    }

    /// The nearest manifest above a key, with its folder.
    fn scope(&self, key: &str) -> Option<(String, Arc<Manifest>)> {
        let top = layer_folder(key).unwrap_or_default();
        let mut folder = directory(key);
        loop {
            if folder == "node_modules" || folder.ends_with("/node_modules") {
                return None;
            }
            if let Some(manifest) = self.manifest(folder) {
                return Some((folder.to_owned(), manifest));
            }
            if folder == top || folder.is_empty() {
                return None;
            }
            folder = directory(folder);
        }
    }

    fn manifest(&self, folder: &str) -> Option<Arc<Manifest>> {
        if let Some(known) = self.manifests.borrow().get(folder) {
            return known.clone();
        }
        let read = self.tree.read(&manifest_key(folder)).map(|bytes| Arc::new(Manifest::parse(&bytes)));
        self.manifests.borrow_mut().insert(folder.to_owned(), read.clone());
        read
    }
}

fn manifest_key(folder: &str) -> String {
    join(folder, "package.json")
}

/// `@scope/name/sub/path` → (`@scope/name`, `sub/path`).
fn split(specifier: &str) -> Option<(&str, &str)> {
    if specifier.is_empty() || specifier.starts_with('.') || specifier.contains('\\') || specifier.contains(':') {
        return None;
    }
    let scope = if specifier.starts_with('@') { specifier.find('/')? + 1 } else { 0 };
    let end = specifier[scope..].find('/').map_or(specifier.len(), |at| scope + at);
    let (name, rest) = specifier.split_at(end);
    // `buffer/` is how a package says that it means its dependency, not the module of Node.js.
    Some((name, rest.trim_start_matches('/')))
}

/// Modules that come with Node.js, by the part before the first `/`.
const NODE_BUILTINS: [&str; 41] = [
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "worker_threads",
    "zlib",
];

/// Whether Node.js brings a module of that name.
fn is_node_builtin(specifier: &str) -> bool {
    specifier.starts_with("node:") || NODE_BUILTINS.contains(&specifier.split('/').next().unwrap_or(specifier))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Package;

    fn resolver(files: &[(&str, &str)], layers: &[&str]) -> Resolver<Package> {
        let files =
            files.iter().map(|(key, text)| ((*key).to_owned(), Bytes::copy_from_slice(text.as_bytes()))).collect();
        Resolver::new(Package::new(files), layers.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn a_specifier_leads_to_the_file_that_node_would_load() {
        let found = resolver(
            &[
                ("index.ts", ""),
                ("lib/a.ts", ""),
                ("lib/b/index.js", ""),
                ("data.json", ""),
                (
                    "package.json",
                    r##"{"name": "self", "exports": {"./lib/*": "./lib/*.js"}, "imports": {"#a": "./lib/a.js", "#left": "left"}}"##,
                ),
                ("node_modules/left/package.json", r#"{"main": "dist"}"#),
                ("node_modules/left/dist/index.js", ""),
                (
                    "node_modules/@s/p/package.json",
                    r#"{"exports": {".": {"import": "./i.mjs", "require": "./r.cjs"}, "./x": "./x.js"}}"#,
                ),
                ("node_modules/@s/p/i.mjs", ""),
                ("node_modules/@s/p/r.cjs", ""),
                ("node_modules/@s/p/node_modules/left/index.js", ""),
                ("node_modules/deep/lib/x.cjs", ""),
                ("/opt/helper/index.js", ""),
                ("/opt/helper/words.json", ""),
            ],
            &["helper"],
        );
        let cases = [
            ("index.ts", "./lib/a.js", "lib/a.ts"),
            ("index.ts", "./lib/a", "lib/a.ts"),
            ("lib/a.ts", "./b", "lib/b/index.js"),
            ("lib/a.ts", "../data.json", "data.json"),
            ("lib/a.ts", "#a", "lib/a.ts"),
            ("lib/a.ts", "#left", "node_modules/left/dist/index.js"),
            ("index.ts", "self/lib/a", "lib/a.ts"),
            ("lib/b/index.js", "left", "node_modules/left/dist/index.js"),
            ("node_modules/@s/p/i.mjs", "left", "node_modules/@s/p/node_modules/left/index.js"),
            ("index.ts", "@s/p", "node_modules/@s/p/i.mjs"),
            ("index.ts", "deep/lib/x", "node_modules/deep/lib/x.cjs"),
            ("index.ts", "helper", "/opt/helper/index.js"),
            ("index.ts", "helper/words.json", "/opt/helper/words.json"),
            ("/opt/helper/index.js", "./words.json", "/opt/helper/words.json"),
            ("index.ts", "file:///lib/a.ts", "lib/a.ts"),
        ];
        for (base, specifier, key) in cases {
            assert_eq!(found.resolve(base, specifier, Importer::Import).as_deref(), Ok(key), "{specifier} from {base}");
        }
        assert_eq!(found.resolve("index.ts", "@s/p", Importer::Require).as_deref(), Ok("node_modules/@s/p/r.cjs"));
    }

    #[test]
    fn what_is_missing_is_told_by_its_name_and_nothing_outside_is_reached() {
        let found = resolver(
            &[
                ("secret.js", ""),
                ("node_modules/p/package.json", r#"{"exports": {".": "./gone.js", "./a": "./../../secret.js"}}"#),
                ("node_modules/t/index.js", ""),
                ("/opt/helper/index.js", ""),
                ("/opt/other/index.js", ""),
            ],
            &["helper", "other"],
        );
        let missing = |base: &str, specifier: &str| found.resolve(base, specifier, Importer::Import).unwrap_err().0;
        assert_eq!(missing("a.js", "./gone"), "cannot find module './gone'");
        assert_eq!(missing("a.js", "node:fs"), "node:fs is not available in this runtime; see docs/runtime-js.md");
        let told = "node:fs/promises is not available in this runtime; see docs/runtime-js.md";
        assert_eq!(missing("a.js", "fs/promises"), told);
        assert!(missing("a.js", "p").contains("the package 'p' exports nothing"));
        assert!(missing("a.js", "p/a").contains("does not export './a'"));
        assert!(missing("a.js", "p/b").contains("does not export './b'"));
        assert_eq!(missing("/opt/helper/index.js", "t"), "cannot find module 't'");
        assert_eq!(
            missing("/opt/helper/index.js", "../../../../secret.js"),
            "cannot find module '../../../../secret.js'"
        );
        assert_eq!(missing("a.js", ""), "cannot find module ''");
        assert!(found.resolve("/opt/helper/index.js", "other", Importer::Import).is_ok());
        let found = found.hiding(vec!["helper".to_owned()]);
        for (base, specifier) in [
            ("index.ts", "helper"),
            ("index.ts", "/opt/helper/index.js"),
            ("index.ts", "file:///opt/helper/index.js"),
            ("/opt/other/index.js", "../helper/index.js"),
            ("/opt/other/index.js", "helper"),
        ] {
            assert!(found.resolve(base, specifier, Importer::Import).is_err(), "{base} {specifier}");
        }
        assert!(found.resolve("/opt/helper/index.js", "helper", Importer::Import).is_ok());
        assert_eq!(found.handler("/opt/helper/index"), None);
        assert_eq!(found.in_layer("helper", "index").as_deref(), Some("/opt/helper/index.js"));
        assert_eq!(found.in_layer("helper", "../other/index"), None);
    }

    #[test]
    fn an_import_of_the_package_does_not_lead_on_to_another() {
        let again = [r##""#a""##; 64].join(",");
        let rest = r##""#b": "#c", "#c": "./c.js", "#d": ["#c", "./c.js"]"##;
        let manifest = format!(r##"{{"imports": {{"#a": [{again}], {rest}}}}}"##);
        let found = resolver(&[("c.js", ""), ("package.json", manifest.as_str())], &[]);
        for specifier in ["#a", "#b"] {
            let missing = found.resolve("a.js", specifier, Importer::Import).unwrap_err();
            assert_eq!(missing.0, format!("cannot find module '{specifier}'"));
        }
        for specifier in ["#c", "#d"] {
            assert_eq!(found.resolve("a.js", specifier, Importer::Import).as_deref(), Ok("c.js"));
        }
    }

    #[test]
    fn a_link_is_followed_to_what_it_stands_for() {
        let found = resolver(
            &[
                (crate::LINKS_KEY, r#"{"node_modules/@acme/util": "packages/util"}"#),
                ("packages/util/package.json", r#"{"name": "@acme/util", "main": "src/index.ts"}"#),
                ("packages/util/src/index.ts", ""),
                ("packages/util/node_modules/dep/index.js", ""),
            ],
            &[],
        );
        let key = found.resolve("apps/fn/index.ts", "@acme/util", Importer::Import).unwrap();
        assert_eq!(key, "packages/util/src/index.ts");
        assert_eq!(found.resolve(&key, "dep", Importer::Import).unwrap(), "packages/util/node_modules/dep/index.js");
    }
}
