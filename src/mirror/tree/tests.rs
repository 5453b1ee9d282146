use super::*;
use crate::mirror::diff::{Change, between, inverse, merged};
use crate::mirror::testing::{Draw, list_of};

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn file(text: &str) -> Entry {
    Entry::file(0o644, text.len() as u64, digest::of_content(text.as_bytes()))
}

/// A tree of up to 40 random edits, few names so that kinds replace each other.
fn draw_tree(draw: &mut Draw) -> Tree {
    let mut tree = Tree::default();
    for _ in 0..draw.below(40) {
        edit(draw, &mut tree);
    }
    tree
}

fn edit(draw: &mut Draw, tree: &mut Tree) {
    let depth = 1 + draw.below(4);
    let names: Vec<_> = (0..depth).map(|_| ["a", "b", "a-", "c.yaml"][draw.below(4)]).collect();
    let target = path(&names.join("/"));
    let entry = match draw.below(4) {
        0 => return tree.remove(&target),
        1 => Entry::directory([0o755, 0o700][draw.below(2)]),
        2 => file(["x", "y", ""][draw.below(3)]),
        _ => Entry::link(b"a"),
    };
    // A missing parent is one of the cases.
    let _ = tree.set(&target, entry);
}

/// spec 5.7: digests are equal exactly when the trees are
#[test]
fn equal_digest_is_equal_tree() {
    let mut draw = Draw::new(1);
    let trees: Vec<_> = (0..250).map(|_| draw_tree(&mut draw)).collect();
    let mut equal = 0;
    for left in &trees {
        for right in &trees {
            let is_same = list_of(left) == list_of(right);
            assert_eq!(left.root() == right.root(), is_same);
            equal += usize::from(is_same);
        }
    }
    assert!(equal > trees.len(), "the generator must make some equal trees");
}

/// spec 5.2: the digest after edits is that of the same tree built anew
#[test]
fn kept_digests_follow_every_edit() {
    let mut draw = Draw::new(2);
    let mut tree = Tree::default();
    for _ in 0..500 {
        let before = tree.clone();
        let before_root = before.root();
        edit(&mut draw, &mut tree);
        let mut anew = Tree::default();
        for (path, entry) in &tree {
            anew.set(&path, entry).unwrap();
        }
        assert_eq!((tree.root(), tree.files(), tree.bytes()), (anew.root(), anew.files(), anew.bytes()));
        assert_eq!(before.root(), before_root);
        assert_eq!(list_of(&before).len() as u64, before.entries());
    }
}

/// spec 5.2
#[test]
fn changes_lead_from_one_tree_to_the_other_and_back() {
    let mut draw = Draw::new(3);
    for _ in 0..300 {
        let (old, middle, new) = (draw_tree(&mut draw), draw_tree(&mut draw), draw_tree(&mut draw));
        let changes = between(&old, &new);
        let mut tree = old.clone();
        tree.apply(&changes).unwrap();
        assert_eq!(list_of(&tree), list_of(&new));
        tree.apply(&inverse(&changes)).unwrap();
        assert_eq!(list_of(&tree), list_of(&old));
        let merged = merged(between(&old, &middle).into_iter().chain(between(&middle, &new)));
        let mut sorted = changes;
        sorted.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(merged, sorted);
        tree.apply(&merged).unwrap();
        assert_eq!(tree, new);
    }
}

/// spec 5.2: a changed file costs one change, in whatever company
#[test]
fn one_edit_is_one_change() {
    let mut tree = Tree::default();
    for outer in 0..20 {
        tree.set(&path(&format!("d{outer}")), Entry::directory(0o755)).unwrap();
        for inner in 0..50 {
            tree.set(&path(&format!("d{outer}/f{inner}")), file("old")).unwrap();
        }
    }
    let before = tree.clone();
    tree.set(&path("d7/f7"), file("new!")).unwrap();
    let changes = between(&before, &tree);
    assert_eq!(changes, [Change { path: path("d7/f7"), old: Some(file("old")), new: Some(file("new!")) }]);
    // All other directories are the same ones, not copies.
    let shared = (0..20).filter(|outer| {
        let name = path(&format!("d{outer}"));
        let (a, b) = (before.child(&name).unwrap().node().unwrap(), tree.child(&name).unwrap().node().unwrap());
        Arc::ptr_eq(a, b)
    });
    assert_eq!(shared.count(), 19);
}

/// spec 5.6: what owners add to a digest is added only where they are mirrored: homes without them keep theirs
#[test]
fn a_tree_without_owners_has_the_digest_that_it_always_had() {
    use sha2::{Digest as _, Sha256};
    let mut tree = Tree::default();
    tree.set(&path("a"), file("x")).unwrap();
    tree.set(&path("d"), Entry::directory(0o755)).unwrap();
    let inner = Digest(Sha256::digest(b"standin directory 1\0").into());
    let mut bytes = b"standin directory 1\0".to_vec();
    for (kind, entry, name, digest) in
        [(0, file("x"), b"a", file("x").digest), (1, Entry::directory(0o755), b"d", inner)]
    {
        bytes.push(kind);
        bytes.extend(entry.mode.to_be_bytes());
        bytes.extend(1_u64.to_be_bytes());
        bytes.extend(name);
        bytes.extend(digest.0);
    }
    assert_eq!(tree.root(), Digest(Sha256::digest(&bytes).into()));
    let owned = file("x").with_owners(crate::mirror::owners::Owners::of("app", "www").unwrap());
    tree.set(&path("a"), owned).unwrap();
    assert_ne!(tree.root(), Digest(Sha256::digest(&bytes).into()));
    assert_eq!(tree.owners().len(), 1);
}

/// The order of paths by bytes puts each directory before what is inside.
#[test]
fn a_missing_parent_is_an_error() {
    let mut tree = Tree::default();
    assert_eq!(tree.set(&path("a/b"), file("")), Err(MissingParent(path("a/b"))));
    tree.set(&path("a"), file("")).unwrap();
    assert!(tree.set(&path("a/b"), file("")).is_err());
    assert_ne!(Tree::default().root(), Digest::ZERO);
}

/// spec 5.2, 5.7: a list makes the tree that it was made of, whatever tree it is compared with; and shares what is the same
#[test]
fn a_list_makes_its_tree() {
    let mut draw = Draw::new(8);
    let mut shared = 0;
    for _ in 0..400 {
        let (known, tree) = (draw_tree(&mut draw), draw_tree(&mut draw));
        let near = {
            let mut near = tree.clone();
            edit(&mut draw, &mut near);
            near
        };
        for known in [&known, &near, &Tree::default()] {
            let mut list = FromList::new(known);
            tree.clone().into_entries().for_each(|(path, entry)| list.add(path, entry).unwrap());
            let built = list.finish();
            assert_eq!(list_of(&built), list_of(&tree));
            assert_eq!(built.root(), tree.root());
            let same = |(path, _): &(RelPath, Entry)| match (built.child(path), known.child(path)) {
                (Some(Child::Directory(_, _, built)), Some(Child::Directory(_, _, known))) => Arc::ptr_eq(built, known),
                _ => false,
            };
            shared += list_of(&built).iter().filter(|entry| same(entry)).count();
        }
        assert!(tree.clone().into_entries().eq(tree.iter()));
    }
    assert!(shared > 200, "{shared}");
}

/// spec 5.3: a list that is none of a tree is refused
#[test]
fn a_list_out_of_order_is_refused() {
    let known = {
        let mut tree = Tree::default();
        tree.set(&path("a"), Entry::directory(0o755)).unwrap();
        tree.set(&path("a/b"), file("x")).unwrap();
        tree
    };
    let list = |entries: &[(&str, Entry)]| {
        let mut list = FromList::new(&known);
        entries.iter().try_for_each(|(text, entry)| list.add(path(text), *entry)).map(|()| list.finish())
    };
    let directory = Entry::directory(0o755);
    assert!(list(&[("a", directory), ("a/b", file("y")), ("a-", file("z"))]).is_ok());
    assert!(matches!(list(&[("b", file("y")), ("a", file("y"))]), Err(NotListed::OutOfOrder(_))));
    assert!(matches!(list(&[("b", file("y")), ("b", file("y"))]), Err(NotListed::OutOfOrder(_))));
    assert!(matches!(list(&[("c/d", file("y"))]), Err(NotListed::Missing(_))));
    assert!(matches!(list(&[("a", file("y")), ("a/b", file("x"))]), Err(NotListed::Missing(_))));
    assert!(list(&[("a/b", file("x"))]).is_err(), "its directory is not named");
}
