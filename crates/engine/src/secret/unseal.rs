//! From the names that a version froze to what one attempt gets: values, placeholders, and what takes both out of its
//! report again. Values are looked up when the attempt starts, so that a new one needs no new version.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sublet_model::{Error, FunctionId, HostPattern, Outcome, SecretUse, TenantId, Timestamp};
use sublet_sandbox::egress::Placeholder;
use sublet_sandbox::{Failure, Report};
use sublet_store::SecretRecord;

use super::redact::Redactor;
use super::seal::open;
use super::value::SecretValue;
use crate::cache::Cache;
use crate::chance::locked;
use crate::core::Core;
use crate::worker::failed;

/// How long opened values are held for the next attempt of the same version.
const OPEN_FOR: Duration = Duration::from_secs(10);
/// Bytes of all values that are held, with what looks for them: some kilobytes for a usual one, some hundred for each of
/// the longest there may be.
const OPEN_BYTES_MAX: usize = 128 << 20;
/// Bytes of a version's entry besides.
const ENTRY_BYTES: usize = 1_024;
/// Random bytes of a placeholder.
const TOKEN_BYTES: usize = 24;

/// What one attempt gets.
#[derive(Default)]
pub(crate) struct Unsealed {
    /// For `process.env`: values and placeholders.
    pub(crate) environment: Vec<(String, String)>,
    /// For the egress gateway.
    pub(crate) placeholders: Vec<Placeholder>,
    /// `None`: the function uses no secrets, and nothing is looked for.
    redactor: Option<Arc<Opened>>,
}

impl Unsealed {
    pub(crate) fn redact(&self, report: Report) -> Report {
        match &self.redactor {
            Some(opened) => opened.redactor.report(report),
            None => report,
        }
    }
}

/// A version's secrets, opened.
struct Opened {
    /// What was opened: other records are other values.
    records: Arc<[SecretRecord]>,
    until: Timestamp,
    variables: Vec<(String, SecretValue, Option<Vec<HostPattern>>)>,
    redactor: Redactor,
}

impl Opened {
    fn memory_bytes(&self) -> usize {
        let values: usize = self.variables.iter().map(|(name, value, _)| name.len() + value.reveal().len()).sum();
        ENTRY_BYTES + values + self.redactor.memory_bytes()
    }
}

/// By version; swept by the upkeep, so that no value stays longer than it is needed.
pub(crate) struct OpenSecrets(Mutex<Cache<(FunctionId, u32), Arc<Opened>>>);

impl Default for OpenSecrets {
    fn default() -> OpenSecrets {
        OpenSecrets(Mutex::new(Cache::new(OPEN_BYTES_MAX)))
    }
}

impl OpenSecrets {
    fn get(&self, key: (FunctionId, u32), records: &Arc<[SecretRecord]>, now: Timestamp) -> Option<Arc<Opened>> {
        let mut held = locked(&self.0);
        held.get(&key).filter(|opened| opened.until > now && Arc::ptr_eq(&opened.records, records)).cloned()
    }

    fn keep(&self, key: (FunctionId, u32), opened: &Arc<Opened>) {
        locked(&self.0).insert(key, Arc::clone(opened), opened.memory_bytes());
    }

    pub(crate) fn sweep(&self, now: Timestamp) {
        locked(&self.0).retain(|opened| opened.until > now);
    }
}

/// The function's own of that name, else the tenant's.
fn found<'a>(records: &'a [SecretRecord], function: FunctionId, used: &SecretUse) -> Option<&'a SecretRecord> {
    let of = |owner| records.iter().find(|record| record.place.function == owner && record.place.name == used.secret);
    of(Some(function)).or_else(|| of(None))
}

/// The record behind a variable, if it may be used so. Errors: why not, for the tenant.
fn usable<'a>(records: &'a [SecretRecord], function: FunctionId, used: &SecretUse) -> Result<&'a SecretRecord, String> {
    let record = found(records, function, used).ok_or_else(|| format!("there is no secret `{}`", used.secret))?;
    used.check(&record.hosts)?;
    Ok(record)
}

fn unusable(variable: &str, why: &str) -> Box<Report> {
    let failure = Failure {
        error_type: "Sublet.SecretUnavailable".to_owned(),
        error_message: format!("the environment variable {variable} cannot be set: {why}"),
        stack_trace: Vec::new(),
    };
    Box::new(failed(Outcome::Failed, failure))
}

impl Core {
    /// Whether a version that uses these could run now. Errors: `Invalid`, naming variable and secret.
    pub(crate) async fn check_secrets(
        &self,
        tenant: TenantId,
        function: FunctionId,
        uses: &BTreeMap<String, SecretUse>,
    ) -> Result<(), Error> {
        if uses.is_empty() {
            return Ok(());
        }
        let records = self.directory.secrets(tenant).await?;
        for (variable, used) in uses {
            usable(&records, function, used).map_err(|why| Error::invalid(format!("secrets.{variable}"), why))?;
        }
        Ok(())
    }

    /// For one attempt. Errors: how the attempt ends instead.
    pub(crate) async fn unseal(
        &self,
        tenant: TenantId,
        function: FunctionId,
        version: u32,
        uses: &BTreeMap<String, SecretUse>,
    ) -> Result<Unsealed, Box<Report>> {
        if uses.is_empty() {
            return Ok(Unsealed::default());
        }
        let records = self.directory.secrets(tenant).await.map_err(|error| ours(&error))?;
        let (key, now) = ((function, version), self.clock.now());
        let opened = match self.open_secrets.get(key, &records, now) {
            Some(held) => held,
            None => {
                let opened = Arc::new(self.opened(&records, function, uses, now + OPEN_FOR).await?);
                self.open_secrets.keep(key, &opened);
                opened
            }
        };
        let mut unsealed = Unsealed::default();
        for (variable, value, hosts) in &opened.variables {
            let text = match hosts {
                None => value.reveal().to_owned(),
                Some(hosts) => {
                    let token = token().map_err(|error| ours(&error))?;
                    let (value, hosts) = (value.reveal().to_owned(), hosts.clone());
                    unsealed.placeholders.push(Placeholder { token: token.clone(), value, hosts });
                    token
                }
            };
            unsealed.environment.push((variable.clone(), text));
        }
        unsealed.redactor = Some(opened);
        Ok(unsealed)
    }

    async fn opened(
        &self,
        records: &Arc<[SecretRecord]>,
        function: FunctionId,
        uses: &BTreeMap<String, SecretUse>,
        until: Timestamp,
    ) -> Result<Opened, Box<Report>> {
        let (mut variables, mut values) = (Vec::with_capacity(uses.len()), Vec::with_capacity(uses.len()));
        for (variable, used) in uses {
            let record = usable(records, function, used).map_err(|why| unusable(variable, &why))?;
            let value = open(&self.keyring, record).map_err(|error| {
                let (tenant, name) = (record.place.tenant, &used.secret);
                tracing::error!(tenant.id = %tenant, %error, "the secret {name} of {tenant} does not open: {error}");
                unusable(variable, &format!("the secret `{name}` does not open; the operator's log says why"))
            })?;
            values.push((used.secret.clone(), value.clone()));
            variables.push((variable.clone(), value, used.hosts.clone()));
        }
        // Long values take it a tenth of a second.
        let made = tokio::task::spawn_blocking(move || Redactor::new(&values)).await;
        let redactor = made.map_err(Error::internal).flatten().map_err(|error| ours(&error))?;
        Ok(Opened { records: Arc::clone(records), until, variables, redactor })
    }
}

/// Nobody's fault but ours: it is tried again without spending a retry.
fn ours(error: &Error) -> Box<Report> {
    tracing::warn!(%error, "an attempt's secrets could not be read");
    let failure = Failure {
        error_type: "Sublet.SecretUnavailable".to_owned(),
        error_message: "the function's secrets could not be read".to_owned(),
        stack_trace: Vec::new(),
    };
    Box::new(failed(Outcome::Cancelled, failure))
}

/// Nobody guesses it, and it needs escaping nowhere.
fn token() -> Result<String, Error> {
    let mut bytes = [0u8; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    Ok(bytes.iter().fold("sublet_placeholder_".to_owned(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opened_values_are_held_up_to_so_many_bytes() {
        let value = |number: u8| {
            let text: String =
                (0..4_000_u32).map(|at| char::from(b'a' + (at * u32::from(number) % 25) as u8)).collect();
            ("long".parse().unwrap(), SecretValue::new(text))
        };
        let redactor = Redactor::new(&[7, 11, 13, 17].map(value)).unwrap();
        let records: Arc<[SecretRecord]> = Arc::new([]);
        let until = Timestamp::from_millis(10);
        let opened = Arc::new(Opened { records: Arc::clone(&records), until, variables: Vec::new(), redactor });
        let fits = OPEN_BYTES_MAX / opened.memory_bytes();
        let (held, key) = (OpenSecrets::default(), |number: usize| (FunctionId::from_raw(number as i64), 1));
        for number in 0..=fits {
            held.keep(key(number), &opened);
        }
        let get = |number: usize| held.get(key(number), &records, Timestamp::ZERO).is_some();
        assert!(!get(0) && get(1) && get(fits), "{fits} of them fit, and the first has left");
        held.sweep(until);
        assert!((0..=fits).all(|number| !get(number)), "their time is over");
    }
}
