//! The list of files for a console: in parts, and then as changes.

use std::collections::BTreeMap;

use super::*;
use crate::engine::listing::{FilesPart, PART_PATHS_MAX};

/// What a console makes of the parts: the paths and their revisions.
#[derive(Default)]
struct Reader {
    paths: BTreeMap<String, u64>,
    known: Option<RevisionId>,
}

impl Reader {
    /// Reads to the end; in how many parts, and how many paths came.
    fn read(&mut self, side: &Side) -> (usize, usize) {
        let (mut parts, mut paths, mut after, mut first) = (0, 0, None::<String>, None);
        let mut since = self.known;
        loop {
            let part = side.mirror().list_part(since.as_ref(), after.as_deref()).unwrap();
            let FilesPart { revision, begins, entries, gone, next } = part;
            if begins {
                self.paths.clear();
                since = None;
            }
            parts += 1;
            paths += entries.len() + gone.len();
            assert!(entries.len() + gone.len() <= PART_PATHS_MAX);
            self.paths.extend(entries.into_iter().map(|entry| (entry.path, entry.revision)));
            for path in gone {
                self.paths.remove(&path);
            }
            first = first.or(revision);
            after = next;
            if after.is_none() {
                self.known = first;
                return (parts, paths);
            }
        }
    }

    fn assert_whole(&self, side: &Side) {
        let all = side.mirror().list().unwrap();
        let all: BTreeMap<String, u64> = all.into_iter().map(|entry| (entry.path, entry.revision)).collect();
        assert_eq!(self.paths, all);
    }
}

/// spec 5.2: the list travels once, and from then on what changed.
#[test]
fn a_list_travels_once_and_then_as_changes() {
    let side = Side::new();
    for number in 0..PART_PATHS_MAX + 5 {
        side.write(&format!("f{number:05}"), "x");
    }
    side.commit(1);
    let mut reader = Reader::default();
    assert_eq!(reader.read(&side), (2, PART_PATHS_MAX + 5));
    reader.assert_whole(&side);
    assert_eq!(reader.read(&side), (1, 0), "nothing has changed");
    side.write("f00007", "y");
    fs::create_dir(side.at("new")).unwrap();
    side.write("new/inside", "y");
    fs::remove_file(side.at("f00009")).unwrap();
    side.commit(1);
    side.write("f00007", "z");
    side.commit(1);
    let (parts, paths) = reader.read(&side);
    assert_eq!((parts, paths), (1, 4), "two files, a directory, and one that is gone");
    reader.assert_whole(&side);
}

/// What is known and not on the main line any more is void: the list begins anew.
#[test]
fn a_list_of_another_history_begins_anew() {
    let side = Side::new();
    side.write("a", "x");
    side.commit(1);
    let mut reader =
        Reader { known: Some(RevisionId { number: 1, term: Term(9), root: Digest::ZERO }), ..Reader::default() };
    reader.paths.insert("foreign".into(), 1);
    reader.read(&side);
    reader.assert_whole(&side);
}
