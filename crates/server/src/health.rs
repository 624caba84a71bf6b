//! `/healthz` and `/readyz`: for whoever decides whether to restart this process and whether to send it requests.
//! Neither takes a key, so neither tells more than words of ours, and neither costs more than one commit a second.
//!
//! Health is what a restart would mend: the runtime runs tasks, and every loop of the engine still runs. Readiness is
//! what a request needs: a store that commits, room on its disk, a worker, the shards, and no drain.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde::Serialize;
use sublet_engine::Engine;
use sublet_model::Timestamp;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{AppState, Open};

/// How often the runtime has to come round, and how long it may fail to before that is ill health.
const BEAT_EVERY: Duration = Duration::from_secs(1);
const BEAT_LATE: Duration = Duration::from_secs(15);
/// A commit that takes longer than this is a store that does not answer.
const COMMIT_WITHIN: Duration = Duration::from_secs(3);
/// How long an answer about the store is good for, so that questions without a key do not write to the disk at will.
const COMMIT_TRIED_FOR: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_health)).routes(routes!(get_readiness))
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "ready", "checks": [{"name": "store", "ok": true}]}))]
pub(crate) struct Health {
    /// `ok` or `ready`, else why not: the name of the first check that failed, in a word.
    status: &'static str,
    /// When the TLS certificate ends; absent without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_expires: Option<String>,
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Check {
    name: &'static str,
    ok: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What `status` says when this is the first to fail.
    #[serde(skip)]
    word: &'static str,
}

fn check(name: &'static str, word: &'static str, failed: Option<String>) -> Check {
    Check { name, ok: failed.is_none(), reason: failed, word }
}

/// The runtime's pulse, and the last answer of the store.
#[derive(Debug)]
pub(crate) struct Pulse {
    beat: Mutex<Instant>,
    /// When it was asked, and why it does not commit.
    commit: tokio::sync::Mutex<Option<(Instant, Option<String>)>>,
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { beat: Mutex::new(Instant::now()), commit: tokio::sync::Mutex::new(None) }
    }
}

impl Pulse {
    /// Runs for as long as the server.
    pub(crate) async fn keep_beating(&self) {
        loop {
            *self.beat.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
            tokio::time::sleep(BEAT_EVERY).await;
        }
    }

    fn late(&self) -> Option<String> {
        let silent = self.beat.lock().unwrap_or_else(std::sync::PoisonError::into_inner).elapsed();
        (silent > BEAT_LATE).then(|| format!("timers have not run for {} s", silent.as_secs()))
    }

    /// Whether the store commits, by a commit.
    async fn store_fails(&self, engine: &Engine) -> Option<String> {
        // One asks, the others wait for what it hears.
        let mut last = self.commit.lock().await;
        if let Some((asked, failed)) = last.as_ref().filter(|(asked, _)| asked.elapsed() < COMMIT_TRIED_FOR) {
            let _ = asked;
            return failed.clone();
        }
        let failed = match tokio::time::timeout(COMMIT_WITHIN, engine.store().flush()).await {
            Ok(Ok(())) => None,
            // The message is ours; the cause is in the log.
            Ok(Err(error)) => Some(error.message),
            Err(_) => Some(format!("no commit within {} s", COMMIT_WITHIN.as_secs())),
        };
        *last = Some((Instant::now(), failed.clone()));
        failed
    }
}

/// What a restart would mend.
pub(crate) fn health(engine: &Engine, pulse: &Pulse) -> Vec<Check> {
    let ended = engine.loops_ended();
    let ended = (!ended.is_empty()).then(|| format!("ended early: {}", ended.join(", ")));
    vec![check("runtime", "stuck", pulse.late()), check("engine", "broken", ended)]
}

/// What a request needs.
pub(crate) async fn readiness(engine: &Engine, pulse: &Pulse, is_stopping: bool) -> Vec<Check> {
    let stats = engine.stats();
    let drain = (is_stopping || stats.draining).then(|| "the node is ending".to_owned());
    let is_draining = drain.is_some();
    let mut checks = vec![check("drain", "draining", drain)];
    if is_draining {
        // What else is being taken down is no news.
        return checks;
    }
    checks.extend(health(engine, pulse));
    checks.push(check("store", "store_unavailable", pulse.store_fails(engine).await));
    let full = engine.store().room().filter(sublet_store::Room::is_reserve_reached).map(|room| {
        let free = room.free_bytes.unwrap_or(0);
        format!("{free} bytes are free, of which {} are in reserve", room.reserve_bytes)
    });
    checks.push(check("disk", "disk_reserve_reached", full));
    let idle = (stats.workers == 0).then(|| "no worker process is ready".to_owned());
    checks.push(check("workers", "no_workers", idle));
    let foreign = (stats.shards == 0).then(|| "this node owns no shard".to_owned());
    checks.push(check("shards", "no_shards", foreign));
    checks
}

fn answer(fine: &'static str, checks: Vec<Check>, expires: Option<Timestamp>) -> (StatusCode, axum::Json<Health>) {
    let failed = checks.iter().find(|check| !check.ok).map(|check| check.word);
    let code = if failed.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (
        code,
        axum::Json(Health {
            status: failed.unwrap_or(fine),
            certificate_expires: expires.map(|at| at.to_string()),
            checks,
        }),
    )
}

/// Whether the process is alive: its runtime comes round, and the engine's loops run.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "node",
    responses(
        (status = 200, description = "`ok`", body = Health),
        (status = 503, description = "`stuck` or `broken`: a restart mends it", body = Health),
    ),
)]
async fn get_health(node: Open) -> (StatusCode, axum::Json<Health>) {
    answer("ok", node.health(), None)
}

/// Whether requests should come here, with each check and its reason.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "node",
    responses(
        (status = 200, description = "`ready`", body = Health),
        (
            status = 503,
            description = "`draining`, `stuck`, `broken`, `store_unavailable`, `disk_reserve_reached`, `no_workers` or `no_shards`",
            body = Health
        ),
    ),
)]
async fn get_readiness(node: Open) -> (StatusCode, axum::Json<Health>) {
    let checks = node.readiness().await;
    answer("ready", checks, node.certificate_expires())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_does_not_come_round_is_ill() {
        let pulse = Pulse::default();
        assert_eq!(pulse.late(), None);
        let long_ago = Instant::now().checked_sub(BEAT_LATE * 2).unwrap();
        *pulse.beat.lock().unwrap() = long_ago;
        assert_eq!(pulse.late(), Some("timers have not run for 30 s".to_owned()));
        let (code, body) = answer("ok", vec![check("runtime", "stuck", pulse.late())], None);
        assert_eq!((code.as_u16(), body.0.status), (503, "stuck"));
    }
}
