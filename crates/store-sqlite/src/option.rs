//! What the operator may set of the embedded store, and the maxima that only this crate knows.

use std::time::Duration;

/// See the fields; [`Default`] is what `sublet serve` uses.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Publishing is refused while the file system has less room than this, so that what was accepted can be finished.
    pub reserve_bytes: u64,
    /// The size the write-ahead log is given at start and held to: appending to a growing file costs 2 to 6 times as
    /// much as writing one that has its blocks. At least 1 MiB.
    pub wal_bytes: u64,
    /// Read connections beside the writer.
    pub readers: usize,
}

impl Default for SqliteOptions {
    fn default() -> SqliteOptions {
        SqliteOptions { reserve_bytes: 256 << 20, wal_bytes: 32 << 20, readers: 2 }
    }
}

/// Commands of one commit.
pub(crate) const BATCH_COMMANDS_MAX: usize = 512;
/// Bytes that the commands of one commit bring, but for the last of them.
pub(crate) const BATCH_BYTES_MAX: usize = 4 << 20;
/// From so many commands of one commit on, a task of the runtime answers them; fewer are answered by the writer itself,
/// without that hop.
pub(crate) const ANSWERS_TOGETHER_MIN: usize = 4;
/// KiB of bodies that wait for the writer; beyond it, callers wait for their turn to hand over.
pub(crate) const QUEUED_KIB_MAX: u32 = 64 << 10;
/// The writer's page cache in KiB. It holds the ends of the hour's tables and the ledger's rows; a larger one makes
/// commits slower, since SQLite walks the whole cache after a commit that moved pages.
pub(crate) const WRITER_CACHE_KIB: i64 = 16 << 10;
/// Each reader's page cache in KiB.
pub(crate) const READER_CACHE_KIB: i64 = 16 << 10;
/// A longer body is a file of its own.
pub(crate) const BODY_INLINE_BYTES_MAX: usize = 16 << 10;
/// Callers that write bodies to files at a time; the others wait for their turn.
pub(crate) const BODY_WRITERS_MAX: usize = 8;
/// Prepared statements kept per connection.
pub(crate) const STATEMENTS_MAX: usize = 256;

/// Rows that were just published and are kept at hand for their claim: some 10 MiB.
pub(crate) const FRESH_MAX: usize = 65_536;

/// How long after one round of writing the ledger's sums the next begins.
pub(crate) const LEDGER_ROUND_EVERY: Duration = Duration::from_secs(1);
/// Rows of one slice of a round, and how long after one the next is written. 100,000 sums take 40 s, in which most of
/// them grow more than once: written every second they would cost as much as half a life cycle each. An open after a
/// crash counts that many seconds of attempts anew.
pub(crate) const LEDGER_SLICE_ROWS: usize = 500;
pub(crate) const LEDGER_SLICE_EVERY: Duration = Duration::from_millis(200);

/// A gap this long with [`CHECKPOINT_PAGES`] or more in the log is used for a checkpoint.
pub(crate) const CHECKPOINT_GAP: Duration = Duration::from_millis(2);
pub(crate) const CHECKPOINT_PAGES: u64 = 1_000;
/// A gap this long is used whatever the log holds.
pub(crate) const CHECKPOINT_GAP_LONG: Duration = Duration::from_millis(200);

/// How often the free room of the disk is looked at.
pub(crate) const RESERVE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// Rows that one page of a listing reads at most per table where no index leads to the tenant's.
pub(crate) const SCAN_ROWS_MAX: usize = 20_000;
/// Rows that one slice of a cancel or a redrive of all looks at.
pub(crate) const SLICE_SCAN_ROWS: usize = 20_000;
/// Rows that one slice of a cancel or a redrive of all moves.
pub(crate) const SLICE_MOVE_ROWS: usize = 1_000;
/// Rows in one message of the backlog.
pub(crate) const ARRIVALS_PER_MESSAGE: usize = 4_096;
/// An hour's table of more rows is left without its index: building one holds the writer for 1.5 µs a row, and
/// listings can do without.
pub(crate) const SEAL_ROWS_MAX: i64 = 500_000;
