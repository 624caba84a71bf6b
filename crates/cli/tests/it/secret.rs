//! A secret's value, from the terminal to a real attempt: in no file, no log, no answer.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sublet_testkit::{Home, Server};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::scene::{PROGRAM, event, rule, settled, tenant};
use crate::terminal::Terminal;

const VALUE: &str = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";
/// Says all it knows, by every way out that there is.
const CODE: &str = r#"
export const handler = async (event) => {
  console.log("key", process.env.STRIPE, { again: process.env.STRIPE });
  if (event.detail?.throws) throw new Error(`no luck with ${process.env.STRIPE}`);
  return { key: process.env.STRIPE, base64: event.detail?.basic, length: process.env.STRIPE.length };
};
"#;

/// Every file below `folder` that has the value in it.
fn files_with_the_value(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_with_the_value(&path)?);
        } else if std::fs::read(&path)?.windows(VALUE.len()).any(|window| window == VALUE.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secrets_value_is_in_no_file_no_log_and_no_answer() -> Result<()> {
    let home = Home::new()?;
    let config = home.path().join("sublet.toml");
    std::fs::write(&config, "[log]\nfilter = \"trace\"\n")?;
    let config = config.to_str().context("a path")?;
    let server = Server::start_with(PROGRAM, &home, &["--config", config]).await?;
    let http = server.http()?;
    tenant(&http, "acme", &json!({}), "export const handler = () => 1;").await?;
    rule(&http).await?;

    let mut put = Command::new(PROGRAM)
        .args(["secret", "put", "stripe", "--tenant", "acme"])
        .env("SUBLET_URL", server.url())
        .env("SUBLET_KEY", home.key())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    put.stdin.take().context("no input")?.write_all(format!("{VALUE}\n").as_bytes()).await?;
    let put = put.wait_with_output().await?;
    ensure!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
    ensure!(!String::from_utf8_lossy(&put.stdout).contains(VALUE));

    let path = "/v1/tenants/acme/functions/enrich";
    http.put(path, &json!({"secrets": {"STRIPE": {"secret": "stripe"}}})).await?.ok()?;
    http.upload(&format!("{path}/versions"), "text/javascript", CODE.into()).await?.ok()?;
    let mut news = http.stream("/v1/stream").await?;
    let answer = http.post(&format!("{path}/invoke"), &json!({})).await?.ok()?;
    assert_eq!(answer["key"], "[redacted:stripe]");
    assert_eq!(answer["length"], VALUE.len(), "the code had the value itself");
    let failed = http.post(&format!("{path}/invoke"), &json!({"detail": {"throws": true}})).await?;
    assert!(failed.body.to_string().contains("no luck with [redacted:stripe]"), "{}", failed.body);
    http.post("/v1/events", &event("acme", "one", &json!({}))).await?.ok()?;
    settled(&http, &["acme"], &mut news).await?;
    let terminal = Terminal::new(server.url(), home.key());
    let told = [
        terminal.ok(&["logs", "--tenant", "acme"]).await?,
        terminal.ok(&["secret", "list", "--tenant", "acme", "--json"]).await?,
        terminal.ok(&["audit", "list", "--json"]).await?,
    ];
    assert!(told[0].contains("key [redacted:stripe] {\"again\":\"[redacted:stripe]\"}"), "{}", told[0]);
    for text in &told {
        ensure!(!text.contains(VALUE), "{text}");
    }
    let rotated = terminal.json(&["secret", "rotate-keys"]).await?;
    assert_eq!((&rotated["resealed"], &rotated["keys"][0]["secrets"]), (&json!(0), &json!(1)));

    let backup = home.path().join("backup");
    let data = home.data();
    let (to, from) = (backup.to_str().context("a path")?, data.to_str().context("a path")?);
    let taken = terminal.run(&["backup", "--to", to, "--data", from]).await?;
    ensure!(taken.code == 0 && taken.err.contains("secrets.key is not part of it"), "{taken:?}");
    assert!(!backup.join("secrets.key").exists() && data.join("secrets.key").exists());
    server.stop().await?;
    let log = std::fs::read_to_string(home.path().join("server.log"))?;
    ensure!(log.contains("DEBUG"), "the log tells too little");
    ensure!(log.contains("secrets.key, the master key that secrets are sealed with"), "the key was made in silence");
    ensure!(!log.contains(VALUE), "the log has the value");
    assert_eq!(files_with_the_value(home.path())?, Vec::<String>::new());
    Ok(())
}
