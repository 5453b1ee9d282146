//! A peer that is authenticated and malicious writes nothing outside the directory, and is not believed (spec 5.3, 5.4, 5.7).

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use serde_bytes::ByteBuf;
use standin::engine::base::Digest;
use standin::engine::message::{Body, Push};
use standin::engine::order::FileKind;
use standin::mirror::tree::Entry;
use standin::mirror::{PushPayload, digest};
use standin::wire::bulk::{self, Piece, Reply, decode_reply, encode_reply};
use standin::wire::link;

use crate::checks::{self, OnDisk};
use crate::harness::{Instance, PASSWORD, USER, copy_sample, eventually};
use crate::middle::{Lie, Middle};

/// Entries of a manifest that has no end.
const ENDLESS_CHUNKS: usize = 400;
/// Lines of a file that does not fit into a push.
const LARGE_LINES: usize = 20_000;
/// Most memory of the shadow while it is lied to, KiB.
const MEMORY_MAX_KIB: u64 = 400 * 1024;

/// Paths that lead out, or are none.
pub const WAYS_OUT: [&[u8]; 12] = [
    b"../evil",
    b"/evil",
    b"a/../../evil",
    b"..",
    b".",
    b"",
    b"a//evil",
    b"./evil",
    b"evil/",
    b"e\0vil",
    b".standin-stage",
    b".standin-stage/evil",
];
/// What a link must not lead to.
pub const TARGETS_OUT: [&[u8]; 4] = [b"/etc", b"..", b"../outside", b"a/../../outside"];

/// A push whose paths are any bytes.
#[derive(Serialize)]
struct RawPayload {
    author: String,
    at: i64,
    message: String,
    changes: Vec<RawChange>,
    contents: Vec<(Digest, ByteBuf)>,
    manifest: bool,
}

#[derive(Clone, Serialize)]
struct RawChange {
    path: ByteBuf,
    old: Option<Entry>,
    new: Option<Entry>,
}

fn file(content: &[u8]) -> Entry {
    Entry::file(0o644, content.len() as u64, digest::of_content(content))
}

fn change(path: &[u8], new: Entry) -> RawChange {
    RawChange { path: ByteBuf::from(path), old: None, new: Some(new) }
}

/// Alters each push; `told` counts them.
fn of_push(told: &Arc<AtomicUsize>, alter: impl Fn(&mut Push, &mut RawPayload) + Send + 'static) -> Lie {
    let told = Arc::clone(told);
    Box::new(move |frame, is_bulk| {
        let Some(mut envelope) = (!is_bulk).then(|| link::decode(frame).ok()).flatten() else {
            return vec![frame.to_vec()];
        };
        if let Body::Push(push) = &mut envelope.body {
            let payload: PushPayload = rmp_serde::from_slice(&push.payload).unwrap();
            let PushPayload { author, at, message, changes, contents, manifest } = payload;
            let raw = |change: standin::mirror::diff::Change| RawChange {
                path: ByteBuf::from(change.path.as_bytes()),
                old: change.old,
                new: change.new,
            };
            let changes = changes.into_iter().map(raw).collect();
            let mut payload = RawPayload { author, at, message, changes, contents, manifest };
            alter(push, &mut payload);
            push.payload = rmp_serde::to_vec_named(&payload).unwrap();
            told.fetch_add(1, Ordering::Relaxed);
        }
        vec![link::encode(&envelope)]
    })
}

/// Alters each answer of a bulk connection: what it becomes.
pub fn of_bulk(told: &Arc<AtomicUsize>, alter: impl Fn(Reply) -> Option<Vec<Reply>> + Send + 'static) -> Lie {
    let told = Arc::clone(told);
    Box::new(move |frame, is_bulk| {
        let Some(reply) = is_bulk.then(|| decode_reply(frame).ok()).flatten() else { return vec![frame.to_vec()] };
        let Some(replies) = alter(reply) else { return vec![frame.to_vec()] };
        told.fetch_add(1, Ordering::Relaxed);
        replies.into_iter().map(|reply| encode_reply(reply).unwrap()).collect()
    })
}

pub fn entry(path: &[u8], kind: FileKind, content: &[u8]) -> bulk::Entry {
    let digest = digest::of_content(content);
    bulk::Entry {
        path: path.to_vec(),
        kind,
        mode: 0o644,
        size: content.len() as u64,
        digest,
        owner: String::new(),
        group: String::new(),
    }
}

fn digest_of(line: usize) -> u128 {
    let digest = digest::of_content(&line.to_be_bytes());
    u128::from_be_bytes(*digest.0.first_chunk().unwrap())
}

/// How the truth travels that the lie takes the place of.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// In one message of the link.
    Push,
    /// The content by a bulk connection.
    Large,
    /// All of it by a bulk connection.
    Complete,
}

/// A pair with a liar between.
pub struct Field {
    pub a: Instance,
    pub b: Instance,
    pub middle: Middle,
    folder: tempfile::TempDir,
    told: Arc<AtomicUsize>,
    edits: usize,
}

impl Field {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("standin-hostile").tempdir().unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/precious"), "as it was").unwrap();
        let mut a = Instance::new(folder.path(), "a", "", "127.0.0.1");
        let mut b = Instance::new(folder.path(), "b", "", "127.0.0.1");
        copy_sample(&a.directory);
        // Free now; nobody else is likely to take them before they are bound again.
        let [port_a, port_b] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let middle = Middle::between(&a.home, &b.home, SocketAddr::from((Ipv4Addr::LOCALHOST, port_a)));
        let [port_a, port_b, port_middle] = [port_a, port_b, middle.port].map(|port| port.to_string());
        a.setup("master", &["--enable-ha", "--listen", "127.0.0.1", "--admin-port", &port_a]);
        let to_middle = ["--master-host", "127.0.0.1", "--master-port", &port_middle];
        b.setup("shadow", &[&["--listen", "127.0.0.1", "--admin-port", &port_b][..], &to_middle].concat());
        for instance in [&a, &b] {
            instance.set("shadow", "check_interval", "100ms");
            instance.set("shadow", "takeover_delay", "10m");
        }
        a.start();
        b.start();
        let (fingerprint, password) = (a.fingerprint(), b.password_file(PASSWORD));
        b.ok(&["shadow", "connect", "--user", USER, "--password-file", &password, "--fingerprint", &fingerprint]);
        let field = Self { a, b, middle, folder, told: Arc::default(), edits: 0 };
        field.wait_same();
        field
    }

    pub fn wait_same(&self) {
        let status = self.a.wait("in sync", |status| {
            status["state"] == "CONNECTED"
                && status["peer"]["in_sync"] == true
                && status["configuration"]["root"] == checks::root(&checks::tree(&self.a.directory))
        });
        let root = status["configuration"]["root"].clone();
        self.b.wait("the same", |status| status["state"] == "READY" && status["configuration"]["root"] == root);
        assert_eq!(checks::tree(&self.a.directory), checks::tree(&self.b.directory));
    }

    /// Everything that is not in a home or a configuration.
    pub fn outside(&self) -> OnDisk {
        let mut all = checks::tree(self.folder.path());
        let is_inside = |path: &[u8]| {
            [&b"a"[..], b"b", b"a-configuration", b"b-configuration"]
                .iter()
                .any(|top| path.strip_prefix(*top).is_some_and(|rest| rest.is_empty() || rest[0] == b'/'))
        };
        all.retain(|path, (_, content)| {
            if path.ends_with(b".out") {
                content.clear();
            }
            !is_inside(path)
        });
        all
    }

    pub fn edit(&self, what: &str, lines: usize) {
        // No line packs as well as the one before it.
        let text: String = (0..lines).map(|line| format!("{what} {} {:x}\n", self.edits, digest_of(line))).collect();
        // All at once: what is caught half-written would be another push than the one that is lied about.
        let aside = self.folder.path().join("edited");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.a.directory.join("edited.txt")).unwrap();
    }

    /// The liar lies until it was heard; nothing is changed by it; then all is well again.
    fn lie(&mut self, what: &str, way: Way, make: impl FnOnce(&Arc<AtomicUsize>) -> Lie) {
        self.edits += 1;
        if way == Way::Complete {
            self.edit(what, 1);
            self.wait_same();
        }
        let (outside, before) = (self.outside(), checks::tree(&self.b.directory));
        let revision = self.b.status()["configuration"]["revision"].clone();
        self.told.store(0, Ordering::Relaxed);
        self.middle.tell(Some(make(&self.told)));
        match way {
            Way::Push => self.edit(what, 1),
            Way::Large => self.edit(what, LARGE_LINES),
            // The transfer that follows fails; the order only begins it.
            Way::Complete => drop(self.b.standin(&["reconnect"])),
        }
        let told = Arc::clone(&self.told);
        // The second one says that the first was answered, and tried again.
        eventually(&format!("{what}: told twice"), || told.load(Ordering::Relaxed) >= 2);
        let (master, shadow) = (self.a.status(), self.b.status());
        let with = format!("{what}: told {}, master {master:#}, shadow {shadow:#}", self.told.load(Ordering::Relaxed));
        assert_eq!(differences(&checks::tree(&self.b.directory), &before), [""; 0], "{with}");
        assert_eq!(differences(&self.outside(), &outside), [""; 0], "{with}");
        assert_eq!(shadow["configuration"]["revision"], revision, "{with}");
        assert_eq!(master["peer"]["in_sync"], false, "{with}");
        let peak = fs::read_to_string(format!("/proc/{}/status", self.b.process())).unwrap();
        let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok());
        assert!(peak.is_some_and(|peak: u64| peak < MEMORY_MAX_KIB), "{what}: {peak:?} KiB");
        self.middle.tell(None);
        // What waits for its next try is not waited for.
        let _ = self.a.standin(&["config", "push"]);
        self.wait_same();
        assert_eq!(differences(&self.outside(), &outside), [""; 0], "{what}, afterwards");
    }
}

/// Paths that are not the same in both.
fn differences(one: &OnDisk, other: &OnDisk) -> Vec<String> {
    let all = one.keys().chain(other.keys()).filter(|path| one.get(*path) != other.get(*path));
    all.map(|path| String::from_utf8_lossy(path).into_owned()).collect()
}

/// spec 5.4, 5.7: pushes on the link that lead out, or lie
#[test]
fn a_lying_push_changes_nothing() {
    let mut field = Field::new();
    field.lie("ways out", Way::Push, |told| {
        let number = AtomicUsize::new(0);
        of_push(told, move |_, payload| {
            let way = WAYS_OUT[number.fetch_add(1, Ordering::Relaxed) % WAYS_OUT.len()];
            payload.changes.insert(0, change(way, file(b"x")));
            payload.contents.push((digest::of_content(b"x"), ByteBuf::from(*b"x")));
        })
    });
    for target in TARGETS_OUT {
        field.lie("a link that leads out", Way::Push, move |told| {
            of_push(told, move |_, payload| {
                payload.changes = vec![change(b"way", Entry::link(target)), change(b"way/evil", file(b"x"))];
                payload.contents = vec![(digest::of_content(target), ByteBuf::from(target))];
            })
        });
    }
    field.lie("a content that is another one", Way::Push, |told| {
        of_push(told, |_, payload| {
            for (_, bytes) in &mut payload.contents {
                bytes.push(b'x');
            }
            payload.contents.truncate(1);
        })
    });
    field.lie("the same path twice", Way::Push, |told| {
        of_push(told, |_, payload| {
            let mut again = payload.changes[0].clone();
            again.new = Some(Entry::directory(0o755));
            payload.changes.push(again);
        })
    });
    field.lie("another digest of the whole", Way::Push, |told| {
        of_push(told, |push, _| push.revision.root = Digest([7; 32]))
    });
    field.lie("no payload", Way::Push, |told| of_push(told, |_, payload| payload.message = "x".repeat(100_000)));
}

/// spec 5.4, 5.7: complete transfers that lead out, have no end, or lie
#[test]
fn a_lying_transfer_changes_nothing() {
    let mut field = Field::new();
    // So many files that the list of them travels by itself.
    for number in 0..3_000 {
        let name = format!("many-{}/file-{number}-with-a-name-that-takes-room", number % 10);
        let path = field.a.directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{number}\n")).unwrap();
    }
    field.wait_same();
    field.lie("ways out", Way::Complete, |told| {
        let number = AtomicUsize::new(0);
        of_bulk(told, move |reply| match reply {
            Reply::ManifestChunk { mut entries, last } => {
                let way = WAYS_OUT[number.fetch_add(1, Ordering::Relaxed) % WAYS_OUT.len()];
                entries.push(entry(way, FileKind::File, b"x"));
                Some(vec![Reply::ManifestChunk { entries, last }])
            }
            _ => None,
        })
    });
    field.lie("a link, and a file through it", Way::Complete, |told| {
        of_bulk(told, |reply| match reply {
            Reply::ManifestChunk { mut entries, last: true } => {
                entries.push(entry(b"zz", FileKind::Link, b"../outside"));
                entries.push(entry(b"zz/evil", FileKind::File, b"x"));
                Some(vec![Reply::ManifestChunk { entries, last: true }])
            }
            _ => None,
        })
    });
    field.lie("a list without an end", Way::Complete, |told| {
        of_bulk(told, |reply| match reply {
            Reply::ManifestChunk { .. } => {
                let chunk = |number: usize| Reply::ManifestChunk {
                    entries: (0..bulk::CHUNK_ENTRIES_MAX)
                        .map(|index| entry(format!("{number:06}-{index:06}").as_bytes(), FileKind::File, b"x"))
                        .collect(),
                    last: false,
                };
                Some((0..ENDLESS_CHUNKS).map(chunk).collect())
            }
            _ => None,
        })
    });
    field.lie("packed bytes that are none, and more than told", Way::Large, |told| {
        let number = AtomicUsize::new(0);
        of_bulk(told, move |reply| match reply {
            Reply::Parcel { pieces } => {
                let is_odd = number.fetch_add(1, Ordering::Relaxed) % 2 == 1;
                let alter = |piece: Piece| match is_odd {
                    true => Piece { total: u64::MAX, size: u64::MAX, ..piece },
                    false => Piece { encoding: 2, ..piece },
                };
                Some(vec![Reply::Parcel { pieces: pieces.into_iter().map(alter).collect() }])
            }
            Reply::ContentChunk { digest, .. } => {
                let bytes = vec![b'x'; 10];
                Some(vec![Reply::ContentChunk { digest, offset: 0, total: u64::MAX, bytes, last: false }])
            }
            _ => None,
        })
    });
}
