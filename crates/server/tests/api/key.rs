//! Keys: their ends, their rotation, their rates, their last use; and those that are not known.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sublet_model::Clock;
use sublet_server::{Failures, ServerConfig, ensure_operator_key};
use sublet_store::memory::NoFaults;
use sublet_store::{KeyScope, Keys, MemoryStore, NewKey};

use crate::harness::{Api, HandClock, OPERATOR_KEY};

const HOUR: Duration = Duration::from_secs(3_600);

async fn start(clock: &Arc<HandClock>, config: ServerConfig) -> Api {
    let api = Api::start_with(Arc::new(NoFaults), ServerConfig { clock: clock.clone(), ..config }).await;
    api.tenant("acme", "v1").await;
    api
}

async fn make(api: &Api, body: Value) -> (String, String) {
    let made = api.post("/v1/keys", body).await.expect(201);
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_expired_key_lets_nobody_in_and_tells_its_holder_why() {
    let clock = HandClock::new();
    let api = start(&clock, ServerConfig::default()).await;
    let at = clock.now() + 2 * HOUR;
    let (span, by_span) = make(&api, json!({"tenant": "acme", "expires": "1h"})).await;
    let (_, by_time) = make(&api, json!({"tenant": "acme", "expires": at.to_string()})).await;
    for key in [&by_span, &by_time] {
        api.get_as(key, "/v1/tenants/acme").await.expect(200);
    }
    clock.pass(HOUR);
    let refused = api.get_as(&by_span, "/v1/tenants/acme").await.expect(401);
    assert!(refused["detail"].as_str().unwrap().starts_with("this key expired at 2"), "{refused}");
    api.get_as(&by_time, "/v1/tenants/acme").await.expect(200);
    let shown = api.get(&format!("/v1/keys/{span}")).await.expect(200);
    assert_eq!((&shown["expired"], &shown["role"]), (&json!(true), &json!("admin")));
    api.post(&format!("/v1/keys/{span}/rotate"), json!({})).await.expect(409);
    clock.pass(HOUR);
    api.get_as(&by_time, "/v1/tenants/acme").await.expect(401);
}

#[tokio::test]
async fn a_rotated_keys_former_secret_works_for_the_overlap_and_no_longer() {
    let clock = HandClock::new();
    let api = start(&clock, ServerConfig::default()).await;
    let (id, first) = make(&api, json!({"tenant": "acme", "label": "ci", "role": "deploy"})).await;
    api.get_as(&first, "/v1/tenants/acme").await.expect(200);
    let rotated = api.send(api.request(Some(OPERATOR_KEY), Method::POST, &format!("/v1/keys/{id}/rotate"))).await;
    let rotated = rotated.expect(200);
    let second = rotated["secret"].as_str().unwrap();
    assert_eq!((&rotated["id"], &rotated["label"], &rotated["role"]), (&json!(id), &json!("ci"), &json!("deploy")));
    assert!(rotated["former_until"].is_string());
    for key in [first.as_str(), second] {
        api.get_as(key, "/v1/tenants/acme").await.expect(200);
    }
    clock.pass(24 * HOUR);
    let refused = api.get_as(&first, "/v1/tenants/acme").await.expect(401);
    assert!(refused["detail"].as_str().unwrap().starts_with("this secret was replaced"), "{refused}");
    api.get_as(second, "/v1/tenants/acme").await.expect(200);

    // Without an overlap the present one is over at once, and so is the one before it.
    let body = json!({"overlap": "0s"});
    let third = api.post(&format!("/v1/keys/{id}/rotate"), body).await.expect(200);
    api.get_as(second, "/v1/tenants/acme").await.expect(401);
    api.get_as(&first, "/v1/tenants/acme").await.expect(401);
    api.get_as(third["secret"].as_str().unwrap(), "/v1/tenants/acme").await.expect(200);
}

#[tokio::test]
async fn a_keys_rate_is_its_own_and_is_told_in_the_answer() {
    let clock = HandClock::new();
    let api = start(&clock, ServerConfig::default()).await;
    let (_, limited) = make(&api, json!({"tenant": "acme", "rate": {"per_second": 2, "burst": 3}})).await;
    let free = api.key_of("acme").await;
    for left in ["\"key\";r=2;t=1", "\"key\";r=1;t=1", "\"key\";r=0;t=1"] {
        let answer = api.get_as(&limited, "/v1/tenants/acme").await;
        assert_eq!((answer.status, answer.headers["ratelimit"].to_str().unwrap()), (200, left));
        assert_eq!(answer.headers["ratelimit-policy"], "\"key\";q=3;w=2");
    }
    let refused = api.get_as(&limited, "/v1/tenants/acme").await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &"1".parse().unwrap()));
    assert_eq!(refused.headers["ratelimit"], "\"key\";r=0;t=1");
    assert_eq!(refused.body["type"], "urn:sublet:problem:throttled");
    let others = api.get_as(&free, "/v1/tenants/acme").await;
    assert_eq!((others.status, others.headers.get("ratelimit")), (200, None));
    clock.pass(Duration::from_millis(500));
    api.get_as(&limited, "/v1/tenants/acme").await.expect(200);
    api.get_as(&limited, "/v1/tenants/acme").await.expect(429);
}

#[tokio::test]
async fn guessing_keys_is_slowed_by_address_and_keys_in_use_go_on() {
    let clock = HandClock::new();
    let failures = Failures { burst: 5, per_minute: 6 };
    let api = start(&clock, ServerConfig { failures, ..ServerConfig::default() }).await;
    let guess = |number: usize| format!("slo_guess-{number:030}");
    for number in 0..5 {
        api.get_as(&guess(number), "/v1/tenants").await.expect(401);
    }
    let refused = api.get_as(&guess(5), "/v1/tenants").await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &"10".parse().unwrap()));
    api.get("/v1/tenants").await.expect(200);
    clock.pass(Duration::from_secs(10));
    api.get_as(&guess(6), "/v1/tenants").await.expect(401);
    api.get_as(&guess(7), "/v1/tenants").await.expect(429);
}

#[tokio::test]
async fn a_key_tells_who_made_it_and_where_it_was_used_last() {
    let clock = HandClock::new();
    let api = start(&clock, ServerConfig::default()).await;
    let operator = api.get("/v1/keys").await.expect(200)["items"][0].clone();
    assert!(operator.get("made_by").is_none());
    assert_eq!(operator["last_use"]["from"], "127.0.0.1");
    let (id, secret) = make(&api, json!({"tenant": "acme"})).await;
    let unused = api.get(&format!("/v1/keys/{id}")).await.expect(200);
    assert_eq!((unused["made_by"].as_str(), unused.get("last_use")), (operator["id"].as_str(), None));
    let used_at = clock.now();
    api.get_as(&secret, "/v1/tenants/acme").await.expect(200);
    clock.pass(Duration::from_secs(30));
    api.get_as(&secret, "/v1/tenants/acme").await.expect(200);
    let shown = api.get(&format!("/v1/keys/{id}")).await.expect(200);
    assert_eq!(shown["last_use"], json!({"at": used_at.to_string(), "from": "127.0.0.1"}), "to the minute");
    clock.pass(Duration::from_secs(30));
    api.get_as(&secret, "/v1/tenants/acme").await.expect(200);
    let shown = api.get(&format!("/v1/keys/{id}")).await.expect(200);
    assert_eq!(shown["last_use"]["at"], clock.now().to_string());
}

#[tokio::test]
async fn last_uses_are_written_when_the_server_ends() {
    let clock = HandClock::new();
    let mut api = start(&clock, ServerConfig::default()).await;
    let store = Arc::clone(api.engine.store());
    assert!(store.keys(None).await.unwrap()[0].last_use.is_none(), "no request waits for it");
    api.stop();
    api.ended().await;
    let last = store.keys(None).await.unwrap()[0].last_use.unwrap();
    assert_eq!((last.at, last.from.to_string()), (clock.now(), "127.0.0.1".to_owned()));
}

#[tokio::test]
async fn what_a_key_cannot_be_is_refused_by_field() {
    let api = start(&HandClock::new(), ServerConfig::default()).await;
    for (body, field) in [
        (json!({"role": "deploy"}), "role"),
        (json!({"tenant": "acme", "role": "publish"}), "role"),
        (json!({"role": "root"}), "role"),
        (json!({"expires": "soon"}), "expires"),
        (json!({"expires": "0s"}), "expires"),
        (json!({"expires": "2001-01-01T00:00:00Z"}), "expires"),
        (json!({"rate": {"per_second": 0}}), "rate.per_second"),
        (json!({"rate": {"per_second": 1, "burst": 100_001}}), "rate.burst"),
    ] {
        assert_eq!(api.post("/v1/keys", body.clone()).await.expect(400)["field"], field, "{body}");
    }
    let (id, _) = make(&api, json!({})).await;
    let refused = api.post(&format!("/v1/keys/{id}/rotate"), json!({"overlap": "31d"})).await.expect(400);
    assert_eq!(refused["field"], "overlap");
    api.post("/v1/keys/key_0000000000001/rotate", json!({})).await.expect(404);
}

#[tokio::test]
async fn when_no_key_administers_any_more_the_next_start_makes_one() {
    let clock = HandClock::new();
    let store = MemoryStore::new();
    let first = ensure_operator_key(store.as_ref(), None, clock.now()).await.unwrap().unwrap();
    assert!(first.reveal().starts_with("slo_"));
    assert!(ensure_operator_key(store.as_ref(), None, clock.now()).await.unwrap().is_none(), "shown once");
    let store = MemoryStore::new();
    let given = OPERATOR_KEY;
    let expires = Some(clock.now() + HOUR);
    let hash = Sha256::digest(given.as_bytes()).into();
    let key = NewKey { expires, ..NewKey::new(KeyScope::Operator, "", hash) };
    store.put_key(key, clock.now()).await.unwrap();
    assert!(ensure_operator_key(store.as_ref(), None, clock.now()).await.unwrap().is_none());
    clock.pass(HOUR);
    assert!(
        ensure_operator_key(store.as_ref(), Some(given), clock.now()).await.is_err(),
        "an expired one is not taken"
    );
    assert!(ensure_operator_key(store.as_ref(), None, clock.now()).await.unwrap().is_some());
}
