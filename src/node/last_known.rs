//! What the disk says of an instance that does not run: settings, record, history, certificates.

use std::path::Path;

use super::home::pinned_expires;
use super::settings_file::{self, SettingsDesk};
use crate::engine::base::{Problem, Role, UnixMillis};
use crate::engine::durable::{Durable, Peer};
use crate::engine::event::Severity;
use crate::engine::settings::Settings;
use crate::engine::status::{ArbiterStatus, LastChange, LastRoleChange, PeerStatus, ServiceStatus, Status};
use crate::identity;
use crate::store::Store;

/// Longest name of a service that is told, in characters.
const SERVICE_NAME_CHARS_MAX: usize = 80;
/// What `kind` and `state` of the service are when the settings do not say.
const NOT_KNOWN: &str = "unknown";

/// What is written of an instance that does not run, and what keeps it from starting.
#[derive(Clone, Debug)]
pub struct LastKnown {
    /// As last written; nothing in it was looked at now.
    pub status: Status,
    /// Why the settings file cannot be used; none: it is valid.
    pub settings: Option<Problem>,
}

/// What was last written in a home where nothing runs; none: there is no record (spec 8.1).
#[must_use]
pub fn last_known(home: &Path, settings_file: &Path) -> Option<LastKnown> {
    let store = Store::open_read_only(home).ok()?;
    let durable = store.load_durable().ok()??;
    let (settings, problem) = match SettingsDesk::open(settings_file, home) {
        Ok(desk) => (Some(desk.in_force()), None),
        Err(problem) => (settings_file::readable_part(settings_file), Some(problem)),
    };
    let named = |settings: &Settings| !settings.shadow.master_hosts.is_empty();
    let names_a_master = settings.as_ref().is_none_or(named);
    let mut status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        role: durable.role,
        term: durable.term,
        since: Some(durable.since),
        state: durable.state_at_rest(names_a_master),
        state_message: Some("nothing runs here: this is as last written".to_owned()),
        protection_message: "nothing runs here".to_owned(),
        branches: store.branches().unwrap_or_default().into_iter().map(|branch| branch.name).collect(),
        ..Status::default()
    };
    status.last_role_change = durable.last_role_change.as_ref().map(|change| LastRoleChange {
        at: change.at,
        from: change.from,
        reason: change.reason,
    });
    fill_configuration(&mut status, home, &store, settings.as_ref());
    fill_instance(&mut status, home, &durable, settings.as_ref());
    status.peer = durable.peer.as_ref().map(|peer| peer_status(home, &durable, peer, status.configuration.revision));
    for alert in store.load_alerts().unwrap_or_default() {
        match alert.severity {
            Severity::Error => status.alerts.error += 1,
            Severity::Warning => status.alerts.warning += 1,
            Severity::Information => status.alerts.information += 1,
        }
    }
    status.notice = durable.notice;
    status.settings = settings.unwrap_or_default();
    Some(LastKnown { status, settings: problem })
}

/// What only the settings say stays as in a status of nothing (ports 0, service unknown) where there are none to read.
fn fill_instance(status: &mut Status, home: &Path, durable: &Durable, settings: Option<&Settings>) {
    let instance = &mut status.instance;
    instance.id = Some(durable.instance);
    instance.home = home.display().to_string();
    if let Ok(Some(own)) = identity::own_certificate(&home.join("identity")) {
        instance.fingerprint = Some(own.fingerprint);
        instance.certificate_expires = Some(own.expires);
    }
    let Some(settings) = settings else {
        status.service = ServiceStatus { kind: NOT_KNOWN.into(), state: NOT_KNOWN.into(), ..ServiceStatus::default() };
        return;
    };
    instance.host.clone_from(&settings.host);
    instance.description.clone_from(&settings.description);
    instance.admin_port = settings.administration.port;
    instance.ha_port = settings.link_port();
    status.ha.enabled = settings.high_availability.enabled;
    status.ha.permitted_shadow_host.clone_from(&settings.high_availability.permitted_shadow_host);
    status.ha.grace_period_ms = settings.high_availability.grace_period;
    let kind = settings.service.kind();
    if kind != "none" {
        status.service = ServiceStatus {
            kind: kind.to_owned(),
            state: "stopped".to_owned(),
            name: settings.service.name().chars().take(SERVICE_NAME_CHARS_MAX).collect(),
            stop_budget_ms: settings.service.stop_budget_ms(),
            ..ServiceStatus::default()
        };
    }
    status.arbiter = settings.arbiter.is_set().then(|| ArbiterStatus {
        endpoints: settings.arbiter.endpoints.clone(),
        state: NOT_KNOWN.to_owned(),
        ..ArbiterStatus::default()
    });
}

fn fill_configuration(status: &mut Status, home: &Path, store: &Store, settings: Option<&Settings>) {
    let configuration = &mut status.configuration;
    configuration.directory = match settings {
        Some(settings) => super::backup::directory_of(home, settings).display().to_string(),
        None => String::new(),
    };
    if let Ok(Some(newest)) = store.newest_revision() {
        configuration.revision = newest.revision.number;
        configuration.root = Some(newest.revision.root);
        (configuration.files, configuration.bytes) = store.tree_sums().unwrap_or_default();
        let counts = store.change_counts(newest.row).unwrap_or_default();
        configuration.last_change = Some(LastChange {
            at: UnixMillis(newest.at),
            author: newest.author,
            files: counts.added + counts.changed + counts.removed,
        });
    }
}

/// Of the other instance's revision the record knows the newest that both had.
fn peer_status(home: &Path, durable: &Durable, peer: &Peer, own_revision: u64) -> PeerStatus {
    let common = durable.common;
    let number = common.map_or(0, |common| common.number);
    PeerStatus {
        id: Some(peer.instance),
        host: peer.host.clone(),
        address: peer.address.clone(),
        version: peer.version.clone(),
        compatible: true,
        fingerprint: Some(peer.fingerprint),
        certificate_expires: pinned_expires(home, peer.fingerprint),
        revision: number,
        root: common.map(|common| common.root),
        behind: if durable.role == Some(Role::Master) { own_revision.saturating_sub(number) } else { 0 },
        check_interval_ms: peer.timing.check_interval_ms,
        takeover_delay_ms: peer.timing.takeover_delay_ms,
        request_timeout_ms: peer.timing.request_timeout_ms,
        description: peer.description.clone(),
        port: peer.port,
        ..PeerStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::LinkState;
    use crate::engine::base::{Digest, Fingerprint, InstanceId, OwnTerms, PairId, RevisionId, Run, Term};
    use crate::engine::message::{FarewellKind, Timing};
    use crate::identity::Identity;

    fn peer() -> Peer {
        Peer {
            pair: PairId(uuid::Uuid::from_u128(7)),
            instance: InstanceId(uuid::Uuid::from_u128(2)),
            fingerprint: Fingerprint(Digest([0x5a; 32])),
            own_terms: OwnTerms::Odd,
            host: "node-b".into(),
            port: 9_443,
            address: Some("192.0.2.2".into()),
            version: "0.1.0".into(),
            description: String::new(),
            timing: Timing {
                check_interval_ms: 1_000,
                takeover_delay_ms: 3_000,
                connect_timeout_ms: 1_000,
                request_timeout_ms: 1_000,
            },
            grace_period_ms: 0,
            paired: UnixMillis(1),
            run: Run(1),
        }
    }

    /// A home with a record and these settings.
    fn home(settings: &str, change: impl FnOnce(&mut Durable)) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let mut durable = Durable::new(InstanceId(uuid::Uuid::from_u128(1)));
        durable.role = Some(Role::Master);
        change(&mut durable);
        Store::open(home.path()).unwrap().save_durable(&durable).unwrap();
        Identity::load_or_create(&home.path().join("identity"), "node-a").unwrap();
        std::fs::write(home.path().join("settings.yaml"), settings).unwrap();
        home
    }

    fn seen(home: &tempfile::TempDir) -> LastKnown {
        last_known(home.path(), &home.path().join("settings.yaml")).unwrap()
    }

    /// spec 8.1, 2.7: what is configured and paired is told of an instance at rest, from settings, record and certificates
    #[test]
    fn the_disk_is_told_of_an_instance_at_rest() {
        let text =
            "host: node-a\nservice:\n  command: [/bin/sleep, '100000']\narbiter:\n  endpoints: ['http://e:2379']\n";
        let common = RevisionId { number: 4, term: Term(1), root: Digest([1; 32]) };
        let home = home(text, |durable| {
            durable.peer = Some(peer());
            durable.common = Some(common);
        });
        let LastKnown { status, settings } = seen(&home);
        assert_eq!(settings, None);
        assert_eq!((&*status.service.kind, &*status.service.state), ("command", "stopped"));
        assert_eq!(status.service.name, "/bin/sleep 100000");
        assert_eq!(status.state, Some(LinkState::Broken), "a shadow is paired");
        let own = Identity::load_or_create(&home.path().join("identity"), "").unwrap();
        assert_eq!(status.instance.fingerprint, Some(own.fingerprint()));
        assert_eq!(status.instance.certificate_expires, Some(own.expires()));
        let peer = status.peer.unwrap();
        assert_eq!((peer.revision, peer.root), (4, Some(common.root)));
        assert_eq!(status.arbiter.unwrap().endpoints, ["http://e:2379"]);
    }

    /// spec 3.2: a paired instance without its identity is refused by the other one, which doctor has to say
    #[test]
    fn a_lost_identity_matters_to_a_pair() {
        let check = |change: &dyn Fn(&mut Durable)| {
            let home = home("", change);
            crate::node::home::check_identity(home.path()).unwrap();
            std::fs::remove_dir_all(home.path().join("identity")).unwrap();
            crate::node::home::check_identity(home.path())
        };
        check(&|_| {}).unwrap();
        let problem = check(&|durable| durable.peer = Some(peer())).unwrap_err();
        assert!(problem.what.contains("missing") && problem.todo.contains("restore"), "{problem}");
    }

    /// spec 2.7, 4.3: the state that fits who is paired and who has left
    #[test]
    fn the_state_at_rest_follows_the_record() {
        let state = |text: &str, change: &dyn Fn(&mut Durable)| seen(&home(text, change)).status.state.unwrap();
        assert_eq!(state("", &|_| {}), LinkState::Alone);
        let left = |durable: &mut Durable| {
            durable.peer = Some(peer());
            durable.peer_promise = Some(FarewellKind::Disconnect);
        };
        assert_eq!(state("", &left), LinkState::Alone);
        let shadow = |durable: &mut Durable| durable.role = Some(Role::Shadow);
        assert_eq!(state("", &shadow), LinkState::Initial);
        assert_eq!(state("shadow:\n  master_hosts: [node-a]\n", &shadow), LinkState::Disconnected);
    }

    /// spec 2.8: without the settings file the record still knows the pair: a shadow finds its master, with the same timing
    #[test]
    fn the_record_knows_the_settings_of_the_pair() {
        let known = |role| {
            let home = home("", |durable| {
                durable.role = Some(role);
                durable.peer = Some(Peer { grace_period_ms: 2_000, ..peer() });
            });
            std::fs::remove_file(home.path().join("settings.yaml")).unwrap();
            assert!(seen(&home).settings.unwrap().what.contains("lost"));
            crate::node::lost_settings::known(home.path()).unwrap()
        };
        let shadow = known(Role::Shadow);
        assert_eq!(
            (&*shadow.host, &*shadow.shadow.master_hosts, shadow.shadow.master_port),
            ("node-a", &["node-b".to_owned()][..], 9_443)
        );
        assert_eq!((shadow.shadow.takeover_delay, shadow.high_availability.grace_period), (3_000, 2_000));
        assert!(known(Role::Master).high_availability.enabled);
    }

    /// spec 8.1: settings that are not valid are told with their reason; what can be read of them counts, nothing is made up
    #[test]
    fn settings_that_are_not_valid_are_no_defaults() {
        let found = seen(&home("host: node-a\nadministration:\n  port: 9000\n  prot: 1\n", |_| {}));
        assert!(found.settings.unwrap().why.contains("line 4"));
        assert_eq!((&*found.status.instance.host, found.status.instance.admin_port), ("node-a", 9_000));
        let found = seen(&home("host: [node-a\n", |_| {}));
        assert!(found.settings.unwrap().why.contains("This is no YAML"));
        assert_eq!((found.status.instance.admin_port, &*found.status.service.kind), (0, "unknown"));
    }
}
