//! Runs an engine: timers, links, the mirrored directory, the service, the control socket. The only asynchronous code.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::access::Access;
use crate::engine::Engine;
use crate::engine::base::Problem;
use crate::engine::input::{Boot, Input};
use crate::engine::settings::Settings;
use crate::identity::Identity;
pub use crate::service::ahead::{Program, find as find_program};
use crate::store::Store;
use desk::MirrorDesk;
use driver::Driver;
use facts::Facts;
use forget::ForgetDesk;
use net::{About, Limits, Net, NetConfig};
use orders::Orders;
use settings_file::SettingsDesk;
use shared::Shared;
use works::{Places, Works};

pub mod arbiter;
pub mod backup;
mod branches;
mod bulk_source;
pub mod clock;
mod compare;
mod control;
mod desk;
mod drift;
mod driver;
mod facts;
mod forget;
mod heart;
pub mod home;
pub mod hosts;
pub mod last_known;
mod log;
pub mod lost_settings;
pub mod net;
mod orders;
mod progress;
mod recorder;
pub mod restore;
mod settings_file;
mod settings_watch;
mod shared;
pub mod signals;
pub mod system;
mod timeouts;
mod trips;
mod validation;
mod verify;
mod wake;
mod works;

/// Threads of the runtime; checks need little, and the box belongs to the service.
const WORKER_THREADS: usize = 2;

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The home.
    pub home: PathBuf,
    /// The settings file.
    pub settings: PathBuf,
    /// How many `-v`.
    pub verbose: u8,
    /// A console may be in this process: SIGHUP is the terminal's then, not a wish to read the settings again.
    pub has_terminal: bool,
}

/// An engine that runs.
pub struct Running {
    runtime: Runtime,
    driver: JoinHandle<()>,
    socket: PathBuf,
    _log: log::Logging,
}

impl Running {
    /// Waits until it has stopped.
    pub fn wait(self) {
        let Self { runtime, driver, socket, _log } = self;
        let _ = runtime.block_on(driver);
        let _ = std::fs::remove_file(socket);
        runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    }

    /// It has stopped.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.driver.is_finished()
    }
}

/// Runs an engine in this process until it is stopped.
///
/// # Errors
/// Why it cannot start; nothing has changed then.
pub fn serve(options: &ServeOptions) -> Result<i32, Problem> {
    start(options)?.wait();
    Ok(0)
}

/// Starts an engine in this process; it answers on the control socket when this returns.
///
/// # Errors
/// Why it cannot start; nothing has changed then.
pub fn start(options: &ServeOptions) -> Result<Running, Problem> {
    if crate::store::is_exchange_open(&options.home) {
        // A restore that was interrupted: its settings are those to be read.
        drop(Store::open(&options.home)?);
    }
    let settings = SettingsDesk::open(&options.settings, &options.home)?;
    let store = Store::open(&options.home)?;
    let in_force = settings.in_force();
    let log = log::Logging::start(&options.home.join("log"), &in_force.log, options.verbose)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        // A check that is late because the service is busy must not look like a master that is gone.
        .on_thread_start(crate::service::priority::raise)
        .enable_all()
        .build()
        .map_err(|error| {
            Problem::new("Standin cannot start", format!("no threads: {error}"), "Free memory and try again.")
        })?;
    let socket = options.home.join("control.sock");
    let driver = {
        let _inside = runtime.enter();
        let parts = Parts::open(options, store, settings, &in_force)?;
        parts.run(options, &socket, &in_force, log.level())?
    };
    Ok(Running { runtime, driver, socket, _log: log })
}

/// The process that holds the service; runs on the main thread, which its parent-death signal needs.
#[must_use]
pub fn guard(addresses: Option<(PathBuf, String)>) -> i32 {
    let left = addresses.map(|(note, run)| crate::service::guard::Left { note, run });
    crate::service::guard::main(std::io::stdin(), std::io::stdout(), left)
}

/// Writes the commented default with these settings, where the file is lost.
///
/// # Errors
/// They are not valid, or cannot be written.
pub fn write_settings(path: &Path, settings: &Settings) -> Result<(), Problem> {
    settings_file::write_anew(path, settings)
}

/// Whether this process may give files to others, as `configuration.owners` needs it.
#[must_use]
pub fn can_give_files() -> bool {
    use crate::mirror::accounts::{System, UserBook};
    System.rights().is_free
}

/// Why these virtual addresses could not be raised by this process; changes nothing.
#[must_use]
pub fn address_problems(wanted: &[crate::engine::settings::VirtualAddress]) -> Vec<(String, Option<String>)> {
    crate::service::addresses::problems(wanted, &[])
}

/// Whether systemd stops this unit when Standin ends (spec 7.13), for `doctor`.
///
/// # Errors
/// Why not, and what to do.
pub fn unit_bound(unit: &str) -> Result<(), String> {
    use crate::service::unit::{Systemctl, Units};
    Systemctl::default().bound(unit)
}

/// What a node is put together from.
struct Parts {
    store: Store,
    settings: SettingsDesk,
    identity: Arc<Identity>,
    access: Arc<Access>,
    shared: Shared,
    inputs: mpsc::Receiver<Input>,
    mirror: MirrorDesk,
    net: Net,
    works: Works,
    boot: Boot,
    directory: PathBuf,
}

impl Parts {
    fn open(
        options: &ServeOptions,
        store: Store,
        settings: SettingsDesk,
        in_force: &Settings,
    ) -> Result<Self, Problem> {
        let home = &options.home;
        let durable = store.load_durable()?.filter(|durable| durable.role.is_some()).ok_or_else(|| no_role(home))?;
        let identity = Arc::new(Identity::load_or_create(&home.join("identity"), &in_force.host)?);
        let directory = directory_of(home, in_force, durable.role, store.newest_revision()?.is_some())?;
        let (events, _) = broadcast::channel(shared::EVENTS_BEHIND_MAX);
        let recorder = recorder::Recorder::start(store.clone(), events.clone())?;
        let (shared, inputs) = Shared::new(recorder, events);
        let mirror = MirrorDesk::start(&store, &directory, in_force, &shared)?;
        let access = Arc::new(Access::new(home.join("users.yaml")));
        let net = start_net(in_force, &identity, &access, &shared, &mirror, durable.role)?;
        let mark = format!("{} {}", home.display(), durable.instance);
        let program = system::own_program().map_err(|error| {
            Problem::new("Standin cannot start", format!("its own program is not found: {error}"), "")
        })?;
        let works = Works::start(
            program,
            mark,
            in_force,
            Places { directory: directory.clone(), addresses: home.join("addresses") },
            &mirror,
            &shared,
        )?;
        // Only now: an instance that could not start has used up no run.
        let durable = store.raise_run()?;
        let boot = Boot {
            instance: durable.instance,
            durable,
            settings: in_force.clone(),
            head: mirror.head(),
            trail: mirror.trail()?,
            branches: mirror.branches()?.into_iter().map(|branch| branch.name).collect(),
            alerts: store.load_alerts()?,
            is_copied: is_copied(&store, home)?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            link_port: net.port(),
            seed: random_seed(),
            fingerprint: identity.fingerprint(),
            service_kind: in_force.service.kind().to_owned(),
        };
        Ok(Self { store, settings, identity, access, shared, inputs, mirror, net, works, boot, directory })
    }

    /// Opens the control socket and lets the engine go.
    fn run(
        self,
        options: &ServeOptions,
        socket: &Path,
        in_force: &Settings,
        log_level: log::Level,
    ) -> Result<JoinHandle<()>, Problem> {
        let listener = control::bind(socket, in_force.control.group.as_deref())?;
        let Self { store, settings, identity, access, shared, inputs, mirror, net, works, boot, directory } = self;
        let trips = trips::Trips::default();
        let forgets = ForgetDesk::start(store.clone(), mirror.clone(), net.clone(), settings.clone(), shared.clone());
        let orders = Arc::new(Orders {
            shared: shared.clone(),
            store: store.clone(),
            mirror: mirror.clone(),
            net: net.clone(),
            access,
            settings: settings.clone(),
            identity: Arc::clone(&identity),
            instance: boot.instance,
            trips: trips.clone(),
            forgets,
        });
        let edits = settings_watch::start(&settings, &shared)?;
        signals::to_engine(&shared, options.has_terminal, edits.looks.clone())?;
        let needs_seal = boot.is_copied;
        let own_hosts = hosts::host_names();
        let facts = Facts::new(options.home.clone(), directory, identity, own_hosts, in_force.clone(), needs_seal);
        let wake = wake::Wake::new().map_err(|error| {
            Problem::new("cannot start", format!("no timer is to be had: {error}"), "raise the limit of open files")
        })?;
        let driver = Driver {
            engine: Engine::new(clock::now(), boot),
            store,
            shared: shared.clone(),
            net,
            mirror,
            works,
            arbiter: arbiter::ArbiterDesk::start(&in_force.arbiter, &shared),
            settings,
            facts,
            pending: std::collections::VecDeque::new(),
            published: [clock::monotonic(); 2],
            wake,
            is_stale: true,
            pinned: None,
            trips,
            log_level,
            listening: None,
        };
        let (answering, may_answer) = oneshot::channel();
        tokio::spawn(async move {
            if may_answer.await.is_ok() {
                control::serve(listener, shared, orders).await;
            }
        });
        Ok(tokio::spawn(driver.run(inputs, edits.found, answering)))
    }
}

fn start_net(
    settings: &Settings,
    identity: &Arc<Identity>,
    access: &Arc<Access>,
    shared: &Shared,
    mirror: &MirrorDesk,
    role: Option<crate::engine::base::Role>,
) -> Result<Net, Problem> {
    let net = Net::start(NetConfig {
        listen: settings.administration.listen.clone(),
        port: settings.link_port(),
        identity: Arc::clone(identity),
        inputs: shared.inputs.clone(),
        clock: Arc::new(clock::now),
        access: Arc::clone(access),
        bulk: Arc::new(verify::Served(mirror.clone())),
        limits: Limits::default(),
        resolver: None,
    })?;
    net.set_permitted(settings.high_availability.permitted_shadow_host.clone());
    net.set_about(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: settings.host.clone(),
        role,
        description: settings.description.clone(),
    });
    Ok(net)
}

fn no_role(home: &Path) -> Problem {
    Problem::new(
        "There is nothing to start yet",
        format!("{} has no role", home.display()),
        "Run `standin` for the first-start questions, or `standin setup --role master|shadow …`.",
    )
}

/// The mirrored directory; made where Standin may make it: under the home, and on a shadow, which fills it. One that cannot be used is refused as long as there is no revision: its name may be a wrong one. Later
/// it is as when it is lost while Standin runs: told, and the role is taken up all the same (spec 5.2).
fn directory_of(
    home: &Path,
    settings: &Settings,
    role: Option<crate::engine::base::Role>,
    has_revision: bool,
) -> Result<PathBuf, Problem> {
    let own = settings.configuration.directory.is_none();
    let directory = settings.configuration.directory.as_ref().map_or_else(|| home.join("configuration"), PathBuf::from);
    let cannot = |why: String| {
        Problem::new(
            "The directory to mirror cannot be used",
            format!("{}: {why}", directory.display()),
            "Correct configuration.directory in the settings, or the directory's owner and permissions.",
        )
    };
    let made = if own || role == Some(crate::engine::base::Role::Shadow) {
        std::fs::create_dir_all(&directory)
    } else {
        Ok(())
    };
    match made.and_then(|()| std::fs::read_dir(&directory)) {
        Ok(_) => Ok(directory),
        Err(_) if has_revision => Ok(directory),
        Err(error) => Err(cannot(error.to_string())),
    }
}

/// Seals a home at its first start; a seal that does not fit tells of a copy (spec 7.5).
fn is_copied(store: &Store, home: &Path) -> Result<bool, Problem> {
    let Some(now) = system::seal_of(home) else { return Ok(false) };
    match store.seal()? {
        Some(seal) => Ok(seal != now),
        None => store.set_seal(&now).map(|()| false),
    }
}

fn random_seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low
}
