//! Names of editors' temporary files (spec 5.2), which directories may have too.

use super::*;

/// spec 5.2, 5.4: an editor's name is left out as a file; a directory of that name is the operator's, and mirrored
#[test]
fn a_directory_with_the_name_of_a_temporary_file_is_mirrored() {
    let (master, shadow) = (Side::new(), Side::new());
    master.write("a", "1");
    let names = ["4913", "old~", ".tmpaB3dEf", "x.swp", "#d#", "sedAb3dEf"];
    for name in names {
        fs::create_dir_all(master.at(&format!("tenants/{name}"))).unwrap();
        master.write(&format!("tenants/{name}/t.yaml"), "name: t\n");
        master.write(&format!("tenants/{name}/t.yaml~"), "of an editor");
    }
    fs::create_dir_all(master.at("tenants/.standin-kept-x")).unwrap();
    master.write("tenants/.standin-kept-x/y", "1");
    let first = master.commit(1).unwrap();
    assert_eq!(first.files, 1 + names.len() as u64, "the directories' files, and neither editors' nor Standin's own");
    shadow.pull(&master, true).unwrap();
    for name in names {
        assert_eq!(fs::read(shadow.at(&format!("tenants/{name}/t.yaml"))).unwrap(), b"name: t\n");
        assert!(!shadow.at(&format!("tenants/{name}/t.yaml~")).exists());
    }
    // What happens in them is drift on the shadow, a change on the master; told by the watcher too.
    shadow.mirror().watch(|_| ()).unwrap();
    master.mirror().watch(|_| ()).unwrap();
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 0);
    assert_eq!(master.commit(1), None);
    shadow.write("tenants/4913/t.yaml", "wrong");
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 1);
    master.write("tenants/4913/t.yaml", "name: other\n");
    assert_eq!(master.commit(1).unwrap().revision.number, 2);
    shadow.pull(&master, false).unwrap();
    assert_eq!(fs::read(shadow.at("tenants/4913/t.yaml")).unwrap(), b"name: other\n");

    // A file takes a directory's name: the directory is gone, and the file is the editor's, told or looked for.
    fs::remove_dir_all(master.at("tenants/4913")).unwrap();
    master.write("tenants/4913", "vim tries");
    assert_eq!(master.commit(1).unwrap().files, names.len() as u64);
    shadow.pull(&master, false).unwrap();
    assert!(!shadow.at("tenants/4913").exists());
    // The other way round on the shadow: the file is in the way of a directory.
    shadow.write("tenants/4913", "vim tries");
    fs::remove_file(master.at("tenants/4913")).unwrap();
    fs::create_dir(master.at("tenants/4913")).unwrap();
    master.write("tenants/4913/t.yaml", "name: again\n");
    assert_eq!(master.commit(1).unwrap().files, 1 + names.len() as u64);
    shadow.pull(&master, false).unwrap();
    assert_eq!(fs::read(shadow.at("tenants/4913/t.yaml")).unwrap(), b"name: again\n");
}

/// spec 5.1: a directory of such a name that comes into one that goes, in the last moment, is not cleared away with it
#[test]
fn a_directory_with_such_a_name_is_not_cleared_away() {
    let side = Side::new();
    fs::create_dir_all(side.at("goes/4913")).unwrap();
    side.write("goes/4913/t.yaml", "name: t\n");
    side.write("goes/x~", "of an editor");
    let (ground, path) = (side.mirror().ground().unwrap(), RelPath::new(b"goes").unwrap());
    let directory = ground.directory(Some(&path)).unwrap();
    let rest = place::remove_left_out(&directory, &path, &ground).unwrap();
    assert!(matches!(rest, place::Rest::Others));
    assert!(side.at("goes/4913/t.yaml").exists() && !side.at("goes/x~").exists());
}
