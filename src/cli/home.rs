//! Where the home is, what lies in it, and whose it is.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::arguments::Globals;
use crate::engine::base::Problem;

/// Home of an instance that root runs.
const ROOT_HOME: &str = "/var/lib/standin";

/// What every command knows: where, and how to draw.
#[derive(Clone, Debug)]
pub struct Context {
    /// The home, absolute.
    pub home: PathBuf,
    /// The settings file, absolute.
    pub settings: PathBuf,
    /// As typed.
    pub globals: Globals,
}

impl Context {
    /// Finds the home and the settings file.
    ///
    /// # Errors
    /// When no home was named and none can be derived.
    pub fn new(globals: &Globals) -> Result<Self, Problem> {
        let home = match globals.home.as_ref().filter(|home| !home.as_os_str().is_empty()) {
            Some(home) => absolute(home)?,
            None => default_home(
                rustix::process::geteuid().is_root(),
                std::env::var_os("XDG_STATE_HOME").map(PathBuf::from),
                std::env::var_os("HOME").map(PathBuf::from),
            )?,
        };
        let settings = match &globals.settings {
            Some(file) => absolute(file)?,
            None => home.join("settings.yaml"),
        };
        Ok(Self { home, settings, globals: globals.clone() })
    }

    /// The socket that the console and the commands attach to.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket(&self.home)
    }
}

/// Whether Standin takes `home` by itself, without option and without `STANDIN_HOME`.
#[must_use]
pub fn is_default(home: &Path) -> bool {
    let taken = default_home(
        rustix::process::geteuid().is_root(),
        std::env::var_os("XDG_STATE_HOME").map(PathBuf::from),
        std::env::var_os("HOME").map(PathBuf::from),
    );
    taken.is_ok_and(|taken| taken == home)
}

/// The control socket of `home`.
#[must_use]
pub fn socket(home: &Path) -> PathBuf {
    home.join("control.sock")
}

fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| {
        Problem::new(
            format!("'{}' cannot be made an absolute path", path.display()),
            error.to_string(),
            "Give the whole path, beginning with /.",
        )
    })
}

fn default_home(is_root: bool, state_home: Option<PathBuf>, user_home: Option<PathBuf>) -> Result<PathBuf, Problem> {
    if is_root {
        return Ok(ROOT_HOME.into());
    }
    // The XDG base directory specification: a relative value is to be ignored.
    let state = state_home.filter(|path| path.is_absolute());
    let user = user_home.filter(|path| path.is_absolute());
    state.or_else(|| user.map(|home| home.join(".local/state"))).map(|state| state.join("standin")).ok_or_else(|| {
        Problem::new(
            "No home directory for the instance",
            "neither STANDIN_HOME nor XDG_STATE_HOME nor HOME is set",
            "Name it: standin --home DIR, or set STANDIN_HOME.",
        )
    })
}

/// Refuses to start or change an instance whose home belongs to someone else (spec 8.1). A home that does not exist yet
/// passes.
///
/// # Errors
/// Names the owner and both ways out.
pub fn refuse_foreign(home: &Path) -> Result<(), Problem> {
    let own = rustix::process::geteuid().as_raw();
    match std::fs::metadata(home) {
        Ok(metadata) if !metadata.is_dir() => Err(Problem::new(
            format!("{} cannot be the home of an instance", home.display()),
            "it is not a directory",
            "Name another with --home DIR.",
        )),
        Ok(metadata) if metadata.uid() != own => Err(Problem::new(
            format!("Nothing was started in {}", home.display()),
            format!("it belongs to {}, and you are {}", user_name(metadata.uid()), user_name(own)),
            format!(
                "Work as {}, or name a home of your own with --home DIR. Attaching to an instance that runs is allowed \
                 when its control socket lets you.",
                user_name(metadata.uid())
            ),
        )),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unreadable(home, &error)),
    }
}

/// The home could not be looked at.
#[must_use]
pub fn unreadable(home: &Path, error: &std::io::Error) -> Problem {
    Problem::new(
        format!("The home {} cannot be read", home.display()),
        error.to_string(),
        "Work as the user who owns it, or name another with --home DIR.",
    )
}

/// Name of a user of this machine, else its number.
#[must_use]
pub fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2).and_then(|field| field.parse().ok()) == Some(uid))
        .map_or_else(|| format!("user {uid}"), |fields| fields[0].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// interfaces: the default home.
    #[test]
    fn the_default_home_follows_user_and_environment() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(default_home(true, path("/x"), path("/root")).unwrap(), Path::new("/var/lib/standin"));
        assert_eq!(default_home(false, path("/x"), path("/home/ops")).unwrap(), Path::new("/x/standin"));
        let derived = Path::new("/home/ops/.local/state/standin");
        assert_eq!(default_home(false, path("relative"), path("/home/ops")).unwrap(), derived);
        assert!(default_home(false, None, None).unwrap_err().todo.contains("--home"));
    }

    /// spec 8.1: as a user other than the home's owner it refuses.
    #[test]
    fn a_home_of_someone_else_is_refused() {
        // `/proc/1` belongs to root; whoever runs the test, one of the two directories is not theirs or both are.
        let own = tempfile::tempdir().unwrap();
        refuse_foreign(own.path()).unwrap();
        refuse_foreign(&own.path().join("not-yet")).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(own.path(), Some(12_345), None).unwrap();
            assert!(refuse_foreign(own.path()).unwrap_err().why.contains("user 12345"));
        } else {
            assert!(refuse_foreign(Path::new("/etc")).unwrap_err().why.contains("root"));
        }
    }

    #[test]
    fn a_file_is_no_home() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(refuse_foreign(file.path()).unwrap_err().why.contains("not a directory"));
    }
}
