//! Quotas, turns, deadlines, and requests that are given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sublet_model::limit::FETCHES_AT_ONCE_MAX;
use tokio::sync::{Barrier, Notify, mpsc};

use super::server::{Reply, Server, ok};
use super::world::{ask, get, post, refused, with, world, world_of};

/// Answers only when so many requests are in at once, and tells how many there ever were.
async fn meeting(of: usize) -> (Server, Arc<AtomicUsize>) {
    let (barrier, inside, most) =
        (Arc::new(Barrier::new(of)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let told = Arc::clone(&most);
    let server = Server::start(move |_| {
        let (barrier, inside, most) = (Arc::clone(&barrier), Arc::clone(&inside), Arc::clone(&most));
        async move {
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            barrier.wait().await;
            inside.fetch_sub(1, Ordering::SeqCst);
            ok("met")
        }
    })
    .await;
    (server, told)
}

#[tokio::test]
async fn requests_of_one_attempt_are_really_at_once_and_further_ones_wait() {
    let (server, most) = meeting(FETCHES_AT_ONCE_MAX).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    let calls = (0..2 * FETCHES_AT_ONCE_MAX).map(|_| ask(&egress, get(&rule)));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().text() == "met"));
    assert_eq!(most.load(Ordering::SeqCst), FETCHES_AT_ONCE_MAX);
}

#[tokio::test]
async fn a_tenant_has_its_own_number_of_requests_at_once_and_holds_up_no_other() {
    let (server, most) = meeting(2).await;
    let quick = Server::start(|_| async { ok("quick") }).await;
    let world = world_of(&[server.address, quick.address], |parts| parts.settings.at_once_per_tenant = 2);
    let (rule, other) = (format!("http://api.test:{}", server.port()), format!("http://api.test:{}", quick.port()));
    let attempts = [world.attempt(&[&rule]), world.attempt(&[&rule])];
    let calls = attempts.iter().flat_map(|egress| (0..4).map(|_| ask(egress, get(&rule))));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(most.load(Ordering::SeqCst), 2);

    // Two that hang take all of tenant 1's turns, and none of tenant 2's.
    let silent = Server::start(|_| async { Reply::ThenSilence(Vec::new()) }).await;
    let arrived = Arc::new(Notify::new());
    let told = Arc::clone(&arrived);
    let silent_too = Server::start(move |_| {
        let told = Arc::clone(&told);
        async move {
            told.notify_one();
            Reply::ThenSilence(Vec::new())
        }
    })
    .await;
    drop(silent);
    let world = world_of(&[silent_too.address, quick.address], |parts| parts.settings.at_once_per_tenant = 2);
    let hanging = format!("http://api.test:{}", silent_too.port());
    let egress = world.attempt(&[&hanging]);
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let (egress, url) = (Arc::clone(&egress), hanging.clone());
        tasks.push(tokio::spawn(async move { ask(&egress, get(&url)).await.is_ok() }));
        arrived.notified().await;
    }
    let second = world.attempt_of(2, &[&other], Vec::new());
    assert_eq!(ask(&second, get(&other)).await.unwrap().text(), "quick");
    tasks.into_iter().for_each(|task| task.abort());
}

#[tokio::test]
async fn an_attempt_has_so_many_requests_and_no_more() {
    let server = Server::start(|_| async { ok("") }).await;
    let world = world_of(&[server.address], |parts| parts.settings.fetches = 3);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    for _ in 0..3 {
        ask(&egress, get(&rule)).await.unwrap();
    }
    for _ in 0..2 {
        let why = refused(&egress, get(&rule)).await;
        assert!(why.contains("has used up its 3 requests"), "{why}");
    }
    assert_eq!((server.seen().len(), egress.used().calls), (3, 5));
    ask(&world.attempt(&[&rule]), get(&rule)).await.unwrap();
}

#[tokio::test]
async fn an_attempts_requests_have_so_many_bytes_and_no_more() {
    let server = Server::start(|_| async { ok("") }).await;
    let world = world_of(&[server.address], |parts| parts.settings.request_bytes = 10_000);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    ask(&egress, post(&rule, "text/plain", "a".repeat(6_000))).await.unwrap();
    let why = refused(&egress, post(&rule, "text/plain", "a".repeat(6_000))).await;
    assert!(why.contains("requests would come to more than 10000B"), "{why}");
    // What is refused takes nothing of what may be sent, and costs nothing.
    ask(&egress, post(&rule, "text/plain", "a".repeat(3_000))).await.unwrap();
    let sent: Vec<u64> = egress.records().iter().map(|record| record.bytes_out / 1_000).collect();
    assert_eq!(sent, [6, 0, 3]);
    // Heads count too.
    let egress = world.attempt(&[&rule]);
    let why = refused(&egress, with(get(&rule), &[("x", &"a".repeat(10_000))])).await;
    assert!(why.contains("10000B"), "{why}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_body_counts_before_its_turn_has_come() {
    let arrived = Arc::new(Notify::new());
    let told = Arc::clone(&arrived);
    let server = Server::start(move |_| {
        told.notify_one();
        async { Reply::ThenSilence(Vec::new()) }
    })
    .await;
    let world = world_of(&[server.address], |parts| {
        parts.settings.request_bytes = 10_000;
        parts.settings.at_once_per_tenant = 1;
    });
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    let mut tasks = Vec::new();
    // The first has the only turn, the second waits for it with its body.
    for request in [get(&rule), post(&rule, "text/plain", "a".repeat(6_000))] {
        let own = Arc::clone(&egress);
        tasks.push(tokio::spawn(async move { ask(&own, request).await.is_ok() }));
        if tasks.len() == 1 {
            arrived.notified().await;
        }
    }
    while egress.records().len() < 2 {
        tokio::task::yield_now().await;
    }
    let third = refused(&egress, post(&rule, "text/plain", "a".repeat(6_000)));
    let why = tokio::time::timeout(Duration::from_secs(5), third).await.expect("it need not wait to be refused");
    assert!(why.contains("requests would come to more than 10000B"), "{why}");
    assert_eq!(server.seen().len(), 1);
    tasks.into_iter().for_each(|task| task.abort());
}

#[tokio::test]
async fn an_attempts_answers_have_so_many_bytes_and_no_more() {
    let endless =
        Server::start(|_| async { Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; 4_096]) }).await;
    let said =
        Server::start(|_| async { Reply::ThenSilence(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec()) })
            .await;
    for server in [endless, said] {
        let world = world_of(&[server.address], |parts| parts.settings.response_bytes = 100_000);
        let rule = format!("http://api.test:{}", server.port());
        let egress = world.attempt(&[&rule]);
        let why = refused(&egress, get(&rule)).await;
        assert!(why.contains("come to more than 100000B"), "{why}");
        server.shared.hung_up.notified().await;
        assert!(egress.used().bytes < 400_000, "{:?}", egress.used());
    }
    // In all, not each.
    let server = Server::start(|_| async { ok(&"a".repeat(40_000)) }).await;
    let world = world_of(&[server.address], |parts| parts.settings.response_bytes = 100_000);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    ask(&egress, get(&rule)).await.unwrap();
    ask(&egress, get(&rule)).await.unwrap();
    assert!(refused(&egress, get(&rule)).await.contains("100000B"));
}

#[tokio::test]
async fn what_comes_beside_an_answer_is_bounded_and_counted() {
    let hints = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n".repeat(200);
    let pieces = b"1\r\nx\r\n".repeat(1_000);
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for (head, again) in [(Vec::new(), hints), (chunked, pieces)] {
        let server = Server::start(move |_| {
            let (head, again) = (head.clone(), again.clone());
            async move { Reply::Endless(head, again) }
        })
        .await;
        let world = world_of(&[server.address], |parts| parts.settings.response_bytes = 100_000);
        let rule = format!("http://api.test:{}", server.port());
        let egress = world.attempt(&[&rule]);
        let why = refused(&egress, get(&rule)).await;
        assert!(why.contains("come to more than 100000B"), "{why}");
        server.shared.hung_up.notified().await;
        let bytes = egress.used().bytes;
        assert!((200_000..400_000).contains(&bytes), "{bytes}");
        // In all, not each.
        let why = refused(&egress, get(&rule)).await;
        assert!(why.contains("come to more than 100000B"), "{why}");
        assert!(egress.used().bytes < bytes + 100_000, "{:?}", egress.used());
    }
    // Within its bounds it is in the record, byte for byte.
    let reply = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\nHTTP/1.1 200 OK\r\n\
                 transfer-encoding: chunked\r\n\r\n1\r\nh\r\n4\r\nello\r\n0\r\n\r\n";
    let server = Server::start(move |_| async move { Reply::Bytes(reply.as_bytes().to_vec()) }).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    for _ in 0..2 {
        assert_eq!(ask(&egress, get(&rule)).await.unwrap().text(), "hello");
    }
    assert_eq!(server.connections(), 1);
    let came: Vec<u64> = egress.records().iter().map(|record| record.bytes_in).collect();
    assert_eq!(came, [reply.len() as u64; 2]);
}

#[tokio::test]
async fn a_server_that_says_nothing_more_is_not_waited_for_without_end() {
    for (reply, said) in [
        ("", "no answer within"),
        ("HTTP/1.1 200 OK\r\nx: ", "no answer within"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "came to a halt"),
    ] {
        let server = Server::start(move |_| async move { Reply::ThenSilence(reply.as_bytes().to_vec()) }).await;
        let world = world_of(&[server.address], |parts| parts.settings.timeout = Duration::from_millis(50));
        let rule = format!("http://api.test:{}", server.port());
        let why = refused(&world.attempt(&[&rule]), get(&rule)).await;
        assert!(why.contains(said), "{reply:?}: {why}");
        server.shared.hung_up.notified().await;
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_ends_its_connection_and_is_recorded_as_given_up() {
    let arrived = Arc::new(Notify::new());
    for reply in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"] {
        let told = Arc::clone(&arrived);
        let server = Server::start(move |_| {
            told.notify_one();
            async move { Reply::ThenSilence(reply.as_bytes().to_vec()) }
        })
        .await;
        let world = world(&[server.address]);
        let rule = format!("http://api.test:{}", server.port());
        let egress = world.attempt(&[&rule]);
        let (own, url) = (Arc::clone(&egress), rule.clone());
        let task = tokio::spawn(async move { ask(&own, get(&url)).await.is_ok() });
        arrived.notified().await;
        task.abort();
        server.shared.hung_up.notified().await;
        let record = egress.records().remove(0);
        assert!(record.error.as_deref().unwrap().starts_with("given up"), "{record:?}");
    }
}

#[tokio::test]
async fn a_request_that_nobody_listens_to_ends_by_itself() {
    let server = Server::start(|_| async { Reply::ThenSilence(Vec::new()) }).await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let egress = world.attempt(&[&rule]);
    let (sender, parts) = mpsc::channel(1);
    drop(parts);
    egress.fetch(get(&rule), sender).await;
    assert!(egress.records()[0].error.is_some());
}
