//! A stop that has to be over sooner than the one under way: a switch gives the service time to end in peace (spec 2.4), and
//! meanwhile something happens that leaves none.

use standin::engine::base::{Condition, Role};
use standin::engine::message::Body;
use standin::engine::order::Order;
use standin::engine::settings::Settings;

use crate::pair::{
    BUDGET_MS, arbiter_settings, break_link, condition, heal, healthy, holds, is_active, pair_of, role, settings, well,
};
use crate::sim::world::World;

const GRACE_MS: u64 = 60_000;
/// The longest stop without an arbiter, and what the order takes on its way.
const SOON_MS: u64 = 600;

/// A pair in the middle of a switch: the service of node 0 has a minute to end in peace, and uses all of it.
fn switching(mut settings: Settings, is_unit: bool) -> World {
    settings.high_availability.grace_period = GRACE_MS;
    let mut world = pair_of(&settings);
    for node in &mut world.nodes {
        node.guard.is_unit = is_unit;
    }
    // As a service that ignores that it is to end.
    world.nodes[0].guard.uses_grace = true;
    world.order(0, Order::Switch { dry_run: false });
    world.run_until(world.t + 2_000);
    assert!(world.nodes[0].service && world.nodes[0].guard.ending_until.is_some(), "the service is being stopped");
    world
}

/// spec 7.11, 7.13, 2.4: a master that nobody confirms any more stops its service within the stop budget, whatever time a switch
/// gave it before; a unit has no guard that would.
#[test]
fn an_isolated_master_cuts_the_grace_of_a_switch_short() {
    for is_unit in [false, true] {
        let mut world = switching(arbiter_settings(), is_unit);
        world.arbiter.cut[0] = true;
        break_link(&mut world);
        assert!(world.run_till(5_000, |world| condition(world, 0) == Some(Condition::Isolated)), "unit: {is_unit}");
        world.run_until(world.t + BUDGET_MS + 10);
        assert!(!world.nodes[0].service, "unit: {is_unit}: it runs on");
        assert!(world.run_till(10_000, |world| is_active(world, 1)), "unit: {is_unit}");
        world.run_until(world.t + GRACE_MS);
        well(&world);
        heal(&mut world);
        healthy(&mut world);
    }
}

/// spec 7.6, 2.4: the loser of two masters stops its service at once, whatever time a switch gave it before
#[test]
fn a_loser_cuts_the_grace_of_a_switch_short() {
    let mut world = switching(settings(), false);
    break_link(&mut world);
    assert!(world.run_till(5_000, |world| is_active(world, 1)), "{:?}", condition(&world, 0));
    world.run_until(world.t + 8_000);
    assert!(world.nodes[0].service);
    heal(&mut world);
    assert!(world.run_till(5_000, |world| condition(world, 0) == Some(Condition::Stopping)));
    assert!(world.run_till(SOON_MS, |world| !world.nodes[0].service), "it runs on");
    healthy(&mut world);
    assert_eq!(world.nodes[0].role(), Some(Role::Shadow));
}

/// spec 7.9, 2.4: a planned stop during a switch does not wait for the rest of the grace
#[test]
fn a_planned_stop_cuts_the_grace_of_a_switch_short() {
    let mut world = switching(settings(), false);
    world.order(0, Order::Stop { keep_role: false });
    assert!(world.run_till(5_000, |world| !world.nodes[0].is_up()), "it waits for the grace");
    assert!(world.run_till(10_000, |world| is_active(world, 1)));
    well(&world);
}

/// spec 2.4: a stop with more time than the one under way gives it no more
#[test]
fn a_later_stop_gives_no_more_time() {
    let mut world = switching(settings(), false);
    let until = world.nodes[0].guard.ending_until;
    world.run_until(world.t + 30_000);
    assert_eq!(world.nodes[0].guard.ending_until, until);
    assert!(world.run_till(GRACE_MS, |world| is_active(world, 1)));
    healthy(&mut world);
}

/// spec 7.7, 7.9: a role that is on trial goes back when its new holder is stopped: the service runs on the other one
#[test]
fn a_stop_on_trial_gives_the_role_back() {
    for keep_role in [false, true] {
        let mut world = pair_of(&settings());
        world.nodes[1].start_ms = 2_000;
        world.order(0, Order::Switch { dry_run: false });
        assert!(world.run_till(5_000, |world| role(world, 1).0 == Some(Role::Master)));
        world.run_until(world.t + 100);
        let id = world.order(1, Order::Stop { keep_role });
        assert!(world.run_till(10_000, |world| is_active(world, 0) && world.nodes[0].service), "nobody is active");
        world.run_until(world.t + 1_000);
        assert!(world.answers[&id].is_ok(), "{:?}", world.answers.get(&id));
        assert_eq!(role(&world, 1).0, Some(Role::Shadow));
        assert_eq!(world.failure, None);
    }
}

/// spec 7.7: a service that needs long to count as started leaves no switch in doubt
#[test]
fn a_switch_waits_for_the_start_time() {
    let mut long = settings();
    long.service.start_time = 5_000;
    let mut world = pair_of(&long);
    world.nodes[1].start_ms = 5_000;
    let id = world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| world.answers.contains_key(&id)));
    assert!(world.answers[&id].is_ok(), "{:?}", world.answers[&id]);
    assert!(is_active(&world, 1));
}

/// spec 2.7, 7.9: a master that was stopped by plan has left, and is not silent
#[test]
fn a_master_that_was_stopped_by_plan_has_left() {
    let mut world = pair_of(&settings());
    world.order(0, Order::Stop { keep_role: false });
    assert!(world.run_till(5_000, |world| is_active(world, 1) && !world.nodes[0].is_up()));
    world.run_until(world.t + 20_000);
    assert_eq!(crate::pair::state(&world, 1), Some(standin::engine::base::LinkState::Alone));
    assert!(!holds(&world, 1, "H-010"));
    world.start(0);
    healthy(&mut world);
    world.crash(0, false);
    world.run_until(world.t + 5_000);
    assert!(holds(&world, 1, "H-010"), "this time it is");
}

/// spec 7.7: a switch that is ended while the service still has its time to end in peace lets it run
#[test]
fn a_switch_ends_with_its_shadow() {
    let mut slow = settings();
    slow.high_availability.grace_period = 5_000;
    let mut world = pair_of(&slow);
    let id = world.order(0, Order::Switch { dry_run: false });
    world.run_until(world.t + 1_000);
    world.crash(1, false);
    assert!(world.run_till(1_500, |world| world.answers.contains_key(&id)), "at once, not when the grace is over");
    assert!(world.answers[&id].is_err());
    world.run_until(world.t + 8_000);
    assert!(is_active(&world, 0) && world.nodes[0].service);
    assert_eq!(world.failure, None);
}

/// spec 7.7, 7.8: who is made shadow while it asks what became of an offer of its earlier run stays so: no answer gives the role back
#[test]
fn become_shadow_outlasts_the_answer_to_an_old_offer() {
    let mut world = pair_of(&settings());
    world.hold = Some((0, |body| matches!(body, Body::Offer(_))));
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(5_000, |world| world.nodes[0].disk.durable.offer.is_some()), "no offer");
    world.crash(0, false);
    world.held.clear();
    world.hold = None;
    world.run_until(world.t + 20);
    world.start(0);
    let order = world.order(0, Order::BecomeShadow);
    world.run_until(world.t + 300);
    assert!(world.answers.get(&order).is_some_and(Result::is_ok), "{:?}", world.answers.get(&order));
    assert_eq!(world.nodes[0].role(), Some(Role::Shadow));
    healthy(&mut world);
    assert_eq!(world.nodes[1].role(), Some(Role::Master));
}
