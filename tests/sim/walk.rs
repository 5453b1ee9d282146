//! The exhaustive walk: from a healthy pair every moment at which something happens × every event that may befall it, within
//! budgets of one crash, one cut, one order, one stop of the process. States that differ only in the time of day are one (see
//! `print`). At every state *peace* is tried too: faults end, both run; it must lead to one active and one READY shadow.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use standin::engine::order::Order;
use standin::engine::settings::Settings;

use crate::sim::print::print;
use crate::sim::random::Random;
use crate::sim::world::World;

/// What follows from an event follows within (boot hold, delay, promise), ms of the world; later moments are left out.
const RUN_LIMIT_MS: u64 = 6_000;
/// Peace heals within, ms of the world.
const PEACE_LIMIT_MS: u64 = 60_000;
/// In peace a state is compared with known ones every so many steps.
const PRINTED_EVERY: u32 = 8;
/// A stopped process goes on after, ms.
const STOPPED_MS: u64 = 2_500;

/// What may befall the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Crash(usize),
    Start(usize),
    Cut,
    CutOneWay(usize),
    Heal,
    Suspend(usize),
    Switch,
    Stop,
    Peace,
}

const EVENTS: &[Event] = &[
    Event::Crash(0),
    Event::Crash(1),
    Event::Start(0),
    Event::Start(1),
    Event::Cut,
    Event::CutOneWay(0),
    Event::CutOneWay(1),
    Event::Heal,
    Event::Suspend(0),
    Event::Suspend(1),
    Event::Switch,
    Event::Stop,
    Event::Peace,
];

/// After how many steps what happened.
type Path = Vec<(u32, Event)>;

fn settings(has_arbiter: bool) -> Settings {
    let mut settings = Settings::default();
    settings.shadow.check_interval = 500;
    settings.shadow.takeover_delay = 500;
    settings.shadow.request_timeout = 300;
    settings.shadow.connect_timeout = 300;
    settings.high_availability.boot_hold = 2_000;
    if has_arbiter {
        settings.arbiter.endpoints = vec!["http://arbiter:2379".into()];
        settings.arbiter.hold = 900;
        settings.arbiter.stop_budget = 300;
        settings.arbiter.clock_error = 0;
        settings.arbiter.request_timeout = 300;
    }
    settings
}

fn healthy(has_arbiter: bool) -> World {
    let mut world = World::new(1, &settings(has_arbiter));
    world.random = Random::steady();
    world.net.delay_ms = (5, 5);
    world.arbiter.delay_ms = (5, 5);
    world.check.has_arbiter = has_arbiter;
    world.start(0);
    world.start(1);
    assert!(world.run_till(30_000, World::is_healthy), "no pair to begin with: {:?}", world.failure);
    let settled = world.t + 1_500;
    world.run_until(settled);
    world
}

fn count(path: &Path, is_kind: impl Fn(Event) -> bool) -> usize {
    path.iter().filter(|(_, event)| is_kind(*event)).count()
}

fn is_cut(event: Event) -> bool {
    matches!(event, Event::Cut | Event::CutOneWay(_))
}

fn is_order(event: Event) -> bool {
    matches!(event, Event::Switch | Event::Stop)
}

/// Within its budget, and not without effect.
fn is_possible(world: &World, path: &Path, event: Event) -> bool {
    match event {
        Event::Crash(node) => world.nodes[node].is_up() && count(path, |e| matches!(e, Event::Crash(_))) == 0,
        Event::Start(node) => !world.nodes[node].is_up(),
        Event::Cut | Event::CutOneWay(_) => count(path, is_cut) == 0,
        Event::Heal => world.net.cut != [false; 2],
        Event::Suspend(node) => world.nodes[node].is_up() && count(path, |e| matches!(e, Event::Suspend(_))) == 0,
        Event::Switch | Event::Stop => count(path, is_order) == 0 && acting(world).is_some(),
        Event::Peace => true,
    }
}

/// Whom an order is given to.
fn acting(world: &World) -> Option<usize> {
    (0..2).find(|node| world.glance(*node).is_some_and(|glance| glance.is_active))
}

fn befall(world: &mut World, event: Event) {
    world.check.unseen_at = Some(world.t);
    match event {
        Event::Crash(node) => world.crash(node, false),
        Event::Start(node) => world.start(node),
        Event::Cut => world.net.cut = [true; 2],
        Event::CutOneWay(node) => world.net.cut[node] = true,
        Event::Heal => world.net.heal(),
        Event::Suspend(node) => world.suspend(node, STOPPED_MS),
        Event::Switch | Event::Stop => {
            let order =
                if event == Event::Stop { Order::Stop { keep_role: false } } else { Order::Switch { dry_run: false } };
            if let Some(node) = acting(world) {
                world.order(node, order);
            }
        }
        Event::Peace => {
            world.net.heal();
            world.start(0);
            world.start(1);
        }
    }
}

/// The same steps lead to the same world.
fn replay(has_arbiter: bool, path: &Path) -> World {
    let mut world = healthy(has_arbiter);
    let mut step = 0;
    for (at, event) in path {
        while step < *at && world.failure.is_none() {
            world.step();
            step += 1;
        }
        befall(&mut world, *event);
    }
    world
}

/// What a walk saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub states: usize,
    pub transitions: u64,
    pub peaces: u64,
    pub is_complete: bool,
    pub violation: Option<String>,
}

/// Breadth first, by the number of events.
pub fn walk(has_arbiter: bool, limit: Duration) -> Seen {
    let begun = Instant::now();
    let (mut known, mut good) = (BTreeSet::new(), BTreeSet::new());
    let mut seen = Seen::default();
    let mut paths: VecDeque<Path> = VecDeque::from([Path::new()]);
    while let Some(path) = paths.pop_front() {
        if begun.elapsed() > limit {
            seen.states = known.len();
            return seen;
        }
        let outcome = if path.last().is_some_and(|(_, event)| *event == Event::Peace) {
            seen.peaces += 1;
            peace(has_arbiter, &path, &mut good, &mut seen)
        } else {
            explore(has_arbiter, &path, &mut known, &mut paths, &mut seen)
        };
        if let Err(why) = outcome {
            seen.violation = Some(format!("{why}\npath: {path:?}"));
            break;
        }
    }
    seen.states = known.len();
    seen.is_complete = paths.is_empty();
    seen
}

fn explore(
    has_arbiter: bool,
    path: &Path,
    known: &mut BTreeSet<u64>,
    paths: &mut VecDeque<Path>,
    seen: &mut Seen,
) -> Result<(), String> {
    let mut world = replay(has_arbiter, path);
    let mut step = path.last().map_or(0, |(at, _)| *at);
    let end = world.t + RUN_LIMIT_MS;
    while world.t < end {
        if let Some(why) = world.failure.take() {
            return Err(why);
        }
        if !known.insert(print(&world)) {
            return Ok(());
        }
        for event in EVENTS.iter().filter(|event| is_possible(&world, path, **event)) {
            let mut next = path.clone();
            next.push((step, *event));
            seen.transitions += 1;
            // Peace ends a path: it is tried at once, the others in their turn.
            if *event == Event::Peace { paths.push_front(next) } else { paths.push_back(next) }
        }
        world.step();
        seen.transitions += 1;
        step += 1;
    }
    Ok(())
}

/// Faults end, both run: one active, one READY shadow, and it stays so.
fn peace(has_arbiter: bool, path: &Path, good: &mut BTreeSet<u64>, seen: &mut Seen) -> Result<(), String> {
    let mut world = replay(has_arbiter, path);
    let end = world.t + PEACE_LIMIT_MS;
    let (mut passed, mut steps) = (Vec::new(), 0);
    while world.t < end {
        if let Some(why) = world.failure.take() {
            return Err(why);
        }
        // One that was told to stop has ended meanwhile.
        world.start(0);
        world.start(1);
        if world.is_healthy() {
            good.extend(passed);
            return Ok(());
        }
        if steps % PRINTED_EVERY == 0 {
            let now = print(&world);
            if good.contains(&now) {
                good.extend(passed);
                return Ok(());
            }
            passed.push(now);
        }
        steps += 1;
        world.step();
        seen.transitions += 1;
    }
    Err(format!("no way out: {:?} {:?}", world.glance(0), world.glance(1)))
}
