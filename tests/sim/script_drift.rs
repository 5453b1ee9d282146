//! A directory that is not what its instance says of it: what was changed behind Standin's back, and what is held back.

use standin::engine::base::{LinkState, Role};
use standin::engine::input::Input;
use standin::engine::order::Order;
use standin::engine::status::{Protection, Status};

use crate::pair::{healthy, holds, is_active, pair_of, settings, state, well, with_delay};
use crate::sim::world::World;

/// A look that takes so long is noticed, ms.
const SLOW_MS: u64 = 3_000;

fn status(world: &World, node: usize) -> Status {
    world.status(node).unwrap()
}

fn in_sync(world: &World, node: usize) -> bool {
    status(world, node).peer.is_some_and(|peer| peer.in_sync)
}

/// Its directory is its newest revision.
fn is_whole(world: &World, node: usize) -> bool {
    let mirror = &world.nodes[node].disk.mirror;
    mirror.history.last().is_some_and(|rev| rev.files == mirror.files)
}

/// While that directory is something else, nobody says READY, in sync or FULL.
fn flatters_nobody(world: &mut World, shadow: usize, for_ms: u64) {
    let end = world.t + for_ms;
    while world.t < end && !is_whole(world, shadow) {
        world.run_until(world.t + 5);
        if is_whole(world, shadow) {
            break;
        }
        assert_ne!(state(world, shadow), Some(LinkState::Ready), "READY at {}", world.t);
        for node in [0, 1] {
            assert!(!in_sync(world, node), "node-{node} says in sync at {}", world.t);
            assert_eq!(status(world, node).protection, Protection::None, "node-{node} at {}", world.t);
        }
    }
    well(world);
}

/// spec 4.3, 4.5, 8.9: a shadow that starts is READY and in sync only when its directory was looked at, and what was changed while
/// it was down is put back.
#[test]
fn a_shadow_that_starts_is_ready_only_after_its_directory_was_looked_at() {
    let mut world = pair_of(&settings());
    world.crash(1, false);
    world.nodes[1].disk.mirror.drift(0, 77);
    world.look_ms = SLOW_MS;
    world.start(1);
    world.run_until(world.t + 400);
    assert!(
        status(&world, 0).protection_message.contains("being compared"),
        "{}",
        status(&world, 0).protection_message
    );
    flatters_nobody(&mut world, 1, SLOW_MS);
    assert!(is_whole(&world, 1));
    assert!(world.run_till(300, World::is_healthy), "not READY after the look");
    assert!(in_sync(&world, 1));
    world.run_until(world.t + 300);
    assert!(in_sync(&world, 0));
    assert_eq!(status(&world, 0).protection, Protection::Full);
    well(&world);
}

/// spec 4.3, 7.1: a link that breaks costs no new look: the directory is known.
#[test]
fn a_broken_link_needs_no_new_look() {
    let mut world = pair_of(&settings());
    world.look_ms = 10 * SLOW_MS;
    world.kill_conns();
    assert!(world.run_till(1_000, |world| state(world, 1) != Some(LinkState::Ready)), "the break is not noticed");
    assert!(world.run_till(1_000, World::is_healthy), "not READY again: {:?}", state(&world, 1));
    well(&world);
}

/// spec 4.3, 4.5, 7.7: after a switch the new shadow is READY only when what was held back while it was master is put back.
#[test]
fn a_new_shadow_is_ready_only_after_what_it_held_back_is_put_back() {
    let mut world = pair_of(&settings());
    let mirror = &mut world.nodes[0].disk.mirror;
    mirror.files.insert(9, 1);
    mirror.held = Some((9, 1));
    world.look_ms = SLOW_MS;
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(5_000, |world| world.nodes[0].role() == Some(Role::Shadow)), "not switched");
    flatters_nobody(&mut world, 0, 2 * SLOW_MS);
    healthy(&mut world);
    assert!(is_whole(&world, 0));
    assert!(!world.nodes[1].disk.mirror.files.contains_key(&9), "it became a revision");
}

/// spec 4.5, 7.7, 8.9: as long as something cannot be put back the shadow is not READY, both sides say why, and a switch is refused
/// with that reason; when it can be put back, it is, and all is well.
#[test]
fn what_cannot_be_put_back_is_no_sync_and_no_protection() {
    let mut world = pair_of(&settings());
    let mirror = &mut world.nodes[1].disk.mirror;
    mirror.drift(0, 77);
    mirror.stuck = Some(0);
    world.feed(1, Input::DirectoryChanged);
    world.run_until(world.t + 400);
    flatters_nobody(&mut world, 1, 5_000);
    for node in [0, 1] {
        let message = status(&world, node).protection_message;
        assert!(message.contains("cannot be put back: Operation not permitted"), "node-{node}: {message}");
    }
    let order = world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| world.answers.contains_key(&order)), "no answer");
    let refused = world.answers[&order].as_ref().unwrap_err().why.clone();
    assert!(refused.contains("Operation not permitted"), "{refused}");
    world.nodes[1].disk.mirror.stuck = None;
    healthy(&mut world);
    assert!(is_whole(&world, 1) && in_sync(&world, 1));
}

/// spec 7.1: a shadow that is not READY because of it does not take over.
#[test]
fn a_shadow_with_something_stuck_stays_shadow() {
    let mut world = pair_of(&settings());
    let mirror = &mut world.nodes[1].disk.mirror;
    mirror.drift(0, 77);
    mirror.stuck = Some(0);
    world.feed(1, Input::DirectoryChanged);
    world.run_until(world.t + 400);
    world.crash(0, false);
    world.run_until(world.t + 10_000);
    assert!(!is_active(&world, 1));
    world.start(0);
    world.run_until(world.t + 3_000);
    world.nodes[1].disk.mirror.stuck = None;
    healthy(&mut world);
}

/// spec 7.3: what a new master cannot put back is no revision of its own: it is held back with its last good content.
#[test]
fn a_new_master_takes_up_nothing_that_it_could_not_put_back() {
    let mut world = pair_of(&with_delay(500));
    let good = world.nodes[1].disk.mirror.files[&0];
    world.crash(0, false);
    assert!(world.run_till(1_000, |world| state(world, 1) == Some(LinkState::Lost)), "not lost");
    let mirror = &mut world.nodes[1].disk.mirror;
    mirror.drift(0, 77);
    mirror.stuck = Some(0);
    assert!(world.run_till(5_000, |world| is_active(world, 1)), "no takeover");
    world.edit(1);
    world.run_until(world.t + 2_000);
    let head = world.nodes[1].disk.mirror.history.last().unwrap();
    assert_eq!(head.files[&0], good, "what was scribbled on the shadow became the configuration of the pair");
    assert_eq!(world.nodes[1].disk.mirror.files[&0], 77);
    well(&world);
}

/// spec 8.9: a master whose own directory cannot be used is in sync with nobody, and both sides say so.
#[test]
fn a_master_without_its_directory_is_not_in_sync() {
    let mut world = pair_of(&settings());
    world.feed(0, Input::Directory { problem: Some("it is not there".into()) });
    world.run_until(world.t + 400);
    for node in [0, 1] {
        assert!(!in_sync(&world, node), "node-{node}");
        let status = status(&world, node);
        assert_eq!(status.protection, Protection::Reduced, "node-{node}");
        assert!(status.protection_message.contains("it is not there"), "node-{node}: {}", status.protection_message);
    }
    world.feed(0, Input::Directory { problem: None });
    world.run_until(world.t + 400);
    assert!(in_sync(&world, 0) && in_sync(&world, 1));
    well(&world);
}

/// spec 5.4, 8.9: while the master holds files back, protection is reduced on both sides.
#[test]
fn files_that_the_master_holds_back_reduce_the_protection_of_both() {
    let mut world = pair_of(&settings());
    world.feed(0, Input::Held(2));
    world.run_until(world.t + 400);
    for node in [0, 1] {
        let status = status(&world, node);
        assert_eq!(status.protection, Protection::Reduced, "node-{node}");
        assert!(status.protection_message.contains("2 files are held back"), "{}", status.protection_message);
    }
    world.feed(0, Input::Held(0));
    world.run_until(world.t + 400);
    assert!([0, 1].iter().all(|node| status(&world, *node).protection == Protection::Full));
    well(&world);
}

/// spec 4.5, 7.3: what a new master could not put back is owed until it is done, whatever is restarted meanwhile
#[test]
fn putting_back_is_owed_beyond_a_restart() {
    let mut world = pair_of(&settings());
    let is_owed = |world: &World| world.nodes[1].disk.durable.restore_due;
    world.crash(0, false);
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.run_until(world.t + 500);
    assert!(!is_owed(&world));
    world.feed(1, Input::DriftRestored(false));
    world.run_until(world.t + 500);
    assert!(is_owed(&world), "on the disk");
    world.edit(1);
    world.run_until(world.t + 500);
    assert!(is_owed(&world), "no other record forgets it");
    world.feed(1, Input::DriftRestored(true));
    world.run_until(world.t + 500);
    assert!(!is_owed(&world));
    world.start(0);
    healthy(&mut world);
}

/// spec 5.4, 6.2: what was held back and was set aside when the roles changed is no trouble that passes: it is told until the
/// operator has dealt with it, and not again after that
#[test]
fn work_that_was_set_aside_is_told_until_it_is_deleted() {
    let mut world = pair_of(&settings());
    world.feed(1, Input::Told { code: "F-024", why: "a.yaml was changed; put back".into() });
    world.run_until(world.t + 3_600_000);
    assert!(holds(&world, 1, "F-024"));
    let id = world.nodes[1].disk.alerts.values().find(|alert| alert.code == "F-024").unwrap().id;
    world.order(1, Order::DeleteAlert { id });
    world.run_until(world.t + 60_000);
    assert!(!holds(&world, 1, "F-024"));
    well(&world);
}
