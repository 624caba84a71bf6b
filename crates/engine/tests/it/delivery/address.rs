//! Where a webhook may lead.

use sublet_engine::address::check_spec;
use sublet_model::Millis;
use sublet_store::WebhookSpec;

use super::receiver::{Receiver, Reply, status, with};
use super::*;

fn cases() -> Option<Vec<(String, String, bool)>> {
    let path = shared("ssrf.json")?;
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |case: &serde_json::Value, key: &str| case[key].as_str().unwrap().to_owned();
    let told = |case| (text(case, "url"), text(case, "class"), case["expect"] == "blocked");
    Some(cases["cases"].as_array().unwrap().iter().map(told).collect())
}

#[test]
fn no_spelling_of_a_private_address_is_a_webhook() {
    let Some(cases) = cases() else { return };
    assert!(!cases.is_empty());
    for (url, class, is_blocked) in cases {
        assert_eq!(check_spec(&WebhookSpec::to(url.clone())).is_err(), is_blocked, "{url} ({class})");
    }
    // Addresses that carry a private IPv4 one within them.
    for url in
        ["http://[64:ff9b::7f00:1]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[64:ff9b:1::1]/", "http://[::7f00:1]/"]
    {
        assert!(check_spec(&WebhookSpec::to(url)).is_err(), "{url}");
    }
    let named = |url: &str, allowed: &str| {
        check_spec(&WebhookSpec { allow_private: vec![allowed.to_owned()], ..WebhookSpec::to(url) })
    };
    assert!(named("http://127.0.0.1:8080/hook", "127.0.0.1:8080").is_ok());
    assert!(named("http://127.0.0.1:8081/hook", "127.0.0.1:8080").is_err());
    assert!(named("http://127.0.0.2:8080/hook", "127.0.0.1:8080").is_err());
    assert!(named("http://127.0.0.1/hook", "127.0.0.1").is_err(), "an entry names a port");
}

#[test]
fn a_timeout_is_within_its_bounds() {
    let of = |timeout| check_spec(&WebhookSpec { timeout, ..WebhookSpec::to("https://app.example.com/") });
    assert!(of(Millis(100)).is_ok() && of(Millis(30_000)).is_ok());
    for outside in [Millis(0), Millis(99), Millis(30_001)] {
        assert_eq!(of(outside).unwrap_err().field.as_deref(), Some("timeout"));
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_not_reached() {
    let receiver = Receiver::start(|_| Reply::Closes).await;
    let house = house().await;
    // By name, so that only resolution shows where it leads.
    lead_to(&house, "inner", WebhookSpec::to(format!("http://localhost:{}/", receiver.address().port()))).await;
    let id = publish(&house).await[0];
    let error = tried(&house, id).await.attempts[0].error.clone().unwrap();
    assert!(error.contains("no public address"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_a_failure_wherever_it_leads() {
    let mut aims = cases().map_or(Vec::new(), |cases| cases.into_iter().map(|(url, _, _)| url).collect());
    let mut inner = Receiver::start(|_| status("204 No Content")).await;
    aims.push(format!("http://{}/", inner.address()));
    // A header holds no letters but these.
    aims.retain(|aim| aim.is_ascii());
    let count = aims.len();
    let receiver = Receiver::start(move |number| {
        let code =
            ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"];
        with(code[number % code.len()], &format!("location: {}\r\n", aims[number % aims.len()]), "")
    })
    .await;
    let house = house().await;
    lead_to(&house, "crm", receiver.spec()).await;
    for _ in 0..count {
        let id = publish(&house).await[0];
        let record = tried(&house, id).await;
        let error = record.attempts[0].error.clone().unwrap();
        assert!(error.ends_with("redirects are not followed"), "{error}");
        assert_eq!(record.state, DeliveryState::Pending);
    }
    assert!(inner.try_next().is_none(), "nobody came");
}
