//! Backup and restore with instances that run.

use std::fs;

use crate::harness::{eventually, tree};
use crate::{Pair, Wish, edit};

/// interfaces: a backup of a running instance; its configuration comes back on the running master as one revision and reaches
/// the shadow; a running shadow refuses, and the whole home only comes back when nothing runs.
#[test]
fn a_backup_comes_back_on_a_pair() {
    let mut pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let password = pair.a.password_file("correct horse battery");
    let file = pair.a.folder.join("pair.backup").display().to_string();
    let with = ["--password-file", &password];
    let wanted = tree(&pair.a.directory);
    let said = pair.a.ok(&[&["backup", &file, "--identity", "--history"][..], &with].concat());
    assert!(said.contains("revision 1"), "{said}");
    assert!(pair.a.refused(&[&["backup", &file][..], &with].concat()).contains("--force"));
    edit(&pair.a, "audit.yaml", b"changed: since\n");
    fs::write(pair.a.directory.join("stranger"), "since").unwrap();
    fs::remove_dir_all(pair.a.directory.join("notes")).unwrap();
    let edited = tree(&pair.a.directory);
    eventually("the shadow has the edits", || tree(&pair.b.directory) == edited);
    let restore = |more: &[&'static str]| -> Vec<String> {
        ["restore", &file].iter().chain(&with).chain(more).map(|text| (*text).to_owned()).collect()
    };
    let texts = |list: &[String]| list.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    let run = |instance: &crate::harness::Instance, more: &[&'static str]| {
        let list = restore(more);
        let output = instance.standin(&list.iter().map(String::as_str).collect::<Vec<_>>());
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), format!("{}\n{}", texts(&list), String::from_utf8_lossy(&said)))
    };
    let (code, said) = run(&pair.a, &["--dry-run", "--configuration-only"]);
    assert!(code == Some(0) && said.contains("removed stranger") && said.contains("changed audit.yaml"), "{said}");
    for instance in [&pair.a, &pair.b] {
        let (code, said) = run(instance, &["--dry-run"]);
        assert!(code == Some(0) && said.contains("Nothing was changed") && said.contains("standin stop"), "{said}");
    }
    let (code, said) = run(&pair.a, &["--yes"]);
    assert!(code == Some(1) && said.contains("--configuration-only"), "{said}");
    let (code, said) = run(&pair.b, &["--yes", "--configuration-only"]);
    assert!(code == Some(1) && said.contains("shadow"), "{said}");
    let (code, said) = run(&pair.a, &["--yes", "--configuration-only"]);
    assert_eq!(code, Some(0), "{said}");
    eventually("both have it", || tree(&pair.a.directory) == wanted && tree(&pair.b.directory) == wanted);

    // The master dies, the shadow takes over: the old home comes back from the backup, and no old term with it.
    pair.a.kill();
    pair.b.wait_active();
    let (code, said) = run(&pair.a, &["--yes", "--identity", "--history"]);
    assert_eq!(code, Some(0), "{said}");
    pair.a.start();
    pair.wait_settled(&pair.b, &pair.a);
    assert_eq!(pair.a.status()["term"], pair.b.status()["term"]);
    let stands = |code: &str| pair.a.alerts().iter().any(|alert| alert["code"] == code && alert["is_over"] == false);
    assert!(!stands("H-008"), "its own identity is that of no other machine: {:?}", pair.a.alerts());
    assert_eq!(tree(&pair.a.directory), wanted);
}

/// spec 5.2, 5.6: what is excluded is no difference, neither for `config diff` where nothing runs nor for a backup
#[test]
fn what_is_excluded_is_no_difference() {
    let mut pair = Pair::prepared(&Wish { service: false, ..Wish::default() });
    pair.a.set("configuration", "exclude", "['*.log', cache/]");
    edit(&pair.a, "port.txt", b"8080\n");
    fs::create_dir(pair.a.directory.join("cache")).unwrap();
    edit(&pair.a, "cache/x", b"1");
    edit(&pair.a, "noise.log", b"1");
    pair.a.start();
    pair.a.wait("a revision", |status| status["configuration"]["revision"].as_u64() > Some(0));
    let password = pair.a.password_file("correct horse battery");
    let file = pair.a.folder.join("one.backup").display().to_string();
    let backup = |more: &[&str]| {
        let output = pair.a.standin(&[&["backup", &file, "--password-file", &password][..], more].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let said = backup(&[]);
    assert!(!said.contains("differ"), "{said}");
    let running = pair.a.ok(&["config", "diff"]);
    pair.a.ok(&["stop"]);
    eventually("ended", || !pair.a.home.join("control.sock").exists());
    // Its exit status says whether there is a difference.
    let at_rest = || String::from_utf8_lossy(&pair.a.standin(&["config", "diff"]).stdout).into_owned();
    assert_eq!(at_rest(), running);
    assert!(!running.contains("noise.log") && !running.contains("cache"), "{running}");
    edit(&pair.a, "port.txt", b"9090\n");
    assert!(at_rest().contains("port.txt") && !at_rest().contains("noise.log"));
    let said = backup(&["--force"]);
    assert!(said.contains("1 path differs"), "{said}");
}
