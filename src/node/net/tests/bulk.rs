//! Bulk connections over the loopback.

use super::*;
use crate::engine::order::FileKind;
use crate::store::Packed;

const FILE_LIMIT: u64 = 4 * 1024 * 1024;

fn digest(number: u8) -> Digest {
    Digest([number; 32])
}

fn content(number: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ number).collect()
}

fn entries() -> Vec<Entry> {
    (0..3_000_u64)
        .map(|number| Entry {
            path: format!("systems/{number}.yaml").into_bytes(),
            kind: FileKind::File,
            mode: 0o640,
            size: number,
            digest: digest(1),
            owner: String::new(),
            group: String::new(),
        })
        .collect()
}

/// Contents of 3 MB, nothing, exactly one chunk, and one over the limit.
struct Tree;

impl BulkServer for Tree {
    fn manifest(&self, revision: RevisionId) -> Result<Entries, String> {
        match revision.number {
            7 => Ok(Box::new(entries().into_iter())),
            number => Err(format!("revision {number} is gone")),
        }
    }

    fn content(&self, digest: &Digest) -> Option<Vec<u8>> {
        let length = match digest.0[0] {
            1 => 3 * 1024 * 1024 + 17,
            2 => 0,
            3 => wire::bulk::CHUNK_BYTES,
            4 => FILE_LIMIT as usize + 1,
            5 => panic!("a fault in the work must not end the server"),
            _ => return None,
        };
        Some(content(digest.0[0], length))
    }

    fn packed(&self, digest: &Digest) -> Result<Option<Packed>, String> {
        Ok(self.content(digest).map(Packed::of))
    }

    fn verify(&self) -> Result<(Digest, Entries), String> {
        Ok((digest(9), Box::new(entries().into_iter())))
    }

    fn forget(&self, path: &[u8], by: &str) -> Result<u64, String> {
        if path == b"leaked\xff" && by == "anna" { Ok(3) } else { Err("no such path".into()) }
    }
}

fn revision(number: u64) -> RevisionId {
    RevisionId { number, term: Term(1), root: digest(9) }
}

fn server() -> Node {
    node(Options { bulk: Some(Arc::new(Tree)), ..Options::default() })
}

async fn client(own: &Node, server: &Node) -> Result<BulkClient, String> {
    let hosts = ["127.0.0.1".to_owned()];
    BulkClient::connect(&own.net, &hosts, server.net.port(), server.identity.fingerprint(), 5_000, FILE_LIMIT).await
}

/// architecture, The link: bulk data goes in bounded chunks over its own connection.
#[tokio::test]
async fn contents_and_lists_arrive_as_they_are() {
    let (server, own) = (server(), node(Options::default()));
    server.net.set_peer(Some(own.identity.fingerprint()));
    let mut bulk = client(&own, &server).await.unwrap();
    let mut listed = Vec::new();
    let take = |some: Vec<Entry>| {
        listed.extend(some);
        Ok(())
    };
    bulk.manifest(revision(7), take).await.unwrap();
    assert_eq!(listed, entries());
    assert_eq!(bulk.manifest(revision(8), |_| Ok(())).await.unwrap_err(), "revision 8 is gone");
    let mut got = Vec::new();
    let wanted = [digest(1), digest(2), digest(3)];
    bulk.contents(&wanted, &mut None, |digest, packed| {
        got.push((digest.0[0], packed.unpack().unwrap().into_owned()));
        Ok(())
    })
    .await
    .unwrap();
    let lengths = [3 * 1024 * 1024 + 17, 0, wire::bulk::CHUNK_BYTES];
    let expected: Vec<(u8, Vec<u8>)> =
        (1..=3).zip(lengths).map(|(number, length)| (number, content(number, length))).collect();
    assert!(got == expected);
    let mut listed = Vec::new();
    let root = bulk.verify(|some| {
        listed.extend(some);
        Ok(())
    });
    assert_eq!(root.await.unwrap(), digest(9));
    assert_eq!(listed, entries());

    let many = vec![digest(2); 3 * wire::bulk::DIGESTS_MAX + 1];
    let mut count = 0;
    bulk.contents(&many, &mut None, |_, _| {
        count += 1;
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(count, many.len());
}

/// spec 5.6: the other side is told to forget a path, whatever bytes it has, and says what it did.
#[tokio::test]
async fn the_other_side_forgets() {
    let (server, own) = (server(), node(Options::default()));
    server.net.set_peer(Some(own.identity.fingerprint()));
    let mut bulk = client(&own, &server).await.unwrap();
    assert_eq!(bulk.forget(b"leaked\xff", "anna").await, Ok(3));
    assert_eq!(bulk.forget(b"another", "anna").await, Err("no such path".into()));
    let too_long = vec![b'x'; wire::bulk::PATH_MAX_BYTES + 1];
    assert!(bulk.forget(&too_long, "anna").await.is_err());
}

#[tokio::test]
async fn what_cannot_be_had_is_said() {
    let (server, own) = (server(), node(Options::default()));
    server.net.set_peer(Some(own.identity.fingerprint()));
    for (number, words) in [(4, "over the limit"), (5, "the work failed"), (6, "no content")] {
        let mut bulk = client(&own, &server).await.unwrap();
        let why = bulk.contents(&[digest(number)], &mut None, |_, _| Ok(())).await.unwrap_err();
        assert!(why.contains(words), "{why}");
    }
    let mut bulk = client(&own, &server).await.unwrap();
    assert_eq!(bulk.contents(&[digest(2)], &mut None, |_, _| Err("disk full".into())).await.unwrap_err(), "disk full");
}

/// spec 3.2: only the peer gets configuration data, and only as long as it is the peer.
#[tokio::test]
async fn nobody_but_the_peer_is_served() {
    let (mut server, own) = (server(), node(Options::default()));
    for peer in [None, Some(server.identity.fingerprint())] {
        server.net.set_peer(peer);
        let mut bulk = client(&own, &server).await.unwrap();
        assert!(bulk.manifest(revision(7), |_| Ok(())).await.unwrap_err().contains("not that of the peer"));
    }
    let Input::Event(event) = server.next().await else { panic!("no event") };
    assert!(event.text.contains(&own.identity.fingerprint().to_string()), "{}", event.text);
    assert!(server.inputs.try_recv().is_err(), "once a minute is enough");
    server.net.set_peer(Some(own.identity.fingerprint()));
    let mut bulk = client(&own, &server).await.unwrap();
    bulk.manifest(revision(7), |_| Ok(())).await.unwrap();
    server.net.set_peer(None);
    assert!(bulk.contents(&[digest(1)], &mut None, |_, _| Ok(())).await.is_err(), "forgotten meanwhile");
}

/// architecture, The link: bulk never delays a check. A link answers while 3 MB are under way.
#[tokio::test]
async fn a_link_goes_on_while_bulk_data_flows() {
    let (mut server, mut own) = (server(), node(Options::default()));
    server.net.set_peer(Some(own.identity.fingerprint()));
    let (link, _) = own.link_to(&mut server).await;
    let mut bulk = client(&own, &server).await.unwrap();
    let flow = tokio::spawn(async move { bulk.contents(&[digest(1); 8], &mut None, |_, _| Ok(())).await });
    for nonce in 0..20 {
        own.net.send(link, &question(nonce));
        assert_eq!(server.received().await.0, question(nonce));
    }
    tokio::time::timeout(LIMIT, flow).await.unwrap().unwrap().unwrap();
}

/// spec 5.5: what had come of a large content when the link broke does not come again; what does not fit is begun anew
#[tokio::test]
async fn a_content_goes_on_where_it_broke_off() {
    let (server, own) = (server(), node(Options::default()));
    server.net.set_peer(Some(own.identity.fingerprint()));
    let packed = Tree.packed(&digest(1)).unwrap().unwrap();
    let total = packed.bytes.len() as u64;
    let half = packed.bytes[..packed.bytes.len() / 2].to_vec();
    let begun = |bytes: Vec<u8>| Some(Partial::of(digest(1), total, Packed { bytes, ..packed.clone() }));
    let mut partial = begun(half);
    let mut got = Vec::new();
    let mut bulk = client(&own, &server).await.unwrap();
    bulk.contents(&[digest(1), digest(3)], &mut partial, |_, content| {
        got.push(content);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(got[0], packed);
    assert!(partial.is_none());
    // Of another content than the one asked for: thrown away.
    let mut other = begun(vec![1]);
    bulk.contents(&[digest(3)], &mut other, |_, _| Ok(())).await.unwrap();
    // Not what the other side has: an error once, then from the beginning.
    let mut wrong = Some(Partial::of(digest(1), total + 1, Packed { bytes: vec![1], ..packed.clone() }));
    assert!(bulk.contents(&[digest(1)], &mut wrong, |_, _| Ok(())).await.unwrap_err().contains("do not fit"));
    assert!(wrong.is_none());
}
