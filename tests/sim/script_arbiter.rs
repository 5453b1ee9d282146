//! The traces of the protocol model that need an arbiter (spec 7.11), and the rules beside it: stall, isolation, damping.
//! The checker judges every step: never two active, no takeover without a grant.

use standin::engine::base::{Condition, Role, Term};
use standin::engine::input::Input;
use standin::engine::message::Body;
use standin::engine::order::{Order, Reply};
use standin::engine::settings::failover;
use standin::engine::status::Protection;

use crate::pair::{
    ALL_OVER_MS, BUDGET_MS, HOLD_MS, arbiter_settings, condition, cut_link, heal, healthy, holds, is_active, pair_of,
    role,
};
use crate::sim::world::World;

fn pair() -> World {
    pair_of(&arbiter_settings())
}

/// spec 7.11: the master dies: the shadow waits out promise and lease, is granted the next term, and takes over with it; the
/// status says who confirms, and until when.
#[test]
fn a_dead_master_is_replaced_by_grant() {
    let mut world = pair();
    let arbiter = world.status(0).unwrap().arbiter.unwrap();
    assert_eq!(arbiter.state, "ok");
    assert_eq!(arbiter.confirmed_by, ["shadow", "arbiter"]);
    assert!(arbiter.confirmed_until.is_some() && world.status(1).unwrap().arbiter.unwrap().promised_until.is_some());
    world.crash(0, true);
    let died = world.t;
    let mut waited_for = Vec::new();
    while !is_active(&world, 1) {
        assert!(world.t - died < 20_000, "{:?}", world.failure);
        world.run_until(world.t + 50);
        let takeover = world.status(1).unwrap().takeover;
        assert_eq!(takeover.why_not, None, "it is about to take over (spec 8.9)");
        assert!(takeover.due_at.is_none_or(|due| due >= world.nodes[1].now(world.t).wall), "due in the past");
        waited_for.extend(takeover.waits_for.filter(|what| waited_for.last() != Some(what)));
    }
    assert!(waited_for.iter().any(|what| what.contains("lease")), "{waited_for:?}");
    assert!(world.t - died >= HOLD_MS + BUDGET_MS, "before the promise was over");
    assert!(world.t - died <= world.status(1).unwrap().arbiter.unwrap().longest_failover_ms);
    assert_eq!(role(&world, 1), (Some(Role::Master), 2));
    let timeline = world.status(1).unwrap().notice.unwrap().timeline;
    assert!(timeline.iter().any(|line| line.text.contains("granted by the arbiter")), "{timeline:?}");
    world.start(0);
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Shadow), 2));
    assert!(!holds(&world, 1, "H-022"), "never two (spec 7.6)");
}

/// spec 7.11: the link alone is cut: the arbiter confirms the master, nobody takes over, and the service never stops.
#[test]
fn a_cut_link_alone_changes_nothing() {
    let mut world = pair();
    cut_link(&mut world);
    world.run_until(world.t + 20_000);
    assert!(is_active(&world, 0) && !is_active(&world, 1));
    assert_eq!(world.status(0).unwrap().arbiter.unwrap().confirmed_by, ["arbiter"]);
    heal(&mut world);
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Master), 1));
}

/// spec 7.11: the arbiter alone is lost: nothing changes but an alert that nobody can take over.
#[test]
fn without_the_arbiter_the_shadow_confirms() {
    let mut world = pair();
    world.arbiter.is_up = false;
    world.run_until(world.t + 20_000);
    assert!(is_active(&world, 0));
    assert!(holds(&world, 0, "H-024") && holds(&world, 1, "H-024"));
    world.crash(0, false);
    world.run_until(world.t + 20_000);
    assert!(!is_active(&world, 1), "took over without a grant");
    // Neither the delay nor the sentence promises what will not be (spec 8.9).
    let status = world.status(1).unwrap();
    assert!(status.takeover.why_not.is_some_and(|why| why.contains("arbiter")), "{}", status.protection_message);
    assert!(status.protection_message.contains("stays shadow"), "{}", status.protection_message);
    let arbiter = &mut world.arbiter;
    arbiter.is_up = true;
    assert!(world.run_till(20_000, |world| is_active(world, 1)));
    assert!(!holds(&world, 1, "H-024"));
}

/// spec 7.11, model A1: a renewal that arrives while the grant is under way blocks the takeover: both conditions hold at the
/// moment of becoming active.
#[test]
fn a1_a_promise_given_while_the_grant_is_under_way_counts() {
    for wait_ms in (0..3_000).step_by(50) {
        let mut world = pair();
        world.arbiter.cut[0] = true;
        cut_link(&mut world);
        world.run_until(world.t + HOLD_MS + wait_ms);
        world.net.heal();
        world.run_until(world.t + ALL_OVER_MS);
        assert_eq!(world.failure, None, "after {wait_ms} ms");
    }
}

/// spec 7.11, model A2: a shadow that restarts behaves as if it had just given its promise.
#[test]
fn a2_a_restarted_shadow_remembers_its_promise() {
    for wait_ms in (0..400).step_by(20) {
        let mut world = pair();
        // The master lives by the shadow's word alone, and its lease is long over.
        world.arbiter.cut[0] = true;
        world.run_until(world.t + ALL_OVER_MS + wait_ms);
        assert!(is_active(&world, 0));
        world.crash(1, true);
        cut_link(&mut world);
        world.start(1);
        world.run_until(world.t + 2 * ALL_OVER_MS);
        assert_eq!(world.failure, None, "after {wait_ms} ms");
        assert!(!is_active(&world, 0), "the master goes on unconfirmed");
        assert_eq!(condition(&world, 0), Some(Condition::Isolated));
        let order = world.order(0, Order::Resume);
        let problem = world.answers[&order].clone().unwrap_err();
        assert!(problem.why.contains("isolated") && problem.todo.contains("become-master"), "{problem:?}");
        assert!(is_active(&world, 1), "the arbiter grants the role to a shadow that starts alone (spec 7.4)");
    }
}

/// spec 7.5, model A3: with an arbiter nobody becomes active through the boot hold.
#[test]
fn a3_no_boot_hold_with_an_arbiter() {
    let mut world = pair();
    world.crash(0, true);
    cut_link(&mut world);
    world.arbiter.cut[0] = true;
    world.start(0);
    world.run_until(world.t + 60_000);
    assert!(!is_active(&world, 0), "active from its disk alone");
    assert_eq!(role(&world, 0).0, Some(Role::Master), "no answer makes nobody shadow");
    assert!(is_active(&world, 1));
    heal(&mut world);
    healthy(&mut world);
}

/// spec 7.5: a former master whose shadow is gone is confirmed by the arbiter, and resumes at its term at once.
#[test]
fn the_arbiter_resumes_a_former_master() {
    let mut world = pair();
    world.crash(1, true);
    world.run_until(world.t + 1_000);
    world.crash(0, true);
    world.start(0);
    let started = world.t;
    assert!(world.run_till(5_000, |world| is_active(world, 0)), "{:?}", condition(&world, 0));
    assert!(world.t - started < 1_000);
    assert_eq!(role(&world, 0), (Some(Role::Master), 1));
}

/// spec 7.7, 7.11, model A4: the new master of a switch is not active before the old one, or the arbiter, has confirmed it; the
/// old one that restarts is not confirmed at its old term.
#[test]
fn a4_the_new_master_waits_for_confirmation() {
    for wait_ms in (0..1_500).step_by(25) {
        let mut world = pair();
        world.order(0, Order::Switch { dry_run: false });
        world.run_until(world.t + wait_ms);
        world.crash(0, true);
        cut_link(&mut world);
        world.start(0);
        world.run_until(world.t + ALL_OVER_MS);
        heal(&mut world);
        healthy(&mut world);
    }
}

/// spec 7.7: with the arbiter away the old master's word confirms the new one, so roles can be switched all the same.
#[test]
fn a_switch_needs_one_of_the_two() {
    let mut world = pair();
    world.arbiter.is_up = false;
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| is_active(world, 1)), "{:?}", world.failure);
    assert_eq!(role(&world, 1), (Some(Role::Master), 2));
    world.arbiter.is_up = true;
    healthy(&mut world);
    // The arbiter catches up with the term it did not see.
    world.run_until(world.t + ALL_OVER_MS);
    assert_eq!(world.status(1).unwrap().arbiter.unwrap().term, Term(2));
    assert_eq!(world.nodes[1].disk.durable.ungranted, None);
}

/// spec 7.9, model A5, A6, E1, E2: an offer of a planned stop comes after the service has stopped, and binds only its run.
#[test]
fn a5_a6_the_goodbye_of_an_earlier_run_frees_nobody() {
    for wait_ms in (0..1_000).step_by(25) {
        let mut world = pair();
        world.hold = Some((0, |body| matches!(body, Body::Offer(_))));
        world.order(0, Order::Stop { keep_role: false });
        assert!(world.run_till(10_000, |world| !world.nodes[0].is_up()), "does not stop");
        world.start(0);
        world.run_until(world.t + wait_ms);
        heal(&mut world);
        healthy(&mut world);
    }
}

/// spec 7.12, model A8: a master that was stopped longer than its hold time does nothing more before it is confirmed; its guard
/// has stopped the service meanwhile.
#[test]
fn a8_a_stalled_master_is_not_active_when_it_goes_on() {
    for span_ms in [900, 1_100, 3_000, 20_000] {
        let mut world = pair();
        world.suspend(0, span_ms);
        world.run_until(world.t + span_ms + ALL_OVER_MS);
        healthy(&mut world);
    }
}

/// spec 7.11, model A9: clocks that run apart by as much as the settings allow break nothing; the settings' inequality is tight
/// (its own tests), and the checker judges every step here.
#[test]
fn a9_clocks_at_the_limit() {
    for (master, shadow) in [(-20_000, 20_000), (20_000, -20_000)] {
        let mut settings = arbiter_settings();
        settings.arbiter.clock_error = 20;
        let mut world = World::new(5, &settings);
        world.check.has_arbiter = true;
        world.nodes[0].rate_ppm = master;
        world.nodes[1].rate_ppm = shadow;
        world.start(0);
        world.start(1);
        assert!(world.run_till(20_000, World::is_healthy));
        world.arbiter.cut[0] = true;
        world.run_until(world.t + ALL_OVER_MS);
        cut_link(&mut world);
        assert!(world.run_till(20_000, |world| is_active(world, 1)), "{:?}", world.failure);
        heal(&mut world);
        healthy(&mut world);
    }
}

/// spec 7.11, model C3: a grant whose asker dies before it has written the term makes nobody shadow for ever.
#[test]
fn c3_a_grant_to_one_that_dies_is_no_dead_end() {
    let mut world = pair();
    world.crash(0, true);
    world.run_until(world.t + 1_200);
    assert!(world.run_till(10_000, |world| world.arbiter.granted >= 1) || is_active(&world, 1));
    world.crash(1, true);
    world.start(0);
    assert!(world.run_till(30_000, |world| is_active(world, 0)), "{:?}", condition(&world, 0));
    assert!(role(&world, 0).1 == 1 || role(&world, 0).1 == 3);
    world.start(1);
    healthy(&mut world);
}

/// spec 7.11, model C4: a term spent by a grant whose answer was lost: the survivor asks for the next.
#[test]
fn c4_the_survivor_gets_a_term() {
    let mut world = pair();
    world.crash(0, true);
    // Questions arrive, answers do not.
    world.arbiter.says_errors = true;
    world.run_until(world.t + 2 * ALL_OVER_MS);
    assert!(!is_active(&world, 1));
    world.crash(1, true);
    world.arbiter.says_errors = false;
    world.start(0);
    assert!(world.run_till(30_000, |world| is_active(world, 0)), "{:?}", condition(&world, 0));
    assert_eq!(role(&world, 0), (Some(Role::Master), 3));
}

/// spec 7.11: a wiped arbiter has no vote until both have written what they know; the master goes on by its shadow's word.
#[test]
fn a_wiped_arbiter_catches_up() {
    let mut world = pair();
    world.arbiter.wipe();
    world.run_until(world.t + 4 * ALL_OVER_MS);
    assert!(is_active(&world, 0));
    assert_eq!(world.failure, None);
    let arbiter = world.status(0).unwrap().arbiter.unwrap();
    assert_eq!((arbiter.state.as_str(), arbiter.term), ("ok", Term(1)));
    world.crash(0, true);
    assert!(world.run_till(20_000, |world| is_active(world, 1)));
}

/// spec 7.11: a shadow that leaves by plan gives a standing promise; the master needs no confirmation until it is back, and one
/// that starts again takes nothing over before.
#[test]
fn a_standing_promise_needs_no_confirmation() {
    let mut world = pair();
    world.order(1, Order::Stop { keep_role: false });
    assert!(world.run_till(5_000, |world| !world.nodes[1].is_up()));
    world.arbiter.is_up = false;
    world.run_until(world.t + 20_000);
    assert!(is_active(&world, 0), "stopped though nobody can take over");
    cut_link(&mut world);
    world.arbiter.is_up = true;
    world.arbiter.cut[0] = true;
    world.start(1);
    world.run_until(world.t + 20_000);
    assert!(is_active(&world, 0) && !is_active(&world, 1), "took over against its standing promise");
    heal(&mut world);
    healthy(&mut world);
}

/// spec 7.8, 7.11: `become-master` needs the grant: refused while the arbiter does not answer, unless it is overruled.
#[test]
fn become_master_needs_the_grant() {
    let mut world = pair();
    world.crash(0, true);
    world.arbiter.is_up = false;
    world.run_until(world.t + 3_000);
    let order = world.order(1, Order::BecomeMaster { without_arbiter: false });
    world.run_until(world.t + ALL_OVER_MS);
    let problem = world.answers[&order].clone().unwrap_err();
    assert!(problem.todo.contains("--without-arbiter"), "{problem:?}");
    world.check.was_without_arbiter = true;
    world.check.was_forced = true;
    world.order(1, Order::BecomeMaster { without_arbiter: true });
    assert!(world.run_till(1_000, |world| is_active(world, 1)));
    world.run_until(world.t + ALL_OVER_MS);
    assert!(is_active(&world, 1), "overruled, and stopped all the same");
}

/// spec 7.12: a shadow that was stalled counts its delay anew from the first check after it: no takeover of a master that lives.
#[test]
fn a_stalled_shadow_counts_anew() {
    let mut settings = arbiter_settings();
    settings.arbiter.endpoints.clear();
    for span_ms in [2_500, 10_000] {
        let mut world = pair_of(&settings);
        world.suspend(1, span_ms);
        world.run_until(world.t + span_ms + 5_000);
        assert_eq!((role(&world, 0), role(&world, 1)), ((Some(Role::Master), 1), (Some(Role::Shadow), 1)));
        healthy(&mut world);
    }
}

/// spec 7.12: what is told as a stall bars a switch until something fresh was heard.
#[test]
fn a_stalled_master_decides_nothing() {
    let mut settings = arbiter_settings();
    settings.arbiter.endpoints.clear();
    let mut world = pair_of(&settings);
    world.feed(0, Input::Stalled { late_ms: 5_000 });
    let order = world.order(0, Order::Switch { dry_run: false });
    assert!(world.answers[&order].is_err());
    world.run_until(world.t + 500);
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
}

/// spec 7.10: a master that lost its shadow and whose checks all fail stops its service and keeps the role; it resumes when the
/// shadow answers that it has not taken over.
#[test]
fn an_isolated_master_stops() {
    let mut settings = arbiter_settings();
    settings.arbiter.endpoints.clear();
    settings.shadow.takeover_delay = 30_000;
    settings.takeover_checks.tcp = vec!["gateway:1".into()];
    let mut world = pair_of(&settings);
    world.nodes[0].checks_fail = true;
    cut_link(&mut world);
    assert!(world.run_till(5_000, |world| condition(world, 0) == Some(Condition::Isolated)));
    assert!(world.run_till(1_000, |world| !world.nodes[0].service));
    assert_eq!(role(&world, 0), (Some(Role::Master), 1));
    assert!(holds(&world, 0, "H-023"));
    heal(&mut world);
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Master), 1));
    assert!(!holds(&world, 0, "H-023"));
}

/// spec 7.10: alone, it resumes when its checks pass again and the boot hold is over; the setting turns all of it off.
#[test]
fn an_isolated_master_resumes_by_its_checks() {
    let mut settings = arbiter_settings();
    settings.arbiter.endpoints.clear();
    settings.takeover_checks.tcp = vec!["gateway:1".into()];
    for isolation in [true, false] {
        settings.high_availability.isolation = isolation;
        let mut world = pair_of(&settings);
        world.nodes[0].checks_fail = true;
        world.nodes[1].checks_fail = true;
        cut_link(&mut world);
        world.run_until(world.t + 5_000);
        assert_eq!(is_active(&world, 0), !isolation);
        world.nodes[0].checks_fail = false;
        assert!(world.run_till(5_000, |world| is_active(world, 0)));
        assert_eq!(world.failure, None);
    }
}

/// spec 7.15: the third takeover in ten minutes waits twice as long, both sides know, and `ha resume` clears it on both.
#[test]
fn the_third_takeover_waits_longer() {
    let mut settings = arbiter_settings();
    settings.arbiter.endpoints.clear();
    let mut world = pair_of(&settings);
    for master in [0, 1] {
        world.crash(master, false);
        assert!(world.run_till(5_000, |world| is_active(world, 1 - master)));
        world.start(master);
        healthy(&mut world);
    }
    world.run_until(world.t + 1_000);
    assert_eq!(condition(&world, 1), Some(Condition::Damped));
    assert_eq!(world.status(1).unwrap().takeover.delay_ms, 2_000);
    for node in 0..2 {
        let status = world.status(node).unwrap();
        assert_eq!(status.protection, Protection::Reduced);
        assert!(status.protection_message.contains("2 to 3 s after a failure"), "{}", status.protection_message);
        assert_eq!(failover::longest_failover_ms(&status.failover_settings()), 2_300);
    }
    world.crash(0, false);
    let lost = world.t;
    assert!(world.run_till(10_000, |world| is_active(world, 1)));
    assert!(world.t - lost >= 2_000);
    world.start(0);
    healthy(&mut world);
    world.order(1, Order::Resume);
    world.run_until(world.t + 1_000);
    assert_eq!(condition(&world, 0), None);
    assert!((0..2).all(|node| world.status(node).unwrap().protection == Protection::Full));
    assert_eq!(world.status(0).unwrap().takeover.delay_ms, 500);
}

/// spec 7.5: one that took over, and whose former master it never met since, asks at its next start too.
#[test]
fn an_unmet_rival_is_asked_at_boot() {
    let mut settings = arbiter_settings();
    settings.arbiter.endpoints.clear();
    settings.shadow.takeover_delay = 500;
    let mut world = pair_of(&settings);
    world.crash(0, false);
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.crash(1, false);
    world.start(0);
    // Alone it goes on through the boot hold, at its old term: nobody knows more.
    assert!(world.run_till(20_000, |world| is_active(world, 0)));
    world.start(1);
    world.run_until(world.t + 5);
    assert!(!is_active(&world, 1), "active before it has asked");
    healthy(&mut world);
    assert_eq!(world.failure, None);
    assert_eq!((role(&world, 0).0, role(&world, 1)), (Some(Role::Shadow), (Some(Role::Master), 2)));
}

/// spec 7.7: roles can be switched back at once: the order waits for the shadow to be READY.
#[test]
fn a_second_switch_waits_for_ready() {
    let mut settings = arbiter_settings();
    settings.arbiter.endpoints.clear();
    let mut world = pair_of(&settings);
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(5_000, |world| is_active(world, 1) && world.nodes[1].service));
    world.run_until(world.t + 150);
    let order = world.order(1, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| world.answers.contains_key(&order)));
    assert!(world.answers[&order].is_ok(), "{:?}", world.answers[&order]);
    healthy(&mut world);
    assert_eq!(role(&world, 0), (Some(Role::Master), 3));
}

/// spec 7.11, 7.7: a switch while the arbiter is away leaves it behind the pair: the rehearsal and the answer warn, and the alert
/// that comes of it names that cause
#[test]
fn a_switch_without_the_arbiter_warns_of_what_it_costs() {
    let mut world = pair();
    let rehearse = |world: &mut World| {
        let dry = world.order(0, Order::Switch { dry_run: true });
        match &world.answers[&dry] {
            Ok(Reply::Rehearsal(rehearsal)) => rehearsal.steps.join("; "),
            other => panic!("{other:?}"),
        }
    };
    assert!(!rehearse(&mut world).contains("WARNING"));
    world.arbiter.is_up = false;
    world.run_until(world.t + 5_000);
    assert!(rehearse(&mut world).contains("nobody takes over if one fails"));
    let order = world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| world.answers.contains_key(&order)));
    let answer = world.answers[&order].clone();
    assert!(matches!(&answer, Ok(Reply::Done(text)) if text.contains("nobody takes over if one fails")), "{answer:?}");
    world.crash(1, false);
    let t = world.t;
    world.arbiter.restart(t);
    assert!(world.run_till(30_000, |world| holds(world, 0, "H-025")));
    let alert = world.nodes[0].disk.alerts.values().find(|alert| alert.code == "H-025").cloned().unwrap();
    assert!(alert.why.contains("the roles changed while it was away"), "{}", alert.why);
    world.run_until(world.t + 30_000);
    assert!(!is_active(&world, 0));
    let out = world.order(0, Order::BecomeMaster { without_arbiter: true });
    world.check.was_without_arbiter = true;
    assert!(world.run_till(30_000, |world| is_active(world, 0)), "{:?}", world.answers.get(&out));
}
