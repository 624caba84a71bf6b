//! How a function uses its tenant's secrets: by name, so that a new value needs no new version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::host::HostPattern;
use crate::limit;
use crate::name::Name;

/// What an environment variable holds when an attempt runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretUse {
    /// The function's secret of that name, else its tenant's.
    pub secret: Name,
    /// Left out: the variable holds the value. Given: it holds a placeholder, which the egress gateway replaces by the
    /// value in what goes to these hosts and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<HostPattern>>,
}

impl SecretUse {
    /// Whether a secret that its owner bound to `bound` (empty: to nothing) may be used so. Errors: what is wrong, for
    /// the function's owner.
    pub fn check(&self, bound: &[HostPattern]) -> Result<(), String> {
        let name = &self.secret;
        match &self.hosts {
            None if !bound.is_empty() => Err(format!(
                "the secret `{name}` is bound to hosts and is not given as a value; name the hosts it is sent to"
            )),
            Some(hosts) if !bound.is_empty() => {
                let stray = hosts.iter().find(|host| !bound.iter().any(|bound| host.is_within(bound)));
                stray.map_or(Ok(()), |host| Err(format!("the secret `{name}` is not bound to {host}")))
            }
            _ => Ok(()),
        }
    }
}

/// Errors: `Invalid` with the field.
pub(crate) fn validate(
    secrets: &BTreeMap<String, SecretUse>,
    environment: &BTreeMap<String, String>,
) -> Result<(), Error> {
    if secrets.len() > limit::SECRETS_PER_FUNCTION_MAX {
        let most = limit::SECRETS_PER_FUNCTION_MAX;
        return Err(Error::invalid("secrets", format!("names {} variables, of at most {most}", secrets.len())));
    }
    for (variable, used) in secrets {
        if environment.contains_key(variable) {
            return Err(Error::invalid(format!("secrets.{variable}"), "is a variable of `environment` as well"));
        }
        if let Some(hosts) = &used.hosts {
            check_hosts(&format!("secrets.{variable}.hosts"), hosts)?;
            if hosts.is_empty() {
                let why = "names no host; leave it out for the value itself";
                return Err(Error::invalid(format!("secrets.{variable}.hosts"), why));
            }
        }
    }
    Ok(())
}

/// Errors: `Invalid` for more hosts than there may be.
pub fn check_hosts(field: &str, hosts: &[HostPattern]) -> Result<(), Error> {
    let most = limit::SECRET_HOSTS_MAX;
    if hosts.len() > most {
        return Err(Error::invalid(field, format!("names {} hosts, of at most {most}", hosts.len())));
    }
    Ok(())
}

/// Errors: `Invalid`, never with the value in it.
pub fn check_value(value: &str) -> Result<(), Error> {
    let invalid = |why: String| Err(Error::invalid("value", why));
    // Shorter ones could not be told from ordinary text where they are to be redacted.
    let (least, most) = (limit::SECRET_CHARS_MIN, limit::SECRET_BYTES_MAX);
    if value.chars().count() < least {
        return invalid(format!("must have at least {least} characters"));
    }
    if value.len() > most {
        return invalid(format!("has {} bytes, of at most {most}", value.len()));
    }
    if value.contains('\0') {
        return invalid("must not contain the character NUL".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(texts: &[&str]) -> Vec<HostPattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_bound_secret_is_used_towards_its_hosts_alone() {
        let used = |given: Option<&[&str]>| SecretUse { secret: "k".parse().unwrap(), hosts: given.map(hosts) };
        assert!(used(None).check(&[]).is_ok());
        assert!(used(Some(&["a.com"])).check(&[]).is_ok());
        assert!(used(None).check(&hosts(&["a.com"])).unwrap_err().contains("not given as a value"));
        assert!(used(Some(&["a.b.com"])).check(&hosts(&["a.com", "*.b.com"])).is_ok());
        assert!(used(Some(&["a.b.com", "c.com"])).check(&hosts(&["*.b.com"])).unwrap_err().contains("c.com"));
    }

    #[test]
    fn values_that_could_not_be_redacted_or_kept_are_refused_without_being_told() {
        for good in ["sechs!", "ümlaut", &"x".repeat(4096), "-----BEGIN\nKEY-----\n"] {
            assert!(check_value(good).is_ok());
        }
        for bad in ["fünf!", "", "with\0nul", &"x".repeat(4097)] {
            let error = check_value(bad).unwrap_err();
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
        }
    }
}
