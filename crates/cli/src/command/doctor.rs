//! `sublet doctor`: which layers of isolation this machine allows, which are in force in a real worker, and with
//! `--attack`, what becomes of those who try to break out.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use sublet_jail::{Need, Report, Status};
use sublet_sandbox::pool::{Pool, PoolConfig};

use crate::attack;
use crate::node::WORKER_COMMAND;
use crate::print::Printer;

#[derive(Args)]
pub(crate) struct Options {
    /// Only ask the kernel; do not start a worker and ask it
    #[arg(long)]
    probe_only: bool,
    /// Attack the workers with every hostile program of the escape suite, and print a score
    #[arg(long, conflicts_with = "probe_only")]
    attack: bool,
    /// With --attack: only attacks whose name contains this; repeatable
    #[arg(long, requires = "attack", value_name = "NAME")]
    only: Vec<String>,
}

pub(crate) async fn run(options: Options, printer: Printer) -> Result<ExitCode> {
    if options.attack {
        return attack::run(&options.only, printer).await;
    }
    let report = if options.probe_only { sublet_jail::probe()? } else { of_a_worker().await? };
    let missing = report.obstacle();
    if printer.json {
        printer.raw(&json!({"layers": report.layers, "ready": missing.is_none()}));
    } else {
        show(&report);
        match missing {
            None => println!("\nevery required layer holds: tenants' code can run here"),
            Some(layer) => {
                println!("\n{} is required and missing: the server would refuse to start", layer.layer.name())
            }
        }
    }
    Ok(if missing.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a worker that locked itself up says of itself; the kernel's own word when none can be started.
async fn of_a_worker() -> Result<Report> {
    // Nothing is kept: it runs on a read-only root too.
    let config = PoolConfig {
        worker_count: 1,
        arguments: vec![WORKER_COMMAND.into()],
        cache_dir: None,
        ..PoolConfig::default()
    };
    match Pool::start(config).await {
        Ok(pool) => {
            let report = pool.layers().clone();
            pool.shutdown(std::time::Duration::ZERO).await;
            Ok(report)
        }
        Err(error) => {
            eprintln!("no worker could be started: {error}");
            Ok(sublet_jail::probe()?)
        }
    }
}

fn show(report: &Report) {
    for line in &report.layers {
        let mark = match line.status {
            Status::InForce | Status::Available => "ok",
            Status::Missing => "--",
            Status::LeftOut | Status::Pending => "..",
        };
        let need = if line.need == Need::Required { "required" } else { "on top" };
        println!("{mark}  {need}  {}: {}", line.layer.name(), line.reason);
    }
}
