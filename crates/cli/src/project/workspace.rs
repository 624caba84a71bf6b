//! npm's workspaces: a function's folder may be one package of several, whose dependencies lie beside the root.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ignore::matches;

/// The root of the workspace that `folder` is a member of; the folder itself if it is of none.
pub(super) fn root_of(folder: &Path) -> PathBuf {
    folder.ancestors().skip(1).find(|above| has_member(above, folder)).unwrap_or(folder).to_owned()
}

fn has_member(above: &Path, folder: &Path) -> bool {
    let Some(below) = folder.strip_prefix(above).ok().and_then(Path::to_str) else { return false };
    let patterns = patterns_of(above);
    patterns.iter().any(|pattern| {
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        matches(pattern.as_bytes(), below.as_bytes())
    })
}

/// `workspaces` of its package.json: a list, or an object with one.
fn patterns_of(folder: &Path) -> Vec<String> {
    let Ok(bytes) = std::fs::read(folder.join("package.json")) else { return Vec::new() };
    let manifest: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let listed = manifest["workspaces"].as_array().or(manifest["workspaces"]["packages"].as_array());
    listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
