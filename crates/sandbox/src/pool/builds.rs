//! Builds: each in a process of its own, taken from a locked standby, gone when it has answered.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::connection::{Connection, ConnectionError, Outbox};
use super::launch::Launcher;
use crate::wasm::{RawSnapshot, seal_image};
use crate::wire::{FROM_WORKER_BYTES_MAX, FromWorker, Role, SNAPSHOT_BYTES_MAX, ToWorker, build_frame_bytes_max};
use crate::{Build, BuildError, BuildRequest, Image, Unavailable, ending};

/// Builds that run at once; each may take a function's memory twice over, here and there.
const BUILDS_MAX: usize = 2;
/// Builds that wait for one of those; more are told to come again.
const WAITING_MAX: usize = 64;

pub(super) struct Builds {
    launcher: Arc<Launcher>,
    standby: Mutex<Option<Connection>>,
    running: Semaphore,
    waiting: Semaphore,
}

impl Builds {
    pub(super) fn new(launcher: Arc<Launcher>) -> Arc<Builds> {
        Arc::new(Builds {
            launcher,
            standby: Mutex::new(None),
            running: Semaphore::new(BUILDS_MAX),
            waiting: Semaphore::new(BUILDS_MAX + WAITING_MAX),
        })
    }

    pub(super) async fn build(self: &Arc<Builds>, request: BuildRequest) -> Result<Build, BuildError> {
        let _place = self.waiting.try_acquire().map_err(|_| Unavailable::Full)?;
        // Closed when the pool is let go.
        let _turn = self.running.acquire().await.map_err(|_| Unavailable::Draining)?;
        let raw = self.evaluate(request).await?;
        let base = Arc::clone(&self.launcher.engine.base);
        let sealed = tokio::task::spawn_blocking(move || seal_image(&raw, &base).map(|bytes| (bytes, raw.log)));
        let (bytes, log) = sealed.await.map_err(broken)?.map_err(|error| {
            // A builder that hands back what is no snapshot was taken over by the code in it.
            tracing::warn!(%error, "a builder's snapshot was refused");
            BuildError::Rejected(ending::build_crashed())
        })?;
        Ok(Build { image: Image { bytes: bytes.into() }, engine_hash: self.launcher.engine.hash.clone(), log })
    }

    /// In a builder, until it answers or its time is over; then the process is gone.
    async fn evaluate(self: &Arc<Builds>, request: BuildRequest) -> Result<RawSnapshot, BuildError> {
        let mut builder = self.take().await?;
        let timeout = request.timeout;
        let mut outbox = Outbox::default();
        outbox.push(&ToWorker::Build(request));
        if outbox.bytes() > build_frame_bytes_max() {
            return Err(Unavailable::Broken("a package larger than a builder takes".to_owned()).into());
        }
        let answer = tokio::time::timeout(timeout, async {
            builder.send_all(&mut outbox).await?;
            builder.next(SNAPSHOT_BYTES_MAX + FROM_WORKER_BYTES_MAX).await
        });
        match answer.await {
            Ok(Ok(FromWorker::Built(raw))) => Ok(raw),
            Ok(Ok(FromWorker::Refused(failure))) => Err(BuildError::Rejected(failure)),
            Ok(Ok(FromWorker::Unfit { reason })) => {
                tracing::warn!(worker.pid = builder.process.pid, "a builder could not do its work: {reason}");
                Err(Unavailable::Broken(reason).into())
            }
            Ok(Ok(_)) => Err(self.lost(&builder, &ConnectionError::Unexpected("a message out of turn"))),
            Ok(Err(error)) => Err(self.lost(&builder, &error)),
            Err(_) => Err(BuildError::Rejected(ending::build_timed_out(timeout))),
        }
    }

    /// It died or broke the protocol while the tenant's code ran, and that code is the likely cause.
    fn lost(&self, builder: &Connection, error: &ConnectionError) -> BuildError {
        let pid = builder.process.pid;
        tracing::warn!(worker.pid = pid, %error, "builder {pid} is gone while evaluating a package: {error}");
        BuildError::Rejected(ending::build_crashed())
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
        self.standby().take();
    }

    fn standby(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.standby.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken(error: impl std::fmt::Display) -> Unavailable {
    Unavailable::Broken(error.to_string())
}
