//! How a transformer is spelled: ours, or EventBridge's as its rules have it. Unknown keys are refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::InputTransformer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    /// Any JSON value, `null` among them.
    #[serde(default, deserialize_with = "present")]
    input: Option<Box<RawValue>>,
    input_path: Option<String>,
    input_paths: Option<BTreeMap<String, String>>,
    template: Option<String>,
    /// EventBridge's: JSON as text.
    #[serde(rename = "Input")]
    aws_input: Option<String>,
    #[serde(rename = "InputPath")]
    aws_path: Option<String>,
    #[serde(rename = "InputPathsMap")]
    aws_paths: Option<BTreeMap<String, String>>,
    #[serde(rename = "InputTemplate")]
    aws_template: Option<String>,
    #[serde(rename = "InputTransformer")]
    aws_transformer: Option<AwsTransformer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AwsTransformer {
    #[serde(rename = "InputPathsMap")]
    paths: Option<BTreeMap<String, String>>,
    #[serde(rename = "InputTemplate")]
    template: String,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl TryFrom<Shape> for InputTransformer {
    type Error = &'static str;

    fn try_from(shape: Shape) -> Result<InputTransformer, &'static str> {
        let templated = |paths: Option<_>, template| match (paths, template) {
            (None, None) => Ok(None),
            (Some(_), None) => Err("has variables and no template"),
            (paths, Some(template)) => {
                Ok(Some(InputTransformer::Template { paths: paths.unwrap_or_default(), template }))
            }
        };
        let nested = shape.aws_transformer;
        let given = [
            shape.input.map(|raw| InputTransformer::Constant(raw.get().to_owned())),
            shape.aws_input.map(InputTransformer::Constant),
            shape.input_path.map(InputTransformer::Path),
            shape.aws_path.map(InputTransformer::Path),
            templated(shape.input_paths, shape.template)?,
            templated(shape.aws_paths, shape.aws_template)?,
            nested
                .map(|own| InputTransformer::Template { paths: own.paths.unwrap_or_default(), template: own.template }),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(transformer), None) => Ok(transformer),
            _ => Err("must have exactly one of `input_path`, `template` and `input`"),
        }
    }
}

/// Our spelling, in which transformers are kept and shown.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Written {
    Path {
        input_path: String,
    },
    Template {
        input_paths: BTreeMap<String, String>,
        template: String,
    },
    Constant {
        input: Box<RawValue>,
    },
    /// A constant that is no JSON; it was refused when the rule was put.
    Broken {
        input: String,
    },
}

impl From<InputTransformer> for Written {
    fn from(transformer: InputTransformer) -> Written {
        match transformer {
            InputTransformer::Path(input_path) => Written::Path { input_path },
            InputTransformer::Template { paths, template } => Written::Template { input_paths: paths, template },
            InputTransformer::Constant(text) => match RawValue::from_string(text.clone()) {
                Ok(input) => Written::Constant { input },
                Err(_) => Written::Broken { input: text },
            },
        }
    }
}
