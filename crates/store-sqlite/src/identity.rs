//! The window of recent identities: a bounded set in memory, rebuilt at open from the newest events' own column, because
//! a live index on the event table costs as much as all the rest of an accept.

use std::collections::{HashMap, VecDeque};

use rusqlite::Connection;
use sublet_model::limit::{IDENTITIES_MAX, IDENTITY_WINDOW};
use sublet_model::{EventId, Timestamp};
use sublet_store::{EventStatus, Identity};

use crate::fail::Outcome;
use crate::hash::BuildIdHasher;
use crate::partition::{self, hour_of};
use crate::row::{blob, status_of};

/// The event that an identity stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) first: EventId,
    pub(crate) body: [u8; 8],
    pub(crate) status: EventStatus,
    at: Timestamp,
}

#[derive(Default)]
pub(crate) struct Identities {
    known: HashMap<[u8; 16], Known, BuildIdHasher>,
    /// In the order they came; one that was replaced or removed stays until its turn.
    order: VecDeque<([u8; 16], EventId, Timestamp)>,
}

impl Identities {
    /// From the newest event backwards, one window's length. No clock: those that are too old by then answer to nobody.
    pub(crate) fn load(conn: &Connection) -> Outcome<Identities> {
        let mut newest: Option<i64> = None;
        let partitions = partition::list(conn)?;
        for partition in &partitions {
            let hour = partition.hour;
            newest = conn.query_row(&format!("SELECT max(id) FROM event_{hour}"), [], |row| row.get(0))?;
            if newest.is_some() {
                break;
            }
        }
        let mut identities = Identities::default();
        let Some(newest) = newest.map(EventId::from_raw) else { return Ok(identities) };
        let oldest = sublet_model::id::floor_at(newest.minted_at() - IDENTITY_WINDOW);
        let hours = partitions.iter().rev().map(|p| p.hour).filter(|hour| *hour >= hour_of(oldest));
        for hour in hours {
            let sql = format!(
                "SELECT id, identity, status FROM event_{hour} WHERE id >= ? AND identity IS NOT NULL ORDER BY id"
            );
            let mut statement = conn.prepare(&sql)?;
            let mut rows = statement.query([oldest])?;
            while let Some(row) = rows.next()? {
                let id = EventId::from_raw(row.get(0)?);
                if let Some(identity) = identity_of(blob(row, 1)?) {
                    identities.remember(identity, id, status_of(row.get(2)?)?, id.minted_at());
                }
            }
        }
        Ok(identities)
    }

    /// Within the window.
    pub(crate) fn find(&self, key: &[u8; 16], now: Timestamp) -> Option<Known> {
        self.known.get(key).filter(|known| now.since(known.at) < window_ms()).copied()
    }

    /// Whatever its age.
    pub(crate) fn event(&self, key: &[u8; 16]) -> Option<EventId> {
        self.known.get(key).map(|known| known.first)
    }

    pub(crate) fn remember(&mut self, identity: Identity, first: EventId, status: EventStatus, at: Timestamp) {
        self.known.insert(identity.key, Known { first, body: identity.body, status, at });
        self.order.push_back((identity.key, first, at));
        while let Some((key, event, came)) = self.order.front() {
            if at.since(*came) < window_ms() && self.order.len() <= IDENTITIES_MAX {
                break;
            }
            if self.known.get(key).is_some_and(|known| known.first == *event) {
                self.known.remove(key);
            }
            self.order.pop_front();
        }
    }

    pub(crate) fn forget(&mut self, key: &[u8; 16]) {
        self.known.remove(key);
    }
}

fn window_ms() -> u64 {
    u64::try_from(IDENTITY_WINDOW.as_millis()).unwrap_or(u64::MAX)
}

/// The column: 16 bytes of key, 8 of body.
pub(crate) fn identity_blob(identity: &Identity) -> [u8; 24] {
    let mut blob = [0; 24];
    blob[..16].copy_from_slice(&identity.key);
    blob[16..].copy_from_slice(&identity.body);
    blob
}

pub(crate) fn identity_of(blob: &[u8]) -> Option<Identity> {
    let (key, rest) = blob.split_first_chunk::<16>()?;
    Some(Identity { key: *key, body: rest.try_into().ok()? })
}
