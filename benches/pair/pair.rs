//! A master and a shadow on loopback, paired, in sync, with the sample configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use standin::engine::base::{LinkState, Role};
use standin::engine::status::Status;

use crate::instance::{Instance, USER};
use crate::{Fail, clock, machine, service};

pub struct Pair {
    pub a: Instance,
    pub b: Instance,
    // Dropped last: everything above lives in it.
    folder: tempfile::TempDir,
}

impl Pair {
    /// `a` is the active master, `b` its READY shadow; every setting but `more` of the shadow's is the default.
    pub fn ready(more: &[&str]) -> Result<Self, Fail> {
        let folder = machine::folder()?;
        let a = Instance::new(folder.path(), "a")?;
        let b = Instance::new(folder.path(), "b")?;
        Self::of(folder, a, b, more)
    }

    /// The same of two instances whose homes in `folder` are not set up yet.
    pub fn of(folder: tempfile::TempDir, mut a: Instance, mut b: Instance, more: &[&str]) -> Result<Self, Fail> {
        copy_sample(&a.directory)?;
        a.set_up("master", &["--enable-ha"])?;
        let port = a.port.to_string();
        let host = a.address.clone();
        let mut arguments = vec!["--master-host", &host, "--master-port", &port];
        arguments.extend(more);
        b.set_up("shadow", &arguments)?;
        a.spawn()?;
        b.spawn()?;
        // The control socket answers before the engine knows who it is.
        let is_up = |status: &Status| status.role.is_some() && status.instance.fingerprint.is_some();
        let master = a.wait("it tells role and fingerprint", is_up)?;
        b.wait("it tells role and fingerprint", is_up)?;
        let fingerprint = master.instance.fingerprint.ok_or("the master has no fingerprint")?.to_string();
        let password = b.password_file()?;
        b.ok(&["shadow", "connect", "--user", USER, "--password-file", &password, "--fingerprint", &fingerprint])?;
        let pair = Self { a, b, folder };
        settled(&pair.a, &pair.b)?;
        Ok(pair)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let processes: Vec<u32> = [&self.a, &self.b]
            .iter()
            .filter_map(|it| service::newest(&it.journal))
            .map(|start| start.process)
            .collect();
        for instance in [&mut self.a, &mut self.b] {
            let _ = instance.kill();
        }
        // Their guards end the services; only then may the folder go.
        let _ =
            clock::until("the services end", || Ok(processes.iter().all(|it| !machine::is_alive(*it)).then_some(())));
    }
}

/// Waits until `master` is active and runs its service, `shadow` READY and in sync.
pub fn settled(master: &Instance, shadow: &Instance) -> Result<Box<Status>, Fail> {
    let status = master.wait("active, CONNECTED, in sync, service running", |status| {
        status.role == Some(Role::Master)
            && status.active
            && status.state == Some(LinkState::Connected)
            && status.peer.as_ref().is_some_and(|peer| peer.in_sync)
            && status.service.state == "running"
    })?;
    let root = status.configuration.root;
    shadow.wait("READY, in sync, would take over", |status| {
        status.state == Some(LinkState::Ready) && status.configuration.root == root && status.takeover.why_not.is_none()
    })?;
    Ok(status)
}

/// `config/sample`, with the modes an operator would have given.
pub fn copy_sample(directory: &Path) -> Result<(), Fail> {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sample"), directory)
}

fn copy(from: &Path, to: &Path) -> Result<(), Fail> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
            continue;
        }
        fs::copy(entry.path(), &target)?;
        if from.ends_with("secrets") {
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}
