//! Webhooks.

use rusqlite::{Connection, Row, params};
use sublet_model::{Error, Name, Timestamp};
use sublet_store::{WebhookRecord, WebhookSpec};

use super::{all, json, json_of, name_of, one};
use crate::fail::Outcome;
use crate::row::moment;

const SELECT: &str = "SELECT name, spec, secrets, created FROM webhook";

fn read(row: &Row<'_>) -> Outcome<WebhookRecord> {
    Ok(WebhookRecord {
        name: name_of(row, 0)?,
        spec: json_of(row, 1)?,
        secrets: json_of(row, 2)?,
        created: moment(row, 3)?,
    })
}

pub(super) fn put(
    conn: &Connection,
    name: &Name,
    spec: &WebhookSpec,
    secrets: Option<&[String]>,
    now: Timestamp,
) -> Outcome<(WebhookRecord, bool)> {
    let known = by_name(conn, name)?;
    let made = known.is_none();
    let (kept, created) = known.map_or((Vec::new(), now), |webhook| (webhook.secrets, webhook.created));
    let secrets = secrets.map_or(kept, <[String]>::to_vec);
    let values = params![name.as_str(), json(spec)?, json(&secrets)?, created.millis()];
    conn.prepare_cached("INSERT OR REPLACE INTO webhook VALUES (?, ?, ?, ?)")?.execute(values)?;
    Ok((WebhookRecord { name: name.clone(), spec: spec.clone(), secrets, created }, made))
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
