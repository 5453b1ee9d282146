use super::*;

fn entry(path: &str, revision: u64) -> FileEntry {
    FileEntry {
        path: path.into(),
        kind: FileKind::File,
        mode: 0o640,
        size: 1,
        digest: Digest::ZERO,
        revision,
        owner: String::new(),
    }
}

fn tree(paths: &[&str]) -> FileTree {
    let mut tree = FileTree::default();
    for path in paths {
        tree.put(&entry(path, 1), false);
    }
    tree.refresh();
    tree
}

fn drawn(tree: &FileTree) -> Vec<String> {
    let line = |row: TreeRow<'_>| {
        let indent = "  ".repeat(row.depth);
        match row.kind {
            RowKind::Directory { open, files } => {
                format!("{indent}{} {} ({files})", if open { "-" } else { "+" }, row.name)
            }
            _ => format!("{indent}{} {}", row.name, row.since.word()).trim_end().to_owned(),
        }
    };
    (0..tree.rows()).filter_map(|index| tree.row(index)).map(line).collect()
}

fn open(tree: &mut FileTree, path: &str) {
    let index = tree.index_of(tree.find(path).unwrap()).unwrap();
    tree.toggle(index);
}

#[test]
fn directories_fold_and_count() {
    let mut tree = tree(&["b", "a/x.yaml", "a-b/y", "a.txt", "a/deep/z"]);
    assert_eq!(drawn(&tree), ["+ a (2)", "+ a-b (1)", "a.txt", "b"]);
    open(&mut tree, "a");
    assert_eq!(drawn(&tree), ["- a (2)", "  + deep (1)", "  x.yaml", "+ a-b (1)", "a.txt", "b"]);
    open(&mut tree, "a/deep");
    open(&mut tree, "a");
    assert_eq!(drawn(&tree).len(), 4, "what is inside goes with it");
    open(&mut tree, "a");
    assert_eq!(drawn(&tree)[1..3], ["  - deep (1)", "    z"], "and comes back as it was");
    tree.open_if_small();
    assert_eq!(drawn(&tree).len(), 8);
    assert_eq!(tree.row_above(2), Some(1));
}

#[test]
fn a_filter_shows_matches_under_their_directories() {
    let mut tree = tree(&["eu/mappings/orders.yaml", "eu/mappings/stock.yaml", "us/orders.yaml", "ORDERS"]);
    tree.set_filter("EU*Orders");
    assert_eq!(
        (tree.matching(), drawn(&tree)),
        (1, vec!["- eu (2)".into(), "  - mappings (2)".into(), "    orders.yaml".into()])
    );
    tree.set_filter("orders");
    assert_eq!(tree.matching(), 3);
    assert_eq!(tree.first_file(), Some(2));
    tree.set_filter("us/");
    assert_eq!(drawn(&tree), ["- us (1)", "  orders.yaml"], "a directory's name lets all inside it through");
    tree.set_filter("");
    assert_eq!(drawn(&tree), ["+ eu (2)", "+ us (1)", "ORDERS"]);
}

/// spec 5.2: a change reaches the list as a change, and is marked; what was open stays open.
#[test]
fn paths_come_change_and_go() {
    let mut tree = tree(&["a/x", "a/y", "b"]);
    open(&mut tree, "a");
    tree.put(&entry("a/x", 2), true);
    tree.put(&entry("a/new", 2), true);
    tree.remove("b");
    tree.refresh();
    assert_eq!(drawn(&tree), ["- a (3)", "  new new", "  x changed", "  y"]);
    tree.put(&entry("a", 3), true);
    tree.refresh();
    assert_eq!((drawn(&tree), tree.files()), (vec!["a new".into()], 1), "a file in place of a directory");
    tree.put(&entry("a/z/1", 4), true);
    tree.refresh();
    assert_eq!((drawn(&tree), tree.files()), (vec!["+ a (1)".into()], 1), "and back");
    tree.remove("a");
    tree.refresh();
    assert!(tree.is_empty() && tree.find("a").is_none());
}

/// A list that begins anew keeps what was open.
#[test]
fn a_new_list_keeps_what_was_open() {
    let mut tree = tree(&["a/x", "b/y"]);
    open(&mut tree, "a");
    tree.set_filter("x");
    tree.clear();
    tree.put(&entry("a/x", 9), false);
    tree.refresh();
    assert_eq!(drawn(&tree), ["- a (1)", "  x"]);
    tree.set_filter("");
    assert_eq!(drawn(&tree), ["- a (1)", "  x"]);
}

/// A frame, a move and a change look at what they show; only a new filter looks at every path, and a longer one does not.
#[test]
fn work_follows_what_is_seen_at_a_hundred_thousand_files() {
    let mut tree = FileTree::default();
    for index in 0..100_000 {
        let path = format!("tenant-{:03}/group-{}/File-{index:06}.yaml", index / 400, index % 8);
        tree.put(&entry(&path, 1), false);
    }
    tree.refresh();
    let mut last = tree.looked_at();
    let mut spent = |tree: &FileTree| {
        let before = std::mem::replace(&mut last, tree.looked_at());
        tree.looked_at() - before
    };
    assert_eq!((tree.files(), tree.rows()), (100_000, 250));
    let frame = |tree: &FileTree| {
        let rows = (100..120).filter_map(|index| tree.row(index));
        rows.filter(|row| !tree.path(row.id).is_empty()).count()
    };
    assert_eq!(frame(&tree), 20);
    assert!(spent(&tree) < 100, "a frame of 20 rows");
    open(&mut tree, "tenant-007");
    open(&mut tree, "tenant-007/group-3");
    assert!(spent(&tree) < 1_000, "opening a directory");
    tree.put(&entry("tenant-007/group-3/new.yaml", 2), true);
    tree.refresh();
    assert!(spent(&tree) < 1_000, "a change");
    tree.set_filter("file-0099");
    let first = spent(&tree);
    assert!((100_000..200_000).contains(&first), "a new filter looks at each path once: {first}");
    tree.set_filter("file-00991");
    assert!(spent(&tree) < 1_000, "a longer one at what is left");
    assert_eq!(tree.matching(), 10);
    assert_eq!(frame(&tree), 0);
}
