//! `/metrics` of a real server against docs/metrics.md.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sublet_testkit::Home;

use super::collector::Collector;
use super::webhook;
use crate::scene::{DEADLINE, event, rule, serve, tenant};

const DOCUMENT: &str = include_str!("../../../../../docs/metrics.md");

/// A row of the document: the kind, and each label with what it may be.
struct Documented {
    kind: String,
    labels: BTreeMap<String, String>,
}

fn documented() -> BTreeMap<String, Documented> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    let read = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split("; ").filter_map(|label| label.split_once("`: "));
        let labels = labels.map(|(label, values)| (label.trim_matches('`').to_owned(), values.to_owned())).collect();
        (cells[1].trim_matches('`').to_owned(), Documented { kind: cells[2].to_owned(), labels })
    });
    read.collect()
}

/// A line of Prometheus text: name, labels, value.
type Sample<'a> = (&'a str, Vec<(&'a str, &'a str)>, f64);

fn sample(line: &str) -> Option<Sample<'_>> {
    let (head, value) = line.rsplit_once(' ')?;
    let (name, labels) = head.split_once('{').unwrap_or((head, ""));
    let pairs = labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
    Some((name, pairs.map(|(label, value)| (label, value.trim_end_matches('"'))).collect(), value.parse().ok()?))
}

/// Something of all that happens in a node's life.
async fn walk(home: &Home, http: &sublet_testkit::Http) -> Result<()> {
    let product = Collector::start().await?;
    webhook(http, "crm", product.address).await?;
    let config = json!({"destinations": {"on_success": "crm"}});
    tenant(http, "acme", &config, "export const handler = async () => 1;").await?;
    let throws = "export const handler = async () => { throw new Error('no'); };";
    tenant(http, "globex", &json!({"retry": {"attempts": 1}}), throws).await?;
    rule(http).await?;
    let mut news = http.stream("/v1/stream").await?;
    for name in ["acme", "globex", "nobody"] {
        http.post("/v1/events", &event(name, "one", &json!({}))).await?.ok()?;
    }
    http.post("/v1/events", &event("acme", "one", &json!({}))).await?.ok()?;
    for name in ["acme", "globex"] {
        news.find(DEADLINE, |event| event["tenant"] == name).await?;
    }
    http.post("/v1/tenants/acme/functions/enrich/invoke", &json!({})).await?.ok()?;
    http.get("/v1/no-such-path").await?;
    http.with_key("slo_nobody-knows-this-key-0123456789").get("/v1/tenants").await?;
    product.until(|taken| !taken.hooks.is_empty()).await?;
    ensure!(!home.log_tail().contains("panicked"), "{}", home.log_tail());
    Ok(())
}

#[tokio::test]
async fn metrics_after_a_walk_are_exactly_the_documented_ones() -> Result<()> {
    let home = Home::new()?;
    let server = serve(&home).await?;
    let http = server.http()?;
    walk(&home, &http).await?;
    let text = reqwest::get(format!("{}/metrics", server.url())).await?.text().await?;
    let document = documented();
    let kinds: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let shown: BTreeSet<&str> = kinds.keys().copied().collect();
    let named: BTreeSet<&str> = document.keys().map(String::as_str).collect();
    assert_eq!(shown, named);
    let paths = http.get("/openapi.json").await?.ok()?;
    let paths = paths["paths"].as_object().context("no paths")?.clone();
    let mut seen = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, labels, value) = sample(line).with_context(|| line.to_owned())?;
        let parts = ["_bucket", "_sum", "_count"];
        let base = parts.iter().find_map(|part| name.strip_suffix(part)).filter(|base| document.contains_key(*base));
        let entry = &document[base.unwrap_or(name)];
        assert_eq!(entry.kind, kinds[base.unwrap_or(name)], "{name}");
        for (label, found) in labels {
            if label == "le" && entry.kind == "histogram" {
                continue;
            }
            let allowed = entry.labels.get(label).with_context(|| format!("{name} has a label {label}"))?;
            let is_allowed = match label {
                "route" => found == "none" || paths.contains_key(found),
                "version" => found == env!("CARGO_PKG_VERSION"),
                "method" => ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"].contains(&found),
                _ if name == "sublet_http_requests_total" => found.ends_with("xx"),
                _ => allowed.split(", ").any(|value| value == found),
            };
            assert!(is_allowed, "{name}: {label} is {found}, of {allowed}");
        }
        seen.insert(line.rsplit_once(' ').context("no value")?.0.to_owned(), value);
    }
    for name in ["acme", "globex", "nobody"] {
        assert!(!text.contains(name), "a name of a customer: {name}");
    }
    // The numbers are those of the walk.
    for (series, least) in [
        ("sublet_events_total{status=\"matched\"}", 2.0),
        ("sublet_events_total{status=\"rejected\"}", 1.0),
        ("sublet_events_total{status=\"repeated\"}", 1.0),
        ("sublet_attempts_total{outcome=\"Succeeded\"}", 1.0),
        ("sublet_attempts_total{outcome=\"Failed\"}", 1.0),
        ("sublet_attempts_total{outcome=\"Crashed\"}", 0.0),
        ("sublet_invokes_total{outcome=\"Succeeded\"}", 1.0),
        ("sublet_dead_letters_total", 1.0),
        ("sublet_auth_failures_total{status=\"401\"}", 1.0),
        ("sublet_deliveries_total{outcome=\"delivered\"}", 1.0),
        ("sublet_dwell_seconds_count", 2.0),
        ("sublet_attempt_cpu_seconds_count", 3.0),
        ("sublet_publish_seconds_count", 4.0),
        ("sublet_store_commit_seconds_count", 1.0),
        ("sublet_worker_starts_total{result=\"ready\"}", 1.0),
        ("sublet_slots", 1.0),
        ("sublet_workers", 1.0),
        ("sublet_disk_free_bytes", 1.0),
        ("sublet_store_log_bytes", 1.0),
        ("process_cpu_seconds_total", 0.01),
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 3.0),
    ] {
        assert!(seen.get(series).is_some_and(|value| *value >= least), "{series} is {:?}", seen.get(series));
    }
    server.stop().await
}
