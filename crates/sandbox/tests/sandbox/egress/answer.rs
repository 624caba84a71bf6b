//! What comes back: heads, bodies, and answers that are none.

use sublet_sandbox::egress::CHUNK_BYTES_MAX;

use super::server::{Reply, Server, ok};
use super::world::{ask, get, refused, world};

async fn answered(reply: &'static str) -> Result<super::world::Answered, String> {
    let server = Server::start(move |_| async move { Reply::ThenClose(reply.as_bytes().to_vec()) }).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    ask(&world.attempt(&[&rule]), get(&rule)).await
}

#[tokio::test]
async fn a_head_comes_without_what_was_said_about_the_connection() {
    let answer = answered(
        "HTTP/1.1 418 I'm a teapot\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nConnection: close, x-private\r\nX-Private: 1\r\n\
         Keep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nX-Latin: caf\u{e9}\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n",
    )
    .await
    .unwrap();
    assert_eq!((answer.head.status, answer.head.status_text.as_str()), (418, "I'm a teapot"));
    assert_eq!(answer.text(), "hello");
    let cookies: Vec<_> = answer.head.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies.len(), 2);
    for gone in ["connection", "x-private", "keep-alive", "transfer-encoding", "x-trailer"] {
        assert_eq!(answer.field(gone), None, "{gone}");
    }
    // Bytes as characters, as the web has it: the two of an é in UTF-8.
    assert_eq!(answer.field("x-latin"), Some("caf\u{c3}\u{a9}"));
}

#[tokio::test]
async fn an_answer_without_a_body_ends_at_once() {
    for reply in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ] {
        let answer = answered(reply).await.unwrap();
        assert!(answer.body.is_empty() && answer.chunks.is_empty(), "{reply}");
    }
}

#[tokio::test]
async fn what_is_not_an_answer_is_a_failure_in_plain_words() {
    for (reply, said) in [
        ("", "without a proper answer"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "not proper HTTP"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", "broke off"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "broke off"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", "not proper HTTP"),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", "another protocol"),
    ] {
        let why = match answered(reply).await {
            Err(why) => why,
            Ok(answer) => panic!("{reply:?}: {}", answer.head.status),
        };
        assert!(why.starts_with("fetch failed") && why.contains(said), "{reply:?}: {why}");
    }
}

#[tokio::test]
async fn a_long_body_comes_in_pieces_of_bounded_length() {
    let body: String = "0123456789abcdef".repeat(20_000);
    let sent = body.clone();
    let server = Server::start(move |_| {
        let sent = sent.clone();
        async move { ok(&sent) }
    })
    .await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    let answer = ask(&egress, get(&rule)).await.unwrap();
    assert_eq!(answer.text(), body);
    assert!(answer.chunks.iter().all(|bytes| (1..=CHUNK_BYTES_MAX).contains(bytes)), "{:?}", answer.chunks);
    assert!(egress.records()[0].bytes_in > body.len() as u64);
}

#[tokio::test]
async fn heads_of_too_many_bytes_or_fields_are_failures() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "a".repeat(200_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: 1\r\n".repeat(200));
    for reply in [long, many] {
        let server = Server::start(move |_| {
            let reply = reply.clone();
            async move { Reply::Bytes(reply.into_bytes()) }
        })
        .await;
        let world = world(&[server.address]);
        let rule = format!("http://api.test:{}", server.port());
        let why = refused(&world.attempt(&[&rule]), get(&rule)).await;
        assert!(why.contains("the answer's headers are more than"), "{why}");
    }
}
