//! What must be true of the books once the dust has settled.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sublet_testkit::Http;

use super::load::PublishedEvent;
use super::receiver::Results;
use crate::scene::{all, balance, invocations};

/// What was found of one tenant.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) invocations: usize,
    /// Attempts that a kill cut off.
    pub(super) crashed: usize,
}

/// Checks one tenant's events, invocations, balance and usage against what was acknowledged.
pub(super) async fn of_tenant(http: &Http, tenant: &str, published: &[PublishedEvent]) -> Result<Found> {
    let own: Vec<&PublishedEvent> = published.iter().filter(|event| event.tenant == tenant).collect();
    ensure!(!own.is_empty(), "nothing was published for {tenant}");
    let by_id: HashMap<String, Value> =
        invocations(http, tenant).await?.into_iter().map(|invocation| (text(&invocation["id"]), invocation)).collect();

    let mut invoked = HashSet::new();
    for event in &own {
        invoked.insert(of_event(http, event, &by_id).await.with_context(|| format!("{event:?}"))?);
    }
    ensure!(invoked.len() == own.len(), "two of {tenant}'s events led to one invocation");
    ensure!(by_id.len() == own.len(), "{tenant} has {} events and {} invocations", own.len(), by_id.len());

    of_balance(http, tenant, &by_id).await?;
    of_usage(http, tenant, &by_id).await?;
    of_listing(http, tenant, own.len()).await?;
    let attempts = by_id.values().flat_map(|invocation| invocation["attempts"].as_array().into_iter().flatten());
    let crashed = attempts.filter(|attempt| attempt["outcome"] == "Crashed").count();
    Ok(Found { invocations: by_id.len(), crashed })
}

/// An acknowledged event exists, and its one invocation has ended as its number says. Answers the invocation's id.
async fn of_event(http: &Http, event: &PublishedEvent, invocations: &HashMap<String, Value>) -> Result<String> {
    let explained = http.get(&format!("/v1/events/{}", event.event)).await?.ok()?;
    ensure!(explained["status"] == "matched" && explained["event"]["id"] == event.id.as_str(), "{explained}");
    let led_to = explained["invocations"].as_array().context("no invocations")?;
    ensure!(led_to.len() == 1, "led to {} invocations", led_to.len());
    let id = text(&led_to[0]["id"]);
    let invocation = invocations.get(&id).with_context(|| format!("{id} is not in the tenant's listing"))?;
    let attempts = invocation["attempts"].as_array().context("no attempts")?;
    let ended_as = |outcome: &str| attempts.iter().filter(|attempt| attempt["outcome"] == outcome).count();
    let must_fail = explained["event"]["detail"]["n"].as_u64().is_some_and(|n| n % 10 == 7);
    let expected = if must_fail { ("DeadLettered", 2, 0) } else { ("Succeeded", 0, 1) };
    let found = (invocation["state"].as_str().unwrap_or_default(), ended_as("Failed"), ended_as("Succeeded"));
    ensure!(found == expected, "want {expected:?}, found {found:?}: {invocation}");
    // Whatever else began was cut off by a kill.
    ensure!(attempts.len() == found.1 + found.2 + ended_as("Crashed"), "{invocation}");
    Ok(id)
}

/// accepted = succeeded + dead-lettered, and both as counted from the invocations themselves.
async fn of_balance(http: &Http, tenant: &str, invocations: &HashMap<String, Value>) -> Result<()> {
    let balance = balance(http, tenant).await?;
    let count = |state: &str| invocations.values().filter(|invocation| invocation["state"] == state).count();
    let terms = [
        ("accepted", invocations.len()),
        ("succeeded", count("Succeeded")),
        ("dead_lettered", count("DeadLettered")),
        ("expired", 0),
        ("cancelled", 0),
        ("waiting", 0),
        ("in_flight", 0),
    ];
    for (term, counted) in terms {
        ensure!(balance[term].as_u64() == Some(counted as u64), "{tenant}: {term} should be {counted}: {balance}");
    }
    Ok(())
}

/// The ledger's sums are those of the attempts.
async fn of_usage(http: &Http, tenant: &str, invocations: &HashMap<String, Value>) -> Result<()> {
    let total = http.get(&format!("/v1/tenants/{tenant}/usage")).await?.ok()?["total"].clone();
    let attempts: Vec<&Value> =
        invocations.values().flat_map(|invocation| invocation["attempts"].as_array().into_iter().flatten()).collect();
    let succeeded = attempts.iter().filter(|attempt| attempt["outcome"] == "Succeeded").count() as u64;
    let sum = |field: &str| attempts.iter().filter_map(|attempt| attempt["usage"][field].as_u64()).sum::<u64>();
    let terms = [
        ("attempts", attempts.len() as u64),
        ("succeeded", succeeded),
        ("failed", attempts.len() as u64 - succeeded),
        ("wall_us", sum("wall_us")),
        ("cpu_us", sum("cpu_us")),
        ("bytes_in", sum("bytes_in")),
        ("bytes_out", sum("bytes_out")),
    ];
    for (term, counted) in terms {
        ensure!(total[term].as_u64() == Some(counted), "{tenant}: {term} should be {counted}: {total}");
    }
    ensure!(sum("cpu_us") > 0, "nothing was measured");
    Ok(())
}

/// Each event was stored once however often it was published, and each invocation has one result event.
async fn of_listing(http: &Http, tenant: &str, published: usize) -> Result<()> {
    let events = all(http, &format!("/v1/events?tenant={tenant}")).await?;
    let of_source = |source: &str| -> Vec<&Value> {
        events.iter().map(|row| &row["event"]).filter(|event| event["source"] == source).collect()
    };
    let (load, results) = (of_source("load"), of_source("sublet"));
    let ids: HashSet<String> = load.iter().map(|event| text(&event["id"])).collect();
    ensure!(
        (load.len(), ids.len()) == (published, published),
        "{tenant}: {} stored, {published} published",
        load.len()
    );
    let ended: HashSet<String> = results.iter().map(|event| text(&event["detail"]["invocation"])).collect();
    ensure!((results.len(), ended.len()) == (published, published), "{tenant}: {} result events", results.len());
    Ok(())
}

/// Every result came at least once, and always as the same event.
pub(super) fn of_deliveries(results: &Results) {
    for (invocation, received) in results {
        assert!(received.deliveries >= 1);
        assert_eq!(received.events.len(), 1, "{invocation} was delivered as several events: {received:?}");
        assert_eq!(received.webhook_ids.len(), 1, "{invocation} was delivered under several ids: {received:?}");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
