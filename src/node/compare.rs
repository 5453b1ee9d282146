//! `config diff`: two versions of the configuration, secrets masked (spec 5.6, 5.8).

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::bulk_source::{Other, from_wire};
use super::net::BulkClient;
use super::orders::Orders;
use super::shared::OrderOutcome;
use crate::engine::base::{Digest, Problem};
use crate::engine::history::{DiffReport, PATHS_MAX, Version};
use crate::engine::order::Reply;
use crate::mirror::compare::{Side, Versions, compare};
use crate::mirror::path::RelPath;
use crate::mirror::push::Manifest;
use crate::mirror::tree::Tree;
use crate::mirror::{OnDisk, history};
use crate::store::Store;
use crate::text::mask;

/// What to compare.
pub struct Wanted {
    /// The first version.
    pub from: Version,
    /// The second.
    pub to: Version,
    /// Only these; none: all.
    pub paths: Vec<String>,
    /// The settings' patterns of what is not mirrored, where nothing runs; a running mirror knows them.
    pub exclude: Vec<String>,
    /// Without masks.
    pub show_secrets: bool,
}

/// Compares.
///
/// # Errors
/// When there is no such version, a path is none, or the other instance cannot be asked.
pub async fn diff(orders: &Arc<Orders>, wanted: Wanted) -> OrderOutcome {
    if wanted.from == wanted.to && wanted.from == Version::Peer {
        let why = "both versions are the other instance's";
        return Err(Problem::new("cannot compare", why, "name another one: `directory`, or the number of a revision"));
    }
    let needs_peer = [&wanted.from, &wanted.to].contains(&&Version::Peer);
    let newest = orders.mirror.mirror().newest_tree();
    let peer = if needs_peer { Some(ask_peer(orders, &newest).await?) } else { None };
    let (store, mirror, runtime) = (orders.store.clone(), orders.mirror.clone(), Handle::current());
    let work = spawn_blocking(move || {
        let newest = || Ok(mirror.mirror().newest_tree());
        let on_disk = || mirror.mirror().on_disk();
        between(&Versions { store: &store, newest: &newest, on_disk: &on_disk }, &wanted, peer, &runtime)
    });
    let report = work.await.unwrap_or_else(|error| {
        Err(Problem::new("cannot compare", format!("the thread ended: {error}"), "look at the program log"))
    })?;
    Ok(Reply::Diff(Box::new(report)))
}

/// The same, when nothing runs.
///
/// # Errors
/// As [`diff`].
pub fn at_rest(home: &Path, directory: &Path, wanted: &Wanted) -> Result<DiffReport, Problem> {
    let store = Store::open_read_only(home)?;
    let known = OnceCell::new();
    let newest = || match known.get() {
        Some(tree) => Ok(Tree::clone(tree)),
        None => history::newest_tree(&store).map(|tree| known.get_or_init(|| tree).clone()),
    };
    let on_disk = || OnDisk::read(directory, &wanted.exclude, &newest()?, &history::stamps(&store)?);
    let versions = Versions { store: &store, newest: &newest, on_disk: &on_disk };
    let (from, to) = (versions.side(&wanted.from)?, versions.side(&wanted.to)?);
    compare_sides(from, to, &wanted.paths, wanted.show_secrets)
}

/// The other instance's disk, and the way to its contents.
struct Asked {
    tree: Tree,
    client: BulkClient,
    name: String,
}

/// What of it is as in `known` shares its memory.
async fn ask_peer(orders: &Arc<Orders>, known: &Tree) -> Result<Asked, Problem> {
    let cannot =
        |why: String| Problem::new("cannot compare with the other instance", why, "look at its state: standin status");
    let store = orders.store.clone();
    let durable = spawn_blocking(move || store.load_durable()).await.map_err(|error| cannot(error.to_string()))??;
    let peer = durable.and_then(|durable| durable.peer);
    let peer = peer.ok_or_else(|| cannot("this instance is not paired".into()))?;
    let other = Other::of(&peer, &orders.settings.in_force());
    let mut client = other.connect(&orders.net).await.map_err(cannot)?;
    let mut manifest = Manifest::new(known);
    let take = |some: Vec<crate::wire::bulk::Entry>| {
        some.into_iter().try_for_each(|entry| manifest.add(from_wire(entry)?).map_err(|problem| problem.why))
    };
    client.verify(take).await.map_err(cannot)?;
    Ok(Asked { tree: manifest.finish(), client, name: peer.host })
}

fn between(
    versions: &Versions<'_>,
    wanted: &Wanted,
    peer: Option<Asked>,
    runtime: &Handle,
) -> Result<DiffReport, Problem> {
    let mut peer = peer.map(|asked| peer_side(versions.store, asked, runtime));
    let mut of = |version: &Version| match peer.take_if(|_| *version == Version::Peer) {
        Some(peer) => Ok(peer),
        None => versions.side(version),
    };
    let (from, to) = (of(&wanted.from)?, of(&wanted.to)?);
    compare_sides(from, to, &wanted.paths, wanted.show_secrets)
}

/// Contents that are kept here too need not travel.
fn peer_side<'a>(store: &'a Store, asked: Asked, runtime: &'a Handle) -> Side<'a> {
    let Asked { tree, mut client, name } = asked;
    let contents = move |digest: &Digest| {
        if let Some(bytes) = store.content(digest)? {
            return Ok(Ok(bytes));
        }
        let mut found = Vec::new();
        let fetched = runtime.block_on(client.contents(&[*digest], &mut None, |_, content| {
            found = content.unpack()?.into_owned();
            Ok(())
        }));
        Ok(match fetched {
            Ok(()) if crate::mirror::digest::of_content(&found) == *digest => Ok(found),
            Ok(()) => Err("the other instance sent another content".into()),
            Err(why) => Err(why),
        })
    };
    Side { name: format!("disk of {name}"), tree, contents: Box::new(contents) }
}

fn compare_sides(from: Side<'_>, to: Side<'_>, paths: &[String], show_secrets: bool) -> Result<DiffReport, Problem> {
    if paths.len() > PATHS_MAX {
        let why = format!("{} paths are named, at most {PATHS_MAX} may be", paths.len());
        return Err(Problem::new("cannot compare", why, "name the directories they are in"));
    }
    let paths: Vec<RelPath> =
        paths.iter().map(|text| history::path_of(text, "cannot compare")).collect::<Result<_, _>>()?;
    let masked = |text: &str| mask::lines(text).into_iter().map(|line| line.masked).collect();
    compare(from, to, &paths, if show_secrets { None } else { Some(&masked) })
}
