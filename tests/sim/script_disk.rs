//! What a disk that takes no writes for a while must not lead to.

use standin::engine::base::{LinkState, Role};
use standin::engine::order::Order;
use standin::engine::settings::Settings;

use crate::sim::world::World;

fn settings(takeover_delay: u64) -> Settings {
    let mut settings = Settings::default();
    settings.shadow.check_interval = 100;
    settings.shadow.takeover_delay = takeover_delay;
    settings.shadow.request_timeout = 200;
    settings.shadow.connect_timeout = 200;
    settings.high_availability.boot_hold = 2_000;
    settings
}

fn pair_of(settings: &Settings) -> World {
    let mut world = World::new(13, settings);
    world.trace = std::env::var("STANDIN_SIM_TRACE").is_ok();
    world.check.has_arbiter = settings.arbiter.is_set();
    world.start(0);
    world.start(1);
    assert!(world.run_till(20_000, World::is_healthy), "no pair: {:?}", world.failure);
    world.run_until(world.t + 500);
    world
}

/// spec 7.1: a master that says welcome has answered: a shadow whose disk cannot note it does not take over when the disk takes
/// writes again at the very end of the delay, whatever the delay.
#[test]
fn a_master_that_answers_is_not_replaced_for_a_full_disk_of_the_shadow() {
    // With no delay the end of the connection alone decides; from then on each welcome is an answer.
    for (delay_ms, first_ms) in [(500, 0), (0, 300)] {
        for wait_ms in (first_ms..900).step_by(7) {
            let mut world = pair_of(&settings(delay_ms));
            world.nodes[1].persist_fails = true;
            // Another run of the master: its data are to be noted anew.
            world.crash(0, false);
            world.start(0);
            world.run_until(world.t + wait_ms);
            world.nodes[1].persist_fails = false;
            let is_well = world.run_till(60_000, World::is_healthy);
            assert_eq!(world.failure, None, "after {wait_ms} ms of a delay of {delay_ms}");
            assert!(is_well, "not well after {wait_ms} ms of a delay of {delay_ms}");
            assert_eq!(world.nodes[1].role(), Some(Role::Shadow), "after {wait_ms} ms of a delay of {delay_ms}");
        }
    }
}

/// spec 4.4, 7.11: a standing promise whose end could not be written ends when the disk takes writes again: READY is not lost
/// for good.
#[test]
fn a_promise_whose_end_was_not_written_ends_later() {
    let mut settings = settings(500);
    settings.arbiter.endpoints = vec!["http://arbiter:2379".into()];
    settings.arbiter.hold = 1_000;
    settings.arbiter.stop_budget = 300;
    settings.arbiter.request_timeout = 200;
    let mut world = pair_of(&settings);
    world.order(1, Order::Disconnect);
    let is_gone = |world: &World| world.glance(1).is_some_and(|seen| seen.state == Some(LinkState::Disconnected));
    assert!(world.run_till(5_000, is_gone), "not disconnected");
    world.order(1, Order::Connect);
    let is_attached = |world: &World| world.glance(1).is_some_and(|seen| seen.state == Some(LinkState::Initsync));
    assert!(world.run_till(5_000, is_attached), "not attached");
    world.nodes[1].persist_fails = true;
    world.run_until(world.t + 3_000);
    assert!(!world.is_healthy() && world.nodes[1].disk.durable.own_promise.is_some());
    world.nodes[1].persist_fails = false;
    assert!(world.run_till(30_000, World::is_healthy), "never READY again");
    assert_eq!(world.failure, None);
}
