//! One tenant's part of the scheduler: what it may have, what waits and what runs.

use std::collections::VecDeque;

use sublet_model::Quota;
use sublet_store::Waiting;

/// What a tenant may have, as far as the scheduler is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub floor: u32,
    pub ceiling: u32,
    pub weight: u32,
    pub invoke_slots: u32,
    /// Of the ceiling, what work from the queue never takes.
    pub invoke_reserved: u32,
    /// Suspended: what waits goes on waiting.
    pub paused: bool,
}

impl Share {
    pub fn of(quota: &Quota, paused: bool) -> Share {
        Share {
            floor: quota.floor,
            ceiling: quota.ceiling,
            weight: quota.weight.max(1),
            invoke_slots: quota.invoke_slots,
            invoke_reserved: quota.invoke_reserved,
            paused,
        }
    }
}

#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) share: Share,
    /// Due, oldest first.
    pub(super) ready: VecDeque<Waiting>,
    /// How many more are in the heap of delayed ones.
    pub(super) delayed: u64,
    /// How many more are set aside.
    pub(super) parked: u64,
    /// Attempts and invokes that run.
    pub(super) in_flight: u32,
    /// Of those, the invokes.
    pub(super) invokes_running: u32,
    /// Invokes that run or wait.
    pub(super) invokes: u32,
    /// Invokes that wait for a slot of this tenant; the global line holds those that wait for any slot.
    pub(super) invokes_held: VecDeque<u64>,
    /// The round in which it may next start something beyond its floor.
    pub(super) turn: u64,
    /// What it is owed beyond that round, in parts of a start.
    pub(super) credit: u32,
    pub(super) in_floor_line: bool,
    pub(super) in_rounds: bool,
}

impl Tenant {
    pub(super) fn new(share: Share) -> Tenant {
        Tenant {
            share,
            ready: VecDeque::new(),
            delayed: 0,
            parked: 0,
            in_flight: 0,
            invokes_running: 0,
            invokes: 0,
            invokes_held: VecDeque::new(),
            turn: 0,
            credit: 0,
            in_floor_line: false,
            in_rounds: false,
        }
    }

    pub(super) fn can_start(&self) -> bool {
        let attempts = self.in_flight.saturating_sub(self.invokes_running);
        !self.ready.is_empty()
            && self.in_flight < self.share.ceiling
            && attempts < self.share.ceiling.saturating_sub(self.share.invoke_reserved)
            && !self.share.paused
    }

    pub(super) fn is_below_floor(&self) -> bool {
        self.in_flight < self.share.floor
    }

    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty()
            && self.not_ready() == 0
            && self.in_flight == 0
            && self.invokes == 0
            && !self.in_floor_line
            && !self.in_rounds
    }
}
