//! The serving side of a bulk connection: manifests, contents and verifications in bounded chunks.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::framed::{FrameReader, write_frame};
use super::listen::Incoming;
use super::{BulkServer, Shared};
use crate::engine::base::{Digest, Fingerprint};
use crate::store::Packed;
use crate::wire::bulk::{CHUNK_BYTES, Piece, Reply, Request, change_pieces, decode_request, encode_reply, pieces};
use crate::wire::frame::{BULK_FRAME_MAX_BYTES, LINK_FRAME_MAX_BYTES};

/// Between two requests.
const IDLE_MS: u64 = 60_000;
/// While a disk is read, as often as this a sign of life is given.
const WORKING_MS: u64 = 2_000;

/// Contents read from the store at once.
const READ_BYTES: usize = 1024 * 1024;

/// Begins the answer about a content that is not kept.
pub const NO_CONTENT: &str = "there is no content";

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
            Request::Branches => match self.blocking(|bulk| bulk.branches()).await? {
                Ok(branches) if branches.is_empty() => self.say(Reply::BranchChunk { branch: None, last: true }).await,
                Ok(branches) => {
                    self.chunks(branches, |branch, last| Reply::BranchChunk { branch: Some(branch), last }).await
                }
                Err(why) => self.fail(why).await,
            },
            Request::BranchChanges { name } => match self.blocking(move |bulk| bulk.branch_changes(&name)).await? {
                Ok(changes) => {
                    self.chunks(change_pieces(changes), |changes, last| Reply::ChangesChunk { changes, last }).await
                }
                Err(why) => self.fail(why).await,
            },
            Request::Contents { digests, packed: true, from } => self.parcels(digests, from).await,
            Request::Contents { digests, .. } => {
                for digest in digests {
                    match self.blocking(move |bulk| Ok(bulk.content(&digest))).await? {
                        Ok(Some(content)) => self.content(digest, &content).await?,
                        Ok(None) => return self.fail(format!("{NO_CONTENT} {digest} here")).await,
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

    async fn chunks<T>(
        &mut self,
        pieces: impl IntoIterator<Item = T>,
        reply: impl Fn(T, bool) -> Reply,
    ) -> Result<(), Gone> {
        let mut pieces = pieces.into_iter().peekable();
        while let Some(piece) = pieces.next() {
            self.say(reply(piece, pieces.peek().is_none())).await?;
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

    /// Contents as they are kept, the first one from the byte `from` on.
    async fn parcels(&mut self, digests: Vec<Digest>, mut from: u64) -> Result<(), Gone> {
        let mut rest = digests;
        while !rest.is_empty() {
            let read = move |bulk: &dyn BulkServer| Ok((read_some(bulk, &rest), rest));
            let (contents, all) = match self.blocking(read).await? {
                Ok(read) => read,
                Err(why) => return self.fail(why).await,
            };
            let contents = match contents {
                Ok(contents) => contents,
                Err(why) => return self.fail(why).await,
            };
            rest = all[contents.len()..].to_vec();
            for pieces in parcels(contents, &mut from) {
                self.say(Reply::Parcel { pieces }).await?;
            }
        }
        Ok(())
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

/// The first of `digests`, as many as are read at once; at least one.
fn read_some(bulk: &dyn BulkServer, digests: &[Digest]) -> Result<Vec<(Digest, Packed)>, String> {
    let (mut contents, mut bytes) = (Vec::new(), 0);
    for digest in digests {
        let content = bulk.packed(digest)?.ok_or_else(|| format!("{NO_CONTENT} {digest} here"))?;
        bytes += content.bytes.len();
        contents.push((*digest, content));
        if bytes >= READ_BYTES {
            break;
        }
    }
    Ok(contents)
}

/// Contents as pieces, as many to a chunk as fit. `from`: where the first content begins; 0 afterwards.
fn parcels(contents: Vec<(Digest, Packed)>, from: &mut u64) -> Vec<Vec<Piece>> {
    let mut parcels = vec![Vec::new()];
    let mut room = CHUNK_BYTES;
    for (digest, content) in contents {
        let Packed { encoding, size, bytes } = content;
        let total = bytes.len();
        let mut offset = usize::try_from(std::mem::take(from)).unwrap_or(usize::MAX).min(total);
        loop {
            let end = total.min(offset + room);
            let piece = bytes[offset..end].to_vec();
            room -= piece.len();
            if let Some(parcel) = parcels.last_mut() {
                parcel.push(Piece { digest, encoding, size, total: total as u64, offset: offset as u64, bytes: piece });
            }
            offset = end;
            if room == 0 {
                parcels.push(Vec::new());
                room = CHUNK_BYTES;
            }
            if offset == total {
                break;
            }
        }
    }
    parcels.retain(|parcel| !parcel.is_empty());
    parcels
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.5: from where a break left off, and not from the beginning; bounded chunks
    #[test]
    fn parcels_are_full_and_begin_where_they_should() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 2).map(|at| (at % 251) as u8).collect();
        let plain = |bytes: &[u8]| Packed { encoding: Packed::PLAIN, size: bytes.len() as u64, bytes: bytes.to_vec() };
        let contents =
            || vec![(Digest([1; 32]), plain(&bytes)), (Digest([2; 32]), plain(&[])), (Digest([3; 32]), plain(b"z"))];
        let (mut none, mut half) = (0, CHUNK_BYTES as u64);
        let (whole, rest) = (parcels(contents(), &mut none), parcels(contents(), &mut half));
        let size = |parcels: &[Vec<Piece>]| parcels.iter().flatten().map(|piece| piece.bytes.len()).sum::<usize>();
        assert_eq!((size(&whole), size(&rest)), (CHUNK_BYTES * 2 + 1, CHUNK_BYTES + 1));
        assert!(whole.iter().all(|parcel| size(std::slice::from_ref(parcel)) <= CHUNK_BYTES));
        let first = &rest[0][0];
        assert_eq!((first.offset, first.bytes.as_slice()), (CHUNK_BYTES as u64, &bytes[CHUNK_BYTES..]));
        assert_eq!(half, 0, "only the first content");
        let digests: Vec<u8> = rest.iter().flatten().map(|piece| piece.digest.0[0]).collect();
        assert_eq!(digests, [1, 2, 3]);
    }
}
