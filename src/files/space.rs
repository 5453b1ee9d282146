//! Free space of a disk, looked at before and while much is written to it: a disk without a byte left keeps Standin from more
//! than that (spec 7.3).

use std::path::Path;

use crate::engine::base::Problem;

/// What is always left free, bytes: a good deal for the database, its log, and whatever else writes there;
const MARGIN_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// on a small disk this part of it.
const MARGIN_PART: u64 = 16;
/// Bytes of a megabyte, as people are told.
const MEGABYTE: u64 = 1_000_000;

/// Refuses what would leave too little free on the disk that `path` is on. A disk that does not say how much is free takes
/// everything.
///
/// # Errors
/// `what` cannot be done, because so much is needed and so much is there.
pub fn must_fit(path: &Path, bytes: u64, what: &str) -> Result<(), Problem> {
    let Ok(about) = rustix::fs::statvfs(path) else { return Ok(()) };
    let (free, all) = (about.f_bavail.saturating_mul(about.f_frsize), about.f_blocks.saturating_mul(about.f_frsize));
    if all == 0 {
        return Ok(());
    }
    match lacking(free, all, bytes) {
        None => Ok(()),
        Some(needed) => Err(Problem::new(
            what,
            format!(
                "the disk of {} is too full: {} are needed there, {} are free",
                path.display(),
                megabytes(needed),
                megabytes(free)
            ),
            "free space on that disk",
        )),
    }
}

/// How much would have to be free; none: it is.
fn lacking(free: u64, all: u64, bytes: u64) -> Option<u64> {
    let needed = bytes.saturating_add(MARGIN_MAX_BYTES.min(all / MARGIN_PART));
    (free < needed).then_some(needed)
}

/// One digit after the point, what is needed and what is free by the same rule.
fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / MEGABYTE, bytes % MEGABYTE * 10 / MEGABYTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 7.3: something is always left, less on a small disk; the answer has both numbers
    #[test]
    fn something_is_always_left() {
        const GIB: u64 = 1 << 30;
        assert_eq!(lacking(GIB, 100 * GIB, GIB - MARGIN_MAX_BYTES), None);
        assert_eq!(lacking(GIB, 100 * GIB, GIB), Some(GIB + MARGIN_MAX_BYTES));
        assert_eq!(lacking(GIB / 2, GIB, u64::MAX), Some(u64::MAX));
        assert_eq!((lacking(16, 160, 6), lacking(16, 160, 7)), (None, Some(17)));
        let home = tempfile::tempdir().unwrap();
        assert_eq!(must_fit(home.path(), 0, "cannot write"), Ok(()));
        let problem = must_fit(home.path(), u64::MAX / 2, "cannot write").unwrap_err();
        assert!(problem.why.contains("are needed") && problem.why.contains("MB are free"), "{problem}");
        assert_eq!(megabytes(12_345_678), "12.3 MB");
    }
}
