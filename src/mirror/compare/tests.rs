use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::engine::base::Term;
use crate::engine::history::APPLIED_FILE_MAX_BYTES;
use crate::mirror::{Limits, Mirror, digest};

struct Home {
    _home: tempfile::TempDir,
    mirror: Mirror,
    store: Store,
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("home")).unwrap();
        let limits = Limits { file_size: 30_000_000, owners: false };
        let mirror = Mirror::open(store.clone(), home.path().join("configuration"), limits).unwrap();
        Self { _home: home, mirror, store }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.mirror.directory().join(name), bytes).unwrap();
    }

    fn commit(&self) {
        self.mirror.scan_and_commit(Term(1), "anna", "").unwrap().committed.unwrap();
    }

    fn diff(&self, from: &Version, to: &Version, paths: &[&str], mask: Option<&Mask<'_>>) -> DiffReport {
        let on_disk = || self.mirror.on_disk();
        let paths: Vec<_> = paths.iter().map(|path| RelPath::from_text(path).unwrap()).collect();
        let newest = || Ok(self.mirror.newest_tree());
        let versions = Versions { store: &self.store, newest: &newest, on_disk: &on_disk };
        compare(versions.side(from).unwrap(), versions.side(to).unwrap(), &paths, mask).unwrap()
    }
}

fn brief(report: &DiffReport) -> Vec<String> {
    let of = |file: &FileDiff| {
        let sign = match (file.old, file.new) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '*',
        };
        let body = match &file.body {
            DiffBody::Same => "same".to_owned(),
            DiffBody::Text(hunks) => {
                let lines = hunks
                    .iter()
                    .flat_map(|hunk| &hunk.lines)
                    .filter(|line| line.sign != crate::engine::history::Sign::Both);
                lines.map(|line| format!("{}{}", line.sign.mark(), line.text)).collect::<Vec<_>>().join("|")
            }
            DiffBody::Link { old, new } => format!("link {old:?} {new:?}"),
            other => format!("{other:?}"),
        };
        format!(
            "{sign}{}{} {body}",
            file.path,
            file.renamed_from.as_ref().map_or(String::new(), |from| format!("<{from}"))
        )
    };
    report.files.iter().map(of).collect()
}

/// spec 5.6: a revision with the directory and with another revision: text, modes, links, binaries, names.
#[test]
fn every_kind_of_difference_is_told() {
    let home = Home::new();
    let directory = home.mirror.directory().to_owned();
    home.write("a.yaml", b"a: 1\nb: 2\n");
    home.write("binary", b"\x00\x01");
    home.write("gone", b"bye\n");
    home.write("moved", b"the same content\n");
    home.write("mode", b"x\n");
    symlink("a.yaml", directory.join("link")).unwrap();
    home.commit();
    assert_eq!(home.diff(&Version::Newest, &Version::Directory, &[], None).files_total, 0);

    home.write("a.yaml", b"a: 1\nb: 3\n");
    home.write("binary", b"\x00\x02\x03");
    fs::remove_file(directory.join("gone")).unwrap();
    fs::create_dir(directory.join("new")).unwrap();
    fs::rename(directory.join("moved"), directory.join("new/place")).unwrap();
    fs::set_permissions(directory.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(directory.join("link")).unwrap();
    symlink("binary", directory.join("link")).unwrap();
    let expected = [
        "*a.yaml -b: 2|+b: 3",
        "*binary Binary",
        "-gone -bye",
        "*link link Some(\"a.yaml\") Some(\"binary\")",
        "*mode same",
        "+new same",
        "*new/place<moved same",
    ];
    let report = home.diff(&Version::Newest, &Version::Directory, &[], None);
    assert_eq!(brief(&report), expected);
    assert_eq!((&*report.from, &*report.to, report.files_total), ("revision 1", "directory", 7));
    assert!(home.store.revisions_after(1).unwrap().is_empty(), "looking commits nothing");

    home.commit();
    assert_eq!(brief(&home.diff(&Version::Revision(1), &Version::Revision(2), &[], None)), expected);
    assert_eq!(home.mirror.file_bytes("binary", Some(1)).unwrap(), b"\x00\x01", "no text, and of an older revision");
    let back = home.diff(&Version::Directory, &Version::Revision(1), &["a.yaml", "new"], None);
    assert_eq!(brief(&back), ["*a.yaml -b: 3|+b: 2", "-new same", "-new/place -the same content"]);
}

/// spec 5.6: a content that no answer carries as a whole is handed out in pieces, also of an older revision; another one is refused
#[test]
fn a_large_content_is_handed_out_in_pieces() {
    let home = Home::new();
    let mut large = vec![b'a'; usize::try_from(APPLIED_FILE_MAX_BYTES).unwrap()];
    large.extend_from_slice(b"the end");
    home.write("large", &large);
    home.commit();
    home.write("large", b"small");
    home.commit();
    let of = digest::of_content(&large);
    let part = |revision, offset| home.mirror.file_part("large", revision, &of, offset);
    assert!(home.mirror.file_bytes("large", Some(1)).is_err());
    assert!(part(Some(1), 0).unwrap() == large[..large.len() - 7]);
    assert_eq!(part(Some(1), APPLIED_FILE_MAX_BYTES).unwrap(), b"the end");
    assert!(part(Some(1), u64::MAX).unwrap().is_empty());
    assert!(part(Some(2), 0).unwrap_err().why.contains("was changed"));
    assert!(crate::mirror::history::whole(&home.store, "large", Some(1)).unwrap() == large);
}

/// spec 5.6: what there is not is refused with what there is.
#[test]
fn an_unknown_version_is_refused() {
    let home = Home::new();
    home.write("a", b"1\n");
    home.commit();
    let on_disk = || home.mirror.on_disk();
    for wrong in [Version::Revision(7), Version::Branch("no-such".into()), Version::Peer] {
        let newest = || Ok(home.mirror.newest_tree());
        let versions = Versions { store: &home.store, newest: &newest, on_disk: &on_disk };
        let problem = versions.side(&wrong).err().unwrap();
        assert!(problem.todo.contains("standin"), "{problem:?}");
    }
}

/// spec 5.6: an answer is bounded, and says what it leaves out.
#[test]
fn a_full_answer_says_so() {
    let home = Home::new();
    home.commit();
    for number in 0..6 {
        let text: String = (0..300_000).map(|line| format!("{number} {line}\n")).collect();
        home.write(&format!("{number}.txt"), &text.as_bytes()[..TEXT_MAX_BYTES as usize]);
    }
    home.write("huge", &vec![b'x'; TEXT_MAX_BYTES as usize + 1]);
    let report = home.diff(&Version::Newest, &Version::Directory, &[], None);
    let cut = report.files.iter().filter(|file| file.body == DiffBody::Cut).count();
    assert!(report.files.len() == 7 && cut >= 4, "{cut}");
    assert!(matches!(report.files[0].body, DiffBody::Text(_)));
    let alone = home.diff(&Version::Newest, &Version::Directory, &["huge"], None);
    assert_eq!(alone.files[0].body, DiffBody::TooLarge);
}

/// spec 5.8: with a mask, no secret is in the answer.
#[test]
fn secrets_are_masked() {
    let home = Home::new();
    home.write("a.yaml", b"user: x\npassword: hunter1\n");
    home.commit();
    home.write("a.yaml", b"user: x\npassword: hunter2\n");
    let mask = |text: &str| crate::text::mask::lines(text).into_iter().map(|line| line.masked).collect();
    let masked = home.diff(&Version::Newest, &Version::Directory, &[], Some(&mask));
    let json = serde_json::to_string(&masked).unwrap();
    assert!(json.contains("masked") && !json.contains("hunter"), "{json}");
    let open = home.diff(&Version::Newest, &Version::Directory, &[], None);
    assert_eq!(brief(&open), ["*a.yaml -password: hunter1|+password: hunter2"]);
}

/// spec 5.6: a path that is in neither version is a mistake, and no *equal*; so is one that no revision ever had
#[test]
fn a_path_that_is_nowhere_is_told() {
    let home = Home::new();
    home.write("a", b"1");
    home.commit();
    assert_eq!(home.store.tree_sums().unwrap(), (1, 1));
    fs::remove_file(home.mirror.directory().join("a")).unwrap();
    home.commit();
    assert_eq!(home.diff(&Version::Revision(1), &Version::Newest, &["a"], None).files_total, 1);
    let newest = || Ok(home.mirror.newest_tree());
    let on_disk = || home.mirror.on_disk();
    let versions = Versions { store: &home.store, newest: &newest, on_disk: &on_disk };
    let side = || versions.side(&Version::Newest).unwrap();
    let problem = compare(side(), side(), &[RelPath::from_text("nope").unwrap()], None).unwrap_err();
    assert!(problem.what.contains("no path nope") && problem.why.contains("neither"), "{problem}");
    assert_eq!(home.mirror.log(Some("a"), None, 10).unwrap().len(), 2);
    assert!(home.mirror.log(Some("nope"), None, 10).unwrap_err().what.contains("no path nope"));
}
