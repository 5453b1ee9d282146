//! A systemd unit as the service (spec 7.13), over `systemctl`.
//!
//! systemd owns the processes: it starts, signals and kills them. What ties the unit's life to Standin's is `BindsTo=` in
//! the unit; without it a unit outlives a Standin that is killed, which [`Units::bound`] finds out. What ends it when Standin
//! stands still is systemd's watchdog over Standin's own unit, which [`Units::tied`] asks for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::hooks::run_alone_plain;
use crate::engine::settings::{Service, duration};

pub mod keeper;

/// For one call of `systemctl`, ms; it only talks to systemd.
const CALL_MS: u64 = 5_000;
/// Properties asked for.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,MainPID,BindsTo,TimeoutStopUSec";

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
    /// systemd kills what has not ended so long after the stop, ms; none: never, or it does not say.
    pub stop_limit_ms: Option<u64>,
}

/// What a unit must keep with an arbiter: nothing of it runs `budget_ms` after Standin died or stood still, because the other
/// machine's promise rests on that (spec 7.11, 7.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tie {
    /// `arbiter.stop_budget`, ms.
    pub budget_ms: u64,
    /// systemd kills a Standin that gives no sign of life for so long, ms; none: it does not watch.
    pub watchdog_ms: Option<u64>,
}

impl Tie {
    /// Whether a unit bound to Standin's own, `own`, keeps it.
    fn holds(self, unit: &str, own: &str, stop_limit_ms: Option<u64>) -> Result<(), String> {
        let text = duration::format;
        let Some(watchdog_ms) = self.watchdog_ms else {
            return Err(format!(
                "systemd does not watch whether Standin moves, so {unit} would run on while Standin stands still: write \
                 Type=notify, WatchdogSec=2s and WatchdogSignal=SIGKILL into the [Service] section of {own}, then systemctl \
                 daemon-reload and restart it"
            ));
        };
        let spare_ms = self.budget_ms.saturating_sub(watchdog_ms.saturating_add(Service::KILL_RESERVE_MS));
        let spare_ms = spare_ms / 1_000 * 1_000;
        if spare_ms == 0 {
            return Err(format!(
                "WatchdogSec={} of {own} leaves no time to stop {unit} within arbiter.stop_budget ({}): make it shorter, or the \
                 budget longer on both instances",
                text(watchdog_ms),
                text(self.budget_ms)
            ));
        }
        if stop_limit_ms.is_none_or(|limit_ms| limit_ms > spare_ms) {
            let limit = stop_limit_ms.map_or("without limit".to_owned(), text);
            return Err(format!(
                "systemd may take {} to notice that Standin stands still, then {limit} to stop {unit} (its TimeoutStopSec=) and {} \
                 to kill it, and arbiter.stop_budget is {}: write TimeoutStopSec={} or less into the [Service] section of {unit}, \
                 then systemctl daemon-reload; or raise the budget on both instances",
                text(watchdog_ms),
                text(Service::KILL_RESERVE_MS),
                text(self.budget_ms),
                text(spare_ms)
            ));
        }
        Ok(())
    }
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
            stop_limit_ms: span_ms(&field("TimeoutStopUSec")),
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
    /// Whether systemd stops the unit when Standin ends: whether it is loaded, and bound to Standin's own.
    ///
    /// # Errors
    /// Why not, and what to do.
    fn bound(&self, unit: &str) -> Result<(), String> {
        self.seen_bound(unit).map(drop)
    }

    /// Whether it, bound and `seen`, ends in time also when Standin stands still. With an arbiter a unit that does not is
    /// refused (spec 7.13).
    ///
    /// # Errors
    /// Why not, and what to do.
    fn tied(&self, unit: &str, seen: &Seen, tie: Tie) -> Result<(), String> {
        tie.holds(unit, &self.own().unwrap_or_default(), seen.stop_limit_ms)
    }

    /// See [`Units::bound`]: the unit as it is.
    ///
    /// # Errors
    /// Why it is not bound, and what to do.
    fn seen_bound(&self, unit: &str) -> Result<Seen, String> {
        let seen = self.see(unit)?;
        if seen.load != "loaded" {
            return Err(unknown(unit, &seen));
        }
        match self.own() {
            None => Err("Standin itself does not run as a unit, so systemd cannot tie the two together".into()),
            Some(own) if seen.binds_to.contains(&own) => Ok(seen),
            Some(own) => Err(format!(
                "{unit} is not bound to {own}: write BindsTo={own} and After={own} into its [Unit] section"
            )),
        }
    }
}

/// A time span as systemd writes it: `1min 30s`, `500ms`; none: `infinity`, or not understood.
fn span_ms(text: &str) -> Option<u64> {
    const UNITS_US: [(&str, u64); 9] = [
        ("us", 1),
        ("ms", 1_000),
        ("s", 1_000_000),
        ("min", 60_000_000),
        ("h", 3_600_000_000),
        ("d", 86_400_000_000),
        ("w", 604_800_000_000),
        ("month", 2_629_800_000_000),
        ("y", 31_557_600_000_000),
    ];
    let mut sum_us = None;
    for part in text.split_whitespace() {
        let (number, name) = part.split_at(part.find(|c: char| !c.is_ascii_digit())?);
        let (_, unit_us) = UNITS_US.iter().find(|(unit, _)| *unit == name)?;
        let part_us = number.parse::<u64>().ok()?.checked_mul(*unit_us)?;
        sum_us = Some(sum_us.unwrap_or(0_u64).checked_add(part_us)?);
    }
    sum_us.map(|us: u64| us.div_ceil(1_000))
}

/// For people: why a unit cannot be used.
#[must_use]
pub fn unknown(unit: &str, seen: &Seen) -> String {
    match seen.load.as_str() {
        "not-found" | "" => format!("{unit} is unknown to systemd on this machine"),
        load => format!("{unit} cannot be used: systemd says {load}"),
    }
}

/// For people: why a unit that may outlive Standin is not started.
#[must_use]
pub fn untied(why: &str) -> String {
    format!("with an arbiter a unit must end in time with Standin, or both machines could run it: {why}")
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

    /// spec 7.13: how long systemd gives a unit to stop, as it writes that
    #[test]
    fn a_time_span_of_systemd_is_read() {
        assert_eq!(span_ms("1min 30s"), Some(90_000));
        assert_eq!((span_ms("3s"), span_ms("1s 500ms"), span_ms("1us")), (Some(3_000), Some(1_500), Some(1)));
        assert_eq!((span_ms("infinity"), span_ms(""), span_ms("5"), span_ms("2parsecs")), (None, None, None, None));
    }

    /// spec 7.11, 7.13: noticing, stopping and killing must fit into the stop budget, and what is said is what would do
    #[test]
    fn the_watchdog_and_the_stop_must_fit_into_the_budget() {
        let holds = |watchdog_ms, stop_limit_ms| {
            Tie { budget_ms: 6_000, watchdog_ms }.holds("web.service", "standin.service", stop_limit_ms)
        };
        assert_eq!(holds(Some(2_000), Some(3_000)), Ok(()));
        let why = holds(Some(2_000), Some(90_000)).unwrap_err();
        assert!(why.contains("TimeoutStopSec=3s or less"), "{why}");
        assert!(holds(Some(2_000), None).unwrap_err().contains("without limit"));
        assert!(holds(Some(5_000), Some(1)).unwrap_err().contains("leaves no time"));
        let why = holds(None, Some(3_000)).unwrap_err();
        assert!(why.contains("WatchdogSec=2s") && why.contains("standin.service"), "{why}");
    }

    #[test]
    fn the_own_unit_is_read_from_the_control_group() {
        assert_eq!(own_unit("0::/system.slice/standin.service\n"), Some("standin.service".into()));
        assert_eq!(own_unit("1:name=systemd:/system.slice/a.service/sub\n0::/\n"), Some("a.service".into()));
        assert_eq!(own_unit("0::/user.slice/session-1.scope\n"), None);
    }
}
