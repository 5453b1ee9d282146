//! What is told after a split without a third vote (spec 7.6): that two were active, whatever has happened since, and never after a
//! failover in which they were not.

use standin::engine::base::Role;
use standin::engine::order::{Order, Reply};

use crate::pair::{break_link, cut_link, heal, healthy, holds, is_active, pair_of, role, settings};
use crate::sim::world::World;

/// Node 1 has taken over while node 0 was cut off and went on.
fn split() -> World {
    let mut world = pair_of(&settings());
    cut_link(&mut world);
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.run_until(world.t + 2_000);
    assert!(is_active(&world, 0), "both are active");
    world
}

/// spec 7.6, 8.9: the former master was restarted before the two met again
#[test]
fn a_split_is_told_although_its_loser_was_restarted() {
    for is_cut_at_start in [true, false] {
        let mut world = split();
        world.crash(0, false);
        world.run_until(world.t + 300);
        if is_cut_at_start {
            world.start(0);
            world.run_until(world.t + 500);
            heal(&mut world);
        } else {
            heal(&mut world);
            world.start(0);
        }
        healthy(&mut world);
        assert_eq!((role(&world, 0).0, role(&world, 1).0), (Some(Role::Shadow), Some(Role::Master)));
        let told = |code: &str| world.nodes[1].disk.alerts.values().find(|alert| alert.code == code).cloned();
        assert!(told("H-022").unwrap().why.contains("restarted since"), "{:?}", told("H-022"));
        assert!(!world.nodes[0].disk.durable.unwatched, "that is over");
    }
}

/// spec 7.6, 2.5: the former master had forgotten the pair meanwhile
#[test]
fn a_split_is_told_although_its_loser_was_reset() {
    let mut world = pair_of(&settings());
    cut_link(&mut world);
    world.run_until(world.t + 400);
    let reset = world.order(0, Order::HaReset);
    world.run_until(world.t + 100);
    let Ok(Reply::Done(text)) = &world.answers[&reset] else { panic!("{:?}", world.answers[&reset]) };
    assert!(text.contains("was not told"), "{text}");
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.run_until(world.t + 2_000);
    heal(&mut world);
    assert!(world.run_till(20_000, |world| role(world, 0).0 == Some(Role::Shadow)), "it gives way");
    world.run_until(world.t + 2_000);
    assert!(holds(&world, 1, "H-022"), "{:?}", world.nodes[1].disk.alerts.keys());
}

/// spec 7.6: a master that died, however its link went with it, was not active beside the new one
#[test]
fn a_failover_is_no_split() {
    for breaks in [false, true] {
        let mut world = pair_of(&settings());
        if breaks {
            break_link(&mut world);
        }
        world.crash(0, false);
        assert!(world.run_till(5_000, |world| is_active(world, 1)));
        heal(&mut world);
        world.start(0);
        healthy(&mut world);
        assert!(!world.nodes[1].disk.alerts.values().any(|alert| alert.code == "H-022"));
    }
}

/// spec 7.6: a master that was alone because its shadow was down, and was replaced by an operator, was not either
#[test]
fn a_role_forced_onto_a_shadow_that_was_down_is_no_split() {
    let mut world = pair_of(&settings());
    world.crash(1, false);
    world.run_until(world.t + 5_000);
    assert!(world.nodes[0].disk.durable.unwatched);
    world.crash(0, false);
    world.start(1);
    world.run_until(world.t + 2_000);
    world.check.was_forced = true;
    world.check.permit_two(1, &world.nodes);
    world.order(1, Order::BecomeMaster { without_arbiter: false });
    assert!(world.run_till(2_000, |world| is_active(world, 1)));
    world.start(0);
    healthy(&mut world);
    assert!(!holds(&world, 1, "H-022"));
    // Alone and together again is nothing to remember.
    world.crash(0, false);
    world.run_until(world.t + 5_000);
    assert!(world.nodes[1].disk.durable.unwatched);
    world.start(0);
    healthy(&mut world);
    assert!(!world.nodes[1].disk.durable.unwatched);
}
