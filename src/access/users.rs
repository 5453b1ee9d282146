//! Local users: a small file of names, roles and argon2id hashes (spec 9.1).

use std::path::Path;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::engine::base::Problem;
use crate::engine::password::{self, PASSWORD_MAX_CHARS};
use crate::files;

/// Largest file of users read.
const FILE_MAX_BYTES: u64 = 256 * 1024;
/// Most local users.
pub const USERS_MAX: usize = 200;
/// Longest name of a user.
pub const NAME_MAX_CHARS: usize = 64;
const HEADING: &str =
    "# Local users of this instance (spec 9.1). Change passwords with: standin users set-password NAME\n";

/// What a user may do (spec 9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRole {
    /// Everything, pairing included.
    Administrator,
    /// Look at everything.
    Display,
    /// Look at what monitoring needs.
    Monitoring,
}

/// One local user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Unique.
    pub name: String,
    /// What it may do.
    pub role: UserRole,
    /// PHC text of argon2id.
    pub hash: String,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// At most [`USERS_MAX`].
    pub users: Vec<User>,
}

impl Users {
    /// The users in `path`.
    ///
    /// # Errors
    /// When there is no such file, it cannot be read, or is not what Standin wrote.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        Self::load_if_there(path)?.ok_or_else(|| {
            unreadable(path, "there is no such file, so there is no local user", "standin users set-password NAME")
        })
    }

    /// The same; nobody when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read or is not what Standin wrote.
    pub fn load_or_empty(path: &Path) -> Result<Self, Problem> {
        Ok(Self::load_if_there(path)?.unwrap_or_default())
    }

    fn load_if_there(path: &Path) -> Result<Option<Self>, Problem> {
        const WAY_OUT: &str = "put it right, or put it back from a backup";
        let bytes = files::read_bounded(path, FILE_MAX_BYTES)
            .map_err(|error| unreadable(path, &error.to_string(), "check its owner and rights"))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let users: Self =
            serde_yaml::from_slice(&bytes).map_err(|error| unreadable(path, &error.to_string(), WAY_OUT))?;
        if users.users.len() > USERS_MAX {
            return Err(unreadable(path, &format!("more than {USERS_MAX} users"), WAY_OUT));
        }
        Ok(Some(users))
    }

    /// Writes all of them, durably, readable by the owner alone.
    ///
    /// # Errors
    /// When it cannot be written; the old file still stands then.
    pub fn save(&self, path: &Path) -> Result<(), Problem> {
        let cannot = |why: String| {
            Problem::new(
                format!("cannot write {}", path.display()),
                why,
                "check the free space and the rights of its directory",
            )
        };
        let text = serde_yaml::to_string(self).map_err(|error| cannot(error.to_string()))?;
        files::write_private(path, format!("{HEADING}{text}").as_bytes()).map_err(|error| cannot(error.to_string()))
    }

    /// Blocking, for tens of milliseconds, about as long for a user that is not there: whether `password` is that of `name`.
    #[must_use]
    pub fn verify(&self, name: &str, password: &str) -> Verdict {
        let user = self.users.iter().find(|user| user.name == name);
        if password.chars().count() > PASSWORD_MAX_CHARS {
            return Verdict::Wrong;
        }
        let Some(user) = user else {
            waste_the_time_of_a_hash(password);
            return Verdict::Wrong;
        };
        match PasswordHash::new(&user.hash) {
            Err(error) => Verdict::Unavailable(format!("the hash of user {name} cannot be read: {error}")),
            Ok(hash) => match Argon2::default().verify_password(password.as_bytes(), &hash) {
                Ok(()) => Verdict::Ok(user.role),
                Err(argon2::password_hash::Error::PasswordInvalid) => Verdict::Wrong,
                Err(error) => Verdict::Unavailable(format!("the hash of user {name} cannot be checked: {error}")),
            },
        }
    }

    /// Sets the password of `name`. The first user of all is made an administrator.
    ///
    /// # Errors
    /// When the password breaks a rule (spec 1.2) or there are users but none of that name.
    pub fn set_password(&mut self, name: &str, password: &str) -> Result<(), Problem> {
        password::check(name, password)?;
        if let Some(user) = self.users.iter_mut().find(|user| user.name == name) {
            user.hash = hash(password)?;
            return Ok(());
        }
        if !self.users.is_empty() {
            let names: Vec<&str> = self.users.iter().map(|user| user.name.as_str()).collect();
            return Err(Problem::new(
                format!("there is no local user {name}"),
                format!("local users are: {}", names.join(", ")),
                "name one of these",
            ));
        }
        self.add(name, UserRole::Administrator, password)
    }

    /// Adds a user.
    ///
    /// # Errors
    /// When the name cannot be one or is taken, or the password breaks a rule.
    pub fn add(&mut self, name: &str, role: UserRole, password: &str) -> Result<(), Problem> {
        let refuse = |why: String| {
            Err(Problem::new(format!("user {name:?} is refused"), why, "take letters, digits, and any of - _ . @"))
        };
        if name.is_empty() || name.chars().count() > NAME_MAX_CHARS {
            return refuse(format!("a name has 1 to {NAME_MAX_CHARS} characters"));
        }
        if !name.chars().all(|c| c.is_alphanumeric() || "-_.@".contains(c)) {
            return refuse("a character in it cannot be in a name".into());
        }
        if self.users.iter().any(|user| user.name == name) {
            return refuse("there is one of that name".into());
        }
        if self.users.len() >= USERS_MAX {
            return refuse(format!("there are {USERS_MAX} already, the most allowed"));
        }
        password::check(name, password)?;
        self.users.push(User { name: name.to_owned(), role, hash: hash(password)? });
        Ok(())
    }
}

fn hash(password: &str) -> Result<String, Problem> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Problem::new("the password could not be hashed", error.to_string(), "try again"))
}

fn waste_the_time_of_a_hash(password: &str) {
    let mut nowhere = [0; 32];
    // Only the time matters; that it fails for a password no user can have gives nothing away.
    let _ = Argon2::default().hash_password_into(password.as_bytes(), b"nobody at all..!", &mut nowhere);
    std::hint::black_box(nowhere);
}

fn unreadable(path: &Path, why: &str, todo: &str) -> Problem {
    Problem::new(format!("the local users cannot be read: {}", path.display()), why, todo)
}
