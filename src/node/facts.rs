//! What the status tells beyond the engine's knowledge: paths, process, certificates.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::net::About;
use super::{clock, system};
use crate::access::{UserRole, Users};
use crate::engine::base::{Fingerprint, LinkState, Role, UnixMillis};
use crate::engine::input::Input;
use crate::engine::kit::OwnFacts;
use crate::engine::settings::Settings;
use crate::engine::status::Status;
use crate::identity::{Identity, certificate_expiry};
use crate::store::Store;

/// Of the digest of the users' names so many bytes are told.
const DIGEST_BYTES: usize = 12;

/// Filled in by the node.
pub struct Facts {
    home: PathBuf,
    directory: PathBuf,
    started: UnixMillis,
    identity: Arc<Identity>,
    own_hosts: Vec<String>,
    settings: Settings,
    peer: Option<Fingerprint>,
    peer_expires: Option<UnixMillis>,
    needs_seal: bool,
}

impl Facts {
    /// `needs_seal`: the home's seal does not fit, and is renewed once the pair has settled who is what (spec 7.5).
    #[must_use]
    pub fn new(
        home: PathBuf,
        directory: PathBuf,
        identity: Arc<Identity>,
        own_hosts: Vec<String>,
        settings: Settings,
        needs_seal: bool,
    ) -> Self {
        Self {
            home,
            directory,
            started: clock::wall(),
            identity,
            own_hosts,
            settings,
            peer: None,
            peer_expires: None,
            needs_seal,
        }
    }

    /// New settings are in force.
    pub fn set_settings(&mut self, settings: &Settings) {
        self.settings = settings.clone();
    }

    /// The pinned peer changed: its certificate is looked up for the date people want to see.
    pub fn set_peer(&mut self, fingerprint: Option<Fingerprint>) {
        self.peer = fingerprint;
        self.peer_expires = None;
        self.look_up_peer();
    }

    /// The file of a peer that was just paired is written a moment after the record.
    fn look_up_peer(&mut self) {
        if self.peer_expires.is_none() {
            self.peer_expires = self.peer.and_then(|fingerprint| {
                let certificate = self.identity.load_peer(fingerprint).ok()??;
                certificate_expiry(&certificate).ok()
            });
        }
    }

    /// What a shadow that is not paired yet is told (spec 3.1).
    #[must_use]
    pub fn about(&self, role: Option<Role>) -> About {
        About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: self.settings.host.clone(),
            role,
            description: self.settings.description.clone(),
        }
    }

    /// Completes the engine's status. `bound`: the port really listened on, 0: none, whatever the settings say (alert N-001).
    pub fn complete(&mut self, status: &mut Status, bound: u16) {
        self.look_up_peer();
        let instance = &mut status.instance;
        instance.home = self.home.display().to_string();
        instance.host.clone_from(&self.settings.host);
        instance.description.clone_from(&self.settings.description);
        instance.started = Some(self.started);
        instance.fingerprint = Some(self.identity.fingerprint());
        let is_shared = self.settings.link_port() == self.settings.administration.port;
        instance.admin_port = if is_shared { bound } else { self.settings.administration.port };
        instance.ha_port = bound;
        instance.process = std::process::id();
        instance.certificate_expires = Some(self.identity.expires());
        status.configuration.directory = self.directory.display().to_string();
        status.own_hosts.clone_from(&self.own_hosts);
        if let Some(peer) = &mut status.peer {
            peer.certificate_expires = self.peer_expires;
        }
    }

    /// What only the node knows of what this instance has for a takeover (spec 2.6).
    #[must_use]
    pub fn of_kit(&self) -> Input {
        let users = Users::load_or_empty(&self.home.join(super::home::USERS_FILE)).unwrap_or_default().users;
        let mut names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
        names.sort_unstable();
        let digest = Sha256::digest(names.join("\n"));
        let digest: String = digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect();
        let is_root = rustix::process::geteuid().is_root();
        Input::Facts(Box::new(OwnFacts {
            users_digest: if users.is_empty() { String::new() } else { digest },
            users: u32::try_from(users.len()).unwrap_or(u32::MAX),
            has_administrator: users.iter().any(|user| user.role == UserRole::Administrator),
            runs_as: if is_root { "root" } else { "not root" }.into(),
        }))
    }

    /// A copied home is sealed anew when it is active or follows a master: then an answer or an operator has decided.
    pub fn reseal_if_settled(&mut self, store: &Store, status: &Status) {
        let follows = status.state == Some(LinkState::Ready);
        if !self.needs_seal || !(status.active || follows) {
            return;
        }
        if let Some(seal) = system::seal_of(&self.home)
            && store.set_seal(&seal).is_ok()
        {
            self.needs_seal = false;
        }
    }
}
