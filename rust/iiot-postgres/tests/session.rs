//! Connecting: passwords, certificates, and servers that accept no writes.

use crate::support::PATIENCE;
use crate::support::cluster::{Cluster, skip};
use crate::support::plant::Plant;
use iiot_postgres::connection::Connection;
use iiot_postgres::settings::Settings;
use iiot_postgres::{Error, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// An authority, a certificate of it for `localhost`, and another authority.
fn make_certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let status = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "openssl {arguments}");
    };
    std::fs::write(folder.join("san.ext"), "subjectAltName=DNS:localhost").unwrap();
    for name in ["ca", "other"] {
        openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 2 -subj /CN=test-{name}"
        ));
    }
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile san.ext",
    );
    for file in ["ca.pem", "other.pem"] {
        std::fs::set_permissions(folder.join(file), std::fs::Permissions::from_mode(0o644))
            .unwrap();
    }
}

fn try_to_connect(settings: Settings) -> Result<String, Error> {
    let mut connection = Connection::new(settings)?;
    connection.open()?;
    connection.run(async |client| {
        let row = client
            .query_one(
                "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                &[],
            )
            .await?;
        Ok(row.get(0))
    })
}

/// Each `sslmode` has libpq's meaning, with a server that requires TLS and with one that has none.
#[test]
fn sslmode_means_what_libpq_means() {
    if skip() {
        return;
    }
    let secure = Cluster::start_with(
        "ssl = on\nssl_cert_file = '{folder}/server.pem'\nssl_key_file = '{folder}/server.key'",
        "local all all trust\nhostssl all all 127.0.0.1/32 trust\n",
        make_certificates,
    );
    let file = |name: &str| secure.folder().join(name).display().to_string();
    let connect = |host: &str, mode: &str, root: &str| {
        let root = if root.is_empty() {
            String::new()
        } else {
            format!("&sslrootcert={}", file(root))
        };
        let mut settings = Settings::new(format!(
            "postgresql://postgres@{host}:{}/postgres?sslmode={mode}{root}",
            secure.port
        ));
        settings.pass_file = Some("/nonexistent".into());
        try_to_connect(settings)
    };
    for mode in ["allow", "prefer", "require"] {
        assert_eq!(connect("127.0.0.1", mode, "").unwrap(), "true", "{mode}");
    }
    assert_eq!(connect("127.0.0.1", "verify-ca", "ca.pem").unwrap(), "true");
    assert_eq!(
        connect("localhost", "verify-full", "ca.pem").unwrap(),
        "true"
    );

    let refused = [
        connect("127.0.0.1", "disable", ""),
        connect("127.0.0.1", "verify-full", "ca.pem"),
        connect("127.0.0.1", "verify-ca", "other.pem"),
        connect("127.0.0.1", "require", "other.pem"),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.kind, ErrorKind::Report, "{error}");
    }

    let local = Settings::new(format!(
        "postgresql://postgres@/postgres?host={}&port={}&sslmode=require",
        secure.folder().display(),
        secure.port
    ));
    assert_eq!(try_to_connect(local).unwrap(), "false");

    let plain = Cluster::start();
    let connect =
        |mode: &str| try_to_connect(Settings::new(format!("{}?sslmode={mode}", plain.url())));
    for mode in ["disable", "allow", "prefer"] {
        assert_eq!(connect(mode).unwrap(), "false", "{mode}");
    }
    let error = connect("require").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Report, "{error}");
    assert!(
        error.to_string().contains("server does not support TLS"),
        "{error}"
    );
}

/// Passwords go through SCRAM and come from the settings or a password file; a wrong one, a missing database and a missing right are reported.
#[test]
fn logins_that_fail_are_reported() {
    if skip() {
        return;
    }
    let cluster = Cluster::start_with(
        "password_encryption = 'scram-sha-256'",
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
        |_| (),
    );
    cluster
        .admin()
        .run("CREATE ROLE writer LOGIN PASSWORD 'se:cret'");
    let files = tempfile::tempdir().unwrap();
    let pass_file = files.path().join("pass");
    std::fs::write(
        &pass_file,
        format!("127.0.0.1:{}:*:writer:se\\:cret\n", cluster.port),
    )
    .unwrap();
    std::fs::set_permissions(&pass_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let settings = |user: &str, database: &str, password: Option<&str>| {
        let mut settings = Settings::new(format!(
            "postgresql://{user}@127.0.0.1:{}/{database}",
            cluster.port
        ));
        settings.password = password.map(str::to_owned);
        settings.pass_file = Some(files.path().join("none"));
        settings
    };

    assert_eq!(
        try_to_connect(settings("writer", "postgres", Some("se:cret"))).unwrap(),
        "false"
    );
    let mut from_file = settings("writer", "postgres", None);
    from_file.pass_file = Some(pass_file);
    assert_eq!(try_to_connect(from_file).unwrap(), "false");

    for (tried, said) in [
        (settings("writer", "postgres", Some("wrong")), "28P01"),
        (settings("writer", "postgres", None), "password missing"),
        (settings("postgres", "nowhere", None), "3D000"),
    ] {
        let error = try_to_connect(tried).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Report, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(!error.to_string().contains("wrong\""), "{error}");
    }

    let folder = tempfile::tempdir().unwrap();
    let plant = Plant::open(
        folder.path(),
        settings("writer", "postgres", Some("se:cret")),
    );
    let error = plant.connect().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Report, "{error}");
    assert!(error.to_string().contains("postgresql init"), "{error}");
}

/// The sink waits for a server that is absent, that only reads, or that is starting.
#[test]
fn a_server_that_cannot_be_written_to_is_waited_for() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    cluster
        .admin()
        .run("ALTER DATABASE postgres SET default_transaction_read_only = on");
    let error = try_to_connect(Settings::new(cluster.url())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Wait, "{error}");
    assert!(error.to_string().contains("read only"), "{error}");
    cluster.crash();
    let error = try_to_connect(Settings::new(cluster.url())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Wait, "{error}");
}

/// Another client's lock costs only the lock's time-out; then all rows are stored.
#[test]
fn a_lock_is_waited_for_no_longer_than_told() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(cluster.url());
    settings.lock_timeout = Duration::from_millis(300);
    let mut plant = Plant::open(folder.path(), settings);
    plant.connect().unwrap();
    plant.take_numbers(1, 11);
    plant.deliver().unwrap();
    let admin = cluster.admin();
    admin.run("BEGIN; LOCK TABLE doses IN ACCESS EXCLUSIVE MODE");
    plant.take_numbers(11, 21);

    let error = plant.deliver().unwrap_err();
    assert_eq!(
        (error.kind, error.sqlstate.as_deref()),
        (ErrorKind::Wait, Some("55P03")),
        "{error}"
    );
    admin.run("COMMIT");
    plant.connect().unwrap();
    plant.deliver().unwrap();
    assert_eq!(admin.one("SELECT count(*) FROM doses"), "20");
}

/// A cancelled call ends at once, whatever the server is doing, and so does every later one.
#[test]
fn a_cancelled_call_ends_at_once() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let mut connection = Connection::new(Settings::new(cluster.url())).unwrap();
    connection.open().unwrap();
    let cancel = connection.cancel();
    let admin = cluster.admin();
    let began = Instant::now();
    let error = std::thread::scope(|scope| {
        let running = scope.spawn(move || {
            let ran = connection
                .run(async |client| Ok(client.batch_execute("SELECT pg_sleep(60)").await?));
            (ran.unwrap_err(), connection.open().unwrap_err())
        });
        while admin.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "1"
        {
        }
        cancel.set();
        running.join().unwrap()
    });
    assert_eq!(
        (error.0.kind, error.1.kind),
        (ErrorKind::Cancelled, ErrorKind::Cancelled)
    );
    assert!(began.elapsed() < PATIENCE);
}

/// A commit is on the server's disk even if the database is configured not to wait for that.
#[test]
fn commits_are_synchronous() {
    if skip() {
        return;
    }
    let cluster = Cluster::start();
    let admin = cluster.admin();
    admin.run(
        "ALTER DATABASE postgres SET synchronous_commit = off; \
         CREATE TABLE doses (time timestamptz NOT NULL, n bigint, said text DEFAULT current_setting('synchronous_commit'), lock text DEFAULT current_setting('lock_timeout'))",
    );
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path(), Settings::new(cluster.url()));
    plant.connect().unwrap();
    plant.take_numbers(1, 2);
    plant.deliver().unwrap();
    assert_eq!(admin.one("SELECT said, lock FROM doses"), "on|10s");
}
