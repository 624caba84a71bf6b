//! Connections that are kept for the next request of the same tenant to the same place at the same address.
//!
//! A connection is found again only by all of these, so none made for one tenant, or towards one address, ever carries
//! a request of another tenant or a request that was resolved otherwise.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sublet_model::TenantId;
use sublet_model::egress::Scheme;

use super::connection::Connection;

/// How long a connection is kept unused: less than most servers keep theirs.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// Unused connections of one tenant, and of all.
const PER_TENANT_MAX: usize = 16;
const ALL_MAX: usize = 1_024;

/// What a connection leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) scheme: Scheme,
    /// What TLS named.
    pub(super) host: String,
    pub(super) address: SocketAddr,
}

struct Idle {
    place: Place,
    connection: Connection,
    since: Instant,
}

#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_tenant: HashMap<TenantId, Vec<Idle>>,
    count: usize,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self, tenant: TenantId, place: &Place) -> Option<Connection> {
        let mut state = self.lock();
        let idle = state.by_tenant.get_mut(&tenant)?;
        let fits = |one: &mut Idle| one.place == *place && one.since.elapsed() < IDLE_MAX && one.connection.is_usable();
        let taken = idle.iter_mut().rposition(fits).map(|at| idle.swap_remove(at))?;
        state.count -= 1;
        Some(taken.connection)
    }

    pub(super) fn put(&self, tenant: TenantId, place: Place, connection: Connection) {
        let mut state = self.lock();
        if state.count >= ALL_MAX {
            return;
        }
        let idle = state.by_tenant.entry(tenant).or_default();
        let is_full = idle.len() >= PER_TENANT_MAX;
        if is_full {
            // The one that waited longest.
            let oldest = idle.iter().enumerate().min_by_key(|(_, one)| one.since).map(|(at, _)| at);
            oldest.map(|at| idle.swap_remove(at));
        }
        idle.push(Idle { place, connection, since: Instant::now() });
        state.count += usize::from(!is_full);
    }

    /// Lets go what is too old or closed by the other side.
    pub(super) fn sweep(&self) {
        let mut state = self.lock();
        state.by_tenant.retain(|_, idle| {
            idle.retain_mut(|one| one.since.elapsed() < IDLE_MAX && one.connection.is_usable());
            !idle.is_empty()
        });
        state.count = state.by_tenant.values().map(Vec::len).sum();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("count", &self.lock().count).finish()
    }
}
