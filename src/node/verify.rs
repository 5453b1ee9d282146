//! `config verify`: every file on both sides read again, each difference listed (spec 5.7).

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::bulk_source::{Other, from_wire};
use super::orders::Orders;
use super::shared::OrderOutcome;
use super::{clock, desk};
use crate::engine::base::{Digest, Problem};
use crate::engine::order::{DIFFERENCES_MAX, Difference, Reply, VerifyReport};
use crate::mirror::ManifestEntry;
use crate::mirror::path::RelPath;

type Listed = (Digest, Vec<ManifestEntry>);

/// Reads both sides at once.
///
/// # Errors
/// When the own directory cannot be read. A peer that cannot be asked is part of the report.
pub async fn verify(orders: &Arc<Orders>) -> OrderOutcome {
    let begun = clock::monotonic();
    let mirror = orders.mirror.clone();
    let own = spawn_blocking(move || (mirror.mirror().verify_own(), committed(&mirror)));
    let (own, theirs) = tokio::join!(own, ask_peer(orders));
    let (own, committed) = own.map_err(|error| {
        Problem::new("The directory could not be verified", error.to_string(), "Look at the program log.")
    })?;
    let (own_root, own_entries) = own?;
    let (committed_root, committed_entries) = committed?;
    let mut differences = Vec::new();
    let not_committed = compare(&committed_entries, &own_entries, |_| "not committed".to_owned());
    differences.extend(not_committed);
    let (peer_root, peer_problem) = match theirs {
        Ok((root, entries, name)) => {
            differences.extend(compare_sides(&own_entries, &entries, &name));
            (Some(root), None)
        }
        Err(why) => (None, Some(why)),
    };
    let total = differences.len() as u64;
    differences.truncate(DIFFERENCES_MAX);
    Ok(Reply::Verified(Box::new(VerifyReport {
        own_root,
        peer_root,
        committed_root,
        files: own_entries.iter().filter(|entry| desk::is_file(entry)).count() as u64,
        bytes: own_entries.iter().map(|entry| entry.size).sum(),
        took_ms: clock::monotonic().since(begun),
        differences,
        differences_total: total,
        peer_problem,
        at: clock::wall(),
    })))
}

fn committed(mirror: &desk::MirrorDesk) -> Result<Listed, Problem> {
    match mirror.head() {
        Some(head) => Ok((head.revision.root, mirror.mirror().manifest(head.revision)?)),
        None => Ok((Digest::ZERO, Vec::new())),
    }
}

async fn ask_peer(orders: &Arc<Orders>) -> Result<(Digest, Vec<ManifestEntry>, String), String> {
    let store = orders.store.clone();
    let durable = spawn_blocking(move || store.load_durable()).await.map_err(|error| error.to_string())?;
    let durable = durable.map_err(|problem| problem.why)?;
    let peer = durable.and_then(|durable| durable.peer).ok_or("there is no peer: this instance is not paired")?;
    let mut client = Other::of(&peer, &orders.settings.in_force()).connect(&orders.net).await?;
    let (root, entries) = client.verify().await?;
    let entries = entries.into_iter().map(from_wire).collect::<Result<Vec<_>, _>>()?;
    Ok((root, entries, peer.host))
}

/// What differs, each path once, in order.
fn compare(
    left: &[ManifestEntry],
    right: &[ManifestEntry],
    say: impl Fn((Option<&ManifestEntry>, Option<&ManifestEntry>)) -> String,
) -> Vec<Difference> {
    let mut both: BTreeMap<&RelPath, (Option<&ManifestEntry>, Option<&ManifestEntry>)> = BTreeMap::new();
    for entry in left {
        both.entry(&entry.path).or_default().0 = Some(entry);
    }
    for entry in right {
        both.entry(&entry.path).or_default().1 = Some(entry);
    }
    both.into_iter()
        .filter(|(_, (left, right))| match (left, right) {
            (Some(left), Some(right)) => !is_same(left, right),
            _ => true,
        })
        .map(|(path, sides)| Difference { path: path.to_string(), what: say(sides) })
        .collect()
}

fn is_same(left: &ManifestEntry, right: &ManifestEntry) -> bool {
    (left.kind, left.mode, left.digest) == (right.kind, right.mode, right.digest)
}

fn compare_sides(own: &[ManifestEntry], theirs: &[ManifestEntry], name: &str) -> Vec<Difference> {
    compare(own, theirs, |sides| match sides {
        (Some(_), None) => "only here".to_owned(),
        (None, _) => format!("only on {name}"),
        (Some(own), Some(theirs)) if own.kind != theirs.kind => "kind".to_owned(),
        (Some(own), Some(theirs)) if own.digest != theirs.digest => "content".to_owned(),
        (Some(own), Some(theirs)) => format!("mode: {:04o} here, {:04o} on {name}", own.mode, theirs.mode),
    })
}

/// What a bulk connection of the peer's is served from.
pub struct Served(pub desk::MirrorDesk);

impl super::net::BulkServer for Served {
    fn manifest(&self, revision: crate::engine::base::RevisionId) -> Result<Vec<crate::wire::bulk::Entry>, String> {
        let list = self.0.mirror().manifest(revision).map_err(|problem| problem.to_string())?;
        Ok(list.into_iter().map(super::bulk_source::to_wire).collect())
    }

    fn content(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.0.mirror().content(digest).ok().flatten()
    }

    fn verify(&self) -> Result<(Digest, Vec<crate::wire::bulk::Entry>), String> {
        let (root, list): Listed = self.0.mirror().verify_own().map_err(|problem| problem.to_string())?;
        Ok((root, list.into_iter().map(super::bulk_source::to_wire).collect()))
    }

    fn forget(&self, path: &[u8], by: &str) -> Result<u64, String> {
        super::forget::ForgetDesk::asked_by_peer(&self.0, path, by)
    }
}
