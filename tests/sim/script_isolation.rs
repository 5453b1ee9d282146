//! A master isolated by its takeover checks (spec 7.10): how it goes on, and that an operator's word counts.

use standin::engine::base::{Condition, Role};
use standin::engine::message::Body;
use standin::engine::order::Order;
use standin::engine::settings::Settings;

use crate::pair::{BOOT_HOLD_MS, condition, cut_link, heal, healthy, holds, is_active, pair_of, release, role, well};
use crate::sim::world::World;

fn settings() -> Settings {
    let mut settings = crate::pair::settings();
    settings.takeover_checks.tcp = vec!["gateway:1".into()];
    settings
}

/// Its way to everything but the shadow is gone, and the shadow has died.
fn isolated() -> World {
    let mut world = pair_of(&settings());
    world.nodes[0].checks_fail = true;
    world.crash(1, false);
    assert!(world.run_till(10_000, |world| condition(world, 0) == Some(Condition::Isolated)));
    assert!(world.run_till(2_000, |world| !world.nodes[0].service));
    world
}

/// spec 7.10: the shadow that comes back is asked over its own connection, whenever that comes and however often it has to be
/// asked; the checks still fail.
#[test]
fn an_isolated_master_asks_the_shadow_that_attaches() {
    for wait_ms in [0, 10, 100, 1_000, 2 * BOOT_HOLD_MS] {
        for loses_answer in [false, true] {
            let mut world = isolated();
            world.run_until(world.t + wait_ms);
            if loses_answer {
                world.hold = Some((1, |body| matches!(body, Body::Answer(_))));
            }
            world.start(1);
            world.run_until(world.t + 1_000);
            assert_eq!(is_active(&world, 0), !loses_answer, "after {wait_ms} ms");
            // What came too late is no answer; it is asked again.
            release(&mut world);
            healthy(&mut world);
            assert_eq!(role(&world, 0), (Some(Role::Master), 1));
            assert!(!holds(&world, 0, "H-023"));
        }
    }
}

/// spec 7.10: nothing has died, but its shadow cannot be dialled: the connection it makes itself is enough.
#[test]
fn a_shadow_that_cannot_be_dialled_ends_an_isolation() {
    let mut settings = settings();
    settings.shadow.takeover_delay = 30_000;
    let mut world = pair_of(&settings);
    world.nodes[0].checks_fail = true;
    world.net.no_dial[0] = true;
    cut_link(&mut world);
    assert!(world.run_till(5_000, |world| condition(world, 0) == Some(Condition::Isolated)));
    heal(&mut world);
    world.net.no_dial[0] = true;
    assert!(world.run_till(10_000, |world| is_active(world, 0) && world.nodes[0].service));
    well(&world);
}

/// spec 7.6, 7.10: a master of a lower term that gives way to an isolated one becomes its shadow and answers; the service is not
/// down for longer than that takes.
#[test]
fn an_isolated_master_that_won_goes_on() {
    let mut world = pair_of(&settings());
    world.nodes[0].checks_fail = true;
    cut_link(&mut world);
    assert!(world.run_till(5_000, |world| condition(world, 0) == Some(Condition::Isolated)));
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.check.was_forced = true;
    world.check.permit_two(0, &world.nodes);
    world.order(0, Order::BecomeMaster { without_arbiter: false });
    assert!(world.run_till(2_000, |world| is_active(world, 0)));
    heal(&mut world);
    healthy(&mut world);
    assert_eq!(role(&world, 0).0, Some(Role::Master), "the higher term stays");
}

/// spec 7.8, 7.10: what an operator says stands although the checks go on failing, until one passes or the shadow was heard.
#[test]
fn an_order_to_go_on_is_not_undone_by_the_checks() {
    for order in [Order::Resume, Order::BecomeMaster { without_arbiter: false }] {
        let mut world = isolated();
        let is_resume = order == Order::Resume;
        world.check.was_forced = true;
        world.check.permit_two(0, &world.nodes);
        let id = world.order(0, order);
        assert!(world.run_till(1_000, |world| is_active(world, 0)));
        let said = format!("{:?}", world.answers[&id]);
        assert!(said.contains("takeover checks fail counts again"), "{said}");
        for _ in 0..100 {
            world.run_until(world.t + 100);
            assert!(is_active(&world, 0) && world.nodes[0].service, "resume: {is_resume}");
        }
        // One check that passes, and they count again.
        world.nodes[0].checks_fail = false;
        world.run_until(world.t + 15_000);
        world.start(1);
        healthy(&mut world);
        world.nodes[0].checks_fail = true;
        world.crash(1, false);
        assert!(world.run_till(10_000, |world| condition(world, 0) == Some(Condition::Isolated)));
    }
}

/// spec 7.8, 7.10: `become-shadow` of an isolated master that cannot be written yet: nothing makes it active meanwhile
#[test]
fn one_that_gives_the_role_up_is_not_isolated_any_more() {
    let mut world = isolated();
    world.nodes[0].persist_fails = true;
    world.order(0, Order::BecomeShadow);
    world.run_until(world.t + 2_000);
    let resume = world.order(0, Order::Resume);
    world.nodes[0].checks_fail = false;
    for _ in 0..100 {
        world.run_until(world.t + BOOT_HOLD_MS / 20);
        assert!(!world.nodes[0].service);
    }
    let said = format!("{:?}", world.answers[&resume]);
    assert!(said.contains("a change of roles is under way"), "{said}");
    world.nodes[0].persist_fails = false;
    assert!(world.run_till(5_000, |world| role(world, 0).0 == Some(Role::Shadow)));
    assert!(!world.nodes[0].service && !holds(&world, 0, "H-023"));
}
