//! The statements that every life cycle runs, prepared once and held: looking each up by its text costs a tenth of the
//! life cycle. Also the writer's knowledge of which hours have tables.

use std::collections::HashMap;

use rusqlite::{Connection, Statement};

use crate::fail::Outcome;
use crate::hash::BuildIdHasher;
use crate::partition::{self, Hour, hour_of};
use crate::row::Live;
use crate::schema;

pub(crate) struct Hot<'c> {
    conn: &'c Connection,
    pub(crate) begin: Statement<'c>,
    pub(crate) commit: Statement<'c>,
    pub(crate) insert_live: Statement<'c>,
    pub(crate) select_live: Statement<'c>,
    /// An attempt starts.
    pub(crate) claim_live: Statement<'c>,
    pub(crate) delete_live: Statement<'c>,
    pub(crate) insert_outbox: Statement<'c>,
    pub(crate) delete_outbox: Statement<'c>,
    hours: HashMap<Hour, HourTables<'c>, BuildIdHasher>,
}

/// In tables of earlier programs they stand in another order.
const ATTEMPT_COLUMNS: &str = "id, tenant, function, invocation, number, version, outcome, started, ended, wall_us, \
     cpu_us, memory_peak_bytes, memory_limit_bytes, bytes_in, bytes_out, fetches, egress_bytes, instructions, result, failure, log, \
     fetch_log";

/// The inserts into one hour's tables.
pub(crate) struct HourTables<'c> {
    pub(crate) event: Statement<'c>,
    pub(crate) attempt: Statement<'c>,
    pub(crate) invocation: Statement<'c>,
    pub(crate) delivery: Statement<'c>,
    pub(crate) input: Statement<'c>,
    pub(crate) message: Statement<'c>,
}

impl<'c> Hot<'c> {
    pub(crate) fn prepare(conn: &'c Connection) -> Outcome<Hot<'c>> {
        Ok(Hot {
            conn,
            begin: conn.prepare("BEGIN IMMEDIATE")?,
            commit: conn.prepare("COMMIT")?,
            insert_live: conn.prepare("INSERT INTO live VALUES (?,?,?,?,?,?,?,0,0,?,?,NULL,?,0)")?,
            select_live: conn.prepare(&format!("SELECT {} FROM live WHERE id = ?", Live::COLUMNS))?,
            claim_live: conn.prepare("UPDATE live SET state = ?, starts = ?, claimed = ? WHERE id = ?")?,
            delete_live: conn.prepare("DELETE FROM live WHERE id = ?")?,
            insert_outbox: conn.prepare("INSERT INTO outbox VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)")?,
            delete_outbox: conn.prepare("DELETE FROM outbox WHERE id = ?")?,
            hours: HashMap::default(),
        })
    }

    /// The tables of the hour that `raw` was minted in; makes them if they are not there.
    pub(crate) fn for_id(&mut self, raw: i64) -> Outcome<&mut HourTables<'c>> {
        let hour = hour_of(raw);
        // Looked up twice, because a borrow that may be returned lasts as long as the return.
        if !self.hours.contains_key(&hour) {
            let tables = self.open_hour(hour)?;
            self.hours.insert(hour, tables);
        }
        self.hours.get_mut(&hour).ok_or_else(|| crate::fail::Fail::corrupt("an hour that was just made"))
    }

    fn open_hour(&self, hour: Hour) -> Outcome<HourTables<'c>> {
        if !partition::exists(self.conn, hour)? {
            self.conn.execute_batch(&schema::HOUR.replace("{hour}", &hour.to_string()))?;
            self.conn.execute("INSERT INTO partition (hour) VALUES (?)", [hour])?;
        }
        let conn = self.conn;
        Ok(HourTables {
            event: conn.prepare(&format!("INSERT INTO event_{hour} VALUES (?,?,?,?,?,?,?,?,?)"))?,
            attempt: conn.prepare(&format!(
                "INSERT INTO attempt_{hour} ({ATTEMPT_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
            ))?,
            invocation: conn.prepare(&format!("INSERT INTO invocation_{hour} VALUES (?,?,?,?,?,?,?,?,?,?,?)"))?,
            delivery: conn.prepare(&format!("INSERT INTO delivery_{hour} VALUES (?,?,?,?,?,?,?)"))?,
            input: conn.prepare(&format!("INSERT INTO input_{hour} VALUES (?,?,?)"))?,
            message: conn.prepare(&format!("INSERT INTO message_{hour} VALUES (?,?,?,?,?,?,?,?,?,?)"))?,
        })
    }

    /// The hour's tables are dropped.
    pub(crate) fn forget(&mut self, hour: Hour) {
        self.hours.remove(&hour);
    }

    /// After a transaction that failed: it may have made hours.
    pub(crate) fn forget_all(&mut self) {
        self.hours.clear();
    }
}
