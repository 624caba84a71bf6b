//! Ending: politely at the first signal, at once at the second.

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::json;
use sublet_testkit::Home;

use crate::scene::{DEADLINE, balance, event, invocations, rule, running, serve, tenant};

/// Longer than it takes to see it run and to send a signal.
const SLOW: &str = "export const handler = async () => { const end = Date.now() + 1500; while (Date.now() < end); };";
const ENDLESS: &str = "export const handler = async () => { for (;;); };";

#[tokio::test]
async fn sigterm_lets_running_attempts_finish_and_settles_them() -> Result<()> {
    let home = Home::new()?;
    let server = serve(&home).await?;
    let http = server.http()?;
    tenant(&http, "acme", &json!({"timeout": "20s", "cpu": "20s"}), SLOW).await?;
    rule(&http).await?;
    for id in ["one", "two"] {
        http.post("/v1/events", &event("acme", id, &json!({}))).await?.ok()?;
    }
    running(&http, "acme", 2).await?;
    server.stop().await?;

    let server = serve(&home).await?;
    let http = server.http()?;
    let found = invocations(&http, "acme").await?;
    assert_eq!(found.len(), 2);
    for invocation in found {
        assert_eq!(invocation["state"], "Succeeded", "{invocation}");
        let attempts = invocation["attempts"].as_array().context("no attempts")?;
        assert_eq!(attempts.len(), 1, "{invocation}");
        assert_eq!(attempts[0]["outcome"], "Succeeded", "{invocation}");
    }
    assert_eq!(balance(&http, "acme").await?["holds"], true);
    server.stop().await
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_the_attempt_is_rescued() -> Result<()> {
    let home = Home::new()?;
    let mut server = serve(&home).await?;
    let http = server.http()?;
    tenant(&http, "mallory", &json!({"timeout": "60s", "cpu": "60s"}), ENDLESS).await?;
    rule(&http).await?;
    http.post("/v1/events", &event("mallory", "one", &json!({}))).await?.ok()?;
    running(&http, "mallory", 1).await?;

    server.signal(Signal::TERM)?;
    // The first signal has arrived once the server is not ready any more, or answers nobody.
    let arrived = async {
        while http.get("/readyz").await.is_ok_and(|answer| answer.status.is_success()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, arrived).await?;
    server.signal(Signal::TERM)?;
    // The drain alone would take half a minute.
    let status = server.ended(std::time::Duration::from_secs(5)).await?;
    assert!(!status.success(), "ending at once is not a clean end");

    let server = serve(&home).await?;
    let found = invocations(&server.http()?, "mallory").await?;
    let attempts = found[0]["attempts"].as_array().context("no attempts")?;
    assert_eq!(attempts[0]["outcome"], "Crashed", "{}", found[0]);
    assert_eq!(found[0]["failed"], 0, "a crash of ours is not the tenant's: {}", found[0]);
    server.kill().await
}
