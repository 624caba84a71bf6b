//! From the caller's bodies to columns: what is long goes to files before the commit, and the commit refers to them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sublet_model::{Error, TenantId};

use super::file::{self, Bodies, Entry};
use crate::command::Batch;
use crate::fail::Outcome;
use crate::option::BODY_INLINE_BYTES_MAX;
use crate::partition::{Hour, hour_of};
use crate::store::SqliteStore;

/// Which body of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Event,
    Input,
    Result,
    Failure,
    Log,
    FetchLog,
}

/// The long bodies of one verb: written to files, waiting for its commit. What the verb turns out not to need (a
/// repeat, a refusal, a caller that went away) is removed with it.
#[derive(Default)]
pub(crate) struct Beside {
    files: HashMap<(Part, i64), Entry>,
    bodies: Option<Arc<Bodies>>,
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(bodies) = &self.bodies {
            bodies.give_up(self.files.values().map(|entry| entry.id));
        }
    }
}

/// A body's column: the bytes themselves, or the number of a file.
pub(crate) enum Column<'a> {
    Inline(&'a [u8]),
    File(i64),
}

impl ToSql for Column<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Column::Inline(bytes) => ValueRef::Blob(bytes),
            Column::File(id) => ValueRef::Integer(*id),
        }))
    }
}

impl SqliteStore {
    /// Writes the long ones of `bodies`, each named by its part and the id that its row is known by before the commit.
    /// `watched`: refused when the disk's reserve is reached.
    pub(crate) async fn set_beside<'a>(
        &self,
        bodies: impl Iterator<Item = ((Part, i64), &'a Bytes)>,
        watched: bool,
    ) -> Result<Beside, Error> {
        let (mut names, mut long) = (Vec::new(), Vec::new());
        for (name, body) in bodies.filter(|(_, body)| body.len() > BODY_INLINE_BYTES_MAX) {
            names.push(name);
            long.push(body.clone());
        }
        if long.is_empty() {
            return Ok(Beside::default());
        }
        let _turn = self.body_writers().acquire().await.map_err(Error::internal)?;
        let bodies = self.bodies();
        let task = tokio::task::spawn_blocking(move || {
            let entries = bodies.write(&long, watched)?;
            // Made here, so that a caller who goes away in between leaves no file.
            Ok(Beside { files: names.into_iter().zip(entries).collect(), bodies: Some(bodies) })
        });
        task.await.map_err(Error::internal)?
    }
}

impl Beside {
    /// The column for `body` in the open transaction. `row`: the id that says which hour's tables it is in.
    pub(crate) fn column<'a>(
        &self,
        batch: &mut Batch<'_, '_>,
        name: (Part, i64),
        row: i64,
        tenant: Option<TenantId>,
        body: &'a [u8],
    ) -> Outcome<Column<'a>> {
        if body.len() <= BODY_INLINE_BYTES_MAX {
            return Ok(Column::Inline(body));
        }
        let Some(entry) = self.files.get(&name) else { return Ok(Column::Inline(body)) };
        file::insert(batch.conn, entry, hour_of(row), tenant)?;
        batch.after.bodies_kept.push(entry.id);
        Ok(Column::File(entry.id))
    }

    /// The same for a body that may not be there.
    pub(crate) fn column_or_null<'a>(
        &self,
        batch: &mut Batch<'_, '_>,
        name: (Part, i64),
        row: i64,
        tenant: TenantId,
        body: Option<&'a [u8]>,
    ) -> Outcome<Option<Column<'a>>> {
        body.map(|body| self.column(batch, name, row, Some(tenant), body)).transpose()
    }
}

/// The open transaction erases what `tenant` brought; the files go after the commit.
pub(crate) fn erase_of(batch: &mut Batch<'_, '_>, tenant: TenantId) -> Outcome<()> {
    let mut statement = batch.conn.prepare_cached("DELETE FROM body WHERE tenant = ? RETURNING id")?;
    let ids = statement.query_map([tenant.raw()], |row| row.get(0))?;
    batch.after.bodies_gone.extend(ids.collect::<Result<Vec<i64>, _>>()?);
    Ok(())
}

/// The open transaction drops the hour.
pub(crate) fn drop_hour(batch: &mut Batch<'_, '_>, hour: Hour) -> Outcome<()> {
    let mut statement = batch.conn.prepare_cached("DELETE FROM body WHERE hour = ? RETURNING id")?;
    let ids = statement.query_map([hour], |row| row.get(0))?;
    batch.after.bodies_gone.extend(ids.collect::<Result<Vec<i64>, _>>()?);
    Ok(())
}
