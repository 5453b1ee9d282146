//! The durable record of the engine, and the home's seal.

use rusqlite::{ErrorCode, OptionalExtension, params};

use super::{Store, trouble};
use crate::engine::base::{Problem, Run};
use crate::engine::durable::Durable;

/// Key of the seal.
const SEAL: &str = "seal";

impl Store {
    /// The record; none in a new home.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load_durable(&self) -> Result<Option<Durable>, Problem> {
        let found: Option<String> = self
            .record()
            .prepare_cached("SELECT json FROM record WHERE id = 1")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
            .map_err(|error| trouble("read the record of this instance", &error))?;
        let Some(json) = found else { return Ok(None) };
        serde_json::from_str(&json).map(Some).map_err(|error| {
            Problem::new(
                "cannot read the record of this instance",
                error.to_string(),
                "restore the home from a backup, or set this instance up anew",
            )
        })
    }

    /// Replaces the record. When this returns, it is on the disk (spec 7.3). A full disk takes it as long as the space kept
    /// for it lasts.
    ///
    /// # Errors
    /// When it is not; the old one still stands.
    pub fn save_durable(&self, durable: &Durable) -> Result<(), Problem> {
        let action = "write the record of this instance";
        let json = serde_json::to_string(durable)
            .map_err(|error| Problem::new(format!("cannot {action}"), error.to_string(), ""))?;
        let write = || {
            let connection = self.record();
            let _turn = self.inner.turns.urgent();
            connection
                .prepare_cached("INSERT INTO record (id, json) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET json = ?1")
                .and_then(|mut statement| statement.execute([&json]))
                .map(drop)
        };
        match write() {
            Err(error) if is_full(&error) && self.inner.reserve.give_up() => {
                write().map_err(|error| trouble(action, &error))
            }
            Ok(()) => {
                self.inner.reserve.keep();
                Ok(())
            }
            Err(error) => Err(trouble(action, &error)),
        }
    }

    /// Begins a run: the record with a run one higher, which is on the disk.
    ///
    /// # Errors
    /// When there is no record, or it cannot be written.
    pub fn raise_run(&self) -> Result<Durable, Problem> {
        let Some(mut durable) = self.load_durable()? else {
            return Err(Problem::new(
                "cannot start",
                "this home was not set up",
                "run `standin` and follow the wizard, or `standin setup`",
            ));
        };
        durable.run = Run(durable.run.0 + 1);
        self.save_durable(&durable)?;
        Ok(durable)
    }

    /// What [`Store::set_seal`] kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn seal(&self) -> Result<Option<String>, Problem> {
        self.record()
            .prepare_cached("SELECT value FROM fact WHERE key = ?1")
            .and_then(|mut statement| statement.query_row([SEAL], |row| row.get(0)).optional())
            .map_err(|error| trouble("read the seal of this home", &error))
    }

    /// Keeps the home's seal, by which a copied home is known (spec 7.5).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_seal(&self, text: &str) -> Result<(), Problem> {
        let connection = self.record();
        let _turn = self.inner.turns.urgent();
        connection
            .prepare_cached(
                "INSERT INTO fact (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )
            .and_then(|mut statement| statement.execute(params![SEAL, text]))
            .map(drop)
            .map_err(|error| trouble("write the seal of this home", &error))
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
}
