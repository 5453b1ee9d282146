//! What Standin has put on interfaces, in a file under the home, so that whoever comes after a crash can take it away: the
//! guard, and failing that the next start. Written before an address is added. A restart of the machine takes the addresses
//! away itself, so it need not survive one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::engine::settings::VirtualAddress;
use crate::engine::settings::table::ADDRESSES_MAX;

/// Longest note read, in bytes.
const NOTE_BYTES_MAX: u64 = 64 * 1024;

/// The content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The run of Standin that wrote it: the guard of an earlier one leaves it alone.
    pub(super) run: String,
    /// Addresses that this home's Standin has put there, or is about to.
    pub(super) addresses: Vec<VirtualAddress>,
}

/// The file, locked: nobody else adds or takes away an address of this home meanwhile.
pub(super) struct Held(File);

/// Opens and locks it; waits for whoever holds it, which takes milliseconds.
pub(super) fn hold(path: &Path) -> io::Result<Held> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(Held(file))
}

impl Held {
    /// What it says; nothing readable is nothing.
    pub(super) fn read(&mut self) -> Note {
        let mut text = String::new();
        let is_read = self.0.seek(SeekFrom::Start(0)).is_ok()
            && Read::take(&self.0, NOTE_BYTES_MAX).read_to_string(&mut text).is_ok();
        let mut note: Note = if is_read { serde_json::from_str(&text).unwrap_or_default() } else { Note::default() };
        // Settings may have changed from one sixteen to another.
        note.addresses.truncate(2 * ADDRESSES_MAX);
        note
    }

    pub(super) fn write(&mut self, note: &Note) -> io::Result<()> {
        let text = serde_json::to_vec(note)?;
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(&text)?;
        self.0.set_len(text.len() as u64)
    }
}
