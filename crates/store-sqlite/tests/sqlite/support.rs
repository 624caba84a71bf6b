//! What the tests of this crate are written with: a store in a folder, made-up events, and the steps of their life.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sublet_model::{EventId, FunctionId, IdMint, InvocationId, Outcome, TenantId, Timestamp, Usage};
use sublet_store::{
    AttemptEnd, Bus, Claim, EventStatus, Lease, NewEvent, NewInvocation, Next, Ownership, Published, Queue, Settle,
    Settled, UsageQuery,
};
use sublet_store_sqlite::{SqliteOptions, SqliteStore};

/// A short log: the tests open hundreds of stores.
pub(super) fn options() -> SqliteOptions {
    SqliteOptions { wal_bytes: 1 << 20, reserve_bytes: 0, ..SqliteOptions::default() }
}

pub(super) fn open(folder: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(folder, options()).unwrap()
}

/// 2026-01-31T09:30:00Z.
pub(super) const START: Timestamp = Timestamp::from_millis(1_769_851_800_000);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

pub(super) const ALL_USAGE: UsageQuery =
    UsageQuery { tenant: None, function: None, from: Timestamp::ZERO, to: Timestamp::from_millis(i64::MAX) };

/// Makes up events and remembers the time.
pub(super) struct Source {
    pub(super) now: Timestamp,
    pub(super) mint: IdMint,
}

impl Source {
    pub(super) fn new() -> Source {
        Source { now: START, mint: IdMint::new(1, 0) }
    }

    pub(super) fn event(&mut self, tenant: TenantId, body: Bytes) -> NewEvent {
        let id = EventId::from_raw(self.mint.next(self.now));
        NewEvent {
            id,
            tenant: Some(tenant),
            identity: None,
            depth: 0,
            status: EventStatus::Matched,
            trace: Bytes::from_static(b"[]"),
            trace_context: None,
            body,
            invocations: vec![NewInvocation {
                id: InvocationId::from_raw(self.mint.next(self.now)),
                tenant,
                function: FunctionId::from_raw(tenant.raw()),
                event: Some(id),
                due: self.now,
                retry: None,
                input: None,
                dead_letter: None,
            }],
            deliveries: Vec::new(),
            messages: Vec::new(),
            consumes: None,
        }
    }

    /// Publishes one event and answers its invocation.
    pub(super) async fn publish(&mut self, store: &SqliteStore, tenant: TenantId) -> InvocationId {
        let event = self.event(tenant, Bytes::from_static(b"{}"));
        let invocation = event.invocations[0].id;
        assert_eq!(store.publish(vec![event], self.now).await.unwrap(), [Published::Accepted]);
        invocation
    }

    pub(super) fn claim(&self, lease: Lease) -> Claim {
        Claim { lease, at: self.now, until: self.now + Duration::from_secs(30) }
    }

    pub(super) fn end(&self) -> AttemptEnd {
        AttemptEnd {
            started: self.now,
            ended: self.now,
            version: 1,
            outcome: Outcome::Succeeded,
            usage: Usage { wall_us: 5, cpu_us: 3, memory_limit_bytes: 1 << 30, ..Usage::default() },
            result: Some(Bytes::from_static(b"{}")),
            failure: None,
            log: Bytes::from_static(b"a line\n"),
            fetches: None,
        }
    }

    /// Claims and settles with success.
    pub(super) async fn run(&self, store: &SqliteStore, lease: Lease) -> Settled {
        drop(store.claim(vec![self.claim(lease)]));
        let settle = Settle { lease, end: self.end(), next: Next::Succeed, announce: false, message: None };
        store.settle(settle).await.unwrap()
    }
}

pub(super) fn lease(ownership: &Ownership, tenant: TenantId, invocation: InvocationId) -> Lease {
    Lease { invocation, tenant, epoch: ownership.epoch_of(tenant).unwrap(), token: 1 }
}

/// What the disk holds now, as a machine that loses power at this moment leaves it: the files copied while the store
/// is open. The index of the log is not among them, since it is rebuilt.
pub(super) fn photograph(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in ["sublet.db", "sublet.db-wal"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    std::fs::create_dir_all(to.join("bodies")).unwrap();
    for file in files_of_bodies(from) {
        std::fs::copy(from.join("bodies").join(&file), to.join("bodies").join(&file)).unwrap();
    }
}

/// The names of the files beside the database.
pub(super) fn files_of_bodies(folder: &Path) -> Vec<String> {
    let listing = std::fs::read_dir(folder.join("bodies")).unwrap();
    let mut names: Vec<String> = listing.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}
