//! Usage in sum: counted in memory at every settle, written once a second in small slices, rebuilt from the attempt rows
//! above the mark at open. Writing a sum at every settle would cost more than the rest of the settle.
//!
//! Invariant: usage = rows + memory, where a row holds exactly the attempts with an id up to its `upto`, and memory
//! exactly those above it. Slices commit one by one; the mark (`meta.ledger_mark`) moves when a whole round is written.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::PoisonError;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};
use sublet_model::{Error, FunctionId, Outcome as AttemptOutcome, TenantId, Timestamp, Usage, UsageSum};
use sublet_store::{Ledger, UsageQuery, UsageRow};

use crate::fail::Outcome;
use crate::hash::BuildIdHasher;
use crate::option::LEDGER_SLICE_ROWS;
use crate::partition::{self, hour_of};
use crate::row::{counter, counter_of, counter_or_null_of, moment};
use crate::store::SqliteStore;

/// In the order of the table, so that a slice's rows lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LedgerKey {
    pub(crate) tenant: TenantId,
    pub(crate) hour: Timestamp,
    pub(crate) function: FunctionId,
}

#[derive(Debug, Clone, Copy, Default)]
struct Unwritten {
    sum: UsageSum,
    /// The greatest attempt id in it.
    upto: i64,
}

/// What is counted and not yet written.
#[derive(Default)]
pub(crate) struct LedgerMemory {
    counted: HashMap<LedgerKey, Unwritten, BuildIdHasher>,
    /// The round that is being written, in the table's order.
    round: VecDeque<(LedgerKey, Unwritten)>,
    /// Every attempt up to here is in a row once the round is written.
    round_mark: i64,
    last: i64,
}

impl LedgerMemory {
    pub(crate) fn count(&mut self, key: LedgerKey, sum: UsageSum, attempt: i64) {
        let entry = self.counted.entry(key).or_default();
        entry.sum += sum;
        entry.upto = entry.upto.max(attempt);
        self.last = self.last.max(attempt);
    }

    pub(crate) fn waits(&self) -> bool {
        !self.counted.is_empty() || !self.round.is_empty()
    }

    /// Whether a round is begun and not ended.
    pub(crate) fn mid_round(&self) -> bool {
        !self.round.is_empty()
    }

    pub(crate) fn slice_is_written(&mut self, rows: usize) {
        self.round.drain(..rows.min(self.round.len()));
    }

    /// From the attempt rows above the mark that their sum's row does not hold yet.
    pub(crate) fn load(conn: &Connection) -> Outcome<LedgerMemory> {
        let mut memory = LedgerMemory::default();
        let mark: Option<i64> =
            conn.query_row("SELECT value FROM meta WHERE key = 'ledger_mark'", [], |row| row.get(0)).optional()?;
        let mark = mark.unwrap_or(0);
        memory.last = mark;
        let mut written: HashMap<LedgerKey, i64> = HashMap::new();
        for partition in partition::list(conn)?.iter().rev() {
            let hour = partition.hour;
            // A mark of 0 is none at all; attempts of before 2024 do not exist, but ids that tests make up do.
            if mark > 0 && hour < hour_of(mark) {
                continue;
            }
            let mut statement =
                conn.prepare(&format!("{} FROM attempt_{hour} WHERE id > ? ORDER BY id", SELECT_LINE))?;
            let mut rows = statement.query([mark])?;
            while let Some(row) = rows.next()? {
                let (id, key, sum) = line_of(row)?;
                let upto = match written.get(&key) {
                    Some(upto) => *upto,
                    None => {
                        let upto = row_at(conn, &key)?.map_or(0, |row| row.upto);
                        written.insert(key, upto);
                        upto
                    }
                };
                if id > upto {
                    memory.count(key, sum, id);
                }
            }
        }
        Ok(memory)
    }

    fn add_to(&self, query: &UsageQuery, sums: &mut BTreeMap<(Timestamp, TenantId, FunctionId), UsageSum>) {
        let counted = self.counted.iter().map(|(key, unwritten)| (*key, unwritten));
        let round = self.round.iter().map(|(key, unwritten)| (*key, unwritten));
        for (key, unwritten) in counted.chain(round).filter(|(key, _)| wanted(query, key)) {
            *sums.entry((key.hour, key.tenant, key.function)).or_default() += unwritten.sum;
        }
    }
}

const SELECT_LINE: &str = "SELECT id, tenant, function, ended, outcome, wall_us, cpu_us, memory_peak_bytes, \
     memory_limit_bytes, bytes_in, bytes_out, fetches, egress_bytes, instructions";

/// The ledger line that an attempt row is.
fn line_of(row: &Row<'_>) -> Outcome<(i64, LedgerKey, UsageSum)> {
    let usage = usage_at(row, 5)?;
    let key = LedgerKey {
        tenant: TenantId::from_raw(row.get(1)?),
        function: FunctionId::from_raw(row.get(2)?),
        hour: moment(row, 3)?.hour(),
    };
    let succeeded = row.get::<_, u8>(4)? == AttemptOutcome::Succeeded.code();
    Ok((row.get(0)?, key, UsageSum::of(&usage, succeeded)))
}

/// Nine columns in the order of the attempt tables.
pub(crate) fn usage_at(row: &Row<'_>, first: usize) -> Outcome<Usage> {
    Ok(Usage {
        wall_us: counter_of(row, first)?,
        cpu_us: counter_of(row, first + 1)?,
        memory_peak_bytes: counter_of(row, first + 2)?,
        memory_limit_bytes: counter_of(row, first + 3)?,
        bytes_in: counter_of(row, first + 4)?,
        bytes_out: counter_of(row, first + 5)?,
        fetches: counter_of(row, first + 6)?,
        egress_bytes: counter_of(row, first + 7)?,
        instructions: counter_or_null_of(row, first + 8)?,
    })
}

struct SumRow {
    upto: i64,
    sum: UsageSum,
}

/// The row of one key.
const SELECT_SUM: &str = "SELECT upto, attempts, succeeded, failed, wall_us, cpu_us, memory_peak_bytes, gb_us, \
     bytes_in, bytes_out, fetches, egress_bytes FROM usage_sum WHERE tenant = ? AND hour = ? AND function = ?";

const SUM_COLUMNS: &str = "upto, attempts, succeeded, failed, wall_us, cpu_us, memory_peak_bytes, gb_us, bytes_in, \
     bytes_out, fetches, egress_bytes";

fn sum_at(row: &Row<'_>, first: usize) -> Outcome<SumRow> {
    let sum = UsageSum {
        attempts: counter_of(row, first + 1)?,
        succeeded: counter_of(row, first + 2)?,
        failed: counter_of(row, first + 3)?,
        wall_us: counter_of(row, first + 4)?,
        cpu_us: counter_of(row, first + 5)?,
        memory_peak_bytes: counter_of(row, first + 6)?,
        gb_us: counter_of(row, first + 7)?,
        bytes_in: counter_of(row, first + 8)?,
        bytes_out: counter_of(row, first + 9)?,
        fetches: counter_of(row, first + 10)?,
        egress_bytes: counter_of(row, first + 11)?,
    };
    Ok(SumRow { upto: row.get(first)?, sum })
}

fn row_at(conn: &Connection, key: &LedgerKey) -> Outcome<Option<SumRow>> {
    let mut statement = conn.prepare_cached(SELECT_SUM)?;
    sum_of(&mut statement, key)
}

fn sum_of(statement: &mut Statement<'_>, key: &LedgerKey) -> Outcome<Option<SumRow>> {
    let mut rows = statement.query((key.tenant.raw(), key.hour.millis(), key.function.raw()))?;
    rows.next()?.map(|row| sum_at(row, 0)).transpose()
}

/// Writes the next slice of the round, starting a round when there is none. Answers how many rows of it, for
/// `slice_is_written` after the commit. Added up here, not in SQL, where 64 signed bits are all there is.
pub(crate) fn write_slice(conn: &Connection, memory: &mut LedgerMemory) -> Outcome<usize> {
    if memory.round.is_empty() {
        let mut round: Vec<(LedgerKey, Unwritten)> = memory.counted.drain().collect();
        round.sort_unstable_by_key(|(key, _)| *key);
        memory.round = round.into();
        memory.round_mark = memory.last;
    }
    let rows = memory.round.len().min(LEDGER_SLICE_ROWS);
    let mut select = conn.prepare_cached(SELECT_SUM)?;
    let mut statement =
        conn.prepare_cached("INSERT OR REPLACE INTO usage_sum VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")?;
    for (key, unwritten) in memory.round.iter().take(rows) {
        let before = sum_of(&mut select, key)?.map_or_else(UsageSum::default, |row| row.sum);
        let sum = before + unwritten.sum;
        statement.execute(params![
            key.tenant.raw(),
            key.hour.millis(),
            key.function.raw(),
            unwritten.upto,
            counter(sum.attempts),
            counter(sum.succeeded),
            counter(sum.failed),
            counter(sum.wall_us),
            counter(sum.cpu_us),
            counter(sum.memory_peak_bytes),
            counter(sum.gb_us),
            counter(sum.bytes_in),
            counter(sum.bytes_out),
            counter(sum.fetches),
            counter(sum.egress_bytes),
        ])?;
    }
    if rows == memory.round.len() {
        let mut mark = conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('ledger_mark', ?)")?;
        mark.execute([memory.round_mark])?;
    }
    Ok(rows)
}

fn wanted(query: &UsageQuery, key: &LedgerKey) -> bool {
    query.from <= key.hour
        && key.hour < query.to
        && query.tenant.is_none_or(|tenant| tenant == key.tenant)
        && query.function.is_none_or(|function| function == key.function)
}

type Sums = BTreeMap<(Timestamp, TenantId, FunctionId), UsageSum>;

fn rows_of(sums: Sums) -> Vec<UsageRow> {
    sums.into_iter().map(|((hour, tenant, function), sum)| UsageRow { tenant, function, hour, sum }).collect()
}

fn read_sums(conn: &Connection, query: &UsageQuery, sums: &mut Sums) -> Outcome<()> {
    let of_tenant = if query.tenant.is_some() { "tenant = ?1 AND" } else { "?1 IS NULL AND" };
    let sql = format!(
        "SELECT tenant, hour, function, {SUM_COLUMNS} FROM usage_sum WHERE {of_tenant} hour >= ?2 AND hour < ?3"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let tenant = query.tenant.map(TenantId::raw);
    let mut rows = statement.query((tenant, query.from.millis(), query.to.millis()))?;
    while let Some(row) = rows.next()? {
        let key = LedgerKey {
            tenant: TenantId::from_raw(row.get(0)?),
            hour: moment(row, 1)?,
            function: FunctionId::from_raw(row.get(2)?),
        };
        if wanted(query, &key) {
            *sums.entry((key.hour, key.tenant, key.function)).or_default() += sum_at(row, 3)?.sum;
        }
    }
    Ok(())
}

#[async_trait]
impl Ledger for SqliteStore {
    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRow>, Error> {
        let shared = self.shared();
        self.read(move |conn| {
            let mut sums = Sums::new();
            // The snapshot is taken by its first read, and memory is read, while no slice can move from one to the
            // other. The rows themselves are read after that.
            let memory = shared.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            conn.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
            memory.add_to(&query, &mut sums);
            drop(memory);
            read_sums(conn, &query, &mut sums)?;
            Ok(rows_of(sums))
        })
        .await
    }

    async fn usage_recount(&self, query: UsageQuery) -> Result<Vec<UsageRow>, Error> {
        self.read(move |conn| {
            let mut sums = Sums::new();
            for partition in partition::list(conn)? {
                let hour = partition.hour;
                let mut statement = conn.prepare(&format!("{SELECT_LINE} FROM attempt_{hour}"))?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    let (_, key, sum) = line_of(row)?;
                    if wanted(&query, &key) {
                        *sums.entry((key.hour, key.tenant, key.function)).or_default() += sum;
                    }
                }
            }
            Ok(rows_of(sums))
        })
        .await
    }
}
