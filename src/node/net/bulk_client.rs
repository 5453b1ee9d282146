//! The asking side of a bulk connection. Every size is checked before anything is allocated for it.

use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Net;
use super::connect::{Goal, connect};
use super::framed::{FrameReader, write_frame};
use super::tls::Pin;
use crate::engine::base::{Digest, Fingerprint, RevisionId};
use crate::wire::bulk::{self, DIGESTS_MAX, ENTRIES_MAX, Entry, Reply, Request, decode_reply, encode_request};
use crate::wire::frame::{BULK_FRAME_MAX_BYTES, LINK_FRAME_MAX_BYTES};
use crate::wire::link::NAME_MAX_CHARS;

/// Signs of life without anything else in one answer: at one every two seconds, an hour.
const WORKING_MAX: u32 = 1_800;
/// Most memory taken for a content before its bytes have come.
const FIRST_ALLOCATION_BYTES: u64 = 1024 * 1024;

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

    /// Every entry of `revision`.
    ///
    /// # Errors
    /// What the other side said, or how the connection failed.
    pub async fn manifest(&mut self, revision: RevisionId) -> Result<Vec<Entry>, String> {
        self.ask(&Request::Manifest { revision }).await?;
        let mut all = Vec::new();
        loop {
            match self.hear().await? {
                Reply::ManifestChunk { entries, last } => {
                    take(&mut all, entries)?;
                    if last {
                        return Ok(all);
                    }
                }
                other => return Err(unexpected(other)),
            }
        }
    }

    /// Has the other side read every file again: its digest and entries.
    ///
    /// # Errors
    /// As for [`BulkClient::manifest`].
    pub async fn verify(&mut self) -> Result<(Digest, Vec<Entry>), String> {
        self.ask(&Request::Verify).await?;
        let mut all = Vec::new();
        loop {
            match self.hear().await? {
                Reply::VerifyChunk { root, entries, last } => {
                    take(&mut all, entries)?;
                    if last {
                        return Ok((root, all));
                    }
                }
                other => return Err(unexpected(other)),
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

    /// Fetches each content and hands it to `sink`, in order. That its bytes have that digest is for `sink` to check, which
    /// knows how digests are made; its error ends the transfer.
    ///
    /// # Errors
    /// As for [`BulkClient::manifest`], and those of `sink`.
    pub async fn contents(
        &mut self,
        digests: &[Digest],
        mut sink: impl FnMut(Digest, Vec<u8>) -> Result<(), String>,
    ) -> Result<(), String> {
        for batch in digests.chunks(DIGESTS_MAX) {
            self.ask(&Request::Contents { digests: batch.to_vec() }).await?;
            for digest in batch {
                let content = self.content(*digest).await?;
                sink(*digest, content)?;
            }
        }
        Ok(())
    }

    async fn content(&mut self, wanted: Digest) -> Result<Vec<u8>, String> {
        let mut content = Vec::new();
        let mut announced = None;
        loop {
            let Reply::ContentChunk { digest, offset, total, bytes, last } = self.hear_content().await? else {
                return Err("the other side answered something else".into());
            };
            if total > self.file_limit {
                return Err(format!("a content of {total} bytes is over the limit of {} for a file", self.file_limit));
            }
            if announced.is_none() {
                let first = usize::try_from(total.min(FIRST_ALLOCATION_BYTES)).unwrap_or_default();
                content.reserve_exact(first);
            }
            let end = content.len() as u64 + bytes.len() as u64;
            let fits = digest == wanted && offset == content.len() as u64 && *announced.get_or_insert(total) == total;
            // Without an end or a byte it would go on for ever.
            if !fits || end > total || last != (end == total) || (bytes.is_empty() && !last) {
                return Err("the other side sent pieces of a content that do not fit together".into());
            }
            content.extend_from_slice(&bytes);
            if last {
                return Ok(content);
            }
        }
    }

    async fn hear_content(&mut self) -> Result<Reply, String> {
        match self.hear().await? {
            chunk @ Reply::ContentChunk { .. } => Ok(chunk),
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

fn take(all: &mut Vec<Entry>, entries: Vec<Entry>) -> Result<(), String> {
    if all.len() + entries.len() > ENTRIES_MAX {
        return Err(format!("a tree of more than {ENTRIES_MAX} entries"));
    }
    all.extend(entries);
    Ok(())
}

fn unexpected(reply: Reply) -> String {
    match reply {
        Reply::Failed { why } => why,
        _ => "the other side answered something else".into(),
    }
}
