//! The control socket: consoles and commands attach here (spec 8.1, interfaces). Any number at once; a slow one is behind,
//! never in the way.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::time::{Duration, timeout};

use super::orders::Orders;
use super::shared::{OwedAnswer, Shared, lock};
use crate::engine::base::Problem;
use crate::engine::event::Event;
use crate::engine::order::{Actor, ClientFrame, ServerFrame};
use crate::engine::status::Status;
use crate::wire::control;

/// Answers of one client that are not written yet, by its numbers.
type Owed = Arc<Mutex<BTreeMap<u64, OwedAnswer>>>;

/// Consoles and commands attached at once.
pub const CLIENTS_MAX: usize = 64;
/// Frames waiting for a client that reads slowly.
const OUTGOING_MAX: usize = 64;
/// A client that takes longer for one frame is cut off.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// Events sent at once to a client that subscribes.
const EVENTS_AT_ONCE: u32 = 500;
/// Published states are sent at most this often.
const STATUS_PAUSE: Duration = Duration::from_millis(50);

/// Binds the socket, 0600 or 0660 with a group.
///
/// # Errors
/// When the path cannot be bound or the group is unknown.
pub fn bind(path: &Path, group: Option<&str>) -> Result<UnixListener, Problem> {
    let cannot = |why: String| {
        Problem::new(
            "The control socket cannot be opened",
            format!("{}: {why}", path.display()),
            "The path may be at most 107 bytes long and the home must be writable.",
        )
    };
    // The home is locked by this process, so a socket left here is nobody's.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(|error| cannot(error.to_string()))?;
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    if let Some(group) = group {
        let id = super::system::group_id(group).ok_or_else(|| cannot(format!("there is no group '{group}'")))?;
        std::os::unix::fs::chown(path, None, Some(id)).map_err(|error| cannot(error.to_string()))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(|error| cannot(error.to_string()))?;
    Ok(listener)
}

/// Accepts for ever.
pub async fn serve(listener: UnixListener, shared: Shared, orders: Arc<Orders>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (shared, orders) = (shared.clone(), Arc::clone(&orders));
                tokio::spawn(async move {
                    client(stream, shared, orders).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("a console could not attach: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn client(stream: UnixStream, shared: Shared, orders: Arc<Orders>) {
    let user = stream.peer_cred().ok().map_or_else(|| "unknown".into(), |cred| super::system::user_name(cred.uid()));
    let actor = Actor { user };
    let (reader, writer) = stream.into_split();
    let (outgoing, frames) = mpsc::channel::<ServerFrame>(OUTGOING_MAX);
    let welcome = ServerFrame::Welcome { version: env!("CARGO_PKG_VERSION").to_owned(), process: std::process::id() };
    if outgoing.send(welcome).await.is_err() {
        return;
    }
    let owed = Owed::default();
    let writing = tokio::spawn(write_frames(writer, frames, Arc::clone(&owed)));
    let _ = read_frames(reader, &outgoing, &shared, &orders, &actor, &owed).await;
    drop(outgoing);
    let _ = writing.await;
}

async fn write_frames(mut writer: OwnedWriteHalf, mut frames: mpsc::Receiver<ServerFrame>, owed: Owed) {
    while let Some(frame) = frames.recv().await {
        let bytes = match control::encode(&frame) {
            Ok(bytes) => bytes,
            Err(why) => match too_large(&frame, why) {
                Some(bytes) => bytes,
                None => continue,
            },
        };
        if !matches!(timeout(WRITE_LIMIT, writer.write_all(&bytes)).await, Ok(Ok(()))) {
            break;
        }
        if let ServerFrame::Reply { id, .. } = &frame {
            lock(&owed).remove(id);
        }
    }
    // Nothing is owed to a client that cannot be told.
    lock(&owed).clear();
}

/// An answer over the limit becomes an error that says so.
fn too_large(frame: &ServerFrame, why: String) -> Option<Vec<u8>> {
    let ServerFrame::Reply { id, .. } = frame else { return None };
    let problem = Problem::new("The answer is too large to show", why, "Ask for less, one path for example.");
    control::encode(&ServerFrame::Reply { id: *id, outcome: Err(problem) }).ok()
}

async fn read_frames(
    mut reader: OwnedReadHalf,
    outgoing: &mpsc::Sender<ServerFrame>,
    shared: &Shared,
    orders: &Arc<Orders>,
    actor: &Actor,
    owed: &Owed,
) -> std::io::Result<()> {
    loop {
        let mut header = [0; 4];
        reader.read_exact(&mut header).await?;
        let length = control::announced_length(header).map_err(std::io::Error::other)?;
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).await?;
        match control::decode(&bytes).map_err(std::io::Error::other)? {
            ClientFrame::Subscribe { events_after } => {
                tokio::spawn(publish(outgoing.clone(), shared.clone(), Arc::clone(orders), events_after));
            }
            ClientFrame::Order { id, order } => {
                let (outgoing, orders, actor) = (outgoing.clone(), Arc::clone(orders), actor.clone());
                let owed = Arc::clone(owed);
                lock(&owed).insert(id, shared.owe());
                tokio::spawn(async move {
                    let outcome = orders.carry_out(actor, order).await;
                    if outgoing.send(ServerFrame::Reply { id, outcome }).await.is_err() {
                        lock(&owed).remove(&id);
                    }
                });
            }
        }
    }
}

/// Sends status, alerts and events now and at every change, until the client is gone.
async fn publish(outgoing: mpsc::Sender<ServerFrame>, shared: Shared, orders: Arc<Orders>, events_after: u64) {
    let mut events = shared.events.subscribe();
    let (mut status, mut alerts) = (shared.status.subscribe(), shared.alerts.subscribe());
    let mut last_event = events_after;
    if send_kept_events(&outgoing, &orders, &mut last_event).await.is_err() {
        return;
    }
    status.mark_changed();
    alerts.mark_changed();
    loop {
        let frame = tokio::select! {
            () = outgoing.closed() => return,
            changed = status.changed() => {
                if changed.is_err() { return; }
                let frame = ServerFrame::Status(Box::new(Status::clone(&status.borrow_and_update())));
                if outgoing.send(frame).await.is_err() { return; }
                tokio::time::sleep(STATUS_PAUSE).await;
                continue;
            }
            changed = alerts.changed() => {
                if changed.is_err() { return; }
                ServerFrame::Alerts(Vec::clone(&alerts.borrow_and_update()))
            }
            event = events.recv() => match event {
                Ok(event) if event.id > last_event || event.id == 0 => {
                    last_event = last_event.max(event.id);
                    ServerFrame::Events(more_events(&mut events, event, &mut last_event))
                }
                Ok(_) => continue,
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    if send_kept_events(&outgoing, &orders, &mut last_event).await.is_err() { return; }
                    continue;
                }
                Err(broadcast::error::RecvError::Closed) => return,
            },
        };
        if outgoing.send(frame).await.is_err() {
            return;
        }
    }
}

fn more_events(events: &mut broadcast::Receiver<Event>, first: Event, last_event: &mut u64) -> Vec<Event> {
    let mut list = vec![first];
    while let Ok(event) = events.try_recv() {
        *last_event = (*last_event).max(event.id);
        list.push(event);
    }
    list
}

async fn send_kept_events(
    outgoing: &mpsc::Sender<ServerFrame>,
    orders: &Arc<Orders>,
    last_event: &mut u64,
) -> Result<(), ()> {
    let list = orders.kept_events(*last_event, EVENTS_AT_ONCE).await;
    *last_event = list.iter().map(|event| event.id).max().unwrap_or(*last_event);
    outgoing.send(ServerFrame::Events(list)).await.map_err(|_| ())
}
