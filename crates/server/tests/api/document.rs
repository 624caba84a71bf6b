//! Holds answers against the OpenAPI document: a field that the document does not name, one that it promises and that
//! is missing, a type that differs, or a status it does not know fails the test that met it.

use serde_json::Value;

pub(crate) struct Document(pub(crate) Value);

impl Document {
    /// The operations as (method, path template), in the document's order.
    pub(crate) fn operations(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                found.push((method.to_uppercase(), path.clone()));
            }
        }
        found
    }

    /// The operation's name.
    pub(crate) fn name(&self, method: &str, template: &str) -> &str {
        self.0["paths"][template][method.to_lowercase()]["operationId"].as_str().unwrap()
    }

    /// The template that `path` is an instance of; the one with fewest parameters where two fit.
    fn template(&self, path: &str) -> Option<&str> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &&str| {
            let wanted: Vec<&str> = template.split('/').collect();
            wanted.len() == parts.len()
                && wanted.iter().zip(&parts).all(|(want, part)| want.starts_with('{') || want == part)
        };
        let templates = self.0["paths"].as_object()?.keys().map(String::as_str);
        templates.filter(fits).min_by_key(|template| template.matches('{').count())
    }

    pub(crate) fn check(&self, method: &str, path: &str, status: u16, media_type: &str, body: &Value) {
        let path = path.split('?').next().unwrap();
        let Some(template) = self.template(path) else { return };
        let operation = &self.0["paths"][template][method.to_lowercase()];
        if operation.is_null() {
            return;
        }
        let place = format!("{method} {template} → {status}");
        let responses = &operation["responses"];
        let response = if status < 400 { &responses[status.to_string()] } else { described(responses, status) };
        assert!(response.is_object(), "{place}: the document does not know this status");
        let Some(content) = response["content"].as_object() else {
            assert!(body.is_null(), "{place}: the document promises no body: {body}");
            return;
        };
        let described = content.get(media_type).unwrap_or_else(|| panic!("{place}: {media_type} is not described"));
        if media_type.contains("json") {
            self.check_value(&place, &described["schema"], body).unwrap_or_else(|error| panic!("{error}: {body}"));
        }
    }

    fn check_value(&self, place: &str, schema: &Value, value: &Value) -> Result<(), String> {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            let target = &self.0["components"]["schemas"][name];
            if target.is_null() {
                return Err(format!("{place}: there is no schema {name}"));
            }
            return self.check_value(place, target, value);
        }
        for kind in ["oneOf", "anyOf"] {
            if let Some(choices) = schema[kind].as_array() {
                let errors: Vec<String> =
                    choices.iter().filter_map(|choice| self.check_value(place, choice, value).err()).collect();
                return if errors.len() < choices.len() { Ok(()) } else { Err(errors.join("; or ")) };
            }
        }
        self.check_type(place, schema, value)?;
        if let Some(object) = value.as_object() {
            let mut properties = Vec::new();
            let mut required = Vec::new();
            if self.gather(schema, &mut properties, &mut required) {
                return Ok(());
            }
            for name in required {
                if !object.contains_key(&name) {
                    return Err(format!("{place}: `{name}` is missing"));
                }
            }
            for (name, field) in object {
                let Some((_, described)) = properties.iter().find(|(described, _)| described == name) else {
                    return Err(format!("{place}: `{name}` is not in the document"));
                };
                self.check_value(&format!("{place} {name}"), described, field)?;
            }
        }
        for item in value.as_array().into_iter().flatten() {
            self.check_value(&format!("{place}[]"), &schema["items"], item)?;
        }
        Ok(())
    }

    fn check_type(&self, place: &str, schema: &Value, value: &Value) -> Result<(), String> {
        let allowed: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => return Ok(()),
        };
        let fits = allowed.iter().any(|kind| match *kind {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        });
        if fits { Ok(()) } else { Err(format!("{place}: is not {}: {value}", allowed.join(" or "))) }
    }

    /// The fields of an object, those of its parts included. `true`: it may have any.
    fn gather(&self, schema: &Value, properties: &mut Vec<(String, Value)>, required: &mut Vec<String>) -> bool {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            return self.gather(&self.0["components"]["schemas"][name], properties, required);
        }
        let parts = schema["allOf"].as_array();
        for part in parts.into_iter().flatten() {
            self.gather(part, properties, required);
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            properties.push((name.clone(), field.clone()));
        }
        required
            .extend(schema["required"].as_array().into_iter().flatten().filter_map(|n| n.as_str().map(str::to_owned)));
        parts.is_none() && schema["properties"].is_null()
    }
}

fn described(responses: &Value, status: u16) -> &Value {
    let own = &responses[status.to_string()];
    if own.is_null() { &responses["default"] } else { own }
}
