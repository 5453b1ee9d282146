//! The world: time, two nodes, what they do to each other. Executes effects as the real node does: in order, a durable write
//! answered before anything else.

use std::collections::{BTreeMap, VecDeque};

use standin::engine::Engine;
use standin::engine::base::{LinkId, Millis, OwnTerms, PairId, Role, Term, UnixMillis};
use standin::engine::durable::{Durable, Peer};
use standin::engine::effect::{Effect, Effects};
use standin::engine::input::{Input, ServiceChange};
use standin::engine::message::{Body, Push, Timing};
use standin::engine::order::{Actor, Order, Reply};
use standin::engine::settings::Settings;
use standin::engine::status::{CheckResult, Status};

use crate::check::Checker;
use crate::mirror::{Mirror, Rev};
use crate::net::{Conn, End, Item, Net};
use crate::node::{Disk, Node, fingerprint, instance, service_status};
use crate::random::Random;

/// More happenings than any life needs: something spins.
const EVENTS_MAX: u64 = 400_000;

#[derive(Clone, Debug)]
pub enum What {
    Input { node: usize, incarnation: u64, input: Box<Input> },
    Deliver { conn: u64, end: usize },
    Alarm { node: usize, incarnation: u64 },
    Dial { node: usize, incarnation: u64, attempt: u64, timeout_ms: u64 },
    Scan { node: usize, incarnation: u64, term: Term },
    Push { node: usize, incarnation: u64, link: LinkId, trail: Vec<standin::engine::base::RevisionId>, complete: bool },
    Apply { node: usize, incarnation: u64, link: LinkId, push: Box<Push> },
    Service { node: usize, incarnation: u64, start: bool },
    Settings { node: usize, incarnation: u64, patch: Box<standin::engine::settings::SettingsPatch> },
    Die { conn: u64 },
    Start { node: usize },
    Chaos(usize),
}

pub struct World {
    pub t: u64,
    pub nodes: [Node; 2],
    pub net: Net,
    pub random: Random,
    pub check: Checker,
    pub pushes: Vec<Vec<Rev>>,
    /// Orders without answer: node, incarnation, since when.
    pub pending: BTreeMap<u64, (usize, u64, u64, Order)>,
    pub answers: BTreeMap<u64, Result<Reply, standin::engine::base::Problem>>,
    pub trace: bool,
    pub failure: Option<String>,
    /// Faults of services, disks and transfers are off.
    pub is_calm: bool,
    pub digest: u64,
    /// Messages held back instead of sent, for scripts: by node and kind.
    pub hold: Option<(usize, fn(&Body) -> bool)>,
    pub held: Vec<(u64, usize, Item)>,
    queue: BTreeMap<(u64, u64), What>,
    sequence: u64,
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
            random: Random::new(seed),
            check: Checker::default(),
            pushes: Vec::new(),
            pending: BTreeMap::new(),
            answers: BTreeMap::new(),
            trace: false,
            failure: None,
            is_calm: true,
            digest: 0,
            hold: None,
            held: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
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
        self.sequence += 1;
        self.queue.insert((at.max(self.t), self.sequence), what);
    }

    fn later(&mut self, span: (u64, u64), what: What) {
        let at = self.t + self.random.range(span.0, span.1);
        self.at(at, what);
    }

    /// Lets the world go on until that moment, or a violation.
    pub fn run_until(&mut self, until: u64) {
        while self.failure.is_none() {
            let Some(((at, _), _)) = self.queue.first_key_value() else { break };
            if *at > until {
                break;
            }
            let ((at, _), what) = self.queue.pop_first().unwrap();
            self.t = at;
            self.events += 1;
            if self.events > EVENTS_MAX {
                return self.fail("too many events: something spins");
            }
            self.happen(what);
        }
        self.t = self.t.max(until);
    }

    /// Lets it go on until the condition holds; false: it did not within the limit.
    pub fn run_till(&mut self, limit_ms: u64, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.t + limit_ms;
        while self.t < end && self.failure.is_none() {
            if holds(self) {
                return true;
            }
            let next = self.queue.first_key_value().map_or(end, |((at, _), _)| *at);
            self.run_until(next.min(end));
        }
        holds(self)
    }

    fn is_now(&self, node: usize, incarnation: u64) -> bool {
        self.nodes[node].is_up() && self.nodes[node].incarnation == incarnation
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Input { node, incarnation, input } if self.is_now(node, incarnation) => self.feed(node, *input),
            What::Deliver { conn, end } => self.deliver(conn, end),
            What::Alarm { node, incarnation } if self.is_now(node, incarnation) => {
                if self.nodes[node].alarm == Some(self.t) {
                    self.nodes[node].alarm = None;
                    self.feed(node, Input::Tick);
                }
            }
            What::Dial { node, incarnation, attempt, timeout_ms } if self.is_now(node, incarnation) => {
                self.dial(node, attempt, timeout_ms);
            }
            What::Scan { node, incarnation, term } if self.is_now(node, incarnation) => {
                let committed = self.nodes[node].disk.mirror.scan(term);
                if let Some(committed) = &committed {
                    self.check.committed(node, committed.revision);
                }
                self.feed(node, Input::Scanned { committed, problem: None });
            }
            What::Push { node, incarnation, link, trail, complete } if self.is_now(node, incarnation) => {
                self.push(node, link, &trail, complete);
            }
            What::Apply { node, incarnation, link, push } if self.is_now(node, incarnation) => {
                self.apply(node, link, &push);
            }
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
            What::Start { node } => self.start(node),
            What::Chaos(index) => crate::chaos::strike(self, index),
            _ => {}
        }
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
        let boot = target.boot(seed);
        let engine = Engine::new(target.now(self.t), boot);
        target.engine = Some(engine);
        self.log(|| format!("node-{node} starts, run {}", self.nodes[node].disk.durable.run.0));
        self.check.started(node);
        self.feed(node, Input::Start);
    }

    /// The process dies; its service with it (spec 7.13).
    pub fn crash(&mut self, node: usize, is_silent: bool) {
        if !self.nodes[node].is_up() {
            return;
        }
        self.log(|| format!("node-{node} dies{}", if is_silent { ", silently" } else { "" }));
        let target = &mut self.nodes[node];
        target.engine = None;
        target.effects.clear();
        target.service = false;
        target.crash_in = None;
        let incarnation = target.incarnation;
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
        self.log(|| format!("node-{node} <- {}", brief(&input)));
        let mut inputs = VecDeque::from([input]);
        let incarnation = self.nodes[node].incarnation;
        while let Some(input) = inputs.pop_front() {
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
        let status = engine.status(self.nodes[node].now(self.t));
        let deadline = engine.deadline();
        let text = self.check.status(self.t, node, &self.nodes, status);
        if let Err(why) = text {
            return self.fail(why);
        }
        if let Some(at) = deadline {
            let wanted = self.nodes[node].world_time(at).max(self.t + 1);
            if self.nodes[node].alarm.is_none_or(|alarm| alarm != wanted) {
                self.nodes[node].alarm = Some(wanted);
                let incarnation = self.nodes[node].incarnation;
                self.at(wanted, What::Alarm { node, incarnation });
            }
        }
    }

    /// One effect; false: the process has died over it.
    fn execute(&mut self, node: usize, effect: Effect, inputs: &mut VecDeque<Input>) -> bool {
        let incarnation = self.nodes[node].incarnation;
        if let Some(left) = &mut self.nodes[node].crash_in {
            if *left == 0 {
                // Torn or not, the record is the old or the new one.
                if let Effect::Persist { durable, .. } = &effect
                    && self.random.chance(50)
                {
                    self.store(node, (**durable).clone());
                }
                let is_silent = self.random.chance(50);
                self.crash(node, is_silent);
                return false;
            }
            *left -= 1;
        }
        self.digest = self.digest.wrapping_mul(31).wrapping_add(self.t ^ node as u64);
        if self.trace && !matches!(effect, Effect::SaveAlert(_)) {
            println!("{:>9} node-{node} -> {}", self.t, brief_effect(&effect));
        }
        match effect {
            Effect::Persist { ticket, durable } => {
                if self.nodes[node].persist_fails {
                    inputs.push_back(Input::PersistFailed { ticket, why: "no space".into() });
                } else {
                    self.store(node, *durable);
                    inputs.push_back(Input::Persisted { ticket });
                }
            }
            Effect::Dial { attempt, connect_timeout_ms, .. } => {
                self.later((1, 12), What::Dial { node, incarnation, attempt, timeout_ms: connect_timeout_ms });
            }
            Effect::CancelDial { attempt } => self.nodes[node].cancelled.push(attempt),
            Effect::Send { link, envelope } => self.send(node, link, envelope),
            Effect::Close { link, why } => self.close(node, link, &why),
            Effect::Scan { term, .. } => {
                if let Err(why) = self.check.scan(node, &self.nodes, term) {
                    self.fail(why);
                }
                self.later((1, 60), What::Scan { node, incarnation, term });
            }
            Effect::Push { link, trail, complete } => {
                self.later((1, 40), What::Push { node, incarnation, link, trail, complete });
            }
            Effect::Apply { link, push, .. } => {
                self.later((1, 80), What::Apply { node, incarnation, link, push });
            }
            Effect::StartService { .. } => {
                self.nodes[node].service = true;
                self.check.service(self.t, node, true);
                self.later((0, 100), What::Service { node, incarnation, start: true });
            }
            Effect::StopService { .. } => self.later((0, 400), What::Service { node, incarnation, start: false }),
            Effect::RunTakeoverChecks => {
                let ok = !self.nodes[node].checks_fail;
                let input = Input::TakeoverChecked(vec![CheckResult {
                    target: "tcp gateway:1".into(),
                    ok,
                    message: String::new(),
                }]);
                self.later((1, 300), What::Input { node, incarnation, input: Box::new(input) });
            }
            Effect::WriteSettings(patch) => self.later((1, 30), What::Settings { node, incarnation, patch }),
            Effect::Reply { id, outcome } => {
                if self.pending.remove(&id).is_none() {
                    self.fail(format!("order {id} was answered twice, or never asked"));
                }
                self.answers.insert(id, *outcome);
            }
            Effect::SaveAlert(alert) => {
                self.nodes[node].disk.alerts.insert(alert.id, *alert);
            }
            Effect::DropAlert { id } => {
                self.nodes[node].disk.alerts.remove(&id);
            }
            Effect::Exit => {
                self.nodes[node].exits += 1;
                if let Some((_, (_, _, _, order))) =
                    self.pending.iter().find(|(_, (at, run, ..))| *at == node && *run == incarnation)
                {
                    let order = order.clone();
                    if matches!(order, Order::Stop { .. }) {
                        self.fail(format!("exit without an answer to {order:?}"));
                    }
                }
                self.crash(node, false);
                return false;
            }
            // Nobody knows more then, and the rules choose to go on: two active are possible (spec 7.5).
            Effect::Note(event) if event.text.starts_with("nobody answered within") => self.check.was_forced = true,
            Effect::Note(event) if event.text == "READY" => {
                self.check.seen[node].state = Some(standin::engine::base::LinkState::Ready);
            }
            Effect::RestoreDrift | Effect::RunHook { .. } | Effect::Note(_) | Effect::AnswerPairing { .. } => {}
        }
        true
    }

    fn store(&mut self, node: usize, durable: Durable) {
        let outcome = self.check.stored(self.t, node, &self.nodes, &durable);
        self.nodes[node].disk.durable = durable;
        if let Err(why) = outcome {
            self.fail(why);
        }
    }

    fn send(&mut self, node: usize, link: LinkId, envelope: Box<standin::engine::message::Envelope>) {
        if envelope.term > self.nodes[node].disk.durable.term || Some(envelope.role) != self.nodes[node].role() {
            return self.fail(format!("node-{node} says role and term that are not on its disk: {envelope:?}"));
        }
        let incarnation = self.nodes[node].incarnation;
        let Some((conn, end)) = self.net.find(node, incarnation, link) else { return };
        if let Body::Applied(applied) = &envelope.body
            && !self.nodes[node].disk.mirror.has(applied.revision)
        {
            return self.fail("acknowledged a revision that is not on disk");
        }
        if let Some((held, matches)) = self.hold
            && held == node
            && matches(&envelope.body)
        {
            self.held.push((conn, 1 - end, Item::Message(envelope)));
            return;
        }
        self.put(conn, 1 - end, Item::Message(envelope));
    }

    /// On its way to that end, behind whatever is on its way already.
    pub fn put(&mut self, conn: u64, end: usize, item: Item) {
        let delay = self.random.range(self.net.delay_ms.0, self.net.delay_ms.1);
        let t = self.t;
        let Some(target) = self.net.conns.get_mut(&conn) else { return };
        if target.is_dead {
            return;
        }
        let inbox = &mut target.ends[end].inbox;
        let at = (t + delay).max(inbox.back().map_or(0, |(at, _)| *at));
        inbox.push_back((at, item));
        self.at(at, What::Deliver { conn, end });
    }

    fn deliver(&mut self, id: u64, end: usize) {
        let t = self.t;
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        let from = conn.ends[1 - end].node;
        if conn.is_dead || conn.ends[end].inbox.front().is_none_or(|(at, _)| *at > t) {
            return;
        }
        if self.net.cut[from] {
            // Either it waits for the way to open, as a retransmission does, or the connection dies.
            if !self.is_calm && self.random.chance(10) {
                conn.is_dead = true;
                self.later((0, 3_000), What::Die { conn: id });
            } else {
                self.later((20, 60), What::Deliver { conn: id, end });
            }
            return;
        }
        let (_, item) = conn.ends[end].inbox.pop_front().unwrap();
        let (node, incarnation, link) = (conn.ends[end].node, conn.ends[end].incarnation, conn.ends[end].link);
        let has_more = !conn.ends[end].inbox.is_empty();
        if has_more {
            self.at(t, What::Deliver { conn: id, end });
        }
        if !self.is_now(node, incarnation) || !self.net.conns[&id].ends[end].is_open {
            return;
        }
        match item {
            Item::Message(envelope) => {
                if let Body::Applied(applied) = &envelope.body {
                    self.check.acknowledged(applied.revision);
                }
                self.feed(node, Input::Received { link, envelope, host_problem: None });
            }
            Item::End(why) => {
                self.net.conns.get_mut(&id).unwrap().ends[end].is_open = false;
                self.net.sweep();
                self.feed(node, Input::LinkDown { link, why });
            }
        }
    }

    /// Both ends notice that the connection is gone.
    fn die(&mut self, id: u64) {
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        conn.is_dead = true;
        let mut gone = Vec::new();
        for end in &mut conn.ends {
            if std::mem::take(&mut end.is_open) {
                gone.push((end.node, end.incarnation, end.link));
            }
        }
        self.net.sweep();
        for (node, incarnation, link) in gone {
            let input = Input::LinkDown { link, why: "connection timed out".into() };
            self.later((0, 500), What::Input { node, incarnation, input: Box::new(input) });
        }
    }

    pub fn kill_conns(&mut self) {
        let all: Vec<u64> = self.net.conns.keys().copied().collect();
        for id in all {
            self.die(id);
        }
    }

    fn close(&mut self, node: usize, link: LinkId, why: &str) {
        let incarnation = self.nodes[node].incarnation;
        if let Some((id, end)) = self.net.find(node, incarnation, link) {
            self.put(id, 1 - end, Item::End("closed by the other end".into()));
            if let Some(conn) = self.net.conns.get_mut(&id) {
                conn.ends[end].is_open = false;
            }
            let input = Input::LinkDown { link, why: why.to_owned() };
            self.later((0, 5), What::Input { node, incarnation, input: Box::new(input) });
        }
    }

    fn dial(&mut self, node: usize, attempt: u64, timeout_ms: u64) {
        if self.nodes[node].cancelled.contains(&attempt) {
            return;
        }
        let (other, incarnation) = (1 - node, self.nodes[node].incarnation);
        let fail = |after: u64, why: &str| {
            let input = Input::DialFailed { attempt, steps: Vec::new(), why: why.into(), foreign: None };
            (after, What::Input { node, incarnation, input: Box::new(input) })
        };
        if self.net.cut[0] || self.net.cut[1] {
            let (after, what) = fail(timeout_ms, "no answer");
            return self.at(self.t + after, what);
        }
        if !self.nodes[other].is_up() {
            let (after, what) = fail(1, "connection refused");
            return self.at(self.t + after, what);
        }
        if !self.is_calm && self.random.chance(5) {
            // A connection made twice, of which one is never used.
            self.connect(node, other, false);
        }
        let link = self.connect(node, other, true);
        self.feed(
            node,
            Input::LinkUp { link, outgoing: true, fingerprint: fingerprint(other), address: format!("10.0.0.{other}") },
        );
        if self.is_now(node, incarnation) {
            self.feed(node, Input::Dialled { attempt, link, steps: Vec::new() });
        }
    }

    fn connect(&mut self, node: usize, other: usize, is_used: bool) -> LinkId {
        let (near, far) = (self.nodes[node].new_link(), self.nodes[other].new_link());
        let end = |node: usize, incarnation: u64, link: LinkId, is_open: bool| End {
            node,
            incarnation,
            link,
            is_open,
            inbox: VecDeque::new(),
        };
        let id = self.net.next;
        self.net.next += 1;
        let incarnations = [self.nodes[node].incarnation, self.nodes[other].incarnation];
        let conn = Conn {
            ends: [end(node, incarnations[0], near, is_used), end(other, incarnations[1], far, true)],
            is_dead: false,
        };
        self.net.conns.insert(id, conn);
        self.feed(
            other,
            Input::LinkUp {
                link: far,
                outgoing: false,
                fingerprint: fingerprint(node),
                address: format!("10.0.0.{node}"),
            },
        );
        near
    }

    fn push(&mut self, node: usize, link: LinkId, trail: &[standin::engine::base::RevisionId], complete: bool) {
        if !self.is_calm && self.random.chance(5) {
            return self.feed(node, Input::PushFailed { link, why: "no luck".into() });
        }
        let mirror = &self.nodes[node].disk.mirror;
        let Some(revision) = mirror.head() else { return };
        let common = trail.iter().copied().find(|id| mirror.has(*id));
        let base = common.filter(|_| !complete && common == trail.first().copied());
        self.pushes.push(mirror.history.clone());
        let payload = ((self.pushes.len() - 1) as u64).to_be_bytes().to_vec();
        let durable = &self.nodes[node].disk.durable;
        let Some(peer) = &durable.peer else { return };
        let envelope = standin::engine::message::Envelope {
            pair: peer.pair,
            from: durable.instance,
            run: durable.run,
            role: durable.role.unwrap_or(Role::Shadow),
            term: durable.term,
            body: Body::Push(Box::new(Push { revision, base, common, payload })),
        };
        self.send(node, link, Box::new(envelope));
    }

    fn apply(&mut self, node: usize, link: LinkId, push: &Push) {
        if !self.is_calm && self.random.chance(5) {
            return self.feed(node, Input::ApplyFailed { link, revision: push.revision, why: "no luck".into() });
        }
        let index = u64::from_be_bytes(push.payload[..8].try_into().unwrap()) as usize;
        let theirs = self.pushes[index].clone();
        let (committed, branch) = self.nodes[node].disk.mirror.apply(&theirs);
        self.feed(node, Input::Applied { link, revision: push.revision, committed, branch });
    }

    fn service(&mut self, node: usize, start: bool) {
        let change = if !start {
            self.nodes[node].service = false;
            self.check.service(self.t, node, false);
            ServiceChange::Stopped(service_status("stopped"))
        } else if self.nodes[node].start_fails {
            self.nodes[node].service = false;
            self.check.service(self.t, node, false);
            ServiceChange::StartFailed(service_status("failed"))
        } else {
            ServiceChange::Started(service_status("running"))
        };
        self.feed(node, Input::Service(change));
    }

    pub fn order(&mut self, node: usize, order: Order) -> u64 {
        let id = self.next_order;
        self.next_order += 1;
        if self.nodes[node].is_up() {
            let incarnation = self.nodes[node].incarnation;
            self.pending.insert(id, (node, incarnation, self.t, order.clone()));
            self.feed(node, Input::Order { id, actor: Actor { user: "operator".into() }, order });
        }
        id
    }

    /// Somebody edits the directory.
    pub fn edit(&mut self, node: usize) {
        let (path, content) = (self.random.range(0, 5) as u8, self.random.next());
        self.nodes[node].disk.mirror.files.insert(path, content);
        self.log(|| format!("node-{node} is edited"));
        self.feed(node, Input::DirectoryChanged);
    }

    pub fn status(&self, node: usize) -> Option<Status> {
        let target = &self.nodes[node];
        target.engine.as_ref().map(|engine| engine.status(target.now(self.t)))
    }

    /// One active master, one READY shadow, one root.
    pub fn is_healthy(&self) -> bool {
        use standin::engine::base::LinkState::Ready;
        let (Some(a), Some(b)) = (self.status(0), self.status(1)) else { return false };
        let (master, shadow) = if a.role == Some(Role::Master) { (&a, &b) } else { (&b, &a) };
        master.role == Some(Role::Master)
            && master.active
            && shadow.role == Some(Role::Shadow)
            && shadow.state == Some(Ready)
            && master.configuration.root == shadow.configuration.root
            && master.peer.as_ref().is_some_and(|peer| peer.in_sync)
            && self.nodes.iter().filter(|node| node.service).count() == 1
    }

    pub fn world_millis(&self) -> Millis {
        Millis(self.t)
    }
}

fn brief(input: &Input) -> String {
    match input {
        Input::Received { link, envelope, .. } => {
            format!(
                "[{}] {} t{} r{}: {:?}",
                link.0,
                envelope.role.word(),
                envelope.term,
                envelope.run.0,
                brief_body(&envelope.body)
            )
        }
        Input::Settings(_) => "settings".into(),
        other => cut(&format!("{other:?}")),
    }
}

fn brief_body(body: &Body) -> String {
    match body {
        Body::Hello(hello) => format!("Hello {:?} head {:?} complete {}", hello.purpose, hello.head, hello.complete),
        Body::Welcome(hello) => format!("Welcome {:?} head {:?}", hello.purpose, hello.head),
        other => cut(&format!("{other:?}")),
    }
}

fn brief_effect(effect: &Effect) -> String {
    match effect {
        Effect::Send { link, envelope } => {
            format!("send [{}] {} t{}: {}", link.0, envelope.role.word(), envelope.term, brief_body(&envelope.body))
        }
        Effect::Persist { durable, .. } => format!(
            "persist {:?} term {} known {} note {} promise {:?}/{:?} offer {:?} wanted {}/{}",
            durable.role,
            durable.term,
            durable.known_term,
            durable.may_take_over,
            durable.own_promise,
            durable.peer_promise,
            durable.offer,
            durable.connect_wanted,
            durable.complete_wanted
        ),
        Effect::Note(event) => format!("NOTE {}", event.text),
        other => cut(&format!("{other:?}")),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(180).collect()
}
