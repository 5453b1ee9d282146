//! What every script begins with: a pair with quick settings, and questions to it.

use standin::engine::base::{Condition, LinkState, Role};
use standin::engine::settings::Settings;

use crate::sim::world::World;

/// Of [`settings`], ms.
pub const BOOT_HOLD_MS: u64 = 2_000;
/// Of [`settings`], ms.
pub const DELAY_MS: u64 = 500;
/// Of [`arbiter_settings`], ms.
pub const HOLD_MS: u64 = 1_000;
/// Of [`arbiter_settings`], ms.
pub const BUDGET_MS: u64 = 300;
/// Promise of [`arbiter_settings`] is 1.3 s, the lease 2 s and a bit: all of it is over then.
pub const ALL_OVER_MS: u64 = 5_000;

/// A check every 100 ms, and all else in proportion.
pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.shadow.check_interval = 100;
    settings.shadow.takeover_delay = DELAY_MS;
    settings.shadow.request_timeout = 200;
    settings.shadow.connect_timeout = 200;
    settings.high_availability.boot_hold = BOOT_HOLD_MS;
    settings
}

/// The same with another delay, ms.
pub fn with_delay(takeover_delay: u64) -> Settings {
    let mut settings = settings();
    settings.shadow.takeover_delay = takeover_delay;
    settings
}

/// The same with a third vote.
pub fn arbiter_settings() -> Settings {
    let mut settings = settings();
    settings.arbiter.endpoints = vec!["http://arbiter:2379".into()];
    settings.arbiter.hold = HOLD_MS;
    settings.arbiter.stop_budget = BUDGET_MS;
    settings.arbiter.clock_error = 0;
    settings.arbiter.request_timeout = 200;
    settings
}

/// Node 0 active at term 1, node 1 its READY shadow. `STANDIN_SIM_TRACE` prints every step.
pub fn pair_of(settings: &Settings) -> World {
    let mut world = World::new(11, settings);
    world.trace = std::env::var("STANDIN_SIM_TRACE").is_ok();
    world.check.has_arbiter = settings.arbiter.is_set();
    world.start(0);
    world.start(1);
    assert!(world.run_till(20_000, World::is_healthy), "no pair: {:?}", world.failure);
    world.run_until(world.t + 500);
    world
}

/// As its disk has it, with the term.
pub fn role(world: &World, node: usize) -> (Option<Role>, u64) {
    let durable = &world.nodes[node].disk.durable;
    (durable.role, durable.term.0)
}

pub fn is_active(world: &World, node: usize) -> bool {
    world.status(node).is_some_and(|status| status.active)
}

pub fn condition(world: &World, node: usize) -> Option<Condition> {
    world.status(node).and_then(|status| status.condition)
}

pub fn state(world: &World, node: usize) -> Option<LinkState> {
    world.status(node).and_then(|status| status.state)
}

/// The alert is there, and not over.
pub fn holds(world: &World, node: usize, code: &str) -> bool {
    world.nodes[node].disk.alerts.values().any(|alert| alert.code == code && !alert.is_over)
}

/// No checker complains.
pub fn well(world: &World) {
    assert_eq!(world.failure, None);
}

/// It becomes a healthy pair within a minute.
pub fn healthy(world: &mut World) {
    assert!(world.run_till(60_000, World::is_healthy), "not well: {:?} {:?}", role(world, 0), role(world, 1));
    well(world);
}

/// What was held back on its way arrives.
pub fn release(world: &mut World) {
    world.hold = None;
    for (conn, end, item) in std::mem::take(&mut world.held) {
        world.put(conn, end, item);
    }
}

/// Nothing arrives any more; nobody is told.
pub fn cut_link(world: &mut World) {
    world.net.cut = [true, true];
    world.check.unseen_at = Some(world.t);
}

/// Nothing arrives any more, and both see their connections end.
pub fn break_link(world: &mut World) {
    cut_link(world);
    world.kill_conns();
}

/// Every way is open again, that to the arbiter too, and what was held back arrives.
pub fn heal(world: &mut World) {
    world.net.heal();
    world.arbiter.heal();
    release(world);
}
