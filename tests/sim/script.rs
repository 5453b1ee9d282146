//! The traces of the protocol model that concern a pair without arbiter, and the plain paths, as tests.

use standin::engine::base::{Condition, LinkState, Role, Term};
use standin::engine::message::{Body, FarewellKind, OfferKind};
use standin::engine::order::{Order, Reply};
use standin::engine::status::Protection;

use crate::pair::{BOOT_HOLD_MS, DELAY_MS, healthy, holds, is_active, pair_of, release, role, settings, state, well};
use crate::sim::world::World;

fn pair() -> World {
    pair_of(&settings())
}

fn cut(world: &mut World, is_cut: bool) {
    world.net.cut = [is_cut, is_cut];
    if is_cut {
        world.kill_conns();
    }
}

/// spec 7.1, 7.3: a READY shadow takes over after the delay, at its own next term; the former master comes back as its
/// shadow (7.5).
#[test]
fn a_dead_master_is_replaced_and_comes_back_as_shadow() {
    let mut world = pair();
    world.crash(0, false);
    let lost = world.t;
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    assert!(world.t - lost >= DELAY_MS && world.t - lost < DELAY_MS + 1_000);
    assert_eq!(role(&world, 1), (Some(Role::Master), 2));
    let notice = world.status(1).unwrap().notice.unwrap();
    assert!(notice.timeline.len() >= 3, "{notice:?}");
    world.start(0);
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Shadow), 2));
}

/// spec 7.5, model F1: a shadow's own hello and checks are not the answer to the boot question.
#[test]
fn f1_only_an_answer_to_the_own_question_ends_the_boot_hold() {
    let mut world = pair();
    world.crash(0, false);
    world.run_until(world.t + 50);
    world.hold = Some((1, |body| matches!(body, Body::Answer(_))));
    world.start(0);
    world.run_until(world.t + BOOT_HOLD_MS - 200);
    assert!(!is_active(&world, 0), "active without an answer");
    assert_eq!(world.status(0).unwrap().condition, Some(Condition::BootHold));
    world.hold = None;
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Master), 1));
}

/// spec 7.5, model F2: who says *not taken over* has cancelled the takeover that ran.
#[test]
fn f2_an_answer_cancels_the_takeover_under_way() {
    for wait_ms in (0..DELAY_MS + 100).step_by(10) {
        let mut world = pair();
        world.check.is_sync = true;
        world.crash(0, false);
        world.run_until(world.t + wait_ms);
        world.start(0);
        healthy(&mut world);
        world.run_until(world.t + 3_000);
        well(&world);
    }
}

/// spec 7.7, 7.9, model E1, E2, D4: an offer of an earlier run that arrives after the boot question is dropped.
#[test]
fn e1_e2_d4_an_offer_of_an_earlier_run_is_dropped() {
    let mut world = pair();
    world.check.is_sync = true;
    world.hold = Some((0, |body| matches!(body, Body::Offer(_))));
    world.order(0, Order::Stop { keep_role: false });
    assert!(world.run_till(10_000, |world| !world.nodes[0].is_up()), "does not stop");
    assert_eq!(world.nodes[0].disk.durable.offer.map(|offer| offer.kind), Some(OfferKind::Stop));
    world.start(0);
    assert!(world.run_till(5_000, |world| is_active(world, 0)));
    assert_eq!(role(&world, 0), (Some(Role::Master), 3));
    release(&mut world);
    healthy(&mut world);
    world.run_until(world.t + 3_000);
    assert_eq!((role(&world, 0), role(&world, 1)), ((Some(Role::Master), 3), (Some(Role::Shadow), 3)));
    well(&world);
}

/// spec 7.7, model D2: time alone never takes the role back.
#[test]
fn d2_an_unanswered_offer_stays_in_doubt() {
    let mut world = pair();
    world.check.is_sync = true;
    world.hold = Some((1, |body| matches!(body, Body::OfferTaken { .. } | Body::Answer(_))));
    let order = world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.run_until(world.t + 30_000);
    assert!(!is_active(&world, 0));
    assert_eq!(world.status(0).unwrap().condition, Some(Condition::InDoubt));
    assert!(world.answers[&order].is_err());
    assert!(world.nodes[0].disk.alerts.values().any(|alert| alert.code == "H-011" && !alert.is_over));
    world.hold = None;
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Shadow), 2));
}

/// spec 7.5, 7.7, model D3: after a crash with an open offer the boot hold never makes active; an operator may.
#[test]
fn d3_no_boot_hold_with_an_open_offer() {
    let mut world = pair();
    world.hold = Some((1, |body| matches!(body, Body::OfferTaken { .. })));
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.crash(0, true);
    cut(&mut world, true);
    world.hold = None;
    world.start(0);
    world.run_until(world.t + 20 * BOOT_HOLD_MS);
    assert!(!is_active(&world, 0));
    assert_eq!(world.status(0).unwrap().condition, Some(Condition::InDoubt));
    cut(&mut world, false);
    healthy(&mut world);
    assert_eq!((role(&world, 0), role(&world, 1)), ((Some(Role::Shadow), 2), (Some(Role::Master), 2)));
}

/// spec 7.7, model D5: the role was given back at the offered term and the refusal was lost: it goes on at a new term.
#[test]
fn d5_a_lost_refusal_leaves_nobody_without_a_master() {
    let mut world = pair();
    world.nodes[1].start_fails = true;
    world.hold = Some((1, |body| matches!(body, Body::OfferRefused { .. })));
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| role(world, 1) == (Some(Role::Shadow), 2)), "not given back");
    world.kill_conns();
    world.run_until(world.t + 1_000);
    world.held.clear();
    world.hold = None;
    world.nodes[1].start_fails = false;
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Master), 3));
}

/// spec 7.3, model B2: two instances never use one term, whatever is forced.
#[test]
fn b2_forced_roles_never_share_a_term() {
    let mut world = pair();
    cut(&mut world, true);
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.order(0, Order::BecomeShadow);
    assert!(world.run_till(5_000, |world| role(world, 0).0 == Some(Role::Shadow)));
    world.order(0, Order::BecomeMaster { without_arbiter: false });
    assert_eq!(role(&world, 0), (Some(Role::Master), 3));
    assert_eq!(role(&world, 1), (Some(Role::Master), 2));
    cut(&mut world, false);
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Master), 3));
}

/// spec 7.16, model B3, C2: two shadows that meet: exactly one takes over, and never the one an operator made shadow.
#[test]
fn b3_c2_of_two_shadows_exactly_one_takes_over() {
    let mut world = pair();
    world.crash(1, false);
    world.run_until(world.t + 500);
    world.order(0, Order::BecomeShadow);
    assert!(world.run_till(5_000, |world| role(world, 0).0 == Some(Role::Shadow)));
    world.run_until(world.t + 5_000);
    world.start(1);
    healthy(&mut world);
    assert_eq!(world.check.takeovers, 1);
    assert_eq!(role(&world, 1), (Some(Role::Master), 2));
}

/// spec 2.5, 7.6, model C5: a master that forgot its shadow still gives way to its higher term.
#[test]
fn c5_after_a_reset_the_higher_term_still_counts() {
    let mut world = pair();
    cut(&mut world, true);
    world.run_until(world.t + 300);
    let order = world.order(0, Order::HaReset);
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    assert!(world.answers[&order].is_ok(), "{:?}", world.answers[&order]);
    assert!(is_active(&world, 0));
    cut(&mut world, false);
    assert!(world.run_till(10_000, |world| role(world, 0).0 == Some(Role::Shadow)), "two masters for ever");
    assert!(is_active(&world, 1));
    well(&world);
}

/// spec 7.1, 7.5, model G1: nobody follows a master of a lower term, not even one from a backup.
#[test]
fn g1_a_restored_master_is_not_followed() {
    let mut world = pair();
    let backup = world.nodes[0].disk.durable.clone();
    for master in [0, 1] {
        world.order(master, Order::Switch { dry_run: false });
        assert!(world.run_till(5_000, |world| is_active(world, 1 - master)));
        healthy(&mut world);
        world.run_until(world.t + 500);
    }
    assert_eq!(role(&world, 1), (Some(Role::Shadow), 3));
    world.crash(0, false);
    let run = world.nodes[0].disk.durable.run;
    world.nodes[0].disk.durable = backup;
    world.nodes[0].disk.durable.run = run;
    world.start(0);
    healthy(&mut world);
    assert_eq!(role(&world, 1), (Some(Role::Master), 4));
    assert_eq!(role(&world, 0), (Some(Role::Shadow), 4));
}

/// spec 7.1, 7.5, like model A5: a farewell that was overtaken by the next connection clears nothing.
#[test]
fn a5_a_stale_farewell_clears_nothing() {
    let mut world = pair();
    world.hold = Some((1, |body| matches!(body, Body::Farewell { .. })));
    world.order(1, Order::Disconnect);
    world.run_until(world.t + 100);
    assert!(world.nodes[0].disk.durable.may_take_over);
    world.order(1, Order::Connect);
    world.run_until(world.t + 1_500);
    let held = std::mem::take(&mut world.held);
    world.hold = None;
    if state(&world, 1) != Some(LinkState::Ready) {
        world.order(1, Order::Connect);
    }
    healthy(&mut world);
    world.held = held;
    release(&mut world);
    world.run_until(world.t + 2_000);
    assert!(world.nodes[0].disk.durable.may_take_over);
    assert_eq!(world.nodes[0].disk.durable.peer_promise, None);
    healthy(&mut world);
}

/// spec 4.4, 7.5: a disconnect is a promise on both disks; the master then resumes at once, and the shadow never takes over.
#[test]
fn a_disconnected_shadow_never_takes_over() {
    let mut world = pair();
    world.order(1, Order::Disconnect);
    world.run_until(world.t + 1_000);
    assert!(!world.nodes[0].disk.durable.may_take_over);
    assert_eq!(state(&world, 0), Some(LinkState::Alone));
    world.crash(0, false);
    world.run_until(world.t + 60_000);
    assert_eq!(role(&world, 1), (Some(Role::Shadow), 1));
    world.start(0);
    world.run_until(world.t + 200);
    assert!(is_active(&world, 0), "no hold when the note is clear");
    world.order(1, Order::Connect);
    healthy(&mut world);
}

/// spec 4.4: `reconnect`, said on the master while the shadow is being disconnected, does not undo that; and `connect` does, for good
#[test]
fn a_reconnect_does_not_undo_a_disconnect() {
    let mut world = pair();
    world.hold = Some((0, |body| matches!(body, Body::FarewellHeard)));
    world.order(0, Order::Reconnect);
    world.order(1, Order::Disconnect);
    for _ in 0..40 {
        world.run_until(world.t + 50);
        let state = state(&world, 1);
        assert!(
            matches!(state, Some(LinkState::Ready | LinkState::Disconnecting | LinkState::Disconnected)),
            "{state:?}"
        );
    }
    assert_eq!(state(&world, 1), Some(LinkState::Disconnected));
    release(&mut world);
    world.order(1, Order::Connect);
    healthy(&mut world);
    world.run_until(world.t + 5_000);
    assert_eq!(state(&world, 1), Some(LinkState::Ready), "no time of the disconnect is left");
}

/// spec 4.4: a reset of the shadow tells the master, if it can be told; if not, it is reset all the same.
#[test]
fn a_reset_shadow_tells_its_master() {
    for reachable in [true, false] {
        let mut world = pair();
        world.order(1, Order::Disconnect);
        world.run_until(world.t + 1_000);
        assert_eq!(world.nodes[0].disk.durable.peer_promise, Some(FarewellKind::Disconnect));
        cut(&mut world, !reachable);
        let order = world.order(1, Order::ShadowReset);
        assert!(world.run_till(2_000, |world| world.answers.contains_key(&order)), "{reachable}");
        assert!(world.answers[&order].is_ok(), "{:?}", world.answers[&order]);
        assert_eq!(state(&world, 1), Some(LinkState::Initial));
        assert!(world.nodes[1].disk.durable.peer.is_none());
        let heard = if reachable { FarewellKind::Reset } else { FarewellKind::Disconnect };
        assert_eq!(world.nodes[0].disk.durable.peer_promise, Some(heard), "{reachable}");
        assert!(is_active(&world, 0));
        well(&world);
    }
}

/// spec 7.4: a shadow that starts alone stays shadow, until an operator says otherwise.
#[test]
fn a_shadow_that_starts_alone_stays_shadow() {
    let mut world = pair();
    world.crash(1, false);
    world.crash(0, false);
    world.start(1);
    world.run_until(world.t + 600_000);
    assert_eq!(role(&world, 1), (Some(Role::Shadow), 1));
    assert!(world.status(1).unwrap().takeover.why_not.is_some());
    let order = world.order(1, Order::BecomeMaster { without_arbiter: false });
    assert!(world.answers[&order].is_ok());
    assert_eq!(role(&world, 1), (Some(Role::Master), 2));
}

/// spec 7.1: a refusal under the pinned certificate is an answer: no takeover.
#[test]
fn a_refusal_is_an_answer() {
    let mut world = pair();
    cut(&mut world, true);
    world.run_until(world.t + 100);
    world.nodes[0].disk.settings.high_availability.enabled = false;
    let off = world.nodes[0].disk.settings.clone();
    world.feed(0, standin::engine::input::Input::Settings(Box::new(off)));
    cut(&mut world, false);
    world.run_until(world.t + 30_000);
    assert_eq!(role(&world, 1), (Some(Role::Shadow), 1));
    assert_eq!(state(&world, 1), Some(LinkState::Disconnected));
    assert!(world.nodes[1].disk.alerts.values().any(|alert| alert.code == "H-002" && !alert.is_over));
}

/// spec 7.2: failing takeover checks hold the takeover up, passing ones let it go on.
#[test]
fn takeover_checks_decide() {
    let mut with_checks = settings();
    with_checks.takeover_checks.tcp = vec!["gateway:1".into()];
    with_checks.takeover_checks.interval = 1_000;
    let mut world = pair_of(&with_checks);
    world.nodes[1].checks_fail = true;
    world.crash(0, false);
    world.run_until(world.t + 20_000);
    assert_eq!(role(&world, 1).0, Some(Role::Shadow));
    assert!(world.nodes[1].disk.alerts.values().any(|alert| alert.code == "H-012" && !alert.is_over));
    world.nodes[1].checks_fail = false;
    assert!(world.run_till(10_000, |world| is_active(world, 1)));
    well(&world);
}

/// spec 7.2: with `require: all` one passing of two is not enough.
#[test]
fn all_checks_may_be_required() {
    let mut with_checks = settings();
    with_checks.takeover_checks.tcp = vec!["gateway:1".into()];
    with_checks.takeover_checks.command = vec![vec!["true".into()]];
    with_checks.takeover_checks.interval = 1_000;
    // The world answers for one check alone.
    let mut all = with_checks.clone();
    all.takeover_checks.require = "all".into();
    for (settings, takes_over) in [(with_checks, true), (all, false)] {
        let mut world = pair_of(&settings);
        let told = world.status(0).and_then(|status| status.peer).unwrap().checks;
        assert_eq!(told.len(), 1, "the master knows them beforehand");
        world.crash(0, false);
        world.run_until(world.t + 10_000);
        assert_eq!(is_active(&world, 1), takes_over);
        well(&world);
    }
}

/// spec 6.5: clocks that differ are an alert on both sides, and decide nothing; when they agree again it ends.
#[test]
fn clocks_that_differ_are_told_on_both_sides() {
    let mut world = World::new(7, &settings());
    world.nodes[1].wall_offset_ms = -3_600_000;
    world.start(0);
    world.start(1);
    assert!(world.run_till(20_000, World::is_healthy), "no pair");
    world.run_until(world.t + 3_000);
    let stands = |world: &World, node: usize| {
        world.nodes[node].disk.alerts.values().any(|alert| alert.code == "R-010" && !alert.is_over)
    };
    let seen = |world: &World, node: usize| {
        world.status(node).and_then(|status| status.peer).unwrap().clock_difference_ms.unwrap()
    };
    assert!(stands(&world, 0) && stands(&world, 1));
    assert!((seen(&world, 0) + 3_600_000).abs() < 100, "{}", seen(&world, 0));
    assert!((seen(&world, 1) - 3_600_000).abs() < 100, "{}", seen(&world, 1));
    world.nodes[1].wall_offset_ms = 0;
    world.run_until(world.t + 3_000);
    assert!(!stands(&world, 0) && !stands(&world, 1));
    assert_eq!((role(&world, 0).1, role(&world, 1).1), (1, 1));
    well(&world);
}

/// spec 7.3: a term that cannot be written is no takeover, and is tried again.
#[test]
fn a_takeover_needs_the_disk() {
    let mut world = pair();
    world.nodes[1].persist_fails = true;
    world.crash(0, false);
    world.run_until(world.t + 10_000);
    assert_eq!(role(&world, 1).0, Some(Role::Shadow));
    assert!(!world.nodes[1].service);
    world.nodes[1].persist_fails = false;
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
}

/// spec 7.7: a switch, its rehearsal, and that at no moment both are active.
#[test]
fn a_switch_changes_places() {
    let mut world = pair();
    world.check.is_sync = true;
    let dry = world.order(0, Order::Switch { dry_run: true });
    assert!(
        matches!(&world.answers[&dry], Ok(Reply::Rehearsal(rehearsal)) if rehearsal.possible && rehearsal.term == Term(2))
    );
    let order = world.order(0, Order::Switch { dry_run: false });
    healthy(&mut world);
    assert!(world.run_till(2_000, |world| world.answers.contains_key(&order)));
    assert!(world.answers[&order].is_ok());
    assert_eq!((role(&world, 0), role(&world, 1)), ((Some(Role::Shadow), 2), (Some(Role::Master), 2)));
    world.run_until(world.t + 500);
    let settings = &world.nodes[1].disk.settings;
    assert!(settings.high_availability.enabled, "spec 2.8");
    assert_eq!(settings.high_availability.permitted_shadow_host.as_deref(), Some("node-0"), "spec 2.8");
    assert_eq!(world.nodes[0].disk.settings.shadow.master_hosts, ["node-1"], "spec 2.8");
}

/// spec 7.7: what makes a switch impossible is named, and nothing has changed.
#[test]
fn a_switch_without_shadow_is_refused() {
    let mut world = pair();
    world.crash(1, false);
    world.run_until(world.t + 1_000);
    let order = world.order(0, Order::Switch { dry_run: false });
    assert!(world.answers[&order].as_ref().unwrap_err().why.contains("not connected"));
    assert!(is_active(&world, 0));
    let wrong = world.order(0, Order::Connect);
    assert!(world.answers[&wrong].is_err());
}

/// spec 7.9: a planned stop hands the role over before the program ends.
#[test]
fn a_planned_stop_hands_over() {
    let mut world = pair();
    world.check.is_sync = true;
    world.order(0, Order::Stop { keep_role: false });
    assert!(world.run_till(5_000, |world| !world.nodes[0].is_up()));
    assert_eq!(world.nodes[0].disk.durable.offer, None);
    assert!(world.run_till(1_000, |world| is_active(world, 1)));
    world.start(0);
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Shadow), 2));
}

/// spec 7.9: `stop --keep-role` pauses takeovers for the restart.
#[test]
fn stop_keeping_the_role() {
    let mut world = pair();
    world.order(0, Order::Stop { keep_role: true });
    assert!(world.run_till(5_000, |world| !world.nodes[0].is_up()));
    world.run_until(world.t + 20 * DELAY_MS);
    assert_eq!(role(&world, 1).0, Some(Role::Shadow));
    assert_eq!(world.status(1).unwrap().protection, Protection::Paused);
    world.start(0);
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Master), 1));
    assert_eq!(world.status(1).unwrap().protection, Protection::Full);
}

/// spec 7.9: maintenance is acknowledged, shown on both sides, and at its end the whole delay counts anew.
#[test]
fn maintenance_suspends_takeovers() {
    let mut world = pair();
    let order = world.order(0, Order::Maintenance { for_ms: 20_000 });
    world.run_until(world.t + 500);
    assert!(world.answers[&order].is_ok());
    assert!((0..2).all(|node| world.status(node).unwrap().maintenance_until.is_some()));
    world.crash(0, false);
    world.run_until(world.t + 15_000);
    assert_eq!(role(&world, 1).0, Some(Role::Shadow));
    assert!(world.run_till(10_000, |world| is_active(world, 1)));
    cut(&mut world, true);
    let alone = world.order(1, Order::Maintenance { for_ms: 1_000 });
    assert!(world.answers[&alone].is_err(), "refused without the other side");
}

/// spec 7.6: two masters after a split: the higher term stays, what only the loser has is kept as a branch on it.
#[test]
fn after_a_split_nothing_is_lost() {
    let mut world = pair();
    cut(&mut world, true);
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.edit(0);
    world.edit(1);
    world.run_until(world.t + 1_000);
    world.crash(0, false);
    world.edit(0);
    let edited = world.nodes[0].disk.mirror.files.clone();
    cut(&mut world, false);
    world.start(0);
    healthy(&mut world);
    world.run_until(world.t + 500);
    let branches = &world.nodes[0].disk.mirror.branches;
    assert_eq!(branches.len(), 1);
    assert!(branches.values().flatten().any(|rev| rev.files == edited), "edits made while it was down are kept");
    for node in 0..2 {
        assert!(world.nodes[node].disk.alerts.values().any(|alert| alert.code == "F-020"), "node-{node}");
    }
}

/// spec 7.6: that two were active is told exactly if they were: after a split, not of a former master that comes back.
#[test]
fn only_after_a_split_two_were_active() {
    let mut world = pair();
    world.crash(0, false);
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.start(0);
    healthy(&mut world);
    world.run_until(world.t + 1_000);
    assert!((0..2).all(|node| !holds(&world, node, "H-022")), "the former master was dead meanwhile");
    cut(&mut world, true);
    assert!(world.run_till(5_000, |world| is_active(world, 0) && is_active(world, 1)));
    cut(&mut world, false);
    healthy(&mut world);
    assert!(holds(&world, 0, "H-022") && !holds(&world, 1, "H-022"), "two were active, and one of them won");
}

/// spec 7.6: what is edited while the service of the loser is being stopped is kept too.
#[test]
fn edits_made_while_giving_way_are_kept() {
    let mut world = pair();
    cut(&mut world, true);
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    cut(&mut world, false);
    let is_stopping = |world: &World| world.status(0).unwrap().condition == Some(Condition::Stopping);
    assert!(world.run_till(10_000, is_stopping));
    world.edit(0);
    let edited = world.nodes[0].disk.mirror.files.clone();
    healthy(&mut world);
    assert!(world.nodes[0].disk.mirror.branches.values().flatten().any(|rev| rev.files == edited));
}

/// spec 7.9: a stop asked for on the boot hold ends the program, whatever the answer.
#[test]
fn a_stop_on_the_boot_hold_ends_the_program() {
    for wait_ms in 0..60 {
        let mut world = pair();
        world.crash(0, false);
        world.run_until(world.t + 100);
        world.start(0);
        world.run_until(world.t + wait_ms);
        world.order(0, Order::Stop { keep_role: false });
        assert!(world.run_till(10_000, |world| !world.nodes[0].is_up()), "after {wait_ms} ms");
        well(&world);
    }
}

/// spec 2.5, 4.1: settings of the pair are locked while connected.
#[test]
fn settings_are_locked_while_connected() {
    let mut world = pair();
    let patch = |enabled| {
        Order::Edit(standin::engine::settings::SettingsPatch {
            enabled: Some(enabled),
            ..standin::engine::settings::SettingsPatch::default()
        })
    };
    let order = world.order(0, patch(false));
    assert!(world.answers[&order].as_ref().unwrap_err().todo.contains("Disconnect"));
    world.order(1, Order::Disconnect);
    world.run_until(world.t + 1_000);
    let order = world.order(0, patch(false));
    world.run_until(world.t + 500);
    assert!(world.answers[&order].is_ok());
}
