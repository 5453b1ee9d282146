//! A switch step by step: ended before it is too late, and explained afterwards (spec 7.7).

use standin::engine::base::Role;
use standin::engine::order::Order;

use crate::pair::{DELAY_MS, arbiter_settings, holds, pair_of, settings};
use crate::sim::world::World;

fn active(world: &World) -> [bool; 2] {
    [0, 1].map(|node| world.status(node).is_some_and(|status| status.active))
}

/// spec 7.7: whenever it is ended, either nothing has changed and the service runs here again, or it was too late, which is
/// said, and the switch goes through. Never both, never none.
#[test]
fn a_switch_is_ended_until_its_offer_is_on_disk() {
    let (mut ended, mut too_late) = (0, 0);
    for wait_ms in (0..1_200).step_by(12) {
        let mut world = pair_of(&settings());
        let switch = world.order(0, Order::Switch { dry_run: false });
        world.run_until(world.t + wait_ms);
        let can_abort = world.status(0).and_then(|status| status.switching).is_some_and(|switch| switch.can_abort);
        let abort = world.order(0, Order::SwitchAbort);
        world.run_until(world.t + 10_000);
        assert_eq!(world.failure, None);
        assert_eq!(world.answers[&abort].is_ok(), can_abort, "after {wait_ms} ms: {:?}", world.answers[&abort]);
        if can_abort {
            ended += 1;
            assert!(world.answers[&switch].is_err(), "who ordered the switch hears of it");
            assert_eq!(active(&world), [true, false], "after {wait_ms} ms");
            assert!(!holds(&world, 0, "H-018"), "what an operator wanted is no failure");
            assert!(world.nodes[0].service && !world.nodes[1].service, "after {wait_ms} ms");
            let durable = &world.nodes[0].disk.durable;
            assert_eq!((durable.role, durable.term.0, durable.offer.is_some()), (Some(Role::Master), 1, false));
        } else {
            too_late += 1;
            assert_eq!(active(&world), [false, true], "after {wait_ms} ms");
        }
        assert!(world.is_healthy(), "after {wait_ms} ms");
    }
    assert!(ended > 0 && too_late > 0, "ended {ended}, too late {too_late}");
}

/// spec 7.7: one that still waits for the shadow can be ended too.
#[test]
fn a_switch_that_waits_for_the_shadow_is_ended() {
    let mut world = pair_of(&settings());
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| active(world)[1]));
    let limit = world.t + 1_000;
    let back = loop {
        assert!(world.t < limit && !world.is_healthy(), "it never waited");
        let back = world.order(1, Order::Switch { dry_run: false });
        world.run_until(world.t);
        if !world.answers.contains_key(&back) {
            break back;
        }
        world.run_until(world.t + 1);
    };
    assert!(world.status(1).and_then(|status| status.switching).is_some_and(|switch| switch.can_abort));
    let abort = world.order(1, Order::SwitchAbort);
    world.run_until(world.t + 10_000);
    assert!(world.answers[&abort].is_ok() && world.answers[&back].is_err());
    assert!(active(&world)[1] && world.is_healthy());
}

/// spec 7.7: both sides tell afterwards how it went, in order.
#[test]
fn a_switch_is_explained_on_both_sides() {
    let mut world = pair_of(&settings());
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| active(world) == [false, true] && world.is_healthy()));
    for (node, expected) in [
        (0, &["switch begun", "the shadow has the last changes", "service stopped", "offer of term 2 on disk"][..]),
        (1, &["role offered at term 2", "term 2 on disk", "service started"][..]),
    ] {
        let notice = world.nodes[node].disk.durable.notice.clone().unwrap();
        let mut lines = notice.timeline.iter();
        for text in expected {
            assert!(lines.any(|line| line.text.contains(text)), "{node}: {text} is not in {:?}", notice.timeline);
        }
        assert!(notice.timeline.is_sorted_by_key(|line| line.at));
    }
}

/// Milliseconds between the line of a takeover's timeline that has `text` and the one before it.
fn step_of(world: &World, text: &str) -> i64 {
    let timeline = world.nodes[1].disk.durable.notice.clone().unwrap().timeline;
    let found = timeline.iter().position(|line| line.text.contains(text));
    let at = found.unwrap_or_else(|| panic!("{text} is not in {timeline:?}"));
    assert!(timeline.is_sorted_by_key(|line| line.at), "{timeline:?}");
    timeline[at].at.0 - timeline[at - 1].at.0
}

/// spec 8.3: each wait of a takeover has its own line: promise and lease are not booked as delay.
#[test]
fn promise_and_lease_have_lines_of_their_own() {
    let mut world = pair_of(&arbiter_settings());
    world.crash(0, true);
    assert!(world.run_till(20_000, |world| active(world)[1] && world.nodes[1].service));
    world.run_until(world.t + 500);
    let delay_ms = i64::try_from(DELAY_MS).unwrap();
    assert!((step_of(&world, "takeover delay over (500 ms)") - delay_ms).abs() <= 2);
    assert!(step_of(&world, "own promise to it over") > 0);
    assert!(step_of(&world, "granted by the arbiter") > 0);
}

/// spec 7.9, 8.3: after maintenance the delay counts anew, and the timeline says so.
#[test]
fn maintenance_is_not_booked_as_delay() {
    let mut world = pair_of(&settings());
    world.order(0, Order::Maintenance { for_ms: 9_000 });
    world.run_until(world.t + 500);
    world.crash(0, false);
    assert!(world.run_till(20_000, |world| active(world)[1] && world.nodes[1].service));
    world.run_until(world.t + 500);
    assert!(step_of(&world, "the delay counts anew: takeovers were suspended") > 5_000);
    let delay_ms = i64::try_from(DELAY_MS).unwrap();
    assert!((step_of(&world, "takeover delay over (500 ms)") - delay_ms).abs() <= 2);
}
