//! The lines of a real server's JSON log.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sublet_testkit::Home;

use super::{publish, serve_by};
use crate::scene::{DEADLINE, event, rule, tenant};
use crate::terminal::Terminal;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// Fields that a line may have beside its message, as style asks: dotted, the same everywhere.
fn is_dotted(field: &str) -> bool {
    let plain =
        ["message", "error", "duration_ms", "count", "reason", "number", "lines", "events", "signal", "cause", "path"];
    plain.contains(&field) || field.contains('.') || field.starts_with("log.")
}

#[tokio::test]
async fn lines_are_json_tell_who_and_what_and_hold_no_secret() -> Result<()> {
    let home = Home::new()?;
    let config = "[log]\nformat = \"json\"\nfilter = \"warn,sublet=debug,sublet_server=debug,sublet_engine=debug,\
                  sublet_store_sqlite=debug,sublet_sandbox=debug\"\n";
    let server = serve_by(&home, config).await?;
    let http = server.http()?;
    tenant(&http, "acme", &json!({}), "export const handler = async () => 'result-text';").await?;
    rule(&http).await?;
    let made = Terminal::new(server.url(), home.key()).json(&["key", "create", "--tenant", "acme"]).await?;
    let secret = made["secret"].as_str().context("no secret")?;
    let mut news = http.stream("/v1/stream").await?;
    let parent = format!("00-{TRACE_ID}-b7ad6b7169203331-00");
    let answer =
        publish(&http, home.key(), &[("traceparent", &parent)], &event("acme", "one", &json!({"card": "body-text"})))
            .await?;
    let request_id = answer.headers()["x-request-id"].to_str()?.to_owned();
    news.find(DEADLINE, |event| event["detail"]["event"] == "one").await?;
    let refused = http.put("/v1/tenants/Not A Name", &json!({})).await?;
    let refused_id = refused.body["request_id"].as_str().context("a problem without its request's id")?.to_owned();
    server.stop().await?;

    let log = std::fs::read_to_string(home.path().join("server.log"))?;
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect::<Result<_>>()?;
    for line in &lines {
        let fields = line["fields"].as_object().with_context(|| line.to_string())?;
        assert!(line["timestamp"].is_string() && line["level"].is_string() && fields["message"].is_string(), "{line}");
        for field in fields.keys() {
            assert!(is_dotted(field), "`{field}` of {line}");
        }
    }
    for hidden in [home.key(), secret, "body-text", "result-text", "Bearer"] {
        assert!(!log.contains(hidden), "the log holds {hidden}");
    }
    let of = |id: &str| {
        lines.iter().find(|line| line["fields"]["request.id"] == id && line["fields"]["duration_ms"].is_f64())
    };
    let published = of(&request_id).context("no line of the publish")?;
    assert_eq!(published["level"], "DEBUG", "as many as callers please");
    let fields = &published["fields"];
    assert_eq!((&fields["http.method"], &fields["http.route"]), (&json!("POST"), &json!("/v1/events")), "{published}");
    assert_eq!((&fields["http.status"], &fields["trace.id"]), (&json!(202), &json!(TRACE_ID)), "{published}");
    assert!(fields["key.id"].as_str().is_some_and(|id| id.starts_with("key_")), "{published}");
    let refused = of(&refused_id).context("no line of the refusal")?;
    assert_eq!((&refused["level"], &refused["fields"]["http.status"]), (&json!("INFO"), &json!(400)), "{refused}");
    let changes = lines.iter().filter(|line| line["level"] == "INFO" && line["fields"]["http.method"] == "PUT");
    assert!(changes.count() >= 3, "changes are told at info");
    Ok(())
}
