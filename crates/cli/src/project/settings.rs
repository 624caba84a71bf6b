//! `sublet.toml` (or `sublet.json`) in a function's folder: what `sublet deploy` there need not be told. Beside `name` and
//! `tenant`, its keys are those of the function's configuration in the API, which also checks them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use sublet_model::Name;

use crate::client::ClientError;

pub(crate) const FILES: [&str; 2] = ["sublet.toml", "sublet.json"];

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) name: Option<Name>,
    pub(crate) tenant: Option<Name>,
    /// Fields of the function's configuration.
    pub(crate) config: Map<String, Value>,
}

impl Settings {
    /// Of a folder, which need not have any.
    pub(crate) fn of(folder: &Path) -> Result<Settings> {
        let there: Vec<&str> = FILES.into_iter().filter(|name| folder.join(name).is_file()).collect();
        match there[..] {
            [] => Ok(Settings::default()),
            [name] => {
                let path = folder.join(name);
                let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                Settings::parse(name, &text)
                    .map_err(|why| ClientError::Usage(format!("{}: {why:#}", path.display())).into())
            }
            _ => bail!("{} has a sublet.toml and a sublet.json; which counts?", folder.display()),
        }
    }

    fn parse(name: &str, text: &str) -> Result<Settings> {
        let mut config: Map<String, Value> =
            if name.ends_with(".toml") { toml::from_str(text)? } else { serde_json::from_str(text)? };
        let mut take = |field: &str| -> Result<Option<Name>> {
            let Some(value) = config.remove(field) else { return Ok(None) };
            let name = serde_json::from_value(value).with_context(|| format!("`{field}`"))?;
            Ok(Some(name))
        };
        Ok(Settings { name: take("name")?, tenant: take("tenant")?, config })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_say_the_same() {
        let toml = Settings::parse(
            "sublet.toml",
            "name = 'greet'\ntenant = 'acme'\nhandler = 'src/index.handler'\ntimeout = '3s'\n[environment]\nA = '1'\n",
        )
        .unwrap();
        let json = Settings::parse(
            "sublet.json",
            r#"{"name": "greet", "tenant": "acme", "handler": "src/index.handler", "timeout": "3s", "environment": {"A": "1"}}"#,
        )
        .unwrap();
        assert_eq!((&toml.name, &toml.tenant, &toml.config), (&json.name, &json.tenant, &json.config));
        assert_eq!(toml.config["environment"], json!({"A": "1"}));
    }

    #[test]
    fn a_mistake_is_told_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sublet.toml"), "name = 'not a name'\n").unwrap();
        let said = format!("{:#}", Settings::of(folder.path()).unwrap_err());
        assert!(said.contains("sublet.toml") && said.contains("not a name"), "{said}");
    }
}
