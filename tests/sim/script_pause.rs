//! Maintenance, and the pause for a restart of the master (spec 7.9), when one of the two is restarted, late or gone meanwhile:
//! both show it all the while, and nobody takes over. The checker judges too.

use standin::engine::base::{LinkState, Role};
use standin::engine::input::Input;
use standin::engine::message::Body;
use standin::engine::order::Order;
use standin::engine::settings::Settings;
use standin::engine::status::Protection;

use crate::pair::{
    arbiter_settings, break_link, heal, healthy, is_active, pair_of, release, role, settings, well, with_delay,
};
use crate::sim::world::World;

const LONG_MS: u64 = 600_000;

fn paused(world: &World) -> [bool; 2] {
    [0, 1].map(|node| world.glance(node).is_some_and(|glance| glance.is_paused))
}

/// In maintenance, ordered on that node.
fn maintained(settings: &Settings, by: usize) -> World {
    let mut world = pair_of(settings);
    let order = world.order(by, Order::Maintenance { for_ms: LONG_MS });
    world.run_until(world.t + 500);
    assert!(world.answers[&order].is_ok());
    assert_eq!(paused(&world), [true, true]);
    world
}

fn restart(world: &mut World, node: usize) {
    world.crash(node, false);
    world.run_until(world.t + 100);
    world.start(node);
    assert!(world.run_till(20_000, World::is_healthy));
    world.run_until(world.t + 500);
}

/// spec 7.9: whoever ordered it, whichever of the two is restarted, in whatever order: both are in maintenance with its end
#[test]
fn maintenance_outlives_restarts_of_either_side() {
    for settings in [settings(), arbiter_settings()] {
        for by in [0, 1] {
            let mut world = maintained(&settings, by);
            let end = world.t + LONG_MS;
            for node in [1, 0, 0, 1, 1] {
                restart(&mut world, node);
                assert_eq!(paused(&world), [true, true], "by {by}, node {node} restarted");
            }
            world.run_until(end - 20_000);
            assert_eq!(paused(&world), [true, true]);
            world.run_until(end + 20_000);
            assert_eq!(paused(&world), [false, false], "it has an end, the one that was ordered");
            well(&world);
        }
    }
}

/// spec 7.9: a master that dies during maintenance is not replaced, though its shadow was restarted meanwhile
#[test]
fn a_restarted_shadow_takes_over_from_nobody_during_maintenance() {
    for settings in [settings(), arbiter_settings()] {
        let mut world = maintained(&settings, 0);
        restart(&mut world, 1);
        world.crash(0, false);
        world.run_until(world.t + 60_000);
        assert_eq!(role(&world, 1), (Some(Role::Shadow), 1));
        assert_eq!(world.status(1).unwrap().protection, Protection::Paused);
        let end = world.order(1, Order::Maintenance { for_ms: 0 });
        assert!(world.run_till(30_000, |world| is_active(world, 1)));
        assert!(world.answers[&end].is_ok());
        well(&world);
    }
}

/// spec 7.9, 7.4: nor does one that does not find its master again after its restart, with an arbiter that would grant the role
#[test]
fn a_shadow_restarted_alone_takes_over_from_nobody_during_maintenance() {
    let mut world = maintained(&arbiter_settings(), 0);
    world.crash(1, false);
    world.crash(0, false);
    world.start(1);
    world.run_until(world.t + LONG_MS / 2);
    assert_eq!(role(&world, 1), (Some(Role::Shadow), 1));
    world.start(0);
    healthy(&mut world);
    assert_eq!(paused(&world), [true, true]);
}

/// Holds the acknowledgement back until the order was refused.
fn refused_late(world: &mut World, by: usize, order: Order) {
    world.hold = Some((1 - by, |body| matches!(body, Body::PauseHeard { .. })));
    let id = world.order(by, order);
    assert!(world.run_till(5_000, |world| world.answers.contains_key(&id)));
    assert!(world.answers[&id].is_err());
    assert!(paused(world)[1 - by], "it had heard of it");
    release(world);
    world.run_until(world.t + 1_000);
}

/// spec 7.9: an acknowledgement that comes too late leaves nobody in a maintenance that was refused
#[test]
fn a_maintenance_that_was_refused_is_on_neither_side() {
    for by in [0, 1] {
        let mut world = pair_of(&settings());
        refused_late(&mut world, by, Order::Maintenance { for_ms: LONG_MS });
        assert_eq!(paused(&world), [false, false], "by {by}");
        assert!((0..2).all(|node| world.status(node).unwrap().protection == Protection::Full));
        let again = world.order(by, Order::Maintenance { for_ms: LONG_MS });
        world.run_until(world.t + 500);
        assert!(world.answers[&again].is_ok());
        assert_eq!(paused(&world), [true, true]);
        well(&world);
    }
}

/// spec 7.9: the same over a connection that ended meanwhile
#[test]
fn a_refused_maintenance_is_taken_back_over_the_next_connection() {
    for by in [0, 1] {
        let mut world = pair_of(&settings());
        world.net.delay_ms = (5, 5);
        world.hold = Some((1 - by, |body| matches!(body, Body::PauseHeard { .. })));
        let id = world.order(by, Order::Maintenance { for_ms: LONG_MS });
        assert!(world.run_till(1_000, |world| paused(world)[1 - by]), "by {by}");
        world.net.cut = [true, true];
        world.kill_conns();
        world.hold = None;
        world.held.clear();
        assert!(world.run_till(5_000, |world| world.answers.contains_key(&id)));
        assert!(world.answers[&id].is_err());
        if by == 0 {
            heal(&mut world);
            healthy(&mut world);
            world.run_until(world.t + 1_000);
            assert_eq!(paused(&world), [false, false], "by {by}");
        } else {
            // Its own order was refused: it is free to take over, and the new master knows of no maintenance.
            assert!(world.run_till(10_000, |world| is_active(world, 1)));
            heal(&mut world);
            healthy(&mut world);
            world.run_until(world.t + 1_000);
            assert_eq!(paused(&world), [false, false], "by {by}");
        }
    }
}

/// spec 7.9: a restart that was refused, because the shadow was late, pauses nothing
#[test]
fn a_restart_that_was_refused_pauses_nothing() {
    let mut world = pair_of(&settings());
    refused_late(&mut world, 0, Order::Stop { keep_role: true });
    assert_eq!(paused(&world), [false, false]);
    assert_eq!(world.status(1).unwrap().protection, Protection::Full);
    world.crash(0, false);
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    well(&world);
}

/// spec 7.9: an end that one side was told alone ends it on the other when the two meet
#[test]
fn an_end_during_a_cut_counts_for_both() {
    for by in [0, 1] {
        let mut world = maintained(&settings(), 0);
        break_link(&mut world);
        world.run_until(world.t + 2_000);
        let end = world.order(by, Order::Maintenance { for_ms: 0 });
        assert!(world.answers.get(&end).is_some_and(Result::is_ok), "by {by}: {:?}", world.answers.get(&end));
        heal(&mut world);
        healthy(&mut world);
        world.run_until(world.t + 1_000);
        assert_eq!(paused(&world), [false, false], "by {by}");
    }
}

/// spec 7.9: two orders at one moment: both sides have the master's
#[test]
fn of_two_orders_at_one_moment_the_masters_counts() {
    let mut world = pair_of(&settings());
    let other = world.order(1, Order::Maintenance { for_ms: 5_000 });
    let kept = world.order(0, Order::Maintenance { for_ms: LONG_MS });
    world.run_until(world.t + 3_000);
    assert!(world.answers[&kept].is_ok() && world.answers[&other].is_err());
    world.run_until(world.t + 20_000);
    assert_eq!(paused(&world), [true, true]);
    well(&world);
}

/// spec 7.9: a maintenance and the pause for a restart of the master: neither cuts the other short
#[test]
fn maintenance_and_a_restart_do_not_cut_each_other_short() {
    let mut world = maintained(&settings(), 0);
    world.order(0, Order::Stop { keep_role: true });
    assert!(world.run_till(5_000, |world| !world.nodes[0].is_up()));
    world.run_until(world.t + LONG_MS / 2);
    assert_eq!(role(&world, 1).0, Some(Role::Shadow), "the maintenance goes on");
    world.start(0);
    healthy(&mut world);
    assert_eq!(paused(&world), [true, true]);
    let mut world = pair_of(&settings());
    world.nodes[0].guard.uses_grace = true;
    world.order(0, Order::Stop { keep_role: true });
    world.order(1, Order::Maintenance { for_ms: 1_000 });
    assert!(world.run_till(5_000, |world| !world.nodes[0].is_up()));
    world.run_until(world.t + 60_000);
    assert_eq!(role(&world, 1).0, Some(Role::Shadow), "it waits for the restart");
    assert!(world.run_till(70_000, |world| is_active(world, 1)), "not for ever");
    well(&world);
}

/// spec 7.9: a maintenance that the pause for a restart covers goes on when an operator ends that by making the shadow master
#[test]
fn a_maintenance_outlives_the_restart_that_covers_it() {
    let mut world = pair_of(&settings());
    world.order(0, Order::Maintenance { for_ms: 60_000 });
    world.run_until(world.t + 500);
    let end = world.t + 60_000;
    world.order(0, Order::Stop { keep_role: true });
    assert!(world.run_till(5_000, |world| !world.nodes[0].is_up()));
    world.run_until(world.t + 1_000);
    let order = world.order(1, Order::BecomeMaster { without_arbiter: false });
    assert!(world.run_till(20_000, |world| is_active(world, 1)));
    assert!(world.answers[&order].is_ok() && paused(&world)[1]);
    world.start(0);
    healthy(&mut world);
    assert_eq!(paused(&world), [true, true]);
    world.crash(1, false);
    world.run_until(end - 5_000);
    assert_eq!(role(&world, 0).0, Some(Role::Shadow), "nobody takes over during maintenance");
    assert!(world.run_till(60_000, |world| is_active(world, 0)), "after it somebody does");
    well(&world);
}

/// spec 7.9: a restart that found no shadow that could take over lets none become READY meanwhile
#[test]
fn a_restart_makes_no_shadow_ready_meanwhile() {
    let state = |world: &World| world.glance(1).and_then(|glance| glance.state);
    for seed in 1..=20 {
        let mut world = World::new(seed, &with_delay(0));
        world.start(0);
        world.run_until(world.t + 500);
        world.start(1);
        assert!(world.run_till(20_000, |world| state(world) == Some(LinkState::Initsync)));
        assert!(is_active(&world, 0) && !world.nodes[0].disk.durable.may_take_over);
        // The service takes its time to stop.
        world.order(0, Order::Stop { keep_role: true });
        world.run_until(world.t + 5_000);
        assert_eq!(role(&world, 1).0, Some(Role::Shadow), "seed {seed}");
        well(&world);
    }
}

/// spec 7.9: a master that cannot write refuses a maintenance, and its shadow is in none either, however many writes fail
#[test]
fn a_maintenance_that_cannot_be_noted_is_on_neither_side() {
    for edit in [false, true] {
        let mut world = pair_of(&settings());
        world.nodes[0].persist_fails = true;
        if edit {
            // Each check tells the master of timing that it cannot write.
            let mut changed = world.nodes[1].disk.settings.clone();
            changed.shadow.takeover_delay += 100;
            world.nodes[1].disk.settings = changed.clone();
            world.feed(1, Input::Settings(Box::new(changed)));
        }
        let order = world.order(0, Order::Maintenance { for_ms: LONG_MS });
        world.run_until(world.t + 1_000);
        assert!(world.answers[&order].is_err());
        assert_eq!(paused(&world), [false, false], "edited: {edit}");
        well(&world);
    }
}

/// spec 7.7, 7.9: a role that was offered is not kept: whoever has the offer does not pause
#[test]
fn a_role_on_offer_is_not_kept() {
    let mut world = pair_of(&settings());
    world.hold =
        Some((1, |body| matches!(body, Body::OfferTaken { .. } | Body::OfferRefused { .. } | Body::Answer(_))));
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| world.nodes[0].disk.durable.offer.is_some()));
    let stop = world.order(0, Order::Stop { keep_role: true });
    world.run_until(world.t + 100);
    let problem = world.answers.get(&stop).cloned().unwrap().unwrap_err();
    assert!(problem.why.contains("offered to node-1"), "{problem:?}");
    release(&mut world);
    healthy(&mut world);
    assert!(is_active(&world, 1), "the switch goes through");
}
