//! Every alert there is, as one table: it feeds the pane, the API and the manual (architecture, wall 6).

use super::AlertAction::{
    BecomeMaster, Branches, Differences, Disconnect, OpenConfiguration, OpenEvents, OpenPair, Reconnect, Retry, Verify,
};
use super::Category::{self, Certificate, Configuration, HighAvailability, Resources, Security, Service};
use super::{AlertAction, Severity};
use Severity::{Error, Information, Warning};

/// One kind of trouble. `{}` in `what` is replaced by the subject.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Stable.
    pub code: &'static str,
    /// While it lasts.
    pub severity: Severity,
    /// Where it belongs.
    pub category: Category,
    /// What happened.
    pub what: &'static str,
    /// What it means for the service.
    pub means: &'static str,
    /// What to do.
    pub todo: &'static str,
    /// What can be done from the alert, most useful first.
    pub actions: &'static [AlertAction],
}

/// The entry of an alert that is not in the table: trouble without a description is still trouble.
pub const UNLISTED: Entry = entry(
    "X-000",
    Error,
    Resources,
    "Unexpected trouble: {}",
    "Standin found trouble that it has no description for",
    "See the events; report this to the makers of Standin",
    &[OpenEvents],
);

const fn entry(
    code: &'static str,
    severity: Severity,
    category: Category,
    what: &'static str,
    means: &'static str,
    todo: &'static str,
    actions: &'static [AlertAction],
) -> Entry {
    Entry { code, severity, category, what, means, todo, actions }
}

/// The table, sorted by code.
#[rustfmt::skip]
pub const CATALOGUE: &[Entry] = &[
    entry("A-001", Error, HighAvailability, "A virtual address is missing here: {}",
        "Clients do not find the service at this address", "See the reason: the interface, the capability of Standin (CAP_NET_ADMIN, CAP_NET_RAW) or the setting `addresses`", &[OpenPair, OpenEvents]),
    entry("A-002", Warning, HighAvailability, "A virtual address would be missing after a takeover: {}",
        "Clients would not find the service at this address", "See the reason: the interface, the capability of Standin (CAP_NET_ADMIN, CAP_NET_RAW) or the setting `addresses`", &[OpenPair, OpenEvents]),
    entry("A-003", Error, HighAvailability, "A virtual address is used by another machine: {}",
        "Clients may find either machine", "Find the machine with this hardware address and take the address away from it", &[OpenPair, OpenEvents]),
    entry("A-004", Warning, HighAvailability, "The shadow would not have the virtual addresses",
        "After a takeover clients would not find the service at them", "Set the same `addresses` on both; see the alerts of the shadow", &[OpenPair]),
    entry("C-001", Warning, Certificate, "The certificate of the link expires soon: {}",
        "The link goes on working; validity dates never end it", "Nothing is urgent; see the certificates", &[OpenPair]),
    entry("F-001", Error, Configuration, "Changes of the configuration cannot be taken up",
        "They do not become a revision and do not reach the shadow; the service goes on",
        "See the reason: the directory has to be there and readable for Standin, and the disk needs space for the history", &[OpenConfiguration]),
    entry("F-002", Warning, Configuration, "A file is held back: {}",
        "Its last good content stays mirrored, if it ever had one; all other files go on", "Correct the file, or move it out of the directory", &[OpenConfiguration]),
    entry("F-003", Warning, Configuration, "The configuration directory cannot be watched",
        "Changes are found by looking at everything every 10 seconds, and a takeover looks at every file", "Raise the limit that the message names (sysctl fs.inotify.max_user_watches)", &[OpenConfiguration]),
    entry("F-004", Warning, Configuration, "Changes came too fast to be told one by one",
        "The whole directory is looked at once; nothing is lost", "Nothing, unless it happens often: raise sysctl fs.inotify.max_queued_events", &[OpenConfiguration]),
    entry("F-005", Error, Configuration, "The configuration directory is not the one it was",
        "While it is missing its changes are not taken up, and there is no full protection; when it is there, everything in it is compared",
        "Bring it back (mount it, or move it back), or correct `configuration.directory`; then `standin config verify`", &[OpenConfiguration, Verify]),
    entry("F-006", Warning, Configuration, "A change was rejected by the validation command",
        "All of it is held back: the last good configuration stays mirrored", "Correct the files that the message names; a state that passes goes through by itself", &[OpenConfiguration]),
    entry("F-010", Warning, Configuration, "The settings file is not valid",
        "Nothing changed: the settings read before stay in force", "Correct the file where the message points to", &[]),
    entry("F-011", Warning, Configuration, "A setting cannot be changed now",
        "The value in the file is not in force while the two are connected", "Disconnect the shadow first, or put the old value back", &[OpenPair]),
    entry("F-012", Warning, Configuration, "Settings could not be written",
        "They are in force from memory, and written at the next start", "Check that the settings file can be written", &[]),
    entry("F-020", Warning, Configuration, "Diverged changes were kept as branch {}",
        "The former master had changes that the other instance never got, made while they could not talk or while the roles changed; they are in the branch",
        "Compare: `standin config branches diff BRANCH`; bring back, on the master, what is still wanted: `standin config reapply BRANCH`", &[Branches, OpenConfiguration, Differences]),
    entry("F-021", Warning, Configuration, "Files were changed on this shadow behind Standin's back",
        "They were put back to what the master has; what was found is kept as a drift in the history", "Find out who writes there. Look at it: `standin config branches`; bring it in, on the master: `standin config reapply DRIFT`", &[Branches, OpenConfiguration, Differences]),
    entry("F-022", Error, Configuration, "Files that were changed on this shadow cannot be put back",
        "The directory is not what the master has: this shadow is not READY and does not take over. What a new master could not put back it holds back", "See the reason: owner, permissions and attributes of the file or its directory, space on the disk; a file too large to be kept has to be moved away", &[OpenConfiguration, Verify]),
    entry("F-023", Error, Configuration, "This shadow cannot hold a file of the master",
        "The revision with it, and all later ones, are not applied: the directory here stays as the last revision before it", "See the reason, and what it says to do: on the master for a file, on this machine for a mount; it is pushed again by itself", &[OpenConfiguration]),
    entry("F-024", Warning, Configuration, "Work that was held back here was set aside when the roles changed",
        "The new master never had it: this shadow has the last good content, and what was found is kept as a drift in the history", "Look at it: `standin config branches`. Get it, here or on the master: `standin config branches show DRIFT PATH > FILE`; mend it, and put it into the master's directory", &[Branches, OpenConfiguration, Differences]),
    entry("F-030", Warning, Configuration, "The other instance has not forgotten yet: {}",
        "Contents that were removed from the history here are still in the history there", "Connect the two: it is told as soon as both are in sync", &[OpenPair, Retry]),
    entry("F-031", Warning, Configuration, "The history cannot be tidied",
        "Old revisions stay, and the database grows", "See the reason: the disk of the home needs space", &[]),
    entry("F-032", Information, Configuration, "Owners of files are missing on this machine",
        "Their files are mirrored and keep the owner they have here; the service may not be able to read them after a takeover",
        "Make the users and groups that the message names; where they may not be given, run Standin as root, or with CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER and CAP_FSETID. It is done by itself then, at the next look (at most 10 minutes)", &[OpenConfiguration]),
    entry("H-001", Error, HighAvailability, "The master does not answer",
        "The shadow takes over when the delay is over, unless the reason shown forbids it", "Look after the master; see the panel for the time left", &[Retry, OpenPair, BecomeMaster]),
    entry("H-002", Error, HighAvailability, "The master refused: high availability is off there",
        "There is no protection", "Enable high availability on the master", &[Retry, OpenPair]),
    entry("H-003", Error, HighAvailability, "The master refused: not the permitted shadow host",
        "There is no protection", "Correct the permitted shadow host on the master, or the own host here", &[Retry, OpenPair]),
    entry("H-004", Error, HighAvailability, "The master refused: another shadow is known there",
        "There is no protection by this instance", "Reset high availability on the master if this shadow shall replace the other", &[Retry, OpenPair]),
    entry("H-005", Error, HighAvailability, "The versions of the two instances cannot talk",
        "There is no protection", "Bring both to the same version", &[OpenPair]),
    entry("H-006", Error, HighAvailability, "The master refused the connection",
        "There is no protection", "See the reason", &[Retry, OpenPair]),
    entry("H-007", Error, HighAvailability, "You are no longer my pair",
        "The other instance has forgotten this one; there is no protection", "Reset this shadow and pair again (on a master: reset high availability)", &[OpenPair, BecomeMaster]),
    entry("H-008", Error, HighAvailability, "The same instance on two machines: a copied home",
        "Two copies of one instance would both be master", "Stop the copy, or run `standin setup --new-identity` in its home: a copied master is then one of its own, and runs its service", &[OpenPair]),
    entry("H-009", Error, HighAvailability, "Two masters with the same term",
        "Both have stopped their service: one home is a copy of the other", "Run `standin setup --new-identity` in the copied home", &[OpenPair]),
    entry("H-010", Error, HighAvailability, "The shadow is silent",
        "If the master fails now it depends on the shadow alone whether it takes over; changes do not reach it", "Look after the shadow and the network between the two", &[OpenPair]),
    entry("H-011", Error, HighAvailability, "Nobody is active",
        "A hand-over was begun and not answered: the service runs nowhere until the other instance answers",
        "Bring the other instance back; or, if it is certainly not active, say `become-master`", &[BecomeMaster, OpenPair]),
    entry("H-012", Error, HighAvailability, "The takeover does not go on",
        "The master is silent and the shadow stays shadow", "See the reason; `become-master` overrules it", &[BecomeMaster, Retry, OpenPair]),
    entry("H-013", Warning, HighAvailability, "The two cannot change places",
        "The master cannot reach the shadow's listener: after a takeover the former master would not find it", "Check own host, port and firewall of the shadow", &[OpenPair]),
    entry("H-014", Warning, HighAvailability, "No protection",
        "If the active instance fails now, nobody takes over", "See the reason", &[OpenPair]),
    entry("H-015", Warning, HighAvailability, "Disconnected by an operator",
        "There is no protection until it is connected again", "Connect again", &[OpenPair]),
    entry("H-016", Warning, HighAvailability, "Takeover checks fail",
        "The shadow would not take over", "Check the targets of the takeover checks and the network", &[OpenPair]),
    entry("H-017", Warning, HighAvailability, "Maintenance ends soon",
        "Takeovers are possible again when it has ended", "Finish, or extend the maintenance", &[OpenPair]),
    entry("H-018", Error, HighAvailability, "The switch did not come about",
        "The role is where it was", "See the reason, then try again", &[OpenPair, OpenEvents]),
    entry("H-019", Warning, HighAvailability, "Took over without the newest changes",
        "The former master has revisions that never reached this instance", "When it is back they are kept as a branch: compare it", &[Differences, OpenConfiguration]),
    entry("H-020", Warning, HighAvailability, "Waiting before being active",
        "The service does not run here: it waits for the answer of the other instance", "Wait, or `ha resume` if the other is certainly not active", &[OpenPair, BecomeMaster]),
    entry("H-021", Warning, HighAvailability, "Both instances are shadows",
        "Nobody is active", "One of the two takes over by itself if it may; else say `become-master` on one", &[BecomeMaster, OpenPair]),
    entry("H-022", Warning, HighAvailability, "The other instance was master too",
        "Two instances were active for a while; the one with the lower term has given way", "See whether changes were kept as a branch", &[OpenConfiguration, OpenEvents]),
    entry("H-023", Error, HighAvailability, "This master is isolated: its service is stopped",
        "It keeps the role and starts the service again when the other instance or the arbiter confirms it", "Look after the network of this machine; if the other instance is certainly not active, `ha become-master --force`", &[OpenPair, OpenEvents, BecomeMaster]),
    entry("H-024", Error, HighAvailability, "The arbiter does not answer",
        "The service goes on while the two instances hear each other; but nobody can take over", "Look after etcd and the network to it; `standin status` names its addresses", &[OpenPair]),
    entry("H-025", Warning, HighAvailability, "The arbiter has no vote",
        "It knows less than the pair: the roles changed while it was away, or it was wiped, restored or is new. Nobody can take over until both instances have written it anew", "Bring both instances up; if one is lost for good, `ha become-master --force --without-arbiter` on the one that is left. See that etcd keeps its data", &[OpenPair]),
    entry("H-026", Warning, HighAvailability, "Takeovers are delayed: there were many",
        "The shadow waits longer before it takes over, so that the pair does not flap", "Find the cause of the takeovers in the events; then `ha resume`", &[OpenPair, OpenEvents]),
    entry("H-027", Warning, HighAvailability, "The two instances are not set up alike",
        "After a takeover the service could lack something", "Bring the settings of both instances in line; the reason names each difference", &[OpenPair]),
    entry("H-029", Error, HighAvailability, "The two instances do not agree on the arbiter",
        "One would take over, or go on, by a rule that the other does not know; so no shadow takes over by itself", "Set the same arbiter and prefix on both, or none on both", &[OpenPair]),
    entry("N-001", Error, HighAvailability, "The listener does not work: {}",
        "The other instance cannot connect", "Free the port, which is tried again every 3 s, or choose another", &[OpenPair]),
    entry("P-010", Error, Configuration, "Changes do not reach the shadow",
        "After a takeover the newest changes would be missing", "Standin tries again by itself; see the reason",
        &[Retry, Reconnect, Differences, Verify, Disconnect, OpenPair]),
    entry("P-011", Warning, Configuration, "Changes had not reached the shadow for a while",
        "It is in sync again", "Nothing, unless it happens often", &[OpenEvents]),
    entry("R-001", Error, Resources, "The disk cannot be written",
        "Roles cannot change, and changes are not kept", "Free space, or repair the disk", &[]),
    entry("R-010", Warning, Resources, "The clocks of the two instances differ",
        "Nothing is decided by them, but times shown on the two do not fit together, and certificates or logons of the service may fail",
        "Set up time synchronisation (chrony, systemd-timesyncd) on both machines", &[OpenPair]),
    entry("S-001", Error, Security, "An unknown certificate was presented",
        "Something that is not the other instance uses its address or tried to connect; it was refused", "Find out what it is; if the other instance was set up anew, reset and pair again", &[OpenPair, OpenEvents]),
    entry("S-002", Warning, Security, "Wrong password at pairing",
        "The pairing was refused", "If it was not one of you, find out who it was", &[OpenEvents]),
    entry("S-003", Error, Security, "Locked out after repeated wrong passwords: {}",
        "Further tries are refused for a while", "If it was not one of you, find out who it was", &[OpenEvents]),
    entry("S-004", Information, Security, "A shadow was refused",
        "It cannot attach", "See the reason", &[OpenPair, OpenEvents]),
    entry("V-001", Error, Service, "The service could not be started",
        "The active instance does not run its service", "See the reason and the events", &[OpenEvents]),
    entry("V-002", Warning, Service, "The service ended by itself",
        "It is restarted", "See the reason and the events", &[OpenEvents]),
    entry("V-003", Error, Service, "The service does not stop",
        "The role cannot change while it runs", "See the reason; end by hand what still runs, or, where systemd does not answer, mend that: it is tried again all the while", &[OpenEvents]),
    entry("V-004", Error, Service, "The service keeps failing",
        "It ended, or could not be started, more often than the restart limit allows; it is tried again every 30 s, and handed to a READY shadow",
        "See its output in the events; mend it, or raise service.restart_limit", &[OpenEvents, OpenPair]),
    entry("V-005", Error, Service, "The failing service is not handed over",
        "The service fails here and nobody else runs it", "See the reason; mend the service, or the shadow", &[OpenEvents, OpenPair]),
    entry("V-006", Error, Service, "The service was stopped by its watchdog",
        "This instance had not moved for longer than the service may run without it; the service is started again when it is certain that nobody else runs it",
        "Find out what held this machine up: load, memory, a slow disk, a paused virtual machine", &[OpenEvents, OpenPair]),
    entry("V-007", Warning, Service, "The service fails its health check",
        "It is restarted, which counts as an end", "See the reason and the events; check service.health in the settings", &[OpenEvents]),
    entry("V-008", Warning, Service, "The unit of the service is not bound to Standin's",
        "If Standin is killed the unit runs on, and after a takeover the service runs on both machines",
        "Write BindsTo= and After= with Standin's unit into the unit's [Unit] section, then systemctl daemon-reload", &[OpenEvents]),
    entry("V-009", Error, Service, "The service could not be started here",
        "This shadow would become master, and its service would not run; a switch is refused",
        "See the reason; install or mend what is missing, or correct service in the settings. It is looked at again every 30 s", &[OpenEvents]),
    entry("V-010", Warning, Service, "A hook failed: {}",
        "What the hook is for was not done, or only in part; the pair goes on without it", "See its output in the events", &[OpenEvents]),
    entry("V-011", Error, Service, "The fence command failed",
        "Where it is required no takeover goes on; after a failed stop what runs on is not fenced off", "See its output in the events; run it by hand", &[OpenEvents, BecomeMaster]),
    entry("V-012", Warning, Service, "The service did not start here when that was last tried",
        "At the next takeover it may not start again; protection is reduced",
        "See the reason; mend the service, then delete this alert: nothing tries the service of a shadow", &[OpenEvents]),
    entry("V-020", Error, Service, "The service took longer to stop than the stop budget",
        "The promise that the other instance waits out rests on that budget: two could be active for a moment", "Make the service stop faster, or raise `arbiter.stop_budget` on both instances", &[OpenEvents]),
];

/// Of a code; [`UNLISTED`] if there is none.
#[must_use]
pub fn entry_of(code: &str) -> &'static Entry {
    CATALOGUE.iter().find(|entry| entry.code == code).unwrap_or(&UNLISTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 6.1: every alert says what, what it means and what to do; codes are unique and sorted.
    #[test]
    fn the_table_is_complete() {
        for pair in CATALOGUE.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} before {}", pair[0].code, pair[1].code);
        }
        for entry in CATALOGUE {
            assert!(!entry.what.is_empty() && !entry.means.is_empty() && !entry.todo.is_empty(), "{}", entry.code);
            assert_eq!(entry.code.len(), 5);
        }
        for code in ["V-001", "V-002", "V-003", "V-010", "F-001", "F-002", "F-010", "F-011", "S-001", "S-002", "S-003"]
        {
            assert_eq!(entry_of(code).code, code);
        }
    }

    /// spec 5.4, 6.1: what an alert says is true of all that raise it: a pipe never was mirrored, and the hook
    /// `new_configuration` changes no role
    #[test]
    fn alerts_say_only_what_is_true_of_all_that_raise_them() {
        assert!(entry_of("F-002").means.contains("if it ever had one"));
        assert!(!entry_of("V-010").means.contains("role"));
    }
}
