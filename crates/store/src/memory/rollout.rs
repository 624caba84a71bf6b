//! Rollouts and their steps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sublet_model::{Error, FunctionId, Name, TenantId, Timestamp};

use super::{MemoryStore, State, Verb, listing};
use crate::page::{Listing, Page};
use crate::registry::{LayerRecord, NewVersion};
use crate::rollout::{
    LiveUse, RolloutFailure, RolloutRecord, RolloutState, Rollouts, StepEnd, StepsBack, newest_forgotten,
};

/// A layer and its version.
type Key = (Name, u32);

struct Step {
    of: LiveUse,
    end: StepEnd,
    back: Option<Back>,
}

#[derive(PartialEq, Eq)]
enum Back {
    Restored,
    Kept,
}

struct Rollout {
    /// Its counts are told when it is read.
    record: RolloutRecord,
    steps: BTreeMap<FunctionId, Step>,
}

impl Rollout {
    fn read(&self) -> RolloutRecord {
        let count = |fits: &dyn Fn(&Step) -> bool| self.steps.values().filter(|step| fits(step)).count() as u64;
        RolloutRecord {
            made: count(&|step| matches!(step.end, StepEnd::Made(_))),
            failed: count(&|step| matches!(step.end, StepEnd::Failed(_))),
            passed_over: count(&|step| step.end == StepEnd::PassedOver),
            restored: count(&|step| step.back == Some(Back::Restored)),
            kept: count(&|step| step.back == Some(Back::Kept)),
            ..self.record.clone()
        }
    }
}

#[derive(Default)]
pub(super) struct Rows {
    rollouts: BTreeMap<Key, Rollout>,
}

impl Rows {
    pub(super) fn forget_tenant(&mut self, tenant: TenantId) {
        for rollout in self.rollouts.values_mut() {
            rollout.steps.retain(|_, step| step.of.tenant != tenant);
        }
    }

    fn running(&mut self, layer: &Name, version: u32) -> Result<&mut Rollout, Error> {
        let found = self.rollouts.get_mut(&(layer.clone(), version));
        found
            .filter(|rollout| rollout.record.state == RolloutState::Running)
            .ok_or_else(|| Error::conflict(format!("no rollout of version {version} of layer {layer} runs")))
    }
}

impl State {
    /// With the publication of the version. Those of the layer that run give way; those of long ago are forgotten.
    pub(super) fn begin_rollout(&mut self, layer: &Name, version: u32, rolls_out: bool, now: Timestamp) {
        for ((of, _), rollout) in &mut self.rollouts.rollouts {
            if of == layer && rollout.record.state == RolloutState::Running {
                rollout.record.state = RolloutState::Superseded;
                rollout.record.ended = Some(now);
            }
        }
        let forgotten = newest_forgotten(version);
        self.rollouts.rollouts.retain(|(of, number), _| of != layer || *number > forgotten);
        if !rolls_out {
            return;
        }
        let total = self.live_uses(layer, version).count() as u64;
        let record = RolloutRecord {
            layer: layer.clone(),
            version,
            state: RolloutState::Running,
            total,
            made: 0,
            failed: 0,
            passed_over: 0,
            restored: 0,
            kept: 0,
            started: now,
            ended: None,
        };
        self.rollouts.rollouts.insert((layer.clone(), version), Rollout { record, steps: BTreeMap::new() });
    }

    /// Functions whose live version uses the layer in another version, in no order.
    fn live_uses<'a>(&'a self, layer: &'a Name, version: u32) -> impl Iterator<Item = LiveUse> + 'a {
        self.registry.functions.values().filter_map(move |function| {
            let live = function.record.live?;
            let layers = &function.versions.get(&live)?.layers;
            let is_other = layers.iter().any(|(name, number)| name == layer && *number != version);
            is_other.then_some(LiveUse { tenant: function.record.tenant, function: function.record.id, live })
        })
    }

    fn step_rollout(
        &mut self,
        layer: &Name,
        version: u32,
        of: LiveUse,
        built: Result<NewVersion, String>,
        now: Timestamp,
    ) -> Result<StepEnd, Error> {
        let rollout = self.rollouts.running(layer, version)?;
        if rollout.steps.contains_key(&of.function) {
            return Err(Error::conflict(format!("function {} has its step", of.function)));
        }
        let found = self.registry.functions.get(&(of.tenant, of.function));
        let end = match of.decide(found.and_then(|function| function.record.live), built) {
            Ok(new) => StepEnd::Made(self.registry.function_mut(of.tenant, of.function)?.publish(new, now)?.number),
            Err(end) => end,
        };
        rollout.steps.insert(of.function, Step { of, end: end.clone(), back: None });
        Ok(end)
    }

    fn take_back_layer(&mut self, layer: &Name, now: Timestamp) -> Result<LayerRecord, Error> {
        let found = self.registry.layers.get_mut(layer);
        let known = found.ok_or_else(|| Error::not_found(format!("layer {layer}")))?;
        let taken = known.current;
        let former = known.former.get(&taken).copied();
        let former = former.ok_or_else(|| Error::conflict(format!("layer {layer} had no version before {taken}")))?;
        known.current = former;
        let record = known.version(former).ok_or_else(|| Error::not_found(format!("version {former}")))?;
        if let Some(rollout) = self.rollouts.rollouts.get_mut(&(layer.clone(), taken)) {
            rollout.record = rollout.read().taken_back(now);
        }
        Ok(record)
    }

    fn steps_back(&mut self, layer: &Name, version: u32, limit: usize, now: Timestamp) -> Result<StepsBack, Error> {
        let found = self.rollouts.rollouts.get_mut(&(layer.clone(), version));
        let rollout = found
            .filter(|rollout| rollout.record.state == RolloutState::TakenBack)
            .ok_or_else(|| Error::conflict(format!("version {version} of layer {layer} is not taken back")))?;
        let mut restored = Vec::new();
        let made = |step: &Step| matches!(step.end, StepEnd::Made(_)) && step.back.is_none();
        for step in rollout.steps.values_mut().filter(|step| made(step)).take(limit) {
            let StepEnd::Made(number) = step.end else { continue };
            step.back = Some(Back::Kept);
            let LiveUse { tenant, function, live } = step.of;
            let Ok(found) = self.registry.function_mut(tenant, function) else { continue };
            if found.record.live == Some(number) {
                found.point_live_at(live)?;
                step.back = Some(Back::Restored);
                restored.push((tenant, function));
            }
        }
        let is_partial = rollout.steps.values().any(made);
        if !is_partial && rollout.record.ended.is_none() {
            rollout.record.ended = Some(now);
        }
        Ok(StepsBack { restored, is_partial })
    }
}

#[async_trait]
impl Rollouts for MemoryStore {
    async fn rollout(&self, layer: &Name, version: Option<u32>) -> Result<Option<RolloutRecord>, Error> {
        Ok(self.read(|state| {
            let of_layer = (layer.clone(), 0)..=(layer.clone(), u32::MAX);
            let mut all = state.rollouts.rollouts.range(of_layer).rev();
            let found = all.find(|((_, number), _)| version.is_none_or(|wanted| *number == wanted));
            found.map(|(_, rollout)| rollout.read())
        }))
    }

    async fn unfinished_rollouts(&self) -> Result<Vec<RolloutRecord>, Error> {
        let mut open: Vec<RolloutRecord> = self.read(|state| {
            let all = state.rollouts.rollouts.values();
            all.filter(|rollout| rollout.record.ended.is_none()).map(Rollout::read).collect()
        });
        open.sort_by_key(|rollout| rollout.started);
        Ok(open)
    }

    async fn rollout_pending(
        &self,
        layer: &Name,
        version: u32,
        after: Option<FunctionId>,
        limit: usize,
    ) -> Result<Vec<LiveUse>, Error> {
        Ok(self.read(|state| {
            let rollout = state.rollouts.rollouts.get(&(layer.clone(), version));
            let has_step = |id| rollout.is_some_and(|rollout| rollout.steps.contains_key(&id));
            let mut pending: Vec<LiveUse> = state
                .live_uses(layer, version)
                .filter(|of| after.is_none_or(|after| of.function > after) && !has_step(of.function))
                .collect();
            pending.sort_by_key(|of| of.function);
            pending.truncate(limit);
            pending
        }))
    }

    async fn step_rollout(
        &self,
        layer: &Name,
        version: u32,
        of: LiveUse,
        built: Result<NewVersion, String>,
        now: Timestamp,
    ) -> Result<StepEnd, Error> {
        self.register(|state| state.step_rollout(layer, version, of, built, now)).await
    }

    async fn end_rollout(&self, layer: &Name, version: u32, now: Timestamp) -> Result<RolloutRecord, Error> {
        let end = |state: &mut State| {
            let rollout = state.rollouts.running(layer, version)?;
            rollout.record = rollout.read().at_end(now);
            Ok(rollout.record.clone())
        };
        self.write(Verb::Register, end).await
    }

    async fn take_back_layer(&self, layer: &Name, now: Timestamp) -> Result<LayerRecord, Error> {
        self.register(|state| state.take_back_layer(layer, now)).await
    }

    async fn steps_back(&self, layer: &Name, version: u32, limit: usize, now: Timestamp) -> Result<StepsBack, Error> {
        self.register(|state| state.steps_back(layer, version, limit, now)).await
    }

    async fn rollout_failures(&self, layer: &Name, version: u32, page: Page) -> Result<Listing<RolloutFailure>, Error> {
        self.read(|state| {
            let failures: Vec<RolloutFailure> = match state.rollouts.rollouts.get(&(layer.clone(), version)) {
                Some(rollout) => rollout.steps.values().filter_map(failure_of).collect(),
                None => Vec::new(),
            };
            listing::by_name(failures.iter().map(|failure| (failure.function, failure)), &page)
        })
    }
}

fn failure_of(step: &Step) -> Option<RolloutFailure> {
    match &step.end {
        StepEnd::Failed(error) => {
            Some(RolloutFailure { tenant: step.of.tenant, function: step.of.function, error: error.clone() })
        }
        _ => None,
    }
}
