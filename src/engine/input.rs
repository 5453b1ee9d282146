//! Everything that can happen to an instance, as data.

use super::base::{Fingerprint, InstanceId, LinkId, PairId, Problem, RevisionId};
use super::event::Event;
use super::message::{Branch, Envelope, PairGrant, PairHello};
use super::order::{Actor, Order, Reply};
use super::settings::Settings;
use super::status::{AddressStatus, CheckResult, LinkStep, ServiceStatus, Transfer};

/// One thing that happened. The node hands these over one at a time, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// First input of a run, after `Engine::new`: nothing was done yet.
    Start,
    /// The deadline the engine asked for has come (or an earlier one; harmless).
    Tick,
    /// An operator asks; answered by one [`super::effect::Effect::Reply`], now or later.
    Order {
        /// For the reply.
        id: u64,
        /// Who.
        actor: Actor,
        /// What. Only orders the engine knows; files, users and pairing talk are the node's.
        order: Order,
    },
    /// The settings file (or a write by the engine) is in force now. Keys locked by spec 2.5 or 4.1 were checked with
    /// `Engine::refuses_settings` before.
    Settings(Box<Settings>),
    /// The result of [`super::effect::Effect::WriteSettings`].
    SettingsWritten {
        /// None: done (a [`Input::Settings`] came before it).
        problem: Option<String>,
    },

    /// A connection with TLS 1.3 is made; nothing was said yet. The fingerprint is that of the other end's certificate.
    LinkUp {
        /// New.
        link: LinkId,
        /// We dialled.
        outgoing: bool,
        /// Of the certificate it proved to hold.
        fingerprint: Fingerprint,
        /// The other end, without port.
        address: String,
    },
    /// A connection ended, or was ended by [`super::effect::Effect::Close`].
    LinkDown {
        /// Which.
        link: LinkId,
        /// For people.
        why: String,
    },
    /// [`super::effect::Effect::Dial`] came to nothing.
    DialFailed {
        /// As given by the effect.
        attempt: u64,
        /// Each step with its result.
        steps: Vec<LinkStep>,
        /// In a sentence.
        why: String,
        /// Something else answered with another certificate (spec 7.1): its fingerprint.
        foreign: Option<Fingerprint>,
    },
    /// [`super::effect::Effect::Dial`] made this connection ([`Input::LinkUp`] came before it).
    Dialled {
        /// As given by the effect.
        attempt: u64,
        /// The connection.
        link: LinkId,
        /// Each step with its result.
        steps: Vec<LinkStep>,
    },
    /// A message came.
    Received {
        /// Over.
        link: LinkId,
        /// What.
        envelope: Box<Envelope>,
        /// For a hello on an incoming link: why the permitted shadow host (spec 2.3) forbids it, both sides' values named.
        host_problem: Option<String>,
    },

    /// [`super::effect::Effect::Persist`] is on disk. Comes before any other input.
    Persisted {
        /// Of the effect.
        ticket: u64,
    },
    /// It is not, and the old record still stands. Comes before any other input.
    PersistFailed {
        /// Of the effect.
        ticket: u64,
        /// For people.
        why: String,
    },

    /// Something may have changed in the mirrored directory.
    DirectoryChanged,
    /// Whether the mirrored directory can be used at all; told again and again.
    Directory {
        /// Why not.
        problem: Option<String>,
    },
    /// On a shadow, a look for drift has ended: the result of [`super::effect::Effect::LookForDrift`], or of one that the node had to
    /// make by itself, because an earlier one failed.
    Looked {
        /// Of the last effect before the look began.
        serial: u64,
        /// Why what was found could not all be put back; none: the directory is what the newest revision says.
        problem: Option<String>,
    },
    /// So many files are held back now (spec 5.4); told when it changes.
    Held(u64),
    /// The result of [`super::effect::Effect::Scan`].
    Scanned {
        /// A revision was committed, durably; none: nothing had changed.
        committed: Option<Committed>,
        /// Why it could not be done.
        problem: Option<String>,
    },
    /// The result of [`super::effect::Effect::Change`].
    Changed {
        /// Of the effect.
        order: u64,
        /// The newest revision, where there is a new one, durably.
        committed: Option<Committed>,
        /// For the operator.
        outcome: Box<Result<Reply, Problem>>,
    },
    /// [`super::effect::Effect::Apply`] is on disk, durably.
    Applied {
        /// Over which link it had come.
        link: LinkId,
        /// What is on the disk now.
        revision: RevisionId,
        /// What changed.
        committed: Committed,
        /// Revisions only this instance had, kept (spec 7.6).
        branch: Option<Branch>,
    },
    /// It is not, and nothing changed.
    ApplyFailed {
        /// Over which link it had come.
        link: LinkId,
        /// Which.
        revision: RevisionId,
        /// For people.
        why: String,
    },
    /// [`super::effect::Effect::Push`] could not be built or sent.
    PushFailed {
        /// Over.
        link: LinkId,
        /// For people.
        why: String,
    },
    /// A complete transfer goes on (only for the status).
    Progress(Option<Transfer>),

    /// The service's state changed.
    Service(ServiceChange),
    /// The result of [`super::effect::Effect::RunFence`].
    Fenced {
        /// It ended with status 0 within its time limit.
        ok: bool,
        /// How it ended, with the last line it wrote.
        output: String,
    },
    /// The virtual addresses as they are on this machine now (spec 7.14), in the order of the settings.
    Addresses(Vec<AddressStatus>),
    /// The result of [`super::effect::Effect::RunTakeoverChecks`].
    TakeoverChecked(Vec<CheckResult>),

    /// The result of [`super::effect::Effect::AskArbiter`].
    Arbiter {
        /// Of the effect.
        id: u64,
        /// What it said.
        answer: super::vote::VoteAnswer,
    },
    /// Which arbiter answers, by the mark of its record (spec 7.11): after a start, after its settings have changed, and when it
    /// is another one.
    ArbiterMark(u64),
    /// Standin's own loop was late by so much (spec 7.12): suspended, stopped, starved. Comes before anything that waited.
    Stalled {
        /// Ms.
        late_ms: u64,
    },

    /// A shadow wants to pair (spec 3.1); answered by [`super::effect::Effect::AnswerPairing`] before any password is asked.
    PairAsked {
        /// For the answer.
        id: u64,
        /// Who.
        hello: Box<PairHello>,
        /// Of the certificate it proved to hold.
        fingerprint: Fingerprint,
        /// Its address, without port.
        address: String,
        /// As for [`Input::Received`].
        host_problem: Option<String>,
    },
    /// The same, after user and password were found right: make the pair.
    PairProved {
        /// For the answer.
        id: u64,
        /// As before; checked again.
        hello: Box<PairHello>,
        /// As before.
        fingerprint: Fingerprint,
        /// As before.
        address: String,
        /// As before.
        host_problem: Option<String>,
        /// Drawn at random by the node.
        fresh_pair: PairId,
    },
    /// On the shadow: the master granted the pairing.
    PairGranted {
        /// Of the order `Pair`, for the reply.
        order: u64,
        /// What it said.
        grant: Box<PairGrant>,
        /// Of the master's certificate, compared by the operator.
        fingerprint: Fingerprint,
        /// The address that answered.
        address: String,
    },

    /// Something that the node found and that has no end: an alert that stays until it is deleted.
    Told {
        /// Code of the catalogue.
        code: &'static str,
        /// For people.
        why: String,
    },
    /// Trouble that the node found: an alert of the catalogue.
    Trouble {
        /// Code of the catalogue.
        code: &'static str,
        /// What it is about.
        subject: String,
        /// For people.
        why: String,
    },
    /// It is over.
    TroubleOver {
        /// Code of the catalogue.
        code: &'static str,
        /// What it was about.
        subject: String,
    },
    /// An event of the node's for the record (the engine passes it on unchanged).
    Event(Event),
    /// An order that the node carried out has its answer (the engine passes it on unchanged).
    Done {
        /// Of the order.
        id: u64,
        /// What came of it.
        outcome: Box<Result<Reply, Problem>>,
    },
    /// What only the node knows of what this instance has for a takeover (spec 2.6); at the start and when it changes.
    Facts(Box<super::kit::OwnFacts>),
    /// What [`super::effect::Effect::RestoreDrift`] could not do: false; true: it was done later (spec 7.3).
    DriftRestored(bool),
    /// Why the service could not be started here, as far as can be seen beforehand (spec 2.6, 7.7); when it changes. None: nothing
    /// is known against it.
    ServiceAhead(Option<String>),
    /// SIGTERM.
    Terminate,
}

/// What was committed or applied, for events and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The revision.
    pub revision: RevisionId,
    /// Who.
    pub author: String,
    /// Paths changed, at most [`COMMITTED_PATHS_MAX`].
    pub paths: Vec<String>,
    /// How many in all.
    pub paths_total: u64,
    /// Files in the tree now.
    pub files: u64,
    /// Their sizes.
    pub bytes: u64,
    /// When, Unix milliseconds.
    pub at: i64,
}

/// Most paths named in a [`Committed`].
pub const COMMITTED_PATHS_MAX: usize = 10;

/// What the service did.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceChange {
    /// [`super::effect::Effect::StartService`] is done: it runs (or there is none).
    Started(ServiceStatus),
    /// It could not be started.
    StartFailed(ServiceStatus),
    /// [`super::effect::Effect::StopService`] is done: nothing of it runs any more.
    Stopped(ServiceStatus),
    /// It would not stop, not even by a kill.
    StopFailed(ServiceStatus),
    /// Something else: it ended, it is restarted; the supervisor goes on by itself.
    Changed(ServiceStatus),
    /// It ended more often than its restart limit allows; the supervisor goes on at its longest pause.
    Failing(ServiceStatus),
    /// Its watchdog stopped it, because this instance did not move or its allowance was over: nothing of it runs, and
    /// nothing starts it but [`super::effect::Effect::StartService`].
    Expired(ServiceStatus),
}

/// Facts the engine is made with, read from the disk by the node.
#[derive(Clone, Debug, PartialEq)]
pub struct Boot {
    /// The record; its run was already raised, durably.
    pub durable: super::durable::Durable,
    /// The settings in force.
    pub settings: Settings,
    /// The newest revision, if any.
    pub head: Option<Committed>,
    /// Older revisions of the history, newest first.
    pub trail: Vec<RevisionId>,
    /// Branches kept.
    pub branches: Vec<String>,
    /// Open alerts, as kept.
    pub alerts: Vec<super::alerts::Alert>,
    /// The home was restored or copied: its seal does not fit this machine (spec 7.5).
    pub is_copied: bool,
    /// Program version.
    pub version: String,
    /// Own port of the link, as bound.
    pub link_port: u16,
    /// A seed for nonces.
    pub seed: u64,
    /// This instance, to refuse itself.
    pub instance: InstanceId,
    /// Of the own certificate.
    pub fingerprint: Fingerprint,
    /// `none`, `command` or `unit`.
    pub service_kind: String,
}

#[cfg(test)]
impl Boot {
    /// Of an instance with nothing but a record.
    pub(crate) fn of(durable: super::durable::Durable, service_kind: &str) -> Self {
        Self {
            instance: durable.instance,
            durable,
            settings: super::settings::Settings::default(),
            head: None,
            trail: Vec::new(),
            branches: Vec::new(),
            alerts: Vec::new(),
            is_copied: false,
            version: "0".into(),
            link_port: 1,
            seed: 1,
            fingerprint: super::base::Fingerprint(super::base::Digest::ZERO),
            service_kind: service_kind.into(),
        }
    }
}
