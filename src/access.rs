//! Who may pair and who may do what: local users, roles, wrong passwords slowed down and locked out (spec 3.3, 9).

mod lockout;
mod users;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::engine::base::{Millis, Problem};
use lockout::Lockout;

pub use users::{User, UserRole, Users};

/// What came of a user and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are right.
    Ok(UserRole),
    /// No such user, or another password; which of the two is said to nobody.
    Wrong,
    /// Too many wrong ones; not even looked at.
    LockedOut {
        /// From now.
        for_ms: u64,
        /// Locked for a while, not only slowed down.
        is_locked: bool,
    },
    /// The user store does not answer; counts as no attempt (spec 3.3).
    Unavailable(String),
}

/// The user store with the memory of wrong passwords. Share one for the whole program.
#[derive(Debug)]
pub struct Access {
    path: PathBuf,
    // Held while a password is hashed: each hash takes 19 MiB and most of a core, so there is only one at a time, and
    // many attempts at once cannot slip past the count.
    lockout: Mutex<Lockout>,
}

impl Access {
    /// Over the users in `path` (`HOME/users.yaml`), read again at each attempt.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, lockout: Mutex::new(Lockout::default()) }
    }

    /// Blocking, for tens of milliseconds: whether `password` is that of `user`, asked from `address`.
    #[must_use]
    pub fn verify(&self, user: &str, address: &str, password: &str, now: Millis) -> Verdict {
        let mut lockout = self.lockout.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pause) = lockout.pause(user, address, now) {
            return Verdict::LockedOut { for_ms: pause.for_ms, is_locked: pause.is_locked };
        }
        let verdict = match Users::load(&self.path) {
            Ok(users) => users.verify(user, password),
            Err(problem) => Verdict::Unavailable(problem.why),
        };
        match verdict {
            Verdict::Ok(_) => lockout.forget(user, address),
            Verdict::Wrong => lockout.count(user, address, now),
            Verdict::LockedOut { .. } | Verdict::Unavailable(_) => {}
        }
        verdict
    }

    /// Sets the password of a local user, durably, and ends a lock of that user; an administrator is made when there is no such user and no other.
    ///
    /// # Errors
    /// When the password breaks a rule (spec 1.2), the user is unknown, or the file cannot be written.
    pub fn set_password(&self, user: &str, password: &str) -> Result<(), Problem> {
        let mut users = Users::load_or_empty(&self.path)?;
        users.set_password(user, password)?;
        users.save(&self.path)?;
        self.lockout.lock().unwrap_or_else(PoisonError::into_inner).forget_user(user);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
