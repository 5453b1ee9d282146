//! Whole frames over a stream.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::wire::WireError;
use crate::wire::frame::{FrameDecoder, encode};

const READ_BYTES: usize = 16 * 1024;

/// Why there is no further frame.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The other end closed.
    Closed,
    /// The connection broke.
    Broken(io::Error),
    /// What came is not what is spoken here.
    Wire(WireError),
    /// Nothing whole came in time.
    TooLate,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the other side"),
            Self::Broken(error) => write!(f, "connection broken: {error}"),
            Self::Wire(error) => write!(f, "the other side sent what is not understood: {error}"),
            Self::TooLate => f.write_str("the other side said nothing in time"),
        }
    }
}

impl From<WireError> for ReadError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

/// Reads frames. Dropping a [`FrameReader::next`] halfway loses nothing.
pub(super) struct FrameReader<R> {
    stream: R,
    decoder: FrameDecoder,
    chunk: Zeroizing<Vec<u8>>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(stream: R, limit: usize) -> Self {
        Self { stream, decoder: FrameDecoder::new(limit), chunk: Zeroizing::new(vec![0; READ_BYTES]) }
    }

    pub(super) async fn next(&mut self) -> Result<Vec<u8>, ReadError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(frame);
            }
            let count = match self.stream.read(&mut self.chunk).await {
                Ok(count) => count,
                // An end without TLS's own farewell, as a killed process leaves it.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                Err(error) => return Err(ReadError::Broken(error)),
            };
            if count == 0 {
                return Err(ReadError::Closed);
            }
            self.decoder.push(&self.chunk[..count]);
        }
    }

    pub(super) async fn next_by(&mut self, deadline: Instant) -> Result<Vec<u8>, ReadError> {
        timeout_at(deadline, self.next()).await.unwrap_or(Err(ReadError::TooLate))
    }

    pub(super) async fn next_within(&mut self, ms: u64) -> Result<Vec<u8>, ReadError> {
        self.next_by(Instant::now() + Duration::from_millis(ms)).await
    }

    /// Reads on and drops it, until the other end closes: closing a socket that still holds unread bytes would reset the
    /// connection and might destroy the last words sent.
    pub(super) async fn drain(&mut self) {
        while matches!(self.stream.read(&mut self.chunk).await, Ok(1..)) {}
    }
}

/// Writes one frame and sends it off, within `ms`.
pub(super) async fn write_frame<W: AsyncWrite + Unpin>(
    stream: &mut W,
    payload: &[u8],
    limit: usize,
    ms: u64,
) -> io::Result<()> {
    let frame = Zeroizing::new(encode(payload, limit).map_err(io::Error::other)?);
    let write = async {
        stream.write_all(&frame).await?;
        stream.flush().await
    };
    let too_late = || io::Error::new(io::ErrorKind::TimedOut, "the other side does not read");
    tokio::time::timeout(Duration::from_millis(ms), write).await.unwrap_or_else(|_| Err(too_late()))
}
