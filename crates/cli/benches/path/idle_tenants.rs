//! 10,000 tenants with a function each: what they cost when nothing happens, and how long a start takes with them.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;
use sublet_testkit::{Home, Http, Server};
use tokio::task::JoinSet;

use crate::figure::{Figure, ms};
use crate::process::Family;
use crate::{HANDLER, PROGRAM};

const TENANTS: u64 = 10_000;
const AT_ONCE: u64 = 8;
const BAR_MB: f64 = 300.0;
const BAR_S: f64 = 2.0;

pub(crate) async fn run() -> Result<()> {
    let home = Home::new()?;
    // The very first start compiles the engine, which later ones do not: those are compared.
    Server::start(PROGRAM, &home).await?.stop().await?;
    let (server, bare_start) = start(&home).await?;
    let nobody = Family::of(server.pid())?.resident_mb()?;
    set_up(&server.http()?).await?;
    server.stop().await?;

    let (server, span) = start(&home).await?;
    let family = Family::of(server.pid())?;
    let resident = family.resident_mb()?;
    // It is those tenants that were there.
    let last = format!("/v1/tenants/t{}/functions/enrich", TENANTS - 1);
    ensure!(server.http()?.get(&last).await?.ok()?["live"] == 1, "the last tenant's function is gone");
    eprintln!("idle tenants: {} processes", family.processes());
    Figure {
        bench: "10,000 idle tenants with a function each, resident",
        value: resident,
        unit: "MB",
        yardstick: Some(("the same server with none", nobody)),
        bar: Some(BAR_MB),
    }
    .print();
    Figure {
        bench: "10,000 idle tenants with a function each, start to ready",
        value: span / 1e3,
        unit: "s",
        yardstick: Some(("the same server with none", bare_start / 1e3)),
        bar: Some(BAR_S),
    }
    .print();
    server.stop().await
}

/// Milliseconds from the start of the process until it says that it is ready.
async fn start(home: &Home) -> Result<(Server, f64)> {
    let began = Instant::now();
    let server = Server::start(PROGRAM, home).await?;
    server.http()?.get("/readyz").await?.ok()?;
    Ok((server, ms(began.elapsed())))
}

async fn set_up(http: &Http) -> Result<()> {
    let began = Instant::now();
    let mut lanes = JoinSet::new();
    for lane in 0..AT_ONCE {
        let http = http.clone();
        lanes.spawn(async move {
            for number in (lane..TENANTS).step_by(AT_ONCE as usize) {
                let tenant = format!("/v1/tenants/t{number}");
                http.put(&tenant, &json!({})).await?.ok()?;
                http.put(&format!("{tenant}/functions/enrich"), &json!({})).await?.ok()?;
                let code = format!("{HANDLER}\nexport const tenant = {number};\n");
                let versions = format!("{tenant}/functions/enrich/versions");
                http.upload(&versions, "text/javascript", code.into()).await?.ok()?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    eprintln!("idle tenants: {TENANTS} set up through the API in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}
