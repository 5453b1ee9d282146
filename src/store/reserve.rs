//! Space kept for the record, so that a full disk does not keep this instance from a change of role (spec 7.3).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Name of the file that keeps the space.
const RESERVE_FILE: &str = "standin.reserve";
/// Enough for many writes of the record with their pages in the log of the database, bytes.
const RESERVE_BYTES: u64 = 512 * 1024;

/// The file; it is there, or it was given up for a write and is made again when there is space.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    pub fn of(home: &Path) -> Self {
        Self { path: home.join(RESERVE_FILE) }
    }

    /// Makes it unless it is there whole. Without space there is none, and that is no error: it is tried again.
    pub fn keep(&self) {
        if self.is_whole() {
            return;
        }
        if self.fill().is_err() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives the space up; false: there was none.
    pub fn give_up(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    fn is_whole(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|about| about.len() == RESERVE_BYTES)
    }

    fn fill(&self) -> std::io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        // Written, not only made long: a hole keeps no space.
        let block = [0x5a_u8; 16 * 1024];
        for _ in 0..RESERVE_BYTES / block.len() as u64 {
            file.write_all(&block)?;
        }
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 7.3: the space is there, whole and for the owner alone, can be given up, and comes back.
    #[test]
    fn kept_given_up_and_kept_again() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let home = tempfile::tempdir().unwrap();
        let reserve = Reserve::of(home.path());
        assert!(!reserve.give_up());
        reserve.keep();
        let about = fs::metadata(home.path().join(RESERVE_FILE)).unwrap();
        assert!(about.blocks() * 512 >= RESERVE_BYTES, "a hole keeps nothing");
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
        fs::write(home.path().join(RESERVE_FILE), "short").unwrap();
        reserve.keep();
        assert!(reserve.is_whole());
        assert!(reserve.give_up());
        assert!(!home.path().join(RESERVE_FILE).exists());
    }
}
