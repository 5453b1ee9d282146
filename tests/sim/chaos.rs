//! One life: a pair, a time of faults and orders chosen by the seed, then peace; and what must have come of it.

use standin::engine::base::{Condition, LinkState, Role};
use standin::engine::order::Order;
use standin::engine::settings::Settings;

use crate::random::Random;
use crate::world::{What, World};

/// Peace must bring one master and one READY shadow within, ms.
const HEAL_LIMIT_MS: u64 = 180_000;
/// Every order is answered within, ms.
const ANSWER_LIMIT_MS: u64 = 60_000;

/// Kinds of trouble; a seed weighs some and leaves others out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Edit,
    EditDown,
    Crash,
    CrashSoon,
    Start,
    CutBoth,
    CutOne,
    Heal,
    KillConns,
    DiskFull,
    DiskFree,
    StartFails,
    StartWorks,
    ChecksFail,
    ChecksPass,
    SlowNet,
    Switch,
    Stop,
    StopKeep,
    Disconnect,
    Connect,
    Reconnect,
    BecomeMaster,
    BecomeShadow,
    Resume,
    Maintenance,
    DryRun,
    Dismiss,
    Copied,
}

const CALM_FAULTS: &[Fault] = &[
    Fault::Edit,
    Fault::EditDown,
    Fault::Crash,
    Fault::CrashSoon,
    Fault::Start,
    Fault::Switch,
    Fault::Stop,
    Fault::Reconnect,
    Fault::Disconnect,
    Fault::Connect,
    Fault::DryRun,
];

const ALL_FAULTS: &[Fault] = &[
    Fault::Edit,
    Fault::EditDown,
    Fault::Crash,
    Fault::CrashSoon,
    Fault::Start,
    Fault::CutBoth,
    Fault::CutOne,
    Fault::Heal,
    Fault::KillConns,
    Fault::DiskFull,
    Fault::DiskFree,
    Fault::StartFails,
    Fault::StartWorks,
    Fault::ChecksFail,
    Fault::ChecksPass,
    Fault::SlowNet,
    Fault::Switch,
    Fault::Stop,
    Fault::StopKeep,
    Fault::Disconnect,
    Fault::Connect,
    Fault::Reconnect,
    Fault::BecomeMaster,
    Fault::BecomeShadow,
    Fault::Resume,
    Fault::Maintenance,
    Fault::DryRun,
    Fault::Dismiss,
    Fault::Copied,
];

fn settings(random: &mut Random) -> Settings {
    let mut settings = Settings::default();
    settings.shadow.check_interval = random.pick(&[100, 300, 1_000]);
    settings.shadow.takeover_delay = random.pick(&[0, 500, 3_000]);
    settings.shadow.request_timeout = random.pick(&[200, 500, 1_000]);
    settings.shadow.connect_timeout = random.pick(&[200, 500, 1_000]);
    settings.high_availability.boot_hold = random.pick(&[2_000, 10_000, 60_000]);
    settings.high_availability.grace_period = random.pick(&[0, 0, 300]);
    if random.chance(25) {
        settings.takeover_checks.tcp = vec!["gateway:1".into()];
        settings.takeover_checks.interval = 5_000;
    }
    settings
}

/// Lives one life.
pub fn run(seed: u64, trace: bool) -> Result<(), String> {
    let world = lived(seed, trace);
    world.failure.map_or(Ok(()), Err)
}

/// A number that depends on every step of a life.
pub fn digest(seed: u64) -> u64 {
    lived(seed, false).digest
}

fn lived(seed: u64, trace: bool) -> World {
    let mut random = Random::new(seed);
    let settings = settings(&mut random);
    let mut world = World::new(seed, &settings);
    world.trace = trace;
    let is_sync = random.chance(30);
    world.check.is_sync = is_sync;
    world.is_calm = true;
    for node in &mut world.nodes {
        node.offset_ms = random.range(0, 1_000_000);
        node.rate_ppm = if is_sync { 0 } else { random.pick(&[0i64, 0, 500, -500, 5_000, -5_000]) };
    }
    world.start(0);
    let gap = random.range(0, 3_000);
    world.run_until(world.t + gap);
    world.start(1);
    if random.chance(80) && !world.run_till(30_000, World::is_healthy) {
        world.fail("the pair did not come into being");
    }
    world.is_calm = is_sync;
    strikes(&mut world, &mut random, is_sync);
    peace(&mut world);
    world
}

fn strikes(world: &mut World, random: &mut Random, is_sync: bool) {
    let kinds = if is_sync { CALM_FAULTS } else { ALL_FAULTS };
    let chosen: Vec<Fault> = kinds.iter().copied().filter(|_| random.chance(50)).collect();
    let count = random.range(3, 30);
    let pause = random.pick(&[200u64, 2_000, 8_000]);
    let mut at = world.t;
    for _ in 0..count {
        if chosen.is_empty() {
            break;
        }
        at += random.range(1, pause);
        let fault = random.pick(&chosen);
        let node = usize::from(random.chance(50));
        let index = ALL_FAULTS.iter().position(|kind| *kind == fault).unwrap_or(0) * 2 + node;
        world.at(at, What::Chaos(index));
    }
    world.run_until(at + random.range(1, 10_000));
}

/// One blow.
pub fn strike(world: &mut World, index: usize) {
    let (fault, node) = (ALL_FAULTS[index / 2], index % 2);
    world.log(|| format!("CHAOS {fault:?} node-{node}"));
    let is_master = world.nodes[node].role() == Some(Role::Master);
    match fault {
        Fault::Edit if is_master && world.nodes[node].is_up() => world.edit(node),
        Fault::EditDown if is_master && !world.nodes[node].is_up() => world.edit(node),
        Fault::Crash => {
            let is_silent = !world.check.is_sync && world.random.chance(50);
            world.crash(node, is_silent);
        }
        Fault::CrashSoon => world.nodes[node].crash_in = Some(world.random.range(0, 40)),
        Fault::Start => world.start(node),
        Fault::CutBoth => world.net.cut = [true, true],
        Fault::CutOne => world.net.cut[node] = true,
        Fault::Heal => world.net.cut = [false, false],
        Fault::KillConns => world.kill_conns(),
        Fault::DiskFull => world.nodes[node].persist_fails = true,
        Fault::DiskFree => world.nodes[node].persist_fails = false,
        Fault::StartFails => world.nodes[node].start_fails = true,
        Fault::StartWorks => world.nodes[node].start_fails = false,
        Fault::ChecksFail => world.nodes[node].checks_fail = true,
        Fault::ChecksPass => world.nodes[node].checks_fail = false,
        Fault::SlowNet => world.net.delay_ms = world.random.pick(&[(1, 10), (1, 200), (50, 800)]),
        Fault::Copied if !world.nodes[node].is_up() => world.nodes[node].disk.is_copied = true,
        Fault::BecomeMaster | Fault::BecomeShadow | Fault::Resume => {
            world.check.was_forced = true;
            let order = match fault {
                Fault::BecomeMaster => Order::BecomeMaster { without_arbiter: false },
                Fault::BecomeShadow => Order::BecomeShadow,
                _ => Order::Resume,
            };
            world.order(node, order);
        }
        Fault::Maintenance => {
            let for_ms = world.random.pick(&[0, 5_000, 400_000]);
            world.order(node, Order::Maintenance { for_ms });
        }
        other => {
            if let Some(order) = plain_order(other) {
                world.order(node, order);
            }
        }
    }
}

fn plain_order(fault: Fault) -> Option<Order> {
    Some(match fault {
        Fault::Switch => Order::Switch { dry_run: false },
        Fault::DryRun => Order::Switch { dry_run: true },
        Fault::Stop => Order::Stop { keep_role: false },
        Fault::StopKeep => Order::Stop { keep_role: true },
        Fault::Disconnect => Order::Disconnect,
        Fault::Connect => Order::Connect,
        Fault::Reconnect => Order::Reconnect,
        Fault::Dismiss => Order::DismissNotice,
        _ => return None,
    })
}

/// Faults end, both run; an operator does what the rules leave to him. Then everything must be well.
fn peace(world: &mut World) {
    if world.failure.is_some() {
        return;
    }
    world.log(|| "PEACE".into());
    world.is_calm = true;
    world.net.cut = [false, false];
    world.net.delay_ms = (1, 10);
    for node in &mut world.nodes {
        node.persist_fails = false;
        node.start_fails = false;
        node.checks_fail = false;
        node.crash_in = None;
    }
    let order = world.random.range(0, 2);
    let first = usize::from(order == 1);
    world.start(first);
    if order == 2 {
        let gap = world.random.range(0, 20_000);
        world.run_until(world.t + gap);
    }
    world.start(1 - first);
    let end = world.t + HEAL_LIMIT_MS;
    let mut well_since: Option<u64> = None;
    while world.t < end && world.failure.is_none() {
        world.run_until(world.t + 500);
        for node in 0..2 {
            world.start(node);
        }
        let is_well = world.is_healthy();
        well_since = is_well.then(|| well_since.unwrap_or(world.t));
        if well_since.is_some_and(|since| world.t - since >= 15_000) {
            break;
        }
        operate(world);
    }
    judge(world, well_since.is_some());
}

/// What only an operator may do (by the rules): connect again, end a maintenance, choose between two that may not.
fn operate(world: &mut World) {
    for node in 0..2 {
        let Some(status) = world.status(node) else { continue };
        let durable = &world.nodes[node].disk.durable;
        if status.maintenance_until.is_some() {
            world.order(node, Order::Maintenance { for_ms: 0 });
        } else if status.role == Some(Role::Shadow)
            && status.state == Some(LinkState::Disconnected)
            && !durable.connect_wanted
        {
            world.order(node, Order::Connect);
        }
    }
    let both_shadows = world.nodes.iter().all(|node| node.role() == Some(Role::Shadow));
    let neither = world.nodes.iter().any(|node| {
        node.disk
            .alerts
            .values()
            .any(|alert| alert.code == "H-021" && !alert.is_over && alert.why.contains("operator must"))
    });
    if both_shadows && neither {
        world.check.was_forced = true;
        world.order(0, Order::BecomeMaster { without_arbiter: false });
    }
}

fn judge(world: &mut World, is_well: bool) {
    if world.failure.is_some() {
        return;
    }
    if !is_well {
        let text: Vec<String> = (0..2).map(|node| describe(world, node)).collect();
        return world.fail(format!("peace did not heal the pair: {}", text.join(" | ")));
    }
    let late = world.pending.values().find(|(.., since, _)| world.t - since > ANSWER_LIMIT_MS).cloned();
    if let Some((node, _, since, order)) = late {
        return world.fail(format!("order {order:?} to node-{node} of {since} ms was never answered"));
    }
    let lost =
        world.check.committed.iter().find(|id| world.nodes.iter().all(|node| !node.disk.mirror.has_anywhere(**id)));
    if let Some(lost) = lost.copied() {
        return world.fail(format!("a committed revision is lost: {lost:?}"));
    }
    let acknowledged: Vec<_> = world.check.acknowledged.iter().copied().collect();
    for id in acknowledged {
        let master = world.nodes.iter().find(|node| node.role() == Some(Role::Master)).unwrap();
        let is_branch =
            world.nodes.iter().any(|node| node.disk.mirror.branches.values().flatten().any(|rev| rev.id == id));
        if !master.disk.mirror.has(id) && !is_branch {
            return world.fail(format!("an acknowledged revision is lost: {id:?}"));
        }
    }
    judge_alerts(world);
}

/// (h) An alert of the pair stands exactly while its cause does: in peace there is none.
fn judge_alerts(world: &mut World) {
    const GONE: &[&str] = &[
        "H-001", "H-002", "H-003", "H-004", "H-005", "H-006", "H-007", "H-009", "H-010", "H-011", "H-012", "H-013",
        "H-014", "H-015", "H-016", "H-017", "H-020", "H-021", "P-010", "F-001", "F-012", "V-001", "V-003", "R-001",
    ];
    for node in 0..2 {
        let open =
            world.nodes[node].disk.alerts.values().find(|alert| !alert.is_over && GONE.contains(&alert.code.as_str()));
        if let Some(alert) = open.cloned() {
            return world.fail(format!("node-{node} is well and says {} {}: {}", alert.code, alert.what, alert.why));
        }
        let status = world.status(node).unwrap();
        if status.condition.is_some_and(|condition| condition != Condition::Maintenance) {
            return world.fail(format!("node-{node} is well and in condition {:?}", status.condition));
        }
    }
}

fn describe(world: &World, node: usize) -> String {
    let durable = &world.nodes[node].disk.durable;
    world.status(node).map_or_else(
        || format!("node-{node} is down"),
        |status| {
            format!(
                "node-{node} {:?} t{} known {} active {} {:?} ({:?}) condition {:?} offer {:?} hold {:?} rev {} peer {:?}",
                status.role,
                status.term,
                durable.known_term,
                status.active,
                status.state,
                status.state_message,
                status.condition,
                durable.offer,
                status.hold.map(|hold| hold.why),
                status.configuration.revision,
                status.peer.map(|peer| (peer.in_sync, peer.revision)),
            )
        },
    )
}
