//! From a folder to the files that its function needs: the folder's own, without what `.subletignore` names, and of
//! `node_modules` what is reachable from the handler.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sublet_bundle::{Graph, LINKS_KEY, LOADABLE, Resolver, STACK_BYTES, is_of_use};
use sublet_model::limit;

use super::ignore::Ignore;
use super::tree::Folder;
use super::workspace;

#[derive(Debug)]
pub(crate) struct Gathered {
    /// Path in the package, and the bytes; sorted.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// The handler as the package has it: with the folder's path before it when the package is a whole workspace.
    pub(crate) handler: String,
    /// How many of the files are others' packages.
    pub(crate) from_packages: usize,
}

/// `handler`: `file.export`, below `folder`.
pub(crate) fn gather(folder: &Path, handler: &str) -> Result<Gathered> {
    let (folder, handler) = (folder.to_owned(), handler.to_owned());
    // Reading code recurses as deep as the code nests.
    let reader = std::thread::Builder::new().stack_size(STACK_BYTES);
    let gathering = reader.spawn(move || gather_here(&folder, &handler)).context("cannot start a thread")?;
    match gathering.join() {
        Ok(gathered) => gathered,
        Err(_) => bail!("reading the folder's code failed"),
    }
}

fn gather_here(folder: &Path, handler: &str) -> Result<Gathered> {
    let folder = folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
    let resolver = Resolver::new(Folder::new(&workspace::root_of(&folder))?, Vec::new());
    let root = resolver.tree().root().to_owned();
    let prefix =
        folder.strip_prefix(&root).unwrap_or(Path::new("")).to_str().context("the path is not UTF-8")?.to_owned();
    let own = own_files(&folder, &prefix)?;
    let (module, export) = handler.rsplit_once('.').context("the handler must be of the form file.export")?;
    // A function that was deployed from its workspace has the folder's path in its handler.
    let module = [module, inside_or_all(module, &prefix)]
        .into_iter()
        .find(|module| resolver.handler(&under(&prefix, module)).is_some())
        .unwrap_or(module);
    let entry = resolver.handler(&under(&prefix, module)).with_context(|| {
        let endings = LOADABLE.iter().filter(|ending| **ending != ".json").copied().collect::<Vec<_>>().join(", ");
        format!("the handler's file `{module}` ({endings}) is not in {}", folder.display())
    })?;
    let graph = Graph::from(&resolver, &entry);

    let mut keys: BTreeSet<String> = own.clone();
    for key in &graph.files {
        if is_own(key, &prefix) && !own.contains(key) {
            bail!("{key} is imported, but .subletignore leaves it out");
        }
        keys.insert(key.clone());
    }
    for package in graph.computed.iter().filter(|package| !is_own(&under(package, "package.json"), &prefix)) {
        loadable_below(&root, package, &mut keys)?;
    }
    let manifests = resolver.manifests();
    keys.extend(manifests.into_iter().filter(|key| is_of_one(key, &graph.files) || is_own(key, &prefix)));
    if let Some(key) = resolver.tree().outside() {
        bail!("{key} is a link that leads out of {}; a package holds only what is in there", root.display());
    }
    let links = resolver.tree().links();
    let is_workspace = keys.iter().any(|key| !below(key, &prefix));
    let kept = if is_workspace { "" } else { prefix.as_str() };
    if keys.len() > limit::PACKAGE_FILES_MAX {
        bail!("{} needs {} files, of at most {}", folder.display(), keys.len(), limit::PACKAGE_FILES_MAX);
    }
    let mut files = Vec::with_capacity(keys.len() + 1);
    for key in &keys {
        let content = std::fs::read(root.join(key)).with_context(|| format!("cannot read {key}"))?;
        files.push((inside(key, kept), content));
    }
    if !links.is_empty() {
        let links = links.iter().map(|(from, to)| (inside(from, kept), inside(to, kept).into())).collect();
        files.push((LINKS_KEY.to_owned(), serde_json::to_vec(&serde_json::Value::Object(links))?));
        files.sort();
    }
    let from_packages = keys.iter().filter(|key| !is_own(key, &prefix)).count();
    let handler = format!("{module}.{export}");
    let handler = if is_workspace { under(&prefix, &handler) } else { handler };
    Ok(Gathered { files, handler, from_packages })
}

/// The folder's files without packages and without what is left out, as keys.
fn own_files(folder: &Path, prefix: &str) -> Result<BTreeSet<String>> {
    let ignore = Ignore::of(folder)?;
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let here = folder.join(&below);
        for entry in std::fs::read_dir(&here).with_context(|| format!("cannot read {}", here.display()))? {
            let entry = entry?;
            let relative = below.join(entry.file_name());
            let path = relative.to_str().with_context(|| format!("{} is not UTF-8", relative.display()))?;
            let kind = entry.file_type()?;
            if entry.file_name() == "node_modules" || ignore.leaves_out(path, kind.is_dir()) {
                continue;
            }
            if kind.is_symlink() {
                bail!("{path} is a link; a package holds plain files only");
            } else if kind.is_dir() {
                open.push(relative);
            } else {
                found.insert(under(prefix, path));
            }
            if found.len() > limit::PACKAGE_FILES_MAX {
                bail!("{} holds more than {} files", folder.display(), limit::PACKAGE_FILES_MAX);
            }
        }
    }
    Ok(found)
}

/// What of a package may be loaded, for one that computes what it imports.
fn loadable_below(root: &Path, package: &str, keys: &mut BTreeSet<String>) -> Result<()> {
    let mut open = vec![package.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else { continue };
        for entry in entries {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let kind = entry.file_type()?;
            let is_code = is_of_use(&name) && !name.ends_with(".map");
            if kind.is_dir() && name != "node_modules" {
                open.push(under(&folder, &name));
            } else if kind.is_file() && is_code {
                keys.insert(under(&folder, &name));
            }
        }
    }
    Ok(())
}

fn under(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

fn below(key: &str, folder: &str) -> bool {
    folder.is_empty() || key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn inside(key: &str, folder: &str) -> String {
    if folder.is_empty() { key.to_owned() } else { key[folder.len()..].trim_start_matches('/').to_owned() }
}

fn inside_or_all<'k>(key: &'k str, folder: &str) -> &'k str {
    key.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key)
}

/// Whether it is the function's own file and no package's.
fn is_own(key: &str, prefix: &str) -> bool {
    below(key, prefix) && !key.starts_with("node_modules/") && !key.contains("/node_modules/")
}

/// Whether the manifest is of a package with a file among these.
fn is_of_one(manifest: &str, files: &BTreeSet<String>) -> bool {
    let Some(folder) = manifest.strip_suffix("package.json") else { return false };
    files.range(folder.to_owned()..).next().is_some_and(|key| key.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn paths(gathered: &Gathered) -> Vec<&str> {
        gathered.files.iter().map(|(path, _)| path.as_str()).collect()
    }

    #[test]
    fn of_packages_only_what_is_reachable_goes_up() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            &[
                ("src/index.mjs", "import { a } from 'used';\nexport const handler = () => a;\n"),
                ("src/notes.txt", "mine"),
                (".env", "SECRET=1"),
                ("drafts/x.js", ""),
                (".subletignore", "drafts/\n"),
                ("package.json", "{}"),
                ("node_modules/used/package.json", r#"{"exports": "./a.js", "type": "module"}"#),
                ("node_modules/used/a.js", "export * from './b.js';"),
                ("node_modules/used/b.js", "export const a = 1;"),
                ("node_modules/used/README.md", "long"),
                ("node_modules/used/c.js", ""),
                ("node_modules/unused/index.js", ""),
            ],
        );
        let gathered = gather(folder.path(), "src/index.handler").unwrap();
        let expected = [
            "node_modules/used/a.js",
            "node_modules/used/b.js",
            "node_modules/used/package.json",
            "package.json",
            "src/index.mjs",
            "src/notes.txt",
        ];
        assert_eq!(paths(&gathered), expected);
        assert_eq!((gathered.from_packages, gathered.handler.as_str()), (3, "src/index.handler"));
        let said = gather(folder.path(), "src/main.handler").unwrap_err().to_string();
        assert!(said.contains("`src/main`"), "{said}");
    }

    #[test]
    fn a_workspaces_members_come_along_by_their_links_and_nothing_from_outside_does() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("repo");
        write(
            &root,
            &[
                ("package.json", r#"{"workspaces": ["apps/*", "packages/*"]}"#),
                ("apps/fn/package.json", "{}"),
                ("apps/fn/index.mjs", "import '@acme/util';\nimport 'left';\nexport const handler = () => 1;\n"),
                ("packages/util/package.json", r#"{"name": "@acme/util", "main": "index.js"}"#),
                ("packages/util/index.js", ""),
                ("packages/other/index.js", ""),
                ("node_modules/left/index.js", ""),
            ],
        );
        std::fs::create_dir_all(root.join("node_modules/@acme")).unwrap();
        let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, root.join(from)).unwrap();
        link("../../packages/util", "node_modules/@acme/util");
        let gathered = gather(&root.join("apps/fn"), "index.handler").unwrap();
        assert_eq!(gathered.handler, "apps/fn/index.handler");
        assert_eq!(gather(&root.join("apps/fn"), &gathered.handler).unwrap().handler, gathered.handler);
        let expected = [
            LINKS_KEY,
            "apps/fn/index.mjs",
            "apps/fn/package.json",
            "node_modules/left/index.js",
            "packages/util/index.js",
            "packages/util/package.json",
        ];
        assert_eq!(paths(&gathered), expected);

        write(home.path(), &[("elsewhere/index.js", "")]);
        std::fs::remove_dir_all(root.join("node_modules/left")).unwrap();
        link("../../elsewhere", "node_modules/left");
        let said = gather(&root.join("apps/fn"), "index.handler").unwrap_err().to_string();
        assert!(said.contains("node_modules/left") && said.contains("leads out"), "{said}");
    }

    #[test]
    fn a_link_among_the_folders_own_files_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("index.js", "exports.handler = () => 1;")]);
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("passwd")).unwrap();
        assert!(gather(folder.path(), "index.handler").unwrap_err().to_string().contains("passwd"));
    }
}
