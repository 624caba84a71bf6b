//! Placeholders: replaced towards the hosts that a secret is bound to, and never sent anywhere else.

use sublet_sandbox::egress::Placeholder;

use super::server::{Server, ok, redirect};
use super::world::{ask, get, post, refused, with, world};

fn secret() -> Vec<Placeholder> {
    let token = "slp_0123456789abcdef".to_owned();
    vec![Placeholder { token, value: "s3cret&more".to_owned(), hosts: vec!["api.test".parse().unwrap()] }]
}

#[tokio::test]
async fn a_placeholder_becomes_its_value_in_headers_the_query_and_text() {
    let server = Server::start(|_| async { ok("") }).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt_of(1, &[&rule], secret());
    let url = format!("{rule}/?key=slp_0123456789abcdef");
    let body = r#"{"key":"slp_0123456789abcdef"}"#;
    let request = with(post(&url, "application/json", body), &[("authorization", "Bearer slp_0123456789abcdef")]);
    let answered = ask(&egress, request).await.unwrap();
    let seen = server.seen().remove(0);
    assert_eq!(seen.line(), "POST /?key=s3cret%26more HTTP/1.1");
    assert_eq!(seen.field("authorization"), Some("Bearer s3cret&more"));
    assert_eq!(seen.body, br#"{"key":"s3cret&more"}"#);
    let told = format!("{:?} {:?}", answered.head, egress.records());
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn towards_any_other_host_or_in_another_place_it_is_refused_and_not_sent() {
    let server = Server::start(|_| async { ok("") }).await;
    let world = world(&[server.address]);
    world.names.say("other.test", &[&["127.0.0.1"]]);
    let (api, other) = (format!("http://api.test:{}", server.port()), format!("http://other.test:{}", server.port()));
    let below = format!("http://*.other.test:{}", server.port());
    let token = "slp_0123456789abcdef";
    for (request, said) in [
        (with(get(&other), &[("authorization", token)]), "bound to api.test"),
        (get(&format!("{other}/?key={token}")), "bound to api.test"),
        (post(&other, "text/plain", token), "bound to api.test"),
        (post(&other, "image/png", token), "not of text"),
        (post(&api, "image/png", token), "not of text"),
        (get(&format!("{api}/{token}/x")), "in the URL's path"),
        (get(&format!("http://{token}.other.test:{}/", server.port())), "in the URL's host"),
        (with(get(&api), &[(token, "x")]), "in a header's name"),
        (with(get(&api), &[(token.to_uppercase().as_str(), "x")]), "in a header's name"),
    ] {
        let egress = world.attempt_of(1, &[&api, &other, &below], secret());
        let why = refused(&egress, request).await;
        assert!(why.starts_with("fetch refused") && why.contains(said), "{why}");
        assert!(egress.records()[0].refused);
    }
    assert_eq!(server.connections(), 0);
    assert!(world.names.asked.lock().unwrap().iter().all(|name| !name.contains(token)), "nor is a name looked up");
}

#[tokio::test]
async fn a_redirect_carries_no_placeholder_to_another_origin() {
    let away = Server::start(|_| async { ok("away") }).await;
    let port = away.port();
    let server = Server::start(move |_| async move { redirect(307, &format!("http://other.test:{port}/")) }).await;
    let world = world(&[server.address, away.address]);
    world.names.say("other.test", &[&["127.0.0.1"]]);
    let (api, other) = (format!("http://api.test:{}", server.port()), format!("http://other.test:{port}"));
    let token = "slp_0123456789abcdef";
    let egress = world.attempt_of(1, &[&api, &other], secret());
    ask(&egress, with(get(&api), &[("x-key", token), ("x-mark", "kept")])).await.unwrap();
    let seen = away.seen().remove(0);
    assert_eq!((seen.field("x-key"), seen.field("x-mark")), (None, Some("kept")));
    // A body cannot be left out, so it is not sent on at all.
    let why = refused(&egress, post(&api, "text/plain", token)).await;
    assert!(why.contains("bound to api.test"), "{why}");
    assert_eq!((server.seen().len(), away.seen().len()), (2, 1));
}

#[tokio::test]
async fn a_redirect_that_names_a_placeholder_is_refused() {
    let server = Server::start(|_| async { redirect(302, "/echo?key=slp_0123456789abcdef") }).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let why = refused(&world.attempt_of(1, &[&rule], secret()), get(&rule)).await;
    assert!(why.contains("a redirect holds a secret's placeholder"), "{why}");
    assert_eq!(server.seen().len(), 1);
}
