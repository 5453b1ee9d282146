//! The other instance's contents and lists, over a connection of their own, so that no check waits for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::net::{BulkClient, Net, Partial};
use super::shared::lock;
use crate::engine::base::{Digest, Fingerprint, LinkId, Problem, RevisionId};
use crate::engine::durable::Peer;
use crate::engine::settings::Settings;
use crate::mirror::owners::Owners;
use crate::mirror::path::RelPath;
use crate::mirror::{ContentSource, ManifestEntry};
use crate::store::Packed;
use crate::wire::bulk::Entry;

/// Where the other instance can be reached.
#[derive(Clone)]
pub struct Other {
    hosts: Vec<String>,
    port: u16,
    fingerprint: Fingerprint,
    connect_timeout_ms: u64,
    file_limit_bytes: u64,
}

impl Other {
    /// From its record: its declared host, then the address it was last seen at.
    #[must_use]
    pub fn of(peer: &Peer, settings: &Settings) -> Self {
        let mut hosts = Vec::new();
        for host in peer.address.iter().chain([&peer.host]) {
            if !host.is_empty() && !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        Self {
            hosts,
            port: peer.port,
            fingerprint: peer.fingerprint,
            connect_timeout_ms: peer.timing.connect_timeout_ms,
            file_limit_bytes: settings.configuration.file_size_limit,
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn connect(&self, net: &Net) -> Result<BulkClient, String> {
        let (timeout_ms, limit) = (self.connect_timeout_ms, self.file_limit_bytes);
        BulkClient::connect(net, &self.hosts, self.port, self.fingerprint, timeout_ms, limit).await
    }
}

/// An entry as the mirror knows it.
///
/// # Errors
/// When its path leaves the directory or is otherwise no path of a mirror.
pub fn from_wire(entry: Entry) -> Result<ManifestEntry, String> {
    let Entry { path, kind, mode, size, digest, owner, group } = entry;
    let path = RelPath::new(&path).map_err(|error| error.to_string())?;
    let owners = Owners::of(&owner, &group).map_err(|why| format!("{path}: {why}"))?;
    Ok(ManifestEntry { path, kind, mode, size, digest, owners })
}

/// An entry as it travels.
#[must_use]
pub fn to_wire(entry: ManifestEntry) -> Entry {
    let ManifestEntry { path, kind, mode, size, digest, owners } = entry;
    let (owner, group) = owners.names().map(|names| (names.owner.clone(), names.group.clone())).unwrap_or_default();
    Entry { path: path.as_bytes().to_vec(), kind, mode, size, digest, owner, group }
}

/// Gives up when the link of its push goes down.
pub struct BulkSource {
    other: Other,
    net: Net,
    link: LinkId,
    down: watch::Receiver<VecDeque<LinkId>>,
    runtime: Handle,
    client: Option<BulkClient>,
    partial: Arc<Mutex<Option<Partial>>>,
}

impl BulkSource {
    /// Connects at the first question. `partial` outlives it: what has come of a large content when the link breaks.
    #[must_use]
    pub fn new(
        other: Other,
        net: Net,
        link: LinkId,
        down: watch::Receiver<VecDeque<LinkId>>,
        runtime: Handle,
        partial: Arc<Mutex<Option<Partial>>>,
    ) -> Self {
        Self { other, net, link, down, runtime, client: None, partial }
    }

    /// Runs `work` with a connection, until it is done or the link is gone.
    fn with_client<T>(&mut self, work: impl AsyncFnOnce(&mut BulkClient) -> Result<T, String>) -> Result<T, Problem> {
        let Self { other, net, link, down, runtime, client, .. } = self;
        let link = *link;
        let result = runtime.block_on(async {
            tokio::select! {
                result = async {
                    let connected = match client.take() {
                        Some(connected) => connected,
                        None => other.connect(net).await?,
                    };
                    work(client.insert(connected)).await
                } => result,
                _ = down.wait_for(|gone| gone.contains(&link)) => Err("the link went down meanwhile".to_owned()),
            }
        });
        result.map_err(|why| {
            self.client = None;
            Problem::new("The contents could not be fetched from the master", why, "It is tried again by itself.")
        })
    }
}

impl ContentSource for BulkSource {
    fn manifest(
        &mut self,
        revision: RevisionId,
        sink: &mut dyn FnMut(ManifestEntry) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut take = |entry| sink(from_wire(entry)?).map_err(|problem| problem.to_string());
        self.with_client(async move |client| {
            client.manifest(revision, |entries| entries.into_iter().try_for_each(&mut take)).await
        })
    }

    fn content(
        &mut self,
        wanted: &[Digest],
        sink: &mut dyn FnMut(Digest, Packed) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut partial = lock(&self.partial).take();
        let under_way = &mut partial;
        let result = self.with_client(async move |client| {
            let take = |digest, content| sink(digest, content).map_err(|problem: Problem| problem.to_string());
            client.contents(wanted, under_way, take).await
        });
        *lock(&self.partial) = partial;
        result
    }
}
