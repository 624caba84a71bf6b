//! Redirects: followed by the gateway itself, judged at every step.

use sublet_sandbox::egress::{FetchRequest, Redirect};

use super::server::{Reply, Server, ok, redirect};
use super::world::{ask, get, post, refused, with, world};

/// Sends every request for `/` on to `location`, and answers all others.
async fn leading_to(status: u16, location: String) -> Server {
    Server::start(move |seen| {
        let location = location.clone();
        async move { if seen.line().contains(" / ") { redirect(status, &location) } else { ok("arrived") } }
    })
    .await
}

#[tokio::test]
async fn a_redirect_is_followed_and_the_answer_says_where_it_came_from() {
    let server = leading_to(302, "/there?x=1#top".to_owned()).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    let answered = ask(&egress, get(&rule)).await.unwrap();
    assert_eq!((answered.text(), answered.head.redirected), ("arrived".to_owned(), true));
    assert_eq!(answered.head.url, format!("{rule}/there?x=1"));
    assert_eq!(server.connections(), 1, "a short answer's connection is used again");
    let record = &egress.records()[0];
    assert_eq!((record.status, record.redirects, record.error.as_deref()), (Some(200), 1, None));
}

#[tokio::test]
async fn a_redirect_can_be_the_answer_or_a_failure() {
    let server = leading_to(302, "/there".to_owned()).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    let answered = ask(&egress, FetchRequest { redirect: Redirect::Manual, ..get(&rule) }).await.unwrap();
    assert_eq!((answered.head.status, answered.field("location")), (302, Some("/there")));
    let why = refused(&egress, FetchRequest { redirect: Redirect::Error, ..get(&rule) }).await;
    assert!(why.contains("redirect"), "{why}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_loop_ends_after_five_redirects() {
    let server = Server::start(|_| async { redirect(302, "/") }).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let why = refused(&world.attempt(&[&rule]), get(&rule)).await;
    assert!(why.contains("more than 5 redirects"), "{why}");
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn every_step_is_judged_by_the_lists() {
    let inner = Server::start(|_| async { ok("inner") }).await;
    for (location, said) in [
        (format!("http://other.test:{}/", inner.port()), "host `other.test`"),
        (format!("https://api.test:{}/", inner.port()), "`https` to host"),
        ("http://api.test/".to_owned(), "port 80"),
        ("/admin".to_owned(), "the path that was asked of host `api.test`"),
        (format!("/{}", "<".repeat(3_000)), "a URL longer than 8192 characters"),
        ("http://me@api.test/".to_owned(), "user name"),
        ("ftp://api.test/".to_owned(), "`ftp:`"),
        ("http://[".to_owned(), "no URL"),
    ] {
        let server = Server::start(move |_| {
            let location = location.clone();
            async move { redirect(302, &location) }
        })
        .await;
        let world = world(&[server.address, inner.address]);
        world.names.say("other.test", &[&["127.0.0.1"]]);
        let rule = format!("http://api.test:{}/v1", server.port());
        let why = refused(&world.attempt(&[&rule]), get(&rule)).await;
        assert!(why.contains(said), "{said}: {why}");
        assert_eq!((server.seen().len(), inner.connections()), (1, 0), "{said}");
    }
}

#[tokio::test]
async fn credentials_do_not_go_to_another_origin() {
    let other = Server::start(|_| async { ok("other") }).await;
    let away = leading_to(307, format!("http://api.test:{}/", other.port())).await;
    let near = leading_to(307, "/near".to_owned()).await;
    let world = world(&[other.address, away.address, near.address]);
    let fields = [("authorization", "Bearer t"), ("cookie", "a=1"), ("x-mark", "kept")];
    for (server, arrived, is_kept) in [(&away, &other, false), (&near, &near, true)] {
        let list = [format!("http://api.test:{}", server.port()), format!("http://api.test:{}", arrived.port())];
        let egress = world.attempt(&list.iter().map(String::as_str).collect::<Vec<_>>());
        ask(&egress, with(get(&list[0]), &fields)).await.unwrap();
        let seen = arrived.seen().pop().unwrap();
        assert_eq!(seen.field("authorization").is_some(), is_kept);
        assert_eq!(seen.field("cookie").is_some(), is_kept);
        assert_eq!(seen.field("x-mark"), Some("kept"));
        assert_eq!(seen.field("host"), Some(format!("api.test:{}", arrived.port()).as_str()));
    }
}

#[tokio::test]
async fn the_body_goes_along_or_is_dropped_with_what_is_said_of_it() {
    for (status, line, body) in
        [(307, "POST /there", "{}"), (308, "POST /there", "{}"), (302, "GET /there", ""), (303, "GET /there", "")]
    {
        let server = leading_to(status, "/there".to_owned()).await;
        let world = world(&[server.address]);
        let rule = format!("http://api.test:{}", server.port());
        ask(&world.attempt(&[&rule]), post(&rule, "application/json", "{}")).await.unwrap();
        let seen = server.seen().pop().unwrap();
        assert!(seen.line().starts_with(line), "{status}: {}", seen.line());
        assert_eq!(seen.body, body.as_bytes(), "{status}");
        assert_eq!(seen.field("content-type").is_some(), !body.is_empty(), "{status}");
    }
}

#[tokio::test]
async fn a_long_answer_to_a_redirect_is_not_read() {
    let server = Server::start(|seen| async move {
        match seen.line().contains("/there") {
            true => ok("arrived"),
            false => Reply::Endless(
                b"HTTP/1.1 302 Elsewhere\r\nlocation: /there\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
                b"4\r\nmore\r\n".to_vec(),
            ),
        }
    })
    .await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    assert_eq!(ask(&egress, get(&rule)).await.unwrap().text(), "arrived");
    assert!(egress.used().bytes < 2_000);
}
