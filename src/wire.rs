//! Bytes to messages and back: framing, limits, versions. Pure.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

pub mod bulk;
pub mod control;
pub mod frame;
pub mod link;
pub mod pair;

/// What is wrong with bytes from outside. None of these is worth a retry: the connection that carried them ends.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// A length over the limit; nothing was allocated for it.
    #[error("a frame of {announced} bytes was announced, the limit is {limit}")]
    TooLong {
        /// What the header says.
        announced: usize,
        /// What is allowed here.
        limit: usize,
    },
    /// The bytes are not the message expected here.
    #[error("not understood: {0}")]
    Nonsense(String),
    /// A text or list in it is longer than any honest sender makes it.
    #[error("{what} is longer than {limit}")]
    OverLimit {
        /// Which field.
        what: &'static str,
        /// In characters or entries.
        limit: usize,
    },
}

/// `message` as a self-describing map, so that fields unknown to an older reader are skipped.
pub(crate) fn to_bytes<T: Serialize>(message: &T) -> Result<Vec<u8>, WireError> {
    rmp_serde::to_vec_named(message).map_err(|error| WireError::Nonsense(error.to_string()))
}

/// Values inside each other in one message, those of unknown fields included. Each takes some of the stack and, where it
/// announces a length, up to 1 MiB before its content is there.
const DEPTH_MAX: usize = 16;

/// The opposite of [`to_bytes`]; unknown fields are skipped.
pub(crate) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(DEPTH_MAX);
    T::deserialize(&mut reader).map_err(|error| WireError::Nonsense(error.to_string()))
}

/// A walk over every text and list of a message with its limit: the same table cuts what is sent and checks what came.
pub(crate) trait Limited {
    /// Calls `visit` for each.
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>));
}

/// One limited part of a message.
pub(crate) enum Part<'a> {
    /// A text and its limit in characters.
    Text(&'static str, &'a mut String, usize),
    /// The length of a list or of bytes, its limit, and a way to cut it.
    List(&'static str, usize, usize, &'a mut dyn FnMut(usize)),
}

/// Cuts everything over its limit: what this program sends is never refused for its length.
pub(crate) fn cut<T: Limited>(message: &mut T) {
    message.limits(&mut |part| match part {
        Part::Text(_, text, limit) => {
            if let Some((at, _)) = text.char_indices().nth(limit) {
                text.truncate(at);
            }
        }
        Part::List(_, length, limit, cut) => {
            if length > limit {
                cut(limit);
            }
        }
    });
}

/// Finds the first part over its limit.
pub(crate) fn check<T: Limited>(message: &mut T) -> Result<(), WireError> {
    let mut found = None;
    message.limits(&mut |part| {
        let (what, is_over, limit) = match part {
            Part::Text(what, text, limit) => (what, text.chars().nth(limit).is_some(), limit),
            Part::List(what, length, limit, _) => (what, length > limit, limit),
        };
        if is_over && found.is_none() {
            found = Some(WireError::OverLimit { what, limit });
        }
    });
    found.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct One {
        a: u8,
    }

    /// spec 3.1: what another machine nests, also where nobody looks at it, takes no more of the stack than is there
    #[test]
    fn a_message_that_is_too_deep_is_refused() {
        let nested = |depth: usize| {
            let unknown = [vec![0x91; depth], vec![0xc0]].concat();
            [&[0x82, 0xa1, b'a', 1, 0xa1, b'b'][..], &unknown].concat()
        };
        assert_eq!(from_bytes(&nested(10)), Ok(One { a: 1 }));
        for depth in [DEPTH_MAX + 1, 5_000, 200_000] {
            let refused = from_bytes::<One>(&nested(depth)).unwrap_err();
            assert!(refused.to_string().contains("depth"), "{refused}");
        }
    }
}
