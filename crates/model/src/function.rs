//! A function's configuration: what `PUT …/functions/{function}` says, and what freezes into a version.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::egress::{self, EgressRule};
use crate::error::Error;
use crate::limit;
use crate::name::Name;
use crate::named_queue::DeadLetterTarget;
use crate::policy::RetryPolicy;
use crate::secret::{self, SecretUse};
use crate::unit::{Millis, Size};

/// Which sandbox runs the code, and how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// JavaScript in the wasm tier.
    Javascript,
    /// A WebAssembly module of the tenant's own: a WASI preview 1 command.
    Wasm,
}

impl FromStr for Runtime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Runtime, Error> {
        match text {
            "javascript" => Ok(Runtime::Javascript),
            "wasm" => Ok(Runtime::Wasm),
            _ => Err(Error::invalid("runtime", "must be javascript or wasm")),
        }
    }
}

impl Runtime {
    /// Whether machine code is made of what the tenant uploads: such code runs in worker processes of that tenant alone.
    pub const fn needs_own_process(self) -> bool {
        matches!(self, Runtime::Wasm)
    }
}

/// Where one function's result events go besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// A webhook of the operator's; a bare name means one too.
    Webhook(Name),
    /// A named queue of the operator's.
    Queue(Name),
    /// Another function of the same tenant.
    Function(Name),
}

impl Destination {
    /// Whether only the operator may set it.
    pub fn is_operators(&self) -> bool {
        !matches!(self, Destination::Function(_))
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Destination, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Named {
            Webhook(Name),
            Queue(Name),
            Function(Name),
        }
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "must be {\"webhook\"|\"queue\"|\"function\": name}, or a webhook's name")]
        enum Written {
            Short(Name),
            Long(Named),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Short(name) | Written::Long(Named::Webhook(name)) => Destination::Webhook(name),
            Written::Long(Named::Queue(name)) => Destination::Queue(name),
            Written::Long(Named::Function(name)) => Destination::Function(name),
        })
    }
}

/// Shorthand for rules on this function's result events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Destinations {
    pub on_success: Option<Destination>,
    pub on_failure: Option<Destination>,
}

impl Destinations {
    /// Each with its field.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &Destination)> {
        let named = [("destinations.on_success", &self.on_success), ("destinations.on_failure", &self.on_failure)];
        named.into_iter().filter_map(|(field, one)| Some((field, one.as_ref()?)))
    }
}

/// Frozen into every version; changing any of it makes a new one. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionConfig {
    #[serde(default = "default_runtime")]
    pub runtime: Runtime,
    /// `file.export`, as in Lambda. Of a wasm function that is a .zip with several modules: which of them, `main.wasm`.
    #[serde(default = "default_handler")]
    pub handler: String,
    /// Wall deadline of an attempt.
    #[serde(default = "default_timeout")]
    pub timeout: Millis,
    /// CPU time of an attempt.
    #[serde(default = "default_cpu")]
    pub cpu: Millis,
    #[serde(default = "default_memory")]
    pub memory: Size,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Variables of the environment that hold secrets of the tenant's, or placeholders of them.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretUse>,
    /// Layers importable by name, the newest version of each at deploy time.
    #[serde(default)]
    pub layers: Vec<Name>,
    #[serde(default)]
    pub retry: Option<RetryPolicy>,
    #[serde(default)]
    pub destinations: Destinations,
    /// Where its dead letters are put besides, unless a target says otherwise: the operator's to say.
    #[serde(default)]
    pub dead_letter: Option<DeadLetterTarget>,
    /// Where its code may send requests, as far as the tenant's ceiling allows it too. Empty: nowhere.
    #[serde(default)]
    pub egress: Vec<EgressRule>,
}

fn default_runtime() -> Runtime {
    Runtime::Javascript
}

fn default_handler() -> String {
    "index.handler".to_owned()
}

fn default_timeout() -> Millis {
    limit::TIMEOUT_DEFAULT.into()
}

fn default_cpu() -> Millis {
    limit::CPU_DEFAULT.into()
}

fn default_memory() -> Size {
    Size(limit::MEMORY_DEFAULT)
}

impl Default for FunctionConfig {
    fn default() -> FunctionConfig {
        FunctionConfig {
            runtime: default_runtime(),
            handler: default_handler(),
            timeout: default_timeout(),
            cpu: default_cpu(),
            memory: default_memory(),
            environment: BTreeMap::new(),
            secrets: BTreeMap::new(),
            layers: Vec::new(),
            retry: None,
            destinations: Destinations::default(),
            dead_letter: None,
            egress: Vec::new(),
        }
    }
}

impl FunctionConfig {
    /// Errors: `Invalid` with the field and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        within("timeout", self.timeout.duration(), limit::TIMEOUT_MIN, limit::TIMEOUT_MAX)?;
        within("cpu", self.cpu.duration(), limit::TIMEOUT_MIN, limit::TIMEOUT_MAX)?;
        if self.memory.0 < limit::MEMORY_MIN || self.memory.0 > limit::MEMORY_MAX {
            let (least, most) = (Size(limit::MEMORY_MIN), Size(limit::MEMORY_MAX));
            return Err(Error::invalid("memory", format!("must be {least} to {most}, not {}", self.memory)));
        }
        self.handler_parts()?;
        let bytes: usize = self.environment.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > limit::ENVIRONMENT_BYTES_MAX {
            let most = limit::ENVIRONMENT_BYTES_MAX;
            return Err(Error::invalid("environment", format!("holds {bytes} bytes, of at most {most}")));
        }
        check_variables("environment", self.environment.keys())?;
        check_variables("secrets", self.secrets.keys())?;
        secret::validate(&self.secrets, &self.environment)?;
        if self.layers.len() > limit::LAYERS_MAX {
            return Err(Error::invalid("layers", format!("names more than {} layers", limit::LAYERS_MAX)));
        }
        if self.runtime == Runtime::Wasm && !self.layers.is_empty() {
            return Err(Error::invalid("layers", "hold JavaScript, which a wasm function does not run"));
        }
        egress::validate("egress", &self.egress, false)?;
        if let Some(retry) = &self.retry {
            retry.validate("retry")?;
        }
        Ok(())
    }

    /// The handler's module (without its ending) and export: `src/index.handler` → (`src/index`, `handler`).
    pub fn handler_parts(&self) -> Result<(&str, &str), Error> {
        match self.handler.rsplit_once('.') {
            Some((module, export)) if !module.is_empty() && !export.is_empty() && self.handler.len() <= 128 => {
                Ok((module, export))
            }
            _ => Err(Error::invalid("handler", "must be of the form file.export, such as index.handler")),
        }
    }
}

fn check_variables<'a>(field: &str, names: impl Iterator<Item = &'a String>) -> Result<(), Error> {
    for name in names {
        let fits = name.len() <= limit::VARIABLE_NAME_CHARS_MAX
            && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            let shown: String = name.chars().take(80).collect();
            return Err(Error::invalid(field, format!("`{shown}` is not a variable name")));
        }
    }
    Ok(())
}

fn within(field: &str, value: Duration, least: Duration, most: Duration) -> Result<(), Error> {
    if value < least || value > most {
        let (value, least, most) = (Millis::from(value), Millis::from(least), Millis::from(most));
        return Err(Error::invalid(field, format!("must be {least} to {most}, not {value}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_named_by_variable_and_clash_with_nothing() {
        let read = |text: &str| serde_json::from_str::<FunctionConfig>(text).map(|config| config.validate());
        for good in [r#"{}"#, r#"{"secrets": {"A": {"secret": "a"}, "B": {"secret": "a", "hosts": ["*.x.com"]}}}"#] {
            assert!(read(good).unwrap().is_ok(), "{good}");
        }
        for (bad, field) in [
            (r#"{"secrets": {"A": {"secret": "a"}}, "environment": {"A": "b"}}"#, "secrets.A"),
            (r#"{"secrets": {"A": {"secret": "a", "hosts": []}}}"#, "secrets.A.hosts"),
            (r#"{"secrets": {"A-B": {"secret": "a"}}}"#, "secrets"),
        ] {
            assert_eq!(read(bad).unwrap().unwrap_err().field.as_deref(), Some(field), "{bad}");
        }
        for bad in [r#"{"secrets": {"A": {}}}"#, r#"{"secrets": {"A": {"secret": "a", "value": "b"}}}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_destination_is_a_bare_webhook_or_says_what_it_is() {
        let read = |text: &str| serde_json::from_str::<Destination>(text);
        let name: Name = "crm".parse().unwrap();
        assert_eq!(read(r#""crm""#).unwrap(), Destination::Webhook(name.clone()));
        for destination in
            [Destination::Webhook(name.clone()), Destination::Queue(name.clone()), Destination::Function(name.clone())]
        {
            let text = serde_json::to_string(&destination).unwrap();
            assert_eq!(read(&text).unwrap(), destination);
        }
        let refused = read(r#"{"topic": "crm"}"#).unwrap_err().to_string();
        assert!(refused.contains("webhook"), "{refused}");
    }
}
