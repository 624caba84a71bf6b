//! A layer's new version into the live versions that use the layer, in the background: one function after the other, so
//! that of the sandbox's builders one is always the tenants' own. What was done is in the store, step by step, so that
//! a restart goes on where it was; so does the way back.

use std::sync::Arc;
use std::time::Duration;

use sublet_model::{Error, ErrorKind, FunctionId, Name};
use sublet_sandbox::Failure;
use sublet_store::{LayerRecord, LiveUse, NewVersion, RolloutRecord, RolloutState, StepEnd};

use crate::core::Core;
use crate::deploy::{DeployError, Source};

/// Functions looked up at once.
const PAGE: usize = 100;
/// Steps of a way back in one commit.
const BACK_AT_ONCE: usize = 500;
/// When the store or the sandbox is not to be had: until the next try.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 1_000;

impl Core {
    /// Runs for the life of the engine.
    pub(crate) async fn keep_rolling_out(&self) {
        loop {
            match self.see_to_rollouts().await {
                // A word said meanwhile is kept by the notification.
                Ok(()) => self.rollouts.notified().await,
                Err(error) => {
                    tracing::warn!(%error, "a rollout waits: {error}");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Until none is unfinished, but for those that something hinders: the last such error is answered.
    async fn see_to_rollouts(&self) -> Result<(), Error> {
        let mut hindered: Vec<(Name, u32)> = Vec::new();
        let mut last = Ok(());
        loop {
            let open = self.store.unfinished_rollouts().await?;
            // Oldest first; what is superseded or taken back while it is worked on shows at the next look.
            let is_free = |rollout: &&RolloutRecord| {
                !hindered.iter().any(|(layer, version)| *layer == rollout.layer && *version == rollout.version)
            };
            let Some(rollout) = open.iter().find(is_free) else { return last };
            let worked = match rollout.state {
                RolloutState::TakenBack => self.go_back(&rollout.layer, rollout.version).await,
                _ => self.roll_out(rollout).await,
            };
            match worked {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::Conflict => {}
                Err(error) => {
                    // One layer's trouble is no other's.
                    hindered.push((rollout.layer.clone(), rollout.version));
                    last = Err(error);
                }
            }
        }
    }

    /// `Conflict` when it runs no more.
    #[tracing::instrument(name = "engine.rollout", level = "debug", skip_all, fields(layer = %rollout.layer))]
    async fn roll_out(&self, rollout: &RolloutRecord) -> Result<(), Error> {
        let RolloutRecord { layer, version, .. } = rollout;
        // Once more from the start when the end is reached: a function may have been rolled back to a version of before.
        while self.roll_out_once(layer, *version).await? {}
        let ended = self.directory.end_rollout(layer, *version).await?;
        tracing::info!(
            made = ended.made,
            failed = ended.failed,
            passed_over = ended.passed_over,
            "version {version} of layer {layer} is rolled out: {} functions have it, {} do not build",
            ended.made,
            ended.failed
        );
        Ok(())
    }

    /// `false`: there was nothing to do.
    async fn roll_out_once(&self, layer: &Name, version: u32) -> Result<bool, Error> {
        let mut after: Option<FunctionId> = None;
        loop {
            let page = self.store.rollout_pending(layer, version, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(after.is_some()) };
            let next = Some(last.function);
            for of in page {
                let built = self.build_for(layer, version, of).await?;
                let end = self.directory.step_rollout(layer, version, of, built).await?;
                let outcome = match end {
                    StepEnd::Made(_) => "made",
                    StepEnd::Failed(_) => "failed",
                    StepEnd::PassedOver => "passed_over",
                };
                metrics::counter!("sublet_rollout_steps_total", "outcome" => outcome).increment(1);
            }
            after = next;
        }
    }

    /// The inner error is what is told of the function; the outer one says that it is to be tried again, and is of what
    /// passes by itself: anything else would keep the rollout from its end.
    async fn build_for(&self, layer: &Name, version: u32, of: LiveUse) -> Result<Result<NewVersion, String>, Error> {
        let error = match self.rebuilt(layer, version, of).await {
            Ok(new) => return Ok(Ok(new)),
            Err(DeployError::Rejected(failure)) => return Ok(Err(told(&failure))),
            Err(DeployError::Error(error)) => error,
        };
        match error.kind {
            ErrorKind::Unavailable | ErrorKind::Throttled => return Err(error),
            ErrorKind::Internal => {
                let function = of.function;
                tracing::error!(
                    tenant.id = %of.tenant,
                    function.id = %function,
                    %error,
                    "function {function} does not get version {version} of layer {layer}: {error}"
                );
            }
            _ => {}
        }
        // What is for the log alone stays there.
        Ok(Err(cut(Error { source_text: None, ..error }.to_string())))
    }

    /// The live version's package and configuration with the layer's new version.
    async fn rebuilt(&self, layer: &Name, version: u32, of: LiveUse) -> Result<NewVersion, DeployError> {
        let gone = || Error::new(ErrorKind::NotFound, "it is gone");
        let tenant = self.directory.tenant_by_id(of.tenant).await?.ok_or_else(gone)?;
        let live = self.directory.version(of.tenant, of.function, of.live).await?.ok_or_else(gone)?;
        let package = self.code.get(&live.package).await.map_err(|error| {
            let message = format!("its package cannot be read: {}", error.message);
            Error { message, ..error }
        })?;
        let pinned = |name: &Name| match name == layer {
            true => Some(version),
            false => live.layers.iter().find(|(used, _)| used == name).map(|(_, number)| *number),
        };
        let used: Vec<Name> = live.layers.iter().map(|(name, _)| name.clone()).collect();
        let layers = self.layers_for(&tenant.spec.wrappers, &used, pinned).await?;
        self.build_version(of.tenant, &live.config, Source::stored(&live, package), layers).await
    }

    /// Puts the former versions live again. `Conflict` when the rollout is not taken back.
    async fn go_back(&self, layer: &Name, version: u32) -> Result<(), Error> {
        while self.directory.steps_back(layer, version, BACK_AT_ONCE).await?.is_partial {}
        Ok(())
    }

    /// The layer's current version gives way to the one before it, everywhere where it is still what the rollout made
    /// live. Answers what is current now, and the rollout that was taken back, if there was one.
    pub(crate) async fn take_back_layer(
        self: &Arc<Core>,
        layer: &Name,
    ) -> Result<(LayerRecord, Option<RolloutRecord>), Error> {
        let former = self.store.layer(layer, None).await?;
        let taken = former.ok_or_else(|| Error::not_found(format!("layer {layer}")))?.number;
        let current = self.directory.take_back_layer(layer, taken).await?;
        // Should this call end early, or the process: whoever looks for unfinished rollouts goes on.
        self.rollouts.notify_one();
        metrics::counter!("sublet_layers_taken_back_total").increment(1);
        tracing::warn!("version {taken} of layer {layer} is taken back; version {} is current", current.number);
        if self.store.rollout(layer, Some(taken)).await?.is_some() {
            self.go_back(layer, taken).await?;
        }
        let rollout = self.store.rollout(layer, Some(taken)).await?;
        Ok((current, rollout))
    }
}

fn told(failure: &Failure) -> String {
    cut(format!("{}: {}", failure.error_type, failure.error_message))
}

fn cut(text: String) -> String {
    match text.char_indices().nth(ERROR_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
