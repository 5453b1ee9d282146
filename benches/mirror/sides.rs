//! A master and a shadow on loopback with a tree of any size between them, and a cable that can be cut.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use standin::engine::base::{LinkState, Role};
use standin::engine::event::Event;
use standin::engine::status::Status;

use crate::instance::{ADDRESS, Instance, USER};
use crate::proxy::Proxy;
use crate::{Fail, clock, machine, pair, trees};

/// For the slowest: a complete transfer of the largest tree on a busy machine.
const LIMIT: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_millis(10);
/// Time between checks: so short that there is something to see during a transfer.
const CHECK_INTERVAL: &str = "100ms";

pub struct Sides {
    pub a: Instance,
    pub b: Instance,
    pub proxy: Proxy,
    pub files: usize,
    pub bytes: u64,
    // Removed when everything that lives in it has ended.
    folder: PathBuf,
}

impl Drop for Sides {
    fn drop(&mut self) {
        for instance in [&mut self.a, &mut self.b] {
            let _ = instance.kill();
        }
        machine::remove_behind(self.folder.clone());
    }
}

impl Sides {
    /// Set up and not started; `a` holds the sample and `files` more.
    pub fn new(files: usize) -> Result<Self, Fail> {
        let folder = machine::folder()?.keep();
        let a = Instance::new(&folder, "a")?;
        let b = Instance::new(&folder, "b")?;
        pair::copy_sample(&a.directory)?;
        let bytes = trees::fill(&a.directory, files)?;
        let proxy = Proxy::to(a.port)?;
        a.set_up("master", &["--enable-ha"])?;
        b.set_up("shadow", &["--master-host", ADDRESS, "--master-port", &proxy.port.to_string()])?;
        Ok(Self { a, b, proxy, files, bytes, folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts both; ms until the master has committed everything.
    pub fn start(&mut self) -> Result<f64, Fail> {
        let begin_ns = self.a.spawn()?;
        let files = self.files as u64;
        wait(&self.a, "it has committed everything", |status| {
            status.active && status.configuration.files >= files && status.service.state == "running"
        })?;
        let took_ms = clock::ms_between(begin_ns, clock::now_ns());
        self.b.spawn()?;
        wait(&self.b, "it tells its role", |status| status.role.is_some() && status.instance.fingerprint.is_some())?;
        self.b.ok(&["shadow", "edit", "--check-interval", CHECK_INTERVAL])?;
        Ok(took_ms)
    }

    /// Pairs them; they are not in sync yet.
    pub fn connect(&self) -> Result<(), Fail> {
        let master = wait(&self.a, "it has a fingerprint", |status| status.instance.fingerprint.is_some())?;
        let fingerprint = master.instance.fingerprint.ok_or("the master has no fingerprint")?.to_string();
        let password = self.b.password_file()?;
        self.b.ok(&["shadow", "connect", "--user", USER, "--password-file", &password, "--fingerprint", &fingerprint])
    }

    /// Waits until both say that they are in sync.
    pub fn settled(&self) -> Result<Box<Status>, Fail> {
        let status = wait(&self.a, "active, CONNECTED, in sync", |status| {
            status.role == Some(Role::Master)
                && status.state == Some(LinkState::Connected)
                && status.peer.as_ref().is_some_and(|peer| peer.in_sync)
        })?;
        let root = status.configuration.root;
        wait(&self.b, "READY and in sync", |status| {
            status.state == Some(LinkState::Ready) && status.configuration.root == root
        })?;
        Ok(status)
    }

    /// `CLOCK_MONOTONIC` of the shadow's first event after the one with the id `after` whose text `fits`, ns; to the ms.
    pub fn event(&self, what: &str, after: u64, fits: impl Fn(&Event) -> bool) -> Result<u64, Fail> {
        clock::until_by(what, LIMIT, LOOK, || {
            let events = self.b.events(after)?;
            events.iter().find(|event| fits(event)).map(|event| clock::monotonic_of(event.at.0)).transpose()
        })
    }

    /// Id of the shadow's newest event.
    pub fn last_event(&self) -> Result<u64, Fail> {
        let mut last = 0;
        loop {
            let events = self.b.events(last)?;
            match events.last() {
                Some(event) => last = event.id,
                None => return Ok(last),
            }
        }
    }
}

/// Waits, however long it takes.
pub fn wait(instance: &Instance, what: &str, fits: impl Fn(&Status) -> bool) -> Result<Box<Status>, Fail> {
    let mut last = None;
    clock::until_by(&format!("{}: {what}", instance.name), LIMIT, LOOK, || {
        let status = instance.status()?;
        last = status.as_ref().map(|status| (status.role, status.state, status.state_message.clone()));
        Ok(status.filter(|status| fits(status)))
    })
    .map_err(|error| format!("{error}; last seen: {last:?}").into())
}

/// `VmHWM` begins anew with what is resident now.
pub fn forget_peak(instance: &Instance) -> Result<(), Fail> {
    Ok(fs::write(format!("/proc/{}/clear_refs", instance.process()?), "5")?)
}
