//! Two texts line by line, as hunks with some lines around each (spec 5.6). Pure, but for a limit in time.

use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline, group_diff_ops};

use crate::engine::history::{DiffLine, Hunk, Sign};

/// Lines shown around a difference.
const CONTEXT_LINES: usize = 3;
/// After so long the shortest difference is not looked for any further: a longer one is shown.
pub const SEARCH_LIMIT: Duration = Duration::from_secs(2);

/// What to show in place of each line; none: the line itself.
pub type Mask<'a> = dyn Fn(&str) -> Vec<Option<String>> + 'a;

/// A content as text: UTF-8 without characters that steer a terminal.
#[must_use]
pub fn text_of(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_text = !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    is_text.then_some(text)
}

/// Everything by which two texts differ; empty: nothing. The shortest way to say it is looked for as long as `limit`.
#[must_use]
pub fn hunks(old: &str, new: &str, mask: Option<&Mask<'_>>, limit: Duration) -> Vec<Hunk> {
    let (old, new) = (Side::new(old, mask), Side::new(new, mask));
    let deadline = Instant::now().checked_add(limit);
    let ops = capture_diff_slices_deadline(Algorithm::Myers, &old.lines, &new.lines, deadline);
    group_diff_ops(ops, CONTEXT_LINES)
        .iter()
        .filter(|group| group.iter().any(|op| !matches!(op, DiffOp::Equal { .. })))
        .map(|group| hunk(group, &old, &new))
        .collect()
}

/// One text, cut into lines with their ends.
struct Side<'a> {
    lines: Vec<&'a str>,
    masked: Vec<Option<String>>,
}

impl<'a> Side<'a> {
    fn new(text: &'a str, mask: Option<&Mask<'_>>) -> Self {
        Self { lines: text.split_inclusive('\n').collect(), masked: mask.map(|mask| mask(text)).unwrap_or_default() }
    }

    fn line(&self, index: usize, sign: Sign) -> DiffLine {
        let whole = self.lines.get(index).copied().unwrap_or_default();
        let text = whole.strip_suffix('\n').unwrap_or(whole);
        let no_newline = text.len() == whole.len();
        match self.masked.get(index) {
            Some(Some(masked)) => DiffLine { sign, text: masked.clone(), masked: true, no_newline },
            _ => DiffLine { sign, text: text.to_owned(), masked: false, no_newline },
        }
    }
}

fn hunk(group: &[DiffOp], old: &Side<'_>, new: &Side<'_>) -> Hunk {
    let mut lines = Vec::new();
    for op in group {
        if let DiffOp::Equal { .. } = op {
            lines.extend(op.new_range().map(|index| new.line(index, Sign::Both)));
        } else {
            lines.extend(op.old_range().map(|index| old.line(index, Sign::Old)));
            lines.extend(op.new_range().map(|index| new.line(index, Sign::New)));
        }
    }
    let span = |range: &dyn Fn(&DiffOp) -> std::ops::Range<usize>| {
        let first = group.first().map_or(0, |op| range(op).start);
        let end = group.last().map_or(0, |op| range(op).end);
        let count = end.saturating_sub(first) as u64;
        // Of nothing, the line before it is named, as in every unified diff.
        (if count == 0 { first as u64 } else { first as u64 + 1 }, count)
    };
    let (old_start, old_lines) = span(&DiffOp::old_range);
    let (new_start, new_lines) = span(&DiffOp::new_range);
    Hunk { old_start, old_lines, new_start, new_lines, lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hunks(old: &str, new: &str, mask: Option<&Mask<'_>>) -> Vec<Hunk> {
        super::hunks(old, new, mask, SEARCH_LIMIT)
    }

    fn plain(hunks: &[Hunk]) -> String {
        let mut out = String::new();
        for hunk in hunks {
            let Hunk { old_start, old_lines, new_start, new_lines, .. } = hunk;
            out += &format!("@@ -{old_start},{old_lines} +{new_start},{new_lines} @@\n");
            for line in &hunk.lines {
                let end = if line.no_newline { "!" } else { "" };
                out += &format!("{}{}{end}\n", line.sign.mark(), line.text);
            }
        }
        out
    }

    /// spec 5.6: as `diff -u` says it.
    #[test]
    fn differences_are_told_with_the_lines_around_them() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n9\nten";
        assert_eq!(plain(&hunks(old, new, None)), "@@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+ten!\n");
        assert_eq!(hunks(old, old, None), []);
        assert_eq!(plain(&hunks("", "a\n", None)), "@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(plain(&hunks("a\n", "", None)), "@@ -1,1 +0,0 @@\n-a\n");
        let far: String = (0..40).map(|n| format!("{n}\n")).collect();
        let changed = far.replace("5\n", "five\n");
        assert_eq!(hunks(&far, &changed, None).len(), 4, "5, 15, 25, 35 are far from each other");
    }

    /// An end of line alone is a difference too.
    #[test]
    fn line_ends_count() {
        assert_eq!(plain(&hunks("a\r\n", "a\n", None)), "@@ -1,1 +1,1 @@\n-a\r\n+a\n");
        assert_eq!(plain(&hunks("a", "a\n", None)), "@@ -1,1 +1,1 @@\n-a!\n+a\n");
    }

    /// spec 5.8: what is masked is compared as it is, and shown masked.
    #[test]
    fn masks_hide_and_do_not_make_equal() {
        let mask = |text: &str| -> Vec<Option<String>> {
            text.lines().map(|line| line.starts_with("password").then(|| "password: ***".into())).collect()
        };
        let found = hunks("user: a\npassword: x\n", "user: a\npassword: y\n", Some(&mask));
        assert_eq!(plain(&found), "@@ -1,2 +1,2 @@\n user: a\n-password: ***\n+password: ***\n");
        assert!(found[0].lines[1].masked && !found[0].lines[0].masked);
    }

    /// Two different texts of the largest size end within the limit.
    #[test]
    fn texts_without_anything_in_common_end_in_time() {
        let text = |from: u64| (from..from + 20_000).map(|n| format!("{}\n", n * 7919)).collect::<String>();
        let begun = Instant::now();
        assert!(!super::hunks(&text(1), &text(1_000_000), None, Duration::from_millis(50)).is_empty());
        assert!(begun.elapsed() < SEARCH_LIMIT * 5);
    }
}
