//! Deleting a tenant: one commit over every part.

use std::sync::PoisonError;

use rusqlite::Connection;
use sublet_model::{EndReason, Error, InvocationState, Name, TenantId, Timestamp};

use crate::body;
use crate::command::Batch;
use crate::delivery;
use crate::fail::Outcome;
use crate::identity::identity_of;
use crate::message;
use crate::partition;
use crate::queue::bury;
use crate::registry::tenant_named;
use crate::row::{Live, blob};

/// Reads every hour's tables, and may hold up the others for as long; the sums of the ledger stay.
pub(crate) fn delete_tenant(batch: &mut Batch<'_, '_>, name: &Name, now: Timestamp) -> Outcome<()> {
    let record = tenant_named(batch.conn, name)?.ok_or_else(|| Error::not_found(format!("tenant {name}")))?;
    let tenant = record.id;
    erase_registry(batch.conn, tenant)?;
    for mut live in lives_of(batch.conn, tenant)? {
        bury(batch, &mut live, InvocationState::Cancelled, Some(EndReason::TenantDeleted), now)?;
    }
    delivery::fail_all_of(batch, tenant)?;
    message::erase_tenant(batch, tenant, now)?;
    let raw = tenant.raw();
    batch.conn.execute("DELETE FROM outbox WHERE tenant = ?", [raw])?;
    for partition in partition::list(batch.conn)? {
        let hour = partition.hour;
        forget_identities(batch, tenant, hour)?;
        for sql in [
            format!("UPDATE event_{hour} SET body = x'', identity = NULL WHERE tenant = ?"),
            format!("DELETE FROM input_{hour} WHERE tenant = ?"),
            format!(
                "UPDATE attempt_{hour} SET result = NULL, failure = NULL, log = NULL, fetch_log = NULL WHERE tenant = ?"
            ),
        ] {
            batch.conn.execute(&sql, [raw])?;
        }
    }
    body::erase_of(batch, tenant)?;
    batch.after.registry_changed = true;
    Ok(())
}

fn erase_registry(conn: &Connection, tenant: TenantId) -> Outcome<()> {
    const OWN: &str = "(SELECT id FROM function WHERE tenant = ?)";
    for sql in [
        format!("DELETE FROM alias WHERE function IN {OWN}"),
        format!("DELETE FROM version WHERE function IN {OWN}"),
        "DELETE FROM function WHERE tenant = ?".to_owned(),
        "DELETE FROM rollout_step WHERE tenant = ?".to_owned(),
        "DELETE FROM rule WHERE owner = ?".to_owned(),
        "DELETE FROM key WHERE tenant = ?".to_owned(),
        "DELETE FROM secret WHERE tenant = ?".to_owned(),
        "DELETE FROM tenant WHERE id = ?".to_owned(),
    ] {
        conn.execute(&sql, [tenant.raw()])?;
    }
    Ok(())
}

/// What waits and what runs.
fn lives_of(conn: &Connection, tenant: TenantId) -> Outcome<Vec<Live>> {
    let mut statement = conn.prepare(&format!("SELECT {} FROM live WHERE tenant = ?", Live::COLUMNS))?;
    let mut rows = statement.query([tenant.raw()])?;
    let mut lives = Vec::new();
    while let Some(row) = rows.next()? {
        lives.push(Live::read(row)?);
    }
    Ok(lives)
}

/// A tenant made again under the same name publishes anew.
fn forget_identities(batch: &Batch<'_, '_>, tenant: TenantId, hour: partition::Hour) -> Outcome<()> {
    let sql = format!("SELECT identity FROM event_{hour} WHERE tenant = ? AND identity IS NOT NULL");
    let mut statement = batch.conn.prepare(&sql)?;
    let mut rows = statement.query([tenant.raw()])?;
    let mut identities = batch.shared.identities.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(row) = rows.next()? {
        if let Some(identity) = identity_of(blob(row, 0)?) {
            identities.forget(&identity.key);
        }
    }
    Ok(())
}
