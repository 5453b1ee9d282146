//! Contents of files, each once, by digest.

use std::borrow::Cow;
use std::cell::RefCell;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Store, trouble};
use crate::engine::base::{Digest, Problem};

/// Largest content kept.
pub const CONTENT_MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Bytes in one transaction, so that the record waits for none of them for long.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Contents in one transaction.
const BATCH_CONTENTS: usize = 512;

/// How the bytes of a content are packed: as they are, lz4 (of an older version), zstd.
pub(super) const RAW: u8 = 0;
const LZ4: u8 = 1;
pub(super) const ZSTD: u8 = 2;
/// Contents smaller than this are not worth packing.
const PACK_MIN_BYTES: usize = 64;
/// Packs a hundred thousand small files as fast as a disk takes them.
pub(super) const ZSTD_LEVEL: i32 = 1;

thread_local! {
    /// Kept, as making one costs more than packing a small file.
    static PACKER: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A content as it is kept, and as it travels.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed {
    /// How `bytes` are packed.
    pub encoding: u8,
    /// Bytes of the content itself.
    pub size: u64,
    /// The packed ones.
    pub bytes: Vec<u8>,
}

impl Packed {
    /// The [`Packed::encoding`] of bytes as they are.
    pub const PLAIN: u8 = RAW;

    /// Packs a content, where that makes it smaller.
    #[must_use]
    pub fn of(content: Vec<u8>) -> Self {
        let size = content.len() as u64;
        let packed = if content.len() < PACK_MIN_BYTES { None } else { compress(&content) };
        match packed.filter(|packed| packed.len() < content.len()) {
            Some(bytes) => Self { encoding: ZSTD, size, bytes },
            None => Self { encoding: RAW, size, bytes: content },
        }
    }

    /// The content. Takes no more memory than `size` says, whatever the bytes are.
    ///
    /// # Errors
    /// When the bytes are not what `encoding` and `size` say.
    pub fn unpack(&self) -> Result<Cow<'_, [u8]>, String> {
        let size = usize::try_from(self.size).ok().filter(|_| self.size <= CONTENT_MAX_BYTES);
        let size = size.ok_or_else(|| format!("a content of {} bytes", self.size))?;
        let content = match self.encoding {
            RAW => Cow::Borrowed(self.bytes.as_slice()),
            LZ4 => Cow::Owned(lz4_flex::block::decompress(&self.bytes, size).map_err(|error| error.to_string())?),
            ZSTD => Cow::Owned(decompress(&self.bytes, size)?),
            other => return Err(format!("a content packed in an unknown way ({other})")),
        };
        if content.len() == size { Ok(content) } else { Err("a content of another size than announced".into()) }
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({}, {} of {} bytes)", self.encoding, self.bytes.len(), self.size)
    }
}

/// None: it cannot be, then it is kept as it is.
fn compress(content: &[u8]) -> Option<Vec<u8>> {
    PACKER.with_borrow_mut(|packer| {
        if packer.is_none() {
            *packer = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        packer.as_mut()?.compress(content).ok()
    })
}

fn decompress(bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
    UNPACKER.with_borrow_mut(|unpacker| {
        if unpacker.is_none() {
            *unpacker = Some(zstd::bulk::Decompressor::new().map_err(|error| error.to_string())?);
        }
        let unpacker = unpacker.as_mut().ok_or("no memory to unpack")?;
        unpacker.decompress(bytes, size).map_err(|error| error.to_string())
    })
}

impl Store {
    /// Keeps contents; those already there are left as they are. They are on the disk after the next durable write of the
    /// mirror ([`Store::commit`], [`Store::save_journal`]).
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn put_contents(&self, contents: &[(Digest, Packed)]) -> Result<(), Problem> {
        let mut rest = contents;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take(BATCH_CONTENTS).take_while(|(_, content)| {
                let fits = bytes < BATCH_BYTES;
                bytes += content.bytes.len();
                fits
            });
            let (batch, others) = rest.split_at(fits.count().max(1));
            rest = others;
            self.write_point()?;
            let (mut connection, _turn) = self.mirror_turn();
            let mut write = || -> rusqlite::Result<()> {
                // No wait for the disk: the next durable write carries them.
                connection.pragma_update(None, "synchronous", "normal")?;
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                batch.iter().try_for_each(|(digest, content)| insert(&transaction, digest, content))?;
                transaction.commit()
            };
            let written = write();
            let is_full_again = connection.pragma_update(None, "synchronous", "full");
            written.and(is_full_again).map_err(|error| trouble("keep the content of a file", &error))?;
        }
        Ok(())
    }

    /// The bytes with this digest, as they are kept.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn packed_content(&self, digest: &Digest) -> Result<Option<Packed>, Problem> {
        self.mirror()
            .prepare_cached("SELECT encoding, size, bytes FROM content WHERE digest = ?1")
            .and_then(|mut statement| {
                let of = |row: &rusqlite::Row<'_>| {
                    let size: i64 = row.get(1)?;
                    Ok(Packed { encoding: row.get(0)?, size: size.cast_unsigned(), bytes: row.get(2)? })
                };
                statement.query_row([&digest.0], of).optional()
            })
            .map_err(|error| trouble("read the content of a file", &error))
    }

    /// The bytes with this digest.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn content(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Problem> {
        let Some(packed) = self.packed_content(digest)? else { return Ok(None) };
        let content = packed.unpack().map(Cow::into_owned);
        content.map(Some).map_err(|why| {
            Problem::new(
                format!("cannot read the content {}", digest.short()),
                why,
                "the database is damaged: restore the home from a backup",
            )
        })
    }

    /// Forgets a content that is not what its digest says, so that it is asked for again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn drop_content(&self, digest: &Digest) -> Result<(), Problem> {
        self.drop_contents(&[*digest], |_, _| Ok(())).map(drop)
    }

    /// Contents come in that no revision names yet: they are not to be dropped as unused, until it is told otherwise. No
    /// wait for the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_receiving(&self, is_receiving: bool) -> Result<(), Problem> {
        let sql = if is_receiving {
            "INSERT INTO fact (key, value) VALUES ('receiving', '') ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM fact WHERE key = 'receiving'"
        };
        self.write_point()?;
        let (connection, _turn) = self.mirror_turn();
        let write = || {
            connection.pragma_update(None, "synchronous", "normal")?;
            connection.execute(sql, []).map(drop)
        };
        let written = write();
        let is_full_again = connection.pragma_update(None, "synchronous", "full");
        written.and(is_full_again).map_err(|error| trouble("note a transfer", &error))
    }

    /// See [`Store::set_receiving`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_receiving(&self) -> Result<bool, Problem> {
        self.mirror()
            .prepare_cached("SELECT 1 FROM fact WHERE key = 'receiving'")
            .and_then(|mut statement| statement.exists([]))
            .map_err(|error| trouble("read the note of a transfer", &error))
    }

    /// Whether they are there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn has_content(&self, digest: &Digest) -> Result<bool, Problem> {
        self.mirror()
            .prepare_cached("SELECT 1 FROM content WHERE digest = ?1")
            .and_then(|mut statement| statement.exists([&digest.0]))
            .map_err(|error| trouble("read the content of a file", &error))
    }
}

/// Writes one content inside a transaction.
pub(super) fn insert(connection: &Connection, digest: &Digest, content: &Packed) -> rusqlite::Result<()> {
    let size = content.size.cast_signed();
    connection
        .prepare_cached(
            "INSERT INTO content (digest, encoding, size, bytes) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![&digest.0, content.encoding, size, content.bytes])?;
    Ok(())
}
