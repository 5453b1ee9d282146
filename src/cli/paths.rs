//! `standin paths`: where everything is.

use std::path::PathBuf;

use super::home::Context;
use super::output::{Exit, Outcome, Output};
use super::rooms;
use crate::engine::settings::Settings;

/// Prints a name and an absolute path a line.
///
/// # Errors
/// Those of standard output.
pub fn run(context: &Context, out: &mut Output) -> Outcome {
    let home = &context.home;
    let settings = std::fs::read_to_string(&context.settings).ok().and_then(|text| rooms::settings_of(&text).ok());
    let rows = [
        ("home", home.clone()),
        ("settings", context.settings.clone()),
        ("users", home.join("users.yaml")),
        ("identity", home.join("identity")),
        ("administration", home.join("admin")),
        ("database", home.join("standin.db")),
        ("configuration", configuration(context, settings.as_ref())),
        ("control socket", context.socket()),
        ("log", home.join("log")),
        ("program", std::env::current_exe().unwrap_or_default()),
    ];
    for (name, path) in rows {
        out.line(&format!("{name:<16}{}", path.display()))?;
    }
    Ok(Exit::Done)
}

/// The mirrored directory: the settings' or the home's own.
#[must_use]
pub fn configuration(context: &Context, settings: Option<&Settings>) -> PathBuf {
    settings
        .and_then(|settings| settings.configuration.directory.as_ref())
        .map_or_else(|| context.home.join("configuration"), PathBuf::from)
}
