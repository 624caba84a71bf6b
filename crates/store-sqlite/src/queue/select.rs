//! Moving many at once: dead letters back into the queue, waiting ones to cancelled.
//!
//! In slices of their own commits: a tenant may have a million of them, and one commit of a million rows would hold up
//! every other tenant for seconds. Ids grow, so a slice goes on above the one before it.

use rusqlite::params;
use sublet_model::{EndReason, Error, InvocationId, InvocationState, TenantId, Timestamp};
use sublet_store::Selection;

use super::claim::read_live;
use super::end::bury;
use crate::command::Batch;
use crate::fail::Outcome;
use crate::option::{SLICE_MOVE_ROWS, SLICE_SCAN_ROWS};
use crate::row::Live;
use crate::store::SqliteStore;

/// What a slice did: how many it moved, and above which id the next one starts.
struct Slice {
    moved: u64,
    next: Option<i64>,
}

/// The ids of one slice.
#[derive(Clone)]
enum Candidates {
    Above(i64),
    Ids(Vec<InvocationId>),
}

pub(super) async fn redrive(
    store: &SqliteStore,
    tenant: TenantId,
    selection: Selection,
    now: Timestamp,
) -> Result<u64, Error> {
    in_slices(selection, |candidates| {
        store.write(move |batch| {
            let (ids, next) = dead_letters(batch, tenant, &candidates)?;
            let mut moved = 0;
            for id in ids {
                moved += u64::from(redrive_one(batch, tenant, id, now)?);
            }
            Ok(Slice { moved, next })
        })
    })
    .await
}

pub(super) async fn cancel(
    store: &SqliteStore,
    tenant: TenantId,
    selection: Selection,
    reason: EndReason,
    now: Timestamp,
) -> Result<u64, Error> {
    in_slices(selection, |candidates| {
        store.write(move |batch| {
            let (lives, next) = waiting(batch, tenant, &candidates)?;
            let moved = lives.len() as u64;
            for mut live in lives {
                bury(batch, &mut live, InvocationState::Cancelled, Some(reason), now)?;
            }
            Ok(Slice { moved, next })
        })
    })
    .await
}

async fn in_slices<F, Fut>(selection: Selection, run: F) -> Result<u64, Error>
where
    F: Fn(Candidates) -> Fut,
    Fut: Future<Output = Result<Slice, Error>>,
{
    let mut moved = 0;
    match selection {
        Selection::Ids(mut ids) => {
            ids.sort_unstable();
            ids.dedup();
            for part in ids.chunks(SLICE_MOVE_ROWS) {
                moved += run(Candidates::Ids(part.to_vec())).await?.moved;
            }
        }
        Selection::All => {
            let mut above = Some(i64::MIN);
            while let Some(from) = above {
                let slice = run(Candidates::Above(from)).await?;
                moved += slice.moved;
                above = slice.next;
            }
        }
    }
    Ok(moved)
}

fn dead_letters(
    batch: &Batch<'_, '_>,
    tenant: TenantId,
    candidates: &Candidates,
) -> Outcome<(Vec<InvocationId>, Option<i64>)> {
    let above = match candidates {
        Candidates::Ids(ids) => return Ok((ids.clone(), None)),
        Candidates::Above(above) => *above,
    };
    let sql = "SELECT id FROM dead_letter WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?";
    let mut statement = batch.conn.prepare_cached(sql)?;
    let rows = statement.query_map((tenant.raw(), above, SLICE_MOVE_ROWS as i64), |row| row.get(0))?;
    let ids: Vec<InvocationId> = rows.map(|id| id.map(InvocationId::from_raw)).collect::<Result<_, _>>()?;
    let next = if ids.len() == SLICE_MOVE_ROWS { ids.last().map(|id| id.raw()) } else { None };
    Ok((ids, next))
}

/// Answers whether it was a dead letter. Its starts go on counting, so that no old lease fits; failures start anew.
fn redrive_one(batch: &mut Batch<'_, '_>, tenant: TenantId, id: InvocationId, now: Timestamp) -> Outcome<bool> {
    const INSERT: &str = "INSERT INTO live SELECT id, tenant, function, event, ?3, ?4, starts, 0, 0, depth, NULL, \
         attempts, retry, redrives + 1 FROM dead_letter WHERE tenant = ?1 AND id = ?2";
    let inserted = batch.conn.prepare_cached(INSERT)?.execute(params![
        tenant.raw(),
        id.raw(),
        InvocationState::Queued.code(),
        now.millis()
    ])?;
    if inserted == 0 {
        return Ok(false);
    }
    let delete = "DELETE FROM dead_letter WHERE tenant = ? AND id = ?";
    batch.conn.prepare_cached(delete)?.execute((tenant.raw(), id.raw()))?;
    let waiting = read_live(batch.conn, id)?.and_then(|live| live.waiting());
    batch.after.waiting.extend(waiting);
    Ok(true)
}

fn waiting(batch: &Batch<'_, '_>, tenant: TenantId, candidates: &Candidates) -> Outcome<(Vec<Live>, Option<i64>)> {
    let fits = |live: &Live| live.tenant == tenant && live.state.is_waiting();
    let mut lives = Vec::new();
    let above = match candidates {
        Candidates::Above(above) => *above,
        Candidates::Ids(ids) => {
            for id in ids {
                lives.extend(read_live(batch.conn, *id)?.filter(fits));
            }
            return Ok((lives, None));
        }
    };
    let sql = format!("SELECT {} FROM live WHERE id > ? ORDER BY id LIMIT ?", Live::COLUMNS);
    let mut statement = batch.conn.prepare_cached(&sql)?;
    let mut rows = statement.query((above, SLICE_SCAN_ROWS as i64))?;
    let (mut scanned, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        let live = Live::read(row)?;
        scanned += 1;
        last = Some(live.id.raw());
        if fits(&live) {
            lives.push(live);
        }
        if lives.len() == SLICE_MOVE_ROWS {
            return Ok((lives, last));
        }
    }
    Ok((lives, if scanned == SLICE_SCAN_ROWS { last } else { None }))
}
