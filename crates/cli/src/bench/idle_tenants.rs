//! Many tenants with a function each: what they cost when nothing happens, and how long a start takes with them.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use super::family::Family;
use super::figure::{Bar, Figure};
use super::plan::Plan;
use super::subject::{FUNCTION, HANDLER, start};
use crate::client::Client;

const AT_ONCE: u64 = 8;
const BAR_MB: f64 = 300.0;
const BAR_S: f64 = 2.0;

pub(super) async fn run(plan: &Plan, program: &Path) -> Result<Vec<Figure>> {
    let folder = tempfile::Builder::new().prefix("sublet-bench").tempdir()?;
    // Whatever ends it, the folder goes with it, and the server with the child that is dropped.
    tokio::select! {
        figures = measure(plan, program, folder.path()) => figures,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

async fn measure(plan: &Plan, program: &Path, folder: &Path) -> Result<Vec<Figure>> {
    // The very first start compiles the engine, which later ones do not: those are compared.
    start(program, folder).await?.0.stop(std::future::pending()).await?;
    let bare = starts(plan, program, folder, None).await?;

    eprintln!("idle tenants: setting up {}", plan.idle_tenants);
    let (process, api) = start(program, folder).await?;
    set_up(plan.idle_tenants, &api).await?;
    process.stop(std::future::pending()).await?;

    let last = format!("/v1/tenants/t{}/functions/{FUNCTION}", plan.idle_tenants - 1);
    let full = starts(plan, program, folder, Some(&last)).await?;
    let name = |what: &str| format!("{} idle tenants with a function each, {what}", plan.idle_tenants);
    let none = "the same server with none";
    let memory = Figure::less(name("resident"), "MB", full.resident_mb).beside(none, bare.resident_mb);
    let time = Figure::less(name("start to ready"), "s", full.ready_s).beside(none, bare.ready_s);
    Ok(vec![memory.bar(Bar::Value(BAR_MB)), time.bar(Bar::Value(BAR_S))])
}

#[derive(Default)]
struct Starts {
    ready_s: Vec<f64>,
    resident_mb: Vec<f64>,
}

/// Starts again and again on the same folder. `witness` is what must be there, live.
async fn starts(plan: &Plan, program: &Path, folder: &Path, witness: Option<&str>) -> Result<Starts> {
    let mut found = Starts::default();
    for round in 1..=plan.starts {
        let with = if witness.is_some() { "with them" } else { "without" };
        eprintln!("idle tenants: start {round} of {} {with}", plan.starts);
        let began = Instant::now();
        let (process, api) = start(program, folder).await?;
        api.get("/readyz").await?;
        found.ready_s.push(began.elapsed().as_secs_f64());
        found.resident_mb.push(Family::of(process.pid())?.resident_mb()?);
        if let Some(witness) = witness {
            ensure!(api.get(witness).await?["live"] == 1, "the last tenant's function is gone");
        }
        process.stop(std::future::pending()).await?;
    }
    Ok(found)
}

async fn set_up(tenants: u64, api: &Client) -> Result<()> {
    let began = Instant::now();
    let mut lanes = JoinSet::new();
    for lane in 0..AT_ONCE {
        let api = api.clone();
        lanes.spawn(async move {
            for number in (lane..tenants).step_by(AT_ONCE as usize) {
                let tenant = format!("/v1/tenants/t{number}");
                api.put(&tenant, &json!({})).await?;
                let function = format!("{tenant}/functions/{FUNCTION}");
                api.put(&function, &json!({})).await?;
                let code = format!("{HANDLER}\nexport const tenant = {number};\n");
                api.upload(&format!("{function}/versions"), "text/javascript", code.into()).await?;
                if number > 0 && number % 1_000 == 0 {
                    eprintln!("idle tenants: {number} of {tenants}");
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    eprintln!("idle tenants: set up through the API in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}
