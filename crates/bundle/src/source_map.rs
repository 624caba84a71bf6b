//! The source map that a file brings: found by its last comment, reduced to what a stack needs. What is broken is left
//! out, and the place stays what the engine says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::manifest::strip_mark;
use crate::path::{directory, join};
use crate::tree::Tree;

/// Bytes of a map as it comes, and of what is kept of it.
const MAP_BYTES_MAX: usize = 16 << 20;
const KEPT_BYTES_MAX: usize = 1 << 20;
/// How the comment begins: the last in the file counts, with nothing but comments behind it; an inline map is in it.
const COMMENT: &str = "//# sourceMappingURL=";

/// What is kept: the files' names as keys of the package, and the mappings as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceMap {
    pub sources: Vec<String>,
    pub mappings: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    version: u32,
    #[serde(default)]
    source_root: Option<String>,
    sources: Vec<Option<String>>,
    mappings: String,
}

impl SourceMap {
    /// The map of the file `key`, if it names one.
    pub fn of<T: Tree>(key: &str, text: &str, tree: &T) -> Option<SourceMap> {
        let at = text.rfind(COMMENT)?;
        let (url, rest) = text[at + COMMENT.len()..].split_once('\n').unwrap_or((&text[at + COMMENT.len()..], ""));
        if rest.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")) {
            return None;
        }
        let url = url.trim();
        let (folder, bytes) = match url.strip_prefix("data:") {
            Some(data) => (directory(key).to_owned(), inline(data)?),
            None if url.contains(':') => return None,
            None => {
                let file = join(directory(key), url);
                (directory(&file).to_owned(), tree.read(&file)?.to_vec())
            }
        };
        if bytes.len() > MAP_BYTES_MAX {
            return None;
        }
        let written: Written = serde_json::from_slice(strip_mark(&bytes)).ok()?;
        if written.version != 3 {
            return None;
        }
        let root = written.source_root.unwrap_or_default();
        let sources: Vec<String> =
            written.sources.iter().map(|source| named(&folder, &root, source.as_deref())).collect();
        Some(SourceMap { sources, mappings: written.mappings }).filter(|map| map.bytes() <= KEPT_BYTES_MAX)
    }

    /// About what it takes in an image.
    pub fn bytes(&self) -> usize {
        self.sources.iter().map(String::len).sum::<usize>() + self.mappings.len()
    }
}

fn inline(data: &str) -> Option<Vec<u8>> {
    let (kind, body) = data.split_once(',')?;
    if data.len() > MAP_BYTES_MAX || !kind.starts_with("application/json") || !kind.ends_with(";base64") {
        return None;
    }
    STANDARD.decode(body).ok()
}

/// `webpack://app/./src/a.ts` is called `app/src/a.ts`; control characters have no place in a stack.
fn named(folder: &str, root: &str, source: Option<&str>) -> String {
    let Some(source) = source else { return String::new() };
    let whole = if root.is_empty() { source.to_owned() } else { format!("{}/{source}", root.trim_end_matches('/')) };
    let name = match whole.split_once("://") {
        Some((_, path)) => join("", path.trim_start_matches('/')),
        None => join(folder, &whole),
    };
    name.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::Package;

    #[test]
    fn a_map_is_found_inline_and_beside_and_a_broken_one_is_none() {
        let map =
            r#"{"version":3,"sources":["../src/a.ts","webpack://app/./b.ts",null],"mappings":"AAAA","names":["x"]}"#;
        let files = HashMap::from([("dist/a.js.map".to_owned(), map.into()), ("dist/bad.map".to_owned(), "{".into())]);
        let tree = Package::new(files);
        let of = |text: &str| SourceMap::of("dist/a.js", text, &tree);
        let expected =
            SourceMap { sources: vec!["src/a.ts".into(), "app/b.ts".into(), String::new()], mappings: "AAAA".into() };
        assert_eq!(of("x;\n//# sourceMappingURL=a.js.map\n"), Some(expected.clone()));
        let inline =
            format!("x;\n//# sourceMappingURL=data:application/json;charset=utf-8;base64,{}", STANDARD.encode(map));
        assert_eq!(of(&inline), Some(expected));
        for text in [
            "x;",
            "//# sourceMappingURL=bad.map",
            "//# sourceMappingURL=gone.map",
            "//# sourceMappingURL=https://x.example/a.map",
            "//# sourceMappingURL=a.js.map\nmore();",
            "//# sourceMappingURL=data:application/json;base64,%%%",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
