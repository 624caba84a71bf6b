//! Where tenant code may send requests: rules, and the judgement of one request against them.
//!
//! Two lists decide, and both must allow a request: the tenant's wish, frozen into the version, and the operator's
//! ceiling of the tenant. An empty list allows nothing. Pure: names are compared, not resolved; what addresses they may
//! lead to is [`crate::address`]'s to say.

mod path;
mod policy;
mod rule;

pub use path::PathPrefix;
pub use policy::{EgressPolicy, EgressRequest, Refusal, Unmet};
pub use rule::{EgressRule, Method, Scheme};

use crate::error::Error;
use crate::host::HostPattern;
use crate::limit;

/// Checks one list, named `field` in errors: the tenant's wish or, with `is_ceiling`, the operator's. Only a ceiling may
/// say "any host".
pub fn validate(field: &str, rules: &[EgressRule], is_ceiling: bool) -> Result<(), Error> {
    if rules.len() > limit::EGRESS_RULES_MAX {
        return Err(Error::invalid(field, format!("must have at most {} rules", limit::EGRESS_RULES_MAX)));
    }
    for (place, rule) in rules.iter().enumerate() {
        if rule.host == HostPattern::Any && !is_ceiling {
            return Err(Error::invalid(
                format!("{field}[{place}].host"),
                "must name a host: only the operator's ceiling may be `*`",
            ));
        }
    }
    Ok(())
}
