use std::fs;
use std::process::{Command, Stdio};

use super::*;
use crate::engine::settings::patterns::fault_of;
use crate::mirror::testing::Draw;

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn exclude(patterns: &[&str]) -> Exclude {
    assert!(patterns.iter().all(|text| fault_of(text).is_none()), "{patterns:?}");
    Exclude::new(&patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
}

/// spec 5.2: what editors and tools write beside a file is left out, and nothing that an operator might call so
#[test]
fn temporary_files_are_left_out() {
    for name in [
        ".#a",
        "#a#",
        "a~",
        "a.~1~",
        ".a.swp",
        ".a.swo",
        ".a.swx",
        "4913",
        ".standin-stage",
        "sedAb3dEf",
        ".a.conf.qX1zPq",
        ".tmpaB3dEf",
        "a.json.vsctmp",
        ".goutputstream-AB12CD",
        ".nfs000000000012",
        ".fuse_hidden0000aa",
        ".a.kate-swp",
        ".~lock.a.ods#",
    ] {
        assert!(is_left_out(name.as_bytes()), "{name}");
    }
    for name in [
        "a",
        ".a",
        "#a",
        "#",
        "##a",
        "49130",
        "standin",
        "sedative",
        "sediment1",
        "SEDABCDEF",
        "sed",
        ".conf.backup",
        ".conf.Backup",
        ".conf.README",
        ".tmp",
        ".tmp-saved",
        "a.swo",
        ".nfs",
        "..Xa",
        ".gitignore",
        ".env.local1",
    ] {
        assert!(!is_left_out(name.as_bytes()), "{name}");
    }
    assert!(is_temporary(b".a.conf.qX1zPq") && !is_temporary(b".a.swp"));
}

/// spec 5.2: gitignore syntax
#[test]
fn patterns_say_what_git_says_they_do() {
    let cases: [(&[&str], &[&str], &[&str]); 9] = [
        (&["*.log"], &["a.log", "d/a.log", "d.log/inside", ".log"], &["a.logs", "log"]),
        (&["/a"], &["a", "a/b"], &["d/a"]),
        (&["d/a"], &["d/a", "d/a/b"], &["x/d/a", "d/b"]),
        (&["cache/"], &["cache/x", "d/cache/x"], &["cache"]),
        (&["**/t"], &["t", "a/t", "a/b/t"], &["a/tt"]),
        (&["a/**/b"], &["a/b", "a/x/b", "a/x/y/b"], &["a/x/c", "x/a/b"]),
        (&["a/**"], &["a/b", "a/b/c"], &["a", "b"]),
        (&["*.log", "!keep.log"], &["a.log"], &["keep.log", "d/keep.log"]),
        (&["d/", "!d/keep"], &["d/keep", "d/x"], &["keep"]),
    ];
    for (patterns, covered, free) in cases {
        let exclude = exclude(patterns);
        for text in covered {
            assert!(exclude.covers(&path(text), false), "{patterns:?} {text}");
        }
        for text in free {
            assert!(!exclude.covers(&path(text), false), "{patterns:?} {text}");
        }
    }
    assert!(exclude(&["cache/"]).covers(&path("d/cache"), true));
    assert!(exclude(&["[!a]?\\*"]).covers(&path("bx*"), false) && !exclude(&["[!a]?\\*"]).covers(&path("ax*"), false));
    let any = RelPath::new(b"\xff\xfe.log").unwrap();
    assert!(exclude(&["*.log"]).covers(&any, false) && !Exclude::default().covers(&any, false));
    for wrong in ["", "/", "!", "#a", "a//b", "a/../b", "[a", "a\\", "[[:alpha:]]", &"x".repeat(256)] {
        assert!(fault_of(wrong).is_some(), "{wrong:?}");
    }
}

/// architecture, wall 5: no pattern makes matching slow
#[test]
fn no_pattern_takes_long() {
    let pattern = "*a".repeat(100);
    let exclude = exclude(&[&pattern]);
    let name = "a".repeat(250) + "b";
    assert!(!exclude.covers(&path(&name), false));
}

/// spec 5.2: the same as git itself says, over drawn patterns and paths
#[test]
fn git_agrees() {
    const PIECES: [&str; 14] = ["a", "b", "*", "?", "**", "/", "a.b", "[ab]", "!", "*.b", "/a", "a/", "[!a]", "/**/"];
    const NAMES: [&str; 6] = ["a", "b", "ab", "a.b", "ba", "b.b"];
    if Command::new("git").arg("--version").stdout(Stdio::null()).status().is_err() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(home.path()).args(arguments).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", home.path());
        command
    };
    assert!(git(&["init", "-q"]).status().unwrap().success());
    let mut draw = Draw::new(7);
    let all: Vec<RelPath> = (0..60)
        .map(|_| {
            let depth = 1 + draw.below(3);
            let names: Vec<_> = (0..depth).map(|_| NAMES[draw.below(NAMES.len())]).collect();
            path(&names.join("/"))
        })
        .collect();
    let input: String = all.iter().map(|path| format!("{path}\0")).collect();
    fs::write(home.path().join("paths"), input).unwrap();
    let mut rounds = 0;
    while rounds < 60 {
        let count = 1 + draw.below(3);
        let patterns: Vec<String> = (0..count)
            .map(|_| (0..=draw.below(4)).map(|_| PIECES[draw.below(PIECES.len())]).collect::<String>())
            .filter(|text| fault_of(text).is_none())
            .collect();
        if patterns.is_empty() {
            continue;
        }
        rounds += 1;
        fs::write(home.path().join(".git/info/exclude"), patterns.join("\n") + "\n").unwrap();
        let output = git(&["check-ignore", "--no-index", "-z", "--stdin"])
            .stdin(fs::File::open(home.path().join("paths")).unwrap())
            .output()
            .unwrap();
        let told: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let exclude = Exclude::new(&patterns);
        for path in &all {
            assert_eq!(exclude.covers(path, false), told.contains(&path.as_bytes()), "{patterns:?} {path}");
        }
    }
}
