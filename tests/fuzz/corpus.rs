//! What is right, to begin with.

use std::fs;
use std::path::Path;

use serde_bytes::ByteBuf;
use standin::backup::archive::{self, Manifest};
use standin::engine::base::{Digest, InstanceId, PairId, RevisionId, Role, Run, Term, UnixMillis};
use standin::engine::message::{Applied, Body, Branch, Envelope, Hello, Purpose, Push, Refusal, RefusalCode, Timing};
use standin::engine::order::FileKind;
use standin::mirror::diff::Change;
use standin::mirror::path::RelPath;
use standin::mirror::tree::Entry;
use standin::mirror::{PushPayload, digest};
use standin::store::Packed;
use standin::wire::bulk::{self, Piece, Reply, Request, encode_reply, encode_request};
use standin::wire::{frame, link, pair};
use uuid::Uuid;

/// Seed of a noise that does not pack.
const NOISE: [u8; 3] = [3, 141, 59];

fn revision(number: u64) -> RevisionId {
    RevisionId { number, term: Term(3), root: Digest([7; 32]) }
}

fn hello() -> Hello {
    let timing = Timing { check_interval_ms: 1, takeover_delay_ms: 2, connect_timeout_ms: 3, request_timeout_ms: 4 };
    Hello {
        version: "0.1.0".into(),
        protocol: 1,
        protocol_min: 1,
        host: "node-b".into(),
        port: 8443,
        description: "k\u{e4}se".into(),
        started: 5,
        purpose: Purpose::Attach,
        head: Some(revision(9)),
        trail: vec![revision(8), revision(7)],
        complete: true,
        was_master: false,
        forced_shadow: false,
        promised: false,
        was_ready: true,
        timing,
        grace_period_ms: 0,
        takeover_checks_pass: true,
        takeover_checks: (2, 1),
        service: "none".into(),
        takeovers: Default::default(),
        kit: None,
        active: Some(true),
        unwatched: false,
        start: 7,
    }
}

pub fn payloads() -> Vec<Vec<u8>> {
    let path = |bytes: &[u8]| RelPath::new(bytes).unwrap();
    let file = Entry::file(0o644, 3, digest::of_content(b"abc"));
    let payload = PushPayload {
        author: "anna".into(),
        at: 5,
        message: "because".into(),
        changes: vec![
            Change { path: path(b"d"), old: None, new: Some(Entry::directory(0o755)) },
            Change { path: path(b"d/caf\xe9"), old: None, new: Some(file) },
            Change { path: path(b"link"), old: Some(file), new: Some(Entry::link(b"d/x")) },
            Change { path: path(b"z"), old: Some(file), new: None },
        ],
        contents: vec![(file.digest, ByteBuf::from(*b"abc"))],
        manifest: false,
    };
    vec![rmp_serde::to_vec_named(&payload).unwrap()]
}

pub fn envelopes() -> Vec<Vec<u8>> {
    let branch = Branch {
        name: "diverged-term-1-rev-12".into(),
        common: Some(revision(1)),
        head: revision(12),
        revisions: 11,
        files: vec!["a.yaml".into()],
        files_total: 1,
        at: UnixMillis(0),
        author: String::new(),
        holder: String::new(),
    };
    let payload = payloads().remove(0);
    let bodies = [
        Body::Hello(Box::new(hello())),
        Body::Welcome(Box::new(hello())),
        Body::Refused(Refusal { code: RefusalCode::NotMyPair, why: "forgotten".into() }),
        Body::Push(Box::new(Push { revision: revision(2), base: None, common: Some(revision(1)), payload })),
        Body::Applied(Applied { revision: revision(2), files: 3 }),
        Body::BranchKept(branch),
        Body::FarewellHeard,
    ];
    let envelope = |body| Envelope {
        pair: PairId(Uuid::from_u128(1)),
        from: InstanceId(Uuid::from_u128(2)),
        run: Run(3),
        role: Role::Shadow,
        term: Term(4),
        body,
    };
    bodies.into_iter().map(|body| link::encode(&envelope(body))).collect()
}

pub fn pairing() -> Vec<Vec<u8>> {
    let welcome = pair::PairWelcome {
        version: "0.1.0".into(),
        protocol: 1,
        protocol_min: 1,
        host: "node-a".into(),
        role: Some(Role::Master),
        description: String::new(),
        refusal: Some(Refusal { code: RefusalCode::NotMyPair, why: "no".into() }),
    };
    let mut all = vec![pair::encode_master(&pair::MasterSays::Welcome(welcome)).unwrap()];
    all.extend(envelopes());
    all
}

pub fn bulk() -> Vec<Vec<u8>> {
    let entry = |path: &[u8]| bulk::Entry {
        path: path.to_vec(),
        kind: FileKind::File,
        mode: 0o640,
        size: 3,
        digest: Digest([1; 32]),
        owner: "app".into(),
        group: "www".into(),
    };
    let piece = Piece { digest: Digest([1; 32]), encoding: 2, size: 9, total: 5, offset: 0, bytes: vec![1; 5] };
    let entries = vec![entry(b"a"), entry(b"caf\xe9/x")];
    let requests = [
        Request::Manifest { revision: revision(3) },
        Request::Contents { digests: vec![Digest([1; 32]); 3], packed: true, from: 7 },
        Request::Verify,
        Request::Forget { path: b"a/b".to_vec(), by: "anna".into() },
    ];
    let replies = [
        Reply::ManifestChunk { entries: entries.clone(), last: true },
        Reply::VerifyChunk { root: Digest([3; 32]), entries, last: false },
        Reply::ContentChunk { digest: Digest([2; 32]), offset: 1, total: 9, bytes: vec![4; 8], last: true },
        Reply::Parcel { pieces: vec![piece.clone(), piece] },
        Reply::Working,
        Reply::Failed { why: "no".into() },
    ];
    let mut all: Vec<Vec<u8>> = requests.iter().map(|request| encode_request(request).unwrap()).collect();
    all.extend(replies.into_iter().map(|reply| encode_reply(reply).unwrap()));
    all
}

pub fn frames() -> Vec<Vec<u8>> {
    let limit = frame::LINK_FRAME_MAX_BYTES;
    let mut all: Vec<_> = envelopes().iter().map(|envelope| frame::encode(envelope, limit).unwrap()).collect();
    all.push(all.concat());
    all
}

/// Encoding, three bytes of the size, packed bytes.
pub fn packed() -> Vec<Vec<u8>> {
    let noise: Vec<u8> = (0..5_000_u32).map(|at| NOISE[at as usize % 3].wrapping_mul(at.to_be_bytes()[3])).collect();
    [vec![0; 200_000], noise, b"short".to_vec()]
        .into_iter()
        .flat_map(|content| {
            let packed = Packed::of(content);
            (0..3).map(move |encoding| {
                let encoding = if encoding == 0 { packed.encoding } else { encoding };
                let size = u32::try_from(packed.size).unwrap().to_be_bytes();
                [&[encoding][..], &size[1..], &packed.bytes].concat()
            })
        })
        .collect()
}

/// Files of the sample configuration, and what is hard about YAML.
pub fn texts() -> Vec<Vec<u8>> {
    fn walk(at: &Path, all: &mut Vec<Vec<u8>>) {
        for entry in fs::read_dir(at).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, all);
            } else {
                all.push(fs::read(&path).unwrap());
            }
        }
    }
    let mut all = Vec::new();
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    walk(&top.join("config/sample"), &mut all);
    let laughs: String = (1..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, number| {
        let before = number - 1;
        format!(
            "{text}a{number}: &a{number} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}, *a{before}]\n"
        )
    });
    all.push(laughs.into_bytes());
    all.push(b"? [a, b]\n: !custom {c: 1}\n---\n- |\n  block\n- >-\n  folded\n...\n--- \"x\\u0041\"\n".to_vec());
    all.push(
        b"password: |\n  secret\n  more\nlist:\n- token: abc\n  user: x\n{\"apiKey\": \"k\"}\n<pwd>x</pwd>\n".to_vec(),
    );
    all.push(
        b"? pass\n: \"x\ny\"\n\"pass\\u0077ord\": {a: [x,\ny]}\n'pass''word': z\n- ? |\n    pin\n  : - x\n*k : y\n# token:\n#   x\n{\"pwd\"\n: x}\n"
            .to_vec(),
    );
    all
}

pub fn settings() -> Vec<Vec<u8>> {
    let default = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/settings.yaml")).unwrap();
    let small = b"host: node-a\nshadow:\n  check_interval: 1s\n  takeover_delay: 3s\nlog:\n  level: info\n".to_vec();
    let hard = b"configuration:\n  exclude: [\"*.log\", \"!a/**\"]\nservice: {command: [\"/bin/x\", \"y\"]}\n".to_vec();
    vec![default, small, hard]
}

pub fn paths() -> Vec<Vec<u8>> {
    let all = [
        &b"a"[..],
        b"a/b/c.yaml",
        b"caf\xe9/new\nline",
        b"../x",
        b"/x",
        b"a/./b",
        b"a\\x41",
        b"\xf0\x9f\x98\x80",
        b"a~",
    ];
    all.iter().map(|path| path.to_vec()).collect()
}

/// Patterns, a line with nothing in it, paths.
pub fn patterns() -> Vec<Vec<u8>> {
    let all = [
        &b"*.log\n!keep.log\n/top\ndir/\na/**/b\n[a-z]?[!x]\n\\#x\n\na.log\ndir/x/y\na/1/2/b\n"[..],
        b"**/*a*a*a*a*a*a*b\n\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
    ];
    all.iter().map(|patterns| patterns.to_vec()).collect()
}

/// What is inside a backup, once it is decrypted and unpacked.
pub fn archives() -> Vec<Vec<u8>> {
    let manifest = Manifest {
        format: archive::FORMAT,
        version: "0.1.0".into(),
        host: "node-a".into(),
        instance: "1".into(),
        role: Some(Role::Master),
        term: Term(3),
        known_term: Term(3),
        at: UnixMillis(5),
        revision: Some(revision(2)),
        has_identity: true,
        has_history: true,
    };
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind: tar::EntryType, target: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        if !target.is_empty() {
            header.set_link_name(target).unwrap();
        }
        tar.append_data(&mut header, name, content).unwrap();
    };
    let long = format!("configuration/{}", "long/".repeat(40));
    add("manifest.json", tar::EntryType::Regular, "", &serde_json::to_vec(&manifest).unwrap());
    for name in ["settings.yaml", "users.yaml", "record.json", "identity/key.pem", "standin.db", "configuration/a"] {
        add(name, tar::EntryType::Regular, "", b"content: 1\n");
    }
    add("configuration/d", tar::EntryType::Directory, "", b"");
    add("configuration/d/link", tar::EntryType::Symlink, "../a", b"");
    add(&long, tar::EntryType::Directory, "", b"");
    vec![tar.into_inner().unwrap()]
}
