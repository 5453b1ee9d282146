//! Branches of a divergence and drifts (spec 4.5, 7.6), here and on the other instance: the loser of a divergence keeps the
//! branch, and the winner is where it is re-applied. So a branch that is asked for and is not here is fetched and kept here.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::bulk_source::{Other, from_wire, to_wire};
use super::desk::MirrorDesk;
use super::net::{BulkClient, NO_CONTENT};
use super::orders::Orders;
use super::shared::OrderOutcome;
use crate::engine::base::{Digest, Problem};
use crate::engine::durable::Peer;
use crate::engine::history::{APPLIED_FILE_MAX_BYTES, Change as Wanted, FileBytes, Version};
use crate::engine::message::Branch;
use crate::engine::order::{Order, Reply};
use crate::files::space;
use crate::mirror::ManifestEntry;
use crate::mirror::compare::TEXT_MAX_BYTES;
use crate::mirror::diff::Change;
use crate::mirror::digest;
use crate::mirror::tree::Entry;
use crate::store::{BranchPlan, NewRevision, Packed};
use crate::wire::bulk::ChangedEntry;

/// A list does not wait longer for the other instance: what is here is told all the same.
const LIST_LIMIT: Duration = Duration::from_secs(5);
/// Contents that are fetched for one order, bytes; one is always. The next order goes on.
const FETCH_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Contents asked for at once,
const BATCH_CONTENTS: usize = 64;
/// and their bytes, which are in memory at once; one content may have more.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// Revisions of the main line are below it, so that none leaves it for a branch that was fetched.
const NONE_AFTER: u64 = i64::MAX.cast_unsigned();

/// `config branches`: those here, and those of the other instance that are not here. Where both have one of the same name the
/// other's is `NAME@HOST`.
///
/// # Errors
/// The history cannot be read.
pub async fn list(orders: &Arc<Orders>) -> OrderOutcome {
    let mut all = own(orders).await?;
    // Not connected, or of a version that knows no such question: those here are the answer.
    if let Ok(Ok((theirs, _))) = tokio::time::timeout(LIST_LIMIT, theirs(orders)).await {
        all.extend(told_apart(&all, theirs));
    }
    Ok(Reply::Branches(all))
}

/// `config branches show`.
///
/// # Errors
/// There is none of this name on either side.
pub async fn show(orders: &Arc<Orders>, name: &str) -> OrderOutcome {
    let Reply::Branches(all) = list(orders).await? else { return Err(unknown(name, "")) };
    let (base, host) = split(name);
    let own_host = orders.settings.in_force().host;
    let is_meant = |branch: &&Branch| match host {
        Some(host) if host == own_host => branch.holder.is_empty() && branch.name == base,
        Some(host) => branch.holder == host && split(&branch.name).0 == base,
        None => false,
    };
    let found = all.iter().find(|branch| branch.name == name).or_else(|| all.iter().find(is_meant));
    match found {
        Some(branch) => Ok(Reply::Branches(vec![Branch { name: name.to_owned(), ..branch.clone() }])),
        None => Err(unknown(name, "")),
    }
}

/// `config branches show BRANCH PATH`: what is kept is had again byte for byte, also where it cannot be re-applied (spec 5.4, 7.6).
///
/// # Errors
/// There is no such branch, or it has nothing there; the other instance has it and does not give it; more bytes than an answer has.
pub async fn bytes(orders: &Arc<Orders>, name: &str, path: String) -> OrderOutcome {
    let need = Need { paths: std::slice::from_ref(&path), largest: APPLIED_FILE_MAX_BYTES };
    let (local, mirror) = (ready(orders, name, &need).await?, orders.mirror.clone());
    run(move || mirror.mirror().branch_bytes(&local, &path)).await.map(|bytes| Reply::Bytes(FileBytes(bytes)))
}

/// Before an order that needs the contents of branches: what it needs of those that it names and is not here is fetched.
/// The order, with the names that they have here.
///
/// # Errors
/// There is no such branch; the other instance has it and does not give it; there is no space for it.
pub async fn have(orders: &Arc<Orders>, order: Order) -> Result<Order, Problem> {
    match order {
        Order::Diff { from, to, paths, show_secrets } => {
            // What is longer is not compared line by line.
            let need = Need { paths: &paths, largest: TEXT_MAX_BYTES };
            let (from, to) = (version(orders, from, &need).await?, version(orders, to, &need).await?);
            Ok(Order::Diff { from, to, paths, show_secrets })
        }
        Order::Change { change: Wanted::Reapply { branch, paths, theirs }, message, dry_run } => {
            let mut all = paths.clone();
            if !all.is_empty() {
                all.extend(theirs.iter().cloned());
            }
            let largest = orders.settings.in_force().configuration.file_size_limit;
            let branch = ready(orders, &branch, &Need { paths: &all, largest }).await?;
            Ok(Order::Change { change: Wanted::Reapply { branch, paths, theirs }, message, dry_run })
        }
        order => Ok(order),
    }
}

async fn version(orders: &Arc<Orders>, version: Version, need: &Need<'_>) -> Result<Version, Problem> {
    match version {
        Version::Branch(name) => Ok(Version::Branch(ready(orders, &name, need).await?)),
        version => Ok(version),
    }
}

/// What an order needs of a branch.
struct Need<'a> {
    /// Only contents at these paths; none: at all.
    paths: &'a [String],
    /// Only contents up to so many bytes.
    largest: u64,
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
    let peer = peer(orders).await?;
    let mut client = Other::of(&peer, &orders.settings.in_force()).connect(&orders.net).await?;
    let mut branches = client.branches().await?;
    for branch in &mut branches {
        branch.holder.clone_from(&peer.host);
    }
    Ok((branches, client))
}

async fn peer(orders: &Arc<Orders>) -> Result<Peer, String> {
    let store = orders.store.clone();
    let durable = run(move || store.load_durable()).await.map_err(|problem| problem.why)?;
    durable.and_then(|durable| durable.peer).ok_or_else(|| "this instance is not paired".to_owned())
}

async fn connect(orders: &Arc<Orders>) -> Result<BulkClient, String> {
    let peer = peer(orders).await?;
    Other::of(&peer, &orders.settings.in_force()).connect(&orders.net).await
}

/// The branch is here, with what is needed of its contents; the name that it has here.
async fn ready(orders: &Arc<Orders>, name: &str, need: &Need<'_>) -> Result<String, Problem> {
    let own = own(orders).await?;
    let (base, host) = split(name);
    // As it stands in the list comes first: both may have one name as hosts, too.
    let own_host = orders.settings.in_force().host;
    let is_own_host = host == Some(own_host.as_str()) && peer(orders).await.map_or(true, |peer| peer.host != own_host);
    let is_listed = own.iter().any(|branch| branch.name == name);
    let wanted = if is_own_host && !is_listed { base } else { name };
    let (local, client) = if own.iter().any(|branch| branch.name == wanted) {
        (wanted.to_owned(), None)
    } else {
        let (local, client) = bring(orders, name, &own).await?;
        (local, Some(client))
    };
    let (mirror, branch, largest) = (orders.mirror.clone(), local.clone(), need.largest);
    let paths = need.paths.to_vec();
    let missing = run(move || mirror.mirror().missing_of_branch(&branch, &paths, largest, FETCH_MAX_BYTES)).await?;
    if missing.is_empty() {
        return Ok(local);
    }
    let bytes = missing.iter().map(|(_, size)| size).sum();
    space::must_fit(orders.store.home(), bytes, &format!("cannot fetch the contents of {local}"))?;
    let client = match client {
        Some(client) => client,
        None => connect(orders).await.map_err(|why| {
            let what = format!("cannot fetch the contents of {local}");
            Problem::new(what, why, "Try it again when the two are connected.")
        })?,
    };
    let fetched = fetch(orders, client, missing).await;
    // Also after a break: what has come counts.
    let (store, branch) = (orders.store.clone(), local.clone());
    run(move || store.hold_fetched(&branch)).await?;
    fetched.map_err(|problem| {
        Problem::new(
            format!("cannot fetch the contents of {local}"),
            format!("{}: {}", problem.what, problem.why),
            problem.todo,
        )
    })?;
    Ok(local)
}

/// Keeps a branch of the other instance here, without its contents; its name here, and the connection.
async fn bring(orders: &Arc<Orders>, name: &str, own: &[Branch]) -> Result<(String, BulkClient), Problem> {
    // Whoever named something that is no branch is told so, whether or not the other instance answers.
    let (branches, mut client) = theirs(orders).await.map_err(|why| unknown(name, &why))?;
    let (base, host) = split(name);
    let is_meant = |branch: &&Branch| branch.name == base && host.is_none_or(|host| branch.holder == host);
    let named = branches.iter().find(|branch| branch.name == name);
    let mut branch = named.or_else(|| branches.iter().find(is_meant)).cloned().ok_or_else(|| unknown(name, ""))?;
    if let Some(here) = own.iter().find(|own| is_same(own, &branch)) {
        return Ok((here.name.clone(), client));
    }
    let holder = std::mem::take(&mut branch.holder);
    let cannot = |why: String| Problem::new(format!("cannot fetch {name} from {holder}"), why, "Give the order again.");
    let mut changes = Vec::new();
    for changed in client.branch_changes(&branch.name).await.map_err(cannot)? {
        changes.push(change_of(changed).map_err(cannot)?);
    }
    changes.sort_by(|a: &Change, b: &Change| a.path.cmp(&b.path));
    changes.dedup_by(|a, b| a.path == b.path);
    if own.iter().any(|own| own.name == branch.name) {
        branch.name = format!("{}@{holder}", branch.name);
    }
    let local = branch.name.clone();
    let all = NewRevision {
        revision: branch.head,
        author: branch.author.clone(),
        at: branch.at.0,
        message: format!("fetched from {holder}"),
        changes: changes.into(),
    };
    let plan = BranchPlan { branch, after: NONE_AFTER, uncommitted: Some(all) };
    let mirror = orders.mirror.clone();
    run(move || mirror.mirror().import_branch(&plan, &[])).await?;
    Ok((local, client))
}

/// Fetches contents and keeps them, a few at a time. One that the other instance has no more does not keep the others away.
async fn fetch(orders: &Arc<Orders>, mut client: BulkClient, missing: Vec<(Digest, u64)>) -> Result<(), Problem> {
    let broken = |why: String| Problem::new("the other instance", why, "Give the order again.");
    for batch in batches(&missing) {
        match some(orders, &mut client, &batch).await? {
            Ok(()) => {}
            Err(why) if why.starts_with(NO_CONTENT) => {
                for digest in &batch {
                    match some(orders, &mut client, std::slice::from_ref(digest)).await? {
                        Err(why) if !why.starts_with(NO_CONTENT) => return Err(broken(why)),
                        _ => {}
                    }
                }
            }
            Err(why) => return Err(broken(why)),
        }
    }
    Ok(())
}

/// So many that one request asks for them: after a refusal the connection is still of use.
fn batches(missing: &[(Digest, u64)]) -> Vec<Vec<Digest>> {
    let mut batches: Vec<Vec<Digest>> = Vec::new();
    let mut bytes = 0_u64;
    for (digest, size) in missing {
        bytes = bytes.saturating_add(*size);
        match batches.last_mut() {
            Some(batch) if bytes <= BATCH_BYTES && batch.len() < BATCH_CONTENTS => batch.push(*digest),
            _ => {
                bytes = *size;
                batches.push(vec![*digest]);
            }
        }
    }
    batches
}

/// One request, kept here. Inside: what the other instance said, or how the connection broke.
async fn some(orders: &Arc<Orders>, client: &mut BulkClient, wanted: &[Digest]) -> Result<Result<(), String>, Problem> {
    let mut contents: Vec<(Digest, Packed)> = Vec::new();
    let sink = |wanted: Digest, content: Packed| {
        if digest::of_content(&content.unpack()?) != wanted {
            return Err("a content came with another digest".to_owned());
        }
        contents.push((wanted, content));
        Ok(())
    };
    let heard = client.contents(wanted, &mut None, sink).await;
    let store = orders.store.clone();
    run(move || store.put_contents(&contents)).await?;
    Ok(heard)
}

/// `NAME@HOST`: a branch's name, and who keeps it.
fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('@').map_or((name, None), |(base, host)| (base, Some(host)))
}

/// The one here is the other instance's, or a copy of it.
fn is_same(own: &Branch, other: &Branch) -> bool {
    own.head == other.head && split(&own.name).0 == split(&other.name).0
}

/// Those of the other instance that are not among `own`, by names that are theirs alone.
fn told_apart(own: &[Branch], theirs: Vec<Branch>) -> Vec<Branch> {
    let mut missing = theirs;
    missing.retain(|branch| !own.iter().any(|own| is_same(own, branch)));
    for branch in &mut missing {
        if own.iter().any(|own| own.name == branch.name) {
            branch.name = format!("{}@{}", branch.name, branch.holder);
        }
    }
    missing
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::{RevisionId, Term, UnixMillis};

    fn branch(name: &str, root: u8, holder: &str) -> Branch {
        Branch {
            name: name.into(),
            common: None,
            head: RevisionId { number: 2, term: Term(1), root: Digest([root; 32]) },
            revisions: 1,
            files: Vec::new(),
            files_total: 1,
            at: UnixMillis(1),
            author: String::new(),
            holder: holder.into(),
        }
    }

    /// spec 7.6: two branches of one name are two, each with a name of its own; a copy of the other's is the same one
    #[test]
    fn branches_of_one_name_are_told_apart() {
        let own = [branch("drift-1", 1, ""), branch("drift-2", 2, ""), branch("drift-2@b", 4, "")];
        let theirs = ["drift-1", "drift-2", "drift-2", "drift-3"];
        let theirs = theirs.into_iter().zip([1, 3, 4, 5]).map(|(name, root)| branch(name, root, "b")).collect();
        let names: Vec<String> = told_apart(&own, theirs).into_iter().map(|branch| branch.name).collect();
        assert_eq!(names, ["drift-2@b", "drift-3"]);
    }

    /// spec 7.6: contents come a few at a time, a large one by itself
    #[test]
    fn contents_come_in_batches() {
        let of = |sizes: &[u64]| sizes.iter().map(|size| (Digest([1; 32]), *size)).collect::<Vec<_>>();
        let lengths = |sizes: &[u64]| batches(&of(sizes)).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[1, 2, BATCH_BYTES * 9, 3, 4]), [2, 1, 2]);
        assert_eq!(lengths(&vec![1; BATCH_CONTENTS + 1]), [BATCH_CONTENTS, 1]);
        assert!(batches(&[]).is_empty());
    }
}
