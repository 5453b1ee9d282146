//! A shadow that is authenticated and malicious is not believed, and makes the master write nothing outside its directory
//! (spec 5.4, 5.7, 7.6).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use standin::engine::base::{Digest, RevisionId, Term, UnixMillis};
use standin::engine::message::{Body, Branch};
use standin::engine::order::FileKind;
use standin::wire::bulk::{ChangedEntry, Piece, Reply};
use standin::wire::link;

use crate::checks;
use crate::harness::eventually;
use crate::hostile::{Field, TARGETS_OUT, WAYS_OUT, entry, of_bulk};
use crate::middle::{Lie, Middle};

/// What the liar says it keeps.
const BRANCH: &str = "drift-term-1-rev-99";

/// A pair whose master, too, dials its shadow by way of the liar.
fn field_with_way_back() -> (Field, Middle) {
    let field = Field::new();
    let port = field.b.status()["instance"]["ha_port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
    let shadow = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let back = Middle::between(&field.b.home, &field.a.home, shadow);
    field.middle.lead_back_by(back.port);
    // The port is told in a hello.
    let before = field.a.status()["peer"]["connected_since"].clone();
    field.b.ok(&["reconnect"]);
    field.a.wait("connected anew", |status| {
        let since = &status["peer"]["connected_since"];
        !since.is_null() && *since != before
    });
    field.wait_same();
    (field, back)
}

/// spec 5.7: an acknowledgement of another digest is none
#[test]
fn a_shadow_that_acknowledges_another_digest_is_not_in_sync() {
    let field = Field::new();
    let told = Arc::new(AtomicUsize::new(0));
    let lie: Lie = {
        let told = Arc::clone(&told);
        Box::new(move |frame, is_bulk| {
            let Some(mut envelope) = (!is_bulk).then(|| link::decode(frame).ok()).flatten() else {
                return vec![frame.to_vec()];
            };
            match &mut envelope.body {
                Body::Applied(applied) => {
                    applied.revision.root = Digest([9; 32]);
                    told.fetch_add(1, Ordering::Relaxed);
                }
                Body::Check(check) => {
                    let was_told = told.load(Ordering::Relaxed) > 0;
                    check.head = check
                        .head
                        .map(|head| if was_told { RevisionId { root: Digest([9; 32]), ..head } } else { head });
                }
                _ => {}
            }
            vec![link::encode(&envelope)]
        })
    };
    field.middle.tell_of_dialler(Some(lie));
    field.edit("a lie", 1);
    // The status may be that of a moment before; once it has heard the lie it stays with it.
    field.a.wait("not in sync", |status| told.load(Ordering::Relaxed) > 0 && status["peer"]["in_sync"] == false);
    eventually("it is tried again", || {
        assert_eq!(field.a.status()["peer"]["in_sync"], false, "believed");
        told.load(Ordering::Relaxed) >= 2
    });
    assert_eq!(field.a.status()["active"], true, "the service goes on");
    assert!(told.load(Ordering::Relaxed) < 20, "not as fast as the link is");
    let alert = field.a.alerts().into_iter().find(|alert| alert["code"] == "P-010");
    assert!(alert.is_some_and(|alert| alert["why"].to_string().contains("something else")));
    field.middle.tell_of_dialler(None);
    let _ = field.a.standin(&["config", "push"]);
    field.wait_same();
}

fn branch() -> Branch {
    let head = RevisionId { number: 99, term: Term(1), root: Digest([3; 32]) };
    Branch {
        name: BRANCH.into(),
        common: None,
        head,
        revisions: 1,
        files: vec!["evil".into()],
        files_total: 1,
        at: UnixMillis(1),
        author: "nobody".into(),
        holder: String::new(),
    }
}

/// What `BRANCH` is said to have changed.
fn says_it_changed(told: &Arc<AtomicUsize>, new: bulk_entry::Made) -> Lie {
    of_bulk(told, move |reply| match reply {
        Reply::BranchChunk { .. } => Some(vec![Reply::BranchChunk { branch: Some(branch()), last: true }]),
        Reply::ChangesChunk { .. } | Reply::Failed { .. } => {
            let changes = new.0.iter().map(|new| ChangedEntry { old: None, new: Some(new.clone()) }).collect();
            Some(vec![Reply::ChangesChunk { changes, last: true }])
        }
        Reply::ContentChunk { .. } | Reply::Parcel { .. } => {
            let bytes = new.1.clone();
            let size = bytes.len() as u64;
            let piece = Piece { digest: new.0[0].digest, encoding: 0, size, total: size, offset: 0, bytes };
            Some(vec![Reply::Parcel { pieces: vec![piece] }])
        }
        _ => None,
    })
}

mod bulk_entry {
    /// Entries, and the content of the first.
    #[derive(Clone)]
    pub struct Made(pub Vec<standin::wire::bulk::Entry>, pub Vec<u8>);
}

/// spec 5.4, 7.6: a branch that the shadow is said to keep leads nowhere but into the directory
#[test]
fn a_branch_that_leads_out_is_not_brought_in() {
    let (field, back) = field_with_way_back();
    let outside = field.outside();
    let before = checks::tree(&field.a.directory);
    let ways = WAYS_OUT.iter().map(|way| bulk_entry::Made(vec![entry(way, FileKind::File, b"x")], b"x".to_vec()));
    let links = TARGETS_OUT.iter().map(|target| {
        let link = entry(b"way", FileKind::Link, target);
        bulk_entry::Made(vec![link, entry(b"way/evil", FileKind::File, b"x")], target.to_vec())
    });
    for made in ways.chain(links) {
        let what = String::from_utf8_lossy(&made.0[0].path).into_owned();
        let told = Arc::new(AtomicUsize::new(0));
        back.tell(Some(says_it_changed(&told, made)));
        for order in
            [&["config", "branches"][..], &["config", "branches", "diff", BRANCH], &["config", "reapply", BRANCH]]
        {
            let output = field.a.standin(order);
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(!text.contains("panicked"), "{order:?}, {what:?}: {text}");
            assert_eq!(checks::tree(&field.a.directory), before, "{order:?}, {what:?}");
            assert_eq!(field.outside(), outside, "{order:?}, {what:?}");
        }
        assert!(told.load(Ordering::Relaxed) >= 2, "{what:?}: never asked");
        back.tell(None);
    }
    field.wait_same();
    assert_eq!(field.a.status()["active"], true);
}
