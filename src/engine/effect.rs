//! Everything an engine wants done, as data, in order.
//!
//! *Persist, then send* is in the type: [`Effects::persist`] consumes the batch, so nothing can follow a write in the same
//! batch. What depends on it is decided when [`super::input::Input::Persisted`] comes, which is before any other input.

use super::alerts::Alert;
use super::base::{Fingerprint, LinkId, Problem, Reason, RevisionId, Role, Term};
use super::durable::Durable;
use super::event::Event;
use super::message::{Envelope, PairGrant, Push, Refusal};
use super::order::Reply;
use super::settings::SettingsPatch;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write the record durably; answer with `Persisted` or `PersistFailed` at once. Always the last of its batch.
    Persist {
        /// For the answer.
        ticket: u64,
        /// The whole record.
        durable: Box<Durable>,
    },
    /// Connect to the peer; answer with `Dialled` or `DialFailed`.
    Dial {
        /// For the answer.
        attempt: u64,
        /// Tried in order.
        hosts: Vec<String>,
        /// Port of the link.
        port: u16,
        /// The only certificate accepted.
        fingerprint: Fingerprint,
        /// For each address, ms.
        connect_timeout_ms: u64,
    },
    /// Give up the dial under way, if it is this one.
    CancelDial {
        /// Of the effect.
        attempt: u64,
    },
    /// Say this. What cannot be sent ends in `LinkDown`.
    Send {
        /// Over.
        link: LinkId,
        /// What.
        envelope: Box<Envelope>,
    },
    /// End the connection after what was sent is out (or 200 ms).
    Close {
        /// Which.
        link: LinkId,
        /// For people.
        why: String,
    },

    /// Compare the directory with the newest revision and commit what changed; answer with `Scanned`.
    Scan {
        /// The term of the new revision.
        term: Term,
        /// Wait until the directory is quiet (an editor may be writing). False: at once (a switch, a start).
        wait_quiet: bool,
    },
    /// Build and send a push over this link; answer with `PushFailed` if that cannot be done.
    Push {
        /// Over.
        link: LinkId,
        /// The shadow's trail, newest first: send the difference to the newest known of these.
        trail: Vec<RevisionId>,
        /// Compare the whole tree, whatever the trail says.
        complete: bool,
    },
    /// Bring the disk to this; answer with `Applied` or `ApplyFailed`. Revisions only this instance has are kept as a branch.
    Apply {
        /// It came over.
        link: LinkId,
        /// What.
        push: Box<Push>,
        /// The own newest revision may differ from the base: files are compared with the bytes on disk.
        complete: bool,
    },
    /// Make an operator's change of the configuration, after the scans asked for before it; answer with `Changed`.
    Change {
        /// For the answer.
        order: u64,
        /// The term of the new revision.
        term: Term,
        /// What.
        wanted: Box<WantedChange>,
    },
    /// On a shadow, when nothing else is done with the directory: find what was changed behind Standin's back and put it back
    /// (spec 4.5). Answer with `Looked`, also for several at once; never done once the role is another.
    LookForDrift {
        /// For the answer; grows.
        serial: u64,
        /// The first of this time as shadow: at once, before any revision is applied.
        is_first: bool,
    },
    /// Put back what was changed behind Standin's back (spec 7.3), before the service is started. No answer.
    RestoreDrift,

    /// Run the fence hook (spec 7.13); answer with `Fenced`, always.
    RunFence {
        /// For its environment: of the takeover that waits for it, or the own.
        term: Term,
        /// For its environment.
        reason: Reason,
    },
    /// Start the service; answer with `Service(Started | StartFailed)`.
    StartService {
        /// Fencing token for its environment.
        term: Term,
        /// For its environment.
        reason: Reason,
    },
    /// Stop it; answer with `Service(Stopped | StopFailed)`. Said again while it stops, with less time than is left: that
    /// counts, and there is one answer to both.
    StopService {
        /// Let it end in peace so long before the signal (spec 2.4), ms.
        grace_ms: u64,
        /// For the hooks' environment.
        reason: Reason,
    },
    /// Run the hook, in its turn.
    RunHook {
        /// Which.
        hook: Hook,
        /// For its environment.
        role: Role,
        /// For its environment.
        term: Term,
        /// For its environment.
        reason: Reason,
        /// For its environment.
        revision: Option<RevisionId>,
    },
    /// Try the takeover checks; answer with `TakeoverChecked`.
    RunTakeoverChecks,
    /// Ask the arbiter (spec 7.11); answer with `Arbiter`, within the request timeout of the settings for each endpoint. At
    /// most one question is under way.
    AskArbiter {
        /// For the answer.
        id: u64,
        /// Names its keys.
        pair: super::base::PairId,
        /// What.
        ask: super::vote::Ask,
        /// Time to live of a lease that is taken, s.
        lease_s: u64,
    },
    /// The service may run until then, on the clock that counts suspension, whatever becomes of Standin; later the guard stops
    /// it (spec 7.11, 7.13). None: as long as Standin is alive and not stalled.
    AllowServiceUntil(Option<super::base::Millis>),

    /// Write these into the settings file; answer with `Settings` and `SettingsWritten`.
    WriteSettings(Box<SettingsPatch>),
    /// Answer to `PairAsked` or `PairProved`: an error is sent and the connection ends. `Ok(None)`: ask for the password.
    AnswerPairing {
        /// Of the input.
        id: u64,
        /// What to say.
        outcome: Result<Option<Box<PairGrant>>, Refusal>,
    },
    /// The answer to an order.
    Reply {
        /// Of the order.
        id: u64,
        /// What came of it.
        outcome: Box<Result<Reply, Problem>>,
    },
    /// Keep and show this event.
    Note(Event),
    /// Keep and show this alert (new or changed).
    SaveAlert(Box<Alert>),
    /// It is gone.
    DropAlert {
        /// Which.
        id: u64,
    },
    /// The planned stop is done: end the program.
    Exit,
}

/// A change of the configuration that an operator asked for (spec 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedChange {
    /// Who.
    pub author: String,
    /// Why, for the history.
    pub message: String,
    /// What.
    pub change: super::history::Change,
    /// Only say what would change.
    pub dry_run: bool,
}

/// Hooks of spec 7.13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// Before a takeover, where it is required; when a stop has failed. Run by [`Effect::RunFence`] alone.
    Fence,
    /// After the service was started on a new master.
    BecomeMaster,
    /// After a former master became shadow.
    BecomeShadow,
    /// After a revision was committed or applied.
    NewConfiguration,
}

impl Hook {
    /// Its key in the settings.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::BecomeMaster => "become_master",
            Self::BecomeShadow => "become_shadow",
            Self::NewConfiguration => "new_configuration",
        }
    }
}

/// A batch of effects, in order.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
    is_closed: bool,
}

impl Effects {
    /// Adds one.
    ///
    /// # Panics
    /// After [`Effects::persist`]: an invariant of the engine, kept in release builds.
    pub fn push(&mut self, effect: Effect) {
        assert!(!self.is_closed, "nothing may follow a persist in one batch");
        self.list.push(effect);
    }

    /// Ends the batch with a durable write.
    ///
    /// # Panics
    /// At a second one in a batch.
    pub fn persist(&mut self, ticket: u64, durable: Durable) {
        self.push(Effect::Persist { ticket, durable: Box::new(durable) });
        self.is_closed = true;
    }

    /// Whether a durable write ends this batch.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Takes all, in order; the batch is empty and open again.
    pub fn take(&mut self) -> Vec<Effect> {
        self.is_closed = false;
        std::mem::take(&mut self.list)
    }
}
