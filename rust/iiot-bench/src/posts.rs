//! Clients of an HTTP server. Each has a connection of its own, keeps it open, and waits for every answer.

use crate::starter::{Arguments, say, wait_for_go};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The placeholder for the number of the request in a body.
const NUMBER: &str = "NUMBER";

struct Client {
    stream: TcpStream,
    head: String,
    key: String,
    body: String,
    answer: Vec<u8>,
}

pub fn run(arguments: &Arguments) {
    let keys = std::fs::read_to_string(arguments.text("keys")).unwrap();
    let clients: usize = arguments.number("clients");
    let seconds: f64 = arguments.number("seconds");
    // Requests per second of all clients; 0 means no limit.
    let rate: f64 = arguments.number("rate");
    let body = std::fs::read_to_string(arguments.text("body")).unwrap();
    let port: u16 = arguments.number("port");
    let path = arguments.text("path");
    let opened: Vec<Client> = keys
        .lines()
        .cycle()
        .take(clients)
        .map(|key| Client::open(port, path, key, &body))
        .collect();
    wait_for_go();
    let numbers = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(seconds);
    let gap = (rate > 0.0).then(|| Duration::from_secs_f64(clients as f64 / rate));
    let threads: Vec<_> = opened
        .into_iter()
        .enumerate()
        .map(|(place, mut client)| {
            let numbers = Arc::clone(&numbers);
            std::thread::spawn(move || {
                let mut times = Vec::new();
                // Clients start at different times within the first interval, so that their requests are spread.
                let mut due = began
                    + gap
                        .unwrap_or_default()
                        .mul_f64(place as f64 / clients as f64);
                while Instant::now() < until {
                    if let Some(gap) = gap {
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        due += gap;
                    }
                    let sent = Instant::now();
                    let status = client.post(numbers.fetch_add(1, Ordering::Relaxed));
                    assert!((200..300).contains(&status), "the answer is {status}");
                    times.push(sent.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times: Vec<Duration> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    let took = began.elapsed().as_secs_f64();
    times.sort_unstable();
    let within = |share: f64| {
        let at = ((times.len() as f64 * share) as usize).min(times.len() - 1);
        times[at].as_secs_f64() * 1e3
    };
    say(&format!(
        "posted {} {} {} {}",
        times.len(),
        times.len() as f64 / took,
        within(0.5),
        within(0.99)
    ));
    say("done");
}

impl Client {
    fn open(port: u16, path: &str, key: &str, body: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            head: format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            ),
            key: key.to_owned(),
            body: body.trim_end().to_owned(),
            answer: Vec::new(),
        }
    }

    /// Send a request, and return the status of its answer.
    fn post(&mut self, number: u64) -> u16 {
        let body = self.body.replace(NUMBER, &number.to_string());
        let request = format!(
            "{}X-API-Key: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.head,
            self.key,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).unwrap();
        self.answer.clear();
        loop {
            if let Some(status) = self.whole() {
                return status;
            }
            let mut chunk = [0; 4096];
            let read = self.stream.read(&mut chunk).unwrap();
            assert!(read > 0, "the server has hung up");
            self.answer.extend_from_slice(&chunk[..read]);
        }
    }

    /// The status, if the answer is complete.
    fn whole(&self) -> Option<u16> {
        let end = self
            .answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&self.answer[..end]).unwrap();
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().unwrap());
        let is_whole = self.answer.len() >= end + 4 + length;
        let status = head.split(' ').nth(1).unwrap();
        is_whole.then(|| status.parse().unwrap())
    }
}
