//! `exports` and `imports` of a `package.json`: subpaths, patterns with `*`, nested conditions, lists of fallbacks.

use serde_json::{Map, Value};

/// What a subpath leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A path in the package, beginning with `./`.
    Path(String),
    /// Another module (of `imports` only).
    Bare(String),
}

/// The targets of `subpath` (`.` or `./x`) by `exports`, in the order in which they are to be tried.
pub(crate) fn exported(exports: &Value, subpath: &str, conditions: &[&str]) -> Vec<Target> {
    match exports {
        Value::Object(map) if map.keys().any(|key| key.starts_with('.')) => mapped(map, subpath, conditions),
        sugar if subpath == "." => targets(sugar, None, conditions),
        _ => Vec::new(),
    }
}

/// The targets of `#name`.
pub(crate) fn internal(imports: &Map<String, Value>, name: &str, conditions: &[&str]) -> Vec<Target> {
    mapped(imports, name, conditions)
}

fn mapped(map: &Map<String, Value>, subpath: &str, conditions: &[&str]) -> Vec<Target> {
    if let Some(target) = map.get(subpath).filter(|_| !subpath.contains('*')) {
        return targets(target, None, conditions);
    }
    // The longest beginning wins, then the longest key.
    let mut best: Option<(&str, &str, &Value)> = None;
    let weight = |before: &str, after: &str| (before.len(), after.len());
    for (key, target) in map {
        let Some((before, after)) = key.split_once('*').filter(|(_, after)| !after.contains('*')) else { continue };
        let fits =
            subpath.len() > before.len() + after.len() && subpath.starts_with(before) && subpath.ends_with(after);
        let is_better = best.is_none_or(|(b, a, _)| weight(before, after) > weight(b, a));
        if fits && is_better {
            best = Some((before, after, target));
        }
    }
    let Some((before, after, target)) = best else { return Vec::new() };
    targets(target, Some(&subpath[before.len()..subpath.len() - after.len()]), conditions)
}

fn targets(target: &Value, star: Option<&str>, conditions: &[&str]) -> Vec<Target> {
    match target {
        Value::String(text) => {
            let text = star.map_or_else(|| text.clone(), |star| text.replace('*', star));
            if !text.starts_with("./") {
                return if text.starts_with('.') || text.starts_with('/') {
                    Vec::new()
                } else {
                    vec![Target::Bare(text)]
                };
            }
            // A target stays in its package and out of the packages in it.
            let leaves = text.split('/').skip(1).any(|part| matches!(part, ".." | "." | "node_modules"));
            if leaves { Vec::new() } else { vec![Target::Path(text)] }
        }
        Value::Array(fallbacks) => fallbacks.iter().flat_map(|one| targets(one, star, conditions)).collect(),
        Value::Object(nested) => {
            for (condition, inner) in nested {
                if condition == "default" || conditions.contains(&condition.as_str()) {
                    // `null` says that there is none; a nested object without a fitting condition lets the next have its say.
                    if inner.is_null() {
                        return Vec::new();
                    }
                    let found = targets(inner, star, conditions);
                    if !found.is_empty() {
                        return found;
                    }
                }
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(exports: &Value, subpath: &str, conditions: &[&str]) -> Option<String> {
        match exported(exports, subpath, conditions).into_iter().next() {
            Some(Target::Path(path)) => Some(path),
            _ => None,
        }
    }

    #[test]
    fn conditions_are_tried_in_the_manifests_order() {
        let exports = json!({
            ".": {"types": "./a.d.ts", "browser": "./b.js", "node": {"import": "./n.mjs", "require": "./n.cjs"}, "default": "./d.js"},
            "./deep": {"require": {"worker": "./w.js"}, "default": ["nonsense:", "./deep.js"]},
            "./no": null,
        });
        assert_eq!(path(&exports, ".", &["import", "node"]).as_deref(), Some("./n.mjs"));
        assert_eq!(path(&exports, ".", &["require", "node"]).as_deref(), Some("./n.cjs"));
        assert_eq!(path(&exports, ".", &[]).as_deref(), Some("./d.js"));
        assert_eq!(exported(&exports, "./deep", &["require"]).len(), 2);
        assert_eq!(path(&exports, "./no", &[]), None);
        assert_eq!(path(&exports, "./other", &[]), None);
        assert_eq!(path(&json!("./m.js"), ".", &[]).as_deref(), Some("./m.js"));
        assert_eq!(path(&json!({"import": "./i.js"}), ".", &["import"]).as_deref(), Some("./i.js"));
        assert_eq!(path(&json!({"import": "./i.js"}), "./x", &["import"]), None);
    }

    #[test]
    fn the_longest_pattern_wins_and_no_target_leaves_the_package() {
        let exports = json!({
            "./*": "./all/*.js", "./features/*": "./src/*/index.js", "./features/*.js": "./src/*.js",
            "./features/private/*": null, "./up": "./../secret.js", "./in": "./node_modules/x/y.js",
        });
        assert_eq!(path(&exports, "./a", &[]).as_deref(), Some("./all/a.js"));
        assert_eq!(path(&exports, "./features/b/c", &[]).as_deref(), Some("./src/b/c/index.js"));
        assert_eq!(path(&exports, "./features/private/x", &[]), None);
        assert_eq!(path(&exports, "./up", &[]), None);
        assert_eq!(path(&exports, "./in", &[]), None);
        let imports = json!({"#db": {"node": "pg", "default": "./db.js"}, "#lib/*": "./lib/*.js"});
        let imports = imports.as_object().unwrap();
        assert_eq!(internal(imports, "#db", &["node"]), [Target::Bare("pg".into())]);
        assert_eq!(internal(imports, "#lib/x", &[]), [Target::Path("./lib/x.js".into())]);
    }
}
