//! Webhooks.

use rusqlite::{Connection, Row, params};
use sublet_model::{Error, Name, Timestamp};
use sublet_store::{DeliveryNext, DisabledReason, WebhookRecord, WebhookSecret, WebhookSpec};

use super::{all, json, json_of, name_of, one};
use crate::fail::Outcome;
use crate::row::moment;

const SELECT: &str = "SELECT name, spec, secrets, created, disabled, failing_since FROM webhook";

fn read(row: &Row<'_>) -> Outcome<WebhookRecord> {
    Ok(WebhookRecord {
        name: name_of(row, 0)?,
        spec: json_of(row, 1)?,
        secrets: json_of(row, 2)?,
        disabled: json_of(row, 4)?,
        failing_since: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
        created: moment(row, 3)?,
    })
}

fn write(conn: &Connection, record: &WebhookRecord) -> Outcome<()> {
    let values = params![
        record.name.as_str(),
        json(&record.spec)?,
        json(&record.secrets)?,
        record.created.millis(),
        json(&record.disabled)?,
        record.failing_since.map(Timestamp::millis)
    ];
    conn.prepare_cached("INSERT OR REPLACE INTO webhook VALUES (?, ?, ?, ?, ?, ?)")?.execute(values)?;
    Ok(())
}

pub(super) fn put(
    conn: &Connection,
    name: &Name,
    spec: &WebhookSpec,
    secret: &WebhookSecret,
    now: Timestamp,
) -> Outcome<(WebhookRecord, bool)> {
    let former = by_name(conn, name)?;
    let made = former.is_none();
    let record = match former {
        Some(former) => WebhookRecord { spec: spec.clone(), ..former },
        None => WebhookRecord {
            name: name.clone(),
            spec: spec.clone(),
            secrets: vec![secret.clone()],
            disabled: None,
            failing_since: None,
            created: now,
        },
    };
    write(conn, &record)?;
    Ok((record, made))
}

fn change(
    conn: &Connection,
    name: &Name,
    change: impl FnOnce(&mut WebhookRecord) -> Result<(), Error>,
) -> Outcome<WebhookRecord> {
    let mut record = by_name(conn, name)?.ok_or_else(|| Error::not_found(format!("webhook {name}")))?;
    change(&mut record)?;
    write(conn, &record)?;
    Ok(record)
}

pub(super) fn rotate(
    conn: &Connection,
    name: &Name,
    fresh: &WebhookSecret,
    until: Timestamp,
    now: Timestamp,
) -> Outcome<WebhookRecord> {
    change(conn, name, |record| record.rotate(fresh.clone(), until, now))
}

pub(super) fn switch(
    conn: &Connection,
    name: &Name,
    disabled: Option<DisabledReason>,
    now: Timestamp,
) -> Outcome<WebhookRecord> {
    let switched = |record: &mut WebhookRecord| {
        record.switch(disabled, now);
        Ok(())
    };
    change(conn, name, switched)
}

/// What a try says of the webhook's health; answers since when it has known nothing but failures.
pub(crate) fn note_try(
    conn: &Connection,
    name: &Name,
    at: Timestamp,
    next: DeliveryNext,
) -> Outcome<Option<Timestamp>> {
    match next {
        DeliveryNext::Delivered => {
            // Writes nothing as long as it goes well.
            let sql = "UPDATE webhook SET failing_since = NULL WHERE name = ? AND failing_since IS NOT NULL";
            conn.prepare_cached(sql)?.execute([name.as_str()])?;
            return Ok(None);
        }
        DeliveryNext::Retry { .. } | DeliveryNext::Failed | DeliveryNext::DeadLetter { .. } => {
            let sql = "UPDATE webhook SET failing_since = ? WHERE name = ? AND failing_since IS NULL";
            conn.prepare_cached(sql)?.execute(params![at.millis(), name.as_str()])?;
        }
        DeliveryNext::Dropped { .. } => {}
    }
    Ok(by_name(conn, name)?.and_then(|record| record.failing_since))
}

pub(super) fn by_name(conn: &Connection, name: &Name) -> Outcome<Option<WebhookRecord>> {
    one(conn, &format!("{SELECT} WHERE name = ?"), [name.as_str()], read)
}

pub(super) fn list(conn: &Connection) -> Outcome<Vec<WebhookRecord>> {
    all(conn, &format!("{SELECT} ORDER BY name"), [], read)
}

pub(super) fn delete(conn: &Connection, name: &Name) -> Outcome<()> {
    if conn.prepare_cached("DELETE FROM webhook WHERE name = ?")?.execute([name.as_str()])? == 0 {
        return Err(Error::not_found(format!("webhook {name}")).into());
    }
    Ok(())
}
