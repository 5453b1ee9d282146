//! The service and the hooks: whether what is configured could be run here (spec 7.13).

use std::path::Path;

use super::Finding;
use crate::cli::rooms::{self, Program};
use crate::engine::settings::Settings;

/// Everything of this room.
pub fn look(settings: &Settings) -> Vec<Finding> {
    let (service, hooks) = (&settings.service, &settings.hooks);
    let mut findings = vec![match (&service.unit, service.command.as_slice()) {
        (Some(unit), _) => of_unit(unit, rooms::unit_bound(unit)),
        (None, []) => Finding::ok("service", "none configured"),
        (None, command) => of_command("service", "service.command", command, service.directory.as_deref()),
    }];
    for (about, key, command) in [
        ("health check", "service.health.command", &service.health.command),
        ("hook", "hooks.become_master", &hooks.become_master),
        ("hook", "hooks.become_shadow", &hooks.become_shadow),
        ("hook", "hooks.new_configuration", &hooks.new_configuration),
        ("hook", "hooks.fence", &hooks.fence),
    ] {
        if !command.is_empty() {
            findings.push(of_command(about, key, command, None));
        }
    }
    findings
}

/// The program exists and may be run.
pub(super) fn of_command(about: &'static str, key: &str, command: &[String], directory: Option<&str>) -> Finding {
    let Some(program) = command.first() else { return Finding::ok(about, "none configured") };
    if let Some(directory) = directory.filter(|directory| !Path::new(directory).is_dir()) {
        return Finding::fail(
            about,
            format!("its directory {directory} does not exist"),
            "Create it, or change service.directory.",
        );
    }
    match rooms::find_program(program, Path::new(directory.unwrap_or("/"))) {
        Program::Ready(path) => Finding::ok(about, format!("{} can be run", path.display())),
        Program::Closed(path) => {
            let todo = format!("chmod +x '{}', or correct {key}.", path.display());
            Finding::fail(about, format!("{} is not executable", path.display()), todo)
        }
        Program::Missing => {
            Finding::fail(about, format!("{program} was not found"), format!("Install it, or correct {key}."))
        }
    }
}

/// Standin itself may be started by hand now and by systemd later, so what is missing here is a warning, unless systemd does
/// not know the unit at all.
pub(super) fn of_unit(unit: &str, bound: Result<(), String>) -> Finding {
    match bound {
        Ok(()) => Finding::ok("service", format!("{unit} is bound to Standin's unit")),
        Err(why) if why.starts_with("systemctl ") => {
            let todo = "Mend systemd here, or the user's access to it: until it answers the unit can neither be started nor stopped.";
            Finding::fail("service", why, todo)
        }
        Err(why) if why.contains("unknown to systemd") => {
            Finding::fail("service", why, "Correct service.unit, or install the unit and run systemctl daemon-reload.")
        }
        Err(why) => {
            let todo =
                "Without BindsTo= the service outlives a Standin that is killed, and may then run on both machines.";
            Finding::warn("service", why, todo)
        }
    }
}
