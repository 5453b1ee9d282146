//! Branches of a divergence and drifts (spec 4.5, 7.6), here and on the other instance: the loser of a divergence keeps the
//! branch, and the winner is where it is re-applied. So a branch that is asked for and is not here is fetched and kept here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::bulk_source::{Other, from_wire, to_wire};
use super::desk::MirrorDesk;
use super::net::BulkClient;
use super::orders::Orders;
use super::shared::OrderOutcome;
use crate::engine::base::{Digest, Problem};
use crate::engine::history::{Change as Wanted, Version};
use crate::engine::message::Branch;
use crate::engine::order::{Order, Reply};
use crate::mirror::ManifestEntry;
use crate::mirror::diff::Change;
use crate::mirror::digest;
use crate::mirror::tree::Entry;
use crate::store::{BranchPlan, NewRevision, Packed};
use crate::wire::bulk::ChangedEntry;

/// A list does not wait longer for the other instance: what is here is told all the same.
const LIST_LIMIT: Duration = Duration::from_secs(5);
/// Contents of one branch that are fetched, bytes.
const FETCH_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Revisions of the main line are below it, so that none leaves it for a branch that was fetched.
const NONE_AFTER: u64 = i64::MAX.cast_unsigned();

/// `config branches`: those here, and those of the other instance that are not here.
///
/// # Errors
/// The history cannot be read.
pub async fn list(orders: &Arc<Orders>) -> OrderOutcome {
    let mut all = own(orders).await?;
    // Not connected, or of a version that knows no such question: those here are the answer.
    if let Ok(Ok((theirs, _))) = tokio::time::timeout(LIST_LIMIT, theirs(orders)).await {
        let is_here = |branch: &Branch| all.iter().any(|own| (&own.name, own.head) == (&branch.name, branch.head));
        let missing: Vec<Branch> = theirs.into_iter().filter(|branch| !is_here(branch)).collect();
        all.extend(missing);
    }
    Ok(Reply::Branches(all))
}

/// `config branches show`.
///
/// # Errors
/// There is none of this name on either side.
pub async fn show(orders: &Arc<Orders>, name: &str) -> OrderOutcome {
    let Reply::Branches(all) = list(orders).await? else { return Err(unknown(name, "")) };
    match all.into_iter().find(|branch| branch.name == name) {
        Some(branch) => Ok(Reply::Branches(vec![branch])),
        None => Err(unknown(name, "")),
    }
}

/// Before an order that needs the contents of branches: those that it names and that are not here are fetched.
///
/// # Errors
/// The other instance has it and does not give it.
pub async fn have(orders: &Arc<Orders>, order: &Order) -> Result<(), Problem> {
    let mut names = BTreeSet::new();
    match order {
        Order::Diff { from, to, .. } => {
            for version in [from, to] {
                if let Version::Branch(name) = version {
                    names.insert(name.clone());
                }
            }
        }
        Order::Change { change: Wanted::Reapply { branch, .. }, .. } => {
            names.insert(branch.clone());
        }
        _ => {}
    }
    for name in names {
        if !own(orders).await?.iter().any(|branch| branch.name == name) {
            fetch(orders, &name).await?;
        }
    }
    Ok(())
}

/// What a branch of this instance changed, as it travels.
///
/// # Errors
/// It is not here, or cannot be read.
pub fn served(mirror: &MirrorDesk, name: &str) -> Result<Vec<ChangedEntry>, String> {
    let mirror = mirror.mirror();
    if mirror.branch(name).map_err(|problem| problem.to_string())?.is_none() {
        return Err(format!("there is no branch {name} here"));
    }
    let changes = mirror.branch_changes(name).map_err(|problem| problem.to_string())?;
    let wire = |change: &Change, entry: Option<Entry>| {
        entry.map(|entry| to_wire(ManifestEntry::from((change.path.clone(), entry))))
    };
    Ok(changes
        .iter()
        .map(|change| ChangedEntry { old: wire(change, change.old), new: wire(change, change.new) })
        .collect())
}

async fn own(orders: &Arc<Orders>) -> Result<Vec<Branch>, Problem> {
    let mirror = orders.mirror.clone();
    run(move || mirror.mirror().all_branches()).await
}

/// Those of the other instance, with its name, and the connection.
async fn theirs(orders: &Arc<Orders>) -> Result<(Vec<Branch>, BulkClient), String> {
    let store = orders.store.clone();
    let durable = run(move || store.load_durable()).await.map_err(|problem| problem.why)?;
    let peer = durable.and_then(|durable| durable.peer).ok_or("this instance is not paired")?;
    let mut client = Other::of(&peer, &orders.settings.in_force()).connect(&orders.net).await?;
    let mut branches = client.branches().await?;
    for branch in &mut branches {
        branch.holder.clone_from(&peer.host);
    }
    Ok((branches, client))
}

async fn fetch(orders: &Arc<Orders>, name: &str) -> Result<(), Problem> {
    // Whoever named something that is no branch is told so, whether or not the other instance answers.
    let (branches, mut client) = theirs(orders).await.map_err(|why| unknown(name, &why))?;
    let mut branch = branches.into_iter().find(|branch| branch.name == name).ok_or_else(|| unknown(name, ""))?;
    let holder = std::mem::take(&mut branch.holder);
    let cannot = |why: String| {
        Problem::new(format!("cannot fetch {name} from {holder}"), why, "try it again when the two are connected")
    };
    let mut changes = Vec::new();
    for changed in client.branch_changes(name).await.map_err(cannot)? {
        changes.push(change_of(changed).map_err(cannot)?);
    }
    changes.sort_by(|a: &Change, b: &Change| a.path.cmp(&b.path));
    changes.dedup_by(|a, b| a.path == b.path);
    let mut wanted = Vec::new();
    let mut bytes = 0_u64;
    for entry in changes.iter().filter_map(|change| change.new).filter(Entry::has_content) {
        if orders.mirror.mirror().content(&entry.digest)?.is_none() && !wanted.contains(&entry.digest) {
            wanted.push(entry.digest);
            bytes = bytes.saturating_add(entry.size);
        }
    }
    if bytes > FETCH_MAX_BYTES {
        return Err(cannot(format!("it has {bytes} bytes, at most {FETCH_MAX_BYTES} are fetched")));
    }
    let mut contents: Vec<(Digest, Packed)> = Vec::new();
    let sink = |wanted: Digest, content: Packed| {
        if digest::of_content(&content.unpack()?) != wanted {
            return Err("a content came with another digest".to_owned());
        }
        contents.push((wanted, content));
        Ok(())
    };
    client.contents(&wanted, &mut None, sink).await.map_err(cannot)?;
    let all = NewRevision {
        revision: branch.head,
        author: branch.author.clone(),
        at: branch.at.0,
        message: format!("fetched from {holder}"),
        changes: changes.into(),
    };
    let plan = BranchPlan { branch, after: NONE_AFTER, uncommitted: Some(all) };
    let mirror = orders.mirror.clone();
    run(move || mirror.mirror().import_branch(&plan, &contents)).await
}

/// As the mirror knows it; what another machine said is checked.
fn change_of(changed: ChangedEntry) -> Result<Change, String> {
    let known = |entry: Option<crate::wire::bulk::Entry>| entry.map(from_wire).transpose();
    let (old, new) = (known(changed.old)?, known(changed.new)?);
    let path = match (&old, &new) {
        (Some(old), Some(new)) if old.path != new.path => return Err("a change of two paths".into()),
        (Some(entry), _) | (None, Some(entry)) => entry.path.clone(),
        (None, None) => return Err("a change of nothing".into()),
    };
    let entry = |entry: ManifestEntry| {
        let (path, entry) = entry.into();
        crate::mirror::push::check_entry(&path, Some(entry)).map_err(|problem| problem.why)?;
        Ok::<_, String>(entry)
    };
    Ok(Change { path, old: old.map(entry).transpose()?, new: new.map(entry).transpose()? })
}

fn unknown(name: &str, why: &str) -> Problem {
    let why = match why {
        "" => "neither a divergence nor a drift left one of that name".to_owned(),
        why => format!("it is not kept here, and the other instance cannot be asked: {why}"),
    };
    Problem::new(format!("There is no branch '{name}'"), why, "`standin config branches` lists them.")
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Problem::new("The order failed", format!("its thread ended: {error}"), "Look at the program log."))
    })
}
