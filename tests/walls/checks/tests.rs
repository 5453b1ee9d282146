//! Each check bites on a bad snippet and lets the good one be.

use super::*;

type Check = fn(&Source) -> Vec<String>;

#[track_caller]
fn bites(check: Check, path: &str, snippets: &[&str]) {
    for snippet in snippets {
        assert!(!check(&Source::new(path, snippet)).is_empty(), "{path}: {snippet}");
    }
}

#[track_caller]
fn allows(check: Check, path: &str, snippets: &[&str]) {
    for snippet in snippets {
        assert_eq!(check(&Source::new(path, snippet)), Vec::<String>::new(), "{path}: {snippet}");
    }
}

#[test]
fn purity_bites() {
    let bad = [
        "use std::fs;",
        "use std::{io, fs::File};",
        "use std::{\n    collections::BTreeMap,\n    net::IpAddr,\n};",
        "fn f() { std::thread::sleep(d) }",
        "use std :: env ;",
        "let t = Instant::now();",
        "let t = std::time::SystemTime ::now();",
        "use std::collections::{BTreeMap, HashMap};",
        "async fn f() {}",
        "let id = Uuid::new_v4();",
        "use std::os::unix::net::UnixStream;",
    ];
    for path in ["src/engine/role.rs", "src/wire.rs", "src/console/model.rs", "src/view/theme.rs", "src/mirror/diff.rs"]
    {
        bites(purity, path, &bad);
    }
    let good = [
        "use std::{io::{self, Read}, fmt};",
        "// std::fs is the node's\nlet text = \"async HashMap std::net\";",
        "#[cfg(test)]\nmod tests { use std::fs; }",
        "let fs = 1; mystd::fs();",
    ];
    allows(purity, "src/engine/role.rs", &good);
    allows(purity, "src/mirror/scan.rs", &["use std::fs;"]);
}

#[test]
fn floats_bite() {
    bites(floats, "src/engine/role.rs", &["let x: f64 = y;", "let x = 1.5;", "fn f(x: f32) {}"]);
    bites(floats, "src/engine/status.rs", &["pub load: f64,"]);
    allows(floats, "src/engine/status.rs", &["pub round_trip_ms: Option<f64>,"]);
    allows(floats, "src/engine/role.rs", &["let x = pair.0.1;", "// 1.5\nlet x = \"0.5\";", "0..10", "1.max(2)"]);
}

#[test]
fn acquaintances_bite() {
    bites(
        acquaintances,
        "src/engine/role.rs",
        &["use crate::wire::control;", "use crate::{engine::base, view::draw};"],
    );
    bites(acquaintances, "src/console/model.rs", &["use crate::wire::control;", "crate::store::open();"]);
    bites(acquaintances, "src/api.rs", &["use crate::node::run;", "use crate::store::Store;"]);
    bites(acquaintances, "src/cli/status.rs", &["use crate::store::Store;", "use crate::identity;"]);
    bites(acquaintances, "src/main.rs", &["fn main() { standin::service::guard() }"]);
    allows(acquaintances, "src/node/net.rs", &["use crate::{store::Store, identity, service};"]);
    allows(acquaintances, "src/cli/rooms.rs", &["use crate::node;"]);
    allows(acquaintances, "src/view/overview.rs", &["use crate::console::model::Model;", "use crate::engine::base;"]);
}

#[test]
fn crates_bite() {
    bites(crates, "src/console/model.rs", &["use ratatui::style::Color;", "fn f(e: crossterm::Event) {}"]);
    bites(crates, "src/cli/console.rs", &["use tokio::select;", "async fn f() {}"]);
    bites(crates, "src/mirror/scan.rs", &["use rusqlite::Connection;"]);
    allows(crates, "src/view/theme.rs", &["use ratatui::style::Color;"]);
    allows(crates, "src/node/net.rs", &["async fn f() { tokio::spawn(g()) }"]);
}

#[test]
fn sql_bites() {
    bites(sql, "src/mirror/history.rs", &["q(\"SELECT id FROM events\")", "q(\"\n    DELETE FROM x\")"]);
    allows(sql, "src/store/events.rs", &["q(\"SELECT id FROM events\")"]);
    allows(sql, "src/mirror/history.rs", &["// SELECT a\nlet x = \"to SELECT a\";"]);
}

#[test]
fn panics_bite() {
    bites(panics, "src/cli/x.rs", &["let x = y.unwrap();", "todo!()", "y.expect(\"there\")", "f().unwrap()\n// late"]);
    let good = [
        "#[cfg(test)]\nmod tests { fn f() { y.unwrap() } }",
        "// The mutex is never held by a thread that panics.\nlet x = y.expect(\"not poisoned\");",
        "let x = y.unwrap_or_default(); parser.expect(Token::End);",
        "/// y.unwrap()\nlet text = \".unwrap()\";",
    ];
    allows(panics, "src/cli/x.rs", &good);
}

#[test]
fn unsafe_bites() {
    bites(unsafe_code, "src/cli/x.rs", &["unsafe { f() }", "#[allow(unused)] unsafe fn f() {}"]);
    allows(unsafe_code, "src/service/spawn.rs", &["unsafe { f() }"]);
    allows(unsafe_code, "src/lib.rs", &["#![deny(unsafe_code)]"]);
}

#[test]
fn foreign_words_bite() {
    let machine = vec!["/workplace/".to_owned()];
    let host = format!("see https://{}/x", PACKAGE_HOSTS[0]);
    let place = format!("/home/me{}/x", BUILD_PLACES[0]);
    for bad in [host.as_str(), &place, "cd /workplace/main", "`/workplace/x`"] {
        assert_eq!(foreign_words("README.md", bad, &machine).len(), 1, "{bad}");
    }
    for good in ["some/workplace/x", "/var/lib/standin", "${TOP}/workplace/x"] {
        assert!(foreign_words("README.md", good, &machine).is_empty(), "{good}");
    }
}
