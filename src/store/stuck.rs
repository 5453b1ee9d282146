//! What was changed behind Standin's back and could not be put back (spec 4.5, 7.3), kept so that no restart makes a revision of it.

use rusqlite::{OptionalExtension, params};

use super::{Store, trouble};
use crate::engine::base::Problem;
use crate::mirror::Stuck;

const STUCK: &str = "stuck";

impl Store {
    /// As last kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn stuck(&self) -> Result<Vec<Stuck>, Problem> {
        let text: Option<String> = self
            .mirror()
            .prepare_cached("SELECT value FROM fact WHERE key = ?1")
            .and_then(|mut statement| statement.query_row([STUCK], |row| row.get(0)).optional())
            .map_err(|error| trouble("read what could not be put back", &error))?;
        let Some(text) = text else { return Ok(Vec::new()) };
        serde_json::from_str(&text)
            .map_err(|error| Problem::new("cannot read what could not be put back", error.to_string(), ""))
    }

    /// Keeps it, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_stuck(&self, list: &[Stuck]) -> Result<(), Problem> {
        let text = serde_json::to_string(list)
            .map_err(|error| Problem::new("cannot keep what could not be put back", error.to_string(), ""))?;
        self.mirror()
            .prepare_cached(
                "INSERT INTO fact (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )
            .and_then(|mut statement| statement.execute(params![STUCK, text]))
            .map(drop)
            .map_err(|error| trouble("keep what could not be put back", &error))
    }
}
