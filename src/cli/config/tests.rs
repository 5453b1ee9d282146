use super::*;
use crate::cli::output::testing::output;
use crate::engine::base::{Digest, UnixMillis};
use crate::engine::order::Difference;

fn report() -> VerifyReport {
    let root = Digest([7; 32]);
    VerifyReport {
        own_root: root,
        peer_root: Some(root),
        committed_root: root,
        files: 2,
        bytes: 4_242,
        took_ms: 3,
        differences: vec![],
        differences_total: 0,
        peer_problem: None,
        at: UnixMillis(0),
    }
}

/// spec 5.7: equal only when the digests of what is on both disks are equal.
#[test]
fn verify_says_equal_only_when_everything_is() {
    let (mut out, written) = output();
    assert_eq!(print_report(&report(), &mut out).unwrap(), Exit::Done);
    assert!(written.text().starts_with("Equal on both sides: 2 files, 4.2 KB"), "{}", written.text());
    let other = Digest([8; 32]);
    for unequal in [
        VerifyReport { peer_root: Some(other), ..report() },
        VerifyReport { committed_root: other, ..report() },
        VerifyReport { differences_total: 1, ..report() },
    ] {
        assert_eq!(print_report(&unequal, &mut output().0).unwrap(), Exit::No, "{unequal:?}");
    }
}

/// spec 5.7: each difference is listed, and the ones beyond the limit are counted.
#[test]
fn verify_lists_each_difference() {
    let difference = Difference { path: "trust/ca.pem".into(), what: "only on node-b".into() };
    let (mut out, written) = output();
    print_report(&VerifyReport { differences: vec![difference], differences_total: 5, ..report() }, &mut out).unwrap();
    assert!(written.text().contains("only on node-b    trust/ca.pem"), "{}", written.text());
    assert!(written.text().contains("and 4 more"));
}

/// spec 5.7: never equal because nothing failed.
#[test]
fn a_peer_that_could_not_be_asked_is_a_failure() {
    let unasked = VerifyReport { peer_root: None, peer_problem: Some("not connected".into()), ..report() };
    let failure = print_report(&unasked, &mut output().0).unwrap_err();
    assert!(matches!(failure, Failure::Problem(problem) if problem.why == "not connected"));
}

#[test]
fn a_file_is_listed_like_ls_does() {
    let entry = FileEntry {
        path: "subaccounts/eu12.yaml".into(),
        kind: FileKind::File,
        mode: 0o640,
        size: 980,
        digest: Digest::ZERO,
        revision: 12,
        owner: String::new(),
    };
    assert_eq!(row(&entry), "-rw-r-----      980 B  rev     12  subaccounts/eu12.yaml");
}
