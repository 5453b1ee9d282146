//! Messages of a bulk connection: what is too large for the link travels here, in bounded chunks that never delay a check.

use std::iter::Peekable;

use serde::{Deserialize, Serialize};

use super::link::{NAME_MAX_CHARS, WHY_MAX_CHARS};
use super::{Limited, Part, WireError, check, cut, from_bytes, to_bytes};
use crate::engine::base::{Digest, RevisionId};
use crate::engine::message::Branch;
use crate::engine::order::FileKind;

/// Protocol name of a bulk connection in the TLS handshake.
pub const ALPN: &[u8] = b"standin-bulk/1";
/// Most digests in one request.
pub const DIGESTS_MAX: usize = 256;
/// Bytes of a content in one chunk.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Most entries in one chunk; their paths and names add up to [`CHUNK_BYTES`] at most.
pub const CHUNK_ENTRIES_MAX: usize = 1_024;
/// Most entries of one manifest.
pub const ENTRIES_MAX: usize = 200_000;
/// Longest path (`PATH_MAX` of Linux).
pub const PATH_MAX_BYTES: usize = 4_096;
/// Longest name of an owner or a group, characters.
pub const OWNER_MAX_CHARS: usize = 256;

/// One path of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative, as bytes: a path need not be UTF-8.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Of the content.
    pub digest: Digest,
    /// Name of its owner; empty: none is mirrored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Name of its group; empty as there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
}

impl Entry {
    /// Bytes of what can be long in it.
    fn weight(&self) -> usize {
        self.path.len() + self.owner.len() + self.group.len()
    }

    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        visit(Part::List("path", self.path.len(), PATH_MAX_BYTES, &mut |_| {}));
        visit(Part::Text("owner", &mut self.owner, OWNER_MAX_CHARS));
        visit(Part::Text("group", &mut self.group, OWNER_MAX_CHARS));
    }
}

/// One path that a branch changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedEntry {
    /// Before; none: it was not there.
    pub old: Option<Entry>,
    /// After; none: it is gone.
    pub new: Option<Entry>,
}

impl ChangedEntry {
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.old.iter().chain(&self.new)
    }
}

/// From whoever dialled. One at a time: the next one after the last chunk of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Every entry of a revision.
    Manifest {
        /// Which.
        revision: RevisionId,
    },
    /// These contents, in this order; at most [`DIGESTS_MAX`].
    Contents {
        /// Of each.
        digests: Vec<Digest>,
        /// As they are kept, many to a chunk: [`Reply::Parcel`]. An instance that does not know it sends
        /// [`Reply::ContentChunk`].
        #[serde(default)]
        packed: bool,
        /// The first of them from this byte of its packed bytes on: what came before is here already.
        #[serde(default)]
        from: u64,
    },
    /// Read every file again and say what is there (spec 5.7).
    Verify,
    /// Remove the contents of a path, and of all inside it, from the history; those of the newest revision stay (spec 5.6).
    Forget {
        /// Which; at most [`PATH_MAX_BYTES`].
        #[serde(with = "serde_bytes")]
        path: Vec<u8>,
        /// The operator who ordered it.
        by: String,
    },
    /// Every branch and drift that is kept there (spec 4.5, 7.6).
    Branches,
    /// What one of them changed.
    BranchChanges {
        /// Its name.
        name: String,
    },
}

/// A part of a packed content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Of which content.
    pub digest: Digest,
    /// How it is packed.
    pub encoding: u8,
    /// Bytes of the content itself.
    pub size: u64,
    /// Packed bytes in all.
    pub total: u64,
    /// Where `bytes` begin among them.
    pub offset: u64,
    /// Some of them.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// To a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Manifest`].
    ManifestChunk {
        /// The next ones: each directory before what is in it, what is in one in order of names.
        entries: Vec<Entry>,
        /// No more follow.
        last: bool,
    },
    /// To [`Request::Contents`].
    ContentChunk {
        /// Of which content.
        digest: Digest,
        /// Where `bytes` begin.
        offset: u64,
        /// Bytes of the whole content.
        total: u64,
        /// At most [`CHUNK_BYTES`].
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// No more of this content follow.
        last: bool,
    },
    /// To [`Request::Contents`] that wants them packed: the next pieces of the contents asked for, one after the other.
    Parcel {
        /// At most [`DIGESTS_MAX`]; their bytes add up to [`CHUNK_BYTES`] at most.
        pieces: Vec<Piece>,
    },
    /// To [`Request::Verify`].
    VerifyChunk {
        /// Digest of what is on the disk.
        root: Digest,
        /// The next ones: each directory before what is in it, what is in one in order of names.
        entries: Vec<Entry>,
        /// No more follow.
        last: bool,
    },
    /// To [`Request::Forget`]: they are gone, also from the disk.
    Forgotten {
        /// How many contents.
        contents: u64,
    },
    /// To [`Request::Branches`], one at a time.
    BranchChunk {
        /// None: there is none at all.
        branch: Option<Branch>,
        /// No more follow.
        last: bool,
    },
    /// To [`Request::BranchChanges`].
    ChangesChunk {
        /// The next ones, sorted by path, each path once.
        changes: Vec<ChangedEntry>,
        /// No more follow.
        last: bool,
    },
    /// The work goes on; nothing to send yet. Keeps a long reading of the disk from looking like silence.
    Working,
    /// It could not be done. The connection stays usable.
    Failed {
        /// For people.
        why: String,
    },
}

/// The payload of a frame.
///
/// # Errors
/// When it cannot be written (never, for these types).
pub fn encode_request(request: &Request) -> Result<Vec<u8>, WireError> {
    to_bytes(request)
}

/// See [`encode_request`].
///
/// # Errors
/// When it is another message or over a limit.
pub fn decode_request(bytes: &[u8]) -> Result<Request, WireError> {
    let mut request = from_bytes(bytes)?;
    check::<Request>(&mut request)?;
    Ok(request)
}

/// See [`encode_request`].
///
/// # Errors
/// As there.
pub fn encode_reply(mut reply: Reply) -> Result<Vec<u8>, WireError> {
    if let Reply::Failed { .. } = reply {
        cut(&mut reply);
    }
    to_bytes(&reply)
}

/// See [`encode_request`].
///
/// # Errors
/// When it is another message or over a limit.
pub fn decode_reply(bytes: &[u8]) -> Result<Reply, WireError> {
    let mut reply = from_bytes(bytes)?;
    check::<Reply>(&mut reply)?;
    Ok(reply)
}

/// `entries` in pieces that fit into one frame each, made as they are asked for; one empty piece if there are none.
pub fn pieces<I: IntoIterator<Item = Entry>>(entries: I) -> Pieces<I::IntoIter> {
    Pieces::new(entries.into_iter(), Entry::weight, CHUNK_ENTRIES_MAX)
}

/// As [`pieces`], for what a branch changed.
pub fn change_pieces<I: IntoIterator<Item = ChangedEntry>>(changes: I) -> Pieces<I::IntoIter> {
    // Each has up to two entries.
    let weight = |change: &ChangedEntry| change.entries().map(Entry::weight).sum();
    Pieces::new(changes.into_iter(), weight, CHUNK_ENTRIES_MAX / 2)
}

/// See [`pieces`].
pub struct Pieces<I: Iterator> {
    rest: Peekable<I>,
    /// Bytes of one.
    weight: fn(&I::Item) -> usize,
    most: usize,
    has_begun: bool,
}

impl<I: Iterator> Pieces<I> {
    fn new(rest: I, weight: fn(&I::Item) -> usize, most: usize) -> Self {
        Self { rest: rest.peekable(), weight, most, has_begun: false }
    }
}

impl<I: Iterator> Iterator for Pieces<I> {
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::replace(&mut self.has_begun, true) && self.rest.peek().is_none() {
            return None;
        }
        let (mut piece, mut bytes) = (Vec::new(), 0);
        let (weight, most) = (self.weight, self.most);
        while piece.len() < most
            && let Some(entry) = self.rest.next_if(|entry| bytes == 0 || bytes + weight(entry) <= CHUNK_BYTES)
        {
            bytes += weight(&entry);
            piece.push(entry);
        }
        Some(piece)
    }
}

impl Limited for Request {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        match self {
            Self::Contents { digests, .. } => {
                visit(Part::List("digests", digests.len(), DIGESTS_MAX, &mut |to| digests.truncate(to)));
            }
            Self::Forget { path, by } => {
                visit(Part::List("path", path.len(), PATH_MAX_BYTES, &mut |_| {}));
                visit(Part::Text("by", by, NAME_MAX_CHARS));
            }
            Self::BranchChanges { name } => visit(Part::Text("name", name, NAME_MAX_CHARS)),
            Self::Manifest { .. } | Self::Verify | Self::Branches => {}
        }
    }
}

impl Limited for Reply {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        match self {
            Self::ManifestChunk { entries, .. } | Self::VerifyChunk { entries, .. } => {
                visit(Part::List("entries", entries.len(), CHUNK_ENTRIES_MAX, &mut |to| entries.truncate(to)));
                entries.iter_mut().for_each(|entry| entry.limits(visit));
            }
            Self::ContentChunk { bytes, .. } => {
                visit(Part::List("bytes", bytes.len(), CHUNK_BYTES, &mut |_| {}));
            }
            Self::BranchChunk { branch, .. } => {
                if let Some(branch) = branch {
                    branch.limits(visit);
                }
            }
            Self::ChangesChunk { changes, .. } => {
                visit(Part::List("changes", changes.len(), CHUNK_ENTRIES_MAX / 2, &mut |to| changes.truncate(to)));
                let entries = changes.iter_mut().flat_map(|change| change.old.iter_mut().chain(&mut change.new));
                entries.for_each(|entry| entry.limits(visit));
            }
            Self::Parcel { pieces } => {
                visit(Part::List("pieces", pieces.len(), DIGESTS_MAX, &mut |_| {}));
                let bytes = pieces.iter().map(|piece| piece.bytes.len()).sum();
                visit(Part::List("bytes", bytes, CHUNK_BYTES, &mut |_| {}));
            }
            Self::Failed { why } => visit(Part::Text("why", why, WHY_MAX_CHARS)),
            Self::Working | Self::Forgotten { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::BULK_FRAME_MAX_BYTES;

    fn entry(path: Vec<u8>) -> Entry {
        Entry {
            path,
            kind: FileKind::File,
            mode: 0o640,
            size: 3,
            digest: Digest([1; 32]),
            owner: String::new(),
            group: String::new(),
        }
    }

    #[test]
    fn replies_come_back_as_they_were() {
        let entries = vec![entry(b"caf\xe9/x".to_vec())];
        let reply = Reply::VerifyChunk { root: Digest([3; 32]), entries, last: true };
        assert_eq!(decode_reply(&encode_reply(reply.clone()).unwrap()), Ok(reply));
        let chunk = |length| Reply::ContentChunk {
            digest: Digest([2; 32]),
            offset: 0,
            total: 1,
            bytes: vec![9; length],
            last: true,
        };
        assert!(decode_reply(&encode_reply(chunk(CHUNK_BYTES)).unwrap()).is_ok());
        assert!(decode_reply(&encode_reply(chunk(CHUNK_BYTES + 1)).unwrap()).is_err());
        let many = Request::Contents { digests: vec![Digest([2; 32]); DIGESTS_MAX + 1], packed: false, from: 0 };
        assert!(decode_request(&encode_request(&many).unwrap()).is_err());
    }

    /// spec 7.6: what a branch changed travels within the limit of a frame.
    #[test]
    fn changes_of_a_branch_travel_in_frames_within_the_limit() {
        let one = |length| ChangedEntry { old: Some(entry(vec![b'p'; length])), new: Some(entry(vec![b'p'; length])) };
        for (count, length) in [(100, PATH_MAX_BYTES), (3_000, 1), (0, 1)] {
            let changes: Vec<_> = (0..count).map(|_| one(length)).collect();
            let pieces: Vec<_> = change_pieces(changes.clone()).collect();
            assert_eq!(pieces.concat(), changes);
            assert!(!pieces.is_empty());
            for changes in pieces {
                let reply = Reply::ChangesChunk { changes, last: false };
                let bytes = encode_reply(reply.clone()).unwrap();
                assert!(bytes.len() <= BULK_FRAME_MAX_BYTES);
                assert_eq!(decode_reply(&bytes), Ok(reply));
            }
        }
    }

    #[test]
    fn a_manifest_travels_in_frames_within_the_limit() {
        let long: Vec<Entry> = (0..200).map(|_| entry(vec![b'p'; PATH_MAX_BYTES])).collect();
        let short: Vec<Entry> = (0..5_000).map(|_| entry(b"a".to_vec())).collect();
        for entries in [long, short, Vec::new()] {
            let pieces: Vec<_> = pieces(entries.clone()).collect();
            assert_eq!(pieces.concat(), entries);
            assert!(!pieces.is_empty());
            for piece in pieces {
                let bytes = encode_reply(Reply::ManifestChunk { entries: piece, last: false }).unwrap();
                assert!(bytes.len() <= BULK_FRAME_MAX_BYTES);
                decode_reply(&bytes).unwrap();
            }
        }
    }
}
