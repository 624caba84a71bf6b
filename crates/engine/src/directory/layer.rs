//! Layers and their rollouts. They are looked up at deploy time only, so they are not cached; the functions whose live
//! version moves are.

use sublet_model::{Error, Name};
use sublet_store::{LayerRecord, LiveUse, NewVersion, ObjectHash, RolloutRecord, StepEnd, StepsBack};

use super::Directory;
use crate::chance::locked;

impl Directory {
    pub(crate) async fn publish_layer(
        &self,
        name: &Name,
        package: ObjectHash,
        rolls_out: bool,
    ) -> Result<LayerRecord, Error> {
        let now = self.clock.now();
        self.write(self.store.publish_layer(name, package, rolls_out, now), |_, _| ()).await
    }

    pub(crate) async fn step_rollout(
        &self,
        layer: &Name,
        version: u32,
        of: LiveUse,
        built: Result<NewVersion, String>,
    ) -> Result<StepEnd, Error> {
        let now = self.clock.now();
        self.write(self.store.step_rollout(layer, version, of, built, now), |directory, _| {
            locked(&directory.held).forget_function(of.tenant, of.function);
        })
        .await
    }

    pub(crate) async fn end_rollout(&self, layer: &Name, version: u32) -> Result<RolloutRecord, Error> {
        self.store.end_rollout(layer, version, self.clock.now()).await
    }

    /// Errors: `Conflict` when `taken` is not the current version any more.
    pub(crate) async fn take_back_layer(&self, layer: &Name, taken: u32) -> Result<LayerRecord, Error> {
        let now = self.clock.now();
        let take_back = async {
            // Nothing else is written meanwhile.
            let current = self.store.layer(layer, None).await?;
            if current.is_none_or(|current| current.number != taken) {
                return Err(Error::conflict(format!(
                    "version {taken} of layer {layer} is not the current one any more"
                )));
            }
            self.store.take_back_layer(layer, now).await
        };
        self.write(take_back, |_, _| ()).await
    }

    pub(crate) async fn steps_back(&self, layer: &Name, version: u32, limit: usize) -> Result<StepsBack, Error> {
        let now = self.clock.now();
        self.write(self.store.steps_back(layer, version, limit, now), |directory, back| {
            let mut held = locked(&directory.held);
            for (tenant, function) in &back.restored {
                held.forget_function(*tenant, *function);
            }
        })
        .await
    }
}
