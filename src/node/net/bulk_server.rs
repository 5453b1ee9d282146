//! The serving side of a bulk connection: manifests, contents and verifications in bounded chunks.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::framed::{FrameReader, write_frame};
use super::listen::Incoming;
use super::{BulkServer, Shared};
use crate::engine::base::{Digest, Fingerprint};
use crate::wire::bulk::{CHUNK_BYTES, Reply, Request, decode_request, encode_reply, pieces};
use crate::wire::frame::{BULK_FRAME_MAX_BYTES, LINK_FRAME_MAX_BYTES};

/// Between two requests.
const IDLE_MS: u64 = 60_000;
/// While a disk is read, as often as this a sign of life is given.
const WORKING_MS: u64 = 2_000;

/// The other end is gone, or does not read.
struct Gone;

struct Server<S> {
    shared: Arc<Shared>,
    reader: FrameReader<ReadHalf<S>>,
    writer: WriteHalf<S>,
    fingerprint: Fingerprint,
}

/// A connection came in and asked for bulk data.
pub(super) async fn serve(shared: Arc<Shared>, incoming: Incoming) {
    let Incoming { stream, fingerprint, address, deadline, slot, .. } = incoming;
    let Ok(_place) = shared.bulk_slots.clone().try_acquire_owned() else { return };
    let (read, writer) = tokio::io::split(stream);
    let reader = FrameReader::new(read, LINK_FRAME_MAX_BYTES);
    let mut server = Server { shared: shared.clone(), reader, writer, fingerprint };
    let Ok(frame) = server.reader.next_by(deadline).await else { return };
    drop(slot);
    if !server.is_peer() {
        let text = format!("configuration data refused to {address}: its certificate {fingerprint} is not the peer's");
        shared.note_seldom("bulk", text).await;
        server.fail("this certificate is not that of the peer".into()).await.ok();
    } else if server.run(frame).await.is_err() {
        tracing::debug!(%address, "bulk connection ended");
    }
    server.writer.shutdown().await.ok();
}

impl<S: AsyncRead + AsyncWrite> Server<S> {
    /// Asked at each request: the peer may be forgotten meanwhile.
    fn is_peer(&self) -> bool {
        self.shared.state().peer == Some(self.fingerprint)
    }

    async fn run(&mut self, mut frame: Vec<u8>) -> Result<(), Gone> {
        while self.is_peer() {
            match decode_request(&frame) {
                Ok(request) => self.answer(request).await?,
                Err(error) => return self.fail(error.to_string()).await,
            }
            frame = self.reader.next_within(IDLE_MS).await.map_err(|_| Gone)?;
        }
        Ok(())
    }

    async fn answer(&mut self, request: Request) -> Result<(), Gone> {
        match request {
            Request::Manifest { revision } => match self.blocking(move |bulk| bulk.manifest(revision)).await? {
                Ok(entries) => {
                    self.chunks(pieces(entries), |entries, last| Reply::ManifestChunk { entries, last }).await
                }
                Err(why) => self.fail(why).await,
            },
            Request::Verify => match self.blocking(|bulk| bulk.verify()).await? {
                Ok((root, entries)) => {
                    self.chunks(pieces(entries), |entries, last| Reply::VerifyChunk { root, entries, last }).await
                }
                Err(why) => self.fail(why).await,
            },
            Request::Forget { path, by } => match self.blocking(move |bulk| bulk.forget(&path, &by)).await? {
                Ok(contents) => self.say(Reply::Forgotten { contents }).await,
                Err(why) => self.fail(why).await,
            },
            Request::Contents { digests } => {
                for digest in digests {
                    match self.blocking(move |bulk| Ok(bulk.content(&digest))).await? {
                        Ok(Some(content)) => self.content(digest, &content).await?,
                        Ok(None) => return self.fail(format!("there is no content {digest} here")).await,
                        Err(why) => return self.fail(why).await,
                    }
                }
                Ok(())
            }
        }
    }

    /// Runs `work` where it may block, with a sign of life to the other end every now and then.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&dyn BulkServer) -> Result<T, String> + Send + 'static,
    ) -> Result<Result<T, String>, Gone> {
        let bulk = self.shared.bulk.clone();
        let mut task = tokio::task::spawn_blocking(move || work(bulk.as_ref()));
        loop {
            let wait = std::time::Duration::from_millis(WORKING_MS);
            match tokio::time::timeout(wait, &mut task).await {
                Ok(done) => return Ok(done.unwrap_or_else(|error| Err(format!("the work failed: {error}")))),
                Err(_) => self.say(Reply::Working).await?,
            }
        }
    }

    async fn chunks<T>(&mut self, pieces: Vec<Vec<T>>, reply: impl Fn(Vec<T>, bool) -> Reply) -> Result<(), Gone> {
        let count = pieces.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            self.say(reply(piece, index + 1 == count)).await?;
        }
        Ok(())
    }

    async fn content(&mut self, digest: Digest, content: &[u8]) -> Result<(), Gone> {
        let total = content.len() as u64;
        let mut offset = 0;
        loop {
            let end = content.len().min(offset + CHUNK_BYTES);
            let (bytes, last) = (content[offset..end].to_vec(), end == content.len());
            self.say(Reply::ContentChunk { digest, offset: offset as u64, total, bytes, last }).await?;
            if last {
                return Ok(());
            }
            offset = end;
        }
    }

    async fn fail(&mut self, why: String) -> Result<(), Gone> {
        self.say(Reply::Failed { why }).await
    }

    async fn say(&mut self, reply: Reply) -> Result<(), Gone> {
        let payload = encode_reply(reply).map_err(|_| Gone)?;
        let limit_ms = self.shared.limits.bulk_idle_ms;
        write_frame(&mut self.writer, &payload, BULK_FRAME_MAX_BYTES, limit_ms).await.map_err(|_| Gone)
    }
}
