//! Keys of files: paths with `/`, relative to the package; a layer's files are below `/opt/NAME/`.

/// Where layers' files are.
pub const LAYER_ROOT: &str = "/opt";

/// The folder of a key; the package's root is the empty one.
pub fn directory(key: &str) -> &str {
    key.rfind('/').map_or("", |at| &key[..at])
}

/// Joins, and removes `.`, `..` and double slashes; above the root there is nothing to reach.
pub fn join(folder: &str, path: &str) -> String {
    let whole = if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    let mut kept: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(part),
        }
    }
    let joined = kept.join("/");
    if whole.starts_with('/') { format!("/{joined}") } else { joined }
}

/// The folder of the layer that a key is in.
pub(crate) fn layer_folder(key: &str) -> Option<&str> {
    let rest = key.strip_prefix(LAYER_ROOT)?.strip_prefix('/')?;
    let name = rest.split('/').next().unwrap_or(rest);
    Some(&key[..LAYER_ROOT.len() + 1 + name.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_never_leaves_the_root() {
        let cases = [
            (("", "./a.js"), "a.js"),
            (("lib", "../a.js"), "a.js"),
            (("lib", "../../../a.js"), "a.js"),
            (("/opt/x", "./b//c/../d"), "/opt/x/b/d"),
            (("/opt/x", "../../../../a"), "/a"),
            (("a/b", "."), "a/b"),
        ];
        for ((folder, path), expected) in cases {
            assert_eq!(join(folder, path), expected);
        }
        assert_eq!(layer_folder("/opt/urgency/lib/a.js"), Some("/opt/urgency"));
        assert_eq!(layer_folder("opt/urgency/a.js"), None);
    }
}
