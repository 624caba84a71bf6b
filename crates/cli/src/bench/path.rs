//! The whole path: publish one by one over HTTP, the tenant's function runs, its result is on the live stream. What it
//! costs under load, and how long it takes when nothing else happens.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use super::family::Family;
use super::figure::{Bar, Figure, ms, quantile};
use super::plan::Plan;
use super::results::Results;
use super::subject::{Subject, detail};
use super::workerd::Workerd;
use super::yardstick::RawLog;
use crate::client::Client;

const IN_FLIGHT: u64 = 64;
/// Until a result must have come.
const RESULT_WITHIN: Duration = Duration::from_secs(30);
const BLOCK_BYTES: usize = 4096;
const SYNCS: usize = 100;

const BAR_CPU_MS: f64 = 0.3;
const BAR_IDLE_MS: f64 = 3.0;
const BAR_WORKERD: f64 = 0.75;

pub(super) async fn run(plan: &Plan, subject: Subject, workerd: Option<&Path>) -> Result<Vec<Figure>> {
    eprintln!("path: setting up {} tenants", plan.path_tenants);
    subject.with(plan.path_tenants, async |subject| measure(plan, subject, workerd).await).await
}

/// What the rounds bring, one value a round each.
#[derive(Default)]
struct Rounds {
    cpu: Vec<f64>,
    /// A request that does nothing, for the CPU time.
    request: Vec<f64>,
    workerd: Vec<f64>,
    rate: Vec<f64>,
    idle_p50: Vec<f64>,
    idle_p99: Vec<f64>,
    sync: Vec<f64>,
}

async fn measure(plan: &Plan, subject: &Subject, workerd: Option<&Path>) -> Result<Vec<Figure>> {
    let load = Load { subject, results: Results::follow(&subject.api).await?, tenants: plan.path_tenants };
    let mut peer = match workerd {
        Some(program) => Some(Workerd::start(program, plan.path_tenants).await?),
        None => None,
    };
    let folder = subject.folder()?;
    let mut log = RawLog::new(folder.path())?;

    eprintln!("path: warming up with {} events", plan.path_warm_up);
    let mut number = 0;
    load.under_load(next(&mut number, plan.path_warm_up)).await?;
    if let Some(peer) = &peer {
        peer.under_load(plan.path_warm_up, IN_FLIGHT).await?;
    }
    let mut rounds = Rounds::default();
    let events = plan.path_events;
    let per_event = |cpu_ms: f64| cpu_ms / events as f64;
    for round in 1..=plan.rounds {
        eprintln!("path: round {round} of {}, {events} events under load, {} alone", plan.rounds, plan.idle_events);
        // Workers that died and came back would not be counted: the family is asked anew for each round.
        let family = subject.pid().map(Family::of).transpose()?;
        let before = family.as_ref().map(Family::cpu_ms).transpose()?;
        let began = Instant::now();
        load.under_load(next(&mut number, events)).await?;
        rounds.rate.push(events as f64 / began.elapsed().as_secs_f64());
        if let (Some(family), Some(before)) = (&family, before) {
            let after = family.cpu_ms()?;
            rounds.cpu.push(per_event(after - before));
            requests(&subject.api, events).await?;
            rounds.request.push(per_event(family.cpu_ms()? - after));
        }
        if let Some(peer) = &mut peer {
            peer.connect(IN_FLIGHT).await?;
            let before = peer.family.cpu_ms()?;
            peer.under_load(events, IN_FLIGHT).await?;
            rounds.workerd.push(per_event(peer.family.cpu_ms()? - before));
        }
        let mut spans = Vec::new();
        for one in next(&mut number, plan.idle_events) {
            spans.push(load.one(one).await?);
        }
        rounds.idle_p50.push(ms(quantile(&mut spans, 0.5)));
        rounds.idle_p99.push(ms(quantile(&mut spans, 0.99)));
        rounds.sync.push(ms(log.median(BLOCK_BYTES, SYNCS)?));
    }
    if let Some(peer) = peer {
        peer.end().await?;
    }
    Ok(rounds.figures(plan))
}

impl Rounds {
    fn figures(self, plan: &Plan) -> Vec<Figure> {
        let mut figures = Vec::new();
        let loaded = format!("whole path, {} tenants, {IN_FLIGHT} in flight", plan.path_tenants);
        if !self.cpu.is_empty() {
            let name = format!("{loaded}, CPU of server and workers");
            let cpu = Figure::less(name, "ms/event", self.cpu.clone());
            figures.push(cpu.beside("GET /healthz of the same server", self.request).bar(Bar::Value(BAR_CPU_MS)));
            if !self.workerd.is_empty() {
                let name = format!("{loaded}, CPU against workerd");
                let against = Figure::less(name, "ms/event", self.cpu);
                let peer = "workerd over plain HTTP, an isolate a tenant";
                figures.push(against.beside(peer, self.workerd).bar(Bar::Ratio(BAR_WORKERD)));
            }
        }
        figures.push(Figure::more(format!("{loaded}, publisher on the same machine"), "events/s", self.rate));
        let sync = "fdatasync of 4 KiB";
        let idle = Figure::less("whole path, idle, p50", "ms", self.idle_p50).beside(sync, self.sync.clone());
        figures.push(idle.bar(Bar::Value(BAR_IDLE_MS)));
        figures.push(Figure::less("whole path, idle, p99", "ms", self.idle_p99).beside(sync, self.sync));
        figures
    }
}

fn next(number: &mut u64, count: u64) -> Range<u64> {
    let from = *number;
    *number += count;
    from..*number
}

struct Load<'a> {
    subject: &'a Subject,
    results: Results,
    tenants: u64,
}

impl Load<'_> {
    /// Publishes the events of the range, `IN_FLIGHT` at a time: a new one when a result has come.
    async fn under_load(&self, numbers: Range<u64>) -> Result<()> {
        let lanes = (0..IN_FLIGHT).map(|lane| {
            let numbers = numbers.clone();
            async move {
                for number in numbers.skip(lane as usize).step_by(IN_FLIGHT as usize) {
                    self.one(number).await?;
                }
                anyhow::Ok(())
            }
        });
        futures::future::try_join_all(lanes).await?;
        Ok(())
    }

    /// Publishes one event and waits for its result; how long that took.
    async fn one(&self, number: u64) -> Result<Duration> {
        let source = self.subject.source();
        // The prefix in it keeps it apart from an existing server's events.
        let id = format!("{source}-e{number}");
        let event = json!({
            "id": id, "source": source, "detail-type": "Item Added",
            "tenant": self.subject.tenant(number % self.tenants), "detail": detail(),
        });
        let result = self.results.expect(&id);
        let began = Instant::now();
        let answer = self.subject.api.post("/v1/events", &event).await?;
        ensure!(answer["status"] == "matched", "{answer}");
        let came =
            tokio::time::timeout(RESULT_WITHIN, result).await.with_context(|| format!("no result of {id}"))??;
        Ok(came.duration_since(began))
    }
}

async fn requests(api: &Client, count: u64) -> Result<()> {
    let mut lanes = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let api = api.clone();
        lanes.spawn(async move {
            for _ in 0..count / IN_FLIGHT {
                api.get("/healthz").await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Ok(())
}
