use uuid::Uuid;

use super::*;
use crate::engine::base::{Digest, RevisionId};
use crate::engine::message::{Check, CheckAnswer, Purpose, RefusalCode, Timing};
use crate::wire::frame::LINK_FRAME_MAX_BYTES;

fn revision(number: u64) -> RevisionId {
    RevisionId { number, term: Term(3), root: Digest([7; 32]) }
}

fn timing() -> Timing {
    Timing { check_interval_ms: 1, takeover_delay_ms: 2, connect_timeout_ms: 3, request_timeout_ms: 4 }
}

fn envelope(body: Body) -> Envelope {
    Envelope {
        pair: PairId(Uuid::from_u128(1)),
        from: InstanceId(Uuid::from_u128(2)),
        run: Run(3),
        role: Role::Shadow,
        term: Term(4),
        body,
    }
}

fn hello() -> Hello {
    Hello {
        version: "0.1.0".into(),
        protocol: 1,
        protocol_min: 1,
        host: "node-b".into(),
        port: 8443,
        description: "käse".into(),
        started: 5,
        purpose: Purpose::Attach,
        head: Some(revision(9)),
        trail: vec![revision(8), revision(7)],
        complete: true,
        was_master: false,
        forced_shadow: false,
        promised: false,
        was_ready: true,
        timing: timing(),
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

fn bodies() -> Vec<Body> {
    let branch = Branch {
        name: "diverged-term-1-rev-12".into(),
        common: Some(revision(1)),
        head: revision(12),
        revisions: 11,
        files: vec!["a.yaml".into()],
        files_total: 1,
        at: crate::engine::base::UnixMillis(0),
        author: String::new(),
        holder: String::new(),
    };
    let push = Push { revision: revision(2), base: None, common: Some(revision(1)), payload: vec![0xff; 300] };
    vec![
        Body::Hello(Box::new(hello())),
        Body::Refused(Refusal { code: RefusalCode::NotMyPair, why: "forgotten".into() }),
        Body::Check(Check {
            nonce: 1,
            head: None,
            takeover_checks_pass: true,
            takeover_checks: (0, 0),
            timing: timing(),
            ready: true,
            checks: None,
            addresses: None,
            clock_difference_ms: None,
            transfer: Some(crate::engine::status::Transfer { rate: Some(7), ..Default::default() }),
            unlike: None,
        }),
        Body::Push(Box::new(push)),
        Body::FarewellHeard,
        Body::OfferRefused { term: Term(2), own_term: Term(4), why: "behind".into() },
        Body::BranchKept(branch),
    ]
}

#[test]
fn every_kind_of_body_comes_back_as_it_was() {
    for body in bodies() {
        let envelope = envelope(body);
        assert_eq!(decode(&encode(&envelope)), Ok(envelope));
    }
}

/// An idle pair says little: one check a second stays far below 40 KB a minute, both directions together.
#[test]
fn a_check_without_news_is_small() {
    let idle = |body: &Body| match body {
        Body::Check(check) => Some(Body::Check(Check { head: Some(revision(9)), transfer: None, ..check.clone() })),
        _ => None,
    };
    let check = bodies().iter().find_map(idle).unwrap();
    let answer = Body::CheckAnswer(CheckAnswer {
        nonce: 1,
        head: Some(revision(9)),
        active: true,
        description: String::new(),
        renewal: None,
        wall_ms: Some(1_800_000_000_000),
        maintenance_ms: Some(0),
        held: 0,
        directory: None,
    });
    let sizes = [check, answer].map(|body| encode(&envelope(body)).len());
    assert!(sizes[0] <= 300 && sizes[1] <= 220, "{sizes:?} bytes");
}

#[derive(Serialize)]
struct Newer<B> {
    pair: PairId,
    from: InstanceId,
    run: Run,
    role: Role,
    term: Term,
    body: B,
    mood: Vec<&'static str>,
}

#[derive(Serialize)]
struct NewerBody<C> {
    kind: &'static str,
    body: C,
}

fn from_newer<C: Serialize>(kind: &'static str, content: C) -> Vec<u8> {
    let Envelope { pair, from, run, role, term, .. } = envelope(Body::Unknown);
    let body = NewerBody { kind, body: content };
    to_bytes(&Newer { pair, from, run, role, term, body, mood: vec!["sunny"] }).unwrap()
}

/// architecture, The link: unknown fields are skipped, unknown messages refused politely.
#[test]
fn a_body_of_the_future_is_unknown_whatever_it_holds() {
    let expected = Ok(envelope(Body::Unknown));
    assert_eq!(decode(&from_newer("teleport", ())), expected);
    assert_eq!(decode(&from_newer("teleport", vec![1, 2, 3])), expected);
    assert_eq!(decode(&from_newer("teleport", NewerBody { kind: "far", body: (1, "x") })), expected);
}

/// architecture, The link: fields of a newer version are skipped, missing ones take their default.
#[test]
fn fields_of_the_future_are_skipped_and_missing_ones_have_defaults() {
    #[derive(Serialize)]
    struct NewerAnswer {
        nonce: u64,
        head: Option<RevisionId>,
        active: bool,
        colour: (u8, u8),
    }
    let bytes = from_newer("check_answer", NewerAnswer { nonce: 1, head: None, active: true, colour: (1, 2) });
    let Body::CheckAnswer(answer) = decode(&bytes).unwrap().body else { panic!("another body") };
    assert_eq!((answer.nonce, answer.active, answer.description.as_str()), (1, true, ""));
}

/// A known kind with a wrong content is nonsense, not *unknown*: it must end the connection.
#[test]
fn a_known_body_with_a_wrong_content_is_refused() {
    assert!(matches!(decode(&from_newer("check", "what?")), Err(WireError::Nonsense(_))));
    assert!(decode(b"").is_err());
    assert!(decode(&[0xc1; 40]).is_err());
    assert!(decode(b"GET / HTTP/1.1\r\n\r\n").is_err());
}

#[test]
fn a_refusal_code_of_the_future_is_other() {
    #[derive(Serialize)]
    struct NewerRefusal {
        code: &'static str,
        why: &'static str,
    }
    let bytes = from_newer("refused", NewerRefusal { code: "full_moon", why: "x" });
    let Body::Refused(refusal) = decode(&bytes).unwrap().body else { panic!("another body") };
    assert_eq!(refusal.code, RefusalCode::Other);
}

/// architecture wall 5: strings and lists have limits; what is sent is cut to them, what comes is refused over them.
#[test]
fn texts_and_lists_have_limits() {
    let long = envelope(Body::OfferRefused { term: Term(1), own_term: Term(2), why: "é".repeat(WHY_MAX_CHARS + 1) });
    let Body::OfferRefused { why, .. } = decode(&encode(&long)).unwrap().body else { panic!("another body") };
    assert_eq!(why.chars().count(), WHY_MAX_CHARS);
    assert_eq!(decode(&to_bytes(&long).unwrap()), Err(WireError::OverLimit { what: "why", limit: WHY_MAX_CHARS }));

    let mut hello = hello();
    hello.trail = vec![revision(1); TRAIL_MAX + 1];
    let long = envelope(Body::Hello(Box::new(hello)));
    assert!(decode(&encode(&long)).is_ok());
    assert_eq!(decode(&to_bytes(&long).unwrap()), Err(WireError::OverLimit { what: "trail", limit: TRAIL_MAX }));
}

#[test]
fn the_largest_messages_fit_into_a_frame() {
    let branch = Branch {
        name: "\u{10ffff}".repeat(NAME_MAX_CHARS),
        common: None,
        head: revision(1),
        revisions: 1,
        files: vec!["\u{10ffff}".repeat(PATH_MAX_CHARS); BRANCH_FILES_MAX],
        files_total: 100,
        at: crate::engine::base::UnixMillis(0),
        author: String::new(),
        holder: String::new(),
    };
    let push = Push { revision: revision(2), base: None, common: None, payload: vec![0xff; PUSH_PAYLOAD_MAX_BYTES] };
    for body in [Body::BranchKept(branch), Body::Push(Box::new(push))] {
        assert!(encode(&envelope(body)).len() <= LINK_FRAME_MAX_BYTES);
    }
}

/// Nothing that comes from outside may do more than be refused.
#[test]
fn damaged_messages_never_panic() {
    for body in bodies() {
        let bytes = encode(&envelope(body));
        for at in 0..bytes.len() {
            let _ = decode(&bytes[..at]);
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let _ = decode(&damaged);
            }
        }
    }
}
