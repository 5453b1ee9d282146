//! etcd away, slow, talking nonsense, restarted, led by another, wiped.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::*;
use crate::etcd::until;
use crate::ports::free_port;

/// Short: nothing answers in these.
const SHORT_MS: u64 = 300;

fn short(endpoints: &[String]) -> settings::Arbiter {
    settings::Arbiter { request_timeout: SHORT_MS, ..settings(endpoints) }
}

/// spec 7.11: an arbiter that is killed is silent, and after a restart on its data knows the lease and the record.
#[tokio::test]
async fn it_remembers_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let mut etcd = alone(home.path());
    let (mut first, mut second) = Instance::pair(&settings(&[etcd.url()]));
    meet(&mut first, &mut second).await;
    assert_eq!(first.ask_for(1, Want::Renew(Term(1)), 600).await, VoteAnswer::Confirmed);
    etcd.kill();
    let answer = first.renew(1).await;
    assert!(why(&answer).contains("refused by 127.0.0.1"), "{answer:?}");
    assert!(why(&answer).starts_with(&etcd.url()), "{answer:?}");
    etcd.start();
    second.until(1, Want::Grant(Term(2)), is_leased).await;
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
    assert_eq!(first.ask(1, Want::Release(Term(1))).await, VoteAnswer::Released);
    assert_eq!(second.grant(2).await, VoteAnswer::Granted);
}

/// spec 7.11: one that hangs is silent in time; what it does with the questions when it goes on harms nothing.
#[tokio::test]
async fn one_that_hangs_is_silent_in_time() {
    let home = tempfile::tempdir().unwrap();
    let etcd = alone(home.path());
    let (mut first, mut second) = Instance::pair(&settings(&[etcd.url()]));
    meet(&mut first, &mut second).await;
    let with = short(&[etcd.url()]);
    first.arbiter = Arbiter::new(&with);
    second.arbiter = Arbiter::new(&with);
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
    etcd.stop();
    for _ in 0..2 {
        let answer = first.renew(1).await;
        assert!(why(&answer).contains("timed out after 300 ms waiting for the answer"), "{answer:?}");
        assert!(matches!(second.grant(2).await, VoteAnswer::Silent(_)));
        assert!(matches!(first.ask(1, Want::Release(Term(1))).await, VoteAnswer::Silent(_)));
    }
    first.claim += 1;
    etcd.go_on();
    // Neither the late grant of the second nor the late release of the first comes between.
    first.until(1, Want::Renew(Term(1)), |answer| *answer == VoteAnswer::Confirmed).await;
    assert!(is_leased(&second.grant(2).await));
}

/// spec 7.11: the next endpoint is asked when one does not answer, and the one that did is asked first from then on.
#[tokio::test]
async fn another_endpoint_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let etcd = alone(home.path());
    let dead = format!("http://127.0.0.1:{}", free_port());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("http://{}", silent.local_addr().unwrap());
    let (mut first, mut second) = Instance::pair(&short(&[dead.clone(), hangs.clone(), etcd.url()]));
    meet(&mut first, &mut second).await;
    let begin = Instant::now();
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
    assert!(begin.elapsed() < Duration::from_millis(SHORT_MS), "{:?}", begin.elapsed());
    let (mut first, _) = Instance::pair(&short(&[dead.clone(), hangs.clone()]));
    let answer = first.renew(1).await;
    assert!(why(&answer).contains(&dead) && why(&answer).contains(&hangs), "{answer:?}");
}

/// spec 7.11: a change of the leader, wished for or not, takes no confirmed lease away and gives nobody a second one.
#[tokio::test]
async fn a_lease_outlives_the_leader() {
    let home = tempfile::tempdir().unwrap();
    let mut members = Member::cluster(home.path(), 3, None, &[]);
    members.iter_mut().for_each(Member::spawn);
    members.iter_mut().for_each(Member::wait);
    let urls: Vec<String> = members.iter().map(Member::url).collect();
    let (mut first, mut second) = Instance::pair(&settings(&urls));
    meet(&mut first, &mut second).await;
    let (leader, id_of) = leader_of(&members);
    let next = id_of[(leader + 1) % 3];
    members[leader].ctl(&["move-leader", &format!("{next:x}")]);
    assert!(is_leased(&second.until_answer(2).await));
    first.until(1, Want::Renew(Term(1)), |answer| *answer == VoteAnswer::Confirmed).await;
    let moved = leader;
    let (leader, _) = leader_of(&members);
    assert_eq!(leader, (moved + 1) % 3);
    members[leader].kill();
    for _ in 0..5 {
        let renewed = first.renew(1).await;
        assert!(matches!(renewed, VoteAnswer::Confirmed | VoteAnswer::Silent(_)), "{renewed:?}");
        let asked = second.grant(2).await;
        assert!(is_leased(&asked) || matches!(asked, VoteAnswer::Silent(_)), "{asked:?}");
    }
    first.until(1, Want::Renew(Term(1)), |answer| *answer == VoteAnswer::Confirmed).await;
    second.until(1, Want::Grant(Term(2)), |answer| *answer == VoteAnswer::Granted).await;
    assert!(matches!(first.until_answer_to(Want::Renew(Term(1))).await, VoteAnswer::Denied(Denial::Outdated, _)));
}

impl Instance {
    /// To a wish for a term, whatever it is but silence.
    async fn until_answer(&mut self, term: u64) -> VoteAnswer {
        self.until_answer_to(Want::Grant(Term(term))).await
    }

    async fn until_answer_to(&mut self, want: Want) -> VoteAnswer {
        let mut found = VoteAnswer::Released;
        let known = 1;
        for _ in 0..50 {
            found = self.ask(known, want).await;
            if !matches!(found, VoteAnswer::Silent(_)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        found
    }
}

/// Which member leads, and the numbers of all.
fn leader_of(members: &[Member]) -> (usize, Vec<u64>) {
    let mut found = None;
    until("a leader", || {
        let states: Vec<(u64, u64)> = members
            .iter()
            .map(|member| {
                let text = member.ctl(&["endpoint", "status", "-w", "json"]);
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                let status = &value[0]["Status"];
                (status["header"]["member_id"].as_u64().unwrap(), status["leader"].as_u64().unwrap_or(0))
            })
            .collect();
        let ids: Vec<u64> = states.iter().map(|(id, _)| *id).collect();
        found = ids.iter().position(|id| states.iter().all(|(_, leader)| leader == id)).map(|at| (at, ids));
        found.is_some()
    });
    found.unwrap()
}

/// spec 7.11: an etcd whose data were wiped has no vote until both have written what they know, and grants nothing while an
/// earlier confirmation may still count.
#[tokio::test]
async fn a_wiped_one_has_no_vote_until_both_have_written() {
    let home = tempfile::tempdir().unwrap();
    let mut etcd = alone(home.path());
    let (mut first, mut second) = Instance::pair(&settings(&[etcd.url()]));
    meet(&mut first, &mut second).await;
    etcd.wipe();
    etcd.start();
    let no_vote = |answer: &VoteAnswer| matches!(answer, VoteAnswer::Denied(Denial::NoVote, _));
    second.until(1, Want::Grant(Term(2)), no_vote).await;
    assert!(no_vote(&second.grant(2).await));
    let paused = Instant::now();
    first.ask(1, Want::Look).await;
    assert!(is_leased(&second.grant(2).await));
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
    assert!(is_leased(&second.grant(2).await), "{:?}", paused.elapsed());
}

/// spec 7.11: what Standin did not write is never written over; the sentence names the key and the way out.
#[tokio::test]
async fn foreign_keys_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let etcd = alone(home.path());
    let (mut first, mut second) = Instance::pair(&settings(&[etcd.url()]));
    meet(&mut first, &mut second).await;
    let record = etcd.ctl(&["get", &key("vote"), "--print-value-only"]);
    for garbage in ["", "hello", "[]", "{}", "{\"a\":1}", "{\"term\":\"x\"}", "{\"term\":-1}"] {
        etcd.ctl(&["put", &key("vote"), "--", garbage]);
        let answer = first.renew(1).await;
        assert!(why(&answer).contains(&format!("etcdctl del {}", key("vote"))), "{answer:?}");
        assert_eq!(etcd.ctl(&["get", &key("vote"), "--print-value-only"]).trim(), garbage);
    }
    etcd.ctl(&["put", &key("vote"), "--", record.trim()]);
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
    let lease = etcd.ctl(&["get", &key("lease"), "--print-value-only"]);
    for garbage in ["hello", lease.trim()] {
        etcd.ctl(&["put", &key("lease"), "--", garbage]);
        let answer = first.renew(1).await;
        assert!(why(&answer).contains(&key("lease")), "{answer:?}");
    }
    etcd.ctl(&["del", &key("lease")]);
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
}

/// Answers every connection with the same bytes, after it has read a request.
fn fake(answer: &'static [u8], times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || talk(stream, answer, times));
        }
    });
    url
}

fn talk(mut stream: TcpStream, answer: &[u8], times: usize) -> std::io::Result<()> {
    let mut request = [0; 65_536];
    while stream.read(&mut request)? > 0 {
        for _ in 0..times {
            stream.write_all(answer)?;
        }
    }
    Ok(())
}

/// spec 7.11: wrong answers are silence with a sentence, at once or in time, whatever they are; a body without end is not
/// read to its end.
#[tokio::test]
async fn nonsense_is_silence() {
    let cases: [(&'static [u8], usize, &str); 14] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n<html>not what you wanted</",
            1,
            "no answer of etcd: <html>not",
        ),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOops", 1, "it answered 500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", 1, "it answered 302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1, "it answered 200"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 1, "none that etcd gives"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"responses\":[1,[2]]}", 1, "none that etcd gives"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull", 1, "no answer of etcd"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 13\r\n\r\n{\"error\":\"x\"}", 1, "it answered 503"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 92\r\n\r\n\
              {\"responses\":[{\"response_range\":{\"kvs\":7}},{\"response_range\":[]}],\"header\":{\"raft_term\":{}}}",
            1,
            "none that etcd gives",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", 1, "larger than|timed out"),
        (
            b"HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            100_000,
            "larger than",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 1, "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: ", 100_000, "does not speak HTTP|closed"),
        (b"", 1, "timed out after 300 ms waiting for the answer"),
    ];
    for (answer, times, expected) in cases {
        let url = fake(answer, times);
        let (mut first, _) = Instance::pair(&short(&[url]));
        let said = first.renew(1).await;
        let is_expected = expected.split('|').any(|words| why(&said).contains(words));
        assert!(is_expected, "{:?} gave {said:?}", String::from_utf8_lossy(answer));
    }
}

/// spec 7.11: endpoints that are none, or whose name is not known, are named.
#[tokio::test]
async fn endpoints_that_are_none_are_named() {
    for (endpoint, expected) in [
        ("ftp://x:1", "begins with neither"),
        ("http://:2379", "names no host"),
        ("http://no-such-host.invalid:2379", "name no-such-host.invalid not found|looking up its name"),
    ] {
        let (mut first, _) = Instance::pair(&short(&[endpoint.to_owned()]));
        let said = first.renew(1).await;
        assert!(expected.split('|').any(|words| why(&said).contains(words)), "{said:?}");
    }
    let (mut first, _) = Instance::pair(&short(&[]));
    assert_eq!(why(&first.renew(1).await), "no arbiter is configured");
}

/// spec 7.11: two etcds are told apart though they call themselves the same; both of a pair see which one answers
#[tokio::test]
async fn each_has_a_mark_of_its_own() {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let etcds = [alone(homes[0].path()), alone(homes[1].path())];
    let mut marks = Vec::new();
    for etcd in &etcds {
        let (mut first, mut second) = Instance::pair(&settings(&[etcd.url()]));
        assert_eq!(first.arbiter.mark(), 0);
        meet(&mut first, &mut second).await;
        let mark = first.arbiter.mark();
        assert_ne!(mark, 0);
        assert!(matches!(second.ask(1, Want::Look).await, VoteAnswer::Seen(_)));
        assert_eq!(second.arbiter.mark(), mark);
        marks.push(mark);
    }
    assert_ne!(marks[0], marks[1]);
}
