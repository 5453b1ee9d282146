//! The traces of the protocol model that were written for a pair without arbiter, once more with one: what may go on by time, by a
//! note on disk or by force alone there, needs a confirmation or a grant here (spec 7.5, 7.7, 7.8, 7.11).

use standin::engine::base::{Condition, Role};
use standin::engine::input::Input;
use standin::engine::message::Body;
use standin::engine::order::Order;
use standin::engine::settings::SettingsPatch;
use standin::engine::status::Protection;

use crate::pair::{
    ALL_OVER_MS, BOOT_HOLD_MS, arbiter_settings, break_link, cut_link, heal, healthy, holds, is_active, pair_of, role,
    well,
};
use crate::sim::world::World;

fn pair() -> World {
    pair_of(&arbiter_settings())
}

/// spec 7.3, 7.8, model B2: a role forced on the isolated former master is not had without the grant, and no term is shared.
#[test]
fn b2_a_forced_role_waits_for_its_grant() {
    let mut world = pair();
    break_link(&mut world);
    world.arbiter.cut[0] = true;
    assert!(world.run_till(20_000, |world| is_active(world, 1)), "{:?}", world.failure);
    world.check.was_forced = true;
    world.order(0, Order::BecomeShadow);
    world.run_until(world.t + 1_000);
    world.order(0, Order::BecomeMaster { without_arbiter: false });
    world.run_until(world.t + 2 * ALL_OVER_MS);
    assert!(!is_active(&world, 0), "active without a grant");
    assert_eq!(role(&world, 1), (Some(Role::Master), 2));
    heal(&mut world);
    healthy(&mut world);
    assert_ne!(role(&world, 0).1 % 2, u64::from(role(&world, 0).0 == Some(Role::Shadow)), "its own term");
}

/// spec 7.16, model B3, C2: of two shadows one takes over, by grant, and not the one an operator made shadow.
#[test]
fn b3_c2_of_two_shadows_one_is_granted_the_role() {
    let mut world = pair();
    world.crash(1, false);
    world.run_until(world.t + 500);
    world.check.was_forced = true;
    world.order(0, Order::BecomeShadow);
    assert!(world.run_till(5_000, |world| role(world, 0).0 == Some(Role::Shadow)));
    world.run_until(world.t + ALL_OVER_MS);
    assert!(!is_active(&world, 0), "one that an operator made shadow takes nothing over by itself");
    world.start(1);
    healthy(&mut world);
    assert_eq!(world.check.takeovers, 1);
    assert_eq!(role(&world, 1), (Some(Role::Master), 2));
}

/// spec 2.5, 7.6, model C5: a master that forgot its shadow has no arbiter any more; it still gives way to the higher term.
#[test]
fn c5_after_a_reset_the_higher_term_still_counts() {
    let mut world = pair();
    break_link(&mut world);
    world.run_until(world.t + 300);
    // Whoever resets gives up what the arbiter guarantees (spec 2.5).
    world.check.was_without_arbiter = true;
    let order = world.order(0, Order::HaReset);
    assert!(world.run_till(20_000, |world| is_active(world, 1)), "{:?}", world.failure);
    assert!(world.answers[&order].is_ok(), "{:?}", world.answers[&order]);
    world.net.heal();
    assert!(world.run_till(20_000, |world| role(world, 0).0 == Some(Role::Shadow)), "two masters for ever");
    assert!(is_active(&world, 1));
    assert_eq!(world.failure, None);
}

/// spec 7.1, 7.5, 7.11, model D1, F1, F2: a master that dies and starts again at any moment of the promise, the lease or the
/// takeover: never two, and one of them goes on.
#[test]
fn d1_f1_f2_a_restart_at_any_moment() {
    for wait_ms in (0..4_000).step_by(100) {
        let mut world = pair();
        world.crash(0, wait_ms % 200 == 0);
        world.run_until(world.t + wait_ms);
        world.start(0);
        healthy(&mut world);
        world.run_until(world.t + 3_000);
        assert_eq!(world.failure, None, "after {wait_ms} ms");
    }
}

/// spec 7.5, 7.11, model F1: with its shadow mute, a former master that starts is resumed by the arbiter, not by its shadow's
/// checks; with both mute by nobody.
#[test]
fn f1_a_shadows_own_check_confirms_nobody() {
    let mut world = pair();
    world.crash(0, false);
    world.run_until(world.t + 50);
    world.arbiter.cut[0] = true;
    world.hold = Some((1, |body| matches!(body, Body::Answer(_) | Body::Confirm { .. })));
    world.start(0);
    world.run_until(world.t + 3 * BOOT_HOLD_MS);
    assert!(!is_active(&world, 0), "active though nobody confirmed it");
    heal(&mut world);
    healthy(&mut world);
}

/// spec 7.7, model D2: the new master's word is lost and so is the arbiter: the old one stays in doubt, and time changes nothing.
#[test]
fn d2_an_unanswered_offer_stays_in_doubt() {
    let mut world = pair();
    world.arbiter.is_up = false;
    world.hold = Some((1, |body| matches!(body, Body::OfferTaken { .. } | Body::Answer(_))));
    world.order(0, Order::Switch { dry_run: false });
    world.run_until(world.t + 30_000);
    assert!(!is_active(&world, 0), "took the role back by time");
    heal(&mut world);
    healthy(&mut world);
}

/// spec 7.7, 7.11: in doubt, with the new master gone, the arbiter's next term ends it after the boot hold.
#[test]
fn d2_in_doubt_the_arbiter_may_decide() {
    let mut world = pair();
    world.hold = Some((1, |body| matches!(body, Body::OfferTaken { .. } | Body::Answer(_))));
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(5_000, |world| role(world, 1) == (Some(Role::Master), 2)));
    world.crash(1, true);
    world.held.clear();
    world.hold = None;
    assert!(world.run_till(60_000, |world| is_active(world, 0)), "nobody for ever: {:?}", role(&world, 0));
    assert_eq!(role(&world, 0), (Some(Role::Master), 3));
    world.start(1);
    healthy(&mut world);
}

/// spec 7.5, 7.7, model D3: a crash with an open offer: neither the boot hold nor the old term's lease makes active.
#[test]
fn d3_an_open_offer_outlives_a_crash() {
    let mut world = pair();
    world.hold = Some((1, |body| matches!(body, Body::OfferTaken { .. })));
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(5_000, |world| role(world, 1) == (Some(Role::Master), 2)));
    world.crash(0, true);
    break_link(&mut world);
    world.hold = None;
    world.start(0);
    world.run_until(world.t + 20 * BOOT_HOLD_MS);
    assert!(!is_active(&world, 0));
    assert!(is_active(&world, 1), "the arbiter confirms the new one");
    assert_eq!(world.status(0).unwrap().condition, Some(Condition::InDoubt));
    heal(&mut world);
    healthy(&mut world);
    assert_eq!((role(&world, 0), role(&world, 1)), ((Some(Role::Shadow), 2), (Some(Role::Master), 2)));
}

/// spec 7.7, 7.9, model D4, E1, E2: an offer of an earlier run, delivered at any moment of the next, binds nobody.
#[test]
fn d4_e1_e2_an_offer_of_an_earlier_run_is_dropped() {
    for (is_stop, wait_ms) in [(true, 0), (true, 700), (true, 2_000), (false, 0), (false, 700), (false, 2_000)] {
        let mut world = pair();
        world.hold = Some((0, |body| matches!(body, Body::Offer(_))));
        if is_stop {
            world.order(0, Order::Stop { keep_role: false });
            assert!(world.run_till(10_000, |world| !world.nodes[0].is_up()), "does not stop");
        } else {
            world.order(0, Order::Switch { dry_run: false });
            assert!(world.run_till(10_000, |world| !world.held.is_empty()), "no offer");
            world.crash(0, false);
        }
        world.start(0);
        world.run_until(world.t + wait_ms);
        heal(&mut world);
        healthy(&mut world);
        world.run_until(world.t + 3_000);
        assert_eq!(world.failure, None, "stop {is_stop} after {wait_ms} ms");
    }
}

/// spec 7.7, model D5: the role was given back at the offered term and the refusal was lost: it goes on at a new term.
#[test]
fn d5_a_lost_refusal_leaves_nobody_without_a_master() {
    let mut world = pair();
    world.nodes[1].start_fails = true;
    world.hold = Some((1, |body| matches!(body, Body::OfferRefused { .. })));
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(20_000, |world| role(world, 1) == (Some(Role::Shadow), 2)), "not given back");
    world.kill_conns();
    world.run_until(world.t + 1_000);
    world.held.clear();
    world.hold = None;
    world.nodes[1].start_fails = false;
    healthy(&mut world);
    // Whoever is granted the next term first; the offered one is nobody's any more.
    assert!(role(&world, 0).1 > 2);
}

/// spec 7.1, 7.11, model G1: a master from a backup has a lower term: neither the shadow nor the arbiter confirms it.
#[test]
fn g1_a_restored_master_is_confirmed_by_nobody() {
    let mut world = pair();
    let backup = world.nodes[0].disk.durable.clone();
    for master in [0, 1] {
        world.order(master, Order::Switch { dry_run: false });
        assert!(world.run_till(5_000, |world| is_active(world, 1 - master)));
        healthy(&mut world);
        world.run_until(world.t + 500);
    }
    world.crash(0, false);
    let run = world.nodes[0].disk.durable.run;
    world.nodes[0].disk.durable = backup;
    world.nodes[0].disk.durable.run = run;
    break_link(&mut world);
    world.start(0);
    let end = world.t + 2_000;
    while world.t < end {
        world.run_until(world.t + 10);
        assert!(!(is_active(&world, 0) && role(&world, 0).1 < 3), "active at the term of the backup");
    }
    heal(&mut world);
    healthy(&mut world);
    assert!(role(&world, 0).1 > 3);
}

/// spec 7.11, 7.13: a required fence that runs longer than hold, promise and lease: both conditions hold at the moment of becoming
/// active, so the term is asked for again; a master that is confirmed meanwhile is not replaced.
#[test]
fn a_fence_that_outlasts_the_grant() {
    let mut settings = arbiter_settings();
    settings.hooks.fence = vec!["/bin/fence".into()];
    settings.hooks.fence_required = true;
    for fence_ms in [200, 900, 1_500, 4_000, 9_000] {
        let mut world = pair_of(&settings);
        world.nodes[1].fence_ms = fence_ms;
        world.crash(0, true);
        assert!(world.run_till(60_000, |world| is_active(world, 1)), "{fence_ms}: {:?}", world.failure);
        assert!(world.nodes[1].fenced >= 1);
        world.start(0);
        healthy(&mut world);
        let mut world = pair_of(&settings);
        world.nodes[1].fence_ms = fence_ms;
        world.crash(0, true);
        assert!(world.run_till(20_000, |world| world.nodes[1].fenced > 0));
        world.start(0);
        healthy(&mut world);
    }
}

/// spec 7.9, 7.11: who stops without a hand-over releases its lease before it ends, so that nobody waits for it to run out; with
/// the arbiter away it ends all the same, soon.
#[test]
fn a_planned_stop_releases_its_lease() {
    for is_away in [false, true] {
        let mut world = pair();
        world.crash(1, true);
        world.run_until(world.t + 3_000);
        world.arbiter.is_up = !is_away;
        world.order(0, Order::Stop { keep_role: false });
        let asked = world.t;
        assert!(world.run_till(10_000, |world| !world.nodes[0].is_up()), "does not stop");
        assert!(world.t - asked <= 4_000, "after {} ms", world.t - asked);
        let is_leased = world.arbiter.books.values().any(|book| book.lease.is_some());
        assert!(is_away || !is_leased, "the lease was not released");
        assert_eq!(world.failure, None);
    }
}

/// spec 7.11: an arbiter switched on or off on one side first: the two say that they do not agree, nobody is protected, and no
/// shadow takes over by its own rule until they do.
#[test]
fn an_arbiter_on_one_side_alone_protects_nobody() {
    let with = arbiter_settings();
    let mut without = arbiter_settings();
    without.arbiter.endpoints.clear();
    for (changed, from, to) in [(0, &with, &without), (1, &with, &without), (0, &without, &with), (1, &without, &with)]
    {
        let mut world = World::new(11, from);
        world.check.has_arbiter = from.arbiter.is_set();
        world.start(0);
        world.start(1);
        assert!(world.run_till(20_000, World::is_healthy), "no pair: {:?}", world.failure);
        world.run_until(world.t + 500);
        let mut new = world.nodes[changed].disk.settings.clone();
        new.arbiter = to.arbiter.clone();
        world.nodes[changed].disk.settings = new.clone();
        world.feed(changed, Input::Settings(Box::new(new)));
        world.run_until(world.t + 2_000);
        for node in 0..2 {
            assert!(holds(&world, node, "H-029"), "changed {changed}: node {node} does not say so");
            assert_eq!(world.status(node).unwrap().protection, Protection::None);
        }
        assert!(is_active(&world, 0));
        break_link(&mut world);
        world.run_until(world.t + 4 * ALL_OVER_MS);
        assert_eq!(role(&world, 1).0, Some(Role::Shadow), "took over by a rule the other does not know");
        world.net.heal();
        let other = 1 - changed;
        let mut new = world.nodes[other].disk.settings.clone();
        new.arbiter = to.arbiter.clone();
        world.nodes[other].disk.settings = new.clone();
        world.feed(other, Input::Settings(Box::new(new)));
        world.check.has_arbiter = to.arbiter.is_set();
        healthy(&mut world);
        world.run_until(world.t + 15_000);
        assert!((0..2).all(|node| !holds(&world, node, "H-029")));
        assert_eq!(world.failure, None);
    }
}

/// spec 7.11: a hold time that is made shorter counts at once: an arbiter that is wiped then pauses for the new one alone, and
/// whoever was confirmed for the old one is not active any more when the role is granted
#[test]
fn a_shorter_hold_time_outlasts_no_wiped_arbiter() {
    let mut settings = arbiter_settings();
    settings.arbiter.hold = 10_000;
    let mut world = pair_of(&settings);
    cut_link(&mut world);
    // The shadow's promise is over; only the arbiter confirms the master.
    world.run_until(world.t + 3 * ALL_OVER_MS);
    assert!(is_active(&world, 0));
    world.arbiter.wipe();
    world.arbiter.cut[1] = true;
    for node in [0, 1] {
        let patch = SettingsPatch { arbiter_hold: Some(500), ..SettingsPatch::default() };
        world.order(node, Order::Edit(patch));
    }
    let has_written = |world: &World| world.arbiter.books.values().any(|book| !book.record.known.is_empty());
    assert!(world.run_till(5_000, has_written), "the master never told it anew");
    world.arbiter.cut = [true, false];
    assert!(world.run_till(20_000, |world| is_active(world, 1)), "{:?}", world.failure);
    well(&world);
}

/// spec 7.11: the shadow was granted the term and cannot write it yet; the arbiter is wiped, and the old master starts again: at no
/// moment of all that two are active, and one goes on
#[test]
fn a_wiped_arbiter_does_not_confirm_beside_an_earlier_grant() {
    let mut settings = arbiter_settings();
    // The grant outlasts more than one try to write.
    settings.arbiter.hold = 5_000;
    for after_ms in (0..3_000).step_by(50) {
        let mut world = pair_of(&settings);
        world.nodes[1].persist_fails = true;
        world.crash(0, false);
        assert!(world.run_till(60_000, |world| world.arbiter.books.values().any(|book| book.record.term.0 == 2)));
        world.arbiter.wipe();
        world.run_until(world.t + after_ms);
        // The two do not hear each other: the arbiter alone decides.
        cut_link(&mut world);
        world.start(0);
        world.run_until(world.t + 20);
        world.nodes[1].persist_fails = false;
        world.run_until(world.t + ALL_OVER_MS);
        well(&world);
        heal(&mut world);
        healthy(&mut world);
        assert!(world.run_till(60_000, |world| !holds(world, 0, "H-025") && !holds(world, 1, "H-025")), "a vote again");
        well(&world);
    }
}
