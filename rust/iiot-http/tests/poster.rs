//! The poster against scripted peers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use flate2::read::GzDecoder;
use iiot_http::{Config, Failure, Poster};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

type Script = Box<dyn FnOnce(TcpListener, Sender<Request>) + Send>;

/// A request as a peer read it.
struct Request {
    head: String,
    body: Vec<u8>,
}

struct Peer {
    port: u16,
    requests: Receiver<Request>,
    thread: JoinHandle<()>,
}

fn peer(script: Script) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, requests) = channel();
    Peer {
        port,
        requests,
        thread: std::thread::spawn(move || script(listener, tell)),
    }
}

fn poster(port: u16) -> Poster {
    config(port, |_| ())
}

fn config(port: u16, change: impl FnOnce(&mut Config)) -> Poster {
    let mut config = Config {
        url: format!("http://127.0.0.1:{port}/api/v2/write?org=o&bucket=b&precision=ns"),
        headers: vec![("Authorization".into(), "Token secret".into())],
        timeout: Duration::from_secs(10),
        gzip: true,
        max_body_bytes: iiot_http::EXPLANATION_BYTES,
        ca_file: None,
    };
    change(&mut config);
    Poster::new(config).unwrap()
}

fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut byte = [0; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "))
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request { head, body })
}

/// Answer every request of one connection with the same text.
fn always(answer: &'static str) -> Script {
    Box::new(move |listener, tell| {
        let (mut stream, _) = listener.accept().unwrap();
        while let Some(request) = read_request(&mut stream) {
            stream.write_all(answer.as_bytes()).unwrap();
            if tell.send(request).is_err() {
                return;
            }
        }
    })
}

/// Posted bodies arrive compressed, on one kept connection, with path, token and type.
#[test]
fn bodies_arrive_on_one_kept_connection() {
    let peer = peer(always("HTTP/1.1 204 No Content\r\n\r\n"));
    let poster = poster(peer.port);
    let lines = "temperature,node=node1 value=27.6 1700000000000000000\n".repeat(100);

    assert_eq!(poster.post(lines.as_bytes()).status, 204);
    assert_eq!(poster.post(b"second").status, 204);
    drop(poster);

    let first = peer.requests.recv().unwrap();
    let mut text = String::new();
    GzDecoder::new(first.body.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, lines);
    assert!(
        first
            .head
            .starts_with("post /api/v2/write?org=o&bucket=b&precision=ns http/1.1\r\n"),
        "{}",
        first.head
    );
    for header in [
        "authorization: token secret",
        "content-encoding: gzip",
        "content-type: text/plain",
    ] {
        assert!(first.head.contains(header), "{}", first.head);
    }
    assert!(
        first
            .head
            .contains(&format!("host: 127.0.0.1:{}", peer.port))
    );
    peer.requests.recv().unwrap();
    peer.thread.join().unwrap();
}

/// Status, body and the time to wait are returned unchanged.
#[test]
fn answers_are_handed_on() {
    let refused = peer(always(
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 21\r\n\r\n{\"message\":\"no field\"}",
    ));
    let answer = poster(refused.port).post(b"x");
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (400, &b"{\"message\":\"no field\""[..])
    );

    let busy = peer(always(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
    ));
    let answer = poster(busy.port).post(b"x");
    assert_eq!(
        (answer.status, answer.retry_after),
        (429, Some(Duration::from_secs(7)))
    );

    let moved = peer(always(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    ));
    assert_eq!(poster(moved.port).post(b"x").status, 307);
}

/// A huge answer is cut, and the poster stays usable.
#[test]
fn a_huge_answer_is_cut() {
    let peer = peer(Box::new(|listener, _| {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream).unwrap();
        let _ = write!(
            stream,
            "HTTP/1.1 500 Oops\r\nContent-Length: 10000000\r\n\r\n"
        );
        let _ = stream.write_all(&vec![b'x'; 10_000_000]);
    }));
    let answer = poster(peer.port).post(b"x");
    assert_eq!((answer.status, answer.body.len()), (500, 65_536));
}

/// A kept connection that the peer closed is replaced, and the body is sent once more.
#[test]
fn a_kept_connection_that_was_closed_is_replaced() {
    let peer = peer(Box::new(|listener, tell| {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let request = read_request(&mut stream).unwrap();
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .unwrap();
            stream.shutdown(std::net::Shutdown::Both).unwrap();
            tell.send(request).unwrap();
        }
    }));
    let poster = poster(peer.port);
    assert_eq!(poster.post(b"first").status, 204);
    peer.requests.recv().unwrap(); // and closed
    assert_eq!(poster.post(b"second").status, 204);
}

/// An incomplete answer is `reset`, a closed port is `refused`, no answer is `timeout`, and an unknown name is `dns`.
#[test]
fn failures_have_names() {
    let breaks = peer(Box::new(|listener, _| {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 2");
        }
    }));
    assert_eq!(poster(breaks.port).post(b"x").failure, Some(Failure::Reset));

    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    assert_eq!(poster(port).post(b"x").failure, Some(Failure::Refused));

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let answer = config(port, |c| c.timeout = Duration::from_millis(100)).post(b"x");
    assert_eq!(answer.failure, Some(Failure::Timeout));

    let answer = config(1, |c| c.url = "http://no-such-host.invalid/write".into()).post(b"x");
    assert_eq!(answer.failure, Some(Failure::Dns));

    let plain = peer(always("HTTP/1.1 204 No Content\r\n\r\n"));
    let answer = config(plain.port, |c| {
        c.url = format!("https://127.0.0.1:{}/write", plain.port);
        c.timeout = Duration::from_millis(500);
    })
    .post(b"x");
    assert!(
        matches!(answer.failure, Some(Failure::Tls | Failure::Timeout)),
        "{answer:?}"
    );
}

/// `cancel` ends a request under way, and every later one.
#[test]
fn cancel_ends_a_request_that_is_under_way() {
    let peer = peer(Box::new(|listener, tell| {
        let (mut stream, _) = listener.accept().unwrap();
        tell.send(read_request(&mut stream).unwrap()).unwrap();
        let _ = stream.read(&mut [0; 1]); // until the poster is gone
    }));
    let poster = Arc::new(config(peer.port, |c| c.timeout = Duration::from_secs(600)));
    let posting = std::thread::spawn({
        let poster = Arc::clone(&poster);
        move || poster.post(b"x").failure
    });
    peer.requests.recv().unwrap();

    poster.cancel();

    assert_eq!(posting.join().unwrap(), Some(Failure::Cancelled));
    assert_eq!(poster.post(b"y").failure, Some(Failure::Cancelled));
}
