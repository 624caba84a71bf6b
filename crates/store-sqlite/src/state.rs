//! What the writer keeps in memory beside its connection, and what readers share with it.
//!
//! Everything here is a copy of rows, or worthless after a crash: it is loaded at open, and loaded anew when a
//! transaction failed, so that memory never says more than the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OptionalExtension};
use sublet_model::{IdMint, InvocationId, InvocationState, TenantId, Timestamp};
use sublet_store::{PendingDelivery, PendingMessage, SHARDS, Waiting, shard_of};
use tokio::sync::{mpsc, watch};

use crate::body::Bodies;
use crate::disk::Reserve;
use crate::fail::Outcome;
use crate::hash::BuildIdHasher;
use crate::identity::Identities;
use crate::ledger::LedgerMemory;
use crate::option::FRESH_MAX;
use crate::partition;
use crate::row::{Live, counter_of};

/// An attempt in flight. Leases are not written: every lease of an earlier process is stale anyway.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) live: Live,
    pub(crate) epoch: u64,
    pub(crate) until: Timestamp,
}

/// The writer's own.
pub(crate) struct State {
    /// Indexed by shard.
    pub(crate) epochs: Vec<u64>,
    pub(crate) running: HashMap<InvocationId, Running, BuildIdHasher>,
    /// Rows of `live` that are as new as they were published, so that a claim need not read them: most are claimed
    /// soon after. At most [`FRESH_MAX`]; one that is not here is read.
    pub(crate) fresh: HashMap<InvocationId, Live, BuildIdHasher>,
    /// Attempts, outbox lines and registry rows.
    pub(crate) mint: IdMint,
    node: u16,
    minted: i64,
    pub(crate) reserve: Reserve,
    pub(crate) arrivals: Option<mpsc::UnboundedSender<Vec<Waiting>>>,
    pub(crate) delivery_arrivals: Option<mpsc::UnboundedSender<Vec<PendingDelivery>>>,
    pub(crate) message_arrivals: Option<mpsc::UnboundedSender<Vec<PendingMessage>>>,
}

/// What readers share with the writer.
pub(crate) struct Shared {
    pub(crate) identities: Mutex<Identities>,
    pub(crate) ledger: Mutex<LedgerMemory>,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) revision: watch::Sender<u64>,
}

impl State {
    pub(crate) fn load(conn: &Connection, reserve: Reserve) -> Outcome<State> {
        let minted = last_minted(conn)?;
        let mut state = State {
            epochs: load_epochs(conn)?,
            running: HashMap::default(),
            fresh: HashMap::default(),
            mint: IdMint::new(0, minted),
            node: 0,
            minted,
            reserve,
            arrivals: None,
            delivery_arrivals: None,
            message_arrivals: None,
        };
        state.running = load_running(conn, &state.epochs)?;
        Ok(state)
    }

    /// After a transaction that failed. Ids that it minted are not minted again; receivers stay.
    pub(crate) fn reload(&mut self, conn: &Connection) -> Outcome<()> {
        self.epochs = load_epochs(conn)?;
        self.fresh.clear();
        let mut running = load_running(conn, &self.epochs)?;
        for (id, row) in &mut running {
            // The lease of an attempt that goes on is known here alone.
            if let Some(known) = self.running.get(id).filter(|known| known.live.starts == row.live.starts) {
                row.until = known.until;
                row.epoch = known.epoch;
            }
        }
        self.running = running;
        Ok(())
    }

    pub(crate) fn remember_fresh(&mut self, live: Live) {
        if self.fresh.len() < FRESH_MAX {
            self.fresh.insert(live.id, live);
        }
    }

    pub(crate) fn epoch_of(&self, tenant: TenantId) -> u64 {
        self.epochs[usize::from(shard_of(tenant).0)]
    }

    /// The next id of a row that the writer makes; greater than every one before it.
    pub(crate) fn mint(&mut self, now: Timestamp) -> i64 {
        self.minted = self.mint.next(now);
        self.minted
    }

    /// Ids are minted for `node` from here on.
    pub(crate) fn mint_for(&mut self, node: u16) {
        if self.node != node {
            self.node = node;
            self.mint = IdMint::new(node, self.minted);
        }
    }
}

/// The greatest id the writer may have minted: of registry rows it is written down, of the rest the rows tell.
fn last_minted(conn: &Connection) -> Outcome<i64> {
    let noted: Option<i64> =
        conn.query_row("SELECT value FROM meta WHERE key = 'minted'", [], |row| row.get(0)).optional()?;
    let outbox: Option<i64> = conn.query_row("SELECT max(id) FROM outbox", [], |row| row.get(0))?;
    let mut last = noted.unwrap_or(0).max(outbox.unwrap_or(0));
    for partition in partition::list(conn)? {
        let hour = partition.hour;
        let attempt: Option<i64> =
            conn.query_row(&format!("SELECT max(id) FROM attempt_{hour}"), [], |row| row.get(0))?;
        if let Some(attempt) = attempt {
            last = last.max(attempt);
            break;
        }
    }
    Ok(last)
}

/// The greatest id that came from outside: ids are in time order, so of the hours the newest with rows has it. A table
/// of rows under ids of the engine's minting belongs in here.
pub(crate) fn greatest_handed_in(conn: &Connection) -> Outcome<i64> {
    let greatest =
        |sql: &str| -> Outcome<i64> { Ok(conn.query_row(sql, [], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0)) };
    let mut last = 0;
    for table in ["live", "dead_letter", "delivery", "message", "message_dead"] {
        last = last.max(greatest(&format!("SELECT max(id) FROM {table}"))?);
    }
    for partition in partition::list(conn)? {
        let mut of_hour = 0;
        for table in ["event", "invocation", "delivery", "message"] {
            of_hour = of_hour.max(greatest(&format!("SELECT max(id) FROM {table}_{}", partition.hour))?);
        }
        last = last.max(of_hour);
        if of_hour > 0 {
            break;
        }
    }
    Ok(last)
}

fn load_epochs(conn: &Connection) -> Outcome<Vec<u64>> {
    let mut epochs = vec![0; usize::from(SHARDS)];
    let mut statement = conn.prepare("SELECT shard, epoch FROM shard")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(slot) = epochs.get_mut(usize::from(row.get::<_, u16>(0)?)) {
            *slot = counter_of(row, 1)?;
        }
    }
    Ok(epochs)
}

fn load_running(conn: &Connection, epochs: &[u64]) -> Outcome<HashMap<InvocationId, Running, BuildIdHasher>> {
    let sql = format!("SELECT {} FROM live WHERE state = ?", Live::COLUMNS);
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query([InvocationState::Running.code()])?;
    let mut running = HashMap::default();
    while let Some(row) = rows.next()? {
        let live = Live::read(row)?;
        let epoch = epochs[usize::from(shard_of(live.tenant).0)];
        running.insert(live.id, Running { live, epoch, until: Timestamp::ZERO });
    }
    Ok(running)
}
