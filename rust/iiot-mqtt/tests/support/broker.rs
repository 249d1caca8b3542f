//! A Mosquitto on a free port, and a subscriber that collects.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::PATIENCE;

pub struct Mosquitto {
    pub port: u16,
    child: Option<Child>,
    folder: tempfile::TempDir,
    extra: String,
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.exists())
}

/// True if the test is to be skipped because there is no Mosquitto; fails unless that is allowed.
pub fn skip() -> bool {
    if program("mosquitto").is_some() {
        return false;
    }
    assert!(
        std::env::var_os("IIOT_ALLOW_SKIP").is_some(),
        "mosquitto is not installed; set IIOT_ALLOW_SKIP to skip its tests"
    );
    true
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// With further lines of configuration.
    pub fn start_with(extra: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut broker = Self {
            port,
            child: None,
            folder: tempfile::tempdir().unwrap(),
            extra: extra.to_owned(),
        };
        broker.restart();
        broker
    }

    /// SIGKILL; without persistence everything retained is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn restart(&mut self) {
        self.kill();
        let file = self.folder.path().join("mosquitto.conf");
        let listener = if self.extra.contains("listener ") {
            String::new()
        } else {
            format!("listener {} 127.0.0.1\nallow_anonymous true\n", self.port)
        };
        let extra = self
            .extra
            .replace("{port}", &self.port.to_string())
            .replace("{folder}", &self.folder.path().display().to_string());
        std::fs::write(&file, format!("{listener}persistence false\nlog_dest stderr\nlog_type information\nlog_type error\nmax_queued_messages 0\n{extra}\n")).unwrap();
        let mut child = Command::new(program("mosquitto").unwrap())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        while let Some(Ok(line)) = lines.next() {
            if line.contains("running") {
                std::thread::spawn(move || lines.for_each(drop));
                self.child = Some(child);
                return;
            }
            seen.push_str(&line);
        }
        drop(child.wait());
        panic!("mosquitto did not start: {seen}");
    }

    /// Everything retained under a filter, sorted.
    pub fn retained(&self, filter: &str) -> Vec<(String, String)> {
        let subscriber = Subscriber::start(self.port, filter);
        let mut found = Vec::new();
        loop {
            let message = subscriber.next();
            if message.topic == subscriber.marker {
                break;
            }
            if message.retain {
                found.push((message.topic, message.payload));
            }
        }
        found.sort();
        found
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: String,
    pub retain: bool,
}

/// A raw MQTT 3.1.1 subscriber at `QoS 1`, which answers everything.
pub struct Subscriber {
    messages: Receiver<Message>,
    pub marker: String,
    stream: std::net::TcpStream,
}

impl Subscriber {
    /// Subscribed when this returns. A message on `marker` follows what was retained.
    pub fn start(port: u16, filter: &str) -> Self {
        use super::peer::{packet, read_packet, string};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let marker = format!("marker/{}", stream.local_addr().unwrap().port());
        let mut connect = string("MQTT");
        connect.extend([4, 2, 0, 0]);
        connect.extend(string(&format!(
            "subscriber-{}",
            stream.local_addr().unwrap().port()
        )));
        stream.write_all(&packet(0x10, &connect)).unwrap();
        assert_eq!(read_packet(&mut stream).unwrap().0 >> 4, 2);
        let mut subscribe = vec![0, 1];
        for filter in [filter, &marker] {
            subscribe.extend(string(filter));
            subscribe.push(1);
        }
        stream.write_all(&packet(0x82, &subscribe)).unwrap();
        let (sender, messages) = channel();
        let mut reader = stream.try_clone().unwrap();
        let (subscribed, wait) = channel();
        std::thread::spawn(move || {
            while let Some((first, body)) = read_packet(&mut reader) {
                match first >> 4 {
                    9 => subscribed.send(()).unwrap(),
                    3 => {
                        let length = usize::from(body[0]) << 8 | usize::from(body[1]);
                        let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
                        let mut rest = &body[2 + length..];
                        if first & 6 != 0 {
                            if reader.write_all(&packet(0x40, &rest[..2])).is_err() {
                                return;
                            }
                            rest = &rest[2..];
                        }
                        let message = Message {
                            topic,
                            payload: String::from_utf8_lossy(rest).into_owned(),
                            retain: first & 1 == 1,
                        };
                        if sender.send(message).is_err() {
                            return;
                        }
                    }
                    _ => {}
                }
            }
        });
        wait.recv_timeout(PATIENCE).unwrap();
        // At QoS 1, so that it queues behind what was retained.
        let mut publish = string(&marker);
        publish.extend([0, 1, b'.']);
        stream.write_all(&packet(0x32, &publish)).unwrap();
        Self {
            messages,
            marker,
            stream,
        }
    }

    pub fn next(&self) -> Message {
        self.messages.recv_timeout(PATIENCE).expect("a message")
    }

    /// Messages until one on this topic with this payload, that one included; markers left out.
    pub fn until(&self, topic: &str, payload: &str) -> Vec<Message> {
        let mut seen = Vec::new();
        loop {
            let message = self.next();
            if message.topic == self.marker {
                continue;
            }
            let last = message.topic == topic && message.payload == payload;
            seen.push(message);
            if last {
                return seen;
            }
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        drop(self.stream.shutdown(std::net::Shutdown::Both));
    }
}

/// A certificate authority and a server certificate for localhost.
pub struct Certificates(tempfile::TempDir);

impl Certificates {
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| {
            let status = Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(&folder)
                .stderr(Stdio::null())
                .status();
            assert!(status.unwrap().success(), "openssl {arguments}");
        };
        std::fs::write(
            folder.path().join("san.ext"),
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        )
        .unwrap();
        openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca",
        );
        openssl(
            "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
        );
        openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile san.ext",
        );
        // Mosquitto gives up root before it reads them.
        for file in ["ca.pem", "server.pem", "server.key"] {
            std::fs::set_permissions(
                folder.path().join(file),
                std::fs::Permissions::from_mode(0o644),
            )
            .unwrap();
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    pub fn folder(&self) -> String {
        self.0.path().display().to_string()
    }
}
