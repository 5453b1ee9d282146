//! What was changed behind Standin's back and could not be put back (spec 4.5, 7.3), kept so that no restart makes a revision of it.

use super::Store;
use crate::engine::base::Problem;
use crate::mirror::Stuck;

/// Key of the fact, and what it is.
const STUCK: (&str, &str) = ("stuck", "what could not be put back");

impl Store {
    /// As last kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn stuck(&self) -> Result<Vec<Stuck>, Problem> {
        self.list_fact(STUCK.0, STUCK.1)
    }

    /// Keeps it, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_stuck(&self, list: &[Stuck]) -> Result<(), Problem> {
        self.set_list_fact(STUCK.0, STUCK.1, list)
    }
}
