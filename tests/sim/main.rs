//! Two engines in a virtual world: network, disks, clocks, services and operators that fail, driven by one seed.
//!
//! `cargo test --release --test sim` runs tens of thousands of lives. A failing seed prints the one command that replays it.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod pair;
mod script;
mod script_arbiter;
mod script_arbiter_traces;
mod script_disk;
mod script_drift;
mod script_isolation;
mod script_pause;
mod script_settings;
mod script_split;
mod script_stop;
mod script_walk;
mod service;
#[path = "sim.rs"]
mod sim;
mod steps;

use sim::chaos;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lives of the default run.
const SEEDS_DEFAULT: u64 = 60_000;
/// Time box of the default run, s.
const SECONDS_DEFAULT: u64 = 150;
/// What may happen once in a walk: a crash, a cut, a switch, another order, and whether only between ticks; with an arbiter and
/// without. The last ones are for a run of their own.
const WALKS: &[[bool; 5]] = &[
    [true, false, false, false, false],
    [false, true, false, false, false],
    [false, false, true, false, false],
    [false, false, false, true, false],
    [true, true, false, false, false],
    [true, false, true, false, false],
    [false, true, true, false, false],
    [true, false, false, true, false],
    [false, true, false, true, false],
    [false, false, true, true, false],
    [true, true, true, false, false],
    [true, false, true, true, false],
    [true, true, false, true, false],
    [false, true, true, true, false],
    [true, true, true, true, false],
    [true, true, true, true, true],
];
/// Time box of all exhaustive walks together, s; a walk gets an even share of what those before it have left.
const WALKS_SECONDS: u64 = 36;
/// The same in a debug build, s.
const WALKS_DEBUG_SECONDS: u64 = 12;
/// Pairs of worlds compared, with and without an arbiter.
const PAIRS_DEFAULT: u64 = 300;
/// The same in a debug build.
const PAIRS_DEBUG: u64 = 20;
/// In a debug build everything is some twenty times slower.
const DEBUG_SEEDS: u64 = 300;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One life; the error names what was violated and how to see it again.
fn live(seed: u64, trace: bool) -> Result<(), String> {
    let outcome = std::panic::catch_unwind(|| chaos::run(seed, trace));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "panic".into()))
    });
    outcome.map_err(|why| {
        format!(
            "seed {seed}: {why}\nreplay: STANDIN_SIM_SEED={seed} cargo test --release --test sim -- --exact replay --nocapture"
        )
    })
}

/// spec 7.1 to 7.16: many lives; checkers after every step (see `README.md` beside this file).
#[test]
fn lives() {
    let is_debug = cfg!(debug_assertions);
    let seeds = number("STANDIN_SIM_SEEDS").unwrap_or(if is_debug { DEBUG_SEEDS } else { SEEDS_DEFAULT });
    let seconds = number("STANDIN_SIM_SECONDS").unwrap_or(SECONDS_DEFAULT);
    let first = number("STANDIN_SIM_FIRST").unwrap_or(1);
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let failures: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let begun = Instant::now();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) && begun.elapsed() < Duration::from_secs(seconds) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        next.fetch_sub(1, Ordering::Relaxed);
                        break;
                    }
                    if let Err(why) = live(seed, false) {
                        let mut failures = failures.lock().unwrap();
                        failures.push(why);
                        if failures.len() >= number("STANDIN_SIM_FAILURES").unwrap_or(1) as usize {
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let ran = next.load(Ordering::Relaxed) - first;
    println!("{ran} lives in {:.1} s", begun.elapsed().as_secs_f32());
    if ran < seeds {
        println!("warning: fewer than the {seeds} lives wanted fitted into {seconds} s");
    }
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Lives that found something, each for the reason beside it: they pass now.
#[test]
fn lives_that_once_failed() {
    let seeds = [
        // A planned stop offered the role to one that had taken it by itself: in doubt for ever (spec 7.7).
        2_241_970, // A dial-back was closed with the question that an isolation had ended (spec 4.1).
        2_219_594,
        // A pause that an operator ended while the stop which had asked for it was under way (spec 7.9).
        2_297_162, // A role on offer was kept by a stop (spec 7.7, 7.9).
        347_199, 965_233,
        // A hold time was made shorter, and the arbiter forgot, while the master lived on its earlier confirmation (spec 7.11).
        30_490_971,
        // One that gave the role up had stalled while a scan was under way, and never asked for the one it waited for (spec 7.6, 7.12).
        32_870_738,
        // `become-shadow` while an offer of an earlier run was open: an answer to that took the role back meanwhile (spec 7.8).
        32_310_995, 32_578_927,
        // A word said as shadow that came after the one said as master, over an older connection (spec 7.1, 7.16).
        32_312_178,
        // A service that did not start again after a switch that was ended was left alone (spec 7.13).
        32_331_462,
        // A dial back that nobody answered in time was tried again after an hour, and H-013 stood till then (spec 4.1).
        32_504_397,
        // A maintenance that a longer pause for a restart covered was forgotten with that (spec 7.9).
        43_548_763,
        // `become-shadow` of an isolated master that could not be written: its checks made it active meanwhile (spec 7.8, 7.10).
        44_713_014,
        // A service that waited for the end of the one before it began after its time was over; of the simulator alone.
        44_486_569,
        // An arbiter that was wiped confirmed the old master, while the shadow could still use the term it had granted before (spec 7.11).
        50_242_086,
        // `reconnect`, said on the master in the middle of a `shadow disconnect`: the shadow said DISCONNECTED a second later, though
        // it was connected again by then (spec 4.4).
        60_963_457,
    ];
    for seed in seeds {
        live(seed, false).unwrap();
    }
}

/// Replays the life of `STANDIN_SIM_SEED` with a trace; does nothing without.
#[test]
fn replay() {
    if let Some(seed) = number("STANDIN_SIM_SEED") {
        live(seed, true).unwrap();
    }
}

/// architecture, Proof: every reachable state of the small model × every event, none without a way out. Each walk prints whether
/// it was complete within its time.
#[test]
fn walk() {
    let seconds = if cfg!(debug_assertions) { WALKS_DEBUG_SECONDS } else { WALKS_SECONDS };
    let end = Instant::now() + Duration::from_secs(seconds);
    let fixed = number("STANDIN_SIM_WALK_SECONDS").map(Duration::from_secs);
    let counts_parts = number("STANDIN_SIM_WALK_PARTS").is_some();
    let only = number("STANDIN_SIM_WALK_ONLY");
    for has_arbiter in [false, true] {
        for (index, [crash, cut, switch, order, at_ticks]) in WALKS.iter().copied().enumerate() {
            if only.is_some_and(|only| only != index as u64) {
                continue;
            }
            let budget = sim::walk::Budget { has_arbiter, crash, cut, switch, order, at_ticks };
            let walks_left = (WALKS.len() - index + if has_arbiter { 0 } else { WALKS.len() }) as u32;
            let share = end.saturating_duration_since(Instant::now()) / walks_left;
            let seen = sim::walk::walk(budget, fixed.unwrap_or(share), counts_parts);
            let whole = if seen.is_complete { "COMPLETE" } else { "as far as the time allows" };
            println!(
                "{:<40} {:>9} states {:>10} transitions {:>8} peaces {:>8} survivors {:>6.1} s  {whole}",
                budget.name(),
                seen.states,
                seen.transitions,
                seen.peaces,
                seen.alones,
                seen.seconds
            );
            for (name, values) in seen.parts {
                println!("    {values:>8} {name}");
            }
            assert!(seen.violation.is_none(), "{}", seen.violation.unwrap_or_default());
        }
    }
}

/// What the print of a walk leaves out decides nothing: worlds of one print have one future.
#[test]
fn worlds_of_one_print_are_one() {
    let pairs = number("STANDIN_SIM_PAIRS").unwrap_or(if cfg!(debug_assertions) { PAIRS_DEBUG } else { PAIRS_DEFAULT })
        as usize;
    for has_arbiter in [false, true] {
        let budget =
            sim::walk::Budget { has_arbiter, crash: true, cut: true, switch: true, order: true, at_ticks: false };
        let outcome = sim::walk::same::compare(budget, number("STANDIN_SIM_SEED").unwrap_or(1), pairs);
        println!("{} pairs of worlds compared", outcome.unwrap_or_else(|why| panic!("{why}")));
    }
}

/// The same seed lives the same life.
#[test]
fn lives_are_deterministic() {
    for seed in 1..4 {
        assert_eq!(chaos::digest(seed), chaos::digest(seed));
    }
}
