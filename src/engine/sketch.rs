//! What decides, part by part: for whoever searches all states of a pair and has to know which two are one.
//!
//! Left out is what this instance only tells people (alerts, events, notices, statistics, texts, wall time), its settings and
//! whatever follows from them, which a search leaves as they are, and drawn numbers, of which only the order counts.

use std::fmt::Debug;

use super::base::{LinkId, Millis, RevisionId, Run, Term};
use super::core::Engine;
use super::durable::Durable;
use super::timers::Timer;
use super::vote::{Claim, View};

/// A dial-back that lies farther ahead is the hourly one, which no search lives to see, ms.
const DIAL_BACK_SEEN_MS: u64 = 60_000;
/// Takeovers beyond so many delay the next one no matter how many they are.
const TAKEOVERS_SEEN_MAX: usize = 4;

/// Takes the parts of a sketch.
#[doc(hidden)]
pub trait Sketch {
    /// What follows belongs to this part.
    fn part(&mut self, name: &dyn Debug);
    /// A number that counts as it is.
    fn word(&mut self, word: u64);
    /// A name without numbers that only grow.
    fn show(&mut self, what: &dyn Debug);
    /// How far a moment lies ahead; below 0: it is past, for so long.
    fn moment(&mut self, ahead_ms: i64);
    /// A connection of this instance; which ones are the same counts, not their numbers.
    fn link(&mut self, link: LinkId);
    /// A run of the other instance.
    fn peer_run(&mut self, run: Run);
}

/// Where this instance's own numbers stand, so that those on their way can be told relative to them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Of the renewals.
    pub serial: u64,
    /// Of the lease that would be taken now.
    pub claim: Claim,
    /// Of the dial under way.
    pub attempt: Option<u64>,
}

/// What is yes or no in a record; the same of one that runs and of one that is only on the disk.
#[doc(hidden)]
#[must_use]
pub fn record_flags(durable: &Durable) -> [bool; 13] {
    [
        durable.may_take_over,
        durable.connect_wanted,
        durable.complete_wanted,
        durable.forced_shadow,
        durable.was_master,
        durable.restore_due,
        durable.rival_unmet,
        durable.unwatched,
        durable.arbiter_differs,
        durable.shares_arbiter,
        durable.common.is_some(),
        durable.settings_due.is_some(),
        durable.pause.is_some(),
    ]
}

struct Pen<'a> {
    out: &'a mut dyn Sketch,
    now: Millis,
}

impl Pen<'_> {
    fn flags(&mut self, flags: &[bool]) {
        self.out.word(flags.iter().fold(1, |word, flag| word << 1 | u64::from(*flag)));
    }

    /// Past is past.
    fn ahead(&mut self, at: Option<Millis>) {
        self.within(at, 0);
    }

    /// A moment from which something counts, for at most so long.
    fn within(&mut self, at: Option<Millis>, limit_ms: u64) {
        match at {
            None => self.out.show(&"-"),
            Some(at) if at > self.now => self.out.moment(i64::try_from(at.since(self.now)).unwrap_or(i64::MAX)),
            Some(at) => {
                let age_ms = self.now.since(at).min(limit_ms + 1);
                self.out.moment(-i64::try_from(age_ms).unwrap_or(0));
            }
        }
    }

    fn link(&mut self, link: Option<LinkId>) {
        match link {
            None => self.out.show(&"-"),
            Some(link) => self.out.link(link),
        }
    }

    fn term(&mut self, term: Term) {
        self.out.word(term.0);
    }

    fn revision(&mut self, revision: Option<RevisionId>) {
        if let Some(id) = revision {
            self.out.word(id.number);
            self.out.word(id.term.0);
            self.out.word(id.root.0[..8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        } else {
            self.out.show(&"-");
        }
    }
}

impl Engine {
    /// Everything by which this instance decides, at that moment of its clock.
    #[doc(hidden)]
    pub fn sketch(&self, now: Millis, out: &mut dyn Sketch) {
        let mut pen = Pen { out, now };
        self.sketch_record(&mut pen);
        self.sketch_timers(&mut pen);
        self.sketch_links(&mut pen);
        self.sketch_watch(&mut pen);
        self.sketch_reign(&mut pen);
        self.sketch_questions(&mut pen);
        self.sketch_changes(&mut pen);
        self.sketch_arbitration(&mut pen);
    }

    /// See [`Counters`].
    #[doc(hidden)]
    #[must_use]
    pub fn counters(&self) -> Counters {
        let (serial, claim) = self.arbitration_counters();
        let attempt = self.links.dialling.map(|dialling| dialling.attempt);
        Counters { serial, claim: Claim { run: self.durable.run, number: claim }, attempt }
    }

    /// Which of its open questions that is.
    #[doc(hidden)]
    #[must_use]
    pub fn question_index(&self, nonce: u64) -> Option<usize> {
        self.reign.asked.iter().position(|(asked, ..)| *asked == nonce)
    }

    fn sketch_record(&self, pen: &mut Pen<'_>) {
        let durable = &self.durable;
        pen.out.part(&"record");
        pen.out.show(&(durable.role, durable.peer_promise, durable.own_promise));
        pen.flags(&record_flags(durable));
        pen.flags(&[self.settings_work.is_busy(durable.settings_due.as_ref()), self.is_settled_on_disk()]);
        pen.out.word(durable.promise_ms);
        pen.out.word(durable.takeovers.list.len().min(TAKEOVERS_SEEN_MAX) as u64);
        pen.revision(self.head_id());
        pen.out.part(&"terms");
        pen.term(durable.term);
        pen.term(durable.known_term);
        pen.term(self.heard_term);
        pen.term(durable.ungranted.unwrap_or_default());
        if let Some(offer) = durable.offer {
            pen.term(offer.term);
            pen.out.show(&(offer.kind, offer.run == durable.run));
        }
        pen.out.part(&"runs");
        pen.out.peer_run(self.heard_run);
        pen.out.peer_run(durable.peer.as_ref().map_or(Run(0), |peer| peer.run));
    }

    fn sketch_timers(&self, pen: &mut Pen<'_>) {
        for (timer, at) in self.timers.all() {
            match timer {
                // Looked after for people's sake, at its own pace.
                Timer::Health | Timer::Checks => continue,
                Timer::DialBack if at.since(pen.now) > DIAL_BACK_SEEN_MS => continue,
                Timer::Greeting(link) => {
                    pen.out.part(&"Greeting");
                    pen.out.link(link);
                }
                _ => {
                    pen.out.part(&timer);
                    pen.out.show(&timer);
                }
            }
            pen.ahead(Some(at));
        }
    }

    fn sketch_links(&self, pen: &mut Pen<'_>) {
        pen.out.part(&"links");
        let timing = self.timing();
        let alive_ms = timing.check_interval_ms + timing.request_timeout_ms;
        for (id, link) in &self.links.all {
            let newest = if link.outgoing { self.links.newest_out } else { self.links.newest_in };
            pen.out.link(*id);
            pen.out.show(&(link.whose, link.purpose));
            pen.flags(&[link.outgoing, link.greeted, link.told_may, newest.is_some_and(|newest| newest > *id)]);
            if link.run != Run(0) {
                pen.out.peer_run(link.run);
            }
            pen.within(link.heard_at, alive_ms);
        }
        pen.out.show(&self.links.dialling.map(|dialling| dialling.purpose));
    }

    fn sketch_watch(&self, pen: &mut Pen<'_>) {
        pen.out.part(&"watch");
        let (watch, timing) = (&self.watch, self.timing());
        pen.out.show(&watch.state);
        pen.link(watch.link);
        pen.flags(&[
            watch.attached,
            watch.master_active,
            watch.complete,
            watch.was_attached,
            watch.was_ready_once,
            watch.gave_up,
            watch.has_waiting_push(),
        ]);
        pen.flags(&self.looks.flags());
        pen.revision(watch.may);
        pen.revision(watch.master_head);
        pen.revision(watch.applying);
        pen.term(watch.refused_offer);
        pen.out.word(watch.connecting.len() as u64);
        pen.out.part(&"watch: checks");
        for sent in watch.unanswered_since() {
            pen.within(Some(sent), timing.request_timeout_ms);
        }
        pen.out.part(&"watch: lost");
        let Some(lost) = &watch.lost else { return };
        pen.flags(&[lost.was_ready, lost.foreign.is_some(), lost.delay_over.is_some()]);
        pen.within(Some(lost.counts_from), self.takeover_delay_ms());
        pen.ahead(Some(lost.not_before));
        if let Some(rival) = lost.rival {
            pen.flags(&[rival.wins]);
            pen.within(Some(rival.at), self.meeting_counts_ms());
        }
    }

    fn sketch_reign(&self, pen: &mut Pen<'_>) {
        pen.out.part(&"reign");
        let reign = &self.reign;
        pen.out.show(&(&reign.activity, reign.peer_role, reign.retry));
        pen.ahead(reign.hold_ends);
        pen.link(reign.shadow);
        pen.revision(reign.peer_head);
        pen.term(reign.peer_term);
        pen.term(reign.met_loser.unwrap_or_default());
        pen.flags(&[
            reign.hold_ends.is_some(),
            reign.is_silent,
            reign.has_stopped,
            reign.peer_ready,
            reign.peer_checks_pass,
            reign.was_in_sync,
            reign.push.under_way,
            reign.push.complete,
            reign.push.failing.is_some(),
            reign.scan.under_way,
            reign.scan.dirty,
            reign.scan.is_begun(),
            reign.last_heard.is_some(),
            reign.dial_back_due,
            reign.frozen,
            reign.switch_wait.is_some(),
        ]);
        pen.out.word(reign.push.pause_ms);
        pen.out.show(&reign.scan.then);
        if let Some(giving) = &reign.giving {
            pen.out.show(&giving.reason);
            pen.term(giving.taken.unwrap_or_default());
            pen.flags(&[giving.order.is_some()]);
        }
        if let Some(isolated) = reign.isolated {
            pen.out.show(&(isolated.by_checks, isolated.purpose, isolated.reason));
        }
        if self.has_arbiter() {
            pen.within(reign.doubt_since, self.in_force().high_availability.boot_hold);
        }
    }

    fn sketch_questions(&self, pen: &mut Pen<'_>) {
        pen.out.part(&"questions");
        let limit_ms = self.timing().request_timeout_ms;
        pen.link(self.reign.ask_link);
        for (_, question, at) in &self.reign.asked {
            pen.out.show(question);
            pen.within(Some(*at), limit_ms);
        }
    }

    /// Changes under way: of the role, of the service, of the program.
    fn sketch_changes(&self, pen: &mut Pen<'_>) {
        pen.out.part(&"changes");
        if let Some(handover) = &self.handover {
            pen.out.show(&(handover.kind, handover.stage));
            pen.flags(&[handover.order.is_some(), handover.is_scanned()]);
        }
        pen.ahead(self.pause.until);
        pen.ahead(self.pause.covered);
        if let Some(leaving) = &self.leaving {
            pen.out.show(&(leaving.stage, leaving.keep_role, leaving.is_done, leaving.orders.len()));
            pen.ahead(leaving.release_until);
        }
        pen.ahead(self.work.stop_began);
        pen.out.show(&(
            self.parting.is_some(),
            self.work.starting,
            self.work.stopping,
            self.work.stuck,
            self.work.is_outdated,
        ));
        pen.out.show(&(self.service.state.as_str(), self.stall.is_barred()));
    }
}

/// The part that is the arbitration's, which keeps its fields to itself.
pub(super) struct ArbitrationSketch<'a> {
    pub asked: Option<(super::vote::Want, Millis)>,
    pub last_want: Option<super::vote::Want>,
    pub release: Option<(Term, u64, u8)>,
    pub grant: Option<(Term, Millis)>,
    pub terms: [Term; 2],
    pub flags: &'a [bool],
    pub confirmations: (Term, [Option<Millis>; 3]),
    pub renewals: &'a [(u64, Millis)],
    pub not_before: Millis,
    pub last_renewal: Option<Millis>,
    pub promised_until: Option<Millis>,
    pub allowed: Option<Millis>,
    pub view: Option<View>,
}

impl Engine {
    fn sketch_arbitration(&self, pen: &mut Pen<'_>) {
        let hold_ms = self.settings.arbiter.hold;
        self.with_arbitration(&mut |arb: &ArbitrationSketch<'_>| {
            pen.out.part(&"arbiter: asked");
            pen.out.show(&arb.last_want.as_ref().map(std::mem::discriminant));
            if let Some((want, until)) = arb.asked {
                pen.out.show(&want);
                pen.within(Some(until), hold_ms);
            }
            pen.ahead(Some(arb.not_before));
            pen.out.part(&"arbiter: granted");
            if let Some((term, behind, tries)) = arb.release {
                pen.out.show(&(term, behind, tries));
            }
            if let Some((term, until)) = arb.grant {
                pen.term(term);
                pen.ahead(Some(until));
            }
            arb.terms.iter().for_each(|term| pen.term(*term));
            pen.flags(arb.flags);
            pen.out.show(&arb.view.map(|view| (view.highest, view.has_vote)));
            pen.out.part(&"arbiter: confirmed");
            let (term, given) = arb.confirmations;
            pen.term(term);
            given.iter().for_each(|until| pen.ahead(*until));
            pen.ahead(arb.allowed);
            pen.within(arb.last_renewal, hold_ms);
            pen.out.part(&"arbiter: renewals");
            // The hold that an older one would bring is over, whoever confirms it.
            let now = pen.now;
            for (behind, until) in arb.renewals.iter().filter(|(_, until)| *until > now) {
                pen.out.word(*behind);
                pen.ahead(Some(*until));
            }
            pen.out.part(&"arbiter: promised");
            pen.ahead(arb.promised_until);
        });
    }
}
