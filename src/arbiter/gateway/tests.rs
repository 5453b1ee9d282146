use serde_json::json;
use uuid::Uuid;

use super::*;

fn keys() -> Keys {
    Keys::new("/standin/", PairId(Uuid::nil()))
}

#[test]
fn keys_are_named_after_prefix_and_pair() {
    assert_eq!(keys().record, "/standin/00000000-0000-0000-0000-000000000000/vote");
    assert_eq!(keys().lease, "/standin/00000000-0000-0000-0000-000000000000/lease");
}

/// spec 7.11: what is zero is left out of etcd's answers; nothing else may be missing, and nothing may be of another type.
#[test]
fn answers_of_another_shape_are_no_answers() {
    let header = json!({"raft_term": "3"});
    let none = json!({"response_range": {}});
    let with = |record: serde_json::Value| json!({"header": header, "responses": [record, none]});
    let empty = seen(&keys(), &with(none.clone())).unwrap();
    assert_eq!(empty, Seen { record: None, lease: None, raft_term: 3 });
    let value = coded("{\"term\":5,\"holder\":null,\"known\":{}}");
    let kv = |kv: serde_json::Value| with(json!({"response_range": {"kvs": [kv]}}));
    let held = seen(&keys(), &kv(json!({"value": value, "mod_revision": "7"}))).unwrap().record.unwrap();
    assert_eq!((held.value.term.0, held.revision, held.lease), (5, 7, 0));
    // Numbers as numbers are taken too.
    assert!(seen(&keys(), &kv(json!({"value": value, "mod_revision": 7}))).is_ok());
    for wrong in [
        kv(json!({"value": value})),
        kv(json!({"value": value, "mod_revision": "0"})),
        kv(json!({"value": value, "mod_revision": "-1"})),
        kv(json!({"value": value, "mod_revision": "x"})),
        kv(json!({"value": value, "mod_revision": "99999999999999999999"})),
        kv(json!({"value": "%%", "mod_revision": "7"})),
        kv(json!({"value": 7, "mod_revision": "7"})),
        kv(json!(7)),
        with(json!({"response_range": {"kvs": []}})),
        with(json!({"response_range": {"kvs": [{}, {}]}})),
        with(json!({})),
        json!({"header": header, "responses": []}),
        json!({"header": header}),
        json!({"header": {}, "responses": [none, none]}),
        json!({"header": {"raft_term": []}, "responses": [none, none]}),
        json!({"responses": [none, none]}),
        json!([]),
    ] {
        assert!(matches!(seen(&keys(), &wrong), Err(Failure::Endpoint(_))), "{wrong}");
    }
}

/// spec 7.11: what Standin did not write is named, and no other endpoint is asked.
#[test]
fn foreign_values_are_named() {
    let crowd: Vec<String> = (0..5).map(|n| format!("\"{}\":1", Uuid::from_u128(n))).collect();
    let crowd = format!("{{\"term\":1,\"known\":{{{}}}}}", crowd.join(","));
    let huge = format!("{{\"term\":1,\"x\":\"{}\"}}", "x".repeat(VALUE_MAX_BYTES));
    for text in ["", "x", "{}", "{\"known\":{}}", "{\"term\":null}", "{\"term\":1.5}", "7", &crowd, &huge] {
        let kv = json!({"value": coded(text), "mod_revision": "7"});
        let record = json!({"response_range": {"kvs": [kv]}});
        let answer = json!({"header": {"raft_term": "1"}, "responses": [record, {"response_range": {}}]});
        let Err(Failure::Final(why)) = seen(&keys(), &answer) else { panic!("{text}") };
        assert!(why.contains(&keys().record), "{why}");
    }
}

#[test]
fn leases_are_read_from_both_kinds_of_answers() {
    let header = json!({"raft_term": "3"});
    let plain = json!({"header": header, "ID": "12", "TTL": "11"});
    let expected = Alive { id: 12, ttl_s: 11, raft_term: 3 };
    assert_eq!(alive(&plain), Ok(expected));
    assert_eq!(alive(&json!({"result": plain})), Ok(expected));
    assert_eq!(alive(&json!({"result": {"header": header, "ID": "12"}})).unwrap().ttl_s, 0);
    for wrong in [json!({}), json!({"header": header, "TTL": "11"}), json!({"ID": "1"}), json!({"result": 7})] {
        assert!(alive(&wrong).is_err(), "{wrong}");
    }
    assert!(alive(&json!({"header": header, "ID": "12", "error": "full"})).is_err());
}

#[test]
fn refusals_say_what_to_do() {
    for (code, message, expected) in [
        (3, "etcdserver: user name is empty", "arbiter.user"),
        (3, "etcdserver: authentication failed, invalid user ID or password", "password file"),
        (7, "etcdserver: permission denied", "readwrite under arbiter.prefix"),
        (14, "etcdserver: no leader", "etcdserver: no leader"),
    ] {
        assert!(refusal(code, message).why().contains(expected), "{message}");
    }
}
