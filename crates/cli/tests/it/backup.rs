//! `sublet backup` beside a running server that is busy, and `sublet restore`: a server starts on what was restored.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sublet_testkit::{Home, Http};
use tokio::process::Command;
use tokio::sync::Notify;

use crate::scene::{PROGRAM, event, rule, serve, settled, tenant};

const TENANT: &str = "acme";
/// Events before the backup begins; every fourth is long enough to be kept beside the database.
const EVENTS_BEFORE: usize = 60;
const CODE: &str = "export const handler = async (event) => ({ n: event.detail.n, echo: event.detail.fill });";

async fn sublet(arguments: &[&str], folders: &[&Path]) -> Result<Output> {
    Ok(Command::new(PROGRAM).args(arguments).arg(folders[0]).args(["--data".as_ref(), folders[1]]).output().await?)
}

/// Answers Sublet's id.
async fn publish(http: &Http, n: usize) -> Result<String> {
    let fill = "x".repeat(if n.is_multiple_of(4) { 30_000 } else { 10 });
    let answer = http.post("/v1/events", &event(TENANT, &format!("event-{n}"), &json!({"n": n, "fill": fill}))).await?;
    Ok(answer.ok()?["id"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_server_is_restored_with_everything_acknowledged_before() -> Result<()> {
    let (home, second) = (Home::new()?, Home::new()?);
    let server = serve(&home).await?;
    let http = server.http()?;
    tenant(&http, TENANT, &json!({}), CODE).await?;
    rule(&http).await?;
    let mut before = Vec::new();
    for n in 0..EVENTS_BEFORE {
        before.push(publish(&http, n).await?);
    }

    let to = home.path().join("backup");
    let (ends, published) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let load = tokio::spawn({
        let (http, ends, published) = (http.clone(), Arc::clone(&ends), Arc::clone(&published));
        async move {
            for n in EVENTS_BEFORE.. {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                publish(&http, n).await?;
                published.notify_one();
            }
            anyhow::Ok(())
        }
    });
    published.notified().await;
    let taken = sublet(&["backup", "--json", "--to"], &[&to, &home.data()]).await?;
    ends.store(true, Ordering::Relaxed);
    load.await??;
    ensure!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    let manifest: Value = serde_json::from_slice(&taken.stdout)?;
    assert_eq!(manifest["tenants"], 1);
    assert!(manifest["bodies"]["count"].as_u64() >= Some(EVENTS_BEFORE as u64 / 4), "{manifest}");
    server.stop().await?;

    let held = sublet(&["restore", "--from"], &[&to, &home.data()]).await?;
    assert!(!held.status.success());
    assert!(String::from_utf8_lossy(&held.stderr).contains("is not empty"));
    let restored = sublet(&["restore", "--from"], &[&to, &second.data()]).await?;
    ensure!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let server = serve(&second).await?;
    let http = server.http()?;
    let mut news = http.stream("/v1/stream").await?;
    for id in &before {
        let kept = http.get(&format!("/v1/events/{id}")).await?.ok()?;
        assert_eq!(kept["status"], "matched", "{kept}");
    }
    // One more, so that there is news however much had run by the backup's moment.
    publish(&http, usize::MAX).await?;
    settled(&http, &[TENANT], &mut news).await?;
    let balance = http.get(&format!("/v1/tenants/{TENANT}/balance")).await?.ok()?;
    assert_eq!(balance["holds"], true);
    assert_eq!(balance["succeeded"], balance["accepted"], "{balance}");
    assert!(balance["accepted"].as_u64() > Some(EVENTS_BEFORE as u64), "{balance}");
    server.stop().await
}
