//! Publish one by one over HTTP → result on the live stream: what it costs under load, and how long it takes when idle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sublet_testkit::{Home, Http, Server, Stream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::figure::{Figure, ms, quantile};
use crate::process::Family;
use crate::{HANDLER, PROGRAM};

const TENANTS: u64 = 100;
const IN_FLIGHT: u64 = 64;
const WARM_UP: u64 = 3_000;
const EVENTS: u64 = 12_000;
const IDLE_EVENTS: u64 = 500;
/// Requests of the yardstick, as many at once.
const REQUESTS: u64 = 12_000;
/// Until a result must have come.
const RESULT_WITHIN: Duration = Duration::from_secs(30);

const BAR_CPU_MS: f64 = 0.3;
const BAR_IDLE_MS: f64 = 3.0;

pub(crate) async fn run(fdatasync: Duration) -> Result<()> {
    let home = Home::new()?;
    let server = Server::start(PROGRAM, &home).await?;
    let http = server.http()?;
    set_up(&http).await?;
    let results = Results::follow(http.stream("/v1/stream").await?);

    under_load(&http, &results, 0..WARM_UP).await?;
    let family = Family::of(server.pid())?;
    let (before, server_before, began) = (family.cpu_ms()?, family.head().cpu_ms()?, Instant::now());
    under_load(&http, &results, WARM_UP..WARM_UP + EVENTS).await?;
    let (cpu, wall) = (family.cpu_ms()? - before, began.elapsed());
    let (rate, server_cpu) = (EVENTS as f64 / wall.as_secs_f64(), family.head().cpu_ms()? - server_before);
    eprintln!(
        "whole path: {rate:.0} events/s with the publisher on the same machine; CPU of {} processes {:.3} ms/event, \
         of the server alone {:.3}",
        family.processes(),
        cpu / EVENTS as f64,
        server_cpu / EVENTS as f64,
    );

    let before = family.cpu_ms()?;
    requests(&http).await?;
    let request = (family.cpu_ms()? - before) / REQUESTS as f64;

    let mut spans = Vec::new();
    for number in 0..IDLE_EVENTS {
        spans.push(one(&http, &results, 1_000_000 + number).await?);
    }
    let (p50, p99) = (quantile(&mut spans, 0.5), quantile(&mut spans, 0.99));
    let idle = |bench, span, bar| {
        let yardstick = Some(("fdatasync of 4 KiB, p50", ms(fdatasync)));
        Figure { bench, value: ms(span), unit: "ms", yardstick, bar }.print();
    };
    Figure {
        bench: "whole path over HTTP, 100 tenants, 64 in flight, CPU of server and workers",
        value: cpu / EVENTS as f64,
        unit: "ms/event",
        yardstick: Some(("GET /healthz of the same server, 64 in flight", request)),
        bar: Some(BAR_CPU_MS),
    }
    .print();
    idle("whole path over HTTP, idle, p50", p50, Some(BAR_IDLE_MS));
    idle("whole path over HTTP, idle, p99", p99, None);
    server.stop().await
}

async fn set_up(http: &Http) -> Result<()> {
    for number in 0..TENANTS {
        let tenant = format!("/v1/tenants/t{number}");
        http.put(&tenant, &json!({})).await?.ok()?;
        http.put(&format!("{tenant}/functions/enrich"), &json!({})).await?.ok()?;
        let code = format!("{HANDLER}\nexport const tenant = {number};\n");
        http.upload(&format!("{tenant}/functions/enrich/versions"), "text/javascript", code.into()).await?.ok()?;
    }
    let rule = json!({"pattern": {"source": ["todo"]}, "targets": [{"tenant": "enrich"}]});
    http.put("/v1/rules/todo", &rule).await?.ok()?;
    Ok(())
}

/// Publishes the events of the range, `IN_FLIGHT` at a time: a new one when a result has come.
async fn under_load(http: &Http, results: &Results, numbers: std::ops::Range<u64>) -> Result<()> {
    let mut lanes = JoinSet::new();
    for lane in 0..IN_FLIGHT {
        let (http, results, numbers) = (http.clone(), results.clone(), numbers.clone());
        lanes.spawn(async move {
            for number in numbers.skip(lane as usize).step_by(IN_FLIGHT as usize) {
                one(&http, &results, number).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Ok(())
}

/// Publishes one event and waits for its result; how long that took.
async fn one(http: &Http, results: &Results, number: u64) -> Result<Duration> {
    let id = format!("e{number}");
    let event = json!({
        "id": id, "source": "todo", "detail-type": "Item Added", "tenant": format!("t{}", number % TENANTS),
        "detail": {"title": "Send the report on friday #finance", "created": "2026-03-02T09:00:00Z"},
    });
    let result = results.expect(&id);
    let began = Instant::now();
    let answer = http.post("/v1/events", &event).await?.ok()?;
    ensure!(answer["status"] == "matched", "{answer}");
    let came = tokio::time::timeout(RESULT_WITHIN, result).await.with_context(|| format!("no result of {id}"))??;
    Ok(came.duration_since(began))
}

async fn requests(http: &Http) -> Result<()> {
    let mut lanes = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let http = http.clone();
        lanes.spawn(async move {
            for _ in 0..REQUESTS / IN_FLIGHT {
                http.get("/healthz").await?.ok()?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Ok(())
}

/// Who waits for which event's result.
#[derive(Clone)]
struct Results(Arc<Mutex<HashMap<String, oneshot::Sender<Instant>>>>);

impl Results {
    fn follow(stream: Stream) -> Results {
        let results = Results(Arc::default());
        let told = results.clone();
        tokio::spawn(async move {
            if let Err(error) = told.read(stream).await {
                eprintln!("the live stream: {error:#}");
            }
            // Whoever waits now fails, because its sender is dropped.
            told.waiting().clear();
        });
        results
    }

    async fn read(&self, mut stream: Stream) -> Result<()> {
        while let Some(line) = stream.next().await? {
            let came = Instant::now();
            let event: Value = line.json()?;
            ensure!(event["detail-type"] == "Invocation Succeeded", "{event}");
            let id = event["detail"]["event"].as_str().context("no event named")?;
            if let Some(waiter) = self.waiting().remove(id) {
                // It gave up meanwhile.
                let _ = waiter.send(came);
            }
        }
        Ok(())
    }

    fn expect(&self, id: &str) -> oneshot::Receiver<Instant> {
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(id.to_owned(), sender);
        receiver
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
