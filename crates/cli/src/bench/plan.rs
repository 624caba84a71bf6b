//! How much is measured: enough rounds that the median of them stands still, or few for a first look.

/// Every figure is measured in this many rounds, after a warm-up; its median counts, its least and greatest are shown.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) rounds: usize,
    /// Tenants of the whole path, each with a function of its own.
    pub(super) path_tenants: u64,
    pub(super) path_warm_up: u64,
    /// Events of a round under load, and requests of its yardstick.
    pub(super) path_events: u64,
    /// Events of a round that are sent one by one.
    pub(super) idle_events: u64,
    /// Accepts of a round with one client.
    pub(super) publish_alone: usize,
    /// Accepts of a round by each of many clients.
    pub(super) publish_each: usize,
    pub(super) deploys: u64,
    pub(super) idle_tenants: u64,
    /// Starts with those tenants there.
    pub(super) starts: usize,
    pub(super) matches: u32,
}

impl Plan {
    pub(super) fn new(quick: bool) -> Plan {
        if quick {
            Plan {
                rounds: 3,
                path_tenants: 20,
                path_warm_up: 500,
                path_events: 1_000,
                idle_events: 100,
                publish_alone: 200,
                publish_each: 8,
                deploys: 5,
                idle_tenants: 500,
                starts: 2,
                matches: 5_000,
            }
        } else {
            Plan {
                rounds: 7,
                path_tenants: 100,
                path_warm_up: 3_000,
                path_events: 3_000,
                idle_events: 200,
                publish_alone: 500,
                publish_each: 20,
                deploys: 15,
                idle_tenants: 10_000,
                starts: 5,
                matches: 20_000,
            }
        }
    }
}
