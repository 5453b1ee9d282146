use super::*;
use crate::engine::base::Digest;
use crate::mirror::owners::Owners;

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        version: "0.1.0".into(),
        host: "node-a".into(),
        instance: "i".into(),
        role: Some(Role::Master),
        term: Term(3),
        known_term: Term(4),
        at: UnixMillis(1_795_356_000_000),
        revision: Some(RevisionId { number: 2, term: Term(3), root: Digest([1; 32]) }),
        has_identity: false,
        has_history: false,
    }
}

fn told(part: Part<'_>) -> String {
    match part {
        Part::Manifest(manifest) => format!("manifest of {}", manifest.host),
        Part::Settings(bytes) => format!("settings {}", bytes.len()),
        Part::Users(bytes) => format!("users {}", bytes.len()),
        Part::Record(bytes) => format!("record {}", bytes.len()),
        Part::Identity(name, bytes) => format!("identity {name} {}", bytes.len()),
        Part::Database(source) => format!("database {}", io::copy(source, &mut io::sink()).unwrap()),
        Part::Path { path, kind, mode, owners, content } => {
            format!("{kind:?} {path} {mode:o}{owners} {}", String::from_utf8_lossy(&content))
        }
    }
}

fn read_all(tar: &[u8]) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    let mut take = |part: Part<'_>| {
        all.push(told(part));
        Ok(())
    };
    read_tar(tar, &mut take).map_err(|problem| problem.why)?;
    Ok(all)
}

/// interfaces, backup: every part, a long path, a name that is not UTF-8, and a target byte for byte.
#[test]
fn every_part_comes_back() {
    let password = Secret::new("correct horse".into());
    let mut writer = Writer::new(Vec::new(), &password, &manifest()).unwrap();
    writer.settings(b"settings").unwrap();
    writer.users(b"users").unwrap();
    writer.record(b"{}").unwrap();
    writer.identity("link.pem", b"key").unwrap();
    writer.database(5, &mut &b"bytes and more"[..]).unwrap();
    let (deep, target) = (["dddd"; 60].join("/"), format!("./{}//x", "y".repeat(150)));
    let path = |text: &[u8]| RelPath::new(text).unwrap();
    let owned = |owner: &str, group: &str| Owners::of(owner, group).unwrap();
    let long = "x".repeat(100);
    let directory = Entry::directory(0o750).with_owners(owned("app", "www"));
    writer.path(&path(b"d"), &directory, b"").unwrap();
    let file = |mode, text: &[u8]| Entry::file(mode, text.len() as u64, crate::mirror::digest::of_content(text));
    let of_long = file(0o4711, b"x").with_owners(owned(&long, "user@domain.example"));
    writer.path(&path(deep.as_bytes()), &of_long, b"x").unwrap();
    writer.path(&path(b"caf\xe9"), &file(0o600, b""), b"").unwrap();
    writer.path(&path(b"long"), &Entry::link(target.as_bytes()), target.as_bytes()).unwrap();
    writer.path(&path(b"short"), &Entry::link(b"./a//b"), b"./a//b").unwrap();
    let bytes = writer.finish().unwrap();
    let mut all = Vec::new();
    let mut take = |part: Part<'_>| {
        all.push(told(part));
        Ok(())
    };
    read(bytes.as_slice(), &password, &mut take).unwrap();
    let expected = [
        "manifest of node-a".to_owned(),
        "settings 8".into(),
        "users 5".into(),
        "record 2".into(),
        "identity link.pem 3".into(),
        "database 5".into(),
        "Directory d 750app:www ".into(),
        format!("File {deep} 4711{long}:user@domain.example x"),
        "File caf\\xe9 600 ".into(),
        format!("Link long 777 {target}"),
        "Link short 777 ./a//b".into(),
    ];
    assert_eq!(all, expected);
    for cut in [bytes.len() - 1, bytes.len() - 17, bytes.len() / 2] {
        assert!(
            read(&bytes[..cut], &password, &mut |part| {
                told(part);
                Ok(())
            })
            .is_err(),
            "cut at {cut}"
        );
    }
}

fn entry(kind: u8, name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    name_it(&mut header, name);
    header.set_cksum();
    let mut bytes = [header.as_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// interfaces, restore: a hostile archive gets nothing outside, nothing twice, nothing special and nothing without a limit.
#[test]
fn a_hostile_archive_is_refused() {
    let first = entry(b'0', b"manifest.json", &serde_json::to_vec(&manifest()).unwrap());
    let archive = |parts: &[Vec<u8>]| [first.clone(), parts.concat(), vec![0; 1_024]].concat();
    assert_eq!(read_all(&archive(&[])).unwrap(), ["manifest of node-a"]);
    let refused: [(&str, Vec<u8>); 16] = [
        ("up", entry(b'0', b"configuration/../../etc/passwd", b"x")),
        ("absolute", entry(b'0', b"configuration//etc/passwd", b"x")),
        ("dot", entry(b'0', b"configuration/./x", b"x")),
        ("root", entry(b'0', b"/etc/passwd", b"x")),
        ("other part", entry(b'0', b"control.sock", b"x")),
        ("other identity", entry(b'0', b"identity/../users.yaml", b"x")),
        ("hidden identity", entry(b'0', b"identity/.x", b"x")),
        ("hard link", entry(b'1', b"configuration/x", b"")),
        ("device", entry(b'3', b"configuration/x", b"")),
        ("fifo", entry(b'6', b"configuration/x", b"")),
        ("sparse", entry(b'S', b"configuration/x", b"")),
        ("pax", entry(b'x', b"pax", b"30 path=/etc/passwd\n")),
        ("pax without a value", entry(b'x', b"pax", b"8 uname\n")),
        ("pax owner", [entry(b'x', b"pax", b"12 uname=a:b\n"), entry(b'0', b"configuration/x", b"")].concat()),
        ("settings as link", entry(b'2', b"settings.yaml", b"")),
        ("long name", entry(b'L', b"././@LongLink", &vec![b'x'; 9_000])),
    ];
    for (what, part) in refused {
        assert!(read_all(&archive(&[part])).is_err(), "{what}");
    }
    let twice = entry(b'0', b"configuration/x", b"x");
    assert!(read_all(&archive(&[twice.clone(), twice])).unwrap_err().contains("twice"));
    let mut huge = entry(b'0', b"configuration/x", b"");
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(CONTENT_MAX_BYTES + 1);
    name_it(&mut header, b"configuration/x");
    header.set_cksum();
    huge[..512].copy_from_slice(header.as_bytes());
    assert!(read_all(&archive(&[huge])).unwrap_err().contains("at most"));
    assert!(read_all(&archive(&[vec![0; 1_024], vec![1; 5_000_000]])).is_err());
    assert!(read_all(&entry(b'0', b"settings.yaml", b"x")).unwrap_err().contains("description"));
    assert!(read_all(&vec![0; 1_024]).unwrap_err().contains("nothing"));
    let newer = serde_json::to_vec(&Manifest { format: 2, ..manifest() }).unwrap();
    assert!(read_all(&entry(b'0', b"manifest.json", &newer)).unwrap_err().contains("its form is 2"));
}
