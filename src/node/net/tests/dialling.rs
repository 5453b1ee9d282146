//! Dials and what they say when they fail.

use std::process::Command;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::*;
use crate::engine::status::LinkStep;

async fn failed(node: &mut Node) -> (Vec<LinkStep>, String, Option<Fingerprint>) {
    match node.next().await {
        Input::DialFailed { steps, why, foreign, .. } => (steps, why, foreign),
        other => panic!("{other:?}"),
    }
}

/// spec 3.2, 7.1: any other certificate is refused, and both fingerprints are named.
#[tokio::test]
async fn a_foreign_certificate_is_refused_and_both_are_named() {
    let (mut a, mut b) = (node(Options::default()), node(Options::default()));
    let expected = a.identity.fingerprint();
    a.net.dial(1, vec!["127.0.0.1".into()], b.net.port(), expected, 5_000);
    let (steps, why, foreign) = failed(&mut a).await;
    assert_eq!(foreign, Some(b.identity.fingerprint()));
    assert!(why.contains(&b.identity.fingerprint().to_string()), "{why}");
    let last = steps.last().unwrap();
    assert_eq!((last.name.as_str(), last.ok), ("TLS and certificate", Some(false)));
    assert!(last.message.contains(&expected.to_string()), "{}", last.message);
    assert!(last.message.contains(&b.identity.fingerprint().to_string()), "{}", last.message);

    a.link_to(&mut b).await;
}

/// spec 4.1: several addresses; it fails only when all fail, and says why each did.
#[tokio::test]
async fn a_dial_tries_every_address_and_tells_each_step() {
    let silent = TcpListener::bind("127.0.0.3:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let resolver: Resolver = Arc::new(|name| match name {
        "master" => Ok(vec!["127.0.0.4".parse().unwrap(), "127.0.0.3".parse().unwrap()]),
        _ => Err(std::io::Error::other("failed to lookup address information: Name or service not known")),
    });
    let mut a = node(Options { resolver: Some(resolver), ..Options::default() });
    a.net.dial(1, vec!["nowhere".into(), "master".into()], port, a.identity.fingerprint(), 200);
    let (steps, why, foreign) = failed(&mut a).await;
    let told: Vec<(&str, Option<bool>)> = steps.iter().map(|step| (step.name.as_str(), step.ok)).collect();
    assert_eq!(
        told,
        [
            ("name found", Some(false)),
            ("name found", Some(true)),
            ("TCP connect", Some(false)),
            ("TCP connect", Some(true)),
            ("TLS and certificate", Some(false)),
        ]
    );
    assert!(steps[0].message.contains("no host of the name nowhere"), "{steps:?}");
    assert!(
        steps[2]
            .message
            .contains(&format!("refused by master (127.0.0.4): the machine is up, nothing listens on {port}"))
    );
    assert!(why.contains("said nothing for 200 ms"), "{why}");
    assert_eq!(foreign, None);
}

/// spec 4.1: an address that is silently dead does not hold up the other, whatever the connect timeout.
#[tokio::test]
async fn a_dead_address_costs_a_moment() {
    let mut b = node(Options { listen: Some("127.0.0.7"), ..Options::default() });
    let mut a = node(Options { listen: Some("0.0.0.0"), ..Options::default() });
    // Accepts nothing and refuses nothing: the worst of the two silences.
    let silent = TcpListener::bind(("127.0.0.6", b.net.port())).await.unwrap();
    let began = tokio::time::Instant::now();
    let hosts = vec!["127.0.0.6".into(), "127.0.0.7".into()];
    a.net.dial(1, hosts, b.net.port(), b.identity.fingerprint(), 60_000);
    let Input::LinkUp { address, .. } = a.next().await else { panic!("no link") };
    assert_eq!(address, "127.0.0.7");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}: a quarter of one timeout", began.elapsed());
    assert!(matches!(b.next().await, Input::LinkUp { .. }));
    drop(silent);
}

#[tokio::test]
async fn something_that_is_no_standin_is_told_as_such() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = other.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.ok();
    });
    let mut a = node(Options::default());
    a.net.dial(1, vec!["127.0.0.1".into()], port, a.identity.fingerprint(), 5_000);
    let (_, why, _) = failed(&mut a).await;
    assert!(why.contains("not with TLS"), "{why}");
}

/// spec 4.1: connections go out from the address listened on, where that is one.
#[tokio::test]
async fn a_dial_goes_out_from_the_address_listened_on() {
    let mut a = node(Options { listen: Some("127.0.0.5"), ..Options::default() });
    let mut b = node(Options { listen: Some("0.0.0.0"), ..Options::default() });
    a.dial(1, &b);
    let Input::LinkUp { address, .. } = b.next().await else { panic!("no link") };
    assert_eq!(address, "127.0.0.5");
    a.net.dial(2, vec!["::1".into()], b.net.port(), b.identity.fingerprint(), 5_000);
    let why = loop {
        if let Input::DialFailed { why, .. } = a.next().await {
            break why;
        }
    };
    assert!(why.contains("listens on 127.0.0.5 alone"), "{why}");
}

#[tokio::test]
async fn a_dial_given_up_closes_and_is_not_heard_of_again() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut a, mut b) = (node(Options::default()), node(Options::default()));
    a.net.dial(7, vec!["127.0.0.1".into()], silent.local_addr().unwrap().port(), b.identity.fingerprint(), 60_000);
    let (mut stream, _) = tokio::time::timeout(LIMIT, silent.accept()).await.unwrap().unwrap();
    a.net.cancel_dial(7);
    let mut said = Vec::new();
    tokio::time::timeout(LIMIT, stream.read_to_end(&mut said)).await.expect("still open").ok();
    a.net.cancel_dial(7);
    a.link_to(&mut b).await;
}

/// architecture wall 5
#[tokio::test]
async fn dials_have_a_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut a = node(Options::default());
    let port = silent.local_addr().unwrap().port();
    for attempt in 0..=DIALS_MAX as u64 {
        a.net.dial(attempt, vec!["127.0.0.1".into()], port, a.identity.fingerprint(), 60_000);
    }
    let (_, why, _) = failed(&mut a).await;
    assert!(why.contains("dials are under way"), "{why}");
}

/// spec 3.5: proxy variables in the environment are ignored for the link. They can only be set for a new process.
#[test]
fn proxy_variables_are_ignored() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:9");
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let test = "node::net::tests::links::two_nodes_talk_under_pinned_certificates";
    let output = command.args(["--exact", test]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
