//! What the exhaustive walk found, as tests.

use standin::engine::base::{Condition, LinkState};
use standin::engine::message::Body;
use standin::engine::order::Order;

use crate::pair::{pair_of, settings, with_delay};

/// Moments at which the order is given, ms after the restart.
const MOMENTS_MS: std::ops::Range<u64> = 0..900;
const MOMENT_STEP_MS: usize = 5;

/// spec 7.1, 7.8: a master that gives way says so to the shadow that looks for it; while it does, its service may run yet, and
/// the shadow does not take over
#[test]
fn a_shadow_waits_for_a_master_that_gives_way() {
    for delay_ms in [0, 100, 300] {
        let mut before = pair_of(&with_delay(delay_ms));
        before.crash(0, false);
        before.start(0);
        for moment_ms in MOMENTS_MS.step_by(MOMENT_STEP_MS) {
            let mut world = before.clone();
            world.run_until(world.t + moment_ms);
            world.order(0, Order::BecomeShadow);
            world.run_until(world.t + 5_000);
            assert_eq!(world.failure, None, "delay {delay_ms}, order {moment_ms} ms after the restart");
        }
    }
}

/// spec 7.7: a master in doubt says in its status why it is not active
#[test]
fn a_master_in_doubt_says_why() {
    let mut world = pair_of(&settings());
    world.hold = Some((1, |body| matches!(body, Body::OfferTaken { .. } | Body::Answer(_))));
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| {
        world.glance(0).is_some_and(|glance| glance.condition == Some(Condition::InDoubt))
    }));
    let status = world.status(0).unwrap();
    assert!(status.hold.unwrap().why.contains("is not answered"));
    assert_ne!(status.state, Some(LinkState::Alone));
}
