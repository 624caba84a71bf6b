//! What client commands print: JSON for programs, tables and short lines for people.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use sublet_model::EgressRule;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    pub(crate) json: bool,
}

impl Printer {
    /// One thing: JSON, or `name  value` lines of the given fields (dotted paths).
    pub(crate) fn record(&self, value: &Value, fields: &[(&str, &str)]) {
        if self.json {
            return self.raw(value);
        }
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, path) in fields {
            let text = cell(at(value, path));
            if !text.is_empty() {
                println!("{name:width$}  {text}");
            }
        }
    }

    /// A listing (`{"items": […], "next": …}` or an array): JSON, or a table of the given columns.
    pub(crate) fn listing(&self, value: &Value, columns: &[(&str, &str)]) {
        if self.json {
            return self.raw(value);
        }
        let empty = Vec::new();
        let items = value.get("items").unwrap_or(value).as_array().unwrap_or(&empty);
        if items.is_empty() {
            println!("nothing there");
            return;
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(columns.iter().map(|(name, _)| name.to_uppercase()));
        for item in items {
            table.add_row(columns.iter().map(|(_, path)| cell(at(item, path))));
        }
        println!("{table}");
        if let Some(next) = value.get("next").and_then(Value::as_str) {
            println!("more: --cursor {next}");
        }
    }

    /// A sentence for people; nothing for programs, who get `value`.
    pub(crate) fn done(&self, value: &Value, sentence: &str) {
        if self.json { self.raw(value) } else { println!("{sentence}") }
    }

    pub(crate) fn raw(&self, value: &Value) {
        println!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
    }
}

pub(crate) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |inner, key| inner.get(key).unwrap_or(&Value::Null))
}

pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().any(|item| item.get("host").is_some()) => {
            let rules =
                items.iter().map(|item| serde_json::from_value(item.clone()).map(|rule: EgressRule| rule.to_string()));
            rules.map(|rule| rule.unwrap_or_default()).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
