//! One life: a pair, a time of faults and orders chosen by the seed, then peace; and what must have come of it.

use standin::engine::base::{LinkState, Role, Term};
use standin::engine::order::Order;
use standin::engine::settings::Settings;

use crate::sim::ambush::{Ambush, MOMENTS, Moment};
use crate::sim::faults::Fault;
use crate::sim::random::Random;
use crate::sim::world::{What, World};

/// Peace must bring one master and one READY shadow within, ms.
const HEAL_LIMIT_MS: u64 = 180_000;
/// A life that is well, without an alert, is over after, ms.
const SETTLED_MS: u64 = 12_000;

/// Lives with an arbiter: on since the engine has rules for it.
pub const ARBITER_LIVES: bool = true;
/// Of 100 lives so many have an arbiter.
const ARBITER_PERCENT: u64 = 60;
/// Of 100 of those so many change the hold time, on one side or both, while they run.
const EDIT_HOLD_PERCENT: u64 = 20;
/// Of 100 lives so many give a service longer to end in peace, up to a minute.
const LONG_GRACE_PERCENT: u64 = 40;
/// Of 100 lives so many have a unit for a service, which no guard stops when its allowance ends.
const UNIT_PERCENT: u64 = 20;
/// Of 100 of those so many with an arbiter begin with a switch in which the master is cut off.
const ISLAND_PERCENT: u64 = 30;
/// What came later is drawn apart, so that the other lives stay what they were.
const APART: u64 = 0x5EED_0F0B_57AC_1E55;
/// The same for the service.
const APART_SERVICE: u64 = 0x5EED_0F5E_44B1_CE55;

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
    if ARBITER_LIVES && random.chance(ARBITER_PERCENT) {
        let arbiter = &mut settings.arbiter;
        arbiter.endpoints = vec!["http://arbiter:2379".into()];
        arbiter.hold = random.pick(&[500, 1_000, 2_000, 4_000]);
        arbiter.stop_budget = random.pick(&[100, 1_000, 3_000]);
        arbiter.clock_error = random.pick(&[0, 5, 20, 100]);
        arbiter.request_timeout = random.pick(&[100, 300, 1_000]);
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
    let mut settings = settings(&mut random);
    let mut apart = Random::new(seed ^ APART_SERVICE);
    if apart.chance(LONG_GRACE_PERCENT) {
        settings.high_availability.grace_period = apart.pick(&[2_000, 10_000, 60_000]);
    }
    let mut world = World::new(seed, &settings);
    let is_unit = apart.chance(UNIT_PERCENT);
    for node in &mut world.nodes {
        node.guard.is_unit = is_unit;
    }
    world.trace = trace;
    let is_sync = random.chance(30);
    world.check.is_sync = is_sync;
    world.is_calm = true;
    world.check.has_arbiter = settings.arbiter.is_set();
    // Beyond what the settings allow nothing is promised.
    let worst = i64::from(settings.arbiter.clock_error) * 1_000;
    let rates = [0, 0, worst / 10, -worst / 10, worst, -worst];
    for node in &mut world.nodes {
        node.offset_ms = random.range(0, 1_000_000);
        node.rate_ppm = if is_sync { 0 } else { random.pick(&rates) };
    }
    world.arbiter.rate_ppm = if is_sync { 0 } else { random.pick(&rates) };
    world.start(0);
    let gap = random.range(0, 3_000);
    world.run_until(world.t + gap);
    world.start(1);
    if random.chance(80) && !world.run_till(30_000, World::is_healthy) {
        world.fail("the pair did not come into being");
    }
    world.is_calm = is_sync;
    let mut apart = Random::new(seed ^ APART);
    let edits = world.check.has_arbiter && apart.chance(EDIT_HOLD_PERCENT);
    let edits = if edits { apart.pick(&[1usize, 2, 6]) } else { 0 };
    if is_unit && world.check.has_arbiter && !is_sync && apart.chance(ISLAND_PERCENT) {
        cut_off_in_a_switch(&mut world, &mut apart);
    }
    strikes(&mut world, &mut random, is_sync, edits);
    peace(&mut world);
    world
}

/// The master is cut off from everybody, without a word, as soon as it tells its service to end for a switch.
fn cut_off_in_a_switch(world: &mut World, random: &mut Random) {
    let at = world.t + random.range(1, 2_000);
    world.at(at, What::Chaos { fault: Fault::Switch, node: 0 });
    world.ambushes.push(Ambush { from: at, node: 0, moment: Moment::StopService, fault: Fault::Island, victim: 0 });
}

/// Every life draws its own weights: what exists in it at all, and how often.
fn strikes(world: &mut World, random: &mut Random, is_sync: bool, edits_of_hold: usize) {
    let kinds = Fault::possible(!is_sync, world.check.has_arbiter);
    let share = random.pick(&[10u64, 30, 50, 80]);
    let mut chosen: Vec<Fault> = Vec::new();
    for kind in kinds {
        if !random.chance(share) {
            continue;
        }
        chosen.extend(std::iter::repeat_n(*kind, random.pick(&[1usize, 1, 2, 6])));
    }
    chosen.extend(std::iter::repeat_n(Fault::EditHold, edits_of_hold));
    if chosen.is_empty() {
        return;
    }
    let count = random.range(3, 30);
    let pause = random.pick(&[30u64, 200, 2_000, 8_000]);
    let ambush_percent = random.pick(&[0u64, 0, 20, 50]);
    let mut at = world.t;
    for _ in 0..count {
        at += random.range(1, pause);
        let fault = random.pick(&chosen);
        let node = usize::from(random.chance(50));
        if random.chance(ambush_percent) {
            let (moment, by) = (random.pick(MOMENTS), usize::from(random.chance(50)));
            world.ambushes.push(Ambush { from: at, node: by, moment, fault, victim: node });
        } else {
            world.at(at, What::Chaos { fault, node });
        }
    }
    world.run_until(at + random.range(1, 10_000));
    world.ambushes.clear();
}

/// Faults end, both run; an operator does what the rules leave to him. Then everything must be well.
fn peace(world: &mut World) {
    if world.failure.is_some() {
        return;
    }
    world.log(|| "PEACE".into());
    world.ambushes.clear();
    world.is_calm = true;
    if world.net.is_faulty() {
        world.check.unseen_at = Some(world.t);
    }
    world.net.heal();
    world.net.delay_ms = (1, 10);
    world.arbiter.heal();
    for node in &mut world.nodes {
        node.persist_fails = false;
        node.start_fails = false;
        node.stop_fails = false;
        node.start_ms = 100;
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
    // An arbiter that lost its memory has a vote again when both have looked (spec 7.11): until then alerts say so. Some lives
    // are watched for long in any case, for what comes late.
    // Takeover checks that pass again are told after their interval and a check, and H-014 ends with the health check after that.
    let longest_ms = if world.check.has_arbiter { 40_000 } else { 20_000 };
    let shortest_ms = if world.random.chance(25) { longest_ms } else { SETTLED_MS };
    let mut well_since: Option<u64> = None;
    let mut last_terms = [Term(0); 2];
    while world.t < end && world.failure.is_none() {
        world.run_until(world.t + 500);
        for node in 0..2 {
            world.start(node);
        }
        // A switch that ends now was well until then, with the roles it had.
        let terms = [0, 1].map(|node: usize| world.nodes[node].disk.durable.term);
        let is_well = world.is_healthy() && terms == last_terms;
        last_terms = terms;
        well_since = is_well.then(|| well_since.unwrap_or(world.t));
        let well_ms = well_since.map_or(0, |since| world.t - since);
        let is_quiet = well_ms >= shortest_ms && world.check.no_alert_left(&world.nodes).is_ok();
        // An order that is not answered is waited for, until it is late (g).
        if (is_quiet || well_ms >= longest_ms) && world.pending.is_empty() {
            break;
        }
        operate(world);
    }
    judge(world, well_since.is_some());
}

/// What only an operator may do (by the rules): connect again, end a maintenance, choose between two that may not.
pub fn operate(world: &mut World) {
    for node in 0..2 {
        // A status is much; only a pause makes it worth asking.
        let Some(seen) = world.glance(node) else { continue };
        let is_maintained =
            seen.is_paused && world.status(node).is_some_and(|status| status.maintenance_until.is_some());
        let is_connecting = world.nodes[node].disk.durable.connect_wanted;
        if is_maintained {
            world.order(node, Order::Maintenance { for_ms: 0 });
        } else if seen.role == Some(Role::Shadow) && seen.state == Some(LinkState::Disconnected) && !is_connecting {
            world.order(node, Order::Connect);
        }
    }
    settle_copies(world);
    let both_shadows = world.nodes.iter().all(|node| node.role() == Some(Role::Shadow));
    let neither = world.nodes.iter().any(|node| {
        node.disk
            .alerts
            .values()
            .any(|alert| alert.code == "H-021" && !alert.is_over && alert.why.contains("operator must"))
    });
    if both_shadows && neither {
        world.check.was_forced = true;
        let is_asked = world.pending.values().any(|(.., order)| matches!(order, Order::BecomeMaster { .. }));
        if !is_asked {
            choose_master(world);
        }
    }
}

/// Only an operator knows that no other instance runs from a home that was restored (spec 7.5, 7.6).
fn settle_copies(world: &mut World) {
    for node in 0..2 {
        let Some(seen) = world.glance(node).filter(|_| world.nodes[node].disk.is_copied) else { continue };
        let is_asked = world.pending.values().any(|(asked, ..)| *asked == node);
        let is_alone = world.glance(1 - node).is_none_or(|other| other.role != Some(Role::Master));
        match seen.role {
            _ if seen.is_active || seen.state == Some(LinkState::Ready) => world.nodes[node].disk.is_copied = false,
            Some(Role::Shadow) if seen.state == Some(LinkState::Disconnected) && !is_asked => {
                world.order(node, Order::Connect);
            }
            Some(Role::Master) if is_alone && !is_asked => {
                world.check.was_forced = true;
                world.check.permit_two(node, &world.nodes);
                world.order(node, Order::Resume);
            }
            _ => {}
        }
    }
}

/// On one, then on the other; the arbiter is overruled when it grants neither what it is asked for.
fn choose_master(world: &mut World) {
    let (node, without_arbiter) = (world.chosen % 2, world.check.has_arbiter && world.chosen >= 4);
    world.log(|| format!("OPERATOR chooses node-{node}, without arbiter: {without_arbiter}"));
    world.chosen += 1;
    world.check.was_without_arbiter |= without_arbiter;
    world.check.permit_two(node, &world.nodes);
    world.order(node, Order::BecomeMaster { without_arbiter });
}

fn judge(world: &mut World, is_well: bool) {
    if world.failure.is_some() {
        return;
    }
    if !is_well {
        let text: Vec<String> = (0..2).map(|node| describe(world, node)).collect();
        let letter = if has_way_out(world) { "(d)" } else { "(g)" };
        return world.fail(format!("{letter} peace did not heal the pair: {}", text.join(" | ")));
    }
    let outcome = world
        .orders_are_answered()
        .and_then(|()| world.check.nothing_lost(&world.nodes))
        .and_then(|()| world.check.no_alert_left(&world.nodes));
    if let Err(why) = outcome {
        world.fail(why);
    }
}

/// Everything an operator may still try, ending with force.
fn has_way_out(world: &mut World) -> bool {
    let without_arbiter = world.check.has_arbiter;
    world.check.was_without_arbiter |= without_arbiter;
    for order in [Order::Connect, Order::Resume, Order::BecomeShadow, Order::BecomeMaster { without_arbiter }] {
        for node in 0..2 {
            world.check.was_forced = true;
            world.check.permit_two(node, &world.nodes);
            world.order(node, order.clone());
            if world.run_till(60_000, World::is_healthy) {
                return true;
            }
        }
    }
    false
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
