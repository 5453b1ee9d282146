//! What may befall the pair of a walk, and how often.

use standin::engine::base::{LinkState, Role};
use standin::engine::order::Order;

use crate::sim::world::World;

/// What may befall the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Crash(usize),
    Start(usize),
    Cut,
    CutOneWay(usize),
    Heal,
    Switch,
    Stop(usize),
    BecomeMaster(usize),
    BecomeShadow(usize),
    Disconnect(usize),
    Connect(usize),
}

pub const EVENTS: &[Event] = &[
    Event::Crash(0),
    Event::Crash(1),
    Event::Start(0),
    Event::Start(1),
    Event::Cut,
    Event::CutOneWay(0),
    Event::CutOneWay(1),
    Event::Heal,
    Event::Switch,
    Event::Stop(0),
    Event::Stop(1),
    Event::BecomeMaster(0),
    Event::BecomeMaster(1),
    Event::BecomeShadow(0),
    Event::BecomeShadow(1),
    Event::Disconnect(0),
    Event::Disconnect(1),
    Event::Connect(0),
    Event::Connect(1),
];

/// What may happen once in a walk. Its end (start, heal, connect) may come at any later moment, or never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    pub has_arbiter: bool,
    pub crash: bool,
    pub cut: bool,
    pub switch: bool,
    pub order: bool,
    /// Only between two ticks, when all that happens at one moment has happened: the coarser model, in which all four fit.
    pub at_ticks: bool,
}

impl Budget {
    /// What is left, as a number.
    pub fn mark(self) -> u128 {
        [self.crash, self.cut, self.switch, self.order].iter().fold(1, |mark, left| mark << 1 | u128::from(*left))
    }

    /// `arbiter: crash + cut`
    pub fn name(self) -> String {
        let words = [("crash", self.crash), ("cut", self.cut), ("switch", self.switch), ("order", self.order)];
        let list: Vec<&str> = words.iter().filter(|(_, is_in)| *is_in).map(|(word, _)| *word).collect();
        let grain = if self.at_ticks { ", between ticks" } else { "" };
        format!("{}: {}{grain}", if self.has_arbiter { "arbiter" } else { "no arbiter" }, list.join(" + "))
    }
}

/// One state, what is left to happen, and how it came about.
#[derive(Clone)]
pub struct Place {
    pub world: World,
    pub left: Budget,
    pub path: Vec<(u64, Event)>,
}

/// Within its budget, and not without effect.
pub fn is_possible(place: &Place, event: Event) -> bool {
    let (world, left) = (&place.world, &place.left);
    let is_up = |node: usize| world.nodes[node].is_up();
    let role = |node: usize| world.nodes[node].disk.durable.role.filter(|_| is_up(node));
    match event {
        Event::Crash(node) => left.crash && is_up(node),
        Event::Start(node) => !is_up(node),
        Event::Cut | Event::CutOneWay(_) => left.cut,
        Event::Heal => world.net.cut != [false; 2],
        Event::Switch => left.switch && acting(world).is_some(),
        Event::Stop(node) => left.order && is_up(node),
        Event::BecomeMaster(node) => left.order && role(node) == Some(Role::Shadow),
        Event::BecomeShadow(node) => left.order && role(node) == Some(Role::Master),
        Event::Disconnect(node) => {
            left.order && role(node) == Some(Role::Shadow) && world.nodes[node].disk.durable.connect_wanted
        }
        Event::Connect(node) => {
            role(node) == Some(Role::Shadow)
                && !world.nodes[node].disk.durable.connect_wanted
                && world.glance(node).and_then(|glance| glance.state) == Some(LinkState::Disconnected)
        }
    }
}

/// Whom a switch is ordered of.
fn acting(world: &World) -> Option<usize> {
    (0..2).find(|node| world.glance(*node).is_some_and(|glance| glance.is_active))
}

pub fn befall(place: &mut Place, event: Event) {
    let (world, left) = (&mut place.world, &mut place.left);
    place.path.push((world.t, event));
    if world.net.cut != [false; 2] {
        world.check.unseen_at = Some(world.t);
    }
    let order = match event {
        Event::Crash(node) => {
            left.crash = false;
            return world.crash(node, false);
        }
        Event::Start(node) => return world.start(node),
        Event::Cut | Event::CutOneWay(_) => {
            left.cut = false;
            world.check.unseen_at = Some(world.t);
            world.net.cut = [event != Event::CutOneWay(1), event != Event::CutOneWay(0)];
            return;
        }
        Event::Heal => return world.net.heal(),
        Event::Switch => acting(world).map(|node| (node, Order::Switch { dry_run: false })),
        Event::Stop(node) => Some((node, Order::Stop { keep_role: false })),
        Event::BecomeMaster(node) => Some((node, Order::BecomeMaster { without_arbiter: false })),
        Event::BecomeShadow(node) => Some((node, Order::BecomeShadow)),
        Event::Disconnect(node) => Some((node, Order::Disconnect)),
        Event::Connect(node) => Some((node, Order::Connect)),
    };
    let Some((node, order)) = order else { return };
    match event {
        Event::Connect(_) => {}
        Event::Switch => left.switch = false,
        _ => left.order = false,
    }
    if matches!(event, Event::BecomeMaster(_) | Event::BecomeShadow(_)) {
        world.check.was_forced = true;
        world.check.permit_two(node, &world.nodes);
    }
    world.order(node, order);
}
