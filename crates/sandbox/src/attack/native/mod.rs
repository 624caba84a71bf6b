//! Native code inside a locked worker, as after an escape from the WebAssembly runtime: what it finds, what it may call,
//! how it may end, what it may say to the server.
//!
//! The worker's side is [`play`], which takes the place of an attempt when an event asks for it; the server's side says
//! what must come of it. Each is played in a process of its own, so that a neighbour's attempts go on.

mod deed;
mod lie;

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use sublet_jail::{HostileCall, Refused, Victim, hostile_calls};
use sublet_model::Outcome;

use self::deed::DEEDS;
use self::lie::LIES;
use super::Group;
use super::range::{Ground, attempt};
use super::verdict::{Seen, plain};
use crate::{Report, Sandbox, Unavailable};

/// The signal that ends a process for a system call outside its profile.
const SIGSYS: i32 = 31;
/// How long a killed process may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How an event begins that asks for native code; others must not pay for the look.
const PLAY: &[u8] = br#"{"play":"#;

/// One attack on this layer.
pub(super) enum Native {
    Call(usize, &'static HostileCall),
    Play(&'static Play),
}

/// Something that native code does, and what the server must make of it.
pub(super) struct Play {
    name: &'static str,
    promise: &'static str,
    /// In the worker: the attempt's result, if it lives to say it.
    deed: fn() -> Vec<u8>,
    /// Wall limit of the attempt.
    wall: Duration,
    judge: fn(&Played<'_>) -> Result<(), String>,
}

/// What the server saw of it.
struct Played<'a> {
    report: &'a Report,
    took: Duration,
    /// The ceiling of a worker's private memory.
    memory_bytes: u64,
}

/// All of them, each with its group, its name and its promise.
pub(super) fn attacks() -> impl Iterator<Item = (Group, String, String, Native)> {
    let calls = hostile_calls().enumerate().map(|(index, call)| {
        let words: String = call.promise.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ' ').collect();
        let name = format!("call-{}", words.to_lowercase().replace(' ', "-"));
        (Group::SystemCalls, name, format!("A worker {}", call.promise), Native::Call(index, call))
    });
    let plays = [(Group::Process, DEEDS), (Group::Lies, LIES)].into_iter().flat_map(|(group, plays)| {
        plays.iter().map(move |play| (group, play.name.to_owned(), play.promise.to_owned(), Native::Play(play)))
    });
    calls.chain(plays)
}

/// In the worker: what an event asks for. `None`: it is meant for an attempt.
pub(super) fn play(event: &[u8]) -> Option<Vec<u8>> {
    if !event.starts_with(PLAY) {
        return None;
    }
    let event: Value = serde_json::from_slice(event).ok()?;
    if let Some(index) = event["play"].as_u64() {
        let call = hostile_calls().nth(usize::try_from(index).ok()?)?;
        let own = i64::from(std::process::id());
        let result = call.make(&Victim { parent: event["server"].as_i64()?, own });
        if i64::from(std::process::id()) != own {
            // The child of a call that got as far as having one.
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) };
        }
        return serde_json::to_vec(&json!({ "result": result })).ok();
    }
    let name = event["play"].as_str()?;
    let play = DEEDS.iter().chain(LIES).find(|play| play.name == name)?;
    Some((play.deed)())
}

impl Native {
    pub(super) async fn run(&self, ground: &Ground) -> Seen {
        let dead = pids_of_the_dead(ground);
        let seen = match self {
            Native::Call(index, call) => self.call(ground, *index, call, &dead).await,
            Native::Play(play) => play.run(ground).await,
        }?;
        // Whatever it did, the server goes on.
        match ground.run(&ground.idle, "{}").await {
            Ok(report) if report.outcome == Outcome::Succeeded => Ok(seen),
            Ok(report) => Err(format!("{seen}, and then a harmless attempt ended as {}", report.outcome)),
            Err(error) => Err(format!("{seen}, and then no attempt could be run: {error}")),
        }
    }

    async fn call(&self, ground: &Ground, index: usize, call: &HostileCall, dead: &HashSet<u32>) -> Seen {
        let report = played(ground, json!(index), Duration::from_secs(5)).await.map_err(|error| error.to_string())?;
        match call.refused {
            Refused::Killed if report.outcome == Outcome::Crashed => death_by_sigsys(ground, dead).await,
            Refused::With(errno) if report.result.as_deref() == Some(answer(-i64::from(errno)).as_bytes()) => {
                Ok(format!("refused: {}", std::io::Error::from_raw_os_error(errno)))
            }
            _ => Err(format!("the call came back ({})", told(&report))),
        }
    }
}

impl Play {
    async fn run(&self, ground: &Ground) -> Seen {
        let started = std::time::Instant::now();
        let report = played(ground, json!(self.name), self.wall).await.map_err(|error| error.to_string())?;
        let told = told(&report);
        let memory_bytes = ground.worker_memory_bytes;
        (self.judge)(&Played { report: &report, took: started.elapsed(), memory_bytes })
            .map_err(|fault| format!("{fault} ({told})"))?;
        Ok(told)
    }
}

async fn played(ground: &Ground, what: Value, wall: Duration) -> Result<Report, Unavailable> {
    let server = std::process::id();
    let mut alone = attempt(&ground.idle, &json!({ "play": what, "server": server }).to_string());
    alone.alone = true;
    alone.limits.wall = wall;
    ground.pool.run(alone).await
}

fn answer(result: i64) -> String {
    json!({ "result": result }).to_string()
}

fn told(report: &Report) -> String {
    match &report.result {
        Some(result) => format!("{} {}", report.outcome, plain(&String::from_utf8_lossy(result))),
        None => report.outcome.to_string(),
    }
}

fn pids_of_the_dead(ground: &Ground) -> HashSet<u32> {
    ground.pool.deaths().borrow().iter().map(|death| death.pid).collect()
}

/// The report comes before the process is waited for, so that its end may still be on its way.
async fn death_by_sigsys(ground: &Ground, dead: &HashSet<u32>) -> Seen {
    let mut deaths = ground.pool.deaths();
    let died =
        deaths.wait_for(|deaths| deaths.iter().any(|death| death.signal == Some(SIGSYS) && !dead.contains(&death.pid)));
    match tokio::time::timeout(GONE_WITHIN, died).await {
        Ok(Ok(_)) => Ok("the worker was killed by the kernel (SIGSYS)".to_owned()),
        _ => Err("the worker ended, but not by the system call filter".to_owned()),
    }
}

fn crashed(played: &Played<'_>) -> Result<(), String> {
    match played.report.outcome {
        Outcome::Crashed if played.report.result.is_none() => Ok(()),
        _ => Err("it should end as Crashed".to_owned()),
    }
}

fn json_of(played: &Played<'_>) -> Result<Value, String> {
    let result = played.report.result.as_deref().ok_or("it should say what it found")?;
    serde_json::from_slice(result).map_err(|error| error.to_string())
}
