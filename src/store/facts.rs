//! Lists that are kept as one fact of the store.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, trouble};
use crate::engine::base::Problem;

impl Store {
    /// The list with this key as last kept; `about` says for people what it is. One that was never kept is empty.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn list_fact<T: DeserializeOwned>(&self, key: &str, about: &str) -> Result<Vec<T>, Problem> {
        let text: Option<String> = self
            .mirror()
            .prepare_cached("SELECT value FROM fact WHERE key = ?1")
            .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional())
            .map_err(|error| trouble(&format!("read {about}"), &error))?;
        let Some(text) = text else { return Ok(Vec::new()) };
        serde_json::from_str(&text).map_err(|error| Problem::new(format!("cannot read {about}"), error.to_string(), ""))
    }

    /// Keeps it, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn set_list_fact<T: Serialize>(
        &self,
        key: &str,
        about: &str,
        list: impl IntoIterator<Item = T>,
    ) -> Result<(), Problem> {
        let list: Vec<T> = list.into_iter().collect();
        let text = serde_json::to_string(&list)
            .map_err(|error| Problem::new(format!("cannot keep {about}"), error.to_string(), ""))?;
        self.mirror()
            .prepare_cached(
                "INSERT INTO fact (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )
            .and_then(|mut statement| statement.execute(params![key, text]))
            .map(drop)
            .map_err(|error| trouble(&format!("keep {about}"), &error))
    }
}
