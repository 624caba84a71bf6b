//! Pages, newest first, over tables that are cut by the hour and mostly have no index.
//!
//! Where no index leads to a tenant's rows, a page scans backwards a bounded number of rows and answers what it found,
//! with the place it came to as the cursor: a page may be short, even empty, and still have a next.

use std::str::FromStr;

use rusqlite::{Connection, Row};
use sublet_model::{Error, TenantId, limit};
use sublet_store::Page;

use crate::fail::Outcome;
use crate::option::SCAN_ROWS_MAX;
use crate::partition::{self, Partition, floor_of};

/// One table's rows in id order, from the last: `sql` selects the id first, and has `?1` above and `?2` at the lower end.
pub(crate) struct Source {
    sql: String,
}

impl Source {
    pub(crate) fn new(columns: &str, table: &str, condition: &str) -> Source {
        Source { sql: format!("SELECT {columns} FROM {table} WHERE {condition} id < ?1 AND id >= ?2 ORDER BY id DESC") }
    }

    pub(crate) fn all(table: String) -> Source {
        Source::new("id", &table, "")
    }

    /// By the index where there is one; else every row is looked at, and `accept` sees its tenant in column 1.
    pub(crate) fn of_tenant(table: String, tenant: TenantId, indexed: bool) -> Source {
        Source::new(
            "id, tenant",
            &table,
            &if indexed { format!("tenant = {} AND", tenant.raw()) } else { String::new() },
        )
    }
}

/// What a page holds, and below which id the next one starts.
pub(crate) struct Found {
    pub(crate) ids: Vec<i64>,
    pub(crate) next: Option<i64>,
}

/// The exclusive upper end and the number of rows that `page` asks for.
pub(crate) fn start<T: FromStr>(page: &Page, raw: fn(T) -> i64) -> Result<(i64, usize), Error> {
    let below = match &page.cursor {
        None => i64::MAX,
        Some(text) => raw(text.parse::<T>().map_err(|_| not_a_cursor())?),
    };
    Ok((below, page.limit.clamp(1, limit::PAGE_MAX)))
}

pub(crate) fn not_a_cursor() -> Error {
    Error::invalid("cursor", "is not a cursor of this listing")
}

/// Walks the hours backwards; within an hour, the rows of all its sources in the order of their ids.
pub(crate) fn newest_first(
    conn: &Connection,
    below: i64,
    rows_max: usize,
    sources: impl Fn(&Partition) -> Vec<Source>,
    mut accept: impl FnMut(&Row<'_>) -> Outcome<bool>,
) -> Outcome<Found> {
    let mut ids = Vec::new();
    let mut looked_at = 0;
    let partitions = partition::list(conn)?;
    for (index, hour) in partitions.iter().enumerate() {
        let low = floor_of(hour.hour);
        let high = below.min(floor_of(hour.hour + 1));
        if high <= low {
            continue;
        }
        let mut merged = Vec::new();
        let mut complete_to = low;
        for source in sources(hour) {
            let scan = Scan { low, high, wanted: rows_max - ids.len() + 1 };
            let reached = scan.run(conn, &source, &mut accept, &mut merged, &mut looked_at)?;
            complete_to = complete_to.max(reached);
        }
        merged.sort_unstable_by(|a, b| b.cmp(a));
        for id in merged.into_iter().filter(|id| *id >= complete_to) {
            if ids.len() == rows_max {
                return Ok(Found { next: ids.last().copied(), ids });
            }
            ids.push(id);
        }
        let is_last = index + 1 == partitions.len();
        if complete_to > low || (looked_at >= SCAN_ROWS_MAX && !is_last) {
            return Ok(Found { ids, next: Some(complete_to) });
        }
    }
    Ok(Found { ids, next: None })
}

struct Scan {
    low: i64,
    high: i64,
    wanted: usize,
}

impl Scan {
    /// Answers the id down to which everything was looked at.
    fn run(
        &self,
        conn: &Connection,
        source: &Source,
        accept: &mut impl FnMut(&Row<'_>) -> Outcome<bool>,
        found: &mut Vec<i64>,
        looked_at: &mut usize,
    ) -> Outcome<i64> {
        let mut statement = conn.prepare_cached(&source.sql)?;
        let mut rows = statement.query((self.high, self.low))?;
        let (mut scanned, mut taken) = (0, 0);
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            scanned += 1;
            *looked_at += 1;
            if accept(row)? {
                found.push(id);
                taken += 1;
            }
            if taken == self.wanted || scanned == SCAN_ROWS_MAX {
                return Ok(id);
            }
        }
        Ok(self.low)
    }
}
