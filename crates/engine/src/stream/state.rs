//! State changes of invocations on the live stream. They are made only while somebody reads them, and for a little
//! while after, so that a reader that comes back finds what it missed.

use std::sync::Arc;

use serde::Serialize;
use sublet_model::{EndReason, EventId, FunctionId, InvocationId, InvocationState, Name, Outcome, TenantId, Timestamp};
use sublet_store::Waiting;

use super::StreamItem;
use crate::core::Core;

/// One change. Serialises to its data line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateItem {
    #[serde(skip)]
    pub tenant_id: TenantId,
    pub invocation: InvocationId,
    /// Left out while the tenant is not at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// Left out once it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<Name>,
    /// `evt_…`: the event that was invoked for.
    pub event_id: EventId,
    pub state: InvocationState,
    pub at: Timestamp,
    /// The number of the attempt that begins or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When it may start, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
}

/// What befell a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FunctionChange {
    Stopped,
    Started,
    Quarantined,
    Released,
}

/// A function that starts nothing more, or does again. Serialises to its data line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionItem {
    #[serde(skip)]
    pub tenant_id: TenantId,
    pub tenant: Name,
    pub function: Name,
    pub change: FunctionChange,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// What is told of one beside who it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    pub(crate) attempt: Option<u32>,
    pub(crate) due: Option<Timestamp>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) reason: Option<EndReason>,
}

impl Core {
    /// Costs two loads when nobody listens.
    pub(crate) fn tell(&self, of: &Waiting, state: InvocationState, at: Timestamp, told: Told) {
        if !self.stream.wants_states(at) {
            return;
        }
        let Told { attempt, due, outcome, reason } = told;
        self.stream.push_state(StreamItem::State(Arc::new(StateItem {
            tenant_id: of.tenant,
            invocation: of.invocation,
            tenant: self.directory.tenant_by_id_if_held(of.tenant).map(|record| record.name.clone()),
            function: self.directory.function_by_id_if_held(of.tenant, of.function).map(|record| record.name.clone()),
            event_id: of.event,
            state,
            at,
            attempt,
            due,
            outcome,
            reason,
        })));
    }

    pub(crate) async fn tell_function(
        &self,
        tenant: TenantId,
        function: FunctionId,
        change: FunctionChange,
        reason: Option<String>,
        at: Timestamp,
    ) {
        if !self.stream.wants_states(at) {
            return;
        }
        let Ok(Some(record)) = self.directory.function_by_id(tenant, function).await else { return };
        let Ok(Some(owner)) = self.directory.tenant_by_id(tenant).await else { return };
        let (tenant_id, tenant, function) = (tenant, owner.name.clone(), record.name.clone());
        let item = FunctionItem { tenant_id, tenant, function, change, reason, at };
        self.stream.push_state(StreamItem::Function(Arc::new(item)));
    }

    /// It waits: newly, again after an attempt, or again after a redrive.
    pub(crate) fn tell_waiting(&self, of: &Waiting, at: Timestamp) {
        let state = match of.failed > 0 || of.crashed > 0 {
            true => InvocationState::Retrying,
            false => InvocationState::Queued,
        };
        self.tell(of, state, at, Told { due: Some(of.due), ..Told::default() });
    }
}
