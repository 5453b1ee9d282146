//! What a disk that takes no writes for a while must not lead to; and other things that random lives found.

use standin::engine::base::{LinkState, Role};
use standin::engine::message::Body;
use standin::engine::order::Order;

use crate::pair::{arbiter_settings, pair_of, with_delay};
use crate::sim::world::World;

/// spec 7.1: a master that says welcome has answered: a shadow whose disk cannot note it does not take over when the disk takes
/// writes again at the very end of the delay, whatever the delay.
#[test]
fn a_master_that_answers_is_not_replaced_for_a_full_disk_of_the_shadow() {
    // With no delay the end of the connection alone decides; from then on each welcome is an answer.
    for (delay_ms, first_ms) in [(500, 0), (0, 300)] {
        for wait_ms in (first_ms..900).step_by(7) {
            let mut world = pair_of(&with_delay(delay_ms));
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
    let mut world = pair_of(&arbiter_settings());
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

/// spec 7.8: a restored or copied home, too, is made master with the arbiter's grant or against its silence by the second word,
/// never by the first alone.
#[test]
fn a_copied_home_does_not_overrule_the_arbiter_by_itself() {
    let mut world = pair_of(&arbiter_settings());
    world.crash(0, false);
    let is_replaced = |world: &World| world.glance(1).is_some_and(|seen| seen.is_active);
    assert!(world.run_till(20_000, is_replaced), "not replaced");
    world.nodes[0].disk.is_copied = true;
    world.net.cut = [true, true];
    world.start(0);
    world.run_until(world.t + 100);
    let id = world.order(0, Order::BecomeMaster { without_arbiter: false });
    world.run_until(world.t + 100);
    assert!(matches!(world.answers.get(&id), Some(Err(_))), "{:?}", world.answers.get(&id));
    assert_eq!(world.failure, None);
}

/// spec 7.7: an order to switch that waits for the shadow is answered too when a later one is carried out before it.
#[test]
fn a_switch_that_waits_is_answered_when_another_one_begins() {
    for pause_ms in (0..400).step_by(5) {
        let mut world = pair_of(&with_delay(500));
        world.edit(0);
        world.run_until(world.t + 30);
        let first = world.order(0, Order::Switch { dry_run: false });
        world.run_until(world.t + pause_ms);
        let second = world.order(0, Order::Switch { dry_run: false });
        let is_answered = |world: &World| [first, second].iter().all(|id| world.answers.contains_key(id));
        assert!(world.run_till(30_000, is_answered), "an order was not answered after {pause_ms} ms");
        assert_eq!(world.failure, None);
    }
}

/// spec 5.3, 7.3, 7.8: a revision that is being written comes first: neither a takeover nor `become-master` is carried out before
/// its end, so that it does not overwrite what is edited on the new master.
#[test]
fn a_revision_being_written_comes_before_a_new_master() {
    for is_forced in [false, true] {
        let mut caught = 0;
        for draws in 0..20 {
            let mut world = pair_of(&with_delay(if is_forced { 3_000 } else { 0 }));
            for _ in 0..draws {
                world.random.next();
            }
            world.edit(0);
            assert!(world.run_till(5_000, |world| world.nodes[1].applying.is_some()), "nothing is applied");
            world.crash(0, false);
            world.run_till(100, |world| world.glance(1).unwrap().state == Some(LinkState::Lost));
            caught += u32::from(world.nodes[1].applying.is_some());
            let order = is_forced.then(|| world.order(1, Order::BecomeMaster { without_arbiter: false }));
            assert!(world.run_till(2_000, |world| world.nodes[1].role() == Some(Role::Master)), "no new master");
            assert_eq!(world.nodes[1].applying, None, "master in the middle of an apply");
            world.edit(1);
            world.run_until(world.t + 500);
            assert!(order.is_none_or(|order| world.answers[&order].is_ok()));
            world.start(0);
            assert!(world.run_till(60_000, World::is_healthy), "not well: {:?}", world.failure);
            assert_eq!(world.check.nothing_lost(&world.nodes), Ok(()));
        }
        assert!(caught > 5, "the moment was met only {caught} times");
    }
}

/// spec 7.5, 7.8: `ha resume` and `become-master` end the boot hold on the operator's word; a shadow that takes the run before for alive cannot be told, and
/// may take over by silence. The higher term stays (spec 7.6), and once the shadow follows this run nothing is permitted any more.
#[test]
fn a_resume_that_the_shadow_does_not_hear_is_the_operators_word() {
    let is_active = |world: &World, node| world.glance(node).is_some_and(|seen| seen.is_active);
    let mut both = 0;
    // Before the shadow has noticed anything: it waits 200 ms for the answer to a check.
    for wait_ms in (0..180).step_by(10) {
        let order = if wait_ms % 20 == 0 { Order::Resume } else { Order::BecomeMaster { without_arbiter: false } };
        let mut world = pair_of(&with_delay(0));
        world.crash(0, true);
        world.run_until(world.t + wait_ms);
        world.start(0);
        world.run_until(world.t + 15);
        world.order(0, order);
        let is_resumed = is_active(&world, 0);
        world.run_until(world.t + 300);
        both += u32::from(is_resumed && is_active(&world, 1));
        assert!(world.run_till(60_000, World::is_healthy), "not well: {:?}", world.failure);
        assert_eq!(world.check.resumed, None, "both know each other");
        world.run_until(world.t + 3_000);
        assert_eq!(world.failure, None);
    }
    assert!(both > 0, "the shadow never took over");
}

/// spec 7.7, 7.12: a shadow that was stalled takes no offer before it has heard something fresh, but it refuses one that it would
/// not take anyway: the master of a lower term has nothing fresh to tell, and waits for that answer.
#[test]
fn a_stalled_shadow_still_refuses() {
    let mut world = pair_of(&with_delay(500));
    world.nodes[1].start_fails = true;
    world.hold = Some((1, |body| matches!(body, Body::OfferRefused { .. })));
    world.order(0, Order::Switch { dry_run: false });
    let has_given_back =
        |world: &World| world.nodes[1].role() == Some(Role::Shadow) && world.nodes[1].disk.durable.term.0 == 2;
    assert!(world.run_till(10_000, has_given_back), "not given back");
    world.net.cut = [true, true];
    world.kill_conns();
    world.held.clear();
    world.hold = None;
    world.nodes[1].start_fails = false;
    world.run_until(world.t + 1_000);
    world.suspend(1, 10_000);
    world.run_until(world.t + 11_000);
    world.net.cut = [false, false];
    assert!(world.run_till(60_000, World::is_healthy), "in doubt for ever: {:?}", world.failure);
    assert_eq!(world.nodes[0].disk.durable.term.0, 3);
    assert_eq!(world.failure, None);
}

/// spec 7.5, 7.6: the home was copied, and the copy is started beside the one it was copied from: an answer of the shadow is given to
/// both, so it makes the copy not active; an operator does.
#[test]
fn a_copy_of_the_master_waits_for_an_operator() {
    for settings in [crate::pair::settings(), arbiter_settings()] {
        let mut world = pair_of(&settings);
        world.crash(0, false);
        world.nodes[0].disk.is_copied = true;
        world.start(0);
        world.run_until(world.t + 400);
        assert!(!crate::pair::is_active(&world, 0), "answered by a shadow that has not taken over");
        let why = world.nodes[0].disk.alerts.values().find(|alert| alert.code == "H-020").unwrap().why.clone();
        assert!(why.contains("only an operator"), "{why}");
        world.check.was_forced = true;
        world.check.permit_two(0, &world.nodes);
        let id = world.order(0, Order::Resume);
        world.run_until(world.t + 2_000);
        assert!(world.answers[&id].is_ok() && crate::pair::is_active(&world, 0), "{:?}", world.answers.get(&id));
        assert_eq!(world.failure, None);
    }
}

/// spec 7.4, 7.6: a copy of the shadow does not push the real one out, and takes over from nobody
#[test]
fn a_copy_of_the_shadow_does_not_connect_by_itself() {
    for settings in [crate::pair::settings(), arbiter_settings()] {
        let mut world = pair_of(&settings);
        world.crash(1, false);
        world.nodes[1].disk.is_copied = true;
        world.start(1);
        world.run_until(world.t + 2_000);
        assert_eq!(crate::pair::state(&world, 1), Some(standin::engine::base::LinkState::Disconnected));
        world.crash(0, false);
        world.run_until(world.t + 20_000);
        assert!(!crate::pair::is_active(&world, 1));
        world.start(0);
        world.run_until(world.t + 5_000);
        world.order(1, Order::Connect);
        assert!(world.run_till(30_000, World::is_healthy));
        assert_eq!(world.failure, None);
    }
}
