//! The exhaustive walk of a small model: from a healthy pair, between any two happenings, every event that may befall it, within a
//! budget of one crash (with a start at any later moment), one cut of one or both ways (with a heal at any later moment), one
//! switch and one other order. Time passes in ticks; what takes a moment takes none, and a connection keeps its order. States
//! that differ only in the time of day or in drawn numbers are one (see `print`, and `same` for the proof). From every state both
//! goals are tried (see `goal`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use standin::engine::settings::Settings;

use crate::sim::print::{parts, print};
use crate::sim::random::Random;
use crate::sim::world::World;

pub mod event;
mod goal;
pub mod same;

pub use event::Budget;
use event::{EVENTS, Place, befall, is_possible};

/// Nothing happens between two ticks, ms: as long as the shortest pauses of the rules that no setting changes.
const TICK_MS: u64 = 1_000;
/// Nothing changes for so many ticks: then nothing happens any more. Beyond the slowest of what the print leaves out (alerts of
/// an earlier run are given a minute).
const IDLE_TICKS_MAX: u64 = 64;
/// Worlds that wait at most; the walk goes depth first, so that few do.
const WAITING_MAX: usize = 50_000;

/// As short as the rules allow, in whole ticks: hold 2 (one renewal may be lost), stop budget 1, so a promise of 3.
fn settings(has_arbiter: bool) -> Settings {
    let mut settings = Settings::default();
    settings.shadow.check_interval = TICK_MS;
    settings.shadow.takeover_delay = TICK_MS;
    settings.shadow.request_timeout = TICK_MS;
    settings.shadow.connect_timeout = TICK_MS;
    settings.high_availability.boot_hold = 2 * TICK_MS;
    if has_arbiter {
        settings.arbiter.endpoints = vec!["http://arbiter:2379".into()];
        settings.arbiter.hold = 2 * TICK_MS;
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
    world.check.tick_ms = TICK_MS;
    world.start(0);
    world.start(1);
    assert!(world.run_till(30_000, World::is_healthy), "no pair to begin with: {:?}", world.failure);
    let settled = world.t + 8 * TICK_MS;
    world.run_until(settled);
    world
}

/// Nothing else happens at this moment.
fn is_between_ticks(world: &World) -> bool {
    world.next_at() != Some(world.t)
}

/// Goes on to the next state, `at_ticks`: between two of them; none: nothing changes any more, or a rule was broken.
fn next_state(world: &mut World, at_ticks: bool) -> Option<u128> {
    let before = print(world);
    let end = world.t + IDLE_TICKS_MAX * world.tick_ms;
    while world.t < end && world.next_at().is_some() {
        world.step();
        if world.failure.is_some() {
            return None;
        }
        if at_ticks && !is_between_ticks(world) {
            continue;
        }
        let now = print(world);
        if now != before {
            return Some(now);
        }
    }
    None
}

/// What a walk saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub states: usize,
    pub transitions: u64,
    pub peaces: u64,
    pub alones: u64,
    pub seconds: f32,
    pub is_complete: bool,
    pub violation: Option<String>,
    /// How many different values each part of the print took.
    pub parts: BTreeMap<String, usize>,
}

/// Prints are random enough as they are.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word).rotate_left(17);
        }
    }
}

type Prints = HashSet<u128, BuildHasherDefault<AsItIs>>;

/// Sets of prints, in shares, so that workers seldom wait for each other.
pub struct Known(Vec<Mutex<Prints>>);

impl Known {
    const SHARES: usize = 64;

    fn new() -> Self {
        Self((0..Self::SHARES).map(|_| Mutex::default()).collect())
    }

    fn share(&self, print: u128) -> std::sync::MutexGuard<'_, Prints> {
        self.0[(print >> 64) as usize % Self::SHARES].lock().unwrap()
    }

    /// True: it is new.
    pub fn insert(&self, print: u128) -> bool {
        self.share(print).insert(print)
    }

    fn insert_all(&self, prints: Vec<u128>) {
        for print in prints {
            self.insert(print);
        }
    }

    pub fn has(&self, print: u128) -> bool {
        self.share(print).contains(&print)
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
    /// By survivor.
    good_alone: [Known; 2],
    transitions: AtomicU64,
    peaces: AtomicU64,
    alones: AtomicU64,
    violation: Mutex<Option<String>>,
    /// Values of each part; none: not counted.
    parts: Option<Mutex<HashMap<String, HashSet<u128>>>>,
}

/// Depth first, with as many workers as there are processors.
pub fn walk(budget: Budget, limit: Duration, counts_parts: bool) -> Seen {
    let begun = Instant::now();
    let place = Place { world: healthy(budget.has_arbiter), left: budget, path: Vec::new() };
    let walk = Walk {
        waiting: Mutex::new(vec![place]),
        busy: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        known: Known::new(),
        good: Known::new(),
        good_alone: [Known::new(), Known::new()],
        transitions: AtomicU64::new(0),
        peaces: AtomicU64::new(0),
        alones: AtomicU64::new(0),
        violation: Mutex::new(None),
        parts: counts_parts.then(Mutex::default),
    };
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| walk.work(begun + limit));
        }
    });
    let is_complete = walk.waiting.lock().unwrap().is_empty() && !walk.is_over.load(Ordering::Relaxed);
    let parts = walk.parts.map(|parts| parts.into_inner().unwrap()).unwrap_or_default();
    Seen {
        states: walk.known.len(),
        transitions: walk.transitions.into_inner(),
        peaces: walk.peaces.into_inner(),
        alones: walk.alones.into_inner(),
        seconds: begun.elapsed().as_secs_f32(),
        is_complete,
        violation: walk.violation.into_inner().unwrap(),
        parts: parts.into_iter().map(|(name, values)| (name, values.len())).collect(),
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
                self.violation.lock().unwrap().get_or_insert_with(|| format!("{why}\npath: {path:?}"));
                self.is_over.store(true, Ordering::Relaxed);
            }
        }
    }

    /// From one place on, until a known state; what may befall on the way waits for its turn.
    fn follow(&self, mut place: Place, end: Instant) -> Result<(), String> {
        let mark = place.left.mark();
        let mut now = print(&place.world);
        loop {
            if let Some(why) = place.world.failure.take() {
                return Err(why);
            }
            if Instant::now() > end {
                self.is_over.store(true, Ordering::Relaxed);
                return Ok(());
            }
            if place.left.at_ticks && !is_between_ticks(&place.world) {
                // What befell it has to come to its end first.
                match next_state(&mut place.world, true) {
                    Some(next) => now = next,
                    None if place.world.failure.is_none() => return Ok(()),
                    None => {}
                }
                continue;
            }
            if !self.known.insert(now ^ mark) {
                return Ok(());
            }
            self.count_parts(&place.world);
            self.goals(&place.world, now)?;
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
            match next_state(&mut place.world, place.left.at_ticks) {
                Some(next) => now = next,
                None if place.world.failure.is_none() => return Ok(()),
                None => {}
            }
        }
    }

    /// See `goal`.
    fn goals(&self, world: &World, now: u128) -> Result<(), String> {
        // In calm what comes next is peace already: looked at once in a tick.
        let is_up = |node: usize| world.nodes[node].is_up();
        let is_calm = world.net.cut == [false; 2] && is_up(0) && is_up(1) && world.next_at() == Some(world.t);
        if !is_calm && !self.good.has(now) {
            self.peaces.fetch_add(1, Ordering::Relaxed);
            goal::peace(world, &self.good)?;
            self.good.insert(now);
        }
        for survivor in 0..2 {
            // That the other dies is an event of its own; that it never comes back is no event.
            if !is_up(1 - survivor) && !self.good_alone[survivor].has(now) {
                self.alones.fetch_add(1, Ordering::Relaxed);
                goal::alone(world, survivor, &self.good_alone[survivor])?;
                self.good_alone[survivor].insert(now);
            }
        }
        Ok(())
    }

    fn count_parts(&self, world: &World) {
        let Some(counted) = &self.parts else { return };
        for (name, value) in parts(world) {
            counted.lock().unwrap().entry(name).or_default().insert(value);
        }
    }
}
