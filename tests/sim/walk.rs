//! The exhaustive walk of a small model: from a healthy pair, between any two happenings, every event that may befall it, within a
//! budget of one crash (with a start at any later moment), one cut of one or both ways (with a heal at any later moment) and one
//! order. Time passes in ticks, to which all settings are multiples; what takes a moment takes none, and a connection keeps its
//! order. States that differ only in the time of day or in drawn numbers are one (see `print`). From every state *peace* is
//! tried: faults end, both run; it must lead to one active and one READY shadow.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use standin::engine::base::{LinkState, Role};
use standin::engine::order::Order;
use standin::engine::settings::Settings;

use crate::sim::chaos;
use crate::sim::print::print;
use crate::sim::random::Random;
use crate::sim::world::World;

/// All settings are multiples of it, ms.
const TICK_MS: u64 = 250;
/// Peace heals within, ms of the world.
const PEACE_LIMIT_MS: u64 = 90_000;
/// Happenings that change nothing, in a row: then nothing happens any more.
const IDLE_STEPS_MAX: usize = 400;
/// Worlds that wait at most; the walk goes depth first, so that few do.
const WAITING_MAX: usize = 200_000;

/// What may befall the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Crash(usize),
    Start(usize),
    Cut,
    CutOneWay(usize),
    Heal,
    Switch,
    Stop(usize),
    BecomeMaster(usize),
    BecomeShadow(usize),
    Disconnect(usize),
    Connect(usize),
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
    Event::Switch,
    Event::Stop(0),
    Event::Stop(1),
    Event::BecomeMaster(0),
    Event::BecomeMaster(1),
    Event::BecomeShadow(0),
    Event::BecomeShadow(1),
    Event::Disconnect(0),
    Event::Disconnect(1),
    Event::Connect(0),
    Event::Connect(1),
];

/// What may happen once in a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    pub has_arbiter: bool,
    pub crash: bool,
    pub cut: bool,
    pub order: bool,
}

/// One state, what is left to happen, and how it came about.
#[derive(Clone)]
struct Place {
    world: World,
    left: Budget,
    path: Vec<(u64, Event)>,
}

fn settings(has_arbiter: bool) -> Settings {
    let mut settings = Settings::default();
    settings.shadow.check_interval = TICK_MS;
    settings.shadow.takeover_delay = 2 * TICK_MS;
    settings.shadow.request_timeout = 2 * TICK_MS;
    settings.shadow.connect_timeout = TICK_MS;
    settings.high_availability.boot_hold = 4 * TICK_MS;
    if has_arbiter {
        settings.arbiter.endpoints = vec!["http://arbiter:2379".into()];
        settings.arbiter.hold = 3 * TICK_MS;
        settings.arbiter.stop_budget = TICK_MS;
        settings.arbiter.clock_error = 0;
        settings.arbiter.request_timeout = TICK_MS;
    }
    settings
}

fn healthy(has_arbiter: bool) -> World {
    let mut world = World::new(1, &settings(has_arbiter));
    world.tick_ms = TICK_MS;
    world.random = Random::steady();
    world.net.delay_ms = (0, 0);
    world.arbiter.delay_ms = (0, 0);
    world.check.has_arbiter = has_arbiter;
    world.start(0);
    world.start(1);
    assert!(world.run_till(30_000, World::is_healthy), "no pair to begin with: {:?}", world.failure);
    let settled = world.t + 8 * TICK_MS;
    world.run_until(settled);
    world
}

/// Within its budget, and not without effect.
fn is_possible(place: &Place, event: Event) -> bool {
    let (world, left) = (&place.world, &place.left);
    let is_up = |node: usize| world.nodes[node].is_up();
    let role = |node: usize| world.nodes[node].disk.durable.role.filter(|_| is_up(node));
    match event {
        Event::Crash(node) => left.crash && is_up(node),
        Event::Start(node) => !is_up(node),
        Event::Cut | Event::CutOneWay(_) => left.cut,
        Event::Heal => world.net.cut != [false; 2],
        Event::Switch => left.order && acting(world).is_some(),
        Event::Stop(node) => left.order && is_up(node),
        Event::BecomeMaster(node) => left.order && role(node) == Some(Role::Shadow),
        Event::BecomeShadow(node) => left.order && role(node) == Some(Role::Master),
        Event::Disconnect(node) => {
            left.order && role(node) == Some(Role::Shadow) && world.nodes[node].disk.durable.connect_wanted
        }
        Event::Connect(node) => {
            role(node) == Some(Role::Shadow)
                && !world.nodes[node].disk.durable.connect_wanted
                && world.glance(node).and_then(|glance| glance.state) == Some(LinkState::Disconnected)
        }
    }
}

/// Whom a switch is ordered of.
fn acting(world: &World) -> Option<usize> {
    (0..2).find(|node| world.glance(*node).is_some_and(|glance| glance.is_active))
}

fn befall(place: &mut Place, event: Event) {
    let (world, left) = (&mut place.world, &mut place.left);
    world.check.unseen_at = Some(world.t);
    place.path.push((world.t, event));
    let order = match event {
        Event::Crash(node) => {
            left.crash = false;
            return world.crash(node, false);
        }
        Event::Start(node) => return world.start(node),
        Event::Cut | Event::CutOneWay(_) => {
            left.cut = false;
            world.net.cut = [event != Event::CutOneWay(1), event != Event::CutOneWay(0)];
            return;
        }
        Event::Heal => return world.net.heal(),
        Event::Switch => acting(world).map(|node| (node, Order::Switch { dry_run: false })),
        Event::Stop(node) => Some((node, Order::Stop { keep_role: false })),
        Event::BecomeMaster(node) => Some((node, Order::BecomeMaster { without_arbiter: false })),
        Event::BecomeShadow(node) => Some((node, Order::BecomeShadow)),
        Event::Disconnect(node) => Some((node, Order::Disconnect)),
        Event::Connect(node) => Some((node, Order::Connect)),
    };
    let Some((node, order)) = order else { return };
    if !matches!(event, Event::Connect(_)) {
        left.order = false;
    }
    if matches!(event, Event::BecomeMaster(_) | Event::BecomeShadow(_)) {
        world.check.was_forced = true;
        world.check.permit_two(node, &world.nodes);
    }
    world.order(node, order);
}

/// What a walk saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub states: usize,
    pub transitions: u64,
    pub peaces: u64,
    pub seconds: f32,
    pub is_complete: bool,
    pub violation: Option<String>,
}

/// Sets of prints, in shares, so that workers seldom wait for each other.
struct Known(Vec<Mutex<HashSet<u128>>>);

impl Known {
    const SHARES: usize = 64;

    fn new() -> Self {
        Self((0..Self::SHARES).map(|_| Mutex::default()).collect())
    }

    fn share(&self, print: u128) -> std::sync::MutexGuard<'_, HashSet<u128>> {
        self.0[(print as usize) % Self::SHARES].lock().unwrap()
    }

    fn len(&self) -> usize {
        self.0.iter().map(|share| share.lock().unwrap().len()).sum()
    }
}

/// What the workers share.
struct Walk {
    waiting: Mutex<Vec<Place>>,
    busy: AtomicUsize,
    is_over: AtomicBool,
    known: Known,
    good: Known,
    transitions: AtomicU64,
    peaces: AtomicU64,
    violation: Mutex<Option<String>>,
}

/// Depth first, with as many workers as there are processors.
pub fn walk(budget: Budget, limit: Duration) -> Seen {
    let begun = Instant::now();
    let place = Place { world: healthy(budget.has_arbiter), left: budget, path: Vec::new() };
    let walk = Walk {
        waiting: Mutex::new(vec![place]),
        busy: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        known: Known::new(),
        good: Known::new(),
        transitions: AtomicU64::new(0),
        peaces: AtomicU64::new(0),
        violation: Mutex::new(None),
    };
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| walk.work(begun + limit));
        }
    });
    let is_complete = walk.waiting.lock().unwrap().is_empty() && !walk.is_over.load(Ordering::Relaxed);
    Seen {
        states: walk.known.len(),
        transitions: walk.transitions.into_inner(),
        peaces: walk.peaces.into_inner(),
        seconds: begun.elapsed().as_secs_f32(),
        is_complete,
        violation: walk.violation.into_inner().unwrap(),
    }
}

impl Walk {
    fn work(&self, end: Instant) {
        while !self.is_over.load(Ordering::Relaxed) {
            let place = {
                let mut waiting = self.waiting.lock().unwrap();
                let place = waiting.pop();
                if place.is_some() {
                    self.busy.fetch_add(1, Ordering::SeqCst);
                }
                place
            };
            let Some(place) = place else {
                if self.busy.load(Ordering::SeqCst) == 0 && self.waiting.lock().unwrap().is_empty() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            let path = place.path.clone();
            let outcome = self.follow(place, end);
            self.busy.fetch_sub(1, Ordering::SeqCst);
            if let Err(why) = outcome {
                self.violation.lock().unwrap().get_or_insert_with(|| format!("{why}\nbegan by: {path:?}"));
                self.is_over.store(true, Ordering::Relaxed);
            }
        }
    }

    /// From one place on, until a known state; what may befall on the way waits for its turn.
    fn follow(&self, mut place: Place, end: Instant) -> Result<(), String> {
        let left = &place.left;
        let mark = u128::from(left.crash) | u128::from(left.cut) << 1 | u128::from(left.order) << 2;
        loop {
            if let Some(why) = place.world.failure.take() {
                return Err(format!("{why}\npath: {:?}", place.path));
            }
            if Instant::now() > end {
                self.is_over.store(true, Ordering::Relaxed);
                return Ok(());
            }
            let now = print(&place.world);
            if !self.known.share(now).insert(now ^ mark) {
                return Ok(());
            }
            self.peace(&place, now)?;
            for event in EVENTS.iter().filter(|event| is_possible(&place, **event)) {
                let mut next = place.clone();
                befall(&mut next, *event);
                self.transitions.fetch_add(1, Ordering::Relaxed);
                let mut waiting = self.waiting.lock().unwrap();
                if waiting.len() > WAITING_MAX {
                    return Err("too many worlds wait".into());
                }
                waiting.push(next);
            }
            self.transitions.fetch_add(1, Ordering::Relaxed);
            // What changes nothing is no step.
            let mut idle = 0;
            while place.world.failure.is_none() && print(&place.world) == now {
                place.world.step();
                idle += 1;
                if idle > IDLE_STEPS_MAX {
                    return Ok(());
                }
            }
        }
    }

    /// Faults end, both run, an operator does what the rules leave to one: one active, one READY shadow.
    fn peace(&self, place: &Place, now: u128) -> Result<(), String> {
        let world = &place.world;
        let is_calm = world.net.cut == [false; 2] && world.nodes.iter().all(crate::sim::node::Node::is_up);
        // In calm what comes next is peace already: looked at once in a tick.
        if (is_calm && world.next_at() == Some(world.t)) || self.good.share(now).contains(&now) {
            return Ok(());
        }
        self.peaces.fetch_add(1, Ordering::Relaxed);
        let mut world = world.clone();
        world.net.heal();
        let end = world.t + PEACE_LIMIT_MS;
        let mut passed = vec![now];
        while world.t < end {
            for node in 0..2 {
                world.start(node);
            }
            chaos::operate(&mut world);
            world.run_until(world.t);
            if let Some(why) = world.failure.take() {
                return Err(format!("in peace: {why}\npath: {:?}", place.path));
            }
            let now = print(&world);
            if world.is_healthy() || self.good.share(now).contains(&now) {
                for print in passed {
                    self.good.share(print).insert(print);
                }
                return Ok(());
            }
            passed.push(now);
            world.run_until(world.t + TICK_MS);
        }
        let seen: Vec<_> = (0..2).map(|node| world.glance(node)).collect();
        Err(format!("no way out: {seen:?}\npath: {:?}", place.path))
    }
}
