use super::*;
use crate::engine::base::{Digest, InstanceId, Term, UnixMillis};
use crate::engine::durable::Durable;
use crate::engine::event::{Event, EventKind, Severity};
use crate::mirror::digest;

fn open(home: &Path) -> Store {
    Store::open(home).unwrap()
}

fn event(text: &str) -> Event {
    Event {
        id: 0,
        at: UnixMillis(1),
        kind: EventKind::Program,
        severity: Severity::Information,
        text: text.into(),
        who: None,
        timeline: Vec::new(),
    }
}

/// spec 7.3: what was written is there after the process is gone
#[test]
fn the_record_outlives_the_process() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    assert_eq!(store.load_durable().unwrap(), None);
    assert!(store.raise_run().unwrap_err().why.contains("not set up"));
    let mut durable = Durable::new(InstanceId(uuid::Uuid::from_u128(7)));
    durable.term = Term(3);
    store.save_durable(&durable).unwrap();
    assert_eq!(store.raise_run().unwrap().run.0, 1);
    store.set_seal("a").unwrap();
    store.set_seal("b").unwrap();
    drop(store);
    let store = open(home.path());
    assert_eq!(store.raise_run().unwrap().run.0, 2);
    assert_eq!(store.load_durable().unwrap().unwrap().term, Term(3));
    assert_eq!(store.seal().unwrap().as_deref(), Some("b"));
    let pragma = |connection: &Connection, name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
    };
    assert_eq!(pragma(&store.record(), "synchronous"), rusqlite::types::Value::Integer(2), "full");
    assert_eq!(pragma(&store.mirror(), "synchronous"), rusqlite::types::Value::Integer(2), "full");
    assert_eq!(pragma(&store.record(), "journal_mode"), rusqlite::types::Value::Text("wal".into()));
    assert_eq!(pragma(&store.mirror(), "foreign_keys"), rusqlite::types::Value::Integer(1));
}

/// spec 8.1: only one process runs a home
#[test]
fn a_second_open_is_refused_and_names_the_first() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let problem = Store::open(home.path()).unwrap_err();
    assert!(problem.why.contains(&std::process::id().to_string()), "{problem}");
    assert!(Store::open_read_only(home.path()).is_ok(), "reading is for everyone");
    drop(store);
    open(home.path());
}

/// A home of a newer version is left alone.
#[test]
fn a_newer_or_damaged_home_is_refused() {
    let home = tempfile::tempdir().unwrap();
    assert!(Store::open_read_only(home.path()).unwrap_err().why.contains("no Standin"));
    open(home.path()).record().pragma_update(None, "user_version", schema::SCHEMA + 1).unwrap();
    for problem in [Store::open(home.path()).unwrap_err(), Store::open_read_only(home.path()).unwrap_err()] {
        assert!(problem.why.contains("this home belongs to a newer Standin"), "{problem}");
    }
    for name in ["standin.db", "standin.db-wal", "standin.db-shm"] {
        let _ = std::fs::remove_file(home.path().join(name));
    }
    std::fs::write(home.path().join("standin.db"), vec![b'x'; 8192]).unwrap();
    let problem = Store::open(home.path()).unwrap_err();
    assert!(problem.todo.contains("damaged"), "{problem}");
}

/// spec 9.4
#[test]
fn only_the_owner_can_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    store.append_event(&event("x")).unwrap();
    for name in ["standin.db", "standin.db-wal", "standin.lock"] {
        let mode = std::fs::metadata(home.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

/// spec 5.2: contents are kept once, and come back as they were
#[test]
fn contents_come_back() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let noise: Vec<u8> = (0..5_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let all: Vec<(Digest, Vec<u8>)> = [vec![], b"short".to_vec(), vec![b'a'; 100_000], noise, vec![7; 5_000_000]]
        .into_iter()
        .map(|bytes| (digest::of_content(&bytes), bytes))
        .collect();
    let packed: Vec<_> = all.iter().map(|(digest, bytes)| (*digest, Packed::of(bytes.clone()))).collect();
    store.put_contents(&packed).unwrap();
    store.put_contents(&packed).unwrap();
    for (digest, bytes) in &all {
        assert!(store.has_content(digest).unwrap());
        assert_eq!(store.content(digest).unwrap().as_ref(), Some(bytes));
    }
    assert_eq!(store.content(&Digest::ZERO).unwrap(), None);
    let count: i64 = store.mirror().query_row("SELECT count(*) FROM content", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 5);
    let kept: i64 = store.mirror().query_row("SELECT sum(length(bytes)) FROM content", [], |row| row.get(0)).unwrap();
    assert!(kept < 100_000, "equal bytes are packed: {kept}");
    // Of an older version.
    let old = Packed { encoding: 1, size: 100_000, bytes: lz4_flex::block::compress(&all[2].1) };
    assert_eq!(old.unpack().unwrap(), all[2].1);
    for (encoding, size) in [(2, 5_000_000), (1, 5), (0, 5), (7, 100_000), (1, u64::MAX)] {
        assert!(Packed { encoding, size, ..old.clone() }.unpack().is_err(), "{encoding} {size}");
    }
    store.drop_loose_contents().unwrap();
    assert!(!store.has_content(&all[1].0).unwrap());
}

#[test]
fn events_are_numbered_and_bounded() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    for number in 1..=EVENTS_MAX + 1_000 {
        assert_eq!(store.append_event(&event(&number.to_string())).unwrap(), number);
    }
    let count: i64 = store.notes().query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap();
    assert_eq!(count.cast_unsigned(), EVENTS_MAX);
    let ids = |events: Vec<Event>| events.into_iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!(ids(store.events_after(EVENTS_MAX + 997, 2).unwrap()), [EVENTS_MAX + 998, EVENTS_MAX + 999]);
    assert_eq!(ids(store.last_events(2).unwrap()), [EVENTS_MAX + 999, EVENTS_MAX + 1_000]);
    assert_eq!(store.events_after(u64::MAX, 5).unwrap(), []);
}

/// spec 6.6
#[test]
fn alerts_survive_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let alert = |id, what: &str| crate::engine::alerts::Alert {
        id,
        code: "P-010".into(),
        subject: String::new(),
        severity: Severity::Error,
        category: crate::engine::alerts::Category::Configuration,
        what: what.into(),
        why: String::new(),
        means: String::new(),
        todo: String::new(),
        since: UnixMillis(1),
        last_seen: UnixMillis(2),
        count: 1,
        actions: Vec::new(),
        is_over: false,
    };
    let store = open(home.path());
    store.save_alert(&alert(1, "one")).unwrap();
    store.save_alert(&alert(2, "two")).unwrap();
    store.save_alert(&alert(1, "one again")).unwrap();
    drop(store);
    let store = open(home.path());
    assert_eq!(store.load_alerts().unwrap(), [alert(2, "two"), alert(1, "one again")]);
    store.drop_alert(2).unwrap();
    store.drop_alert(2).unwrap();
    assert_eq!(store.load_alerts().unwrap().len(), 1);
}

/// spec 5.6: a home of an earlier version gives space back too, and lacks no table; what was in it is still there
#[test]
fn a_home_of_an_earlier_version_is_brought_up_to_date() {
    let home = tempfile::tempdir().unwrap();
    let earlier = Connection::open(home.path().join(DATABASE)).unwrap();
    earlier.pragma_update(None, "journal_mode", "wal").unwrap();
    earlier.execute_batch(schema::TABLES).unwrap();
    earlier.pragma_update(None, "user_version", schema::SCHEMA).unwrap();
    earlier.execute("INSERT INTO fact (key, value) VALUES ('seal', 'kept')", []).unwrap();
    let auto_vacuum = |connection: &Connection| -> i64 {
        connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap()
    };
    assert_eq!(auto_vacuum(&earlier), 0, "it bites");
    drop(earlier);
    let digest = Digest([1; 32]);
    assert!(!Store::open_read_only(home.path()).unwrap().is_forgotten(&digest).unwrap());
    let store = open(home.path());
    assert_eq!(auto_vacuum(&store.mirror()), 2);
    assert_eq!(store.seal().unwrap().as_deref(), Some("kept"));
    assert_eq!(store.forgets_due().unwrap(), []);
}
