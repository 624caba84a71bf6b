//! `sublet doctor --attack`: the escape suite on this machine's own kernel, against the workers that this program starts,
//! with a line for each attack and a score.

mod archive;
mod line;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;
use sublet_sandbox::attack::{Attack, Range, Settings, attacks};
use sublet_sandbox::pool::PoolConfig;

use self::archive::{Archive, archives};
use self::line::{Line, Worst};
use crate::node::WORKER_COMMAND;
use crate::print::Printer;

/// The hidden command under which this program is a worker that plays native attacks. The server never starts it.
pub(crate) const ATTACK_COMMAND: &str = "__attack";

/// Everything that can be tried, in order.
enum Trial {
    Archive(Archive),
    Attack(Attack),
}

impl Trial {
    fn name(&self) -> &str {
        match self {
            Trial::Archive(archive) => archive.name,
            Trial::Attack(attack) => &attack.name,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Trial::Archive(_) => archive::TITLE,
            Trial::Attack(attack) => attack.group.title(),
        }
    }

    async fn run(&self, range: &Range) -> Result<Line> {
        match self {
            Trial::Archive(archive) => Ok(archive.run()),
            Trial::Attack(attack) => Ok(Line::of(attack, &attack.run(range).await?)),
        }
    }
}

/// `only`: those whose name holds one of these texts.
pub(crate) async fn run(only: &[String], printer: Printer) -> Result<ExitCode> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let trials = archives().into_iter().map(Trial::Archive).chain(attacks().into_iter().map(Trial::Attack));
    let trials: Vec<Trial> = trials.filter(|trial| wanted(trial.name())).collect();
    if trials.is_empty() {
        bail!("no attack has `{}` in its name", only.join("` or `"));
    }
    // The engine is compiled once for both kinds of worker; twice where nothing can be written.
    let cache = tempfile::tempdir().ok();
    let pool = PoolConfig {
        worker_count: 1,
        arguments: vec![WORKER_COMMAND.into()],
        cache_dir: cache.as_ref().map(|folder| folder.path().to_owned()),
        ..PoolConfig::default()
    };
    let (attack_program, attack_arguments) = (pool.program.clone(), vec![ATTACK_COMMAND.into()]);
    let range = Range::new(Settings { pool, attack_program, attack_arguments });
    let mut lines = Vec::with_capacity(trials.len());
    let mut title = "";
    for (index, trial) in trials.iter().enumerate() {
        let progress = Progress::show(index, trials.len(), trial.name());
        let line =
            trial.run(&range).await.with_context(|| format!("the attack `{}` could not be made", trial.name()))?;
        drop(progress);
        if !printer.json {
            if trial.title() != title {
                title = trial.title();
                println!("{}{title}", if index == 0 { "" } else { "\n" });
            }
            println!("  {line}");
        }
        lines.push(line);
    }
    range.close().await;
    let held = lines.iter().filter(|line| line.held).count();
    if printer.json {
        printer.raw(&json!({ "held": held, "attacks": lines.len(), "results": lines }));
    } else {
        println!();
        for line in lines.iter().filter(|line| !line.held) {
            println!("BROKEN  {}: {}", line.name, line.promise);
        }
        if let Some(worst) = Worst::of(&lines) {
            println!("{worst}");
        }
        println!("{held} of {} attacks held", lines.len());
    }
    Ok(if held == lines.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is being tried, on a terminal, while it is being tried.
struct Progress {
    is_shown: bool,
}

impl Progress {
    fn show(index: usize, count: usize, name: &str) -> Progress {
        let is_shown = std::io::stderr().is_terminal();
        if is_shown {
            eprint!("{} of {count}: {name}", index + 1);
            let _ = std::io::stderr().flush();
        }
        Progress { is_shown }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            // To the line's start, and the rest of it away.
            eprint!("\r\x1b[K");
        }
    }
}
