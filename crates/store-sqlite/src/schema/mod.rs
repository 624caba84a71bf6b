//! The schema's versions. A migration is a numbered SQL file that is never changed once released; each runs in its own
//! transaction together with the new number, so that a start that dies in the middle goes on where it was.

use rusqlite::Connection;
use sublet_model::Error;

/// In order; the first is version 1.
const MIGRATIONS: [&str; 8] = [
    include_str!("0001.sql"),
    include_str!("0002.sql"),
    include_str!("0003.sql"),
    include_str!("0004.sql"),
    include_str!("0005.sql"),
    include_str!("0006.sql"),
    include_str!("0007.sql"),
    include_str!("0008.sql"),
];

/// The tables of one hour, `{hour}` standing for its number. A table that is new here is made at the next start in the
/// hours there are as well; a column that is new in one of the others is named in [`NEW_COLUMNS`].
pub(crate) const HOUR: &str = include_str!("hour.sql");

/// What tables of hours lack that an earlier program made: table, column, declaration. Behind all others there, so every
/// statement names its columns.
const NEW_COLUMNS: [(&str, &str, &str); 4] = [
    ("attempt", "fetches", "INTEGER NOT NULL DEFAULT 0"),
    ("attempt", "egress_bytes", "INTEGER NOT NULL DEFAULT 0"),
    ("attempt", "fetch_log", "BLOB"),
    ("attempt", "instructions", "INTEGER"),
];

/// The newest version this program knows.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// Errors: `Unavailable` for a database of a newer program, which is left as it is.
pub(crate) fn migrate(conn: &Connection) -> Result<(), Error> {
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(Error::internal)?;
    if found > VERSION {
        return Err(Error::unavailable(format!(
            "database has schema {found}, this program knows up to {VERSION}: run a newer sublet"
        )));
    }
    for (version, migration) in (1..).zip(MIGRATIONS) {
        if version <= found {
            continue;
        }
        let step = format!("BEGIN IMMEDIATE; {migration}; PRAGMA user_version = {version}; COMMIT;");
        conn.execute_batch(&step).map_err(Error::internal)?;
        tracing::info!(schema.version = version, "the database's schema is now {version}");
    }
    complete_hours(conn).map_err(Error::internal)
}

/// Gives hours that an earlier program made the tables and columns that it did not know.
fn complete_hours(conn: &Connection) -> rusqlite::Result<()> {
    let mut statement = conn.prepare("SELECT hour FROM partition")?;
    let hours: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for hour in hours {
        conn.execute_batch(&HOUR.replace("{hour}", &hour.to_string()))?;
        for (table, column, declaration) in NEW_COLUMNS {
            let known = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?";
            let is_known = conn.prepare_cached(known)?.exists((format!("{table}_{hour}"), column))?;
            if !is_known {
                conn.execute_batch(&format!("ALTER TABLE {table}_{hour} ADD COLUMN {column} {declaration}"))?;
            }
        }
    }
    Ok(())
}
