//! The gateway behind real workers: `fetch` in tenants' code, with its deadline and its records.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sublet_model::Outcome;
use sublet_sandbox::Sandbox;
use tokio::sync::Barrier;

use super::server::{Reply, Server, ok};
use super::world::world;
use crate::support::{attempt, function, pool, result};

const ASKS: &str = "export const handler = async (event) => {
    const answers = await Promise.all(event.urls.map(async (url) => {
        try { return await (await fetch(url, { method: 'POST', body: 'x' })).text(); } catch (error) { return error.message; }
    }));
    return answers;
};";

#[tokio::test]
async fn code_asks_several_at_once_and_all_of_it_is_reported() {
    let both = Arc::new(Barrier::new(2));
    let server = Server::start(move |seen| {
        let both = Arc::clone(&both);
        async move {
            // Answered only once the other is here too.
            both.wait().await;
            ok(seen.line())
        }
    })
    .await;
    let (world, pool) = (world(&[server.address]), pool().await);
    let code = function(&pool, ASKS).await;
    let rule = format!("http://api.test:{}", server.port());
    let event = json!({"urls": [format!("{rule}/a"), format!("{rule}/b"), "https://other.test/"]}).to_string();
    let mut asking = attempt(&code, &event);
    asking.egress = Some(world.attempt(&[&rule]));
    let report = pool.run(asking).await.unwrap();
    let answers = result(&report);
    assert_eq!((&answers[0], &answers[1]), (&json!("POST /a HTTP/1.1"), &json!("POST /b HTTP/1.1")));
    assert!(
        answers[2].as_str().unwrap().contains("host `other.test` is not in this function's egress list"),
        "{answers}"
    );
    let statuses: Vec<Option<u16>> = report.fetches.iter().map(|fetch| fetch.status).collect();
    assert_eq!(statuses, [Some(200), Some(200), None]);
    let bytes: u64 = report.fetches.iter().map(|fetch| fetch.bytes_out + fetch.bytes_in).sum();
    assert_eq!((report.usage.fetches, report.usage.egress_bytes), (3, bytes));
}

#[tokio::test]
async fn an_answer_whose_head_no_message_holds_is_a_failure_and_the_worker_lives_on() {
    let pool = pool().await;
    let code = function(&pool, ASKS).await;
    let workers = pool.worker_pids();
    // A worker is told of a head as text, in which each of these takes two bytes.
    let wide = vec![0xfe; 65_400];
    let head = [&b"HTTP/1.1 200 OK\r\nx: "[..], &wide[..], &b"\r\ncontent-length: 0\r\n\r\n"[..]].concat();
    let server = Server::start(move |_| {
        let head = head.clone();
        async move { Reply::Bytes(head) }
    })
    .await;
    let world = world(&[server.address]);
    let rule = format!("http://api.test:{}", server.port());
    let url = format!("{rule}/{}", "a".repeat(1_000));
    let mut asking = attempt(&code, &json!({"urls": [url]}).to_string());
    asking.egress = Some(world.attempt(&[&rule]));
    let report = pool.run(asking).await.unwrap();
    let said = "fetch failed: the answer's headers are too long";
    assert_eq!(result(&report), json!([said]));
    assert_eq!(report.fetches[0].error.as_deref(), Some(said));
    assert_eq!(pool.worker_pids(), workers);
}

#[tokio::test]
async fn a_deadline_holds_while_code_waits_for_an_answer_and_ends_the_request() {
    let server = Server::start(|_| async { Reply::ThenSilence(Vec::new()) }).await;
    let (world, pool) = (world(&[server.address]), pool().await);
    let code = function(&pool, ASKS).await;
    let rule = format!("http://api.test:{}", server.port());
    let mut asking = attempt(&code, &json!({"urls": [rule]}).to_string());
    asking.limits.wall = Duration::from_secs(2);
    asking.egress = Some(world.attempt(&[&rule]));
    let report = pool.run(asking).await.unwrap();
    assert_eq!(report.outcome, Outcome::TimedOut);
    assert!(report.usage.wall_us < 4_000_000, "{:?}", report.usage);
    let record = &report.fetches[0];
    assert!(record.error.as_deref().unwrap().starts_with("given up"), "{record:?}");
    server.shared.hung_up.notified().await;
}
