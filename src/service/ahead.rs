//! What would keep the service from starting here, seen beforehand and without starting anything (spec 2.6, 7.7).

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::unit::{Tie, Units, unknown, untied};
use crate::engine::settings::Service;

/// A program as a start would find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// It can be run.
    Ready(PathBuf),
    /// It is there, and may not be run by this user.
    Closed(PathBuf),
    /// There is none.
    Missing,
}

/// A path as it is, seen from `directory`; a name in `PATH`.
#[must_use]
pub fn find(program: &str, directory: &Path) -> Program {
    let may_run = |path: &Path| access(path, Access::EXEC_OK).is_ok();
    let candidates: Vec<PathBuf> = if program.contains('/') {
        vec![directory.join(program)]
    } else {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).map(|place| place.join(program)).collect()
    };
    let mut files = candidates.into_iter().filter(|path| path.is_file());
    let Some(first) = files.next() else { return Program::Missing };
    if may_run(&first) {
        return Program::Ready(first);
    }
    files.find(|path| may_run(path)).map_or(Program::Closed(first), Program::Ready)
}

/// Why a start of `service` would fail; none: nothing is known against it. `directory` is where it runs unless it names another;
/// `tie` is what a unit has to keep with an arbiter (spec 7.13). Asks systemd about a unit.
#[must_use]
pub fn problem(service: &Service, directory: &Path, tie: Option<Tie>, units: &impl Units) -> Option<String> {
    if let Some(unit) = &service.unit {
        return of_unit(unit, tie, units).err();
    }
    let program = service.command.first()?;
    let directory = service.directory.as_ref().map_or(directory, |own| Path::new(own));
    if !directory.is_dir() {
        return Some(format!("the working directory {} does not exist", directory.display()));
    }
    match find(program, directory) {
        Program::Ready(_) => None,
        Program::Closed(path) => Some(format!("{} is not executable for this user", path.display())),
        Program::Missing if program.contains('/') => Some(format!("{program} does not exist")),
        Program::Missing => Some(format!("{program} was not found in PATH")),
    }
}

fn of_unit(unit: &str, tie: Option<Tie>, units: &impl Units) -> Result<(), String> {
    let Some(tie) = tie else {
        let seen = units.see(unit)?;
        return if seen.load == "loaded" { Ok(()) } else { Err(unknown(unit, &seen)) };
    };
    units.seen_bound(unit).and_then(|seen| units.tied(unit, &seen, tie)).map_err(|why| untied(&why))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::service::unit::Seen;

    /// systemd, as far as it is asked here.
    struct Knows(&'static str);

    impl Units for Knows {
        fn see(&self, _: &str) -> Result<Seen, String> {
            match self.0 {
                "" => Err("systemctl show: Failed to connect to bus".into()),
                load => Ok(Seen { load: load.into(), ..Seen::default() }),
            }
        }

        fn start(&self, _: &str) -> Result<(), String> {
            Err("nothing is started".into())
        }

        fn stop(&self, _: &str) -> Result<(), String> {
            Err("nothing is stopped".into())
        }

        fn kill(&self, _: &str) -> Result<(), String> {
            Err("nothing is killed".into())
        }

        fn own(&self) -> Option<String> {
            Some("standin.service".into())
        }
    }

    fn of_command(program: &str, directory: &Path) -> Option<String> {
        let service = Service { command: vec![program.into()], ..Service::default() };
        problem(&service, directory, None, &Knows("loaded"))
    }

    /// spec 7.7: what a start would find is found beforehand, and goes as it came
    #[test]
    fn a_program_that_cannot_be_run_is_named() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("agent");
        let path = program.display().to_string();
        assert_eq!(of_command(&path, home.path()).unwrap(), format!("{path} does not exist"));
        write(&program, "#!/bin/sh\n").unwrap();
        set_permissions(&program, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            of_command("./agent", home.path()).unwrap(),
            format!("{} is not executable for this user", home.path().join("./agent").display())
        );
        set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        for whole in [&*path, "./agent", "sh"] {
            assert_eq!(of_command(whole, home.path()), None, "{whole}");
        }
        assert_eq!(of_command("no-such-agent", home.path()).unwrap(), "no-such-agent was not found in PATH");
        let gone = home.path().join("gone");
        assert!(of_command("sh", &gone).unwrap().contains("working directory"));
    }

    /// spec 7.13: with an arbiter a unit has to be bound; without one it has to be known
    #[test]
    fn a_unit_that_would_be_refused_is_named() {
        let service = Service { unit: Some("web.service".into()), ..Service::default() };
        let of = |load, tie| problem(&service, Path::new("/"), tie, &Knows(load));
        assert_eq!(of("loaded", None), None);
        assert_eq!(of("not-found", None).unwrap(), "web.service is unknown to systemd on this machine");
        assert!(of("masked", None).unwrap().contains("masked"));
        assert!(of("", None).unwrap().contains("Failed to connect"));
        let tie = Tie { budget_ms: 6_000, watchdog_ms: Some(2_000) };
        assert!(of("loaded", Some(tie)).unwrap().contains("BindsTo=standin.service"));
    }
}
