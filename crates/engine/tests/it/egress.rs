//! What code asks of the world outside: under which lists, and what is kept of it.

use std::sync::Arc;

use sublet_engine::{PackageKind, Viewer};
use sublet_model::{EgressRule, ErrorKind, FunctionConfig, Outcome};
use sublet_sandbox::egress::{FetchRecord, Gateway, GatewayParts};
use sublet_sandbox::{Attempt, Report};
use sublet_store::{Ledger, Page, Queue, Stop, StoppedBy, TenantSpec, UsageQuery};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::harness::*;

/// Answers every request with nothing, on 127.0.0.1.
async fn server() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4_096];
            while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    });
    address
}

#[tokio::test]
async fn what_code_asked_for_is_recorded_and_booked() {
    let address = server().await;
    let gateway = Gateway::with(GatewayParts { insecure_allow: vec![address], ..GatewayParts::default() });
    let (engine, store) = House::of_sandbox(Scripted::acting(asking), gateway).await;
    let registry = engine.registry();
    let (url, rule) = (format!("http://{address}/?key=s3cret"), format!("http://{address}"));
    let rules = |given: &[&str]| given.iter().map(|text| text.parse::<EgressRule>().unwrap()).collect::<Vec<_>>();
    let spec = |ceiling: &[&str]| TenantSpec { egress: rules(ceiling).into(), ..TenantSpec::default() };
    let acme = registry.put_tenant(&name("acme"), spec(&[])).await.unwrap().0;
    let config = FunctionConfig { egress: rules(&[&rule]), ..FunctionConfig::default() };
    registry.put_function(acme.id, &name("enrich"), config).await.unwrap();
    engine.deploy(&acme, &name("enrich"), url.into(), PackageKind::JavaScript, true).await.unwrap();
    let invoke = async || {
        let tenant = engine.registry().tenant("acme").await.unwrap().unwrap();
        let request = call_of(&tenant);
        let answer = engine.invoke(request).await.unwrap();
        let attempt = store.attempts(acme.id, answer.invocation.unwrap()).await.unwrap().remove(0);
        let records: Vec<FetchRecord> = serde_json::from_slice(&attempt.end.fetches.unwrap()).unwrap();
        assert_eq!(records, answer.report.fetches);
        (String::from_utf8(answer.report.result.unwrap().to_vec()).unwrap(), records, attempt.end.usage)
    };

    // The operator allows nothing.
    let (told, records, usage) = invoke().await;
    assert!(told.contains("but the operator's ceiling does not allow it"), "{told}");
    assert!(records[0].refused && records[0].url.ends_with("/?key"), "{records:?}");
    assert_eq!((usage.fetches, usage.egress_bytes), (1, 0));

    // A new ceiling holds for the next attempt, a new list of the function not before its next version.
    registry.put_tenant(&name("acme"), spec(&["*", &rule])).await.unwrap();
    registry.put_function(acme.id, &name("enrich"), FunctionConfig::default()).await.unwrap();
    let (told, records, usage) = invoke().await;
    assert_eq!((told.as_str(), records[0].status), ("\"200\"", Some(200)));
    assert_eq!(usage.egress_bytes, records[0].bytes_out + records[0].bytes_in);
    let query = UsageQuery { tenant: Some(acme.id), function: None, from: START.hour(), to: START + TWO_HOURS };
    let sum = store.usage(query).await.unwrap()[0].sum;
    assert_eq!((sum.fetches, sum.egress_bytes), (2, usage.egress_bytes));

    // An event's attempt goes the same way, and its story tells of it.
    engine.registry().put_rule(None, &name("dispatch"), rule_of_todo()).await.unwrap();
    let receipt = engine.publish(vec![event("acme", None, "{}")]).await.unwrap().remove(0).unwrap();
    let story = loop {
        let story = engine.explain(receipt.id, Viewer::Tenant(acme.id)).await.unwrap();
        if story.invocations.first().is_some_and(|invocation| !invocation.attempts.is_empty()) {
            break story;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(story.invocations[0].attempts[0].fetches[0].status, Some(200));
    assert_eq!(store.invocations(acme.id, Default::default(), Page::new(None, 10)).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn what_an_attempt_asked_for_until_it_was_stopped_is_recorded_redacted_and_booked() {
    let address = server().await;
    let gateway = Gateway::with(GatewayParts { insecure_allow: vec![address], ..GatewayParts::default() });
    let asked = Arc::new(Notify::new());
    let has_asked = Arc::clone(&asked);
    // Asks a path that it makes of its secret, and then goes on for ever.
    let sandbox = Scripted::acting(move |url: String, attempt: Attempt| {
        let has_asked = Arc::clone(&has_asked);
        async move {
            let url = format!("{url}/{}", attempt.environment[0].1);
            asking(url, attempt).await;
            has_asked.notify_one();
            std::future::pending::<Report>().await
        }
    });
    let (engine, store) = House::of_sandbox(sandbox, gateway).await;
    let (acme, rules) = tenant_with_secret(&engine, address).await;
    let secrets = serde_json::from_str(r#"{"STRIPE": {"secret": "stripe"}}"#).unwrap();
    let config = FunctionConfig { secrets, egress: rules, ..FunctionConfig::default() };
    engine.registry().put_function(acme.id, &name("enrich"), config).await.unwrap();
    let url = format!("http://{address}");
    engine.deploy(&acme, &name("enrich"), url.into(), PackageKind::JavaScript, true).await.unwrap();
    let request = call_of(&acme);
    let caller = engine.clone();
    let call = tokio::spawn(async move { caller.invoke(request).await });
    asked.notified().await;
    let stop = Stop { reason: "it tells a secret".to_owned(), by: StoppedBy::Operator, at: START };
    assert_eq!(engine.stop_function(&acme, &name("enrich"), stop, false).await.unwrap(), 1);
    assert_eq!(call.await.unwrap().unwrap_err().kind, ErrorKind::Conflict);

    let stopped = store.invocations(acme.id, Default::default(), Page::new(None, 10)).await.unwrap().items.remove(0);
    let end = store.attempts(acme.id, stopped.id).await.unwrap().remove(0).end;
    assert_eq!((end.outcome, &end.log[..]), (Outcome::Cancelled, &b"[redacted:stripe]\nhello\n"[..]));
    let records: Vec<FetchRecord> = serde_json::from_slice(&end.fetches.unwrap()).unwrap();
    assert_eq!((records.len(), records[0].status), (1, Some(200)));
    assert!(records[0].url.ends_with("/[redacted:stripe]"), "{records:?}");
    assert_eq!((end.usage.fetches, end.usage.egress_bytes), (1, records[0].bytes_out + records[0].bytes_in));
    assert!(end.usage.egress_bytes > 0);
}

const TWO_HOURS: std::time::Duration = std::time::Duration::from_secs(7_200);

fn rule_of_todo() -> sublet_model::RuleSpec {
    rule(r#"{"source":["todo"]}"#, r#"[{"tenant":"enrich"}]"#)
}

#[tokio::test]
async fn a_ceiling_that_is_wrong_names_its_field() {
    let (engine, _) = House::of_sandbox(Scripted::acting(asking), Gateway::default()).await;
    let many: Vec<EgressRule> = vec!["example.com".parse().unwrap(); 65];
    let spec = TenantSpec { egress: many.into(), ..TenantSpec::default() };
    let error = engine.registry().put_tenant(&name("acme"), spec).await.unwrap_err();
    assert_eq!(error.field.as_deref(), Some("egress"));
    let acme = engine.registry().put_tenant(&name("acme"), TenantSpec::default()).await.unwrap().0;
    let config = FunctionConfig { egress: vec!["*".parse().unwrap()], ..FunctionConfig::default() };
    let error = engine.registry().put_function(acme.id, &name("enrich"), config).await.unwrap_err();
    assert_eq!(error.field.as_deref(), Some("egress[0].host"));
}
