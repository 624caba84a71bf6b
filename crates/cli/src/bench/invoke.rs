//! A synchronous call over HTTP, as a hook in a request of yours: alone, and while every tenant's queue is full of work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::figure::{Figure, ms, quantile};
use super::plan::Plan;
use super::subject::{FUNCTION, Subject, detail};

/// Tenants whose queues have work while the calls under load are made; the calls go to the first of them.
const TENANTS: u64 = 10;
/// Publishers that keep the queues from running empty, and the events of one publish of theirs.
const PUBLISHERS: u64 = 4;
const BATCH: u64 = 25;
/// How long the queues are given to fill before the first call.
const FILLING: Duration = Duration::from_millis(500);

pub(super) async fn run(plan: &Plan, subject: Subject) -> Result<Vec<Figure>> {
    subject.with(TENANTS, async |subject| measure(plan, subject).await).await
}

/// One value a round each: the half and the hundredth of what that round saw.
#[derive(Default)]
struct Spans {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Spans {
    fn add(&mut self, mut spans: Vec<Duration>) {
        self.p50.push(ms(quantile(&mut spans, 0.5)));
        self.p99.push(ms(quantile(&mut spans, 0.99)));
    }
}

async fn measure(plan: &Plan, subject: &Subject) -> Result<Vec<Figure>> {
    let (mut idle, mut idle_yard) = (Spans::default(), Spans::default());
    let (mut busy, mut busy_yard) = (Spans::default(), Spans::default());
    // The function's image is mapped, the connections are open.
    calls(subject, plan.idle_events).await?;
    // All rounds alone come first: what a round under load leaves in the queues would still be running.
    for round in 1..=plan.rounds {
        eprintln!("invoke: round {round} of {}, {} calls alone", plan.rounds, plan.idle_events);
        idle.add(calls(subject, plan.idle_events).await?);
        idle_yard.add(requests(subject, plan.idle_events).await?);
    }
    for round in 1..=plan.rounds {
        eprintln!("invoke: round {round} of {}, {} calls beside full queues", plan.rounds, plan.idle_events);
        let stop = AtomicBool::new(false);
        let publishers = futures::future::try_join_all((0..PUBLISHERS).map(|lane| publish_on(subject, lane, &stop)));
        let measured = async {
            tokio::time::sleep(FILLING).await;
            let spans = calls(subject, plan.idle_events).await;
            let yard = requests(subject, plan.idle_events).await;
            stop.store(true, Ordering::Release);
            anyhow::Ok((spans?, yard?))
        };
        let (published, measured) = tokio::join!(publishers, measured);
        published?;
        let (spans, yard) = measured?;
        busy.add(spans);
        busy_yard.add(yard);
    }
    let yardstick = "GET /healthz of the same server at the same time";
    let loaded = format!("invoke while the queues of {TENANTS} tenants are full");
    Ok(vec![
        Figure::less("invoke, idle, p50", "ms", idle.p50).beside(yardstick, idle_yard.p50),
        Figure::less("invoke, idle, p99", "ms", idle.p99).beside(yardstick, idle_yard.p99),
        Figure::less(format!("{loaded}, p50"), "ms", busy.p50).beside(yardstick, busy_yard.p50),
        Figure::less(format!("{loaded}, p99"), "ms", busy.p99).beside(yardstick, busy_yard.p99),
    ])
}

async fn calls(subject: &Subject, count: u64) -> Result<Vec<Duration>> {
    let path = format!("/v1/tenants/{}/functions/{FUNCTION}/invoke", subject.tenant(0));
    let event = json!({"detail": detail()});
    let mut spans = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        let answer = subject.api.post(&path, &event).await?;
        spans.push(began.elapsed());
        ensure!(answer["tags"][0] == "finance", "{answer}");
    }
    Ok(spans)
}

async fn requests(subject: &Subject, count: u64) -> Result<Vec<Duration>> {
    let mut spans = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        subject.api.get("/healthz").await?;
        spans.push(began.elapsed());
    }
    Ok(spans)
}

/// Publishes to every tenant in turn until it is told to stop.
async fn publish_on(subject: &Subject, lane: u64, stop: &AtomicBool) -> Result<()> {
    let mut number = lane;
    while !stop.load(Ordering::Acquire) {
        let batch: Vec<_> = (0..BATCH)
            .map(|one| {
                json!({
                    "source": subject.source(), "detail-type": "Item Added",
                    "tenant": subject.tenant((number + one) % TENANTS), "detail": detail(),
                })
            })
            .collect();
        number += BATCH;
        subject.api.post("/v1/events", &json!(batch)).await?;
    }
    Ok(())
}
