//! What it grants, confirms and denies.

use std::time::{Duration, Instant};

use super::*;

/// spec 7.11: granted, renewed, denied to the other while the lease runs, granted when its time has passed, and the former
/// holder is outdated.
#[tokio::test]
async fn a_lease_is_a_vote_until_its_time_has_passed() {
    let home = tempfile::tempdir().unwrap();
    let etcd = alone(home.path());
    let (mut first, mut second) = Instance::pair(&settings(&[etcd.url()]));
    meet(&mut first, &mut second).await;
    // Renewed past its time to live: only a lease that is kept alive still denies then.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(LEASE_S * 1_000 + 500) {
        assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
        assert!(is_leased(&second.grant(2).await));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let renewed = Instant::now();
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
    second.until(1, Want::Grant(Term(2)), |answer| *answer == VoteAnswer::Granted).await;
    assert!(renewed.elapsed() >= Duration::from_millis(LEASE_S * 1_000), "{:?}: too early", renewed.elapsed());
    assert_eq!(second.renew(2).await, VoteAnswer::Confirmed);
    let denied = first.renew(1).await;
    assert!(matches!(denied, VoteAnswer::Denied(Denial::Outdated, View { highest: Term(2), .. })), "{denied:?}");
    assert!(matches!(first.grant(2).await, VoteAnswer::Denied(Denial::Outdated, _)));
}

/// spec 7.11: a release ends the promise at once.
#[tokio::test]
async fn a_release_ends_the_lease_at_once() {
    let home = tempfile::tempdir().unwrap();
    let etcd = alone(home.path());
    let (mut first, mut second) = Instance::pair(&settings(&[etcd.url()]));
    meet(&mut first, &mut second).await;
    first.ask_for(1, Want::Renew(Term(1)), 600).await;
    assert!(is_leased(&second.grant(2).await));
    assert_eq!(first.ask(1, Want::Release(Term(1))).await, VoteAnswer::Released);
    assert_eq!(second.grant(2).await, VoteAnswer::Granted);
    // A release of the first one that comes late, and one of an older claim, end nothing of the second.
    assert_eq!(first.ask(1, Want::Release(Term(1))).await, VoteAnswer::Released);
    second.claim += 1;
    assert_eq!(second.renew(2).await, VoteAnswer::Confirmed);
    second.claim -= 1;
    assert_eq!(second.ask(2, Want::Release(Term(2))).await, VoteAnswer::Released);
    assert!(is_leased(&first.ask(2, Want::Grant(Term(3))).await));
}

/// spec 7.11: a longer promise counts from the next confirmation on, although the lease was made for a shorter one.
#[tokio::test]
async fn a_longer_promise_takes_a_longer_lease() {
    let home = tempfile::tempdir().unwrap();
    let etcd = alone(home.path());
    let (mut first, mut second) = Instance::pair(&settings(&[etcd.url()]));
    meet(&mut first, &mut second).await;
    assert_eq!(first.ask_for(1, Want::Renew(Term(1)), 600).await, VoteAnswer::Confirmed);
    let lease = lease_of(&etcd);
    let left = etcd.ctl(&["lease", "timetolive", &lease]);
    assert!(left.contains("granted with TTL(600s)"), "{left}");
    // And it is not made anew each time.
    assert_eq!(first.ask_for(1, Want::Renew(Term(1)), 600).await, VoteAnswer::Confirmed);
    assert_eq!(lease_of(&etcd), lease);
}

/// The lease that the pair's key goes with, in hexadecimal.
fn lease_of(etcd: &Member) -> String {
    let text = etcd.ctl(&["get", &key("lease"), "-w", "json"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    format!("{:x}", value["kvs"][0]["lease"].as_i64().unwrap())
}

/// spec 7.11: an instance that was started anew knows its lease from etcd, and keeps it alive.
#[tokio::test]
async fn a_restarted_client_goes_on_with_its_lease() {
    let home = tempfile::tempdir().unwrap();
    let etcd = alone(home.path());
    let with = settings(&[etcd.url()]);
    let (mut first, mut second) = Instance::pair(&with);
    meet(&mut first, &mut second).await;
    let lease = lease_of(&etcd);
    let mut again = Instance::new(1, &with);
    assert_eq!(again.renew(1).await, VoteAnswer::Confirmed);
    assert_eq!(lease_of(&etcd), lease);
    // What was granted is granted again to the same claim, should the answer have been lost.
    assert_eq!(again.ask(1, Want::Release(Term(1))).await, VoteAnswer::Released);
    assert_eq!(second.grant(2).await, VoteAnswer::Granted);
    let mut again = Instance::new(2, &with);
    assert_eq!(again.grant(2).await, VoteAnswer::Granted);
}

/// spec 7.11: however the two ask at the same moment, one of them at most is granted a term.
#[tokio::test]
async fn two_that_ask_at_once_are_told_apart() {
    let home = tempfile::tempdir().unwrap();
    let etcd = alone(home.path());
    let (mut first, mut second) = Instance::pair(&settings(&[etcd.url()]));
    meet(&mut first, &mut second).await;
    assert_eq!(first.ask(1, Want::Release(Term(1))).await, VoteAnswer::Released);
    let mut known = 1;
    for _ in 0..40 {
        let (odd, even) = (known + 2 - (known + 1) % 2, known + 2 - known % 2);
        let (one, other) =
            tokio::join!(first.ask(known, Want::Grant(Term(odd))), second.ask(known, Want::Grant(Term(even))));
        let (holder, term) = match (&one, &other) {
            (VoteAnswer::Granted, VoteAnswer::Denied(..)) => (&mut first, odd),
            (VoteAnswer::Denied(..), VoteAnswer::Granted) => (&mut second, even),
            _ => panic!("{one:?} and {other:?}"),
        };
        known = term;
        assert_eq!(holder.ask(known, Want::Release(Term(known))).await, VoteAnswer::Released);
    }
}

/// How long a renewal takes: prints p50 and p95, for whoever looks (`--nocapture`).
#[tokio::test]
async fn a_renewal_is_two_round_trips() {
    let home = tempfile::tempdir().unwrap();
    let etcd = alone(home.path());
    let (mut first, mut second) = Instance::pair(&settings(&[etcd.url()]));
    meet(&mut first, &mut second).await;
    let mut took = Vec::new();
    for _ in 0..300 {
        let begin = Instant::now();
        assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
        took.push(begin.elapsed());
    }
    took.sort();
    let (p50, p95) = (took[took.len() / 2], took[took.len() * 95 / 100]);
    println!("renewal: p50 {p50:?}, p95 {p95:?}");
    let revision = |etcd: &Member| {
        let text = etcd.ctl(&["get", &key("lease"), "-w", "json"]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["header"]["revision"].as_i64().unwrap()
    };
    // And it writes nothing.
    let before = revision(&etcd);
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
    assert_eq!(revision(&etcd), before);
}
