//! A home at rest: made at the first start, looked at while nothing runs.

use std::path::{Path, PathBuf};

use crate::access::{UserRole, Users};
use crate::engine::Engine;
use crate::engine::base::{Fingerprint, InstanceId, PairId, Problem, Role, UnixMillis};
use crate::engine::durable::Durable;
use crate::engine::history::{DiffReport, LogEntry};
use crate::engine::order::{FileContent, FileEntry, Secret};
use crate::engine::settings::read;
use crate::identity::{self, Identity};
use crate::store::Store;

use super::clock;
pub use super::compare::Wanted;

/// File of the local users.
pub(super) const USERS_FILE: &str = "users.yaml";

/// The role of the instance in `home`; none: no database, or one without role.
///
/// # Errors
/// The database is there and cannot be read.
pub fn role(home: &Path) -> Result<Option<Role>, Problem> {
    if !home.join("standin.db").exists() {
        return Ok(None);
    }
    Ok(Store::open_read_only(home)?.load_durable()?.and_then(|durable| durable.role))
}

/// The pair of the instance in `home`; none: no database, or never paired, or not readable.
#[must_use]
pub fn pair(home: &Path) -> Option<PairId> {
    let durable = Store::open_read_only(home).ok()?.load_durable().ok()??;
    durable.peer.map(|peer| peer.pair)
}

/// Writes `users.yaml` with one administrator.
///
/// # Errors
/// It cannot be written.
pub fn make_users(home: &Path, user: &str, password: &Secret) -> Result<(), Problem> {
    let mut users = Users::default();
    users.add(user, UserRole::Administrator, password.expose())?;
    users.save(&home.join(USERS_FILE))
}

/// Makes key and certificate of the link.
///
/// # Errors
/// They cannot be made.
pub fn make_identity(home: &Path, host: &str) -> Result<(), Problem> {
    Identity::load_or_create(&home.join("identity"), host).map(drop)
}

/// Writes the record with the first role; this is what makes an instance.
///
/// # Errors
/// It cannot be written.
pub fn make_database(home: &Path, role: Role) -> Result<(), Problem> {
    let store = Store::open(home)?;
    let durable = Durable::new(InstanceId(uuid::Uuid::new_v4()));
    store.save_durable(&Engine::first_role(durable, role, clock::now()))
}

/// A new instance out of a copied home (spec 7.6): new id, new certificate, no pair; role, history and files stay.
///
/// # Errors
/// Something runs there, or it cannot be written.
pub fn new_identity(home: &Path, host: &str) -> Result<Vec<String>, Problem> {
    let store = Store::open(home)?;
    let old = store.load_durable()?.filter(|durable| durable.role.is_some()).ok_or_else(|| {
        Problem::new("There is no instance in this home", "it has no role", "Set it up with `standin setup --role …`.")
    })?;
    let role = old.role.unwrap_or(Role::Shadow);
    let cannot = |error: std::io::Error| {
        Problem::new("The old identity cannot be put aside", error.to_string(), "Look at the permissions of the home.")
    };
    let (current, aside) = (home.join("identity"), home.join(format!("identity.old-{}", clock::wall().0)));
    if current.exists() {
        std::fs::rename(&current, &aside).map_err(cannot)?;
    }
    let identity = Identity::load_or_create(&current, host)?;
    let mut new = Engine::first_role(Durable::new(InstanceId(uuid::Uuid::new_v4())), role, clock::now());
    // The fencing token must never go back for whoever looks at it.
    new.term = old.term.max(new.term);
    new.known_term = old.known_term.max(new.term);
    new.run = old.run;
    store.save_durable(&new)?;
    if let Some(seal) = super::system::seal_of(home) {
        store.set_seal(&seal)?;
    }
    let mut lines = vec![
        format!("instance {}, {} at term {}", new.instance, role.word(), new.term),
        format!("certificate of the link {}", identity.fingerprint()),
        format!("the old identity is kept in {}", aside.display()),
    ];
    if role == Role::Master {
        lines.push(
            "it is a master of its own: once started it is active and runs its service, whatever the instance does that it was \
             copied from. For a spare, set up an empty home with --role shadow"
                .into(),
        );
    }
    Ok(lines)
}

/// The files of the newest revision.
#[must_use]
pub fn files(home: &Path) -> Option<Vec<FileEntry>> {
    crate::mirror::history::list(&Store::open_read_only(home).ok()?).ok()
}

/// One file of a revision.
///
/// # Errors
/// The database cannot be read, or has no such file.
pub fn file_content(home: &Path, path: &str, revision: Option<u64>) -> Result<FileContent, Problem> {
    crate::mirror::history::show(&Store::open_read_only(home)?, path, revision)
}

/// Its bytes, however many.
///
/// # Errors
/// The database cannot be read, or has no such file.
pub fn file_bytes(home: &Path, path: &str, revision: Option<u64>) -> Result<Vec<u8>, Problem> {
    crate::mirror::history::whole(&Store::open_read_only(home)?, path, revision)
}

/// Revisions, newest first (`config log`).
///
/// # Errors
/// The database cannot be read, or the path is none.
pub fn log(home: &Path, path: Option<&str>, before: Option<u64>, limit: u32) -> Result<Vec<LogEntry>, Problem> {
    crate::mirror::history::log(&Store::open_read_only(home)?, path, before, limit)
}

/// How two versions differ (`config diff`).
///
/// # Errors
/// There is no such version, or something cannot be read.
pub fn diff(home: &Path, settings_file: &Path, wanted: &Wanted) -> Result<DiffReport, Problem> {
    let text = std::fs::read_to_string(settings_file).ok();
    let settings = text.and_then(|text| read::read(&text).ok()).unwrap_or_default();
    let directory = settings.configuration.directory.map_or_else(|| home.join("configuration"), PathBuf::from);
    super::compare::at_rest(home, &directory, wanted)
}

/// Name and role of each local user.
///
/// # Errors
/// The file cannot be read.
pub fn users(home: &Path) -> Result<Vec<(String, &'static str)>, Problem> {
    let users = Users::load(&home.join(USERS_FILE))?;
    let word = |role| match role {
        UserRole::Administrator => "administrator",
        UserRole::Display => "display",
        UserRole::Monitoring => "monitoring",
    };
    Ok(users.users.iter().map(|user| (user.name.clone(), word(user.role))).collect())
}

/// Sets a password while nothing runs.
///
/// # Errors
/// No such user, a password against spec 1.2, or the file cannot be written.
pub fn set_password(home: &Path, user: &str, password: &Secret) -> Result<(), Problem> {
    let path = home.join(USERS_FILE);
    // A lost file is made anew, as by a running instance; a home without role gets its first user by `standin setup`.
    let mut users = if role(home)?.is_some() { Users::load_or_empty(&path)? } else { Users::load(&path)? };
    users.set_password(user, password.expose())?;
    users.save(&path)
}

/// Why the key and certificate of the link cannot be used at the next start, or would not be those that the other instance knows
/// (spec 3.2); writes nothing.
///
/// # Errors
/// What, why, and what to do.
pub fn check_identity(home: &Path) -> Result<(), Problem> {
    let directory = home.join("identity");
    if Identity::check(&directory)? || pair(home).is_none() {
        return Ok(());
    }
    Err(Problem::new(
        "The key and certificate of the link are missing",
        format!(
            "{}: the other instance knows this one by them, and refuses those that the next start makes",
            directory.display()
        ),
        "Put the directory back: a copy of your own, or `standin restore FILE` of a backup with --identity. Else pair anew: \
         `standin ha reset` on the master, `standin shadow reset` and `standin shadow connect` on the shadow.",
    ))
}

/// Why nobody can log on, and no shadow can be paired (spec 3.1, 9.1).
///
/// # Errors
/// What, why, and what to do.
pub fn check_users(home: &Path) -> Result<(), Problem> {
    let users = Users::load(&home.join(USERS_FILE))?;
    if users.users.iter().any(|user| user.role == UserRole::Administrator) {
        return Ok(());
    }
    Err(Problem::new(
        "There is no administrator",
        format!("{}: no user has this role", home.join(USERS_FILE).display()),
        "Put the file back from a backup, or move it away: the first `standin users set-password NAME` makes an administrator.",
    ))
}

/// End of validity of the own certificate of the link.
#[must_use]
pub fn certificate_expires(home: &Path) -> Option<UnixMillis> {
    identity::own_certificate(&home.join("identity")).ok().flatten().map(|own| own.expires)
}

/// End of validity of the certificate kept for the other instance.
pub(super) fn pinned_expires(home: &Path, fingerprint: Fingerprint) -> Option<UnixMillis> {
    let certificate = identity::peer_certificate(&home.join("identity"), fingerprint).ok()??;
    identity::certificate_expiry(&certificate).ok()
}
