//! Alerts and events. They are written without an fsync of their own, so that they never delay the record.

use rusqlite::{Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, trouble};
use crate::engine::alerts::Alert;
use crate::engine::base::Problem;
use crate::engine::event::Event;

/// Most events kept; older ones go, a batch at a time.
pub const EVENTS_MAX: u64 = 10_000;
/// So many more are let in before old ones go.
const EVENTS_BATCH: u64 = 500;

impl Store {
    /// All open alerts, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn load_alerts(&self) -> Result<Vec<Alert>, Problem> {
        let connection = self.notes();
        let rows = || -> rusqlite::Result<Vec<String>> {
            let mut statement = connection.prepare_cached("SELECT json FROM alert ORDER BY id DESC")?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        let rows = rows().map_err(|error| trouble("read the alerts", &error))?;
        rows.iter().map(|json| parse(json, "alert")).collect()
    }

    /// Keeps an alert, new or changed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_alert(&self, alert: &Alert) -> Result<(), Problem> {
        let json = text(alert)?;
        self.notes()
            .prepare_cached("INSERT INTO alert (id, json) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET json = ?2")
            .and_then(|mut statement| statement.execute(params![alert.id.cast_signed(), json]))
            .map(drop)
            .map_err(|error| trouble("write an alert", &error))
    }

    /// Drops an alert; nothing happens when it is not there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn drop_alert(&self, id: u64) -> Result<(), Problem> {
        self.notes()
            .prepare_cached("DELETE FROM alert WHERE id = ?1")
            .and_then(|mut statement| statement.execute([id.cast_signed()]))
            .map(drop)
            .map_err(|error| trouble("drop an alert", &error))
    }

    /// Keeps all that `work` keeps of alerts and events in one transaction.
    ///
    /// # Errors
    /// When it cannot be begun or ended; in the second case nothing of it was kept.
    pub fn keep_together(&self, work: impl FnOnce()) -> Result<(), Problem> {
        let _turn = self.inner.turns.patient();
        let run = |sql| self.notes().execute_batch(sql).map_err(|error| trouble("write events", &error));
        let begun = run("BEGIN IMMEDIATE");
        // Where none could be begun each is tried on its own.
        work();
        begun?;
        run("COMMIT").inspect_err(|_| {
            // SQLite has rolled it back itself already, or does so now.
            let _ = run("ROLLBACK");
        })
    }

    /// Keeps an event and gives it its number; `event.id` is not looked at.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append_event(&self, event: &Event) -> Result<u64, Problem> {
        let json = text(event)?;
        let connection = self.notes();
        let append = || -> rusqlite::Result<u64> {
            connection.prepare_cached("INSERT INTO event (json) VALUES (?1)")?.execute([json])?;
            let id = connection.last_insert_rowid().cast_unsigned();
            if id.is_multiple_of(EVENTS_BATCH) && id > EVENTS_MAX {
                let oldest = (id - EVENTS_MAX).cast_signed();
                connection.prepare_cached("DELETE FROM event WHERE id <= ?1")?.execute([oldest])?;
            }
            Ok(id)
        };
        append().map_err(|error| trouble("write an event", &error))
    }

    /// Events newer than `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn events_after(&self, after: u64, limit: u32) -> Result<Vec<Event>, Problem> {
        self.events("SELECT id, json FROM event WHERE id > ?1 ORDER BY id LIMIT ?2", after, limit)
    }

    /// The newest events, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn last_events(&self, limit: u32) -> Result<Vec<Event>, Problem> {
        let sql = "SELECT id, json FROM event WHERE id > ?1 ORDER BY id DESC LIMIT ?2";
        self.events(sql, 0, limit).map(|mut events| {
            events.reverse();
            events
        })
    }

    fn events(&self, sql: &str, after: u64, limit: u32) -> Result<Vec<Event>, Problem> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let connection = self.notes();
        let read = || -> rusqlite::Result<Vec<(i64, String)>> {
            let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            connection.prepare_cached(sql)?.query_map(params![after, limit], pair)?.collect()
        };
        let rows = read().map_err(|error| trouble("read the events", &error))?;
        rows.into_iter()
            .map(|(id, json)| parse::<Event>(&json, "event").map(|event| Event { id: id.cast_unsigned(), ..event }))
            .collect()
    }
}

fn text(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|error| Problem::new("cannot write to the database", error.to_string(), ""))
}

fn parse<T: DeserializeOwned>(json: &str, what: &str) -> Result<T, Problem> {
    let why = |error: serde_json::Error| Problem::new(format!("cannot read an {what}"), error.to_string(), "");
    serde_json::from_str(json).map_err(why)
}
