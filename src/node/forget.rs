//! `config forget`: here, and on the other instance as soon as both are in sync (spec 5.6). What it has not done yet is noted
//! in the database, so that it is told after any restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::bulk_source::Other;
use super::desk::MirrorDesk;
use super::net::Net;
use super::settings_file::SettingsDesk;
use super::shared::{OrderOutcome, Shared};
use crate::engine::base::{Problem, Role};
use crate::engine::event::{Event, EventKind, Severity};
use crate::engine::history::ForgetReport;
use crate::engine::input::Input;
use crate::engine::order::{Actor, Reply};
use crate::engine::status::Status;
use crate::mirror::path::RelPath;
use crate::store::Store;

/// How long an order waits for the other instance.
const PEER_LIMIT: Duration = Duration::from_secs(20);
/// From a try that failed to the next.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Alert while the other instance has not forgotten.
const ALERT: &str = "F-030";

/// Clone it freely.
#[derive(Clone)]
pub struct ForgetDesk {
    store: Store,
    mirror: MirrorDesk,
    net: Net,
    settings: SettingsDesk,
    shared: Shared,
    /// Something new is to be told.
    due: Arc<Notify>,
    /// Something was told, or could not be.
    tried: Arc<tokio::sync::Mutex<()>>,
}

impl ForgetDesk {
    /// Begins to tell the other instance what it has not forgotten yet.
    #[must_use]
    pub fn start(store: Store, mirror: MirrorDesk, net: Net, settings: SettingsDesk, shared: Shared) -> Self {
        let desk = Self { store, mirror, net, settings, shared, due: Arc::default(), tried: Arc::default() };
        tokio::spawn(desk.clone().tell_for_ever());
        desk
    }

    /// Does it here, then there.
    ///
    /// # Errors
    /// Why not; nothing was removed then.
    pub async fn forget(&self, actor: Actor, path: String, history_only: bool) -> OrderOutcome {
        let status = Arc::clone(&self.shared.status.borrow());
        if status.role != Some(Role::Master) {
            return Err(Problem::new(
                "nothing was forgotten",
                "this instance is not the master, and mirrors what the master has",
                "Give the order on the master: it removes the contents from both histories",
            ));
        }
        let has_peer = status.peer.is_some();
        let (mirror, store, by, text) = (self.mirror.clone(), self.store.clone(), actor.user.clone(), path.clone());
        let work = spawn_blocking(move || {
            let path = crate::mirror::history::path_of(&text, "cannot forget the contents")?;
            if !store.is_in_history(&path)? {
                return Ok((path, None));
            }
            let forgotten = mirror.mirror().forget_path(&path, history_only)?;
            if has_peer {
                store.add_forget_due(&path, &by)?;
            }
            Ok::<_, Problem>((path, Some(forgotten)))
        });
        let (path, forgotten) = work.await.unwrap_or_else(|error| Err(thread_ended(&error.to_string())))?;
        let Some(forgotten) = forgotten else { return self.forget_there(&actor, &path).await };
        self.note(
            &actor.user,
            format!("contents of {path} forgotten: {} removed from the history", forgotten.contents),
        );
        let peer = if has_peer { Some(self.tell_soon(&path).await) } else { None };
        Ok(Reply::Forgotten(Box::new(ForgetReport {
            contents: forgotten.contents,
            kept_by: forgotten.kept_by.iter().map(ToString::to_string).collect(),
            also_at: forgotten.also_at.iter().map(ToString::to_string).collect(),
            peer,
        })))
    }

    /// A path that is not in the history here: the other instance may have it in a branch or drift of its own.
    async fn forget_there(&self, actor: &Actor, path: &RelPath) -> OrderOutcome {
        let unknown = |why: &str| {
            let todo = "Look how it is written: `standin config log` names the paths; it is relative to the mirrored directory";
            Err(Problem::new(format!("nothing was forgotten: there is no path {path}"), why, todo))
        };
        let status = Arc::clone(&self.shared.status.borrow());
        let Some(host) = status.peer.as_ref().map(|peer| peer.host.clone()) else {
            return unknown("no revision and no branch that is kept here ever had it");
        };
        match timeout(PEER_LIMIT, self.tell_one(path, &actor.user)).await {
            Ok(Ok(0)) => {
                unknown(&format!("neither this instance nor {host} ever had it in a revision or branch that is kept"))
            }
            Ok(Ok(contents)) => {
                self.note(
                    &actor.user,
                    format!("contents of {path} forgotten on {host}: {contents} removed from its history"),
                );
                let peer = format!("{host} has forgotten it: {contents} removed");
                Ok(Reply::Forgotten(Box::new(ForgetReport { peer: Some(peer), ..ForgetReport::default() })))
            }
            Ok(Err(why)) => unknown(&format!("nothing that is kept here ever had it, and {host} was not asked: {why}")),
            Err(_) => unknown(&format!("nothing that is kept here ever had it, and {host} did not answer in time")),
        }
    }

    /// Tells the other instance of one path; how many contents it removed.
    async fn tell_one(&self, path: &RelPath, by: &str) -> Result<u64, String> {
        can_tell(&self.shared.status.borrow())?;
        let store = self.store.clone();
        let durable = spawn_blocking(move || store.load_durable()).await.map_err(|error| error.to_string())?;
        let peer = durable.map_err(|problem| problem.to_string())?.and_then(|durable| durable.peer);
        let peer = peer.ok_or("this instance is not paired")?;
        let mut client = Other::of(&peer, &self.settings.in_force()).connect(&self.net).await?;
        client.forget(path.as_bytes(), by).await
    }

    /// The other instance asks for it: its operator gave the order. The newest contents stay.
    ///
    /// # Errors
    /// For people.
    pub fn asked_by_peer(mirror: &MirrorDesk, path: &[u8], by: &str) -> Result<u64, String> {
        let path = RelPath::new(path).map_err(|why| why.to_owned())?;
        let forgotten = mirror.mirror().forget_path(&path, true).map_err(|problem| problem.to_string())?;
        mirror.note(
            EventKind::Configuration,
            format!(
                "contents of {path} forgotten as ordered by {by} on the other instance: {} removed",
                forgotten.contents
            ),
        );
        Ok(forgotten.contents)
    }

    fn note(&self, who: &str, text: String) {
        self.shared.recorder.event(Event {
            id: 0,
            at: super::clock::wall(),
            kind: EventKind::Configuration,
            severity: Severity::Warning,
            text,
            who: Some(who.to_owned()),
            timeline: Vec::new(),
        });
    }

    /// Tells the other instance now if that is possible; what came of it, for people.
    async fn tell_soon(&self, path: &RelPath) -> String {
        let told = timeout(PEER_LIMIT, self.tell_all()).await;
        let host = self.shared.status.borrow().peer.as_ref().map_or_else(String::new, |peer| peer.host.clone());
        let why = match told {
            Ok(Ok(())) => return format!("{host} has forgotten it too"),
            Ok(Err(why)) => why,
            Err(_) => "it did not answer in time".into(),
        };
        self.alert(path, &why).await;
        self.due.notify_one();
        format!("{host} has not forgotten it yet: {why}; it is told as soon as both are connected and in sync")
    }

    async fn alert(&self, path: &RelPath, why: &str) {
        let input = Input::Trouble { code: ALERT, subject: path.to_string(), why: why.to_owned() };
        let _ = self.shared.inputs.send(input).await;
    }

    async fn over(&self, path: &RelPath) {
        let input = Input::TroubleOver { code: ALERT, subject: path.to_string() };
        let _ = self.shared.inputs.send(input).await;
    }

    async fn tell_for_ever(self) {
        let mut status = self.shared.status.subscribe();
        loop {
            let store = self.store.clone();
            let due = spawn_blocking(move || store.forgets_due()).await;
            let Ok(Ok(due)) = due else {
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            };
            if due.is_empty() {
                self.due.notified().await;
                continue;
            }
            let seen = Arc::clone(&status.borrow_and_update());
            if let Err(why) = can_tell(&seen) {
                // After a reset there is nobody to tell: what is due stays noted, in case that the same one comes again.
                let is_alone = seen.peer.is_none();
                for (path, _) in &due {
                    if is_alone { self.over(path).await } else { self.alert(path, &why).await }
                }
                let is_new = |status: &Arc<Status>| can_tell(status).is_ok() || status.peer.is_none() != is_alone;
                if status.wait_for(is_new).await.is_err() {
                    return;
                }
                continue;
            }
            if let Err(why) = self.tell_all().await {
                for (path, _) in &due {
                    self.alert(path, &why).await;
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    /// Tells the other instance everything that it has not forgotten yet.
    async fn tell_all(&self) -> Result<(), String> {
        let _turn = self.tried.lock().await;
        can_tell(&self.shared.status.borrow())?;
        let store = self.store.clone();
        let read = spawn_blocking(move || Ok::<_, Problem>((store.forgets_due()?, store.load_durable()?)));
        let (due, durable) =
            read.await.map_err(|error| error.to_string())?.map_err(|problem: Problem| problem.to_string())?;
        if due.is_empty() {
            return Ok(());
        }
        let peer = durable.and_then(|durable| durable.peer).ok_or("this instance is not paired")?;
        let mut client = Other::of(&peer, &self.settings.in_force()).connect(&self.net).await?;
        for (path, by) in due {
            client.forget(path.as_bytes(), &by).await?;
            let (store, done) = (self.store.clone(), path.clone());
            let dropped = spawn_blocking(move || store.drop_forget_due(&done)).await;
            dropped.map_err(|error| error.to_string())?.map_err(|problem| problem.to_string())?;
            self.over(&path).await;
        }
        Ok(())
    }
}

/// Only one that is in sync has the revision in which the path is gone.
fn can_tell(status: &Status) -> Result<(), String> {
    match &status.peer {
        None => Err("this instance is not paired".into()),
        Some(peer) if peer.connected_since.is_none() => Err(format!("{} is not connected", peer.host)),
        Some(peer) if !peer.in_sync => Err(format!("{} is not in sync", peer.host)),
        Some(_) => Ok(()),
    }
}

fn thread_ended(why: &str) -> Problem {
    Problem::new(
        "it is not known whether anything was forgotten",
        format!("the thread ended: {why}"),
        "Give the order again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::UnixMillis;
    use crate::engine::status::PeerStatus;

    /// spec 5.6: a peer that is behind still has the path in its newest revision, which would keep its content.
    #[test]
    fn only_a_peer_in_sync_is_told() {
        let with = |peer| can_tell(&Status { peer, ..Status::default() });
        let peer = PeerStatus { connected_since: Some(UnixMillis(1)), in_sync: true, ..PeerStatus::default() };
        assert!(with(None).is_err());
        assert!(with(Some(PeerStatus { connected_since: None, ..peer.clone() })).is_err());
        assert!(with(Some(PeerStatus { in_sync: false, ..peer.clone() })).is_err());
        assert_eq!(with(Some(peer)), Ok(()));
    }
}
