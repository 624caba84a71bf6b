//! What of a `package.json` decides which file is meant.

use serde_json::{Map, Value};

/// `type` of a `package.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageType {
    Module,
    CommonJs,
}

#[derive(Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) name: Option<String>,
    pub(crate) main: Option<String>,
    pub(crate) package_type: Option<PackageType>,
    pub(crate) exports: Option<Value>,
    pub(crate) imports: Option<Map<String, Value>>,
}

impl Manifest {
    /// What is no JSON object counts as an empty one, as for Node.js when nothing of it is needed.
    pub(crate) fn parse(bytes: &[u8]) -> Manifest {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(strip_mark(bytes)) else {
            return Manifest::default();
        };
        let text = |field: Option<Value>| match field {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let package_type = match text(fields.remove("type")).as_deref() {
            Some("module") => Some(PackageType::Module),
            Some("commonjs") => Some(PackageType::CommonJs),
            _ => None,
        };
        Manifest {
            name: text(fields.remove("name")),
            main: text(fields.remove("main")),
            package_type,
            exports: fields.remove("exports").filter(|exports| !exports.is_null()),
            imports: match fields.remove("imports") {
                Some(Value::Object(imports)) => Some(imports),
                _ => None,
            },
        }
    }
}

/// Without a byte order mark.
pub(crate) fn strip_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}
