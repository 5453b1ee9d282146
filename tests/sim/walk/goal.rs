//! Where every state of a walk has to lead to: in *peace* one active and one READY shadow; and if the other machine never comes
//! back, a survivor that is active, or says why not and what an operator can do, and is active when that was done.

use standin::engine::alerts::AlertAction;
use standin::engine::order::Order;

use crate::sim::chaos;
use crate::sim::print::print;
use crate::sim::world::World;

use super::Known;

/// Peace heals within, ticks of the world.
const PEACE_TICKS_MAX: u64 = 90;
/// A survivor is active within, or waits for its operator, ticks.
const ALONE_TICKS_MAX: u64 = 30;
/// After the order it named it is active within, ticks: a wish waits for lease and promise.
const ORDERED_TICKS_MAX: u64 = 30;

/// Faults end, both run, an operator does what the rules leave to one: one active, one READY shadow, no order without answer.
pub fn peace(world: &World, good: &Known) -> Result<(), String> {
    let mut world = world.clone();
    if world.net.cut != [false; 2] {
        world.check.unseen_at = Some(world.t);
    }
    world.net.heal();
    let mut passed = Vec::new();
    for _ in 0..PEACE_TICKS_MAX {
        for node in 0..2 {
            world.start(node);
        }
        chaos::operate(&mut world);
        world.run_until(world.t);
        if let Some(why) = world.failure.take() {
            return Err(format!("in peace: {why}"));
        }
        let now = print(&world);
        if (world.is_healthy() && world.pending.is_empty()) || good.has(now) {
            passed.push(now);
            good.insert_all(passed);
            return Ok(());
        }
        passed.push(now);
        world.run_until(world.t + world.tick_ms);
    }
    let seen: Vec<_> = (0..2).map(|node| world.glance(node)).collect();
    Err(format!("(g) no way out: {seen:?}, orders without answer: {:?}", world.pending))
}

/// The other one is gone for good; this one is started again whenever it ends.
pub fn alone(world: &World, survivor: usize, good: &Known) -> Result<(), String> {
    let mut world = world.clone();
    world.net.heal();
    let mut passed = Vec::new();
    for _ in 0..ALONE_TICKS_MAX {
        world.start(survivor);
        world.run_until(world.t);
        if let Some(why) = world.failure.take() {
            return Err(format!("(g) node-{survivor} alone: {why}"));
        }
        let now = print(&world);
        passed.push(now);
        if is_active(&world, survivor) || good.has(now) {
            good.insert_all(passed);
            return Ok(());
        }
        world.run_until(world.t + world.tick_ms);
    }
    ordered(&mut world, survivor)?;
    good.insert_all(passed);
    Ok(())
}

fn is_active(world: &World, node: usize) -> bool {
    world.glance(node).is_some_and(|glance| glance.is_active) && world.nodes[node].service
}

/// It is not active by itself: it says why, and the order it names makes it so.
fn ordered(world: &mut World, survivor: usize) -> Result<(), String> {
    let describe = |world: &World, what: &str| {
        let status = world.status(survivor).map(|status| {
            (status.role, status.state, status.condition, status.hold, status.takeover.why_not, status.state_message)
        });
        format!("(g) node-{survivor}, alone, {what}: {status:?}")
    };
    let Some(status) = world.status(survivor) else { return Err(describe(world, "is down")) };
    let why = status.hold.map(|hold| hold.why).or(status.takeover.why_not).filter(|why| !why.is_empty());
    if why.is_none() {
        return Err(describe(world, "does not say why it is not active"));
    }
    let alerts = world.nodes[survivor].engine.as_ref().map(standin::engine::Engine::alerts).unwrap_or_default();
    let is_disconnected = alerts.iter().any(|alert| alert.code == "H-015" && !alert.is_over);
    if is_disconnected && !world.nodes[survivor].disk.durable.connect_wanted {
        // What that alert names; what it finds then names the rest.
        world.order(survivor, Order::Connect);
        world.run_until(world.t + ORDERED_TICKS_MAX * world.tick_ms);
        return ordered(world, survivor);
    }
    let is_named = alerts.iter().any(|alert| !alert.is_over && alert.actions.contains(&AlertAction::BecomeMaster));
    if !is_named {
        let codes: Vec<&str> = alerts.iter().map(|alert| alert.code.as_str()).collect();
        return Err(describe(world, &format!("names no order that makes it active ({codes:?})")));
    }
    for without_arbiter in [false, true] {
        if world.check.has_arbiter {
            world.check.was_without_arbiter |= without_arbiter;
        }
        world.check.was_forced = true;
        world.check.permit_two(survivor, &world.nodes);
        let id = world.order(survivor, Order::BecomeMaster { without_arbiter });
        let end = world.t + ORDERED_TICKS_MAX * world.tick_ms;
        while world.t < end && !is_active(world, survivor) && !matches!(world.answers.get(&id), Some(Err(_))) {
            world.run_until(world.t + world.tick_ms);
        }
        if let Some(why) = world.failure.take() {
            return Err(describe(world, &format!("after become-master: {why}")));
        }
        if is_active(world, survivor) {
            return Ok(());
        }
        let Some(Err(problem)) = world.answers.get(&id) else {
            return Err(describe(world, "is not active after the order it named"));
        };
        if !problem.todo.contains("without-arbiter") {
            return Err(describe(world, &format!("refuses the order it names: {problem}")));
        }
    }
    Err(describe(world, "is not active after the orders it named"))
}
