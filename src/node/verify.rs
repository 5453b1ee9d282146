//! `config verify`: every file on both sides read again, each difference listed (spec 5.7).

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::bulk_source::{Other, from_wire, to_wire};
use super::net::Entries;
use super::orders::Orders;
use super::shared::OrderOutcome;
use super::{clock, desk};
use crate::engine::base::{Digest, Problem};
use crate::engine::order::{DIFFERENCES_MAX, Difference, Reply, VerifyReport};
use crate::mirror::diff::{self, Change};
use crate::mirror::tree::{Entry, FromList, Tree};

/// What a side that was read holds, and its digest.
type Read = (Digest, Tree);

/// Reads both sides at once.
///
/// # Errors
/// When the own directory cannot be read. A peer that cannot be asked is part of the report.
pub async fn verify(orders: &Arc<Orders>) -> OrderOutcome {
    let begun = clock::monotonic();
    let mirror = orders.mirror.clone();
    let (committed_root, committed) = run(move || committed(&mirror)).await?;
    let mirror = orders.mirror.clone();
    let own = run(move || mirror.mirror().read_all());
    let (own, theirs) = tokio::join!(own, ask_peer(orders, &committed));
    let own = own?;
    let mut differences = compare(&committed, &own, |_| "not committed".to_owned());
    let (peer_root, peer_problem) = match theirs {
        Ok((root, tree, name)) => {
            differences.extend(compare_sides(&own, &tree, &name));
            (Some(root), None)
        }
        Err(why) => (None, Some(why)),
    };
    let total = differences.len() as u64;
    differences.truncate(DIFFERENCES_MAX);
    Ok(Reply::Verified(Box::new(VerifyReport {
        own_root: own.root(),
        peer_root,
        committed_root,
        files: own.files(),
        bytes: own.bytes(),
        took_ms: clock::monotonic().since(begun),
        differences,
        differences_total: total,
        peer_problem,
        at: clock::wall(),
    })))
}

fn committed(mirror: &desk::MirrorDesk) -> Result<Read, Problem> {
    match mirror.head() {
        Some(head) => Ok((head.revision.root, mirror.mirror().tree_of(head.revision)?)),
        None => Ok((Digest::ZERO, Tree::default())),
    }
}

/// What the other side has on its disk; what of it is as in `known` shares its memory.
async fn ask_peer(orders: &Arc<Orders>, known: &Tree) -> Result<(Digest, Tree, String), String> {
    let store = orders.store.clone();
    let durable = spawn_blocking(move || store.load_durable()).await.map_err(|error| error.to_string())?;
    let durable = durable.map_err(|problem| problem.why)?;
    let peer = durable.and_then(|durable| durable.peer).ok_or("there is no peer: this instance is not paired")?;
    let mut client = Other::of(&peer, &orders.settings.in_force()).connect(&orders.net).await?;
    let mut list = FromList::new(known);
    let root = client
        .verify(|entries| {
            entries.into_iter().try_for_each(|entry| {
                let (path, entry) = from_wire(entry)?.into();
                list.add(path, entry).map_err(|wrong| wrong.to_string())
            })
        })
        .await?;
    Ok((root, list.finish(), peer.host))
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Problem::new("The directory could not be verified", error.to_string(), "Look at the program log."))
    })
}

/// What differs, each path once, in order.
fn compare(left: &Tree, right: &Tree, say: impl Fn((Option<Entry>, Option<Entry>)) -> String) -> Vec<Difference> {
    let mut changes = diff::between(left, right);
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    let tell = |change: &Change| Difference { path: change.path.to_string(), what: say((change.old, change.new)) };
    changes.iter().map(tell).collect()
}

fn compare_sides(own: &Tree, theirs: &Tree, name: &str) -> Vec<Difference> {
    compare(own, theirs, |sides| match sides {
        (Some(_), None) => "only here".to_owned(),
        (None, _) => format!("only on {name}"),
        (Some(own), Some(theirs)) if own.kind != theirs.kind => "kind".to_owned(),
        (Some(own), Some(theirs)) if own.digest != theirs.digest => "content".to_owned(),
        (Some(own), Some(theirs)) if own.mode != theirs.mode => {
            format!("mode: {:04o} here, {:04o} on {name}", own.mode, theirs.mode)
        }
        (Some(own), Some(theirs)) => {
            let of = |entry: Entry| entry.owners.to_string();
            format!("owner: {} here, {} on {name}", or_none(&of(own)), or_none(&of(theirs)))
        }
    })
}

fn or_none(owners: &str) -> &str {
    if owners.is_empty() { "none" } else { owners }
}

/// What a bulk connection of the peer's is served from.
pub struct Served(pub desk::MirrorDesk);

impl super::net::BulkServer for Served {
    fn manifest(&self, revision: crate::engine::base::RevisionId) -> Result<Entries, String> {
        Ok(listed(self.0.mirror().tree_of(revision).map_err(|problem| problem.to_string())?))
    }

    fn content(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.0.mirror().content(digest).ok().flatten()
    }

    fn packed(&self, digest: &Digest) -> Result<Option<crate::store::Packed>, String> {
        self.0.mirror().packed_content(digest).map_err(|problem| problem.to_string())
    }

    fn verify(&self) -> Result<(Digest, Entries), String> {
        let tree = self.0.mirror().read_all().map_err(|problem| problem.to_string())?;
        Ok((tree.root(), listed(tree)))
    }

    fn forget(&self, path: &[u8], by: &str) -> Result<u64, String> {
        super::forget::ForgetDesk::asked_by_peer(&self.0, path, by)
    }

    fn branches(&self) -> Result<Vec<crate::engine::message::Branch>, String> {
        self.0.mirror().all_branches().map_err(|problem| problem.to_string())
    }

    fn branch_changes(&self, name: &str) -> Result<Vec<crate::wire::bulk::ChangedEntry>, String> {
        super::branches::served(&self.0, name)
    }
}

/// A tree as it travels.
fn listed(tree: Tree) -> Entries {
    Box::new(tree.into_entries().map(|entry| to_wire(entry.into())))
}
