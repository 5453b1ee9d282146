//! The mirror's threads: one reads and writes the directory (scans, applies, puts drift back), one builds pushes, so that a
//! long scan never holds up a push that is ready. The engine hears of the results as inputs.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::bulk_source::{BulkSource, Other};
use super::clock;
use super::drift::{Asked, DriftWatch};
use super::net::{Net, Partial};
use super::progress::Meter;
use super::shared::{OrderOutcome, Shared, lock};
use super::validation;
use crate::engine::base::{InstanceId, LinkId, PairId, Problem, RevisionId, Role, Run, Term};
use crate::engine::effect::WantedChange;
use crate::engine::event::{EventKind, Severity};
use crate::engine::history::FileBytes;
use crate::engine::input::{Committed, Input};
use crate::engine::message::{Body, Branch, Envelope, Push};
use crate::engine::order::{HeldFile, Order, Reply};
use crate::engine::settings::{History, Settings};
use crate::mirror::exclude::Exclude;
use crate::mirror::quiet::Quiet;
use crate::mirror::scan::SETTLED_AFTER_MS;
use crate::mirror::watch::WatchEvent;
use crate::mirror::{Changed, FOUND_AUTHOR, Limits, Mirror, NotGiven};
use crate::store::Store;

pub(super) mod drifting;
mod held;
mod owners;
mod rejected;
mod tidying;

use held::HeldBook;
use rejected::Doubts;

/// While a file is being written it is looked again so often whether it was closed.
const WRITING_PAUSE: Duration = Duration::from_millis(5);
/// Jobs waiting for a thread; the engine has one scan, one push and one apply a link under way.
const JOBS_MAX: usize = 64;
/// What could not be put back is tried again so often.
const STUCK_RETRY: Duration = Duration::from_secs(10);
/// After the last scan or apply: the times of what it read can be trusted then.
const SETTLE_AFTER: Duration = Duration::from_millis(SETTLED_AFTER_MS + 500);
/// So often everything is looked at, without reading it, for changes that the system does not tell of.
const FULL_LOOK_EVERY: Duration = Duration::from_secs(600);
/// Links remembered as gone; an apply looks when one goes.
const DOWN_MAX: usize = 64;

enum DiskJob {
    /// Only so that the thread looks what was asked for.
    Drift,
    Scan {
        term: Term,
        wait_quiet: bool,
    },
    Apply {
        link: LinkId,
        push: Box<Push>,
        complete: bool,
        other: Box<Other>,
        net: Net,
    },
    Change {
        order: u64,
        term: Term,
        wanted: Box<WantedChange>,
    },
}

struct PushJob {
    link: LinkId,
    trail: Vec<RevisionId>,
    complete: bool,
    from: Sender,
    net: Net,
}

/// What goes into the envelope of a push: as it was when the engine decided.
#[derive(Clone, Copy)]
pub struct Sender {
    /// The pair.
    pub pair: PairId,
    /// This instance.
    pub from: InstanceId,
    /// This run.
    pub run: Run,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
}

/// Clone it freely.
#[derive(Clone)]
pub struct MirrorDesk {
    mirror: Mirror,
    quiet: Arc<Mutex<Quiet>>,
    disk: SyncSender<DiskJob>,
    pushes: SyncSender<PushJob>,
    /// Links that went down; an apply over one of them gives up.
    down: watch::Sender<VecDeque<LinkId>>,
    shared: Shared,
    held: Arc<Mutex<HeldBook>>,
    /// Looks for drift that the engine asked for.
    asked: Arc<Mutex<Asked>>,
    /// Paths found changed behind Standin's back.
    drift: Arc<AtomicU64>,
    /// Which, and what had become of them; at most [`crate::engine::order::HELD_MAX`].
    drifted: Arc<Mutex<BTreeMap<String, HeldFile>>>,
    /// Why a rejected change is to be judged again.
    doubts: Arc<Doubts>,
    /// The role is shadow: what is changed in the directory is drift.
    is_shadow: Arc<AtomicBool>,
    /// Putting drift back has failed, as the engine knows.
    restore_owed: Arc<AtomicBool>,
    /// Owners that are told not to be on this disk.
    not_given: Arc<Mutex<NotGiven>>,
    retention: Arc<Mutex<Kept>>,
    /// The content that was under way when a link broke; one, as contents come one after the other.
    partial: Arc<Mutex<Option<Partial>>>,
}

/// How much of the history is kept, and which revision the other instance still needs.
#[derive(Clone, Copy, Default)]
struct Kept {
    settings: History,
    needed: Option<u64>,
}

impl MirrorDesk {
    /// Opens the mirror (an interrupted apply is finished or undone first) and starts the threads.
    ///
    /// # Errors
    /// When the directory or the store cannot be used.
    pub fn start(store: &Store, directory: &Path, settings: &Settings, shared: &Shared) -> Result<Self, Problem> {
        let mirror = Mirror::open(store.clone(), directory.to_owned(), limits(settings))?;
        let quiet = Arc::new(Mutex::new(quiet_of(settings)));
        let (disk, disk_jobs) = sync_channel(JOBS_MAX);
        let (pushes, push_jobs) = sync_channel(JOBS_MAX);
        let desk = Self {
            mirror,
            quiet,
            disk,
            pushes,
            down: watch::Sender::default(),
            shared: shared.clone(),
            held: Arc::new(Mutex::new(HeldBook::with_alerts(&store.load_alerts()?))),
            asked: Arc::default(),
            drift: Arc::default(),
            drifted: Arc::default(),
            doubts: Arc::default(),
            is_shadow: Arc::default(),
            restore_owed: Arc::default(),
            not_given: Arc::default(),
            partial: Arc::default(),
            // Until the engine has said what the other instance needs, all is needed.
            retention: Arc::new(Mutex::new(Kept { settings: settings.configuration.history, needed: Some(0) })),
        };
        desk.follow_settings(settings);
        let (worker, pusher, runtime) = (desk.clone(), desk.clone(), Handle::current());
        spawn("mirror", move || worker.work_on_disk(&disk_jobs, &runtime))?;
        spawn("push", move || pusher.push_all(&push_jobs))?;
        if std::fs::read_dir(directory).is_ok() {
            // Of an earlier run. Before the watcher, which tells it anew where it is not so.
            let _ = shared.inputs.try_send(Input::TroubleOver { code: "F-005", subject: String::new() });
        }
        desk.watch()?;
        // What happened to the directory while nothing ran: a shadow puts it right, a master scans anyway.
        for problem in [Some("it was not looked at yet".to_owned()), None] {
            let _ = shared.inputs.try_send(Input::Directory { problem });
        }
        Ok(desk)
    }

    fn watch(&self) -> Result<(), Problem> {
        let (quiet, shared, doubts) = (Arc::clone(&self.quiet), self.shared.clone(), Arc::clone(&self.doubts));
        self.mirror.watch(move |event| {
            let now_ms = clock::monotonic().0;
            if event == WatchEvent::AtWork {
                return lock(&quiet).at_work(now_ms);
            }
            tell_watcher(&shared, &event);
            doubts.touched();
            let is_first = {
                let mut quiet = lock(&quiet);
                let is_first = !quiet.is_pending();
                quiet.changed(now_ms);
                is_first
            };
            if is_first {
                shared.input_blocking(Input::DirectoryChanged);
            }
        })
    }

    /// New settings are in force.
    pub fn set_limits(&self, settings: &Settings) {
        self.follow_settings(settings);
        lock(&self.retention).settings = settings.configuration.history;
        let mut quiet = lock(&self.quiet);
        let is_pending = quiet.is_pending();
        *quiet = quiet_of(settings);
        if is_pending {
            quiet.changed(clock::monotonic().0);
        }
    }

    fn follow_settings(&self, settings: &Settings) {
        let configuration = &settings.configuration;
        self.mirror.set_limits(limits(settings));
        self.mirror.set_writing_idle(configuration.quiet_time_limit);
        self.mirror.set_exclude(Exclude::new(&configuration.exclude));
        self.mirror.set_judge(validation::judge(&configuration.validate, self.mirror.directory()));
    }

    /// The newest revision.
    #[must_use]
    pub fn head(&self) -> Option<Committed> {
        self.mirror.head()
    }

    /// How many files the last scan held back (spec 5.4).
    #[must_use]
    pub fn held(&self) -> u64 {
        lock(&self.held).count()
    }

    /// How many paths were found changed behind Standin's back, as long as its alert stands (spec 4.5).
    #[must_use]
    pub fn drift(&self) -> u64 {
        self.drift.load(Ordering::Relaxed)
    }

    /// What the role is now; said before any effect of a change of roles is done.
    pub fn set_shadow(&self, is_shadow: bool) {
        self.is_shadow.store(is_shadow, Ordering::Relaxed);
    }

    /// See [`crate::engine::effect::Effect::LookForDrift`].
    pub fn look_for_drift(&self, serial: u64, is_first: bool) {
        lock(&self.asked).ask(serial, is_first);
        // Where others wait, it is seen with them.
        let _ = self.disk.try_send(DiskJob::Drift);
    }

    /// Older revisions, newest first.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn trail(&self) -> Result<Vec<RevisionId>, Problem> {
        self.mirror.trail()
    }

    /// Branches kept after a divergence (spec 7.6).
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn branches(&self) -> Result<Vec<Branch>, Problem> {
        self.mirror.branches()
    }

    /// Keeps and publishes an event about it.
    pub fn note(&self, kind: EventKind, text: String) {
        self.shared.note(kind, Severity::Warning, text);
    }

    /// The mirror itself, for what reads it.
    #[must_use]
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// See [`crate::engine::effect::Effect::Scan`]. What it gives is the outcome when it cannot even wait.
    #[must_use]
    pub fn scan(&self, term: Term, wait_quiet: bool) -> Option<Input> {
        let why = self.send(DiskJob::Scan { term, wait_quiet })?;
        Some(Input::Scanned { committed: None, problem: Some(why) })
    }

    /// See [`crate::engine::effect::Effect::Apply`]. The engine waits for the end of it before it takes a role, so there is
    /// always one: what it gives is the outcome when it cannot even wait.
    #[must_use]
    pub fn apply(&self, link: LinkId, push: Box<Push>, complete: bool, other: Other, net: Net) -> Option<Input> {
        let revision = push.revision;
        let why = self.send(DiskJob::Apply { link, push, complete, other: Box::new(other), net })?;
        Some(Input::ApplyFailed { link, revision, why })
    }

    /// See [`crate::engine::effect::Effect::Push`].
    pub fn push(&self, link: LinkId, trail: Vec<RevisionId>, complete: bool, from: Sender, net: Net) {
        if self.pushes.try_send(PushJob { link, trail, complete, from, net }).is_err() {
            tracing::error!("pushes are behind by {JOBS_MAX}: one was dropped");
        }
    }

    /// See [`crate::engine::effect::Effect::Change`].
    pub fn change(&self, order: u64, term: Term, wanted: Box<WantedChange>) {
        self.send(DiskJob::Change { order, term, wanted });
    }

    /// The other instance needs this revision and the later ones; none: there is no other.
    pub fn set_needed(&self, needed: Option<u64>) {
        lock(&self.retention).needed = needed;
    }

    /// A link is gone: what is applied over it gives up.
    pub fn link_down(&self, link: LinkId) {
        self.down.send_if_modified(|down| {
            let is_new = !down.contains(&link);
            if is_new {
                down.truncate(DOWN_MAX - 1);
                down.push_front(link);
            }
            is_new
        });
    }

    /// Orders that only read. Blocks.
    ///
    /// # Errors
    /// For people.
    pub fn read(&self, order: &Order) -> OrderOutcome {
        match order {
            Order::HeldFiles => Ok(Reply::Held(lock(&self.held).list())),
            Order::DriftFiles => Ok(Reply::Held(lock(&self.drifted).values().cloned().collect())),
            Order::ListFiles => self.mirror.list().map(Reply::Files),
            Order::ListPart { since, after } => {
                let part = self.mirror.list_part(since.as_ref(), after.as_deref())?;
                Ok(Reply::FilesPart(Box::new(part)))
            }
            Order::ShowFile { path, revision } => {
                self.mirror.show(path, *revision).map(|file| Reply::File(Box::new(file)))
            }
            Order::FileBytes { path, revision } => {
                self.mirror.file_bytes(path, *revision).map(|bytes| Reply::Bytes(FileBytes(bytes)))
            }
            Order::FilePart { path, revision, digest, offset } => {
                self.mirror.file_part(path, *revision, digest, *offset).map(|bytes| Reply::Bytes(FileBytes(bytes)))
            }
            Order::Log { path, limit, before } => self.mirror.log(path.as_deref(), *before, *limit).map(Reply::Log),
            _ => self.mirror.all_branches().map(Reply::Branches),
        }
    }

    /// Why it was not taken; none: it was.
    fn send(&self, job: DiskJob) -> Option<String> {
        let why = match self.disk.try_send(job) {
            Ok(()) => return None,
            Err(TrySendError::Full(_)) => format!("the mirror is behind by {JOBS_MAX} jobs: one was dropped"),
            Err(TrySendError::Disconnected(_)) => "the mirror's thread has ended: restart Standin".to_owned(),
        };
        tracing::error!("{why}");
        Some(why)
    }

    fn push_all(&self, jobs: &Receiver<PushJob>) {
        while let Ok(PushJob { link, trail, complete, from, net }) = jobs.recv() {
            match self.mirror.build_push(&trail, complete) {
                Ok(push) => {
                    let Sender { pair, from, run, role, term } = from;
                    net.send(link, &Envelope { pair, from, run, role, term, body: Body::Push(Box::new(push)) });
                }
                Err(problem) => {
                    self.shared
                        .input_blocking(Input::PushFailed { link, why: format!("{}: {}", problem.what, problem.why) });
                }
            }
        }
    }

    fn work_on_disk(&self, jobs: &Receiver<DiskJob>, runtime: &Handle) {
        let mut drift = DriftWatch::default();
        let mut rest = SETTLE_AFTER;
        // A scan left something for later.
        let mut again = None;
        loop {
            self.tell_overtaken(&mut drift);
            let until_drift = self.care_for_drift(&mut drift);
            let job = match jobs.recv_timeout(until_drift.map_or(rest, |until| until.min(rest))) {
                Ok(job) => job,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if until_drift.is_some_and(|until| until < rest) => continue,
                Err(RecvTimeoutError::Timeout) if again.is_some() => {
                    // Left alone for a while, and perhaps never closed: it is taken up as it is. Or it can be put back by now.
                    // Or the command that rejected it may find it good.
                    again = None;
                    rest = SETTLE_AFTER;
                    self.doubt_rejection(None);
                    self.shared.input_blocking(Input::DirectoryChanged);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.look_after(rest == FULL_LOOK_EVERY);
                    rest = FULL_LOOK_EVERY;
                    continue;
                }
            };
            rest = SETTLE_AFTER;
            let input = match job {
                DiskJob::Drift => {
                    lock(&self.quiet).clear();
                    continue;
                }
                DiskJob::Change { order, term, wanted } => self.change_now(order, term, &wanted),
                DiskJob::Scan { term, wait_quiet } => {
                    let (input, waiting) = self.scan_now(term, wait_quiet);
                    again = waiting;
                    rest = waiting.unwrap_or(SETTLE_AFTER);
                    input
                }
                DiskJob::Apply { link, push, complete, other, net } => {
                    let (down, partial) = (self.down.subscribe(), Arc::clone(&self.partial));
                    let source = BulkSource::new(*other, net, link, down, runtime.clone(), partial);
                    self.apply_now(link, &push, complete, source)
                }
            };
            self.tell_owners();
            self.shared.input_blocking(input);
        }
    }

    /// While nothing else is to be done.
    fn look_after(&self, is_full: bool) {
        if !is_full {
            if let Err(problem) = self.mirror.settle() {
                tracing::warn!("the times of files were not kept: {problem}");
            }
            return self.tidy();
        }
        self.mirror.look_after_owners();
        self.tell_owners();
        match self.mirror.has_changed_unseen() {
            Ok(false) => {}
            Ok(true) => self.shared.input_blocking(Input::DirectoryChanged),
            Err(problem) => tracing::warn!("the directory was not looked at: {problem}"),
        }
        self.tidy();
    }

    /// Waits until nobody changes anything, within the limit.
    fn wait_quiet(&self) {
        loop {
            let now_ms = clock::monotonic().0;
            let pending = self.mirror.pending();
            let (due, is_late) = {
                let quiet = lock(&self.quiet);
                (quiet.due(now_ms, pending.paths), quiet.is_late(now_ms))
            };
            match due {
                Some(in_ms) if in_ms > 0 => thread::sleep(Duration::from_millis(in_ms)),
                _ if is_late || !pending.is_being_written => return,
                _ => thread::sleep(WRITING_PAUSE),
            }
        }
    }

    /// What the engine is told, and when something that had to be left is looked at again.
    fn scan_now(&self, term: Term, wait_quiet: bool) -> (Input, Option<Duration>) {
        if wait_quiet {
            self.wait_quiet();
        }
        lock(&self.quiet).clear();
        self.follow_doubts(wait_quiet);
        match self.mirror.scan_and_commit(term, FOUND_AUTHOR, "") {
            Ok(outcome) => {
                held::tell(&self.held, &self.shared, &outcome.held, outcome.rejected.as_ref());
                self.shared.input_blocking(Input::TroubleOver { code: "F-001", subject: String::new() });
                self.found(None);
                drifting::tell_restored(&self.shared, outcome.put_back, &[]);
                if self.restore_owed.swap(false, Ordering::Relaxed) {
                    self.shared.input_blocking(Input::DriftRestored(true));
                }
                let again = [
                    (outcome.postponed > 0).then(|| self.mirror.writing_idle()),
                    (outcome.stuck > 0).then_some(STUCK_RETRY),
                    outcome.retry_in,
                ];
                let again = again.into_iter().flatten().min();
                (Input::Scanned { committed: outcome.committed, problem: None }, again)
            }
            Err(problem) => {
                let why = format!("{}: {}; {}", problem.what, problem.why, problem.todo);
                self.shared.input_blocking(Input::Trouble { code: "F-001", subject: String::new(), why: why.clone() });
                self.found(Some(format!("{}: {}", problem.what, problem.why)));
                (Input::Scanned { committed: None, problem: Some(why) }, None)
            }
        }
    }

    /// Whether the directory can be used, as the last look at it said.
    fn found(&self, problem: Option<String>) {
        self.shared.input_blocking(Input::Directory { problem });
    }

    fn change_now(&self, order: u64, term: Term, wanted: &WantedChange) -> Input {
        let WantedChange { author, message, change, dry_run } = wanted;
        match self.mirror.change(term, author, message, change, *dry_run) {
            Ok(Changed { committed, outcome, is_undone }) => {
                if let Some(problem) = outcome.as_ref().err().filter(|_| is_undone) {
                    self.note(EventKind::Configuration, format!("a change by {author} failed: {problem}"));
                }
                let outcome = outcome.map(|report| Reply::Changed(Box::new(report)));
                Input::Changed { order, committed, outcome: Box::new(outcome) }
            }
            Err(problem) => Input::Changed { order, committed: None, outcome: Box::new(Err(problem)) },
        }
    }

    fn apply_now(&self, link: LinkId, push: &Push, complete: bool, mut source: BulkSource) -> Input {
        let shared = self.shared.clone();
        // Called between two pieces of an asynchronous transfer: must not wait. One that is lost is followed by another.
        let mut meter = Meter::default();
        let mut progress = move |transfer| {
            if let Some(told) = meter.look(transfer, clock::monotonic().0) {
                drop(shared.inputs.try_send(Input::Progress(Some(told))));
            }
        };
        let result = self.mirror.apply(push, complete, &mut source, &mut progress);
        self.shared.input_blocking(Input::Progress(None));
        match result {
            Ok((committed, branch)) => {
                // What the last scan as a master held back is of no account any more.
                held::tell(&self.held, &self.shared, &[], None);
                self.found(None);
                self.tell_cannot_hold();
                // What was in the way is kept as one.
                self.tidy_drifts();
                Input::Applied { link, revision: committed.revision, committed, branch }
            }
            Err(problem) => {
                let why = self.tell_cannot_hold().unwrap_or_else(|| format!("{}: {}", problem.what, problem.why));
                Input::ApplyFailed { link, revision: push.revision, why }
            }
        }
    }
}

/// What ends is over when it ends; lost events and another directory cost one look at everything, and are over with it.
fn tell_watcher(shared: &Shared, event: &WatchEvent) {
    let trouble = |code, why: &str| {
        shared.input_blocking(Input::Trouble { code, subject: String::new(), why: why.to_owned() });
    };
    let over = |code| shared.input_blocking(Input::TroubleOver { code, subject: String::new() });
    match event {
        WatchEvent::Changed | WatchEvent::AtWork => {}
        WatchEvent::NeedRescan => {
            let why = "too many changes at once for the system's queue (fs.inotify.max_queued_events)";
            trouble("F-004", &format!("{why}: the whole directory is looked at"));
            over("F-004");
            // Also on a shadow, which looks at nothing by itself.
            let problem = Some(why.to_owned());
            [problem, None].into_iter().for_each(|problem| shared.input_blocking(Input::Directory { problem }));
        }
        WatchEvent::Failed(why) => trouble("F-003", why),
        WatchEvent::Gone(why) => {
            trouble("F-005", why);
            shared.input_blocking(Input::Directory { problem: Some(why.clone()) });
        }
        WatchEvent::Replaced(why) => {
            // Both, so that one that was gone is over, and one that never was is told.
            trouble("F-005", &format!("{why}: everything in it is compared"));
            over("F-005");
            let problem = Some(why.clone());
            [problem, None].into_iter().for_each(|problem| shared.input_blocking(Input::Directory { problem }));
        }
        WatchEvent::Recovered => over("F-003"),
    }
}

/// Of the mirror.
#[must_use]
pub fn limits(settings: &Settings) -> Limits {
    Limits { file_size: settings.configuration.file_size_limit, owners: settings.configuration.owners }
}

fn quiet_of(settings: &Settings) -> Quiet {
    Quiet::new(settings.configuration.quiet_time, settings.configuration.quiet_time_limit)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Problem> {
    thread::Builder::new().name(name.into()).spawn(work).map(drop).map_err(|error| {
        Problem::new(
            "Standin cannot start",
            format!("no thread: {error}"),
            "Free memory or raise the limit of threads.",
        )
    })
}
