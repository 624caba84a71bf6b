//! `/readyz` tells the truth, each reason by making it true.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sublet_testkit::{Home, Http};

use super::serve_by;
use crate::scene::{DEADLINE, serve};

/// The check that failed, and why.
fn failed(answer: &Value) -> (&str, &str) {
    let checks = answer["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let check = checks.iter().find(|check| check["ok"] == false);
    check.map_or(("", ""), |check| (check["name"].as_str().unwrap_or(""), check["reason"].as_str().unwrap_or("")))
}

#[tokio::test]
async fn a_disk_at_its_reserve_is_alive_and_not_ready() -> Result<()> {
    let home = Home::new()?;
    let server = serve_by(&home, "[store]\ndisk_reserve = \"8000000GiB\"\n").await?;
    let http = server.http()?;
    let answer = http.get("/readyz").await?;
    assert_eq!((answer.status.as_u16(), &answer.body["status"]), (503, &json!("disk_reserve_reached")));
    let (name, reason) = failed(&answer.body);
    assert!(name == "disk" && reason.contains("in reserve"), "{}", answer.body);
    assert_eq!(http.get("/healthz").await?.ok()?["status"], "ok");
    let event = json!({"source": "load", "detail-type": "Work", "tenant": "acme", "detail": {}});
    assert_eq!(http.post("/v1/events", &event).await?.status.as_u16(), 507, "what the probe says is so");
    server.stop().await
}

/// Worker processes of the server, by their parent.
fn workers_of(server: u32) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parent == Some(server)
    };
    pids.filter(is_child).filter_map(Pid::from_raw).collect()
}

async fn status(http: &Http) -> Result<(u16, Value)> {
    let answer = http.get("/readyz").await?;
    Ok((answer.status.as_u16(), answer.body))
}

#[tokio::test]
async fn without_a_worker_it_is_not_ready_and_with_one_again_it_is() -> Result<()> {
    let home = Home::new()?;
    let server = serve(&home).await?;
    let http = server.http()?;
    assert_eq!(status(&http).await?.0, 200);
    let emptied = async {
        loop {
            for worker in workers_of(server.pid()) {
                // It may be gone already.
                let _ = kill_process(worker, Signal::KILL);
            }
            let (code, body) = status(&http).await?;
            if code == 503 {
                return anyhow::Ok(body);
            }
        }
    };
    let body = tokio::time::timeout(DEADLINE, emptied).await.context("a worker was ready all the time")??;
    assert_eq!((body["status"].as_str(), failed(&body).0), (Some("no_workers"), "workers"), "{body}");
    let refilled = async {
        while status(&http).await?.0 != 200 {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(DEADLINE, refilled).await.context("no worker came back")??;
    server.stop().await
}
