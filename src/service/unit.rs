//! A systemd unit as the service (spec 7.13), over `systemctl`.
//!
//! systemd owns the processes: it starts, signals and kills them. What ties the unit's life to Standin's is `BindsTo=` in
//! the unit; without it a unit outlives a Standin that is killed, which [`Units::bound`] finds out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::hooks::run_alone_plain;

pub mod keeper;

/// For one call of `systemctl`, ms; it only talks to systemd.
const CALL_MS: u64 = 5_000;
/// Properties asked for.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,MainPID,BindsTo";

/// A unit as systemd sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`, …
    pub active: String,
    /// `running`, `dead`, …
    pub sub: String,
    /// `success`, `exit-code`, …
    pub result: String,
    /// Its main process.
    pub process: Option<u32>,
    /// Units whose end is its own.
    pub binds_to: Vec<String>,
}

impl Seen {
    fn parse(text: &str) -> Self {
        let fields: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let field = |name: &str| fields.get(name).map_or(String::new(), |value| (*value).to_owned());
        Self {
            load: field("LoadState"),
            active: field("ActiveState"),
            sub: field("SubState"),
            result: field("Result"),
            process: field("MainPID").parse().ok().filter(|pid| *pid != 0),
            binds_to: field("BindsTo").split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// It runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading")
    }

    /// Nothing of it runs.
    #[must_use]
    pub fn is_down(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed")
    }

    /// `failed, exit-code`.
    #[must_use]
    pub fn words(&self) -> String {
        match self.result.as_str() {
            "" | "success" => format!("{} ({})", self.active, self.sub),
            result => format!("{} ({}), {result}", self.active, self.sub),
        }
    }
}

/// The units of this machine. What cannot be done says why.
pub trait Units: Send {
    /// How it is.
    ///
    /// # Errors
    /// systemd cannot be asked.
    fn see(&self, unit: &str) -> Result<Seen, String>;
    /// Asks for its start; does not wait for it.
    ///
    /// # Errors
    /// systemd refuses.
    fn start(&self, unit: &str) -> Result<(), String>;
    /// Asks for its stop; does not wait for it.
    ///
    /// # Errors
    /// systemd refuses.
    fn stop(&self, unit: &str) -> Result<(), String>;
    /// Kills all its processes.
    ///
    /// # Errors
    /// systemd refuses.
    fn kill(&self, unit: &str) -> Result<(), String>;
    /// The unit that Standin itself runs in; none: it was not started by systemd.
    fn own(&self) -> Option<String>;
    /// Whether systemd stops the unit when Standin ends: whether it is loaded, and bound to Standin's own. With an arbiter
    /// a unit that is not is refused (spec 7.13).
    ///
    /// # Errors
    /// Why not, and what to do.
    fn bound(&self, unit: &str) -> Result<(), String> {
        let seen = self.see(unit)?;
        if seen.load != "loaded" {
            return Err(unknown(unit, &seen));
        }
        match self.own() {
            None => Err("Standin itself does not run as a unit, so systemd cannot tie the two together".into()),
            Some(own) if seen.binds_to.contains(&own) => Ok(()),
            Some(own) => Err(format!(
                "{unit} is not bound to {own}: write BindsTo={own} and After={own} into its [Unit] section"
            )),
        }
    }
}

/// For people: why a unit cannot be used.
#[must_use]
pub fn unknown(unit: &str, seen: &Seen) -> String {
    match seen.load.as_str() {
        "not-found" | "" => format!("{unit} is unknown to systemd on this machine"),
        load => format!("{unit} cannot be used: systemd says {load}"),
    }
}

/// `systemctl`, as systemd brings it.
#[derive(Clone, Debug)]
pub struct Systemctl {
    program: PathBuf,
}

impl Default for Systemctl {
    /// The one in `PATH`.
    fn default() -> Self {
        Self::at("systemctl")
    }
}

impl Systemctl {
    /// Another program that speaks the same commands.
    #[must_use]
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    fn call(&self, arguments: &[&str]) -> Result<String, String> {
        let program = self.program.to_string_lossy().into_owned();
        let argv: Vec<String> =
            std::iter::once(program).chain(arguments.iter().map(|text| (*text).to_owned())).collect();
        let (ok, status, lines) = run_alone_plain(&argv, Path::new("/"), CALL_MS);
        if ok { Ok(lines) } else { Err(format!("systemctl {}: {status}", arguments.join(" "))) }
    }
}

impl Units for Systemctl {
    fn see(&self, unit: &str) -> Result<Seen, String> {
        self.call(&["show", "--property", PROPERTIES, "--", unit]).map(|text| Seen::parse(&text))
    }

    fn start(&self, unit: &str) -> Result<(), String> {
        // What systemd has given up on must be startable when the machine is needed. An error says that nothing had failed.
        let _ = self.call(&["reset-failed", "--", unit]);
        self.call(&["start", "--no-block", "--", unit]).map(drop)
    }

    fn stop(&self, unit: &str) -> Result<(), String> {
        self.call(&["stop", "--no-block", "--", unit]).map(drop)
    }

    fn kill(&self, unit: &str) -> Result<(), String> {
        self.call(&["kill", "--signal", "KILL", "--", unit]).map(drop)
    }

    fn own(&self) -> Option<String> {
        own_unit(&fs::read_to_string("/proc/self/cgroup").ok()?)
    }
}

/// `0::/system.slice/standin.service` → `standin.service`.
fn own_unit(cgroup: &str) -> Option<String> {
    let parts = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    parts.filter_map(|path| path.split('/').rfind(|part| part.ends_with(".service"))).map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 7.13: what systemd says, read
    #[test]
    fn a_unit_is_read_from_its_properties() {
        let text = "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nMainPID=0\n\
                    BindsTo=standin.service other.service\n";
        let seen = Seen::parse(text);
        assert!(seen.is_down() && !seen.is_up());
        assert_eq!((seen.process, seen.words().as_str()), (None, "failed (failed), exit-code"));
        assert_eq!(seen.binds_to, ["standin.service", "other.service"]);
        assert!(Seen::parse("ActiveState=active\nMainPID=12\n").is_up());
        assert!(!Seen::parse("ActiveState=deactivating\n").is_down(), "still runs");
    }

    #[test]
    fn the_own_unit_is_read_from_the_control_group() {
        assert_eq!(own_unit("0::/system.slice/standin.service\n"), Some("standin.service".into()));
        assert_eq!(own_unit("1:name=systemd:/system.slice/a.service/sub\n0::/\n"), Some("a.service".into()));
        assert_eq!(own_unit("0::/user.slice/session-1.scope\n"), None);
    }
}
