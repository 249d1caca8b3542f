//! A private PostgreSQL on a free port. An ordinary user runs it, because it refuses root.

use super::PATIENCE;
use iiot_postgres::connection::Connection;
use iiot_postgres::settings::Settings;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

pub struct Cluster {
    pub port: u16,
    folder: tempfile::TempDir,
}

/// The folder of the newest server; `IIOT_POSTGRES_BIN` names another.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("IIOT_POSTGRES_BIN").map(PathBuf::from);
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    installed.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let needed = ["initdb", "pg_ctl", "pg_basebackup"];
    named
        .into_iter()
        .chain(installed.into_iter().rev())
        .chain(std::env::split_paths(&path))
        .find(|folder| needed.iter().all(|name| folder.join(name).exists()))
}

/// True if the test must be skipped because there is no PostgreSQL; never if CI is set.
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
pub fn skip() -> bool {
    if programs().is_some() {
        return false;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "PostgreSQL's programs (initdb, pg_ctl, pg_basebackup) were not found"
    );
    println!("skipped: PostgreSQL's programs (initdb, pg_ctl, pg_basebackup) were not found");
    true
}

fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| {
        let id = Command::new("id").arg("-u").output().unwrap();
        id.stdout.starts_with(b"0\n")
    })
}

/// A program of PostgreSQL, as the user `postgres` if we are root.
fn program(name: &str) -> Command {
    let path = programs().unwrap().join(name);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(path);
        command
    } else {
        Command::new(path)
    };
    command.current_dir("/").stdin(Stdio::null());
    command
}

fn checked(output: &Output, what: &str) {
    assert!(
        output.status.success(),
        "{what}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Cluster {
    pub fn start() -> Self {
        Self::start_with("", "host all all 127.0.0.1/32 trust\n", |_| ())
    }

    /// Start a server with further settings, rules for connections, and files that `prepare` puts into the folder.
    pub fn start_with(settings: &str, access: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        prepare(folder.path());
        if is_root() {
            let owned = Command::new("chown")
                .args(["-R", "postgres:postgres"])
                .arg(folder.path())
                .output();
            checked(&owned.unwrap(), "chown");
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = Self { port, folder };
        cluster.initialize();
        let text = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = on\nmax_wal_size = 64MB\nmin_wal_size = 32MB\n\
             shared_buffers = 32MB\nmax_connections = 20\nlog_min_messages = warning\ntimezone = 'Europe/Berlin'\n{}\n",
            cluster.folder.path().display(),
            settings.replace("{folder}", &cluster.folder.path().display().to_string())
        );
        append(&cluster.data().join("postgresql.conf"), &text);
        std::fs::write(cluster.data().join("pg_hba.conf"), access).unwrap();
        cluster.boot();
        cluster
    }

    /// Make the data folder. It is a copy of one that is kept beside the build, because `initdb` costs half a second of a core.
    fn initialize(&self) {
        let options = [
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ];
        let version = program("initdb").arg("--version").output().unwrap().stdout;
        let version = String::from_utf8_lossy(&version).into_owned();
        let user = if is_root() { "root" } else { "user" };
        let name = format!("{version} {user} {}", options.concat());
        let beside = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let kept = beside.join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        if kept.exists() {
            return copy(&kept, &self.data());
        }
        let made = program("initdb")
            .args(options)
            .arg("-D")
            .arg(self.data())
            .output()
            .unwrap();
        checked(&made, "initdb");
        let folder = tempfile::tempdir_in(beside).unwrap();
        let new = folder.path().join("data");
        copy(&self.data(), &new);
        let renamed = std::fs::rename(&new, &kept);
        // Another test may have been sooner.
        assert!(renamed.is_ok() || kept.exists(), "{renamed:?}");
    }

    /// Start a replica of this server, which must accept replicas.
    pub fn replica(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        if is_root() {
            let owned = Command::new("chown")
                .arg("postgres:postgres")
                .arg(folder.path())
                .output();
            checked(&owned.unwrap(), "chown");
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let replica = Self { port, folder };
        let copied = program("pg_basebackup")
            .args(["-R", "-c", "fast", "-d", &self.url(), "-D"])
            .arg(replica.data())
            .output()
            .unwrap();
        checked(&copied, "pg_basebackup");
        let settings = format!(
            "port = {port}\nunix_socket_directories = '{}'\n",
            replica.folder.path().display()
        );
        append(&replica.data().join("postgresql.conf"), &settings);
        replica.boot();
        replica
    }

    /// Promote a replica, so that it accepts writes.
    pub fn promote(&self) {
        checked(&self.control(&["promote"]), "pg_ctl promote");
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn control(&self, arguments: &[&str]) -> Output {
        program("pg_ctl")
            .args(arguments)
            .args(["-w", "-t", "60", "-D"])
            .arg(self.data())
            .arg("-l")
            .arg(self.data().join("log"))
            .output()
            .unwrap()
    }

    pub fn boot(&self) {
        let started = self.control(&["start"]);
        let log = std::fs::read_to_string(self.data().join("log")).unwrap_or_default();
        checked(&started, &format!("pg_ctl start: {log}"));
    }

    /// Stop like a crash: nothing is written to the disk.
    pub fn crash(&self) {
        checked(&self.control(&["stop", "-m", "immediate"]), "pg_ctl stop");
    }

    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// A connection of the test's own.
    pub fn admin(&self) -> Admin {
        Admin::connect(&self.url())
    }
}

/// Copy a folder with owners and permissions, to a place where nothing is.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-aT").args([from, to]).output();
    checked(&copied.unwrap(), "cp");
}

fn append(path: &Path, text: &str) {
    let before = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, before + text).unwrap();
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.control(&["stop", "-m", "immediate"]);
    }
}

/// Runs statements beside the sink.
pub struct Admin(std::sync::Mutex<Connection>);

impl Admin {
    pub fn connect(url: &str) -> Self {
        let mut settings = Settings::new(url);
        settings.application_name = "test".into();
        let mut connection = Connection::new(settings).unwrap();
        let until = std::time::Instant::now() + PATIENCE;
        while let Err(error) = connection.open() {
            assert!(std::time::Instant::now() < until, "{error}");
        }
        Self(std::sync::Mutex::new(connection))
    }

    pub fn run(&self, sql: &str) {
        self.rows(sql);
    }

    /// The rows of a query, each as its values separated by `|`; NULL is empty.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let ran = self
            .0
            .lock()
            .unwrap()
            .run(async |client| Ok(client.simple_query(sql).await?));
        let messages = ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
        messages
            .iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|at| row.get(at).unwrap_or_default())
                        .collect::<Vec<_>>()
                        .join("|"),
                ),
                _ => None,
            })
            .collect()
    }

    pub fn one(&self, sql: &str) -> String {
        self.rows(sql).concat()
    }
}
