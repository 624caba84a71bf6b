//! A rule as people write it: a pattern and the targets of what matches. Parsing the pattern is `sublet-pattern`'s.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::limit;
use crate::name::Name;
use crate::named_queue::DeadLetterTarget;
use crate::policy::RetryPolicy;
use crate::transformer::InputTransformer;

/// Where a matched event goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The dispatch: the function of this name that the event's own tenant has.
    Tenant(Name),
    /// One named function.
    Function(FunctionTarget),
    /// A webhook of the operator, by name.
    Webhook(Name),
    /// A named queue of the operator.
    Queue(Name),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionTarget {
    /// Left out in a tenant's own rule: its own.
    #[serde(default)]
    pub tenant: Option<Name>,
    pub name: Name,
}

/// A target with its policies: `{"tenant": "enrich", "retry": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TargetFields")]
pub struct TargetSpec {
    #[serde(flatten)]
    pub target: Target,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// What the target gets instead of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transformer: Option<InputTransformer>,
    /// Where what this target gives up is put besides: the operator's to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterTarget>,
}

impl From<Target> for TargetSpec {
    /// Without policies of its own.
    fn from(target: Target) -> TargetSpec {
        TargetSpec { target, retry: None, transformer: None, dead_letter: None }
    }
}

/// A target as it is read. Of its own, because a flattened enum cannot refuse the keys it does not know: a misspelt
/// policy would be lost in silence. A new kind of target is a field here and an arm below.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetFields {
    tenant: Option<Name>,
    function: Option<FunctionTarget>,
    webhook: Option<Name>,
    queue: Option<Name>,
    retry: Option<RetryPolicy>,
    transformer: Option<InputTransformer>,
    dead_letter: Option<DeadLetterTarget>,
}

impl TryFrom<TargetFields> for TargetSpec {
    type Error = &'static str;

    fn try_from(fields: TargetFields) -> Result<TargetSpec, &'static str> {
        let named = [
            fields.tenant.map(Target::Tenant),
            fields.function.map(Target::Function),
            fields.webhook.map(Target::Webhook),
            fields.queue.map(Target::Queue),
        ];
        let TargetFields { retry, transformer, dead_letter, .. } = fields;
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(target), None) => Ok(TargetSpec { target, retry, transformer, dead_letter }),
            _ => Err("must name exactly one of `tenant`, `function`, `webhook` and `queue`"),
        }
    }
}

/// The body of `PUT /v1/rules/{rule}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// EventBridge's pattern language, as JSON.
    pub pattern: Box<RawValue>,
    pub targets: Vec<TargetSpec>,
    #[serde(default = "enabled")]
    pub enabled: bool,
}

fn enabled() -> bool {
    true
}

impl RuleSpec {
    /// Checks the targets. `owner` is the tenant whose rule this is, `None` for the operator's.
    /// Errors: `Invalid` with the field and what would be right.
    pub fn validate(&self, owner: Option<&Name>) -> Result<(), Error> {
        if self.targets.is_empty() || self.targets.len() > limit::TARGETS_MAX {
            return Err(Error::invalid("targets", format!("must name 1 to {} targets", limit::TARGETS_MAX)));
        }
        for (index, spec) in self.targets.iter().enumerate() {
            let field = format!("targets/{index}");
            if let Some(retry) = &spec.retry {
                retry.validate(&format!("{field}/retry"))?;
            }
            if let Some(transformer) = &spec.transformer {
                transformer.compile(&format!("{field}/transformer"))?;
            }
            if spec.dead_letter.is_some() {
                let field = format!("{field}/dead_letter");
                if owner.is_some() {
                    return Err(Error::invalid(field, "is the operator's to say"));
                }
                if matches!(spec.target, Target::Queue(_)) {
                    return Err(Error::invalid(field, "a queue keeps its own dead letters"));
                }
            }
            match (&spec.target, owner) {
                (Target::Webhook(_) | Target::Queue(_) | Target::Tenant(_), Some(_)) => {
                    return Err(Error::invalid(field, "a tenant's rule targets the tenant's own functions only"));
                }
                (Target::Function(function), Some(own)) if function.tenant.as_ref().is_some_and(|t| t != own) => {
                    return Err(Error::invalid(field, "a tenant's rule targets the tenant's own functions only"));
                }
                (Target::Function(function), None) if function.tenant.is_none() => {
                    return Err(Error::invalid(field, "an operator's rule names the function's tenant"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(targets: &str) -> RuleSpec {
        serde_json::from_str(&format!(r#"{{"pattern": {{"source": ["a"]}}, "targets": {targets}}}"#)).unwrap()
    }

    #[test]
    fn targets_read_as_the_design_writes_them() {
        let spec = rule(
            r#"[{"tenant": "enrich"}, {"function": {"tenant": "acme", "name": "f"}}, {"webhook": "w"},
            {"queue": "results"}, {"tenant": "audit", "dead_letter": {"queue": "lost"}}]"#,
        );
        assert!(spec.validate(None).is_ok());
        assert_eq!(spec.targets[0].target, Target::Tenant("enrich".parse().unwrap()));
    }

    #[test]
    fn a_target_comes_back_with_its_policies_and_a_misspelt_one_is_named() {
        let text = r#"{"function":{"tenant":"acme","name":"f"},"retry":{"attempts":2},"transformer":{"input_path":"$.detail"}}"#;
        let spec: TargetSpec = serde_json::from_str(text).unwrap();
        let again: TargetSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(spec, again);
        for (bad, named) in [
            (r#"{"tenant": "f", "retires": {}}"#, "retires"),
            (r#"{"tenant": "f", "transformer": {"inputpath": "$"}}"#, "inputpath"),
            (r#"{"tenant": "f", "webhook": "w"}"#, "exactly one"),
            (r#"{"retry": {"attempts": 2}}"#, "exactly one"),
        ] {
            let error = serde_json::from_str::<TargetSpec>(bad).unwrap_err().to_string();
            assert!(error.contains(named), "{bad}: {error}");
        }
    }

    #[test]
    fn a_tenants_rule_reaches_its_own_functions_only() {
        let own: Name = "acme".parse().unwrap();
        assert!(rule(r#"[{"function": {"name": "f"}}]"#).validate(Some(&own)).is_ok());
        assert!(rule(r#"[{"function": {"tenant": "acme", "name": "f"}}]"#).validate(Some(&own)).is_ok());
        for bad in [
            r#"[{"function": {"tenant": "other", "name": "f"}}]"#,
            r#"[{"webhook": "w"}]"#,
            r#"[{"queue": "q"}]"#,
            r#"[{"function": {"name": "f"}, "dead_letter": {"queue": "q"}}]"#,
            "[]",
        ] {
            assert!(rule(bad).validate(Some(&own)).is_err(), "{bad}");
        }
        assert!(rule(r#"[{"function": {"name": "f"}}]"#).validate(None).is_err());
        assert!(rule(r#"[{"queue": "q", "dead_letter": {"queue": "lost"}}]"#).validate(None).is_err());
    }
}
