//! Builds: each in a process of its own, taken from a locked standby, gone when it has answered.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sublet_model::TenantId;
use tokio::sync::Semaphore;

use super::code_key::CodeKey;
use super::connection::{Connection, ConnectionError, Outbox};
use super::launch::Launcher;
use crate::wasm::{WasmError, machine_hash, seal_image};
use crate::wire::{FROM_WORKER_BYTES_MAX, FromWorker, Role, SNAPSHOT_BYTES_MAX, ToWorker, build_frame_bytes_max};
use crate::{Build, BuildError, BuildRequest, CompileRequest, Failure, Image, ImageKind, Unavailable, ending};

/// Builds that run at once; each may take a function's memory twice over, here and there.
const BUILDS_MAX: usize = 2;
/// Builds that wait for one of those; more are told to come again.
const WAITING_MAX: usize = 64;
/// Modules that are compiled at once. It may take minutes of a core, which must not be a build's that takes milliseconds.
const COMPILES_MAX: usize = 1;
/// Modules in line or being compiled, of 64 MiB at most each; more are told to come again.
const COMPILE_LINE_MAX: usize = 17;

pub(super) struct Builds {
    launcher: Arc<Launcher>,
    standby: Mutex<Option<Connection>>,
    running: Semaphore,
    waiting: Semaphore,
    compiling: Semaphore,
    /// Tenants that have a module in line or being compiled: one each, so that nobody's many keep the others waiting.
    in_line: Mutex<HashSet<TenantId>>,
    pub(super) key: CodeKey,
}

/// A tenant's place in the line.
struct Place<'a> {
    builds: &'a Builds,
    tenant: TenantId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.builds.in_line().remove(&self.tenant);
    }
}

/// What a builder may come to besides an answer.
struct Words {
    timed_out: fn(Duration) -> Failure,
    crashed: fn() -> Failure,
}

const BUILD: Words = Words { timed_out: ending::build_timed_out, crashed: ending::build_crashed };
const COMPILE: Words = Words { timed_out: ending::compile_timed_out, crashed: ending::compile_crashed };

impl Builds {
    pub(super) fn new(launcher: Arc<Launcher>, key: CodeKey) -> Arc<Builds> {
        Arc::new(Builds {
            launcher,
            standby: Mutex::new(None),
            running: Semaphore::new(BUILDS_MAX),
            waiting: Semaphore::new(BUILDS_MAX + WAITING_MAX),
            compiling: Semaphore::new(COMPILES_MAX),
            in_line: Mutex::default(),
            key,
        })
    }

    pub(super) async fn build(self: &Arc<Builds>, request: BuildRequest) -> Result<Build, BuildError> {
        let _place = self.waiting.try_acquire().map_err(|_| Unavailable::Full)?;
        // Closed when the pool is let go.
        let _turn = self.running.acquire().await.map_err(|_| Unavailable::Draining)?;
        let timeout = request.timeout;
        let raw = match self.ask(&ToWorker::Build(request), timeout, &BUILD).await? {
            FromWorker::Built(raw) => raw,
            _ => return Err(lost(None, &ConnectionError::Unexpected("a message out of turn"), &BUILD)),
        };
        let base = Arc::clone(&self.launcher.engine.base);
        let builds = Arc::clone(self);
        let sealed = tokio::task::spawn_blocking(move || {
            let image = seal_image(&raw, &base)?;
            Ok::<_, WasmError>((builds.key.seal_snapshot(&builds.launcher.engine.hash, &image), raw.log))
        });
        let (bytes, log) = sealed.await.map_err(broken)?.map_err(|error| {
            // A builder that hands back what is no snapshot was taken over by the code in it.
            tracing::warn!(%error, "a builder's snapshot was refused");
            BuildError::Rejected(ending::build_crashed())
        })?;
        Ok(Build {
            image: Image { kind: ImageKind::Snapshot, bytes },
            engine_hash: self.launcher.engine.hash.clone(),
            log,
        })
    }

    pub(super) async fn compile(self: &Arc<Builds>, request: CompileRequest) -> Result<Build, BuildError> {
        let CompileRequest { tenant, module, memory_bytes, counts, timeout } = request;
        let _place = self.queue_up(tenant)?;
        let _turn = self.compiling.acquire().await.map_err(|_| Unavailable::Draining)?;
        let order = ToWorker::Compile { module: module.clone(), memory_bytes, counts };
        let code = match self.ask(&order, timeout, &COMPILE).await? {
            FromWorker::Compiled { code } => code,
            _ => return Err(lost(None, &ConnectionError::Unexpected("a message out of turn"), &COMPILE)),
        };
        let builds = Arc::clone(self);
        let sealed = tokio::task::spawn_blocking(move || builds.key.seal_machine(tenant, &module, &code));
        let image = Image { kind: ImageKind::Machine, bytes: sealed.await.map_err(broken)? };
        Ok(Build { image, engine_hash: machine_hash().to_owned(), log: bytes::Bytes::new() })
    }

    fn queue_up(&self, tenant: TenantId) -> Result<Place<'_>, Unavailable> {
        let mut line = self.in_line();
        if line.len() >= COMPILE_LINE_MAX || !line.insert(tenant) {
            return Err(Unavailable::Full);
        }
        Ok(Place { builds: self, tenant })
    }

    /// Asks a builder, until it answers or its time is over; then the process is gone.
    async fn ask(
        self: &Arc<Builds>,
        order: &ToWorker,
        timeout: Duration,
        words: &Words,
    ) -> Result<FromWorker, BuildError> {
        let mut builder = self.take().await?;
        let mut outbox = Outbox::default();
        outbox.push(order);
        if outbox.bytes() > build_frame_bytes_max() {
            return Err(Unavailable::Broken("a package larger than a builder takes".to_owned()).into());
        }
        let answer = tokio::time::timeout(timeout, async {
            builder.send_all(&mut outbox).await?;
            builder.next(SNAPSHOT_BYTES_MAX + FROM_WORKER_BYTES_MAX).await
        });
        match answer.await {
            Ok(Ok(FromWorker::Refused(failure))) => Err(BuildError::Rejected(failure)),
            Ok(Ok(FromWorker::Unfit { reason })) => {
                tracing::warn!(worker.pid = builder.process.pid, "a builder could not do its work: {reason}");
                Err(Unavailable::Broken(reason).into())
            }
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(lost(Some(builder.process.pid), &error, words)),
            Err(_) => Err(BuildError::Rejected((words.timed_out)(timeout))),
        }
    }

    /// The standby if it still lives, else a new one; and the next standby is made ready meanwhile.
    async fn take(self: &Arc<Builds>) -> Result<Connection, Unavailable> {
        let standby = self.standby().take();
        let live = standby.and_then(|mut standby| standby.process.is_alive().then_some(standby));
        let builder = match live {
            Some(standby) => standby,
            None => self.launch().await.map_err(broken)?,
        };
        tokio::spawn(Arc::clone(self).restock());
        Ok(builder)
    }

    /// Makes the standby ready, if there is none.
    pub(super) async fn restock(self: Arc<Builds>) {
        if self.running.is_closed() || self.standby().is_some() {
            return;
        }
        match self.launch().await {
            // Closed meanwhile: dropped, which ends the process.
            Ok(_) if self.running.is_closed() => {}
            Ok(builder) => *self.standby() = Some(builder),
            // The next build tries again and says why.
            Err(error) => tracing::warn!(%error, "a builder process could not be started"),
        }
    }

    pub(super) async fn launch(&self) -> Result<Connection, ConnectionError> {
        self.launcher.launch(Role::Builder).await
    }

    pub(super) fn close(&self) {
        self.running.close();
        self.compiling.close();
        self.standby().take();
    }

    fn standby(&self) -> MutexGuard<'_, Option<Connection>> {
        self.standby.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_line(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.in_line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It died or broke the protocol while it had the tenant's code, and that code is the likely cause.
fn lost(pid: Option<u32>, error: &ConnectionError, words: &Words) -> BuildError {
    tracing::warn!(worker.pid = pid, %error, "a builder is gone with a package in hand: {error}");
    BuildError::Rejected((words.crashed)())
}

fn broken(error: impl std::fmt::Display) -> Unavailable {
    Unavailable::Broken(error.to_string())
}
