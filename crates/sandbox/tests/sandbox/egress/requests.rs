//! What goes out: the lists, the fields, the connections.

use std::sync::Arc;

use sublet_model::{EgressPolicy, TenantId};
use sublet_sandbox::egress::{Admission, FetchRequest};

use super::server::{Reply, Server, ok};
use super::world::{ask, get, post, refused, rules, with, world};

#[tokio::test]
async fn nothing_is_asked_that_the_function_or_the_operator_does_not_allow() {
    let server = Server::start(|_| async { ok("answer") }).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}/v1", server.port());
    let other = format!("http://api.test:{}/v2", server.port());
    for (wish, ceiling, url, said) in [
        (&rule, &rule, &rule, None),
        (&other, &rule, &rule, Some("not in this function's egress list; add it with")),
        (&rule, &other, &rule, Some("but the operator's ceiling does not allow it")),
        (&rule, &rule, &other, Some("the operator's ceiling does not allow it either")),
    ] {
        let policy = EgressPolicy { wish: rules(&[wish]), ceiling: rules(&[ceiling]) };
        let admission = Admission { tenant: TenantId::from_raw(1), policy, placeholders: Vec::new().into() };
        let egress = world.gateway.admit(admission);
        let before = server.seen().len();
        match (ask(&egress, get(url)).await, said) {
            (Ok(answered), None) => assert_eq!(answered.text(), "answer"),
            (Err(why), Some(said)) => {
                assert!(why.contains(said), "{why}");
                assert_eq!(server.seen().len(), before);
                let record = egress.records().remove(0);
                assert_eq!((record.error.as_deref(), record.refused, record.bytes_out), (Some(why.as_str()), true, 0));
            }
            (answered, _) => panic!("{wish} {ceiling} {url}: {:?}", answered.map(|answered| answered.head)),
        }
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_written_and_is_recorded_without_its_secrets() {
    let server = Server::start(|_| async { ok("made") }).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    let request = with(
        post(&format!("{rule}/a%20b?key=s3cret&x#f"), "application/json", "{\"n\":1}"),
        &[
            ("x-a", "1"),
            ("x-a", "2"),
            ("x-latin", "caf\u{e9}"),
            ("accept-encoding", "gzip"),
            ("connection", "keep-alive"),
        ],
    );
    ask(&egress, request).await.unwrap();
    let seen = server.seen().remove(0);
    assert_eq!(seen.line(), "POST /a%20b?key=s3cret&x HTTP/1.1");
    assert_eq!(seen.body, b"{\"n\":1}");
    for (name, value) in [
        ("host", format!("api.test:{}", server.port()).as_str()),
        ("content-type", "application/json"),
        ("content-length", "7"),
        ("accept-encoding", "identity"),
        ("accept", "*/*"),
        ("user-agent", "Sublet"),
    ] {
        assert_eq!(seen.field(name), Some(value), "{name}");
    }
    assert_eq!(seen.head.matches("x-a: ").count(), 2);
    assert_eq!(seen.field("connection"), None);
    let record = egress.records().remove(0);
    assert_eq!((record.method.as_str(), record.status), ("POST", Some(200)));
    assert_eq!(record.url, format!("{rule}/a%20b?key&*"));
    assert!(record.bytes_out > 150 && record.bytes_in > 4, "{record:?}");
    let used = egress.used();
    assert_eq!((used.calls, used.bytes), (1, record.bytes_out + record.bytes_in));
}

#[tokio::test]
async fn no_request_is_sent_that_could_be_read_as_two() {
    let server = Server::start(|_| async { ok("") }).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let asked = |request: FetchRequest| {
        let egress = world.attempt(&[&rule]);
        async move { refused(&egress, request).await }
    };
    for (name, value) in [
        ("x", "a\r\nhost: evil.test"),
        ("x\r\nhost", "evil.test"),
        ("x", "a\nb"),
        ("x", "a\0b"),
        ("host", "evil.test"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("proxy-connection", "close"),
        ("te", "trailers"),
        ("expect", "100-continue"),
    ] {
        let why = asked(with(post(&rule, "text/plain", "four"), &[(name, value)])).await;
        assert!(why.starts_with("fetch refused") && !why.contains(['\r', '\n', '\0']), "{name:?}: {why:?}");
    }
    for method in ["CONNECT", "TRACE", "GET /admin HTTP/1.1\r\n", "", "G\u{e9}T"] {
        let why = asked(FetchRequest { method: method.to_owned(), ..get(&rule) }).await;
        assert!(why.contains("not a method"), "{why:?}");
    }
    let body = FetchRequest { body: "x".into(), ..get(&rule) };
    assert!(asked(body).await.contains("has no body"));
    for (url, said) in [
        (format!("http://me:pass@api.test:{}/", server.port()), "user name or password"),
        (format!("{rule}/{}", "a".repeat(9_000)), "longer than"),
        (format!("{rule}/{}", "\u{e9}".repeat(4_000)), "longer than"),
        ("//api.test/".to_owned(), "the URL is not one"),
        ("javascript:alert(1)".to_owned(), "not https or http"),
    ] {
        let why = asked(get(&url)).await;
        assert!(why.contains(said), "{why}");
    }
    assert_eq!(server.connections(), 0);
    // A line break in a URL is left out by its parser, a space is written otherwise.
    let egress = world.attempt(&[&rule]);
    ask(&egress, get(&format!("{rule}/a\r\nb c"))).await.unwrap();
    assert_eq!(server.seen()[0].line(), "GET /ab%20c HTTP/1.1");
}

#[tokio::test]
async fn a_connection_is_used_again_by_the_same_tenant_to_the_same_place_alone() {
    let server = Server::start(|_| async { ok("answer") }).await;
    let world = world(&[server.address]);
    world.names.say("other.test", &[&["127.0.0.1"]]);
    let (api, other) = (format!("http://api.test:{}", server.port()), format!("http://other.test:{}", server.port()));
    let mut used = Vec::new();
    for (tenant, url) in [(1, &api), (1, &api), (2, &api), (1, &other), (2, &api), (1, &api)] {
        let egress = world.attempt_of(tenant, &[&api, &other], Vec::new());
        ask(&egress, get(url)).await.unwrap();
        used.push(server.seen().pop().unwrap().connection);
    }
    assert_eq!(used, [0, 0, 1, 2, 1, 0]);
}

#[tokio::test]
async fn a_connection_to_an_address_that_the_name_has_no_more_is_not_used_again() {
    let first = Server::start(|_| async { ok("first") }).await;
    let second =
        Server::at(format!("127.0.0.2:{}", first.port()).parse().unwrap(), None, |_| async { ok("second") }).await;
    let world = world(&[first.address, second.address]);
    world.names.say("moves.test", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let rule = format!("http://moves.test:{}", first.port());
    let egress = world.attempt(&[&rule]);
    assert_eq!(ask(&egress, get(&rule)).await.unwrap().text(), "first");
    assert_eq!(ask(&egress, get(&rule)).await.unwrap().text(), "second");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced() {
    let server =
        Server::start(|_| async { Reply::ThenClose(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()) }).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    for calls in 1..=5 {
        assert_eq!(ask(&egress, get(&rule)).await.unwrap().text(), "ok");
        assert_eq!(server.seen().len(), calls);
    }
}

#[tokio::test]
async fn without_lists_there_is_no_way_out() {
    let server = Server::start(|_| async { ok("") }).await;
    let world = world(&[server.address]);
    let egress = world.attempt(&[]);
    let why = refused(&egress, get(&format!("http://api.test:{}/", server.port()))).await;
    assert!(why.contains("host `api.test` is not in this function's egress list"), "{why}");
    assert_eq!(server.connections(), 0);
    assert!(world.names.asked.lock().unwrap().is_empty(), "it is not even looked up");
    assert_eq!(Arc::strong_count(&egress), 1);
}
