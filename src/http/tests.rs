use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

fn parsed(url: &str) -> (bool, String, u16, String) {
    let target = Target::parse(url).unwrap();
    (target.is_tls, target.host, target.port, target.path)
}

#[test]
fn urls_are_read_as_people_write_them() {
    assert_eq!(parsed("https://etcd-1.example.net:2379"), (true, "etcd-1.example.net".into(), 2_379, "/".into()));
    assert_eq!(parsed("http://[2001:db8::1]:80/a?b=c"), (false, "2001:db8::1".into(), 80, "/a?b=c".into()));
    assert_eq!(parsed("https://gw/health"), (true, "gw".into(), 443, "/health".into()));
    assert_eq!(parsed("http://gw?x"), (false, "gw".into(), 80, "/?x".into()));
    for wrong in [
        "",
        "gw",
        "ftp://gw",
        "http://",
        "http:///x",
        "http://gw:0",
        "http://gw:65536",
        "http://gw:",
        "http://u:p@gw",
        "http://gw/#x",
        "http://g w",
        "http://[::1",
        "http://[::1]x",
        "http://gw/\r\nX: y",
    ] {
        assert!(Target::parse(wrong).is_err(), "{wrong}");
    }
    assert!(Target::parse(&format!("http://{}", "x".repeat(URL_MAX_BYTES))).is_err());
}

#[test]
fn foreign_texts_are_shown_in_short_on_one_line() {
    assert_eq!(shortened("a\r\n\x1b[31mb  c"), "a [31mb c");
    assert_eq!(shortened(&"x".repeat(1_000)).len(), 80);
}

/// Answers `each` requests a connection, then closes it; says how many connections there were.
async fn server(each: usize) -> (Client, tokio::sync::watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (count, seen) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.send_modify(|count| *count += 1);
            for _ in 0..each {
                let mut request = [0; 4_096];
                if stream.read(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
            }
        }
    });
    (Client::new(Target::parse(&url).unwrap(), Arc::default()), seen)
}

fn get() -> Request<'static> {
    Request { path: "/", json: None, authorization: None, body_max: 100 }
}

/// A connection is kept, and made anew when the other side has closed it.
#[tokio::test]
async fn connections_are_kept_and_made_anew() {
    let (mut client, seen) = server(3).await;
    for _ in 0..3 {
        assert_eq!(&*client.send(get(), LIMIT).await.unwrap().body, b"{}");
    }
    assert_eq!(*seen.borrow(), 1);
    for _ in 0..3 {
        // Closed by now, or just being closed: then it is told, and the next one does better.
        match client.send(get(), LIMIT).await {
            Ok(answer) => assert_eq!(answer.status, 200),
            Err(error) => assert!(error.was_kept, "{error}"),
        }
    }
    assert!(*seen.borrow() >= 2);
}

/// An answer over the limit is refused, and its connection not used again.
#[tokio::test]
async fn large_answers_are_refused() {
    let (mut client, seen) = server(9).await;
    let error = client.send(Request { body_max: 1, ..get() }, LIMIT).await.unwrap_err();
    assert_eq!(error.why, "its answer is larger than 1 bytes");
    client.send(get(), LIMIT).await.unwrap();
    assert_eq!(*seen.borrow(), 2);
}
