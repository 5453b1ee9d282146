//! Links between two nodes.

use super::*;

/// 50 kB.
fn big() -> Envelope {
    envelope(Body::BranchKept(crate::engine::message::Branch {
        name: "n".into(),
        common: None,
        head: RevisionId { number: 1, term: Term(1), root: Digest([1; 32]) },
        revisions: 1,
        files: vec!["f".repeat(1_000); 50],
        files_total: 50,
        at: crate::engine::base::UnixMillis(0),
        author: String::new(),
        holder: String::new(),
    }))
}

/// spec 3.2: both ends authenticate with certificates; messages arrive whole and in order, both ways.
#[tokio::test]
async fn two_nodes_talk_under_pinned_certificates() {
    let (mut a, mut b) = (node(Options::default()), node(Options::default()));
    let (at_a, at_b) = a.link_to(&mut b).await;
    for nonce in 0..100 {
        a.net.send(at_a, &question(nonce));
    }
    for nonce in 0..100 {
        assert_eq!(b.received().await, (question(nonce), None));
    }
    b.net.send(at_b, &hello("node-b"));
    assert_eq!(a.received().await, (hello("node-b"), None));
}

/// A refusal said right before the close must arrive (spec 7.1: it is an answer).
#[tokio::test]
async fn what_was_sent_before_a_close_arrives() {
    let (mut a, mut b) = (node(Options::default()), node(Options::default()));
    let (at_a, at_b) = a.link_to(&mut b).await;
    // Nobody takes the inputs of b, so bytes stay unread there: they must not destroy what it says last.
    for _ in 0..200 {
        a.net.send(at_a, &big());
    }
    // More than the sockets hold, so that the last message is still queued at the close.
    for _ in 0..200 {
        b.net.send(at_b, &big());
    }
    b.net.send(at_b, &question(7));
    b.net.close(at_b, "enough");
    for _ in 0..200 {
        assert_eq!(a.received().await.0, big());
    }
    assert_eq!(a.received().await.0, question(7));
    assert_eq!(a.link_down().await, "closed by the other side");
    loop {
        match b.next().await {
            Input::Received { .. } => {}
            Input::LinkDown { link, why } => {
                assert_eq!((link, why.as_str()), (at_b, "enough"));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    // Gone links take everything and do nothing.
    b.net.send(at_b, &question(8));
    b.net.close(at_b, "again");
}

/// architecture wall 5: what cannot be sent ends in `LinkDown`, and never grows.
#[tokio::test]
async fn a_link_whose_other_end_does_not_read_is_closed() {
    let mut a = node(Options { limits: Limits::default(), ..Options::default() });
    let mut b = node(Options::default());
    let (at_a, _) = a.link_to(&mut b).await;
    // Nobody takes the inputs of b: its reader stops, then the sockets fill, then the queue.
    for _ in 0..2_000 {
        a.net.send(at_a, &big());
        tokio::task::yield_now().await;
    }
    assert!(a.link_down().await.contains("does not read"));
}

/// spec 2.3: at each connection every address counts, the last good answer when DNS is silent, and both sides are named.
#[tokio::test]
async fn a_hello_brings_what_the_permitted_host_says_to_it() {
    let state = Arc::new(Mutex::new(Ok::<Vec<IpAddr>, &str>(vec!["127.0.0.9".parse().unwrap()])));
    let answers = state.clone();
    let resolver: Resolver = Arc::new(move |_| {
        let answer = answers.lock().unwrap().clone();
        answer.map_err(std::io::Error::other)
    });
    let mut master = node(Options { resolver: Some(resolver), ..Options::default() });
    let mut shadow = node(Options::default());
    let (link, _) = shadow.link_to(&mut master).await;
    let ask = async |shadow: &Node, master: &mut Node, host: &str| {
        shadow.net.send(link, &hello(host));
        master.received().await.1
    };
    assert_eq!(ask(&shadow, &mut master, "node-b").await, None);
    master.net.set_permitted(Some("node-b".into()));
    let problem = ask(&shadow, &mut master, "node-b").await.unwrap();
    assert!(problem.contains("127.0.0.9") && problem.contains("from 127.0.0.1"), "{problem}");
    *state.lock().unwrap() = Ok(vec!["127.0.0.9".parse().unwrap(), "::ffff:127.0.0.1".parse().unwrap()]);
    assert_eq!(ask(&shadow, &mut master, "Node-B").await, None);
    assert!(ask(&shadow, &mut master, "node-c").await.unwrap().contains("node-c"));
    *state.lock().unwrap() = Err("failed to lookup address information: Temporary failure in name resolution");
    assert_eq!(ask(&shadow, &mut master, "node-b").await, None, "the last good answer counts");
    *state.lock().unwrap() = Err("failed to lookup address information: Name or service not known");
    assert!(ask(&shadow, &mut master, "node-b").await.is_some(), "no such name is an answer");
    master.net.set_permitted(Some("node-b@127.0.0.1".into()));
    assert_eq!(ask(&shadow, &mut master, "node-b").await, None);
    master.net.set_permitted(None);
    assert_eq!(ask(&shadow, &mut master, "anybody").await, None);
}

/// spec 2.2: a change of the port takes effect at once, and links stay.
#[tokio::test]
async fn listening_moves_and_links_stay() {
    let (mut a, mut b) = (node(Options::default()), node(Options::default()));
    let (at_a, _) = a.link_to(&mut b).await;
    let old = b.net.port();
    b.net.rebind("127.0.0.1", 0).await.unwrap();
    b.net.rebind("127.0.0.2", 0).await.unwrap();
    assert_ne!(b.net.port(), 0);
    a.net.send(at_a, &question(1));
    assert_eq!(b.received().await.0, question(1));

    a.net.dial(2, vec!["127.0.0.1".into()], old, b.identity.fingerprint(), 5_000);
    assert!(matches!(a.next().await, Input::DialFailed { attempt: 2, .. }));
    a.net.dial(3, vec!["127.0.0.2".into()], b.net.port(), b.identity.fingerprint(), 5_000);
    assert!(a.link_up().await.1);
}

/// The same port at another address: the old listener has to go first, and comes back when the new one cannot be.
#[tokio::test]
async fn listening_that_cannot_move_stays_where_it_was() {
    let (mut a, mut b) = (node(Options::default()), node(Options::default()));
    let port = b.net.port();
    b.net.rebind("127.0.0.1", port).await.unwrap();
    b.net.rebind("0.0.0.0", port).await.unwrap();
    let problem = b.net.rebind("192.0.2.1", port).await.unwrap_err();
    assert!(problem.why.contains("no address of this machine"), "{problem}");
    let problem = b.net.rebind("here", port).await.unwrap_err();
    assert!(problem.todo.contains("administration.listen"), "{problem}");
    let problem = b.net.rebind("127.0.0.1", a.net.port()).await.unwrap_err();
    assert!(problem.why.contains("another program listens"), "{problem}");
    assert_eq!(b.net.port(), port);
    a.link_to(&mut b).await;
}
