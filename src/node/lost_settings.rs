//! A settings file that is lost in a home with a role: what to do, and what is known without it.

use std::path::Path;

use crate::engine::base::{Problem, Role};
use crate::engine::settings::{Settings, SettingsPatch};
use crate::identity;
use crate::store::Store;

/// The way out of it, one for every place that finds it.
const TODO: &str = "Put it back: a copy of your own, or `standin restore FILE` of a backup. Else `standin setup --write-settings` \
                    writes the commented default with what the record knows, and says what has to be set again.";

/// What is told where the file is not there and the home has this role.
#[must_use]
pub fn lost(path: &Path, role: Role) -> Problem {
    let why = format!("{}: there is no such file, and this home is a {}", path.display(), role.word());
    Problem::new("The settings file is lost", why, TODO)
}

/// There is nothing by that name, not even a link that leads nowhere.
#[must_use]
pub fn is_missing(path: &Path) -> bool {
    matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// [`lost`], where it is so.
#[must_use]
pub fn look(home: &Path, path: &Path) -> Option<Problem> {
    if !is_missing(path) {
        return None;
    }
    super::home::role(home).ok().flatten().map(|role| lost(path, role))
}

/// The settings that the record, the pair and the own certificate know (spec 2.8); all others are as by default.
///
/// # Errors
/// The record cannot be read, or there is no role.
pub fn known(home: &Path) -> Result<Settings, Problem> {
    let durable = Store::open_read_only(home)?.load_durable()?.filter(|durable| durable.role.is_some());
    let durable = durable.ok_or_else(|| super::no_role(home))?;
    let mut settings = Settings::default();
    if let Some(host) = identity::own_certificate(&home.join("identity"))?.and_then(|own| own.host) {
        settings.host = host;
    }
    let Some(peer) = &durable.peer else { return Ok(settings) };
    settings.high_availability.grace_period = peer.grace_period_ms;
    let patch = peer.settings_patch();
    if durable.role == Some(Role::Shadow) {
        settings = patch.applied_to(&settings);
    } else {
        settings = SettingsPatch { master_hosts: None, master_port: None, ..patch }.applied_to(&settings);
        // Whoever has a shadow has it enabled: without, it would be refused (spec 2.1).
        settings.high_availability.enabled = true;
    }
    Ok(durable.settings_due.map_or(settings.clone(), |due| due.applied_to(&settings)))
}
