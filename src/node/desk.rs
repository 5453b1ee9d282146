//! The mirror's threads: one reads and writes the directory (scans, applies, puts drift back), one builds pushes, so that a
//! long scan never holds up a push that is ready. The engine hears of the results as inputs.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::bulk_source::{BulkSource, Other};
use super::clock;
use super::net::Net;
use super::shared::{OrderOutcome, Shared, lock};
use crate::engine::base::{InstanceId, LinkId, PairId, Problem, RevisionId, Role, Run, Term};
use crate::engine::effect::WantedChange;
use crate::engine::event::{EventKind, Severity};
use crate::engine::input::{Committed, Input};
use crate::engine::message::{Body, Branch, Envelope, Push};
use crate::engine::order::{FileKind, Order, Reply};
use crate::engine::settings::{History, Settings};
use crate::mirror::quiet::Quiet;
use crate::mirror::scan::Held;
use crate::mirror::scan::SETTLED_AFTER_MS;
use crate::mirror::watch::WatchEvent;
use crate::mirror::{Changed, FOUND_AUTHOR, Limits, ManifestEntry, Mirror};
use crate::store::{Retention, Store};

/// Jobs waiting for a thread; the engine has one scan, one push and one apply a link under way.
const JOBS_MAX: usize = 64;
/// After the last scan or apply: the times of what it read can be trusted then.
const SETTLE_AFTER: Duration = Duration::from_millis(SETTLED_AFTER_MS + 500);
/// So often everything is looked at, without reading it, for changes that the system does not tell of.
const FULL_LOOK_EVERY: Duration = Duration::from_secs(600);
/// Links remembered as gone; an apply looks when one goes.
const DOWN_MAX: usize = 64;

enum DiskJob {
    Scan { term: Term, wait_quiet: bool },
    Apply { link: LinkId, push: Box<Push>, complete: bool, other: Box<Other>, net: Net },
    Change { order: u64, term: Term, wanted: Box<WantedChange> },
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
    held: Arc<AtomicU64>,
    retention: Arc<Mutex<Kept>>,
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
            held: Arc::default(),
            // Until the engine has said what the other instance needs, all is needed.
            retention: Arc::new(Mutex::new(Kept { settings: settings.configuration.history, needed: Some(0) })),
        };
        let (worker, pusher, runtime) = (desk.clone(), desk.clone(), Handle::current());
        spawn("mirror", move || worker.work_on_disk(&disk_jobs, &runtime))?;
        spawn("push", move || pusher.push_all(&push_jobs))?;
        desk.watch()?;
        Ok(desk)
    }

    fn watch(&self) -> Result<(), Problem> {
        let (quiet, shared) = (Arc::clone(&self.quiet), self.shared.clone());
        self.mirror.watch(move |event| {
            tell_watcher(&shared, &event);
            let now_ms = clock::monotonic().0;
            let is_first = {
                let mut quiet = lock(&quiet);
                let is_first = quiet.due(now_ms).is_none();
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
        self.mirror.set_limits(limits(settings));
        lock(&self.retention).settings = settings.configuration.history;
        let mut quiet = lock(&self.quiet);
        let is_pending = quiet.due(0).is_some();
        *quiet = quiet_of(settings);
        if is_pending {
            quiet.changed(clock::monotonic().0);
        }
    }

    /// The newest revision.
    #[must_use]
    pub fn head(&self) -> Option<Committed> {
        self.mirror.head()
    }

    /// How many files the last scan held back (spec 5.4).
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
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

    /// See [`crate::engine::effect::Effect::Scan`].
    pub fn scan(&self, term: Term, wait_quiet: bool) {
        self.send(DiskJob::Scan { term, wait_quiet });
    }

    /// See [`crate::engine::effect::Effect::Apply`].
    pub fn apply(&self, link: LinkId, push: Box<Push>, complete: bool, other: Other, net: Net) {
        self.send(DiskJob::Apply { link, push, complete, other: Box::new(other), net });
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

    /// Drops what of the history is not to be kept any more (spec 5.6).
    fn tidy(&self) {
        let Kept { settings, needed } = *lock(&self.retention);
        let age_ms = i64::try_from(settings.age).unwrap_or(i64::MAX);
        let since = clock::wall().0.saturating_sub(age_ms);
        let keep = Retention { count: settings.count, since, bytes: settings.size, needed };
        let input = match self.mirror.tidy(&keep) {
            Ok(dropped) => {
                if dropped > 0 {
                    tracing::info!("{dropped} old revisions were dropped from the history");
                }
                Input::TroubleOver { code: "F-031", subject: String::new() }
            }
            Err(problem) => Input::Trouble {
                code: "F-031",
                subject: String::new(),
                why: format!("{}: {}", problem.what, problem.why),
            },
        };
        self.shared.input_blocking(input);
    }

    /// A link is gone: what is applied over it gives up.
    pub fn link_down(&self, link: LinkId) {
        self.down.send_modify(|down| {
            down.truncate(DOWN_MAX - 1);
            down.push_front(link);
        });
    }

    /// See [`crate::engine::effect::Effect::RestoreDrift`]; how many paths were put back.
    ///
    /// # Errors
    /// For people.
    pub fn restore_drift(&self) -> Result<u64, Problem> {
        self.mirror.restore_drift()
    }

    /// Orders that only read. Blocks.
    ///
    /// # Errors
    /// For people.
    pub fn read(&self, order: &Order) -> OrderOutcome {
        match order {
            Order::ListFiles => self.mirror.list().map(Reply::Files),
            Order::ListPart { since, after } => {
                let part = self.mirror.list_part(since.as_ref(), after.as_deref())?;
                Ok(Reply::FilesPart(Box::new(part)))
            }
            Order::ShowFile { path, revision } => {
                self.mirror.show(path, *revision).map(|file| Reply::File(Box::new(file)))
            }
            Order::Log { path, limit, before } => self.mirror.log(path.as_deref(), *before, *limit).map(Reply::Log),
            Order::ShowBranch { name } => match self.mirror.branch(name)? {
                Some(branch) => Ok(Reply::Branches(vec![branch])),
                None => Err(Problem::new(
                    format!("There is no branch '{name}'"),
                    "no divergence left one of that name",
                    "`standin config branches` lists them.",
                )),
            },
            _ => self.mirror.branches().map(Reply::Branches),
        }
    }

    fn send(&self, job: DiskJob) {
        if self.disk.try_send(job).is_err() {
            tracing::error!("the mirror is behind by {JOBS_MAX} jobs: one was dropped");
        }
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
        let mut told = BTreeSet::new();
        let mut rest = SETTLE_AFTER;
        loop {
            let job = match jobs.recv_timeout(rest) {
                Ok(job) => job,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    self.look_after(rest == FULL_LOOK_EVERY);
                    rest = FULL_LOOK_EVERY;
                    continue;
                }
            };
            rest = SETTLE_AFTER;
            let input = match job {
                DiskJob::Scan { term, wait_quiet } => self.scan_now(term, wait_quiet, &mut told),
                DiskJob::Change { order, term, wanted } => self.change_now(order, term, &wanted),
                DiskJob::Apply { link, push, complete, other, net } => {
                    let source = BulkSource::new(*other, net, link, self.down.subscribe(), runtime.clone());
                    self.apply_now(link, &push, complete, source)
                }
            };
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
        match self.mirror.has_changed_unseen() {
            Ok(false) => {}
            Ok(true) => self.shared.input_blocking(Input::DirectoryChanged),
            Err(problem) => tracing::warn!("the directory was not looked at: {problem}"),
        }
        self.tidy();
    }

    fn scan_now(&self, term: Term, wait_quiet: bool, told: &mut BTreeSet<String>) -> Input {
        loop {
            if !wait_quiet {
                break;
            }
            let due = lock(&self.quiet).due(clock::monotonic().0);
            match due {
                Some(in_ms) if in_ms > 0 => thread::sleep(Duration::from_millis(in_ms)),
                _ => break,
            }
        }
        lock(&self.quiet).clear();
        match self.mirror.scan_and_commit(term, FOUND_AUTHOR, "") {
            Ok(outcome) => {
                self.tell_held(&outcome.held, told);
                self.shared.input_blocking(Input::TroubleOver { code: "F-001", subject: String::new() });
                Input::Scanned { committed: outcome.committed, problem: None }
            }
            Err(problem) => {
                let why = format!("{}: {}", problem.what, problem.why);
                self.shared.input_blocking(Input::Trouble { code: "F-001", subject: String::new(), why: why.clone() });
                Input::Scanned { committed: None, problem: Some(why) }
            }
        }
    }

    /// One alert a file that is held back; over when it is not any more.
    fn tell_held(&self, held: &[Held], told: &mut BTreeSet<String>) {
        let now: BTreeSet<String> = held.iter().map(|held| held.path.clone()).collect();
        self.held.store(held.len() as u64, Ordering::Relaxed);
        for gone in told.difference(&now) {
            self.shared.input_blocking(Input::TroubleOver { code: "F-002", subject: gone.clone() });
        }
        for held in held {
            let (subject, why) = (held.path.clone(), held.why.clone());
            self.shared.input_blocking(Input::Trouble { code: "F-002", subject, why });
        }
        *told = now;
    }

    fn change_now(&self, order: u64, term: Term, wanted: &WantedChange) -> Input {
        let WantedChange { author, message, change, dry_run } = wanted;
        match self.mirror.change(term, author, message, change, *dry_run) {
            Ok(Changed { committed, outcome }) => {
                let outcome = outcome.map(|report| Reply::Changed(Box::new(report)));
                Input::Changed { order, committed, outcome: Box::new(outcome) }
            }
            Err(problem) => Input::Changed { order, committed: None, outcome: Box::new(Err(problem)) },
        }
    }

    fn apply_now(&self, link: LinkId, push: &Push, complete: bool, mut source: BulkSource) -> Input {
        let shared = self.shared.clone();
        // Called between two pieces of an asynchronous transfer: must not wait. One that is lost is followed by another.
        let mut progress = move |transfer| drop(shared.inputs.try_send(Input::Progress(Some(transfer))));
        let result = self.mirror.apply(push, complete, &mut source, &mut progress);
        self.shared.input_blocking(Input::Progress(None));
        match result {
            Ok((committed, branch)) => Input::Applied { link, revision: committed.revision, committed, branch },
            Err(problem) => {
                Input::ApplyFailed { link, revision: push.revision, why: format!("{}: {}", problem.what, problem.why) }
            }
        }
    }
}

/// That the directory cannot be watched is an alert as long as it lasts; lost events cost one look at everything.
fn tell_watcher(shared: &Shared, event: &WatchEvent) {
    let subject = String::new();
    match event {
        WatchEvent::Changed => {}
        WatchEvent::NeedRescan => {
            let why = "too many changes at once for the system's queue: the whole directory is looked at";
            shared.note(EventKind::Configuration, Severity::Warning, why.to_owned());
        }
        WatchEvent::Failed(why) => shared.input_blocking(Input::Trouble { code: "F-003", subject, why: why.clone() }),
        WatchEvent::Recovered => shared.input_blocking(Input::TroubleOver { code: "F-003", subject }),
    }
}

/// Counts as a file for people.
#[must_use]
pub fn is_file(entry: &ManifestEntry) -> bool {
    entry.kind != FileKind::Directory
}

fn limits(settings: &Settings) -> Limits {
    Limits { file_size: settings.configuration.file_size_limit }
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
