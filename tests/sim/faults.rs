//! Kinds of trouble, and what each does.

use standin::engine::base::Role;
use standin::engine::input::{Input, ServiceChange};
use standin::engine::order::Order;
use standin::engine::settings::SettingsPatch;

use crate::sim::node::service_status;
use crate::sim::world::{What, World};

/// The last part of a takeover delay, ms: a dial, a hello and a question fit into it.
const BACK_BEFORE_MS: u64 = 120;

/// Kinds of trouble; every life weighs some and leaves others out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Edit,
    EditDown,
    Drift,
    Crash,
    CrashSoon,
    Restart,
    Start,
    Switch,
    Stop,
    Terminate,
    StopKeep,
    Disconnect,
    HaDisconnect,
    Connect,
    Reconnect,
    TryNow,
    DryRun,
    Dismiss,
    EditSettings,
    DiskFull,
    DiskFree,
    StartFails,
    StartWorks,
    StartSlow,
    ServiceFails,
    ChecksFail,
    ChecksPass,
    Maintenance,
    WallJump,
    Copied,
    StopFails,
    StopWorks,
    BecomeMaster,
    BecomeShadow,
    Resume,
    // From here on one may become invisible to the other.
    CutBoth,
    CutOne,
    NoDial,
    Heal,
    KillConns,
    SlowNet,
    Foreign,
    Suspend,
    // From here on only with an arbiter.
    ArbiterAway,
    ArbiterBack,
    ArbiterCut,
    ArbiterSlow,
    ArbiterLossy,
    ArbiterErrors,
    ArbiterRestart,
    ArbiterWipe,
    ArbiterSave,
    ArbiterRestore,
    Island,
    // Drawn apart from the others, see `chaos`.
    EditHold,
}

/// All, in the order above.
pub const ALL: &[Fault] = &[
    Fault::Edit,
    Fault::EditDown,
    Fault::Drift,
    Fault::Crash,
    Fault::CrashSoon,
    Fault::Restart,
    Fault::Start,
    Fault::Switch,
    Fault::Stop,
    Fault::Terminate,
    Fault::StopKeep,
    Fault::Disconnect,
    Fault::HaDisconnect,
    Fault::Connect,
    Fault::Reconnect,
    Fault::TryNow,
    Fault::DryRun,
    Fault::Dismiss,
    Fault::EditSettings,
    Fault::DiskFull,
    Fault::DiskFree,
    Fault::StartFails,
    Fault::StartWorks,
    Fault::StartSlow,
    Fault::ServiceFails,
    Fault::ChecksFail,
    Fault::ChecksPass,
    Fault::Maintenance,
    Fault::WallJump,
    Fault::Copied,
    Fault::StopFails,
    Fault::StopWorks,
    Fault::BecomeMaster,
    Fault::BecomeShadow,
    Fault::Resume,
    Fault::CutBoth,
    Fault::CutOne,
    Fault::NoDial,
    Fault::Heal,
    Fault::KillConns,
    Fault::SlowNet,
    Fault::Foreign,
    Fault::Suspend,
    Fault::ArbiterAway,
    Fault::ArbiterBack,
    Fault::ArbiterCut,
    Fault::ArbiterSlow,
    Fault::ArbiterLossy,
    Fault::ArbiterErrors,
    Fault::ArbiterRestart,
    Fault::ArbiterWipe,
    Fault::ArbiterSave,
    Fault::ArbiterRestore,
    Fault::Island,
];

impl Fault {
    /// Those that can happen in a life: with faults of the network, with an arbiter.
    pub fn possible(has_network_faults: bool, has_arbiter: bool) -> &'static [Self] {
        let place = |fault: Self| ALL.iter().position(|kind| *kind == fault).unwrap_or(ALL.len());
        match (has_network_faults, has_arbiter) {
            (false, _) => &ALL[..place(Self::CutBoth)],
            (true, false) => &ALL[..place(Self::ArbiterAway)],
            (true, true) => ALL,
        }
    }
}

/// One blow.
pub fn strike(world: &mut World, fault: Fault, node: usize) {
    world.log(|| format!("CHAOS {fault:?} node-{node}"));
    if ALL.iter().position(|kind| *kind == fault) >= ALL.iter().position(|kind| *kind == Fault::CutBoth) {
        world.check.unseen_at = Some(world.t);
    }
    let is_master = world.nodes[node].role() == Some(Role::Master);
    let is_up = world.nodes[node].is_up();
    match fault {
        Fault::Edit if is_master && is_up => world.edit(node),
        Fault::EditDown if is_master && !is_up => world.edit(node),
        Fault::Drift if !is_master => {
            let (path, content) = (world.random.range(0, 5) as u8, world.random.next());
            world.nodes[node].disk.mirror.drift(path, content);
        }
        Fault::Crash => {
            let is_silent = !world.check.is_sync && world.random.chance(50);
            world.crash(node, is_silent);
        }
        Fault::CrashSoon => world.nodes[node].crash_in = Some(world.random.range(0, 40)),
        Fault::Restart => {
            world.crash(node, false);
            let pause_ms = world.random.pick(&[20u64, 600, 3_000, 0]);
            // 0: it is back, and asks, a moment before the other's delay is over.
            let delay_ms = world.nodes[1 - node].disk.settings.shadow.takeover_delay;
            let last = delay_ms.saturating_sub(BACK_BEFORE_MS);
            let span = if pause_ms == 0 { (last, delay_ms.max(1)) } else { (1, pause_ms) };
            world.later(span, What::Chaos { fault: Fault::Start, node });
        }
        Fault::Start => world.start(node),
        Fault::Terminate => world.feed(node, Input::Terminate),
        Fault::DiskFull => world.nodes[node].persist_fails = true,
        Fault::DiskFree => world.nodes[node].persist_fails = false,
        Fault::StartFails => world.nodes[node].start_fails = true,
        Fault::StartWorks => world.nodes[node].start_fails = false,
        Fault::StartSlow => world.nodes[node].start_ms = world.random.pick(&[100, 3_000]),
        Fault::StopFails if !world.check.has_arbiter => world.nodes[node].stop_fails = true,
        Fault::StopWorks => world.nodes[node].stop_fails = false,
        Fault::ServiceFails if world.nodes[node].service => {
            let state = world.random.pick(&["failed", "running"]);
            world.feed(node, Input::Service(ServiceChange::Changed(service_status(state))));
        }
        Fault::ChecksFail => world.nodes[node].checks_fail = true,
        Fault::ChecksPass => world.nodes[node].checks_fail = false,
        Fault::Copied if !is_up && !world.check.is_sync => world.nodes[node].disk.is_copied = true,
        Fault::WallJump => {
            let hours = world.random.range(0, 48) as i64 - 24;
            world.jump_wall(node, hours * 3_600_000);
        }
        Fault::EditHold => give_order(world, fault, node),
        _ if fault as usize >= Fault::ArbiterAway as usize => strike_arbiter(world, fault, node),
        _ if fault as usize >= Fault::CutBoth as usize => strike_network(world, fault, node),
        _ => give_order(world, fault, node),
    }
}

fn strike_network(world: &mut World, fault: Fault, node: usize) {
    match fault {
        Fault::CutBoth => world.net.cut = [true, true],
        Fault::CutOne => world.net.cut[node] = true,
        Fault::NoDial => world.net.no_dial[node] = true,
        Fault::Heal => world.net.heal(),
        Fault::KillConns => world.kill_conns(),
        Fault::SlowNet => world.net.delay_ms = world.random.pick(&[(1, 10), (1, 200), (50, 800)]),
        Fault::Foreign => world.net.is_foreign[node] = !world.net.is_foreign[node],
        // Standin's own watchdog ends it, and the unit with it (spec 7.13).
        Fault::Suspend if world.nodes[node].guard.is_unit && world.check.has_arbiter => world.crash(node, true),
        Fault::Suspend => {
            let longest = world.random.pick(&[150u64, 900, 3_000, 20_000]);
            let span_ms = world.random.range(1, longest);
            world.suspend(node, span_ms);
        }
        _ => {}
    }
}

fn strike_arbiter(world: &mut World, fault: Fault, node: usize) {
    let t = world.t;
    match fault {
        Fault::ArbiterAway => world.arbiter.is_up = false,
        Fault::ArbiterBack | Fault::ArbiterRestart => world.arbiter.restart(t),
        Fault::ArbiterCut => world.arbiter.cut[node] = !world.arbiter.cut[node],
        Fault::ArbiterSlow => world.arbiter.delay_ms = world.random.pick(&[(1, 8), (20, 400), (200, 2_000)]),
        Fault::ArbiterLossy => {
            world.arbiter.loss_percent = world.random.pick(&[0, 10, 60]);
            world.arbiter.zombie_percent = world.random.pick(&[0, 10, 60]);
        }
        Fault::ArbiterErrors => world.arbiter.says_errors = !world.arbiter.says_errors,
        Fault::ArbiterWipe => world.arbiter.wipe(),
        Fault::ArbiterSave => world.arbiter.save(),
        Fault::ArbiterRestore => world.check.was_arbiter_restored |= world.arbiter.restore(t),
        Fault::Island => {
            // One node sees nobody any more.
            world.net.cut = [true, true];
            world.arbiter.cut = [node == 0, node == 1];
        }
        _ => {}
    }
}

fn give_order(world: &mut World, fault: Fault, node: usize) {
    let order = match fault {
        Fault::Switch => Order::Switch { dry_run: false },
        Fault::DryRun => Order::Switch { dry_run: true },
        Fault::Stop => Order::Stop { keep_role: false },
        Fault::StopKeep => Order::Stop { keep_role: true },
        Fault::Disconnect => Order::Disconnect,
        Fault::HaDisconnect => Order::HaDisconnect,
        Fault::Connect => Order::Connect,
        Fault::Reconnect => Order::Reconnect,
        Fault::TryNow => Order::TryNow,
        Fault::Dismiss => Order::DismissNotice,
        Fault::Maintenance => Order::Maintenance { for_ms: world.random.pick(&[0, 5_000, 400_000]) },
        Fault::EditSettings => Order::Edit(SettingsPatch {
            takeover_delay: Some(world.random.pick(&[0, 500, 3_000])),
            check_interval: Some(world.random.pick(&[100, 300, 1_000])),
            ..SettingsPatch::default()
        }),
        Fault::EditHold => Order::Edit(SettingsPatch {
            arbiter_hold: Some(world.random.pick(&[500, 1_000, 2_000, 4_000, 10_000])),
            ..SettingsPatch::default()
        }),
        Fault::BecomeMaster | Fault::BecomeShadow | Fault::Resume => {
            world.check.was_forced = true;
            world.check.permit_two(node, &world.nodes);
            match fault {
                Fault::BecomeMaster => {
                    let without_arbiter = world.random.chance(5);
                    world.check.was_without_arbiter |= without_arbiter;
                    Order::BecomeMaster { without_arbiter }
                }
                Fault::BecomeShadow => Order::BecomeShadow,
                _ => Order::Resume,
            }
        }
        _ => return,
    };
    world.order(node, order);
}
