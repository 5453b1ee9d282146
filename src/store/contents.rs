//! Contents of files, each once, by digest.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Store, trouble};
use crate::engine::base::{Digest, Problem};

/// Largest content kept.
pub const CONTENT_MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Bytes in one transaction, so that the record waits for none of them for long.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Contents in one transaction.
const BATCH_CONTENTS: usize = 512;

const RAW: u8 = 0;
const LZ4: u8 = 1;

impl Store {
    /// Keeps contents; those already there are left as they are. They are on the disk after the next durable write of the
    /// mirror ([`Store::commit`], [`Store::save_journal`]).
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn put_contents(&self, contents: &[(Digest, Vec<u8>)]) -> Result<(), Problem> {
        let mut rest = contents;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take(BATCH_CONTENTS).take_while(|(_, content)| {
                let fits = bytes < BATCH_BYTES;
                bytes += content.len();
                fits
            });
            let (batch, others) = rest.split_at(fits.count().max(1));
            rest = others;
            let mut connection = self.mirror();
            let mut write = || -> rusqlite::Result<()> {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                batch.iter().try_for_each(|(digest, bytes)| insert(&transaction, digest, bytes))?;
                transaction.commit()
            };
            write().map_err(|error| trouble("keep the content of a file", &error))?;
        }
        Ok(())
    }

    /// The bytes with this digest.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn content(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Problem> {
        let found: Option<(u8, i64, Vec<u8>)> = self
            .mirror()
            .prepare_cached("SELECT encoding, size, bytes FROM content WHERE digest = ?1")
            .and_then(|mut statement| {
                statement.query_row([&digest.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
            })
            .map_err(|error| trouble("read the content of a file", &error))?;
        match found {
            None => Ok(None),
            Some((RAW, _, bytes)) => Ok(Some(bytes)),
            Some((_, size, bytes)) => {
                let size = usize::try_from(size).unwrap_or(0);
                lz4_flex::block::decompress(&bytes, size).map(Some).map_err(|error| {
                    Problem::new(
                        format!("cannot read the content {}", digest.short()),
                        error.to_string(),
                        "the database is damaged: restore the home from a backup",
                    )
                })
            }
        }
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
pub(super) fn insert(connection: &Connection, digest: &Digest, bytes: &[u8]) -> rusqlite::Result<()> {
    if connection.prepare_cached("SELECT 1 FROM content WHERE digest = ?1")?.exists([&digest.0])? {
        return Ok(());
    }
    let packed = lz4_flex::block::compress(bytes);
    let (encoding, kept) = if packed.len() < bytes.len() { (LZ4, packed.as_slice()) } else { (RAW, bytes) };
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    connection
        .prepare_cached("INSERT INTO content (digest, encoding, size, bytes) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![&digest.0, encoding, size, kept])?;
    Ok(())
}
