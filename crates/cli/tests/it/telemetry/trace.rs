//! Traces and metrics of a real server at a real collector; and a collector that is not there.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use sublet_testkit::Home;

use super::collector::{Collector, attribute};
use super::{publish, serve_by, webhook};
use crate::scene::{DEADLINE, event, rule, tenant};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID: &str = "b7ad6b7169203331";
const ECHO: &str = "export const handler = async (event, context) => ({ trace: context.traceparent });";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn one_publish_is_one_trace_at_the_collector_and_metrics_follow() -> Result<()> {
    let collector = Collector::start().await?;
    let home = Home::new()?;
    let config = format!(
        "[telemetry]\notlp_endpoint = \"http://{}\"\nmetrics_interval = \"1s\"\nservice_name = \"acme-sublet\"\n\
         otlp_headers = {{ x-team = \"platform\" }}\n",
        collector.address
    );
    let server = serve_by(&home, &config).await?;
    let http = server.http()?;
    webhook(&http, "crm", collector.address).await?;
    tenant(&http, "acme", &json!({"destinations": {"on_success": "crm"}}), ECHO).await?;
    rule(&http).await?;
    let mut news = http.stream("/v1/stream").await?;
    let parent = format!("00-{TRACE_ID}-{PARENT_ID}-01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "rojo=1")];
    publish(&http, home.key(), &headers, &event("acme", "one", &json!({"secret": "not-in-a-span"}))).await?;
    let result = news.find(DEADLINE, |event| event["detail"]["event"] == "one").await?;

    let taken = collector.until(|taken| taken.span("deliver").is_some() && taken.span("settle").is_some()).await?;
    let span = |name: &str| taken.span(name).with_context(|| format!("no span {name}: {:?}", taken.spans));
    let (publish_span, attempt, deliver) = (span("publish")?, span("attempt")?, span("deliver")?);
    assert_eq!(hex(&publish_span.parent_span_id), PARENT_ID);
    for (child, parent) in [
        ("dispatch", publish_span),
        ("store.publish", publish_span),
        ("dwell", publish_span),
        ("attempt", publish_span),
        ("settle", attempt),
        ("deliver", attempt),
    ] {
        let child = span(child)?;
        assert_eq!(child.parent_span_id, parent.span_id, "{child:?}");
    }
    for span in &taken.spans {
        assert_eq!((hex(&span.trace_id).as_str(), span.trace_state.as_str()), (TRACE_ID, "rojo=1"), "{span:?}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        assert!(!format!("{span:?}").contains("not-in-a-span"), "no bodies: {span:?}");
    }
    assert_eq!(attribute(publish_span, "http.route"), Some("/v1/events"));
    assert_eq!(attribute(publish_span, "http.request.method"), Some("POST"));
    assert_eq!(
        (attribute(attempt, "faas.name"), attribute(attempt, "sublet.outcome")),
        (Some("enrich"), Some("Succeeded"))
    );
    assert_eq!(attribute(attempt, "sublet.tenant.name"), Some("acme"));
    // The function and the webhook's receiver can go on with it.
    let own = |span: &opentelemetry_proto::tonic::trace::v1::Span| format!("00-{TRACE_ID}-{}-01", hex(&span.span_id));
    assert_eq!(result["detail"]["result"]["trace"], own(attempt), "{result}");
    assert_eq!(taken.hooks[0]["traceparent"], own(deliver).as_str());
    assert_eq!(taken.hooks[0]["tracestate"], "rojo=1");
    assert!(format!("{:?}", taken.resources[0]).contains("acme-sublet"), "{:?}", taken.resources[0]);
    assert!(taken.headers.iter().all(|headers| headers["x-team"] == "platform"));

    let counted = |name: &'static str, label: &'static str| {
        move |taken: &super::collector::Taken| taken.sum(name, label) >= Some(1.0)
    };
    collector.until(counted("sublet_attempts_total", "Succeeded")).await?;
    collector.until(counted("sublet_telemetry_exports_total", "sent")).await?;

    // A trace that begins here; what is still on its way when the server ends arrives all the same.
    let before = collector.until(|_| true).await?.spans.len();
    publish(&http, home.key(), &[], &event("acme", "two", &json!({}))).await?;
    server.stop().await?;
    let taken = collector.until(|taken| taken.spans[before..].iter().any(|span| span.name == "publish")).await?;
    let fresh = taken.spans[before..].iter().find(|span| span.name == "publish").context("no span")?;
    assert!(fresh.parent_span_id.is_empty() && hex(&fresh.trace_id) != TRACE_ID, "{fresh:?}");
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_down_costs_spans_and_nothing_else() -> Result<()> {
    let home = Home::new()?;
    // Nothing listens on port 1 of this machine.
    let server = serve_by(&home, "[telemetry]\notlp_endpoint = \"http://127.0.0.1:1\"\n").await?;
    let http = server.http()?;
    tenant(&http, "acme", &json!({}), ECHO).await?;
    rule(&http).await?;
    let mut news = http.stream("/v1/stream").await?;
    for number in 0..20 {
        http.post("/v1/events", &event("acme", &format!("e-{number}"), &json!({}))).await?.ok()?;
    }
    for _ in 0..20 {
        news.find(DEADLINE, |event| event["detail-type"] == "Invocation Succeeded").await?;
    }
    let counted = async {
        loop {
            let text = reqwest::get(format!("{}/metrics", http.url())).await?.text().await?;
            let dropped =
                text.lines().find_map(|line| line.strip_prefix("sublet_telemetry_spans_total{result=\"dropped\"} "));
            if dropped.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count > 0) {
                return anyhow::Ok(text);
            }
            tokio::task::yield_now().await;
        }
    };
    let text = tokio::time::timeout(DEADLINE, counted).await.context("no span was counted as dropped")??;
    assert!(!text.contains("sublet_telemetry_exports_total{result=\"failed\"} 0"), "{text}");
    assert_eq!(http.get("/readyz").await?.ok()?["status"], "ready");
    // Its end waits for the collector no longer than it says.
    let mut server = server;
    server.signal(rustix::process::Signal::TERM)?;
    assert!(server.ended(Duration::from_secs(30)).await?.success());
    let log = home.log_tail();
    assert_eq!(log.matches("does not take telemetry").count(), 1, "said once: {log}");
    Ok(())
}
