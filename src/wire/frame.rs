//! Frames of the connections between two instances: a big-endian `u32` length and that many bytes.

use zeroize::Zeroize;

use super::WireError;

/// Largest frame of the link and of a pairing.
pub const LINK_FRAME_MAX_BYTES: usize = 256 * 1024;
/// Largest frame of a bulk connection.
pub const BULK_FRAME_MAX_BYTES: usize = 1024 * 1024;
const HEADER_BYTES: usize = 4;

/// `payload` with its length before it.
///
/// # Errors
/// When it is over `limit`.
pub fn encode(payload: &[u8], limit: usize) -> Result<Vec<u8>, WireError> {
    let too_long = || WireError::TooLong { announced: payload.len(), limit };
    if payload.len() > limit {
        return Err(too_long());
    }
    let length = u32::try_from(payload.len()).map_err(|_| too_long())?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// Takes bytes as they come and gives whole frames. Call [`FrameDecoder::next_frame`] until it gives none after every
/// [`FrameDecoder::push`]: then it never holds more than one frame and one push. Wiped on drop, as it may have held a password.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    limit: usize,
}

impl FrameDecoder {
    /// For frames of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), limit }
    }

    /// Takes bytes over.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, without its length; none: more bytes are needed.
    ///
    /// # Errors
    /// When a length over the limit is announced, as soon as its four bytes are there.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, WireError> {
        let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*header) as usize;
        if length > self.limit {
            return Err(WireError::TooLong { announced: length, limit: self.limit });
        }
        let end = HEADER_BYTES + length;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let frame = self.buffer[HEADER_BYTES..end].to_vec();
        self.buffer.copy_within(end.., 0);
        let left = self.buffer.len() - end;
        self.buffer[left..].zeroize();
        self.buffer.truncate(left);
        Ok(Some(frame))
    }

    /// It holds the beginning of a frame.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        !self.buffer.is_empty()
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

impl Drop for FrameDecoder {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_whatever_the_pieces() {
        let mut bytes = encode(b"one", 10).unwrap();
        bytes.extend(encode(b"", 10).unwrap());
        bytes.extend(encode(b"three", 10).unwrap());
        for piece in 1..bytes.len() {
            let mut decoder = FrameDecoder::new(10);
            let mut seen = Vec::new();
            for part in bytes.chunks(piece) {
                decoder.push(part);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, [b"one".to_vec(), Vec::new(), b"three".to_vec()], "pieces of {piece}");
            assert!(!decoder.is_midway());
        }
    }

    /// architecture wall 5: a frame has a limit, checked before anything is allocated for it.
    #[test]
    fn a_length_over_the_limit_is_refused_by_its_header_alone() {
        let mut decoder = FrameDecoder::new(LINK_FRAME_MAX_BYTES);
        decoder.push(&u32::MAX.to_be_bytes());
        assert_eq!(
            decoder.next_frame(),
            Err(WireError::TooLong { announced: u32::MAX as usize, limit: LINK_FRAME_MAX_BYTES })
        );
        assert!(decoder.capacity() < 1_024);
        assert!(encode(&[0; 11], 10).is_err());
    }
}
