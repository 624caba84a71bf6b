//! A layer's new version on its way into the functions that use the layer, and the way back.
//!
//! A rollout has one step per function: a version made live, an error, or a function passed over because it was deployed
//! or deleted meanwhile. A step and what it changes are one commit, so that a rollout goes on after a crash where it was.

use async_trait::async_trait;
use sublet_model::{Error, FunctionId, Name, TenantId, Timestamp};

use crate::page::{Listing, Page};
use crate::registry::{LayerRecord, NewVersion};

/// Rollouts of a layer whose steps are kept; an older one is not taken back step by step any more.
pub const ROLLOUTS_KEPT: u32 = 10;

/// Of a layer's rollouts, the newest that is forgotten when this version is published; those before it go with it.
pub const fn newest_forgotten(version: u32) -> u32 {
    version.saturating_sub(ROLLOUTS_KEPT)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutState {
    Running,
    /// Every function was seen to, and each that had to be rebuilt was.
    Done,
    /// Every function was seen to, and some did not build.
    Failed,
    /// A newer version was published before the end.
    Superseded,
    TakenBack,
}

impl RolloutState {
    pub const ALL: [RolloutState; 5] = [
        RolloutState::Running,
        RolloutState::Done,
        RolloutState::Failed,
        RolloutState::Superseded,
        RolloutState::TakenBack,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            RolloutState::Running => "running",
            RolloutState::Done => "done",
            RolloutState::Failed => "failed",
            RolloutState::Superseded => "superseded",
            RolloutState::TakenBack => "taken_back",
        }
    }

    pub fn from_text(text: &str) -> Option<RolloutState> {
        RolloutState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRecord {
    pub layer: Name,
    pub version: u32,
    pub state: RolloutState,
    /// Functions whose live version used the layer in another version when it began; once it ended, its steps.
    pub total: u64,
    /// Steps by what they came to; `restored` and `kept` are those of `made` that a way back has seen.
    pub made: u64,
    pub failed: u64,
    pub passed_over: u64,
    pub restored: u64,
    pub kept: u64,
    pub started: Timestamp,
    /// `None` while something is left to do, forwards or back.
    pub ended: Option<Timestamp>,
}

impl RolloutRecord {
    /// What it is when it has seen every function.
    pub fn at_end(self, now: Timestamp) -> RolloutRecord {
        let state = if self.failed > 0 { RolloutState::Failed } else { RolloutState::Done };
        let total = self.made + self.failed + self.passed_over;
        RolloutRecord { state, total, ended: Some(now), ..self }
    }

    /// What it is when its layer's version is taken back: ended at once where no step has a way back to go.
    pub fn taken_back(self, now: Timestamp) -> RolloutRecord {
        let is_all_back = self.made == self.restored + self.kept;
        RolloutRecord { state: RolloutState::TakenBack, ended: is_all_back.then_some(now), ..self }
    }
}

/// A function whose live version uses a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveUse {
    pub tenant: TenantId,
    pub function: FunctionId,
    /// The number of that version.
    pub live: u32,
}

impl LiveUse {
    /// What its step has to make, and put live, where `live` is the function's live version by now. `Err`: what the step
    /// comes to without making anything; what was built for another live version is for nobody, whether it built or not.
    pub fn decide(self, live: Option<u32>, built: Result<NewVersion, String>) -> Result<NewVersion, StepEnd> {
        if live != Some(self.live) {
            return Err(StepEnd::PassedOver);
        }
        match built {
            Ok(new) => Ok(NewVersion { make_live: true, ..new }),
            Err(error) => Err(StepEnd::Failed(error)),
        }
    }
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEnd {
    /// This version was made and is live.
    Made(u32),
    /// It does not build; its live version stays.
    Failed(String),
    /// Its live version is another by now, or it is gone.
    PassedOver,
}

/// A function that did not build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutFailure {
    pub tenant: TenantId,
    pub function: FunctionId,
    pub error: String,
}

/// Some steps of a way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepsBack {
    /// Those whose former version is live again.
    pub restored: Vec<(TenantId, FunctionId)>,
    /// There may be more.
    pub is_partial: bool,
}

/// The store's part about rollouts. A rollout is begun by `publish_layer`.
#[async_trait]
pub trait Rollouts {
    /// `None`: the newest of the layer.
    async fn rollout(&self, layer: &Name, version: Option<u32>) -> Result<Option<RolloutRecord>, Error>;
    /// Those with something left to do, oldest first.
    async fn unfinished_rollouts(&self) -> Result<Vec<RolloutRecord>, Error>;

    /// Functions whose live version uses the layer in another version than this, and that have no step yet: by id,
    /// ascending, above `after`.
    async fn rollout_pending(
        &self,
        layer: &Name,
        version: u32,
        after: Option<FunctionId>,
        limit: usize,
    ) -> Result<Vec<LiveUse>, Error>;

    /// One step, with what it changes in the same commit: the version is made and goes live (which lifts a quarantine)
    /// if `of.live` is still the live one; else the function is passed over, and nothing is made. `Err`: why it does not build.
    ///
    /// Contract: `Conflict` and nothing changed when the rollout does not run or the function has its step. A step
    /// that ends as `Made` raises the registry's revision.
    async fn step_rollout(
        &self,
        layer: &Name,
        version: u32,
        of: LiveUse,
        built: Result<NewVersion, String>,
        now: Timestamp,
    ) -> Result<StepEnd, Error>;

    /// It has seen every function: `Done` or `Failed`. Contract: `Conflict` when it does not run.
    async fn end_rollout(&self, layer: &Name, version: u32, now: Timestamp) -> Result<RolloutRecord, Error>;

    /// Takes the layer's current version back: the one before it is current, and its rollout, if there is one, is
    /// `TakenBack` with its steps still to go back. Answers what is current now.
    ///
    /// Contract: `NotFound` without such a layer, `Conflict` when nothing came before the current version.
    async fn take_back_layer(&self, layer: &Name, now: Timestamp) -> Result<LayerRecord, Error>;

    /// The next steps of a rollout that is taken back, at most `limit`: a function whose live version is the one that
    /// the step made gets its former version live again (which lifts a quarantine), any other is kept as it is. With the
    /// last of them the rollout has ended.
    ///
    /// Contract: each step goes back once. `Conflict` when the rollout is not taken back. Raises the registry's
    /// revision when a version went live.
    async fn steps_back(&self, layer: &Name, version: u32, limit: usize, now: Timestamp) -> Result<StepsBack, Error>;

    /// By function, ascending.
    async fn rollout_failures(&self, layer: &Name, version: u32, page: Page) -> Result<Listing<RolloutFailure>, Error>;
}
