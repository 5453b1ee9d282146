//! The asking side of a bulk connection. Every size is checked before anything is allocated for it.

use std::collections::VecDeque;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Net;
use super::connect::{Goal, connect};
use super::framed::{FrameReader, write_frame};
use super::tls::Pin;
use crate::engine::base::{Digest, Fingerprint, RevisionId};
use crate::engine::message::Branch;
use crate::store::Packed;
use crate::wire::bulk::{
    self, ChangedEntry, DIGESTS_MAX, ENTRIES_MAX, Entry, Piece, Reply, Request, decode_reply, encode_request,
};
use crate::wire::frame::{BULK_FRAME_MAX_BYTES, LINK_FRAME_MAX_BYTES};
use crate::wire::link::NAME_MAX_CHARS;

/// Signs of life without anything else in one answer: at one every two seconds, an hour.
const WORKING_MAX: u32 = 1_800;
/// Branches of one answer; an instance keeps fewer.
const BRANCHES_MAX: usize = 2_000;
/// Requests for contents under way at once, so that no round trip is waited for between two of them.
const REQUESTS_AHEAD: usize = 4;
const MISFIT: &str = "the other side sent pieces of a content that do not fit together";
/// Most memory taken for a content before its bytes have come.
const FIRST_ALLOCATION_BYTES: u64 = 1024 * 1024;

/// What has come of a content.
pub struct Partial {
    digest: Digest,
    /// Packed bytes in all.
    total: u64,
    packed: Packed,
}

impl Partial {
    /// The first `bytes` of a packed content of `total`.
    #[cfg(test)]
    pub(super) fn of(digest: Digest, total: u64, packed: Packed) -> Self {
        Self { digest, total, packed }
    }

    /// Packed bytes that are here.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.packed.bytes.len() as u64
    }
}

/// One connection for what is too large for the link. After an error it is of no use any more.
pub struct BulkClient {
    reader: FrameReader<ReadHalf<TlsStream<TcpStream>>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
    idle_ms: u64,
    file_limit: u64,
}

impl BulkClient {
    /// Connects to the first of `hosts` that holds the certificate `fingerprint`. A content over `file_limit` bytes is refused.
    ///
    /// # Errors
    /// Why nobody could be reached, in a sentence.
    pub async fn connect(
        net: &Net,
        hosts: &[String],
        port: u16,
        fingerprint: Fingerprint,
        timeout_ms: u64,
        file_limit: u64,
    ) -> Result<Self, String> {
        let goal = Goal { hosts, port, pin: Pin::Only(fingerprint), protocol: bulk::ALPN, timeout_ms };
        let connected = connect(&net.shared, &goal).await.map_err(|not| not.why)?;
        let (read, writer) = tokio::io::split(connected.stream);
        let reader = FrameReader::new(read, BULK_FRAME_MAX_BYTES);
        Ok(Self { reader, writer, idle_ms: net.shared.limits.bulk_idle_ms, file_limit })
    }

    /// Every entry of `revision`, handed to `sink` as they come.
    ///
    /// # Errors
    /// What the other side said, or how the connection failed; and those of `sink`.
    pub async fn manifest(
        &mut self,
        revision: RevisionId,
        sink: impl FnMut(Vec<Entry>) -> Result<(), String>,
    ) -> Result<(), String> {
        self.ask(&Request::Manifest { revision }).await?;
        self.hear_entries(false, sink).await.map(drop)
    }

    /// Has the other side read every file again: its digest; `sink` gets the entries as they come.
    ///
    /// # Errors
    /// As for [`BulkClient::manifest`].
    pub async fn verify(&mut self, sink: impl FnMut(Vec<Entry>) -> Result<(), String>) -> Result<Digest, String> {
        self.ask(&Request::Verify).await?;
        self.hear_entries(true, sink).await
    }

    /// All of a list, with the digest that comes with that of a verification.
    async fn hear_entries(
        &mut self,
        is_verified: bool,
        mut sink: impl FnMut(Vec<Entry>) -> Result<(), String>,
    ) -> Result<Digest, String> {
        let mut count = 0;
        loop {
            let (root, entries, last) = match self.hear().await? {
                Reply::ManifestChunk { entries, last } if !is_verified => (Digest::ZERO, entries, last),
                Reply::VerifyChunk { root, entries, last } if is_verified => (root, entries, last),
                other => return Err(unexpected(other)),
            };
            count += entries.len();
            if count > ENTRIES_MAX {
                return Err(too_many());
            }
            sink(entries)?;
            if last {
                return Ok(root);
            }
        }
    }

    /// Has the other side remove the contents of a path from its history; how many there were.
    ///
    /// # Errors
    /// As for [`BulkClient::manifest`].
    pub async fn forget(&mut self, path: &[u8], by: &str) -> Result<u64, String> {
        self.ask(&Request::Forget { path: path.to_vec(), by: by.chars().take(NAME_MAX_CHARS).collect() }).await?;
        match self.hear().await? {
            Reply::Forgotten { contents } => Ok(contents),
            other => Err(unexpected(other)),
        }
    }

    /// Every branch and drift that the other side keeps.
    ///
    /// # Errors
    /// As for [`BulkClient::manifest`].
    pub async fn branches(&mut self) -> Result<Vec<Branch>, String> {
        self.ask(&Request::Branches).await?;
        let mut all = Vec::new();
        loop {
            match self.hear().await? {
                Reply::BranchChunk { branch, last } => {
                    all.extend(branch);
                    if last || all.len() >= BRANCHES_MAX {
                        return Ok(all);
                    }
                }
                other => return Err(unexpected(other)),
            }
        }
    }

    /// What a branch of the other side changed.
    ///
    /// # Errors
    /// As for [`BulkClient::manifest`].
    pub async fn branch_changes(&mut self, name: &str) -> Result<Vec<ChangedEntry>, String> {
        self.ask(&Request::BranchChanges { name: name.to_owned() }).await?;
        let mut all = Vec::new();
        loop {
            match self.hear().await? {
                Reply::ChangesChunk { changes, last } => {
                    if all.len() + changes.len() > ENTRIES_MAX {
                        return Err(format!("a branch with more than {ENTRIES_MAX} changes"));
                    }
                    all.extend(changes);
                    if last {
                        return Ok(all);
                    }
                }
                other => return Err(unexpected(other)),
            }
        }
    }

    /// Fetches each content and hands it to `sink`, in order, packed. That its bytes have that digest is for `sink` to check,
    /// which knows how digests are made; its error ends the transfer. What has come of a content when the connection breaks
    /// stays in `partial`, and need not come again if that content is the first one asked for next.
    ///
    /// # Errors
    /// As for [`BulkClient::manifest`], and those of `sink`.
    pub async fn contents(
        &mut self,
        digests: &[Digest],
        partial: &mut Option<Partial>,
        mut sink: impl FnMut(Digest, Packed) -> Result<(), String>,
    ) -> Result<(), String> {
        let known = partial.take_if(|partial| digests.first() == Some(&partial.digest));
        *partial = known;
        let mut asked = digests.chunks(DIGESTS_MAX);
        for batch in asked.by_ref().take(REQUESTS_AHEAD) {
            self.ask_contents(batch, partial.as_ref()).await?;
        }
        for batch in digests.chunks(DIGESTS_MAX) {
            let mut pieces = VecDeque::new();
            for digest in batch {
                loop {
                    let Some(piece) = pieces.pop_front() else {
                        pieces = self.hear_pieces().await?;
                        continue;
                    };
                    if join(partial, *digest, piece, self.file_limit)? {
                        break;
                    }
                }
                let whole = partial.take().ok_or("a content without an end")?;
                sink(*digest, whole.packed)?;
            }
            if !pieces.is_empty() {
                return Err(MISFIT.into());
            }
            if let Some(next) = asked.next() {
                self.ask_contents(next, None).await?;
            }
        }
        Ok(())
    }

    async fn ask_contents(&mut self, batch: &[Digest], partial: Option<&Partial>) -> Result<(), String> {
        let from = partial.filter(|partial| batch.first() == Some(&partial.digest));
        let from = from.map_or(0, |partial| partial.packed.bytes.len() as u64);
        self.ask(&Request::Contents { digests: batch.to_vec(), packed: true, from }).await
    }

    async fn hear_pieces(&mut self) -> Result<VecDeque<Piece>, String> {
        match self.hear().await? {
            Reply::Parcel { pieces } if !pieces.is_empty() => Ok(pieces.into()),
            // From an instance that does not know parcels.
            Reply::ContentChunk { digest, offset, total, bytes, .. } => {
                Ok([Piece { digest, encoding: Packed::PLAIN, size: total, total, offset, bytes }].into())
            }
            other => Err(unexpected(other)),
        }
    }

    async fn ask(&mut self, request: &Request) -> Result<(), String> {
        let payload = encode_request(request).map_err(|error| error.to_string())?;
        let written = write_frame(&mut self.writer, &payload, LINK_FRAME_MAX_BYTES, self.idle_ms).await;
        written.map_err(|error| format!("connection broken: {error}"))
    }

    async fn hear(&mut self) -> Result<Reply, String> {
        for _ in 0..WORKING_MAX {
            let frame = self.reader.next_within(self.idle_ms).await.map_err(|error| error.to_string())?;
            match decode_reply(&frame).map_err(|error| error.to_string())? {
                Reply::Working => {}
                reply => return Ok(reply),
            }
        }
        Err("the other side works on it without an end".into())
    }
}

/// Adds a piece to the content under way; true: it is whole.
fn join(partial: &mut Option<Partial>, wanted: Digest, piece: Piece, file_limit: u64) -> Result<bool, String> {
    let Piece { digest, encoding, size, total, offset, bytes } = piece;
    if size > file_limit {
        return Err(format!("a content of {size} bytes is over the limit of {file_limit} for a file"));
    }
    let known = partial.take();
    let known = known.unwrap_or_else(|| {
        let first = usize::try_from(total.min(FIRST_ALLOCATION_BYTES)).unwrap_or_default();
        Partial { digest, total, packed: Packed { encoding, size, bytes: Vec::with_capacity(first) } }
    });
    let Partial { packed, .. } = &known;
    let is_same = (known.digest, packed.encoding, packed.size, known.total) == (digest, encoding, size, total);
    let end = offset + bytes.len() as u64;
    // A packed content is never larger than the content; and without a byte or an end it would go on for ever.
    let fits = total <= size && end <= total && (!bytes.is_empty() || total == 0);
    if digest != wanted || !is_same || offset != packed.bytes.len() as u64 || !fits {
        return Err(MISFIT.into());
    }
    let whole = partial.insert(known);
    whole.packed.bytes.extend_from_slice(&bytes);
    Ok(end == total)
}

fn too_many() -> String {
    format!("a tree of more than {ENTRIES_MAX} entries")
}

fn unexpected(reply: Reply) -> String {
    match reply {
        Reply::Failed { why } => why,
        _ => "the other side answered something else".into(),
    }
}
