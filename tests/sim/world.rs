//! The world: time, two nodes, what they do to each other. Executes effects as the real node does: in order, a durable write
//! answered before anything else.

use std::collections::{BTreeMap, VecDeque};

use standin::engine::base::{Condition, LinkId, OwnTerms, PairId, Role, Term, UnixMillis};
use standin::engine::durable::{Durable, Peer};
use standin::engine::effect::Effects;
use standin::engine::input::{Input, ServiceChange};
use standin::engine::message::{Body, Push, Timing};
use standin::engine::order::{Actor, Order, Reply};
use standin::engine::settings::Settings;
use standin::engine::status::Status;
use standin::engine::{Engine, Glance};

use crate::sim::check::Checker;
use crate::sim::mirror::{Mirror, Rev};
use crate::sim::net::{Item, Net};
use crate::sim::node::{Disk, Node, fingerprint, instance};
use crate::sim::queue::Queue;
use crate::sim::random::Random;

/// More happenings than any life needs: something spins.
const EVENTS_MAX: u64 = 400_000;
/// A look for drift takes so long, ms.
const LOOK_MS: u64 = 15;

#[derive(Clone, Debug)]
pub enum What {
    Input {
        node: usize,
        incarnation: u64,
        input: Box<Input>,
    },
    Deliver {
        conn: u64,
        end: usize,
    },
    /// In a walk: what waits for a cut way is tried again, connection by connection.
    Retransmit,
    Alarm {
        node: usize,
        incarnation: u64,
    },
    Dial {
        node: usize,
        incarnation: u64,
        attempt: u64,
        timeout_ms: u64,
    },
    Scan {
        node: usize,
        incarnation: u64,
        term: Term,
    },
    Push {
        node: usize,
        incarnation: u64,
        link: LinkId,
        trail: Vec<standin::engine::base::RevisionId>,
        complete: bool,
    },
    Apply {
        node: usize,
        incarnation: u64,
        link: LinkId,
        push: Box<Push>,
    },
    Look {
        node: usize,
        incarnation: u64,
        serial: u64,
    },
    Service {
        node: usize,
        incarnation: u64,
        start: bool,
    },
    Settings {
        node: usize,
        incarnation: u64,
        patch: Box<standin::engine::settings::SettingsPatch>,
    },
    Die {
        conn: u64,
    },
    Arbiter(Box<crate::sim::arbiter::Step>),
    Allowance {
        node: usize,
        until: standin::engine::base::Millis,
    },
    GuardStopped {
        node: usize,
        epoch: u64,
    },
    Resume {
        node: usize,
        incarnation: u64,
    },
    Chaos {
        fault: crate::sim::faults::Fault,
        node: usize,
    },
}

/// An order that waits for its answer: node, incarnation, since when, what.
pub type Pending = (usize, u64, u64, Order);
/// Picks messages that are held back.
pub type Matches = fn(&Body) -> bool;

#[derive(Clone, Debug)]
pub struct World {
    pub t: u64,
    pub nodes: [Node; 2],
    pub net: Net,
    pub arbiter: crate::sim::arbiter::Arbiter,
    pub random: Random,
    pub check: Checker,
    pub pushes: Vec<Vec<Rev>>,
    /// Orders without answer: node, incarnation, since when.
    pub pending: BTreeMap<u64, Pending>,
    pub answers: BTreeMap<u64, Result<Reply, standin::engine::base::Problem>>,
    pub trace: bool,
    pub failure: Option<String>,
    /// How often the operator had to choose a master in peace.
    pub chosen: usize,
    /// Faults of services, disks and transfers are off.
    pub is_calm: bool,
    pub digest: u64,
    /// In a walk time passes in ticks; 0: in milliseconds.
    pub tick_ms: u64,
    /// A look for drift takes so long, ms.
    pub look_ms: u64,
    /// Messages held back instead of sent, for scripts: by node and kind.
    pub ambushes: Vec<crate::sim::ambush::Ambush>,
    pub hold: Option<(usize, Matches)>,
    pub held: Vec<(u64, usize, Item)>,
    queue: Queue,
    events: u64,
    next_order: u64,
}

pub fn timing_of(settings: &Settings) -> Timing {
    Timing {
        check_interval_ms: settings.shadow.check_interval,
        takeover_delay_ms: settings.shadow.takeover_delay,
        connect_timeout_ms: settings.shadow.connect_timeout,
        request_timeout_ms: settings.shadow.request_timeout,
    }
}

impl World {
    /// A pair that has just been made: node 0 master at term 1, node 1 its shadow.
    pub fn new(seed: u64, settings: &Settings) -> Self {
        let disks = [0usize, 1].map(|index| {
            let mut durable = Durable::new(instance(index));
            let other = 1 - index;
            durable.role = Some(if index == 0 { Role::Master } else { Role::Shadow });
            durable.term = Term(1);
            durable.known_term = Term(1);
            durable.connect_wanted = index == 1;
            durable.complete_wanted = index == 1;
            durable.peer = Some(Peer {
                pair: PairId(uuid::Uuid::from_u128(99)),
                instance: instance(other),
                fingerprint: fingerprint(other),
                own_terms: if index == 0 { OwnTerms::Odd } else { OwnTerms::Even },
                host: format!("node-{other}"),
                port: 8443,
                address: None,
                version: "0.1.0".into(),
                description: String::new(),
                timing: timing_of(settings),
                grace_period_ms: 0,
                paired: UnixMillis(0),
                run: standin::engine::base::Run(0),
            });
            let mut own = settings.clone();
            own.host = format!("node-{index}");
            own.high_availability.enabled = index == 0;
            let mut mirror = Mirror::default();
            mirror.files.insert(0, index as u64);
            Disk { durable, mirror, settings: own, alerts: BTreeMap::new(), is_copied: false }
        });
        let [first, second] = disks;
        Self {
            t: 1_000,
            nodes: [Node::new(0, first), Node::new(1, second)],
            net: Net { delay_ms: (1, 10), ..Net::default() },
            arbiter: crate::sim::arbiter::Arbiter::default(),
            random: Random::new(seed),
            check: Checker::default(),
            pushes: Vec::new(),
            pending: BTreeMap::new(),
            answers: BTreeMap::new(),
            trace: false,
            failure: None,
            chosen: 0,
            is_calm: true,
            digest: 0,
            tick_ms: 0,
            look_ms: LOOK_MS,
            ambushes: Vec::new(),
            hold: None,
            held: Vec::new(),
            queue: Queue::default(),
            events: 0,
            next_order: 1,
        }
    }

    pub fn log(&self, text: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>9} {}", self.t, text());
        }
    }

    pub fn fail(&mut self, why: impl Into<String>) {
        if self.failure.is_none() {
            let why = format!("at {} ms: {}", self.t, why.into());
            self.log(|| format!("VIOLATION {why}"));
            self.failure = Some(why);
        }
    }

    pub fn at(&mut self, at: u64, what: What) {
        let at = if self.tick_ms > 0 { at.next_multiple_of(self.tick_ms) } else { at };
        let at = at.max(self.t);
        match what {
            // In a walk every node looks at its clock at every tick, in the order of the nodes, before anything else.
            What::Alarm { node, .. } if self.tick_ms > 0 => self.queue.push_first(at, node as u64, what),
            What::Retransmit => self.queue.push_first(at, 2, what),
            _ => self.queue.push(at, what),
        }
    }

    pub fn later(&mut self, span: (u64, u64), what: What) {
        // In a walk what takes a moment takes none: moments are told apart by the tick.
        let span = if self.tick_ms > 0 && span.0 <= 1 { 0 } else { self.random.range(span.0, span.1) };
        let at = self.t + span;
        self.at(at, what);
    }

    /// Lets the world go on until that moment, or a violation.
    pub fn run_until(&mut self, until: u64) {
        while self.failure.is_none() {
            if self.queue.next_at().is_none_or(|at| at > until) {
                break;
            }
            let Some((at, what)) = self.queue.pop() else { break };
            self.t = at;
            self.events += 1;
            if self.events > EVENTS_MAX {
                return self.fail("too many events: something spins");
            }
            self.happen(what);
        }
        self.t = self.t.max(until);
    }

    /// The next thing that waits.
    pub fn step(&mut self) {
        if let Some((at, what)) = self.queue.pop() {
            self.t = at;
            self.happen(what);
        }
    }

    /// When the next thing waits.
    pub fn next_at(&self) -> Option<u64> {
        self.queue.next_at()
    }

    /// All that waits, in order.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &What)> {
        self.queue.waiting()
    }

    /// Lets it go on until the condition holds; false: it did not within the limit.
    pub fn run_till(&mut self, limit_ms: u64, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.t + limit_ms;
        while self.t < end && self.failure.is_none() {
            if holds(self) {
                return true;
            }
            let next = self.queue.next_at().unwrap_or(end);
            self.run_until(next.min(end));
        }
        holds(self)
    }

    pub fn is_now(&self, node: usize, incarnation: u64) -> bool {
        self.nodes[node].is_up() && self.nodes[node].incarnation == incarnation
    }

    fn happen(&mut self, what: What) {
        if let Some(until) = self.sleeps_until(&what) {
            // A stopped process does nothing; what comes waits. Its own alarm is noticed when it goes on.
            if !matches!(what, What::Alarm { .. }) {
                self.at(until, what);
            }
            return;
        }
        match what {
            What::Input { node, incarnation, input } if self.is_now(node, incarnation) => self.feed(node, *input),
            What::Deliver { conn, end } => self.deliver(conn, end),
            What::Retransmit => self.retransmit(),
            What::Alarm { node, incarnation }
                if self.is_now(node, incarnation) && self.nodes[node].alarm == Some(self.t) =>
            {
                self.nodes[node].alarm = None;
                self.feed(node, Input::Tick);
            }
            What::Dial { node, incarnation, attempt, timeout_ms } if self.is_now(node, incarnation) => {
                self.dial(node, attempt, timeout_ms);
            }
            What::Scan { node, incarnation, term } if self.is_now(node, incarnation) => {
                let committed = self.nodes[node].disk.mirror.scan(term);
                if let Some(committed) = &committed {
                    self.check.committed(committed.revision);
                }
                self.feed(node, Input::Scanned { committed, problem: None });
            }
            What::Push { node, incarnation, link, trail, complete } if self.is_now(node, incarnation) => {
                self.push(node, link, &trail, complete);
            }
            What::Apply { node, incarnation, link, push } if self.is_now(node, incarnation) => {
                self.apply(node, link, &push);
            }
            What::Look { node, incarnation, serial } if self.is_now(node, incarnation) => self.look(node, serial),
            What::Service { node, incarnation, start } if self.is_now(node, incarnation) => self.service(node, start),
            What::Settings { node, incarnation, patch } if self.is_now(node, incarnation) => {
                let new = patch.applied_to(&self.nodes[node].disk.settings);
                self.nodes[node].disk.settings = new.clone();
                self.feed(node, Input::Settings(Box::new(new)));
                if self.is_now(node, incarnation) {
                    self.feed(node, Input::SettingsWritten { problem: None });
                }
            }
            What::Die { conn } => self.die(conn),
            What::Arbiter(step) => self.arbiter_step(*step),
            What::Allowance { node, until } => self.allowance_ends(node, until),
            What::GuardStopped { node, epoch } => self.guard_stopped(node, epoch),
            What::Resume { node, incarnation } if self.is_now(node, incarnation) => self.resume(node),
            What::Chaos { fault, node } => crate::sim::faults::strike(self, fault, node),
            _ => {}
        }
    }

    /// The stopped node that would have to act, until when it is stopped.
    fn sleeps_until(&self, what: &What) -> Option<u64> {
        let node = match what {
            What::Input { node, .. }
            | What::Alarm { node, .. }
            | What::Dial { node, .. }
            | What::Scan { node, .. }
            | What::Look { node, .. }
            | What::Push { node, .. }
            | What::Apply { node, .. }
            | What::Settings { node, .. } => *node,
            What::Deliver { conn, end } => self.net.conns.get(conn)?.ends[*end].node,
            What::Arbiter(step) => match **step {
                crate::sim::arbiter::Step::Answer { node, .. } | crate::sim::arbiter::Step::Timeout { node, .. } => {
                    node
                }
                _ => return None,
            },
            _ => return None,
        };
        self.nodes[node].suspended_until
    }

    pub fn start(&mut self, node: usize) {
        if self.nodes[node].is_up() {
            return;
        }
        let seed = self.random.next();
        let target = &mut self.nodes[node];
        target.incarnation += 1;
        target.alarm = None;
        target.next_link = 0;
        target.crash_in = None;
        target.cancelled.clear();
        target.suspended_until = None;
        target.guard.allowed_until = None;
        target.disk.mirror.recover();
        let boot = target.boot(seed);
        let engine = Engine::new(target.now(self.t), boot);
        target.engine = Some(engine);
        self.log(|| format!("node-{node} starts, run {}", self.nodes[node].disk.durable.run.0));
        self.check.started(node);
        if !self.nodes[node].disk.mirror.is_drifted
            && let Err(why) = self.check.directory_is_whole(node, &self.nodes, "starts")
        {
            return self.fail(why);
        }
        self.feed(node, Input::Start);
    }

    /// The process dies; its service ends within the stop budget (spec 7.13).
    pub fn crash(&mut self, node: usize, is_silent: bool) {
        if !self.nodes[node].is_up() {
            return;
        }
        self.log(|| format!("node-{node} dies{}", if is_silent { ", silently" } else { "" }));
        let target = &mut self.nodes[node];
        target.engine = None;
        target.effects.clear();
        target.crash_in = None;
        target.suspended_until = None;
        let incarnation = target.incarnation;
        self.orphan_service(node);
        self.tear_apply(node);
        self.arbiter.open.retain(|(at, run, _), _| *at != node || *run != incarnation);
        self.pending.retain(|_, (at, run, ..)| *at != node || *run != incarnation);
        self.check.died(node);
        let conns: Vec<u64> = self.net.conns.keys().copied().collect();
        for id in conns {
            for end in 0..2 {
                let conn = &self.net.conns[&id];
                if conn.ends[end].node == node && conn.ends[end].incarnation == incarnation && conn.ends[end].is_open {
                    self.net.conns.get_mut(&id).unwrap().ends[end].is_open = false;
                    if !is_silent {
                        self.put(id, 1 - end, Item::End("connection reset".into()));
                    }
                }
            }
        }
        self.net.sweep();
    }

    /// Hands one input over and executes what comes of it.
    pub fn feed(&mut self, node: usize, input: Input) {
        if self.failure.is_some() || !self.nodes[node].is_up() {
            return;
        }
        if let Some(until) = self.nodes[node].suspended_until {
            let incarnation = self.nodes[node].incarnation;
            return self.at(until, What::Input { node, incarnation, input: Box::new(input) });
        }
        self.log(|| format!("node-{node} <- {}", crate::sim::trace::brief(&input)));
        if matches!(input, Input::Service(ServiceChange::StopFailed(_))) {
            self.check.stop_failed(self.t, node);
        }
        let mut inputs = VecDeque::new();
        let mut next = Some(input);
        let incarnation = self.nodes[node].incarnation;
        while let Some(input) = next.take().or_else(|| inputs.pop_front()) {
            let now = self.nodes[node].now(self.t);
            let mut effects = Effects::default();
            let Some(engine) = self.nodes[node].engine.as_mut() else { return };
            engine.handle(now, input, &mut effects);
            for effect in effects.take() {
                let is_alive = self.execute(node, effect, &mut inputs);
                if !is_alive || !self.is_now(node, incarnation) || self.failure.is_some() {
                    return;
                }
            }
            if inputs.is_empty() {
                self.after(node);
            }
        }
    }

    fn after(&mut self, node: usize) {
        let engine = self.nodes[node].engine.as_ref().unwrap();
        let (glance, deadline) = (engine.glance(), engine.deadline());
        if let Err(why) = self.check.step(self.t, node, &self.nodes, glance) {
            return self.fail(why);
        }
        if let Some(at) = deadline {
            let at = if self.tick_ms > 0 { self.nodes[node].now(self.t + self.tick_ms).mono } else { at };
            let wanted = self.nodes[node].world_time(at).max(self.t + 1);
            if self.nodes[node].alarm.is_none_or(|alarm| alarm != wanted) {
                self.nodes[node].alarm = Some(wanted);
                let incarnation = self.nodes[node].incarnation;
                self.at(wanted, What::Alarm { node, incarnation });
            }
        }
    }

    pub fn order(&mut self, node: usize, order: Order) -> u64 {
        let id = self.next_order;
        self.next_order += 1;
        if self.nodes[node].is_up() && self.nodes[node].suspended_until.is_none() {
            let incarnation = self.nodes[node].incarnation;
            self.check.ordered(self.t, &self.nodes, &order);
            self.pending.insert(id, (node, incarnation, self.t, order.clone()));
            let seen = self.glance(node).unwrap_or_default();
            let is_held = seen.condition == Some(Condition::BootHold);
            let is_word = matches!(order, Order::BecomeMaster { .. }) || is_held && matches!(order, Order::Resume);
            let may_resume = is_word && !seen.is_active;
            self.feed(node, Input::Order { id, actor: Actor { user: "operator".into() }, order });
            if may_resume && self.glance(node).is_some_and(|seen| seen.is_active) {
                self.check.resumed(node);
            }
        }
        id
    }

    /// Somebody edits the directory.
    pub fn edit(&mut self, node: usize) {
        let (path, content) = (self.random.range(0, 5) as u8, self.random.next());
        let is_told = self.nodes[node].suspended_until.is_none();
        self.nodes[node].disk.mirror.edit(path, content, is_told);
        self.log(|| format!("node-{node} is edited"));
        self.feed(node, Input::DirectoryChanged);
    }

    pub fn glance(&self, node: usize) -> Option<Glance> {
        self.nodes[node].engine.as_ref().map(Engine::glance)
    }

    pub fn status(&self, node: usize) -> Option<Status> {
        let target = &self.nodes[node];
        target.engine.as_ref().map(|engine| engine.status(target.now(self.t)))
    }
}
