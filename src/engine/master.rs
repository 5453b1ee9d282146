//! The master: its shadow, the link state, the note *may take over* (spec 2.7, 7.5).

use super::base::{LinkId, LinkState, Millis, RevisionId, Role, Term, UnixMillis};
use super::core::Engine;
use super::durable::Durable;
use super::event::{EventKind, Severity};
use super::message::{Body, Check, CheckAnswer, FarewellKind, Hello, Purpose, Question, Refusal, RefusalCode};
use super::push::{PushWork, ScanWork};
use super::status::DialBack;
use super::then::Then;
use super::timers::Timer;

/// A known shadow is BROKEN after so many silent check intervals (spec 2.7).
const SILENT_INTERVALS: u64 = 3;
/// How often the peer's listener is tried (spec 4.1), ms.
const DIAL_BACK_INTERVAL_MS: u64 = 3_600_000;
/// While it fails, so that the alert goes soon after its cause, ms.
const DIAL_BACK_RETRY_MS: u64 = 10_000;
/// While another record is being written, ms.
const UNWATCHED_RETRY_MS: u64 = 100;

/// What a master does with its role now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Activity {
    /// Not a master.
    #[default]
    Idle,
    /// Waits for an answer of its shadow (spec 7.5).
    Holding,
    /// Entitled to run the service.
    Active,
    /// Gives the role up: the service is being stopped.
    GivingWay,
    /// Offered the role; its service is stopped (spec 7.7).
    Offering,
    /// The offer is not answered, and time alone never takes the role back.
    InDoubt,
    /// Has the role, and its service is stopped: nobody confirms it, or it is cut off from everything (spec 7.10, 7.11).
    Isolated,
    /// Two masters with one term (spec 7.6): stopped until an operator has put the identity right.
    Halted,
}

/// What a master knows in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct Reign {
    pub activity: Activity,
    pub hold_ends: Option<Millis>,
    pub hold_since: Option<UnixMillis>,
    pub hold_why: String,
    /// The connection of the shadow's checks.
    pub shadow: Option<LinkId>,
    pub hello: Option<Hello>,
    pub connected_since: Option<UnixMillis>,
    pub last_heard: Option<Millis>,
    pub heard_wall: Option<UnixMillis>,
    pub shown_check: Option<UnixMillis>,
    /// Three check intervals without a word.
    pub is_silent: bool,
    pub peer_head: Option<RevisionId>,
    pub peer_ready: bool,
    /// Why the shadow's directory is not known to be what its head says; none: it is.
    pub peer_unlike: Option<String>,
    pub peer_checks_pass: bool,
    pub peer_checks: (u16, u16),
    /// Results of the shadow's takeover checks, as it told them.
    pub peer_results: Vec<super::status::CheckResult>,
    /// The shadow's virtual addresses; none: not told yet.
    pub peer_addresses: Option<super::message::AddressesTold>,
    pub peer_role: Option<Role>,
    pub peer_term: Term,
    /// In sync once since the shadow attached.
    pub was_in_sync: bool,
    pub push: PushWork,
    pub scan: ScanWork,
    /// Own outgoing connection for questions.
    pub ask_link: Option<LinkId>,
    pub asked: Vec<(u64, Question, Millis)>,
    pub dial_back: Option<DialBack>,
    pub dial_back_due: bool,
    /// What the other one last said of itself: as master it runs the service; none: it does not tell.
    pub peer_serves: Option<bool>,
    /// What it last said of [`Durable::unwatched`].
    pub peer_unwatched: bool,
    /// It handed the role over because it was stopped by plan, and was not heard since (spec 2.7, 7.9).
    pub has_stopped: bool,
    /// Term of the other master that was met and gave way.
    pub met_loser: Option<Term>,
    pub frozen: bool,
    /// How the role is being given away, step by step, for the events.
    pub steps: Vec<super::status::TimelineEntry>,
    /// The role is being given up.
    pub giving: Option<super::conflict::GiveWay>,
    /// A durable write that failed and is tried again.
    pub retry: Option<super::conflict::Again>,
    /// Why it is not active, and how it goes on.
    pub isolated: Option<super::arbiter::Isolated>,
    /// Since when a hand-over is in doubt.
    pub doubt_since: Option<Millis>,
    /// An order to switch that waits for the shadow to be READY.
    pub switch_wait: Option<u64>,
    /// When the shadow was lost last, while that is watched for (spec 7.10).
    pub shadow_lost_at: Option<Millis>,
    /// An operator made it active all the same: it is not isolated by its checks until one passes or the shadow is heard.
    pub isolation_waived: bool,
}

impl Engine {
    /// Master and entitled to run the service.
    pub(super) fn is_active(&self) -> bool {
        self.is_master() && self.reign.activity == Activity::Active
    }

    /// Master whose service runs, as far as is known here: also while it is being stopped.
    pub(super) fn is_serving(&self) -> bool {
        let runs = matches!(self.service.state.as_str(), "starting" | "running" | "stopping");
        self.is_master() && (self.is_active() || (runs && self.work.stopping.is_some()))
    }

    /// Master, but only an answer or an operator makes it active.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.reign.activity, Activity::Holding | Activity::InDoubt)
    }

    pub(super) fn is_offering(&self) -> bool {
        matches!(self.reign.activity, Activity::Offering | Activity::InDoubt)
    }

    pub(super) fn is_giving_way(&self) -> bool {
        matches!(self.reign.activity, Activity::GivingWay | Activity::Halted)
    }

    /// The shadow said who it is and may attach.
    pub(super) fn shadow_attached(&mut self, id: LinkId, hello: &Hello) {
        if let Some(old) = self.reign.shadow.take().filter(|old| *old != id) {
            self.close(old, "the shadow has connected anew");
        }
        self.reign.shadow = Some(id);
        self.reign.hello = Some(hello.clone());
        self.reign.connected_since = Some(self.now.wall);
        self.reign.peer_head = hello.head;
        self.reign.peer_ready = false;
        self.reign.peer_unlike = Some("it has not said yet whether its directory is what it mirrors".into());
        self.reign.peer_checks_pass = hello.takeover_checks_pass;
        self.reign.peer_checks = hello.takeover_checks;
        self.reign.peer_results.clear();
        self.clocks.forget();
        self.reign.was_in_sync = false;
        self.reign.push = PushWork { complete: hello.complete, ..PushWork::default() };
        for timer in [Timer::PushRetry, Timer::PushLimit] {
            self.timers.clear(timer);
        }
        self.heard_shadow();
        self.reign.dial_back_due = true;
        let address = self.links.all.get(&id).map_or(String::new(), |link| link.address.clone());
        self.note(EventKind::Link, Severity::Information, format!("shadow {} ({address}) is connected", hello.host));
        let Some(peer) = self.peer().cloned() else { return };
        let peer = self.peer_as_told(&peer, hello, &address, Role::Shadow);
        let draft =
            Durable { peer: Some(peer), peer_promise: None, rival_unmet: false, unwatched: false, ..self.draft() };
        if draft != self.durable {
            self.write(draft, Then::Nothing);
        }
    }

    /// The welcome is said: whatever waits for the shadow goes on.
    pub(super) fn after_attach(&mut self, id: LinkId) {
        let asks = self.reign.activity == Activity::Holding || self.is_isolated_by_checks();
        if asks || self.durable.offer.is_some() {
            self.ask_over(id);
        }
        self.check_sync();
    }

    fn heard_shadow(&mut self) {
        self.reign.last_heard = Some(self.now.mono);
        self.reign.heard_wall = Some(self.now.wall);
        let silent_ms = SILENT_INTERVALS * self.timing().check_interval_ms;
        self.timers.set(Timer::Silent, self.after(silent_ms));
        if self.reign.is_silent {
            self.note(EventKind::Link, Severity::Information, "the shadow is heard again");
        }
        self.reign.is_silent = false;
        self.timers.clear(Timer::Unwatched);
        self.settle("H-010", "");
        self.expect_check();
    }

    /// The shadow has been silent for three check intervals.
    pub(super) fn silent_due(&mut self) {
        if !self.is_master() || self.peer().is_none() || self.left_by_plan() {
            return;
        }
        if !self.reign.is_silent {
            self.note(EventKind::Link, Severity::Warning, "the shadow has been silent for three check intervals");
        }
        self.reign.is_silent = true;
        self.reign.peer_ready = false;
        let why = format!("no check of {} for three check intervals", self.peer_name());
        self.hold_alert("H-010", "", &why);
        self.watch_unwatched();
    }

    /// Without a third vote a silent shadow may take over: from when on is remembered beyond a restart (spec 7.6).
    fn watch_unwatched(&mut self) {
        if self.has_arbiter() || !self.durable.may_take_over || self.durable.unwatched {
            return;
        }
        let timing = self.timing();
        let wait_ms = timing.check_interval_ms + timing.request_timeout_ms + self.takeover_delay_ms();
        let since = self.reign.last_heard.unwrap_or(self.now.mono);
        self.timers.set(Timer::Unwatched, since.plus(wait_ms).max(self.after(1)));
    }

    /// The shadow is silent for so long that it may have taken over, and this master is active.
    pub(super) fn unwatched_due(&mut self) {
        let is_alone = self.is_active() && self.reign.is_silent && self.durable.peer_promise.is_none();
        // While takeovers are suspended there is none.
        if !is_alone || self.has_arbiter() || !self.durable.may_take_over || self.pause.until.is_some() {
            return;
        }
        if !self.is_settled_on_disk() {
            return self.timers.set(Timer::Unwatched, self.after(UNWATCHED_RETRY_MS));
        }
        self.write(Durable { unwatched: true, ..self.draft() }, Then::Nothing);
    }

    /// The link of a shadow that is heard. One that is BROKEN may still have its connection (a pulled cable ends none), and
    /// is not connected all the same (spec 2.7).
    pub(super) fn heard_link(&self) -> Option<LinkId> {
        self.reign.shadow.filter(|_| !self.reign.is_silent)
    }

    /// What the shadow was let in by has changed while it was silent: it hears so, and has to come again.
    pub(super) fn refuse_silent_shadow(&mut self) {
        let Some(id) = self.reign.shadow.filter(|_| self.reign.is_silent) else { return };
        if !self.in_force().high_availability.enabled {
            let why = "high availability is off on the master".to_owned();
            self.send(id, Body::Refused(Refusal { code: RefusalCode::Disabled, why }));
        }
        self.close(id, "the settings of the pair have changed");
    }

    /// The shadow's periodic request.
    pub(super) fn check_came(&mut self, id: LinkId, check: Check) {
        if !self.is_master() || self.reign.shadow != Some(id) {
            return;
        }
        self.heard_shadow();
        self.reign.peer_ready = check.ready;
        self.reign.peer_unlike = check.unlike;
        self.reign.peer_unlike.iter_mut().for_each(super::takeover::cut);
        self.reign.peer_checks_pass = check.takeover_checks_pass;
        self.reign.peer_checks = check.takeover_checks;
        if let Some(results) = check.checks {
            self.reign.peer_results = super::takeover::bounded(results);
        }
        if let Some(told) = check.addresses {
            self.peer_addresses_told(told);
        }
        self.clock_difference_told(check.clock_difference_ms);
        self.progress(check.transfer);
        if !self.reign.push.under_way && check.head != self.reign.peer_head {
            // In sync is what is on its disk, not what was once acknowledged (spec 5.7).
            self.reign.peer_head = check.head;
        }
        let is_new_timing = self.peer().is_some_and(|peer| peer.timing != check.timing);
        if is_new_timing && self.is_settled_on_disk() {
            let mut draft = self.draft();
            if let Some(peer) = &mut draft.peer {
                peer.timing = check.timing;
            }
            self.write(draft, Then::Nothing);
        }
        let answer = CheckAnswer {
            nonce: check.nonce,
            head: self.head_id(),
            active: self.is_active(),
            description: self.settings.description.clone(),
            renewal: self.renewal_for_check(),
            wall_ms: Some(self.now.wall.0),
            maintenance_ms: self.pause_to_tell(),
            held: self.held,
            directory: self.directory_problem.clone().map(|mut why| {
                super::takeover::cut(&mut why);
                why
            }),
        };
        self.send(id, Body::CheckAnswer(answer));
        self.check_sync();
        self.switch_goes_on();
    }

    /// The shadow's connection ended.
    pub(super) fn master_link_gone(&mut self, why: &str) {
        self.note(EventKind::Link, Severity::Warning, format!("connection of the shadow ended: {why}"));
        self.reign.shadow = None;
        self.reign.connected_since = None;
        self.reign.peer_ready = false;
        self.reign.push = PushWork { failing: self.reign.push.failing, ..PushWork::default() };
        self.transfer = None;
        for timer in [Timer::PushRetry, Timer::PushLimit] {
            self.timers.clear(timer);
        }
        self.handover_link_gone(why);
        self.shadow_is_lost();
    }

    /// Both have the same revision on disk.
    pub(super) fn in_sync(&self) -> bool {
        let head = self.head_id();
        self.reign.shadow.is_some() && head.is_some() && head == self.reign.peer_head && !self.reign.push.complete
    }

    /// The shadow may become READY once the note is on this disk (spec 7.5).
    pub(super) fn check_sync(&mut self) {
        if !self.is_active() || !self.in_sync() {
            return;
        }
        let (Some(id), Some(head)) = (self.reign.shadow, self.head_id()) else { return };
        self.reign.was_in_sync = true;
        if self.book.is_open("P-010") {
            let late = format!("revision {} was late", head.number);
            self.book.settle_push(self.now.wall, &late, &mut self.out);
        }
        if self.links.all.get(&id).is_none_or(|link| link.told_may) || self.handover.is_some() {
            return;
        }
        if self.durable.may_take_over && self.is_settled_on_disk() {
            return self.tell_may(id, head);
        }
        // A stop that keeps the role asked it for no pause, because it could not take over: nor can it meanwhile (spec 7.9).
        let keeps_role = self.leaving.as_ref().is_some_and(|leaving| leaving.keep_role);
        if self.is_settled_on_disk() && !keeps_role {
            let draft = Durable { may_take_over: true, peer_promise: None, common: Some(head), ..self.draft() };
            self.write(draft, Then::NotedMay { link: id, head });
        }
    }

    /// The note is on disk.
    pub(super) fn tell_may(&mut self, id: LinkId, head: RevisionId) {
        if self.reign.shadow != Some(id) || !self.durable.may_take_over || !self.is_active() {
            return;
        }
        if let Some(link) = self.links.all.get_mut(&id) {
            link.told_may = true;
            self.send(id, Body::MayTakeOver { head });
        }
    }

    /// The shadow leaves and promises: the note is cleared, then the promise confirmed (spec 7.5, 7.11).
    pub(super) fn farewell_came(&mut self, id: LinkId, kind: FarewellKind) {
        if !self.is_master() {
            return;
        }
        let word = match kind {
            FarewellKind::Disconnect => "disconnects",
            FarewellKind::Reset => "was reset",
            FarewellKind::Stop => "stops by plan",
        };
        let text = format!("shadow {} {word}; it will not take over", self.peer_name());
        self.note(EventKind::Link, Severity::Warning, text);
        let draft = Durable { may_take_over: false, peer_promise: Some(kind), ..self.draft() };
        self.write(draft, Then::HeardFarewell { link: id });
    }

    /// The promise is on this disk.
    pub(super) fn farewell_noted(&mut self, id: LinkId) {
        self.send(id, Body::FarewellHeard);
        self.timers.clear(Timer::Silent);
        self.reign.is_silent = false;
        self.settle("H-010", "");
        self.close(id, "the shadow left");
    }

    /// The link state of spec 2.7.
    pub(super) fn master_state(&self) -> LinkState {
        if self.peer().is_none() {
            return LinkState::Alone;
        }
        if self.reign.shadow.is_some() {
            let is_first = !self.reign.was_in_sync && (self.reign.push.complete || self.durable.common.is_none());
            return match (self.reign.is_silent, is_first) {
                (true, _) => LinkState::Broken,
                (false, true) => LinkState::Binding,
                (false, false) => LinkState::Connected,
            };
        }
        if self.left_by_plan() {
            return LinkState::Alone;
        }
        let was_heard = self.reign.last_heard.is_some() && !self.reign.is_silent;
        match (was_heard, self.durable.common.is_none()) {
            (true, true) => LinkState::Binding,
            (true, false) => LinkState::Connected,
            (false, _) => LinkState::Broken,
        }
    }

    /// The other instance said that it leaves, or was stopped by plan (spec 2.7, 7.9).
    pub(super) fn left_by_plan(&self) -> bool {
        self.durable.peer_promise.is_some() || self.reign.has_stopped
    }

    /// Whether the peer's listener could be reached (spec 4.1).
    pub(super) fn dial_back_ended(&mut self, problem: Option<&str>) {
        self.reign.dial_back = Some(DialBack {
            ok: problem.is_none(),
            at: self.now.wall,
            message: problem.unwrap_or("reached").to_owned(),
        });
        let span_ms = if problem.is_some() { DIAL_BACK_RETRY_MS } else { DIAL_BACK_INTERVAL_MS };
        self.timers.set(Timer::DialBack, self.after(span_ms));
        match problem {
            None => self.settle("H-013", ""),
            Some(why) => self.hold_alert("H-013", "", why),
        }
    }

    /// Which question a master has for its peer now, if any.
    pub(super) fn wanted_dial(&self) -> Option<Purpose> {
        self.peer()?;
        if !self.work.is_role_sure() {
            // The former master waits on the connection that stands for word of the service.
            return None;
        }
        match self.reign.activity {
            Activity::Holding | Activity::InDoubt => Some(Purpose::Ask),
            Activity::Isolated if self.live_links().is_empty() || self.reign.is_silent => Some(Purpose::Ask),
            Activity::Active if self.stall.is_barred() && self.live_links().is_empty() => Some(Purpose::Ask),
            Activity::Offering if self.live_links().is_empty() => Some(Purpose::Ask),
            Activity::Active if self.reign.is_silent => Some(Purpose::Ask),
            Activity::Active | Activity::Halted if self.reign.met_loser.is_some() && self.reign.shadow.is_none() => {
                Some(Purpose::Ask)
            }
            Activity::Active if self.reign.dial_back_due && self.reign.shadow.is_some() => Some(Purpose::DialBack),
            _ => None,
        }
    }
}
