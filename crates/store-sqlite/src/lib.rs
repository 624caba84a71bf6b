//! The embedded store: everything in one SQLite file, nothing to install, one file to back up. The default.
//!
//! One thread writes and commits whatever has queued up ([`writer`]); readers look at snapshots beside it. History is
//! append-only in tables by the hour, without a second index until the hour is over ([`partition`], [`maintain`]); what
//! waits or runs is in one small table; the queue's order is in its owner's memory. The layout follows measurements: an
//! index more on a hot table costs as much as the whole life cycle. Not here: scheduling, and what an event means.
//!
//! A way through: `store` (open, hand over, read), `command` and `writer` (the group commit), then a file per part of
//! the contract: `bus`, `queue/`, `message/`, `delivery`, `ledger`, `registry/`.

mod answer;
mod audit;
pub mod backup;
mod body;
mod bus;
mod command;
mod delivery;
mod disk;
mod erase;
mod fail;
mod hash;
mod hot;
mod identity;
mod ledger;
mod listing;
mod maintain;
mod message;
mod meter;
mod option;
mod partition;
mod queue;
mod registry;
mod row;
mod schema;
mod state;
mod store;
mod writer;

pub use option::SqliteOptions;
pub use schema::VERSION as SCHEMA_VERSION;
pub use store::SqliteStore;
