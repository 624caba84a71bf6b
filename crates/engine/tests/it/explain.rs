//! Explanations: to the operator all, to a tenant its own part.

use std::time::Duration;

use sublet_engine::{LedTo, Viewer};
use sublet_model::{ErrorKind, InvocationState, Quota};

use crate::harness::*;

#[tokio::test(start_paused = true)]
async fn an_explanation_names_rules_targets_attempts_and_waits() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    house.function(&acme, "enrich", "fail").await;
    house.dispatch_rule().await;
    let registry = house.engine.registry();
    let absent = rule(r#"{"source":["todo"]}"#, r#"[{"tenant":"missing"}]"#);
    registry.put_rule(None, &name("absent"), absent).await.unwrap();
    let other = rule(r#"{"source":["todo"],"detail":{"list":["work"]}}"#, r#"[{"tenant":"enrich"}]"#);
    registry.put_rule(None, &name("other"), other).await.unwrap();
    let receipt = house.publish(event("acme", None, r#"{"list":"home"}"#)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;

    let all = house.engine.explain(receipt.id, Viewer::Operator).await.unwrap();
    assert_eq!(all.status, "matched");
    let by_name = |wanted: &str| all.rules.iter().find(|rule| rule.name == Some(name(wanted))).unwrap();
    assert!(matches!(by_name("dispatch").targets[0].led_to, LedTo::Invocation(_)));
    assert_eq!(by_name("absent").targets[0].led_to, LedTo::Unmatched("no_function".to_owned()));
    let reason = &by_name("other").reasons[0];
    assert_eq!((reason.path.as_str(), reason.actual.as_str()), ("detail.list", "\"home\""));
    assert!(all.rules.iter().all(|rule| !rule.changed_since));
    let invocation = &all.invocations[0];
    assert_eq!((invocation.state, invocation.attempts.len()), (InvocationState::DeadLettered, 3));
    assert!(invocation.attempts[1].waited_ms >= 50, "the backoff of at least half of 100 ms");

    let text = serde_json::to_value(&all).unwrap();
    assert_eq!(text["event"]["detail"]["list"], "home");
    assert!(text["rules"][0]["targets"][0]["invocation"].is_string(), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_sees_its_own_part_and_nothing_of_another() {
    let house = House::new().await;
    let acme = house.tenant("acme", Quota::default()).await;
    let other = house.tenant("other", Quota::default()).await;
    house.function(&acme, "enrich", "ok").await;
    house.dispatch_rule().await;
    let own = rule(r#"{"source":["elsewhere"]}"#, r#"[{"function":{"name":"enrich"}}]"#);
    house.engine.registry().put_rule(Some((acme.id, &acme.name)), &name("own"), own).await.unwrap();
    let secret = rule(r#"{"source":["internal"]}"#, r#"[{"tenant":"enrich"}]"#);
    house.engine.registry().put_rule(None, &name("secret"), secret).await.unwrap();
    let receipt = house.publish(event("acme", None, "{}")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let seen = house.engine.explain(receipt.id, Viewer::Tenant(acme.id)).await.unwrap();
    assert_eq!(seen.rules.len(), 2, "the operator's that led to its function, and its own that did not match");
    assert_eq!((seen.rules[0].matched, &seen.rules[0].name), (true, &None));
    assert_eq!((seen.rules[1].matched, &seen.rules[1].name), (false, &Some(name("own"))));
    assert_eq!(seen.invocations.len(), 1);
    let hidden = house.engine.explain(receipt.id, Viewer::Tenant(other.id)).await.unwrap_err();
    assert_eq!(hidden.kind, ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_changed_after_the_event_is_marked() {
    let house = House::new().await;
    house.tenant("acme", Quota::default()).await;
    let first = rule(r#"{"source":["elsewhere"]}"#, r#"[{"tenant":"enrich"}]"#);
    house.engine.registry().put_rule(None, &name("r"), first).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let receipt = house.publish(event("acme", None, "{}")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let now_matching = rule(r#"{"source":["todo"]}"#, r#"[{"tenant":"enrich"}]"#);
    house.engine.registry().put_rule(None, &name("r"), now_matching).await.unwrap();
    let seen = house.engine.explain(receipt.id, Viewer::Operator).await.unwrap();
    assert_eq!((seen.status, seen.rules[0].matched, seen.rules[0].changed_since), ("unmatched", false, true));
    assert_eq!(seen.rules[0].note, Some("it matches today, and did not when the event came"));
}
