//! Links, in and out: each has one task that reads and tells what happens, and one that writes.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};

use super::framed::{FrameReader, ReadError};
use super::listen::{Incoming, Slot};
use super::{LINK_QUEUE_MAX, LINKS_MAX, LINKS_OF_STRANGERS_MAX, Shared, policy};
use crate::engine::base::{Fingerprint, LinkId};
use crate::engine::input::Input;
use crate::engine::message::{Body, Envelope};
use crate::wire;
use crate::wire::frame::{LINK_FRAME_MAX_BYTES, encode};

/// What the rest of the program holds of a link. Dropping it lets the writer end after what is queued.
pub(super) struct Handle {
    frames: mpsc::Sender<Vec<u8>>,
    closing: Arc<Closing>,
    /// Dialled by us, or by whoever holds the peer's certificate.
    is_strange: bool,
}

#[derive(Default)]
struct Closing {
    why: Mutex<Option<String>>,
    asked: Notify,
}

impl Handle {
    /// Queues one message; the error says why the link must be closed.
    pub(super) fn send(&self, payload: &[u8]) -> Result<(), String> {
        let frame = encode(payload, LINK_FRAME_MAX_BYTES).map_err(|error| format!("cannot be sent: {error}"))?;
        match self.frames.try_send(frame) {
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(format!("the other side does not read: {LINK_QUEUE_MAX} messages wait"))
            }
            // Its task is ending and says why itself.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    pub(super) fn close(self, why: String) {
        *self.closing.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.closing.asked.notify_one();
    }
}

/// A link that is in the table and runs as soon as [`Link::run`] is awaited.
pub(super) struct Link<S> {
    shared: Arc<Shared>,
    id: LinkId,
    stream: S,
    frames: mpsc::Receiver<Vec<u8>>,
    closing: Arc<Closing>,
    is_outgoing: bool,
    address: IpAddr,
}

/// Puts a new link into the table; none when that is full.
pub(super) fn register<S>(
    shared: &Arc<Shared>,
    stream: S,
    fingerprint: Fingerprint,
    address: IpAddr,
    is_outgoing: bool,
) -> Option<Link<S>> {
    let (sender, frames) = mpsc::channel(LINK_QUEUE_MAX);
    let closing = Arc::new(Closing::default());
    let mut state = shared.state();
    let is_strange = !is_outgoing && state.peer != Some(fingerprint);
    let strangers = state.links.values().filter(|handle| handle.is_strange).count();
    if state.links.len() >= LINKS_MAX || (is_strange && strangers >= LINKS_OF_STRANGERS_MAX) {
        return None;
    }
    let id = shared.new_link_id();
    state.links.insert(id, Handle { frames: sender, closing: closing.clone(), is_strange });
    drop(state);
    Some(Link { shared: shared.clone(), id, stream, frames, closing, is_outgoing, address })
}

/// A connection came in and asked for the link.
pub(super) async fn serve(shared: Arc<Shared>, incoming: Incoming) {
    let Incoming { stream, fingerprint, address, deadline, slot, .. } = incoming;
    let Some(link) = register(&shared, stream, fingerprint, address, false) else {
        tracing::debug!(%address, "too many links");
        return;
    };
    let up = Input::LinkUp { link: link.id, outgoing: false, fingerprint, address: address.to_string() };
    shared.tell(up).await;
    link.run(Some((deadline, slot))).await;
}

enum End {
    Read(ReadError),
    Write(String),
    Asked,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Link<S> {
    pub(super) fn id(&self) -> LinkId {
        self.id
    }

    /// Until its end, which is told as [`Input::LinkDown`]. `first`: by when the first message must have come, and the
    /// place it holds until then.
    pub(super) async fn run(self, first: Option<(tokio::time::Instant, Slot)>) {
        let Self { shared, id, stream, frames, closing, is_outgoing, address } = self;
        let (read, write) = tokio::io::split(stream);
        let mut reader = FrameReader::new(read, LINK_FRAME_MAX_BYTES);
        let mut writer = tokio::spawn(write_all(write, frames));
        let listener = Listener { shared: &shared, id, is_outgoing, address };
        let end = tokio::select! {
            error = listener.listen(&mut reader, first) => End::Read(error),
            result = &mut writer => End::Write(match result {
                Ok(Err(error)) => format!("connection broken: {error}"),
                _ => "connection broken".into(),
            }),
            () = closing.asked.notified() => End::Asked,
        };
        shared.state().links.remove(&id);
        // Asked for at the same moment: then that is the reason, and what was sent still gets out.
        let asked = closing.why.lock().unwrap_or_else(PoisonError::into_inner).take();
        let why = match (asked, end) {
            (Some(why), End::Asked | End::Write(_)) => {
                let flush = async {
                    if !writer.is_finished() {
                        let _ = (&mut writer).await;
                    }
                    reader.drain().await;
                };
                let _ = tokio::time::timeout(Duration::from_millis(shared.limits.flush_ms), flush).await;
                why
            }
            (_, End::Read(error)) => error.to_string(),
            (_, End::Write(why)) => why,
            (None, End::Asked) => "closed".into(),
        };
        writer.abort();
        shared.tell(Input::LinkDown { link: id, why }).await;
    }
}

async fn write_all<S: AsyncWrite>(
    mut stream: WriteHalf<S>,
    mut frames: mpsc::Receiver<Vec<u8>>,
) -> std::io::Result<()> {
    while let Some(frame) = frames.recv().await {
        stream.write_all(&frame).await?;
        stream.flush().await?;
    }
    stream.shutdown().await
}

struct Listener<'a> {
    shared: &'a Shared,
    id: LinkId,
    is_outgoing: bool,
    address: IpAddr,
}

impl Listener<'_> {
    async fn listen<S: AsyncRead>(
        &self,
        reader: &mut FrameReader<ReadHalf<S>>,
        mut first: Option<(tokio::time::Instant, Slot)>,
    ) -> ReadError {
        loop {
            let read = match &first {
                Some((deadline, _)) => reader.next_by(*deadline).await,
                None => reader.next().await,
            };
            let envelope = match read.and_then(|frame| Ok(wire::link::decode(&frame)?)) {
                Ok(envelope) => envelope,
                Err(error) => return error,
            };
            first = None;
            let host_problem = self.host_problem(&envelope).await;
            let envelope = Box::new(envelope);
            self.shared.tell(Input::Received { link: self.id, envelope, host_problem }).await;
        }
    }

    async fn host_problem(&self, envelope: &Envelope) -> Option<String> {
        match &envelope.body {
            Body::Hello(hello) if !self.is_outgoing => {
                policy::host_problem(self.shared, &hello.host, self.address).await
            }
            _ => None,
        }
    }
}
