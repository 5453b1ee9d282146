//! Large contents go in and out in pieces (spec 4.5, 5.2): of a file of hundreds of megabytes no more than a piece is in memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use rusqlite::blob::{Blob, ZeroBlob};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::contents::{RAW, ZSTD, ZSTD_LEVEL};
use super::{DATABASE, Store, connect, trouble};
use crate::engine::base::{Digest, Problem};
use crate::files::PRIVATE_FILE_MODE;
use crate::mirror::digest::Hash;

/// A content with more bytes is a large one.
pub const LARGE_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes in memory at once.
pub const PIECE_BYTES: usize = 256 * 1024;
/// Where a large content is packed before it is kept; it has no name while it has bytes.
const SPOOL: &str = "large.new";

impl Store {
    /// Keeps a large content that `open` gives, each time from its beginning. False: it is not, or no longer, what the digest
    /// says, and nothing was kept. Nobody else waits for it to be read or packed. On the disk as after [`Store::put_contents`].
    ///
    /// # Errors
    /// When it cannot be read, or not be written.
    pub fn put_large<R: Read>(
        &self,
        digest: &Digest,
        size: u64,
        open: impl FnMut() -> io::Result<R>,
    ) -> Result<bool, Problem> {
        if self.has_content(digest)? {
            return Ok(true);
        }
        let failed = |error: io::Error| {
            let todo = "check the disk of the home, and that the file can be read";
            Problem::new("cannot keep the content of a large file", error.to_string(), todo)
        };
        let mut spool = self.spool().map_err(failed)?;
        let Some((encoding, length)) = pack(&mut spool, digest, size, open).map_err(failed)? else {
            return Ok(false);
        };
        spool.seek(SeekFrom::Start(0)).map_err(failed)?;
        self.write_point()?;
        let (mut connection, _turn) = self.mirror_turn();
        let mut write = || -> rusqlite::Result<io::Result<()>> {
            // As for other contents: the next durable write carries it.
            connection.pragma_update(None, "synchronous", "normal")?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let is_new = transaction
                .prepare_cached(
                    "INSERT INTO content (digest, encoding, size, bytes) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                )?
                .execute(params![&digest.0, encoding, size.cast_signed(), ZeroBlob(length)])?;
            if is_new == 0 {
                return Ok(Ok(()));
            }
            let mut blob = blob_of(&transaction, transaction.last_insert_rowid(), false)?;
            if let Err(error) = copy(&mut spool, &mut blob) {
                return Ok(Err(error));
            }
            blob.close()?;
            transaction.commit().map(Ok)
        };
        let written = write();
        let is_full_again = connection.pragma_update(None, "synchronous", "full");
        let written = is_full_again.and(written).map_err(|error| trouble("keep the content of a file", &error))?;
        written.map(|()| true).map_err(failed)
    }

    /// Writes the bytes with this digest to `to`, over a connection of its own; none: they are not kept. Says how many.
    ///
    /// # Errors
    /// When they cannot be read, or not be written.
    pub fn read_large(&self, digest: &Digest, to: &mut dyn Write) -> Result<Option<u64>, Problem> {
        let failed = |error: rusqlite::Error| trouble("read the content of a file", &error);
        let connection = connect(&self.home().join(DATABASE), true)?;
        let about = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found: Option<(i64, u8)> = connection
            .query_row("SELECT rowid, encoding FROM content WHERE digest = ?1", [&digest.0], about)
            .optional()
            .map_err(failed)?;
        let Some((row, encoding)) = found else { return Ok(None) };
        let unreadable = |error: io::Error| {
            Problem::new(
                format!("cannot read the content {}", digest.short()),
                error.to_string(),
                "check the space on the disk; if it says that the content is damaged, restore the home from a backup",
            )
        };
        let written = match encoding {
            RAW => copy(&mut blob_of(&connection, row, true).map_err(failed)?, to),
            ZSTD => {
                let blob = blob_of(&connection, row, true).map_err(failed)?;
                zstd::stream::read::Decoder::new(blob).and_then(|mut bytes| copy(&mut bytes, to))
            }
            // Of an older version, which kept none this large by the piece.
            _ => {
                let Some(bytes) = self.content(digest)? else { return Ok(None) };
                to.write_all(&bytes).map(|()| bytes.len() as u64)
            }
        };
        written.map(Some).map_err(unreadable)
    }

    /// An empty file of the home's disk without a name: whatever happens nothing of it stays.
    fn spool(&self) -> io::Result<File> {
        let path = self.home().join(SPOOL);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).mode(PRIVATE_FILE_MODE).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    }
}

/// Packs it into `spool`, where that makes it smaller: how, and to how many bytes; none: it is another content.
fn pack<R: Read>(
    spool: &mut File,
    digest: &Digest,
    size: u64,
    mut open: impl FnMut() -> io::Result<R>,
) -> io::Result<Option<(u8, u64)>> {
    let mut packer = zstd::stream::write::Encoder::new(&mut *spool, ZSTD_LEVEL)?;
    let is_it = hashed(&mut open()?, &mut packer, digest, size)?;
    packer.finish()?;
    if !is_it {
        return Ok(None);
    }
    let length = spool.stream_position()?;
    if length < size {
        return Ok(Some((ZSTD, length)));
    }
    spool.set_len(0)?;
    spool.seek(SeekFrom::Start(0))?;
    Ok(hashed(&mut open()?, spool, digest, size)?.then_some((RAW, size)))
}

/// Copies, and says whether it was what the digest says. No more than one piece over its size is read.
fn hashed(from: &mut dyn Read, to: &mut dyn Write, digest: &Digest, size: u64) -> io::Result<bool> {
    let (mut hash, mut read, mut piece) = (Hash::default(), 0_u64, vec![0; PIECE_BYTES]);
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => return Ok(read == size && hash.finish() == *digest),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        read += count as u64;
        if read > size {
            return Ok(false);
        }
        hash.add(&piece[..count]);
        to.write_all(&piece[..count])?;
    }
}

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<u64> {
    let (mut written, mut piece) = (0, vec![0; PIECE_BYTES]);
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(written),
            Ok(count) => {
                to.write_all(&piece[..count])?;
                written += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn blob_of(connection: &Connection, row: i64, is_read_only: bool) -> rusqlite::Result<Blob<'_>> {
    connection.blob_open(rusqlite::MAIN_DB, c"content", c"bytes", row, is_read_only)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::mirror::digest::of_content;
    use crate::mirror::testing::Draw;

    /// Tells the largest piece that was asked for.
    struct Counted<'a>(&'a [u8], &'a Cell<usize>);

    impl Read for Counted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1.set(self.1.get().max(buffer.len()));
            self.0.read(buffer)
        }
    }

    /// spec 5.2: a large content is read by the piece, whether it packs or not, and comes back as it was, also by the piece
    #[test]
    fn a_large_content_comes_and_goes_in_pieces() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let mut draw = Draw::new(1);
        let noise: Vec<u8> = (0..1_000_000).map(|_| u8::try_from(draw.below(256)).unwrap()).collect();
        for (content, encoding) in [(noise, RAW), (b"packs well; ".repeat(100_000), ZSTD)] {
            let (digest, size, largest) = (of_content(&content), content.len() as u64, Cell::new(0));
            let other = of_content(b"another");
            assert!(!store.put_large(&other, size, || Ok(Counted(&content, &largest))).unwrap(), "another content");
            assert!(!store.put_large(&digest, size - 1, || Ok(Counted(&content, &largest))).unwrap(), "it grew");
            assert!(!store.has_content(&other).unwrap() && !store.has_content(&digest).unwrap());
            for _ in 0..2 {
                assert!(store.put_large(&digest, size, || Ok(Counted(&content, &largest))).unwrap());
            }
            assert!(largest.get() <= PIECE_BYTES);
            assert_eq!(store.packed_content(&digest).unwrap().unwrap().encoding, encoding);
            assert!(store.content(&digest).unwrap().unwrap() == content);
            let mut back = Vec::new();
            assert_eq!(store.read_large(&digest, &mut back).unwrap(), Some(size));
            assert!(back == content);
            assert_eq!(store.read_large(&other, &mut back).unwrap(), None);
        }
        assert!(!home.path().join(SPOOL).exists());
    }
}
