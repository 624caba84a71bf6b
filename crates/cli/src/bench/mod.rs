//! `sublet bench`: what this machine makes of Sublet, each figure beside a yardstick of the same run.
//!
//! Figures of one run are comparable with their yardsticks, not with other machines' figures: a yardstick is the least that
//! such work needs here (a synced block, a plain process, a parsed document). One file measures one thing; what they share
//! is beside them. Everything is said on standard error while it runs; the result goes to standard output.

mod deploy;
mod family;
mod figure;
mod idle_tenants;
mod invoke;
mod machine;
mod matching;
mod path;
mod plan;
mod plot;
mod publish;
mod report;
mod results;
mod subject;
mod workerd;
mod yardstick;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::args::Common;
use plan::Plan;
use report::Report;
use subject::Subject;

#[derive(Args)]
pub(crate) struct Options {
    /// What to measure; everything when left out
    #[arg(value_enum)]
    which: Vec<Bench>,
    /// Fewer and shorter rounds: a first look within a minute or two
    #[arg(long)]
    quick: bool,
    /// Draw the figures as a picture into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Measure the server at --url with the operator key in --key, by a tenant and a rule of its own that are removed
    /// afterwards, instead of a server made for the purpose. Not for a server that is in use: it will be busy
    #[arg(long)]
    existing: bool,
    /// Measure this `workerd` program too, answering the same handler over plain HTTP
    #[arg(long, value_name = "PROGRAM")]
    workerd: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Accept events durably, one client and many
    Publish,
    /// From an event to its result: CPU under load, time when idle
    Path,
    /// Call a function and wait for its answer, alone and beside full queues
    Invoke,
    /// Find the rules that an event matches, few rules and many
    Match,
    /// Deploy a small function
    Deploy,
    /// Tenants to whom nothing happens: memory, and the time of a start
    IdleTenants,
}

impl Bench {
    /// Whether a server that is someone else's can be asked. The others look at the process or start one.
    fn works_from_afar(self) -> bool {
        matches!(self, Bench::Publish | Bench::Path | Bench::Invoke | Bench::Deploy | Bench::Match)
    }
}

pub(crate) async fn run(options: Options, common: &Common) -> Result<ExitCode> {
    let plan = Plan::new(options.quick);
    let chosen = if options.which.is_empty() { Bench::value_variants() } else { &options.which };
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut figures = Vec::new();
    for bench in chosen.iter().copied() {
        if options.existing && !bench.works_from_afar() {
            if !options.which.is_empty() {
                bail!("{} measures a server of its own: leave out --existing", name(bench));
            }
            eprintln!("{}: left out, it measures a server of its own", name(bench));
            continue;
        }
        let subject = || async {
            match options.existing {
                true => Subject::existing(common).await,
                false => Subject::own(&program).await,
            }
        };
        figures.extend(match bench {
            Bench::Publish => publish::run(&plan, subject().await?).await?,
            Bench::Path => path::run(&plan, subject().await?, options.workerd.as_deref()).await?,
            Bench::Invoke => invoke::run(&plan, subject().await?).await?,
            Bench::Match => matching::run(&plan)?,
            Bench::Deploy => deploy::run(&plan, subject().await?, &program).await?,
            Bench::IdleTenants => idle_tenants::run(&plan, &program).await?,
        });
    }
    let report = Report::new(figures, options.quick);
    if let Some(file) = &options.svg {
        std::fs::write(file, plot::draw(&report)).with_context(|| format!("cannot write {}", file.display()))?;
        eprintln!("drawn into {}", file.display());
    }
    report.print(common.printer());
    Ok(ExitCode::SUCCESS)
}

fn name(bench: Bench) -> String {
    bench.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
