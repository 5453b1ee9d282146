//! Owner and group by name (spec 5.1, setting `configuration.owners`).

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{chown, lchown};
use std::sync::Arc;

use super::*;
use crate::engine::history::{Change, Expected, NewFile};
use crate::mirror::accounts::{Rights, System, UserBook};
use crate::mirror::owners::Owners;

/// A machine's users, which are its groups too, with numbers of its own.
#[derive(Clone)]
struct Book {
    ids: BTreeMap<&'static str, u32>,
    is_free: bool,
}

impl Book {
    fn of(first: u32, names: &[&'static str]) -> Self {
        let own = rustix::process::geteuid().as_raw();
        let mut ids: BTreeMap<_, _> = names.iter().copied().zip(first..).collect();
        ids.insert("standin", own);
        Self { ids, is_free: true }
    }

    fn name(&self, id: u32) -> Option<String> {
        self.ids.iter().find(|(_, own)| **own == id).map(|(name, _)| (*name).to_owned())
    }
}

impl UserBook for Book {
    fn user(&self, id: u32) -> Option<String> {
        self.name(id)
    }

    fn group(&self, id: u32) -> Option<String> {
        self.name(id)
    }

    fn user_id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    fn group_id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    fn rights(&self) -> Rights {
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Rights { is_free: self.is_free, user, group, groups: BTreeSet::from([group]) }
    }
}

const MASTER: [&str; 4] = ["app", "web", "www", "lost"];

fn master_book() -> Book {
    Book::of(41_001, &MASTER)
}

/// Other numbers in another order, and one name that is not known.
fn shadow_book() -> Book {
    Book::of(51_001, &["www", "web", "app"])
}

/// Giving files away takes rights that a tester may not have; without them such a test says nothing.
fn can_give() -> bool {
    System.rights().is_free
}

impl Side {
    fn use_book(&self, book: &Book) {
        self.mirror().set_book(Some(Arc::new(book.clone())));
    }

    /// Owner and group as this machine calls them.
    fn names(&self, book: &Book) -> BTreeMap<PathBuf, (String, String)> {
        let of = |(path, ..): (PathBuf, u32, Vec<u8>)| {
            let about = fs::symlink_metadata(self.directory().join(&path)).unwrap();
            let name = |id: u32| book.name(id).unwrap_or_else(|| id.to_string());
            (path, (name(about.uid()), name(about.gid())))
        };
        self.on_disk().into_iter().map(of).collect()
    }

    fn give(&self, path: &str, book: &Book, owner: &str, group: &str) {
        lchown(self.at(path), Some(book.ids[owner]), Some(book.ids[group])).unwrap();
    }

    fn owners(&self, path: &str) -> String {
        let path = RelPath::new(path.as_bytes()).unwrap();
        let tree = self.mirror().tree_of(self.mirror().head().unwrap().revision).unwrap();
        tree.get(&path).unwrap().owners.to_string()
    }

    fn root(&self) -> Digest {
        self.mirror().head().unwrap().revision.root
    }
}

/// A pair that has mirrored `a` of `app:www`, `b` of `lost:lost` and the link `l` of `web:web`, in `d` of `web:www`.
fn pair() -> (Side, Side) {
    let (master, shadow) = (Side::quick(), Side::quick());
    master.use_book(&master_book());
    shadow.use_book(&shadow_book());
    fs::create_dir(master.at("d")).unwrap();
    master.write("d/a", "one");
    master.write("d/b", "two");
    symlink("a", master.at("d/l")).unwrap();
    for (path, owner, group) in
        [("d", "web", "www"), ("d/a", "app", "www"), ("d/b", "lost", "lost"), ("d/l", "web", "web")]
    {
        master.give(path, &master_book(), owner, group);
    }
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    (master, shadow)
}

/// spec 5.1, 5.7: after any edits and changes of owners both sides have the same names where both know them, the shadow keeps
/// its own where it does not, and the digest that is proved there is the master's
#[test]
fn names_are_mirrored_whatever_their_numbers() {
    if !can_give() {
        return;
    }
    for seed in 0..4 {
        let mut draw = Draw::new(seed + 900);
        let (mut master, mut shadow) = (Side::quick(), Side::quick());
        for round in 0..20 {
            master.use_book(&master_book());
            shadow.use_book(&shadow_book());
            (0..draw.below(8)).for_each(|_| edit(&mut draw, &master));
            let paths: Vec<_> = master.on_disk().into_iter().map(|(path, mode, _)| (path, mode)).collect();
            for (path, mode) in paths.iter().filter(|_| draw.below(3) == 0).collect::<Vec<_>>() {
                let mut id = || master_book().ids[["app", "web", "www", "lost", "standin"][draw.below(5)]];
                let (user, group) = (id(), id());
                lchown(master.directory().join(path), Some(user), Some(group)).unwrap();
                if mode & 0o170_000 != 0o120_000 {
                    let mode = fs::Permissions::from_mode(mode & 0o7777);
                    fs::set_permissions(master.directory().join(path), mode).unwrap();
                }
            }
            master.commit(1);
            if draw.below(3) == 0 {
                continue;
            }
            let (committed, branch) = shadow.pull(&master, draw.below(4) == 0).unwrap();
            assert_eq!(branch, None, "seed {seed}, round {round}");
            assert_eq!(committed.revision.root, master.root());
            shadow.assert_like(&master);
            let known = |name: &str| if name == "lost" { "standin".to_owned() } else { name.to_owned() };
            let mut wanted = master.names(&master_book());
            wanted.values_mut().for_each(|(user, group)| (*user, *group) = (known(user), known(group)));
            assert_eq!(shadow.names(&shadow_book()), wanted, "seed {seed}, round {round}");
            assert_eq!(shadow.mirror().look_for_drift().unwrap().paths_total, 0);
            if draw.below(6) == 0 {
                shadow.start().unwrap();
                master.start().unwrap();
            }
        }
    }
}

/// spec 4.5: an owner changed behind Standin's back is drift, told by name, and put back
#[test]
fn another_owner_is_drift() {
    if !can_give() {
        return;
    }
    let (master, shadow) = pair();
    shadow.give("d/a", &shadow_book(), "web", "www");
    // The shadow cannot have `lost`: whoever has the file, nothing differs.
    shadow.give("d/b", &shadow_book(), "app", "app");
    let drift = shadow.mirror().look_for_drift().unwrap();
    assert_eq!(drift.paths.iter().map(ToString::to_string).collect::<Vec<_>>(), ["d/a belonged to web:www"]);
    assert_eq!(shadow.names(&shadow_book())[Path::new("d/a")], ("app".into(), "www".into()));
    assert_eq!(shadow.mirror().verify_own().unwrap().0, master.root());
}

/// spec 5.1: a user that comes to be known gets its files, and nobody is told of a drift
#[test]
fn a_user_made_later_gets_its_files() {
    if !can_give() {
        return;
    }
    let (master, mut shadow) = pair();
    let missing: Vec<_> = shadow.mirror().not_given().into_iter().collect();
    let why = "is not known here";
    assert_eq!(missing, [("group lost".to_owned(), why), ("user lost".to_owned(), why)]);
    // Also after a restart, and in another role.
    shadow.start().unwrap();
    shadow.use_book(&shadow_book());
    assert_eq!(shadow.commit(2), None, "as the new master: what it could not give it does not take away");
    let now = Book::of(51_001, &["www", "web", "app", "lost"]);
    shadow.use_book(&now);
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 0);
    assert_eq!(shadow.names(&now), master.names(&master_book()));
    assert!(shadow.mirror().not_given().is_empty());
    assert_eq!(shadow.commit(2), None);
}

/// spec 5.1, 7.3: who took over keeps the owners that it could not give, and takes up those that an operator gives
#[test]
fn a_new_master_keeps_what_it_could_not_give() {
    if !can_give() {
        return;
    }
    let (_, shadow) = pair();
    shadow.write("d/b", "another content");
    shadow.commit(2).unwrap();
    assert_eq!(shadow.owners("d/b"), "lost:lost");
    shadow.give("d/b", &shadow_book(), "app", "www");
    shadow.commit(2).unwrap();
    assert_eq!(shadow.owners("d/b"), "app:www");
}

/// spec 5.1: a user made on the new master gets the files that could not be given, and none that an operator gave to another
#[test]
fn what_an_operator_gave_is_not_taken_back() {
    if !can_give() {
        return;
    }
    let (master, shadow) = pair();
    master.write("d/c", "three");
    master.give("d/c", &master_book(), "lost", "lost");
    master.commit(1).unwrap();
    shadow.pull(&master, false).unwrap();
    let now = Book::of(51_001, &["www", "web", "app", "lost"]);
    shadow.use_book(&now);
    shadow.give("d/b", &now, "web", "web");
    shadow.commit(2).unwrap();
    assert_eq!((shadow.owners("d/b"), shadow.owners("d/c")), ("web:web".into(), "lost:lost".into()));
    assert_eq!(shadow.names(&now)[Path::new("d/c")], ("lost".into(), "lost".into()));
}

/// spec 5.1: who may give no file away mirrors all the same, and says what is missing
#[test]
fn without_the_right_to_give_nothing_is_out_of_sync() {
    let (master, mut shadow) = (Side::new(), Side::new());
    let own = rustix::process::geteuid().as_raw();
    let bound = Book { is_free: false, ..Book::of(51_001, &["app"]) };
    master.use_book(&Book { ids: BTreeMap::from([("app", own)]), is_free: false });
    shadow.use_book(&bound);
    master.write("a", "one");
    master.commit(1).unwrap();
    assert!(master.owners("a").starts_with("app:"));
    shadow.pull(&master, true).unwrap();
    shadow.assert_like(&master);
    assert_eq!(shadow.mirror().not_given().get("user app"), Some(&"may not be given"));
    for _ in 0..2 {
        assert_eq!(shadow.mirror().look_for_drift().unwrap().paths_total, 0);
        shadow.start().unwrap();
        shadow.use_book(&bound);
    }
    assert_eq!(shadow.commit(2), None);
}

/// spec 5.2, 5.6: switched on, owners are a revision; switched off, they are none, and the tree has the digest that it had
#[test]
fn the_setting_makes_a_revision_and_its_end_another() {
    let master = Side::new();
    master.write("a", "one");
    master.commit(1).unwrap();
    let before = master.root();
    master.use_book(&Book::of(41_001, &MASTER));
    master.commit(1).unwrap();
    assert!(master.owners("a").starts_with("standin:"));
    assert_ne!(master.root(), before);
    assert_eq!(master.commit(1), None);
    master.mirror().set_book(None);
    master.commit(1).unwrap();
    assert_eq!((master.root(), master.owners("a")), (before, String::new()));
}

/// spec 5.1: a shadow with the setting off mirrors the names and changes no owner; switched on it gives them, and that is no drift
#[test]
fn a_shadow_that_gives_nothing_is_in_sync() {
    if !can_give() {
        return;
    }
    let (master, shadow) = pair();
    let other = Side::new();
    other.pull(&master, true).unwrap();
    assert_eq!(other.root(), master.root());
    assert_eq!(other.mirror().verify_own().unwrap().0, master.root());
    assert_eq!(other.names(&shadow_book())[Path::new("d/a")].0, "standin");
    chown(other.at("d/a"), Some(51_002), None).unwrap();
    assert_eq!(other.mirror().look_for_drift().unwrap().paths_total, 0);
    other.use_book(&shadow_book());
    assert_eq!(other.mirror().look_for_drift().unwrap().paths_total, 0);
    assert_eq!(other.names(&shadow_book()), shadow.names(&shadow_book()));
}

/// spec 5.6: an operator's change keeps the owner, a new file belongs to whom its directory belongs to, and a restored
/// revision brings its owners back
#[test]
fn changes_and_restores_know_the_owner() {
    if !can_give() {
        return;
    }
    let (master, shadow) = pair();
    let first = master.mirror().head().unwrap().revision.number;
    let put = |path: &str| {
        let digest = master.mirror().keep_content(b"three".to_vec()).unwrap();
        let path = path.to_owned();
        NewFile { path, kind: FileKind::File, mode: 0o640, digest, expected: Expected::Any, owners: None }
    };
    let named = NewFile { owners: Some(("app".into(), "app".into())), ..put("d/named") };
    let change = Change::Put { files: vec![put("d/a"), put("d/new/x"), put("top"), named] };
    master.mirror().change(Term(1), "anna", "", &change, false).unwrap().outcome.unwrap();
    let names = master.names(&master_book());
    let of = |path: &str| names[Path::new(path)].clone();
    let pair_of = |owner: &str, group: &str| (owner.to_owned(), group.to_owned());
    assert_eq!(of("d/a"), pair_of("app", "www"));
    assert_eq!((of("d/new"), of("d/new/x")), (pair_of("web", "www"), pair_of("web", "www")));
    assert_eq!((of("top").0.as_str(), of("d/named")), ("standin", pair_of("app", "app")));
    assert_eq!(master.commit(1), None, "what is on the disk is what the revision says");
    master.give("d/a", &master_book(), "web", "web");
    master.commit(1).unwrap();
    let restore = Change::Restore { revision: first, paths: Vec::new() };
    let report = master.mirror().change(Term(1), "anna", "", &restore, false).unwrap().outcome.unwrap();
    assert!(report.changes.iter().any(|change| change.path == "d/a"));
    assert_eq!(master.names(&master_book())[Path::new("d/a")], pair_of("app", "www"));
    shadow.pull(&master, false).unwrap();
    shadow.assert_like(&master);
}

/// spec 5.3: owners survive a crash between the journal and the end
#[test]
fn an_interrupted_apply_ends_with_its_owners() {
    if !can_give() {
        return;
    }
    for step in 0..60 {
        let (master, mut shadow) = pair();
        master.give("d/a", &master_book(), "web", "web");
        master.write("d/c", "new");
        master.give("d/c", &master_book(), "app", "app");
        master.commit(1).unwrap();
        let push = master.mirror().build_push(&shadow.trail(), false).unwrap();
        let before = shadow.root();
        shadow.mirror().inner.crash.arm(step);
        let is_done = shadow.apply(&master, &push, false).is_ok();
        shadow.start().unwrap();
        shadow.use_book(&shadow_book());
        assert_eq!(shadow.mirror().restore_drift().unwrap(), 0, "step {step}");
        assert_eq!(shadow.mirror().verify_own().unwrap().0, shadow.root(), "step {step}");
        if shadow.root() != before {
            assert_eq!(shadow.root(), master.root());
            let names = shadow.names(&shadow_book());
            assert_eq!(names[Path::new("d/c")], ("app".into(), "app".into()), "step {step}");
            assert_eq!(names[Path::new("d/a")], ("web".into(), "web".into()), "step {step}");
        }
        if is_done {
            assert_eq!(shadow.root(), master.root());
            return;
        }
    }
    panic!("it never ends");
}

/// spec 5.4: names that a master sends are checked, and are no way to say one tree in two manners
#[test]
fn digests_tell_owners_apart() {
    let with = |owner: &str, group: &str| {
        let mut tree = Tree::default();
        let entry = Entry::file(0o640, 1, Digest([1; 32])).with_owners(Owners::of(owner, group).unwrap());
        tree.set(&RelPath::new(b"a").unwrap(), entry).unwrap();
        tree.root()
    };
    let roots = [with("", ""), with("ab", "c"), with("a", "bc"), with("abc", ""), with("", "abc")];
    assert_eq!(roots.iter().collect::<BTreeSet<_>>().len(), roots.len());
}
