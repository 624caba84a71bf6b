//! `sublet secret`: what a tenant's functions may use and nobody may read. A value is never a word of the command line,
//! where the shell's history and every process list would have it.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::{Value, json};
use sublet_model::{HostPattern, Name, limit};

use super::TenantArg;
use crate::client::{Client, ClientError};
use crate::print::{Printer, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a secret or give it another value, asked for without an echo, or read from a file or standard input
    Put {
        name: Name,
        #[command(flatten)]
        tenant: TenantArg,
        /// For this function alone; for all of the tenant's when left out
        #[arg(long, short)]
        function: Option<Name>,
        /// Take the value from a file, or from standard input with `-`; one line break at its end is left out
        #[arg(long)]
        from_file: Option<PathBuf>,
        /// Bind it to a host such as api.example.com or *.example.com: functions get a placeholder, never the value; repeatable
        #[arg(long = "host", conflicts_with = "any_host")]
        hosts: Vec<HostPattern>,
        /// Unbind it from its hosts
        #[arg(long)]
        any_host: bool,
    },
    /// List a tenant's secrets and those of its functions, without their values
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// This function's own
        #[arg(long, short)]
        function: Option<Name>,
    },
    /// Delete a secret; functions that use it fail from then on
    Delete {
        name: Name,
        #[command(flatten)]
        tenant: TenantArg,
        /// This function's own
        #[arg(long, short)]
        function: Option<Name>,
    },
    /// Seal everybody's secrets anew under the first configured master key (operator)
    RotateKeys,
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Put { name, tenant, function, from_file, hosts, any_host } => {
            let mut body = json!({"value": value(from_file)?});
            if any_host || !hosts.is_empty() {
                body["hosts"] = json!(hosts);
            }
            let secret = client.put(&path(&tenant, &name, function.as_ref()), &body).await?;
            printer.record(&secret, FIELDS);
        }
        Command::List { tenant, function } => {
            let path = format!("/v1/tenants/{}/secrets", tenant.tenant);
            let listing = client.list(&path, &[("function", function.map(|name| name.to_string()))]).await?;
            let columns = [
                ("name", "name"),
                ("function", "function"),
                ("hosts", "hosts"),
                ("fingerprint", "fingerprint"),
                ("changed", "changed"),
            ];
            printer.listing(&listing, &columns);
        }
        Command::Delete { name, tenant, function } => {
            let answer = client.delete(&path(&tenant, &name, function.as_ref())).await?;
            printer.done(&answer, &format!("secret {name} is deleted"));
        }
        Command::RotateKeys => return rotate_keys(client, printer).await,
    }
    Ok(ExitCode::SUCCESS)
}

const FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("function", "function"),
    ("hosts", "hosts"),
    ("fingerprint", "fingerprint"),
    ("created", "created"),
    ("changed", "changed"),
];

fn path(tenant: &TenantArg, name: &Name, function: Option<&Name>) -> String {
    let query = function.map_or(String::new(), |function| format!("?function={function}"));
    format!("/v1/tenants/{}/secrets/{name}{query}", tenant.tenant)
}

/// Page by page, saying how far it is. Ends with 1 when some could not be opened.
async fn rotate_keys(client: &Client, printer: Printer) -> Result<ExitCode> {
    let (mut resealed, mut unreadable) = (0, 0);
    let mut query = String::new();
    let last = loop {
        let step = client.post(&format!("/v1/secrets/reseal?limit=200{query}"), &json!({})).await?;
        resealed += step["resealed"].as_u64().unwrap_or(0);
        unreadable += step["unreadable"].as_u64().unwrap_or(0);
        let Some(next) = step["next"].as_str() else { break step };
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K{resealed} sealed anew");
        }
        query = format!("&cursor={}", next.replace(' ', "%20"));
    };
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    let whole = json!({"key": last["key"], "resealed": resealed, "unreadable": unreadable, "keys": last["keys"]});
    printer.done(&whole, &told(&whole));
    Ok(if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told(whole: &Value) -> String {
    let key = cell(&whole["key"]);
    let mut text = format!("{} secrets were sealed anew with the master key {key}", whole["resealed"]);
    let others = whole["keys"].as_array().into_iter().flatten().filter(|other| other["key"] != whole["key"]);
    let mut is_alone = true;
    for other in others {
        is_alone = false;
        let missing = if other["configured"] == true { "" } else { ", which is not configured" };
        text.push_str(&format!("\n{} still need the key {}{missing}", other["secrets"], cell(&other["key"])));
    }
    if is_alone {
        text.push_str("; no other is needed any more");
    }
    text
}

/// Longer than any value: what a file may hold.
const INPUT_BYTES_MAX: u64 = 4 * limit::SECRET_BYTES_MAX as u64;

fn value(from_file: Option<PathBuf>) -> Result<String> {
    let text = match from_file {
        Some(file) if file.as_os_str() != "-" => {
            let open = std::fs::File::open(&file).with_context(|| format!("cannot read {}", file.display()))?;
            read(open).with_context(|| format!("cannot read {}", file.display()))?
        }
        None if std::io::stdin().is_terminal() => prompted()?,
        _ => read(std::io::stdin()).context("cannot read standard input")?,
    };
    // Editors, `echo` and the terminal end it with one, and no value is meant to.
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err(ClientError::Usage("the value is empty".to_owned()).into());
    }
    Ok(text.to_owned())
}

fn read(from: impl Read) -> Result<String> {
    let mut text = String::new();
    from.take(INPUT_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Puts the terminal back as it was, however this ends but by a signal.
struct Silenced(Termios);

impl Drop for Silenced {
    fn drop(&mut self) {
        // There is nothing to be done about a terminal that is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
        eprintln!();
    }
}

fn prompted() -> Result<String> {
    let before = tcgetattr(std::io::stdin()).context("cannot ask for the value")?;
    let mut silent = before.clone();
    // Without signals too: an interrupt would leave the terminal silent. It comes as a character and ends nothing.
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent).context("cannot ask for the value")?;
    let silenced = Silenced(before);
    eprint!("value (not shown; end with the enter key): ");
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    drop(silenced);
    read.context("cannot read the value")?;
    // An interrupt, and the end of the transmission.
    if line.contains(['\u{3}', '\u{4}']) {
        return Err(ClientError::Usage("interrupted; nothing was changed".to_owned()).into());
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_from_a_file_without_its_last_line_break() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, wanted) in
            [("sk_live_1\n", "sk_live_1"), ("a\r\n", "a"), ("-----\nkey\n\n", "-----\nkey\n"), ("b", "b")]
        {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(value(Some(file.path().to_owned())).unwrap(), wanted);
        }
        std::fs::write(file.path(), "\n").unwrap();
        assert!(value(Some(file.path().to_owned())).is_err());
    }

    #[test]
    fn what_is_left_to_do_is_told() {
        let whole = json!({"key": "aa", "resealed": 3, "unreadable": 0, "keys": [{"key": "aa", "secrets": 5, "configured": true}]});
        assert!(told(&whole).ends_with("no other is needed any more"));
        let whole = json!({"key": "aa", "resealed": 0, "unreadable": 2, "keys": [{"key": "bb", "secrets": 2, "configured": false}]});
        assert!(told(&whole).contains("2 still need the key bb, which is not configured"));
    }
}
