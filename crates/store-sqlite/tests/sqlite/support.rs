//! What the tests of this crate are written with.

use sublet_store_sqlite::SqliteOptions;

/// A short log: the tests open hundreds of stores.
pub fn options() -> SqliteOptions {
    SqliteOptions { wal_bytes: 1 << 20, reserve_bytes: 0, ..SqliteOptions::default() }
}
