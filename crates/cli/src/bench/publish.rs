//! Publishing: from the request to the answer that the event is on disk, for one client and for many. No rule wants these
//! events, so that nothing runs beside it.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::figure::{Figure, quantile, us};
use super::plan::Plan;
use super::subject::{Subject, detail};
use super::yardstick::RawLog;

const CLIENTS: usize = 256;

pub(super) async fn run(plan: &Plan, subject: Subject) -> Result<Vec<Figure>> {
    subject.with(1, async |subject| measure(plan, subject).await).await
}

async fn measure(plan: &Plan, subject: &Subject) -> Result<Vec<Figure>> {
    let folder = subject.folder()?;
    let mut log = RawLog::new(folder.path())?;
    let bytes = serde_json::to_vec(&event(subject))?.len();
    let (mut alone, mut syncs, mut rate, mut raw) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        match round {
            0 => eprintln!("publish: warming up"),
            _ => eprintln!("publish: round {round} of {}, one client, then {CLIENTS}", plan.rounds),
        }
        let mut spans = Vec::new();
        for _ in 0..plan.publish_alone {
            let began = Instant::now();
            one(subject).await?;
            spans.push(began.elapsed());
        }
        let sync = us(log.median(bytes, plan.publish_alone)?);
        let (many, logged) = (many(plan, subject).await?, records_a_second(plan, &mut log, bytes)?);
        if round > 0 {
            alone.push(us(quantile(&mut spans, 0.5)));
            syncs.push(sync);
            rate.push(many);
            raw.push(logged);
        }
    }
    let accept = Figure::less("durable accept over HTTP, one client, p50", "us", alone);
    let many = Figure::more(format!("durable accepts over HTTP, {CLIENTS} clients on this machine"), "accepts/s", rate);
    Ok(vec![
        accept.beside("fdatasync of the same bytes", syncs),
        many.beside(format!("raw log, {CLIENTS} records a sync"), raw),
    ])
}

fn event(subject: &Subject) -> Value {
    let source = format!("{}-nobody-wants-this", subject.source());
    json!({"source": source, "detail-type": "Item Added", "tenant": subject.tenant(0), "detail": detail()})
}

async fn one(subject: &Subject) -> Result<()> {
    let answer = subject.api.post("/v1/events", &event(subject)).await?;
    ensure!(answer["status"] == "unmatched", "{answer}");
    Ok(())
}

async fn many(plan: &Plan, subject: &Subject) -> Result<f64> {
    let began = Instant::now();
    let clients = (0..CLIENTS).map(|_| async {
        for _ in 0..plan.publish_each {
            one(subject).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(clients).await?;
    Ok((CLIENTS * plan.publish_each) as f64 / began.elapsed().as_secs_f64())
}

fn records_a_second(plan: &Plan, log: &mut RawLog, bytes: usize) -> Result<f64> {
    let records = vec![7; bytes * CLIENTS];
    let began = Instant::now();
    for _ in 0..plan.publish_each {
        log.append(&records)?;
    }
    Ok((CLIENTS * plan.publish_each) as f64 / began.elapsed().as_secs_f64())
}
