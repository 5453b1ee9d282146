//! Settings of the arbiter that change while the pair runs, or differ between the two sides (spec 7.11): the checker judges every
//! step, never two active.

use standin::engine::base::{Condition, Role};
use standin::engine::input::Input;
use standin::engine::message::Body;
use standin::engine::order::Order;
use standin::engine::settings::Settings;
use standin::engine::status::Protection;

use crate::pair::{arbiter_settings, condition, cut_link, heal, holds, is_active, pair_of};
use crate::sim::world::World;

/// The file of that node says so from now on.
fn change(world: &mut World, node: usize, edit: impl FnOnce(&mut Settings)) {
    let mut settings = world.nodes[node].disk.settings.clone();
    edit(&mut settings);
    world.nodes[node].disk.settings = settings.clone();
    world.feed(node, Input::Settings(Box::new(settings)));
}

/// spec 7.11: a longer hold time counts for what is confirmed after it: the promise that was given before is the shorter one.
#[test]
fn a_longer_hold_extends_no_confirmation() {
    for wait_ms in (0..700).step_by(50) {
        let mut world = pair_of(&arbiter_settings());
        world.arbiter.cut[0] = true;
        cut_link(&mut world);
        world.run_until(world.t + wait_ms);
        change(&mut world, 0, |settings| settings.arbiter.hold = 30_000);
        world.run_until(world.t + 15_000);
        assert_eq!(world.failure, None, "after {wait_ms} ms");
        assert!(is_active(&world, 1) && !is_active(&world, 0));
    }
}

/// spec 7.11: a master does not leave its arbiter while a shadow that still goes by it is away: that could be granted the role
#[test]
fn a_master_keeps_the_arbiter_its_absent_shadow_goes_by() {
    let mut world = pair_of(&arbiter_settings());
    type Edit = fn(&mut Settings);
    let refused = |world: &World, edit: Edit| {
        let mut settings = world.nodes[0].disk.settings.clone();
        edit(&mut settings);
        world.nodes[0].engine.as_ref().unwrap().refuses_settings(&settings).map(|problem| problem.what)
    };
    let edits: [(Edit, &str); 2] = [
        (|settings| settings.arbiter.endpoints.clear(), "arbiter.endpoints"),
        (|settings| settings.arbiter.prefix = "/another".into(), "arbiter.prefix"),
    ];
    for (edit, key) in edits {
        assert_eq!(refused(&world, edit), None, "it hears of it at once: {key}");
    }
    cut_link(&mut world);
    world.run_until(world.t + 1_000);
    for (edit, key) in edits {
        assert!(refused(&world, edit).unwrap().contains(key));
    }
    assert_eq!(refused(&world, |settings| settings.arbiter.endpoints.push("http://b:2379".into())), None);
    heal(&mut world);
    world.run_until(world.t + 5_000);
    world.order(1, Order::Disconnect);
    world.run_until(world.t + 1_000);
    assert_eq!(refused(&world, edits[0].0), None, "a shadow that has promised does not take over");
}

/// spec 7.5, 7.11: the same when it was stopped meanwhile: it does not become active from what is on disk alone, until it is told
/// that nobody was granted the role, or has its arbiter again
#[test]
fn a_master_that_lost_its_arbiter_while_stopped_waits() {
    let lose = |world: &mut World| {
        cut_link(world);
        world.crash(0, false);
        let endpoints = std::mem::take(&mut world.nodes[0].disk.settings.arbiter.endpoints);
        world.start(0);
        world.run_until(world.t + 20_000);
        assert!(!is_active(world, 0) && is_active(world, 1), "granted by the arbiter");
        assert_eq!(condition(world, 0), Some(Condition::BootHold));
        assert!(world.nodes[0].disk.alerts.values().any(|alert| alert.why.contains("which goes by one")));
        endpoints
    };
    let mut world = pair_of(&arbiter_settings());
    lose(&mut world);
    heal(&mut world);
    assert!(world.run_till(20_000, |world| world.nodes[0].disk.durable.role == Some(Role::Shadow)));
    let mut world = pair_of(&arbiter_settings());
    let endpoints = lose(&mut world);
    world.arbiter.cut[1] = true;
    change(&mut world, 0, |settings| settings.arbiter.endpoints = endpoints);
    world.crash(1, false);
    assert!(world.run_till(20_000, |world| is_active(world, 0)), "granted in its turn");
    // Both were told meanwhile: nobody goes by one any more.
    let mut world = pair_of(&arbiter_settings());
    for node in [0, 1] {
        change(&mut world, node, |settings| settings.arbiter.endpoints.clear());
    }
    world.run_until(world.t + 1_000);
    cut_link(&mut world);
    world.crash(0, false);
    world.crash(1, false);
    world.start(0);
    assert!(world.run_till(5_000, |world| is_active(world, 0)), "after its boot hold");
}

/// spec 7.11: an arbiter that is no longer asked is no trouble, whatever it answers or not
#[test]
fn an_arbiter_given_up_leaves_no_alert() {
    let mut world = pair_of(&arbiter_settings());
    world.arbiter.cut = [true; 2];
    world.run_until(world.t + 10_000);
    for node in [0, 1] {
        assert!(holds(&world, node, "H-024"), "node-{node}");
        change(&mut world, node, |settings| settings.arbiter.endpoints.clear());
    }
    world.run_until(world.t + 5_000);
    assert!(!holds(&world, 0, "H-024") && !holds(&world, 1, "H-024"));
}

/// spec 7.11: a shorter hold time takes nothing back that was confirmed: the service runs on.
#[test]
fn a_shorter_hold_stops_no_service() {
    let mut world = pair_of(&arbiter_settings());
    for node in [0, 1] {
        change(&mut world, node, |settings| settings.arbiter.hold = 60_000);
    }
    world.run_until(world.t + 70_000 - 1);
    for node in [0, 1] {
        change(&mut world, node, |settings| settings.arbiter.hold = 1_000);
    }
    for _ in 0..500 {
        world.run_until(world.t + 20);
        assert!(is_active(&world, 0) && world.nodes[0].service, "{:?}", condition(&world, 0));
    }
}

/// spec 7.11: a shorter hold time makes a failover shorter once what was promised before is over and the roles have changed;
/// until then the longer one is shown.
#[test]
fn a_shorter_hold_ends_in_a_shorter_failover() {
    let mut world = pair_of(&arbiter_settings());
    let longest = |world: &World| world.status(1).and_then(|status| status.arbiter).map(|it| it.longest_failover_ms);
    let short = longest(&world);
    for hold in [20_000, 1_000] {
        for node in [0, 1] {
            change(&mut world, node, |settings| settings.arbiter.hold = hold);
        }
        world.run_until(world.t + 8_000);
    }
    assert!(longest(&world) > Some(20_000), "the shadow still stands by its promise: {:?}", longest(&world));
    world.run_until(world.t + 25_000);
    assert_eq!(longest(&world), short, "t {}", world.t);
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| is_active(world, 1) && world.is_healthy()));
    world.run_until(world.t + 1_000);
    cut_link(&mut world);
    world.arbiter.cut[1] = true;
    let begun = world.t;
    assert!(world.run_till(30_000, |world| is_active(world, 0)));
    assert!(Some(world.t - begun) <= short, "{} ms, not {short:?}", world.t - begun);
    assert_eq!(world.failure, None);
}

/// spec 7.11, model A1: both conditions hold at the moment of becoming active, also for an old master in doubt: one that has
/// promised to the new master while its grant was under way does not use the grant.
#[test]
fn in_doubt_a_promise_given_while_the_grant_is_under_way_counts() {
    for wait_ms in (0..200).step_by(10) {
        let mut world = pair_of(&arbiter_settings());
        change(&mut world, 0, |settings| settings.high_availability.boot_hold = 5_000 + wait_ms);
        // The new master is granted its term, and its words do not arrive; then it loses the arbiter too.
        world.hold = Some((1, |body| matches!(body, Body::OfferTaken { .. } | Body::Answer(_) | Body::Renew(_))));
        world.order(0, Order::Switch { dry_run: false });
        assert!(world.run_till(10_000, |world| world.nodes[1].disk.durable.role == Some(Role::Master)));
        assert!(world.run_till(10_000, |world| world.nodes[1].service));
        world.arbiter.cut[1] = true;
        world.arbiter.delay_ms = (60, 65);
        assert!(world.run_till(10_000, |world| condition(world, 0) == Some(Condition::InDoubt)));
        let asks = |world: &World| world.arbiter.open.keys().any(|(node, ..)| *node == 0);
        assert!(world.run_till(10_000, asks));
        // Its renewals arrive, and nothing else.
        world.hold = Some((1, |body| matches!(body, Body::OfferTaken { .. } | Body::Answer(_))));
        world.held.clear();
        world.run_until(world.t + 10_000);
        assert_eq!(world.failure, None, "after {wait_ms} ms");
    }
}

/// spec 7.11, 8.9: a shadow without arbiter does not take over from a master that has one (and lives by its word), and says so.
#[test]
fn a_shadow_without_the_masters_arbiter_does_not_take_over() {
    let mut world = pair_of(&arbiter_settings());
    change(&mut world, 1, |settings| settings.arbiter.endpoints.clear());
    world.run_until(world.t + 1_000);
    for node in [0, 1] {
        let status = world.status(node).unwrap();
        assert_eq!(status.protection, Protection::None, "{}", status.protection_message);
        assert!(status.protection_message.contains("arbiter"), "{}", status.protection_message);
    }
    cut_link(&mut world);
    world.run_until(world.t + 20_000);
    assert_eq!(world.failure, None);
    assert!(is_active(&world, 0) && !is_active(&world, 1));
}

/// spec 7.11: the other way round, where the shadow has one and the master asks nobody.
#[test]
fn a_shadow_does_not_take_over_from_a_master_that_asks_nobody() {
    let mut world = pair_of(&arbiter_settings());
    change(&mut world, 0, |settings| settings.arbiter.endpoints.clear());
    world.run_until(world.t + 1_000);
    cut_link(&mut world);
    world.run_until(world.t + 20_000);
    assert_eq!(world.failure, None);
    assert!(is_active(&world, 0) && !is_active(&world, 1));
}

/// spec 7.5, 7.11: an arbiter that is given up while a former master waits for it: its shadow, which may still be granted the role,
/// has to answer.
#[test]
fn a_hold_ends_with_an_answer_when_the_arbiter_is_given_up() {
    let mut world = pair_of(&arbiter_settings());
    world.crash(1, true);
    world.crash(0, true);
    world.arbiter.is_up = false;
    world.start(0);
    world.run_until(world.t + 5_000);
    assert_eq!(condition(&world, 0), Some(Condition::BootHold));
    world.check.has_arbiter = false;
    change(&mut world, 0, |settings| settings.arbiter.endpoints.clear());
    world.run_until(world.t + 10_000);
    assert_eq!(condition(&world, 0), Some(Condition::BootHold));
    world.start(1);
    assert!(world.run_till(10_000, |world| is_active(world, 0)), "{:?}", condition(&world, 0));
}

/// spec 7.5, 7.11: the same for one that nobody confirmed.
#[test]
fn an_isolation_ends_with_an_answer_when_the_arbiter_is_given_up() {
    let mut world = pair_of(&arbiter_settings());
    world.crash(1, true);
    world.arbiter.is_up = false;
    assert!(world.run_till(10_000, |world| condition(world, 0) == Some(Condition::Isolated)));
    world.run_until(world.t + 2_000);
    world.check.has_arbiter = false;
    change(&mut world, 0, |settings| settings.arbiter.endpoints.clear());
    world.run_until(world.t + 10_000);
    assert_eq!(condition(&world, 0), Some(Condition::BootHold));
    world.start(1);
    assert!(world.run_till(10_000, |world| is_active(world, 0)), "{:?}", condition(&world, 0));
}

/// spec 7.11: two etcds are no common arbiter, whatever their addresses and prefixes say: both sides tell, and no shadow takes over
#[test]
fn two_etcds_are_no_common_arbiter() {
    let mut world = pair_of(&arbiter_settings());
    for (node, mark) in [(0, 7), (1, 7)] {
        world.feed(node, Input::ArbiterMark(mark));
    }
    world.run_until(world.t + 1_000);
    assert!((0..2).all(|node| !holds(&world, node, "H-029")));
    world.feed(0, Input::ArbiterMark(8));
    world.run_until(world.t + 1_000);
    for node in 0..2 {
        assert!(holds(&world, node, "H-029"), "node-{node}");
        assert_eq!(world.status(node).unwrap().protection, Protection::None, "node-{node}");
    }
    cut_link(&mut world);
    world.run_until(world.t + 20_000);
    assert!(!is_active(&world, 1));
    assert_eq!(world.failure, None);
    heal(&mut world);
    world.run_until(world.t + 5_000);
    // Other settings: it is not known any more which one that is, until one has answered.
    change(&mut world, 0, |settings| settings.arbiter.endpoints = vec!["http://other:2379".into()]);
    world.run_until(world.t + 1_000);
    assert!((0..2).all(|node| !holds(&world, node, "H-029")));
    world.feed(0, Input::ArbiterMark(7));
    assert!(world.run_till(20_000, World::is_healthy));
    assert_eq!(world.status(1).unwrap().protection, Protection::Full);
}
