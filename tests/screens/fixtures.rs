//! A fixed, realistic pair: node-a.example.net and node-b.example.net on 2026-11-22.

mod files;

pub use files::*;
use standin::console::{Message, Model, update};
use standin::engine::alerts::{Alert, AlertAction, Category};
use standin::engine::base::{Condition, Digest, Fingerprint, LinkState, Reason, Role, Term, UnixMillis};
use standin::engine::event::{Event, EventKind, Severity};
use standin::engine::order::{FileContent, Reply, ServerFrame};
use standin::engine::status::{
    AddressStatus, AlertCounts, ArbiterStatus, CheckResult, ConfigurationStatus, DialBack, HaStatus, HealthStatus,
    Hold, InstanceStatus, IsolationStatus, LastChange, LinkStep, Notice, PeerStatus, Protection, ServiceStatus, Status,
    SwitchStatus, TakeoverStatus, TimelineEntry, Transfer,
};

/// 2026-11-22T14:02:11Z.
pub const NOW: UnixMillis = UnixMillis(1_795_356_131_000);

/// So many milliseconds before [`NOW`].
pub fn ago(ms: i64) -> UnixMillis {
    UnixMillis(NOW.0 - ms)
}

const DAY: i64 = 86_400_000;

pub fn fingerprint(hex: &str) -> Fingerprint {
    hex.parse().expect("64 digits")
}

pub fn of_a() -> Fingerprint {
    fingerprint("51aa09c2b7e05fd1930c6e2b84f7a01d5c3e9980127bd4fe663a90c8e2d7417e")
}

pub fn of_b() -> Fingerprint {
    fingerprint("9f2c11a8530e77d46b90c12afe0833b5c1d07e4429ab6f0e8812d3ca55907be1")
}

fn instance(host: &str, fingerprint: Fingerprint) -> InstanceStatus {
    InstanceStatus {
        host: host.into(),
        description: "connector, plant 2".into(),
        started: Some(ago(6 * DAY)),
        home: "/var/lib/standin".into(),
        fingerprint: Some(fingerprint),
        admin_port: 8443,
        ha_port: 8443,
        process: 4711,
        certificate_expires: Some(UnixMillis(NOW.0 + 374 * DAY)),
        ..InstanceStatus::default()
    }
}

fn peer(host: &str, address: &str, fingerprint: Fingerprint, role: Role) -> PeerStatus {
    PeerStatus {
        host: host.into(),
        address: Some(address.into()),
        version: "0.1.0".into(),
        compatible: true,
        fingerprint: Some(fingerprint),
        certificate_expires: Some(UnixMillis(NOW.0 + 374 * DAY)),
        connected_since: Some(ago(6 * DAY)),
        last_check: Some(ago(300)),
        round_trip_ms: Some(0.4),
        revision: 4812,
        root: Some(Digest([7; 32])),
        in_sync: true,
        check_interval_ms: 1_000,
        takeover_delay_ms: 3_000,
        request_timeout_ms: 1_000,
        role: Some(role),
        term: Term(7),
        port: 8443,
        takeover_checks: (1, 1),
        service: "command".into(),
        ..PeerStatus::default()
    }
}

/// node-a: master, node-b in sync.
pub fn master() -> Status {
    let mut status = Status {
        version: "0.1.0".into(),
        instance: instance("node-a.example.net", of_a()),
        role: Some(Role::Master),
        active: true,
        term: Term(7),
        since: Some(ago(6 * DAY + 15_120_000)),
        state: Some(LinkState::Connected),
        protection: Protection::Full,
        protection_message: "node-b can take over now, 3 to 5 s after a failure. Splits if only the link is cut: \
            there is no arbiter."
            .into(),
        configuration: ConfigurationStatus {
            directory: "/etc/connector".into(),
            revision: 4812,
            root: Some(Digest([7; 32])),
            files: 98_214,
            bytes: 1_240_000_000,
            last_change: Some(LastChange { at: ago(211_000), author: "ops".into(), files: 1 }),
            ..ConfigurationStatus::default()
        },
        peer: Some(peer("node-b.example.net", "10.1.4.21", of_b(), Role::Shadow)),
        ha: HaStatus {
            enabled: true,
            permitted_shadow_host: Some("node-b.example.net".into()),
            grace_period_ms: 0,
            ..HaStatus::default()
        },
        service: ServiceStatus {
            kind: "command".into(),
            state: "running".into(),
            name: "/usr/lib/connector/run".into(),
            ..ServiceStatus::default()
        },
        dial_back: Some(DialBack { ok: true, at: ago(60_000), message: String::new() }),
        settings_locked: Some("a shadow is connected".into()),
        ..Status::default()
    };
    status.settings.high_availability.enabled = true;
    status
}

pub fn alone() -> Status {
    Status {
        state: Some(LinkState::Alone),
        peer: None,
        protection: Protection::None,
        protection_message: "nobody can take over: no shadow has connected yet.".into(),
        settings_locked: None,
        dial_back: None,
        ..master()
    }
}

pub fn disabled() -> Status {
    let mut status = alone();
    status.ha.enabled = false;
    status.settings.high_availability.enabled = false;
    status.protection_message = "nobody can take over: high availability is disabled.".into();
    status
}

fn steps(failed: bool) -> Vec<LinkStep> {
    let step = |name: &str, ok, message: &str| LinkStep { name: name.into(), ok, message: message.into() };
    if failed {
        return vec![
            step("name found", Some(true), "10.1.4.20"),
            step("TCP connect", Some(false), "refused by host"),
            step("TLS and certificate", None, "not reached"),
            step("role and term", None, "last known: master, term 7"),
            step("configuration", None, "revision 4812, in sync at 14:02:07Z"),
        ];
    }
    vec![
        step("name found", Some(true), "10.1.4.20"),
        step("TCP connect", Some(true), "1 ms"),
        step("TLS and certificate", Some(true), "pinned"),
        step("role and term", Some(true), "master, term 7"),
        step("configuration", Some(true), "revision 4812, same digest"),
    ]
}

/// node-b: shadow, ready.
pub fn ready() -> Status {
    let mut status = Status {
        instance: instance("node-b.example.net", of_b()),
        role: Some(Role::Shadow),
        active: false,
        state: Some(LinkState::Ready),
        protection_message: "this instance takes over 3 to 5 s after a failure. Splits if only the link is cut: there \
            is no arbiter."
            .into(),
        peer: Some(peer("node-a.example.net", "10.1.4.20", of_a(), Role::Master)),
        service: ServiceStatus {
            kind: "command".into(),
            state: "stopped".into(),
            name: "/usr/lib/connector/run".into(),
            ..ServiceStatus::default()
        },
        takeover: TakeoverStatus {
            delay_ms: 3_000,
            checks: vec![CheckResult {
                target: "tcp gateway.example.net:443".into(),
                ok: true,
                message: "2 ms".into(),
            }],
            ..TakeoverStatus::default()
        },
        link: steps(false),
        dial_back: None,
        settings_locked: Some("connected to the master".into()),
        ..master()
    };
    status.settings.shadow.master_hosts = vec!["node-a.example.net".into()];
    status
}

pub fn lost() -> Status {
    let mut status = ready();
    status.state = Some(LinkState::Lost);
    status.state_message = Some("TCP connect to node-a.example.net port 8443: refused by host.".into());
    status.link = steps(true);
    status.takeover.due_at = Some(UnixMillis(NOW.0 + 1_600));
    if let Some(peer) = &mut status.peer {
        peer.connected_since = None;
        peer.round_trip_ms = None;
        peer.last_check = Some(ago(1_400));
    }
    status
}

/// The delay is over, and the takeover waits.
pub fn waiting() -> Status {
    let mut status = lost();
    status.takeover.due_at = None;
    status.takeover.waits_for = Some("the lease of node-a at the arbiter has run out".into());
    status
}

/// The master of [`damped`].
pub fn slow_master() -> Status {
    let Status { protection, protection_message, takeover, .. } = damped();
    let protection_message = protection_message.replace("this shadow", "node-b");
    Status { protection, protection_message, takeover, ..master() }
}

pub fn initial() -> Status {
    let mut status = ready();
    status.state = Some(LinkState::Initial);
    status.peer = None;
    status.link.clear();
    status.settings_locked = None;
    status.settings.shadow.master_hosts.clear();
    status.takeover.why_not = Some("no master is configured".into());
    status.protection = Protection::None;
    status.protection_message = "this instance protects nothing: no master is configured.".into();
    status
}

pub fn unpaired() -> Status {
    let mut status = initial();
    status.state = Some(LinkState::Disconnected);
    status.settings.shadow.master_hosts = vec!["node-a.example.net".into()];
    status.takeover.why_not = Some("never connected to a master".into());
    status
}

pub fn transfer() -> Status {
    let mut status = ready();
    status.state = Some(LinkState::Initsync);
    status.transfer = Some(Transfer {
        files_done: 41_200,
        files_total: 98_214,
        bytes_done: 520_000_000,
        bytes_total: 1_240_000_000,
        rate: Some(62_000_000),
        left_ms: Some(11_600),
        ..Transfer::default()
    });
    status.protection = Protection::None;
    status.protection_message = "node-b is not in sync yet: the first transfer is under way.".into();
    if let Some(peer) = &mut status.peer {
        peer.in_sync = false;
    }
    status
}

/// node-b after it took over.
pub fn taken_over() -> Status {
    let entry = |ms, text: &str| TimelineEntry { at: ago(ms), text: text.into() };
    let mut status = master();
    status.instance = instance("node-b.example.net", of_b());
    status.term = Term(8);
    status.since = Some(ago(1_000));
    status.state = Some(LinkState::Broken);
    status.state_message = Some("node-a has not answered since 14:02:05.1Z.".into());
    status.protection = Protection::None;
    status.protection_message =
        "nobody can take over from node-b until node-a is back. When node-a returns it becomes \
        the shadow by itself."
            .into();
    status.peer = Some(PeerStatus {
        connected_since: None,
        round_trip_ms: None,
        in_sync: false,
        ..peer("node-a.example.net", "10.1.4.20", of_a(), Role::Master)
    });
    status.settings_locked = None;
    status.notice = Some(Notice {
        title: "THIS INSTANCE IS NOW MASTER".into(),
        at: ago(1_800),
        role: Role::Master,
        term: Term(8),
        reason: Reason::Takeover,
        lines: vec![
            "node-a was silent for 4.1 s. node-b took over with term 8.".into(),
            "Configuration revision 4812, last in sync 14:02:05Z.".into(),
            "What node-a changed after that, if anything, is not here yet.".into(),
        ],
        timeline: vec![
            entry(5_900, "last check answered by node-a"),
            entry(4_900, "check failed, reconnecting"),
            entry(1_900, "takeover delay over, 1 of 1 takeover checks pass"),
            entry(1_900, "term 8 on disk"),
            entry(1_800, "service started"),
        ],
    });
    status.alerts = AlertCounts { error: 2, ..AlertCounts::default() };
    status
}

fn held_back(condition: Condition) -> Status {
    let mut status = master();
    status.active = false;
    status.condition = Some(condition);
    status.state = Some(LinkState::Broken);
    status.protection = Protection::None;
    status.protection_message = "the service does not run here.".into();
    status.service.state = "stopped".into();
    if let Some(peer) = &mut status.peer {
        peer.connected_since = None;
        peer.round_trip_ms = None;
        peer.in_sync = false;
    }
    status
}

pub fn boot_hold() -> Status {
    let mut status = held_back(Condition::BootHold);
    status.hold = Some(Hold {
        ends_at: Some(UnixMillis(NOW.0 + 42_300)),
        of_ms: 60_000,
        why: "node-b may have taken over and has not answered yet.".into(),
    });
    status
}

pub fn in_doubt() -> Status {
    let mut status = held_back(Condition::InDoubt);
    status.state_message = Some("Term 8 was offered at 14:02:01Z.".into());
    status
}

pub fn isolated() -> Status {
    held_back(Condition::Isolated)
}

pub fn maintenance() -> Status {
    let mut status = master();
    status.condition = Some(Condition::Maintenance);
    status.maintenance_until = Some(UnixMillis(NOW.0 + 3_469_000));
    status.protection = Protection::Paused;
    status.protection_message = "takeovers are suspended until 15:00:00Z.".into();
    status
}

pub fn diverged() -> Status {
    let mut status = master();
    status.branches = vec!["diverged-term-7-rev-4815".into()];
    status
}

pub fn alerts() -> Vec<Alert> {
    let alert = |id, code: &str, severity, what: &str| Alert {
        id,
        code: code.into(),
        subject: String::new(),
        severity,
        category: Category::HighAvailability,
        what: what.into(),
        why: "Connection to 10.1.4.21 timed out, 4 tries. Next try in 12 s.".into(),
        means: "The service runs. If node-a fails now, node-b has revision 4812.".into(),
        todo: "Push again, or reconnect if that does not help.".into(),
        since: ago(131_000),
        last_seen: ago(3_000),
        count: 1,
        actions: vec![
            AlertAction::Retry,
            AlertAction::Reconnect,
            AlertAction::Differences,
            AlertAction::Verify,
            AlertAction::OpenPair,
        ],
        is_over: false,
    };
    let mut push = alert(31, "P-010", Severity::Error, "Revision 4813 could not be pushed to node-b");
    push.count = 4;
    push.category = Category::Configuration;
    let mut certificate = alert(12, "C-031", Severity::Warning, "Certificate of node-b ends in 12 days");
    certificate.since = ago(3 * DAY);
    certificate.category = Category::Certificate;
    certificate.actions = vec![AlertAction::OpenPair];
    vec![push, alert(30, "H-014", Severity::Error, "No protection: nobody can take over"), certificate]
}

pub fn events() -> Vec<Event> {
    let event = |id, ms, kind, severity, text: &str| Event {
        id,
        at: ago(ms),
        kind,
        severity,
        text: text.into(),
        who: None,
        timeline: Vec::new(),
    };
    let mut list = vec![
        event(1, 6 * DAY, EventKind::Program, Severity::Information, "Standin 0.1.0 started, role master, term 7"),
        event(2, 6 * DAY - 900, EventKind::Link, Severity::Information, "node-b.example.net connected from 10.1.4.21"),
        event(
            3,
            6 * DAY - 1_200,
            EventKind::Configuration,
            Severity::Information,
            "Complete transfer to node-b: 98 214 files",
        ),
        event(
            4,
            211_000,
            EventKind::Configuration,
            Severity::Information,
            "Revision 4812: 1 file changed (subaccounts/eu12/mappings/orders.yaml)",
        ),
        event(
            5,
            131_000,
            EventKind::Configuration,
            Severity::Error,
            "Revision 4813 could not be pushed to node-b: connection to 10.1.4.21 timed out",
        ),
        event(6, 130_000, EventKind::Link, Severity::Warning, "node-b is silent: three checks missed"),
        event(7, 90_000, EventKind::Role, Severity::Information, "Switch refused: node-b is not READY"),
    ];
    list[3].who = Some("ops".into());
    list
}

pub const ORDERS: &str = "virtualHost: orders.cloud\nvirtualPort: \"443\"\nlocalHost: app17.corp.example\nprotocol: HTTPS\n\
resources:\n  - id: /orders\n    enabled: true\ncredential: hunter2\n";

/// The third vote, two endpoints, all well.
pub fn arbiter() -> ArbiterStatus {
    ArbiterStatus {
        endpoints: vec!["https://etcd-1.example.net:2379".into(), "https://etcd-2.example.net:2379".into()],
        state: "ok".into(),
        term: Term(7),
        confirmed_by: vec!["shadow".into(), "arbiter".into()],
        confirmed_until: Some(UnixMillis(NOW.0 + 3_400)),
        last_answer: Some(ago(600)),
        hold_ms: 4_000,
        promise_ms: 10_101,
        stop_budget_ms: 6_000,
        lease_s: 11,
        longest_failover_ms: 13_000,
        ..ArbiterStatus::default()
    }
}

fn with_arbiter(mut status: Status) -> Status {
    status.arbiter = Some(arbiter());
    status.settings.arbiter.endpoints = arbiter().endpoints;
    status.protection_message = "node-b can take over now, 11 to 14 s after a failure.".into();
    status
}

/// node-a with everything that a failover to be trusted has.
pub fn master_full() -> Status {
    let mut status = with_arbiter(master());
    status.ha.isolation = IsolationStatus {
        enabled: true,
        fits: true,
        text: "lost link seen within 2 s, service stopped within 0.6 s: 2.6 s, less than the takeover delay of 3 s"
            .into(),
    };
    status.service = ServiceStatus {
        kind: "unit".into(),
        name: "connector.service".into(),
        bound: Some(true),
        restarts: 1,
        health: Some(HealthStatus {
            target: "http http://localhost:8080/health".into(),
            state: "passing".into(),
            failures: 0,
            limit: 3,
            message: None,
        }),
        stop_took_ms: Some(412),
        stop_budget_ms: 6_000,
        ..status.service
    };
    status.addresses = vec![AddressStatus {
        address: "10.1.4.100/24".into(),
        interface: "eth0".into(),
        present: true,
        announced_at: Some(ago(3_600_000)),
        ..AddressStatus::default()
    }];
    if let Some(peer) = &mut status.peer {
        peer.takeover_checks = (2, 1);
        peer.checks = vec![
            CheckResult { target: "tcp gateway.example.net:443".into(), ok: true, message: "2 ms".into() },
            CheckResult {
                target: "http https://dns.example.net/".into(),
                ok: false,
                message: "status 503, expected 200".into(),
            },
        ];
        peer.clock_difference_ms = Some(12);
        peer.differences = vec!["takeover checks: 2 there, none here".into(), "hook become-master: only here".into()];
    }
    status
}

/// The same pair from node-b, whose arbiter does not answer.
pub fn shadow_arbiter_away() -> Status {
    let mut status = with_arbiter(ready());
    status.protection = Protection::None;
    status.protection_message = "the arbiter does not answer: nobody can take over.".into();
    if let Some(arbiter) = &mut status.arbiter {
        arbiter.state = "away".into();
        arbiter.message = Some("etcd-1.example.net:2379: connection refused".into());
        arbiter.confirmed_by.clear();
        arbiter.confirmed_until = None;
        arbiter.promised_until = Some(UnixMillis(NOW.0 + 9_000));
    }
    status.addresses = vec![AddressStatus {
        address: "10.1.4.100/24".into(),
        interface: "eth0".into(),
        problem: Some("Standin may not add addresses (CAP_NET_ADMIN)".into()),
        ..AddressStatus::default()
    }];
    status
}

/// A shadow after three takeovers in ten minutes.
pub fn damped() -> Status {
    let mut status = ready();
    status.condition = Some(Condition::Damped);
    status.protection = Protection::Reduced;
    let why = "later than set: there were many takeovers, and `ha resume` clears that";
    status.protection_message = format!("this shadow can take over now, 12 to 14 s after a failure, {why}.");
    status.takeover.delay_ms = 12_000;
    status.hold = Some(Hold {
        ends_at: Some(UnixMillis(NOW.0 + 431_000)),
        of_ms: 600_000,
        why: "3 takeovers within 10 minutes".into(),
    });
    status
}

/// A switch whose service is being stopped.
pub fn switching() -> Status {
    let mut status = master();
    status.condition = Some(Condition::Switching);
    status.switching = Some(SwitchStatus { step: "2 of 4: the service is being stopped here".into(), can_abort: true });
    status
}

/// A takeover as one unit, with its timeline.
pub fn role_change() -> Event {
    Event {
        id: 8,
        at: ago(1_800),
        kind: EventKind::Role,
        severity: Severity::Warning,
        text: "now master, term 8, by takeover, 4104 ms in all".into(),
        who: None,
        timeline: taken_over().notice.map(|notice| notice.timeline).unwrap_or_default(),
    }
}

/// A console that has heard all of it.
pub fn model(status: Status, alerts: Vec<Alert>, columns: u16, rows: u16) -> Model {
    let mut model = Model::new(columns, rows, false);
    update(&mut model, Message::Connected(NOW));
    for frame in [
        ServerFrame::Welcome { version: "0.1.0".into(), process: 4711 },
        ServerFrame::Alerts(alerts),
        ServerFrame::Events(events()),
        ServerFrame::Status(Box::new(status)),
    ] {
        update(&mut model, Message::Frame(Box::new(frame), NOW));
    }
    model
}

/// Answers the newest order.
pub fn answer(model: &mut Model, reply: Reply) {
    let id = *model.pending.keys().next_back().expect("an order waits");
    update(model, Message::Frame(Box::new(ServerFrame::Reply { id, outcome: Ok(reply) }), NOW));
}

/// The file at the selection.
pub fn shown(model: &Model) -> Reply {
    let entry = model.files.current_file().expect("a file is selected");
    Reply::File(Box::new(FileContent { entry, text: ORDERS.into(), is_text: true, is_cut: false }))
}
