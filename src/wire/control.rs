//! Frames of the control socket: a big-endian `u32` length and that many bytes of JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::order::CONTROL_FRAME_MAX_BYTES;

/// `frame` with its length before it.
///
/// # Errors
/// When it is over [`CONTROL_FRAME_MAX_BYTES`] or cannot be written as JSON.
pub fn encode<T: Serialize>(frame: &T) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame).map_err(|error| error.to_string())?;
    let length = bytes.len() - 4;
    if length > CONTROL_FRAME_MAX_BYTES {
        return Err(format!("frame of {length} bytes is over the limit of {CONTROL_FRAME_MAX_BYTES}"));
    }
    let header = u32::try_from(length).map_err(|error| error.to_string())?;
    bytes[..4].copy_from_slice(&header.to_be_bytes());
    Ok(bytes)
}

/// The length that four header bytes announce.
///
/// # Errors
/// When it is over the limit: nothing may be allocated for it.
pub fn announced_length(header: [u8; 4]) -> Result<usize, String> {
    let length = u32::from_be_bytes(header) as usize;
    if length > CONTROL_FRAME_MAX_BYTES {
        return Err(format!("announced {length} bytes, the limit is {CONTROL_FRAME_MAX_BYTES}"));
    }
    Ok(length)
}

/// The frame in `bytes` (without length).
///
/// # Errors
/// When it is no JSON or not this frame.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("not a control frame: {error}"))
}

/// Blocking: writes one frame.
///
/// # Errors
/// Those of the writer.
pub fn write<T: Serialize>(writer: &mut impl std::io::Write, frame: &T) -> std::io::Result<()> {
    let bytes = encode(frame).map_err(std::io::Error::other)?;
    writer.write_all(&bytes)?;
    writer.flush()
}

/// Blocking: reads one frame.
///
/// # Errors
/// Those of the reader, or a frame over the limit or of a wrong form.
pub fn read<T: DeserializeOwned>(reader: &mut impl std::io::Read) -> std::io::Result<T> {
    let mut header = [0; 4];
    reader.read_exact(&mut header)?;
    let mut bytes = vec![0; announced_length(header).map_err(std::io::Error::other)?];
    reader.read_exact(&mut bytes)?;
    decode(&bytes).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::order::{ClientFrame, Order};

    #[test]
    fn a_frame_comes_back_as_it_was() {
        let frame = ClientFrame::Order { id: 7, order: Order::Maintenance { for_ms: 1 } };
        let bytes = encode(&frame).unwrap();
        assert_eq!(read::<ClientFrame>(&mut bytes.as_slice()).unwrap(), frame);
        assert!(announced_length([255; 4]).is_err());
    }
}
