//! A service that fails, expires or does not stop, and the fence (spec 7.13), in the virtual world.

use standin::engine::base::{Condition, Reason, Role};
use standin::engine::input::{Input, ServiceChange};
use standin::engine::order::{Order, Reply};
use standin::engine::settings::Settings;
use standin::engine::status::{Protection, ServiceStatus};

use crate::pair::{healthy, holds, is_active, pair_of, well};
use crate::sim::node::service_status;
use crate::sim::world::World;

const WINDOW_MS: u64 = 60_000;

/// A service that may be restarted twice.
fn settings() -> Settings {
    let mut settings = crate::pair::settings();
    settings.service.command = vec!["/bin/service".into()];
    settings.service.restart_limit = 2;
    settings.service.restart_window = WINDOW_MS;
    settings
}

fn failing(world: &mut World, node: usize) {
    let status =
        ServiceStatus { failing: true, message: Some("ended: exit status 1".into()), ..service_status("failed") };
    world.feed(node, Input::Service(ServiceChange::Failing(status)));
}

/// spec 7.13, 7.7: past the restart limit the role goes to the READY shadow, which is told why
#[test]
fn a_failing_service_is_handed_to_the_shadow() {
    let mut world = pair_of(&settings());
    failing(&mut world, 0);
    assert!(holds(&world, 0, "V-004"));
    assert!(world.run_till(10_000, |world| is_active(world, 1) && world.nodes[0].role() == Some(Role::Shadow)));
    let change = world.nodes[1].disk.durable.last_role_change.clone().unwrap();
    assert_eq!(change.reason, Reason::ServiceFailed);
    assert!(world.run_till(20_000, World::is_healthy));
    assert!(!holds(&world, 0, "V-004"), "it is not this instance's service any more");
    well(&world);
}

/// spec 7.13: two machines on which it fails do not throw it at each other; after the window it may move again
#[test]
fn a_service_that_fails_on_both_moves_once_in_a_window() {
    let mut world = pair_of(&settings());
    failing(&mut world, 0);
    assert!(world.run_till(10_000, |world| is_active(world, 1)));
    assert!(world.run_till(20_000, World::is_healthy));
    failing(&mut world, 1);
    world.run_until(world.t + WINDOW_MS / 2);
    assert!(is_active(&world, 1), "it stays");
    assert!(holds(&world, 1, "V-005"));
    let term = world.nodes[1].disk.durable.term;
    assert!(world.run_till(2 * WINDOW_MS, |world| is_active(world, 0)), "handed on after the window");
    assert!(world.nodes[0].disk.durable.term > term);
    well(&world);
}

/// spec 7.13: the shadow that cannot start it either gives the role back, and is not asked again within the window
#[test]
fn a_shadow_that_cannot_run_it_is_tried_once() {
    let mut world = pair_of(&settings());
    world.nodes[1].start_fails = true;
    failing(&mut world, 0);
    assert!(world.run_till(10_000, |world| world.nodes[0].disk.durable.term.0 == 3 && is_active(world, 0)));
    assert!(world.run_till(20_000, World::is_healthy));
    world.run_until(world.t + 500);
    failing(&mut world, 0);
    world.run_until(world.t + WINDOW_MS / 2);
    assert_eq!(world.nodes[0].disk.durable.term.0, 3, "no second try");
    assert!(holds(&world, 0, "V-005"));
    well(&world);
}

/// spec 7.13: with nobody to take it the alert says so, and a shadow that becomes READY later gets it
#[test]
fn a_failing_service_waits_for_a_shadow() {
    let mut world = pair_of(&settings());
    world.crash(1, false);
    world.run_until(world.t + 1_000);
    failing(&mut world, 0);
    assert!(holds(&world, 0, "V-005"));
    assert!(is_active(&world, 0));
    world.start(1);
    assert!(world.run_till(30_000, |world| is_active(world, 1)));
    well(&world);
}

/// spec 7.13: a service that cannot be started at all counts as failing too
#[test]
fn starts_that_fail_count_like_ends() {
    let mut world = pair_of(&settings());
    world.nodes[0].start_fails = true;
    let expired = ServiceStatus { message: Some("stopped by its watchdog".into()), ..service_status("stopped") };
    world.feed(0, Input::Service(ServiceChange::Expired(expired)));
    assert!(world.run_till(40_000, |world| is_active(world, 1)), "handed over after three failed starts");
    well(&world);
}

/// spec 7.13: running for a whole window ends it
#[test]
fn a_service_that_recovers_is_not_failing_any_more() {
    let mut world = pair_of(&settings());
    world.crash(1, false);
    world.run_until(world.t + 1_000);
    failing(&mut world, 0);
    let running = ServiceStatus { failing: true, ..service_status("running") };
    world.feed(0, Input::Service(ServiceChange::Changed(running)));
    assert!(holds(&world, 0, "V-004"), "a restart proves nothing");
    world.feed(0, Input::Service(ServiceChange::Changed(service_status("running"))));
    assert!(!holds(&world, 0, "V-004") && !holds(&world, 0, "V-005"));
    world.start(1);
    world.run_until(world.t + 30_000);
    assert!(is_active(&world, 0), "not handed over");
    well(&world);
}

/// spec 7.12, 7.13: what the watchdog stopped is started again only after a fresh round with the peer
#[test]
fn after_a_stall_the_peer_is_asked_before_the_service_starts() {
    let mut world = pair_of(&settings());
    world.hold = Some((1, |body| matches!(body, standin::engine::message::Body::Answer(_))));
    world.feed(0, Input::Service(ServiceChange::Expired(service_status("stopped"))));
    world.nodes[0].service = false;
    assert!(holds(&world, 0, "V-006"));
    world.run_until(world.t + 150);
    assert_eq!(world.status(0).unwrap().condition, Some(Condition::BootHold));
    assert!(!world.nodes[0].service, "not before the answer");
    world.hold = None;
    assert!(world.run_till(5_000, |world| is_active(world, 0) && world.nodes[0].service));
    world.run_until(world.t + 500);
    assert!(!holds(&world, 0, "V-006"));
    assert_eq!(world.nodes[0].disk.durable.term.0, 1);
    well(&world);
}

/// spec 7.12, 7.13: a stalled master that was replaced meanwhile does not start its service again
#[test]
fn after_a_stall_a_replaced_master_stays_stopped() {
    let mut world = pair_of(&settings());
    world.net.cut = [true, true];
    world.kill_conns();
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.feed(0, Input::Service(ServiceChange::Expired(service_status("stopped"))));
    world.nodes[0].service = false;
    world.net.cut = [false, false];
    let end = world.t + 20_000;
    while world.t < end && world.nodes[0].role() == Some(Role::Master) {
        world.run_until(world.t + 10);
        assert!(!world.nodes[0].service, "started beside the new master");
    }
    assert_eq!(world.nodes[0].role(), Some(Role::Shadow));
    well(&world);
}

/// The file of that node says so from now on.
fn change(world: &mut World, node: usize, command: &[&str]) {
    let mut settings = world.nodes[node].disk.settings.clone();
    settings.service.command = command.iter().map(|word| (*word).to_owned()).collect();
    world.nodes[node].disk.settings = settings.clone();
    world.feed(node, Input::Settings(Box::new(settings)));
}

/// spec 2.5, 7.13: a service that is configured while the master runs without one is started then
#[test]
fn a_service_that_is_configured_later_is_started() {
    let mut world = pair_of(&settings());
    change(&mut world, 0, &[]);
    assert!(world.nodes[0].service, "what runs is left to run");
    world.feed(0, Input::Service(ServiceChange::Changed(ServiceStatus::default())));
    world.nodes[0].service = false;
    world.run_until(world.t + 10_000);
    assert!(!world.nodes[0].service, "none is configured");
    change(&mut world, 0, &["/bin/other"]);
    assert!(world.run_till(2_000, |world| world.nodes[0].service), "nobody else would start it");
    // The shadow's is not.
    change(&mut world, 1, &[]);
    change(&mut world, 1, &["/bin/other"]);
    world.run_until(world.t + 5_000);
    assert!(!world.nodes[1].service);
    well(&world);
}

/// spec 2.5, 7.13: what ended by itself is started again as it is configured now, not as it was
#[test]
fn a_service_that_ends_is_started_with_the_settings_in_force() {
    let mut world = pair_of(&settings());
    let ends = |world: &mut World| {
        world.nodes[0].service = false;
        world.feed(0, Input::Service(ServiceChange::Changed(service_status("failed"))));
        world.run_until(world.t + 2_000);
        world.nodes[0].service
    };
    assert!(!ends(&mut world), "the guard restarts what has not changed");
    world.feed(0, Input::Service(ServiceChange::Changed(service_status("running"))));
    world.nodes[0].service = true;
    change(&mut world, 0, &["/bin/other"]);
    assert!(ends(&mut world), "the engine starts what has changed");
    assert!(!ends(&mut world), "once");
    well(&world);
}

/// spec 2.6, 7.7, 8.9: a service that the shadow gets or loses while it is connected is known to its master
#[test]
fn what_the_shadow_has_for_a_service_is_known_at_once() {
    let mut world = pair_of(&settings());
    let protects = |world: &World| world.status(0).unwrap().protection == standin::engine::status::Protection::Full;
    assert!(protects(&world));
    change(&mut world, 1, &[]);
    assert!(world.run_till(5_000, |world| !protects(world)));
    change(&mut world, 1, &["/bin/service"]);
    assert!(world.run_till(5_000, protects), "{:?}", world.status(0).unwrap().protection_message);
    let order = world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| world.answers.contains_key(&order)));
    assert!(world.answers[&order].is_ok(), "{:?}", world.answers[&order]);
    well(&world);
}

fn fenced() -> Settings {
    let mut settings = settings();
    settings.hooks.fence = vec!["/bin/fence".into()];
    settings.hooks.fence_required = true;
    settings
}

/// spec 7.13: a required fence command must succeed before a takeover goes on
#[test]
fn no_takeover_before_the_required_fence_has_succeeded() {
    let mut world = pair_of(&fenced());
    world.nodes[1].fence_fails = true;
    world.crash(0, false);
    world.run_until(world.t + 10_000);
    assert_eq!(world.nodes[1].role(), Some(Role::Shadow), "the fence fails");
    assert_eq!(world.nodes[1].disk.durable.term.0, 1, "no term was written");
    assert!(holds(&world, 1, "V-011") && holds(&world, 1, "H-012"));
    let status = world.status(1).unwrap();
    assert!(status.takeover.due_at.is_none() && status.takeover.why_not.is_some_and(|why| why.contains("fence")));
    assert!(status.protection_message.contains("stays shadow"), "{}", status.protection_message);
    assert!(world.nodes[1].fenced > 2, "tried again");
    world.nodes[1].fence_fails = false;
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    assert!(!holds(&world, 1, "V-011"));
    let notice = world.status(1).unwrap().notice.unwrap();
    assert!(notice.timeline.iter().any(|line| line.text.contains("fence")), "{notice:?}");
    well(&world);
}

/// spec 7.13, 7.1: a master that answers while the fence runs is not replaced
#[test]
fn a_master_that_comes_back_while_the_fence_runs_stays_master() {
    let mut world = pair_of(&fenced());
    world.nodes[1].fence_ms = 3_000;
    world.net.cut = [true, true];
    world.kill_conns();
    assert!(world.run_till(5_000, |world| world.nodes[1].fenced == 1), "the fence runs");
    world.net.cut = [false, false];
    world.run_until(world.t + 10_000);
    assert!(is_active(&world, 0));
    assert_eq!(world.nodes[1].role(), Some(Role::Shadow));
    well(&world);
}

/// spec 7.13: a fence that is not required holds nothing up
#[test]
fn a_fence_that_is_not_required_is_not_run_at_a_takeover() {
    let mut settings = fenced();
    settings.hooks.fence_required = false;
    let mut world = pair_of(&settings);
    world.crash(0, false);
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    assert_eq!(world.nodes[1].fenced, 0);
    well(&world);
}

/// spec 7.13: a stop that fails: the fence runs, a switch is abandoned
#[test]
fn a_switch_whose_service_does_not_stop_is_abandoned() {
    let mut settings = fenced();
    settings.hooks.fence_required = false;
    let mut world = pair_of(&settings);
    world.nodes[0].stop_fails = true;
    let order = world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(5_000, |world| world.answers.contains_key(&order)));
    assert!(world.answers[&order].as_ref().unwrap_err().why.contains("does not stop"));
    assert!(is_active(&world, 0));
    assert_eq!(world.nodes[0].fenced, 1);
    assert!(holds(&world, 0, "V-003"));
    well(&world);
}

/// spec 7.13: a relinquish whose service does not stop stays `stopping` with an error alert, and is no shadow
#[test]
fn a_relinquish_whose_service_does_not_stop_is_no_shadow() {
    let mut world = pair_of(&settings());
    world.nodes[0].stop_fails = true;
    world.net.cut = [true, true];
    world.kill_conns();
    assert!(world.run_till(5_000, |world| is_active(world, 1)));
    world.net.cut = [false, false];
    assert!(world.run_till(20_000, |world| holds(world, 0, "V-003")));
    world.run_until(world.t + 30_000);
    assert_eq!(world.nodes[0].role(), Some(Role::Master));
    assert_eq!(world.status(0).unwrap().condition, Some(Condition::Stopping));
    assert!(!is_active(&world, 0));
    world.nodes[0].stop_fails = false;
    assert!(world.run_till(20_000, |world| world.nodes[0].role() == Some(Role::Shadow)), "as soon as it has stopped");
    well(&world);
}

/// spec 8.9: a shadow whose service could not be started does not protect in full, on either screen, until it starts, or its
/// settings are others.
#[test]
fn a_service_that_does_not_start_is_no_full_protection() {
    let protection = |world: &World| [0, 1].map(|node| world.status(node).unwrap().protection);
    for is_mended in [true, false] {
        let mut world = pair_of(&settings());
        world.nodes[1].start_fails = true;
        let order = world.order(0, Order::Switch { dry_run: false });
        assert!(world.run_till(10_000, |world| world.answers.contains_key(&order)));
        assert!(world.answers[&order].is_err());
        healthy(&mut world);
        world.run_until(world.t + 1_000);
        assert_eq!(protection(&world), [Protection::Reduced; 2]);
        let told = world.status(0).unwrap().protection_message;
        assert!(told.contains("could not be started there"), "{told}");
        assert!(holds(&world, 0, "H-018"));
        world.nodes[1].start_fails = false;
        if is_mended {
            let mut mended = world.nodes[1].disk.settings.clone();
            mended.service.command = vec!["/bin/other".into()];
            world.nodes[1].disk.settings = mended.clone();
            world.feed(1, Input::Settings(Box::new(mended)));
        } else {
            world.order(0, Order::Switch { dry_run: false });
            assert!(world.run_till(10_000, |world| is_active(world, 1)));
        }
        healthy(&mut world);
        world.run_until(world.t + 1_000);
        assert_eq!(holds(&world, 0, "H-018"), is_mended, "over with the role");
        assert_eq!(protection(&world), [Protection::Full; 2], "{is_mended}");
    }
}

/// spec 6.2: a crash loop is one alert that counts the ends, not what is told of each.
#[test]
fn each_end_of_the_service_counts_once() {
    let mut world = pair_of(&settings());
    for pause_s in 1..=3 {
        for (state, message) in [
            ("failed", "ended: exit status 1".to_owned()),
            ("failed", format!("ended: exit status 1; starts again in {pause_s} s")),
            ("running", String::new()),
        ] {
            let status = ServiceStatus { message: Some(message), ..service_status(state) };
            world.feed(0, Input::Service(ServiceChange::Changed(status)));
        }
    }
    let alert = world.nodes[0].disk.alerts.values().find(|alert| alert.code == "V-002").unwrap();
    assert_eq!((alert.count, alert.why.as_str()), (3, "ended: exit status 1; starts again in 3 s"));
}

/// spec 7.7, 8.9: what keeps the shadow from starting the service is known before it has to: protection, rehearsal and switch say
/// so, on both sides; mended, they say that too
#[test]
fn a_service_that_cannot_start_there_is_known_beforehand() {
    let mut world = pair_of(&settings());
    let rehearsed = |world: &mut World| {
        let dry = world.order(0, Order::Switch { dry_run: true });
        world.run_until(world.t + 100);
        let Ok(Reply::Rehearsal(rehearsal)) = world.answers[&dry].clone() else { panic!("no rehearsal") };
        let failed: Vec<String> = rehearsal.checks.into_iter().filter(|check| !check.ok).map(|it| it.message).collect();
        (rehearsal.possible, failed.join("; "))
    };
    assert_eq!(rehearsed(&mut world), (true, String::new()));
    world.feed(1, Input::ServiceAhead(Some("/bin/service does not exist".into())));
    world.run_until(world.t + 500);
    assert_eq!(rehearsed(&mut world), (false, "/bin/service does not exist".into()));
    let order = world.order(0, Order::Switch { dry_run: false });
    assert!(world.answers[&order].as_ref().unwrap_err().why.contains("/bin/service does not exist"));
    for node in [0, 1] {
        let status = world.status(node).unwrap();
        assert_eq!(status.protection, Protection::None, "node-{node}");
        assert!(status.protection_message.contains("/bin/service does not exist"), "{}", status.protection_message);
    }
    assert!(holds(&world, 1, "V-009") && !holds(&world, 0, "V-009"));
    // An active instance that cannot start it again has it running, and no such alert.
    world.feed(0, Input::ServiceAhead(Some("/bin/service does not exist".into())));
    world.feed(1, Input::ServiceAhead(None));
    world.run_until(world.t + 500);
    assert_eq!(rehearsed(&mut world), (true, String::new()));
    assert!(!holds(&world, 1, "V-009") && !holds(&world, 0, "V-009"));
    assert_eq!(world.status(1).unwrap().protection, Protection::Full);
    // As the shadow it has.
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| is_active(world, 1) && holds(world, 0, "V-009")));
    well(&world);
}

/// spec 6.3, 6.6, 8.9: a shadow whose service did not start is not protection in full, not after its restart either, until the
/// operator says that it is mended
#[test]
fn a_service_that_did_not_start_there_is_not_forgotten() {
    let mut world = pair_of(&settings());
    world.nodes[1].start_fails = true;
    world.order(0, Order::Switch { dry_run: false });
    assert!(world.run_till(10_000, |world| holds(world, 1, "V-012")), "not told");
    world.nodes[1].start_fails = false;
    healthy(&mut world);
    world.crash(1, false);
    world.start(1);
    healthy(&mut world);
    world.run_until(world.t + 2 * WINDOW_MS);
    for node in [0, 1] {
        let status = world.status(node).unwrap();
        assert_eq!(status.protection, Protection::Reduced, "node-{node}");
        assert!(status.protection_message.contains("could not be started"), "{}", status.protection_message);
    }
    assert!(holds(&world, 1, "V-012") && !holds(&world, 0, "V-012"));
    let id = world.nodes[1].disk.alerts.values().find(|alert| alert.code == "V-012").unwrap().id;
    world.order(1, Order::DeleteAlert { id });
    assert!(world.run_till(20_000, |world| {
        [0, 1].iter().all(|node| world.status(*node).unwrap().protection == Protection::Full)
    }));
    assert!(!holds(&world, 1, "V-012"));
    well(&world);
}

/// spec 7.6, 7.12: one that gives the role up and stalls becomes shadow all the same: it waits for a scan, and that is no decision
#[test]
fn a_stall_holds_up_nobody_who_gives_the_role_up() {
    let mut world = pair_of(&settings());
    world.crash(1, false);
    world.run_until(world.t + 300);
    // A scan is under way when the service has stopped, so that the one that is waited for is still to be begun.
    world.feed(0, Input::DirectoryChanged);
    world.order(0, Order::BecomeShadow);
    world.feed(0, Input::Service(ServiceChange::Stopped(service_status("stopped"))));
    world.feed(0, Input::Stalled { late_ms: 11_000 });
    assert!(
        world.run_till(5_000, |world| world.nodes[0].role() == Some(Role::Shadow)),
        "it gives the role up for ever"
    );
}
