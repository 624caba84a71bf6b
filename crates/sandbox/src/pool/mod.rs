//! The server's side of the wasm tier: a pool of locked worker processes behind [`Sandbox`].
//!
//! Attempts go to a worker that has the function's image, unless another is much less busy. A worker that dies, breaks
//! the protocol or goes on past a limit is gone at once, its attempts end (`Crashed`, or `TimedOut` for one that was
//! overdue), and a standby takes its seat. Builds run in processes of their own. Nothing that a worker says is believed
//! without a check, and the pool does not start if a required layer of the jail is missing.
//!
//! [`config`] · [`launch`] and [`process`] start processes · [`connection`] moves frames · [`worker`] is one worker,
//! [`roster`] the shared ones, [`cordon`] those of one tenant each · [`images`] and [`engine_files`] are what they run ·
//! [`builds`] and [`code_key`] make that · [`verdict`] judges reports · [`outcall`] takes their calls out.

mod builds;
mod code_key;
mod config;
mod connection;
mod cordon;
mod engine_files;
mod images;
mod launch;
mod memory_file;
mod outcall;
mod process;
mod roster;
mod verdict;
mod worker;

pub use config::{OnRefused, PoolConfig, StartError};
pub use process::Death;

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sublet_model::{Outcome, TenantId, limit};
use tokio::sync::{Notify, Semaphore, watch};

use self::builds::Builds;
use self::code_key::CodeKey;
use self::cordon::Cordons;
use self::images::{ImageError, Images, SealedImage};
use self::launch::Launcher;
use self::process::Spawner;
use self::roster::{NoPlace, Roster};
use self::worker::{Job, Worker};
use crate::wire::{CONTEXT_BYTES_MAX, ENVIRONMENT_BYTES_MAX, EVENT_BYTES_MAX};
use crate::{
    Attempt, Build, BuildError, BuildRequest, Code, CompileRequest, Cordon, Crash, Image, ImageKind, Limits, Report,
    Sandbox, Unavailable, ending,
};

/// Attempts that run alone at once, each in a process of its own.
const ALONE_MAX: usize = 2;
/// Attempts at once whose instructions are counted, each in a process of its own too.
const COUNTING_MAX: usize = 2;
/// Bytes of an image from which on its seal is broken beside the attempts of others; and how many such at once.
const LARGE_IMAGE_BYTES_MIN: usize = 256 << 10;
const LARGE_IMAGES_MAX: usize = 2;
/// How long an attempt waits while no worker is there at all.
const WORKER_WITHIN: Duration = Duration::from_secs(5);
/// How long killed processes may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// Worker processes that run attempts, and the processes that build images.
pub struct Pool {
    launcher: Arc<Launcher>,
    roster: Arc<Roster>,
    cordons: Arc<Cordons>,
    builds: Arc<Builds>,
    images: Arc<Images>,
    large_images: Semaphore,
    alone: Semaphore,
    counting: Semaphore,
    active: Arc<Active>,
    slots: usize,
    layers: sublet_jail::Report,
}

/// Calls of `run` and `build` under way.
#[derive(Default)]
struct Active {
    is_draining: AtomicBool,
    count: AtomicUsize,
    idle: Notify,
}

/// One call under way.
struct Call<'a>(&'a Active);

impl Active {
    fn enter(&self) -> Result<Call<'_>, Unavailable> {
        // Counted first, so that a drain either sees this call or turns it away.
        self.count.fetch_add(1, Ordering::SeqCst);
        let call = Call(self);
        if self.is_draining.load(Ordering::SeqCst) { Err(Unavailable::Draining) } else { Ok(call) }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl Pool {
    /// Compiles or loads the engine, starts the workers, and returns when one worker and one builder are locked and
    /// ready; the others follow.
    ///
    /// Errors: among others a required layer of the jail that this machine does not give, by its name.
    pub async fn start(config: PoolConfig) -> Result<Pool, StartError> {
        for (setting, value) in [
            ("worker_count", config.worker_count),
            ("slots_per_worker", config.slots_per_worker),
            ("dedicated_max", config.dedicated_max),
        ] {
            if value == 0 {
                return Err(StartError::Setting(setting));
            }
        }
        if config.insecure_no_jail {
            tracing::warn!("INSECURE: workers run tenants' code without any layer of the jail");
        }
        let cache_dir = config.cache_dir.clone();
        let engine = tokio::task::spawn_blocking(move || engine_files::prepare(cache_dir.as_deref()));
        let engine = engine.await.map_err(|error| StartError::Engine(error.to_string()))??;
        let spawner = Spawner::new(config.program.clone(), config.arguments.clone())
            .map_err(|error| StartError::Worker(error.to_string()))?;
        let launcher = Arc::new(Launcher::new(&config, spawner, engine));
        let roster = Roster::new(Arc::clone(&launcher), config.worker_count, config.slots_per_worker);
        let builds = Builds::new(Arc::clone(&launcher), CodeKey::open(config.key_file.as_deref())?);
        let first = roster.launch().await.map_err(|error| StartError::Worker(error.to_string()))?;
        let layers = first.layers.clone();
        Arc::clone(&builds).restock().await;
        roster.start(first);
        let cordons = Cordons::start(Arc::clone(&roster), config.dedicated_max, config.dedicated_idle);
        Ok(Pool {
            launcher,
            roster,
            cordons,
            builds,
            images: Arc::default(),
            large_images: Semaphore::new(LARGE_IMAGES_MAX),
            alone: Semaphore::new(ALONE_MAX),
            counting: Semaphore::new(COUNTING_MAX),
            active: Arc::default(),
            slots: config.worker_count * config.slots_per_worker,
            layers,
        })
    }

    /// The jail's layers as the first worker reported them, for `sublet doctor`.
    pub fn layers(&self) -> &sublet_jail::Report {
        &self.layers
    }

    /// Process ids of the workers that run attempts at this moment.
    pub fn worker_pids(&self) -> Vec<u32> {
        self.roster.pids()
    }

    /// Process ids of the workers that are this tenant's own at this moment.
    pub fn cordon_pids(&self, tenant: TenantId) -> Vec<u32> {
        self.cordons.pids(tenant)
    }

    /// The latest worker processes that ended, newest first.
    pub fn deaths(&self) -> watch::Receiver<VecDeque<Death>> {
        self.launcher.spawner.deaths()
    }

    /// Takes no more calls, waits for those under way up to `within`, then lets every process go.
    pub async fn shutdown(&self, within: Duration) {
        self.active.is_draining.store(true, Ordering::SeqCst);
        let drained = async {
            let mut idle = std::pin::pin!(self.active.idle.notified());
            loop {
                idle.as_mut().enable();
                if self.active.count.load(Ordering::SeqCst) == 0 {
                    return;
                }
                idle.as_mut().await;
                idle.set(self.active.idle.notified());
            }
        };
        if tokio::time::timeout(within, drained).await.is_err() {
            let left = self.active.count.load(Ordering::SeqCst);
            tracing::warn!(
                attempts.lost = left,
                "{left} attempts or builds were still running at the end of the drain"
            );
        }
        self.close();
        // Killed processes are gone in milliseconds; one that hangs in the kernel must not hang us.
        let _ = tokio::time::timeout(GONE_WITHIN, self.launcher.spawner.all_gone()).await;
    }

    fn close(&self) {
        self.cordons.close();
        self.roster.close();
        self.builds.close();
    }

    async fn run_shared(&self, job: &Job) -> Result<Report, Unavailable> {
        let ticket = match self.roster.submit(job) {
            Err(NoPlace::NoWorkers) => tokio::time::timeout(WORKER_WITHIN, self.wait_for_worker(job))
                .await
                .map_err(|_| Unavailable::Broken("no worker process could be started".to_owned()))?,
            submitted => submitted,
        };
        ticket.map_err(|_| Unavailable::Full)?.answer().await
    }

    async fn wait_for_worker(&self, job: &Job) -> Result<worker::Ticket, NoPlace> {
        let mut arrival = std::pin::pin!(self.roster.arrival.notified());
        loop {
            arrival.as_mut().enable();
            match self.roster.submit(job) {
                Err(NoPlace::NoWorkers) => arrival.as_mut().await,
                submitted => return submitted,
            }
            arrival.set(self.roster.arrival.notified());
        }
    }

    /// In a process that runs nothing else and ends with it.
    async fn run_alone(&self, job: &Job) -> Result<Report, Unavailable> {
        let _turn = self.alone.acquire().await.map_err(|_| Unavailable::Draining)?;
        run_in(self.roster.fresh().await?, job).await
    }

    /// One that is not kept is made, a large one where that holds nobody up.
    async fn image(&self, code: &Code, cordon: Cordon) -> Result<Arc<SealedImage>, Unavailable> {
        let refused = |error: ImageError| Unavailable::Broken(error.to_string());
        if let Some(image) = self.images.find(code, cordon).map_err(refused)? {
            return Ok(image);
        }
        if code.image.bytes.len() < LARGE_IMAGE_BYTES_MIN {
            return self.images.get(code, cordon, &self.builds.key, self.engine_hash()).map_err(refused);
        }
        // Of those that want the same one, one makes it; and few are in memory twice at once.
        let _turn = self.large_images.acquire().await.map_err(|_| Unavailable::Draining)?;
        let (images, builds, code) = (Arc::clone(&self.images), Arc::clone(&self.builds), code.clone());
        let engine_hash = self.launcher.engine.hash.clone();
        let made = tokio::task::spawn_blocking(move || images.get(&code, cordon, &builds.key, &engine_hash));
        made.await.map_err(|error| Unavailable::Broken(error.to_string()))?.map_err(refused)
    }

    /// The same, on the engine that counts; a tenant's own module brings its counter along.
    async fn run_counting(&self, job: &Job) -> Result<Report, Unavailable> {
        let _turn = self.counting.acquire().await.map_err(|_| Unavailable::Draining)?;
        run_in(self.roster.counting().await?, job).await
    }
}

async fn run_in(worker: Arc<Worker>, job: &Job) -> Result<Report, Unavailable> {
    let guard = EndOnDrop(worker);
    let ticket = guard.0.submit(job).ok_or_else(|| Unavailable::Broken("a fresh worker is gone".to_owned()))?;
    ticket.answer().await
}

/// Ends a worker when its one attempt has its answer, or nobody waits for it.
struct EndOnDrop(Arc<Worker>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

/// Nothing for none, which the guest need not read.
fn environment_json(variables: &[(String, String)]) -> serde_json::Result<Bytes> {
    if variables.is_empty() {
        return Ok(Bytes::new());
    }
    let object: BTreeMap<&str, &str> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    serde_json::to_vec(&object).map(Bytes::from)
}

#[async_trait]
impl Sandbox for Pool {
    async fn build(&self, request: BuildRequest) -> Result<Build, BuildError> {
        let _call = self.active.enter()?;
        self.builds.build(request).await
    }

    async fn compile(&self, request: CompileRequest) -> Result<Build, BuildError> {
        let _call = self.active.enter()?;
        self.builds.compile(request).await
    }

    fn accepts(&self, image: &Image, engine_hash: &str, tenant: TenantId) -> bool {
        match image.kind {
            ImageKind::Snapshot => {
                engine_hash == self.engine_hash() && self.builds.key.open_snapshot(engine_hash, &image.bytes).is_some()
            }
            ImageKind::Machine => self.builds.key.open_machine(tenant, &image.bytes).is_some(),
        }
    }

    async fn run(&self, attempt: Attempt) -> Result<Report, Unavailable> {
        let _call = self.active.enter()?;
        let broken = |error: std::io::Error| Unavailable::Broken(error.to_string());
        let context = serde_json::to_vec(&attempt.context).map_err(|error| broken(error.into()))?;
        let environment = environment_json(&attempt.environment).map_err(|error| broken(error.into()))?;
        // A worker would take a larger one for a broken server, and end.
        let is_too_long = attempt.event.len() > EVENT_BYTES_MAX
            || context.len() > CONTEXT_BYTES_MAX
            || environment.len() > ENVIRONMENT_BYTES_MAX;
        if is_too_long {
            return Err(Unavailable::Broken("an event, a context or variables larger than a worker takes".to_owned()));
        }
        let wall = attempt.limits.wall.min(limit::TIMEOUT_MAX);
        let job = Job {
            image: self.image(&attempt.code, attempt.cordon).await?,
            event: attempt.event,
            context: context.into(),
            environment,
            egress: attempt.egress,
            limits: Limits { wall, ..attempt.limits },
            seed: attempt.seed,
            stop: attempt.stop,
            is_sent: AtomicBool::new(false),
            counts: attempt.counts,
        };
        let (cordon, alone, mut stop) = (attempt.cordon, attempt.alone, job.stop.clone());
        let mut run = pin!(async {
            match cordon {
                _ if job.counts => self.run_counting(&job).await,
                _ if alone => self.run_alone(&job).await,
                Cordon::Shared => self.run_shared(&job).await,
                Cordon::Tenant(tenant) => self.cordons.run(tenant, &job).await,
            }
        });
        tokio::select! {
            biased;
            () = worker::said(&mut stop) => {
                if job.is_sent.load(Ordering::Relaxed) {
                    return run.await;
                }
                // While it waits for its place, it need not get one.
                Ok(verdict::lost(Outcome::Cancelled, ending::cancelled(), Crash::Death, job.known(), Duration::ZERO))
            }
            report = &mut run => report,
        }
    }

    fn engine_hash(&self) -> &str {
        &self.launcher.engine.hash
    }

    fn slots(&self) -> usize {
        self.slots
    }

    fn workers(&self) -> usize {
        self.roster.pids().len()
    }
}
