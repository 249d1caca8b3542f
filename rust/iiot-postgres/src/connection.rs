//! One connection: opens it, runs statements within a time limit, cancels, and closes.
//!
//! It runs on the calling thread. Between calls it needs no attention, because the kernel sends the keepalives.

use crate::asking::{Asked, PIPELINED, asked};
use crate::error::{Error, ErrorKind, Result};
use crate::settings::{Settings, Target, TlsMode};
use crate::tls::Connector;
use crate::value::Value;
use futures_util::future::{poll_fn, try_join_all};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage, SimpleQueryRow, Statement};

/// The oldest server that is known to work.
const OLDEST_VERSION: u32 = 130_000;
/// How long an abandoned connection may take to close.
const GOODBYE: Duration = Duration::from_millis(300);

/// Ends the call under way, and every later one.
#[derive(Debug, Default)]
pub struct Cancel {
    is_set: AtomicBool,
    told: Notify,
}

impl Cancel {
    /// End the call under way, and every later one, with `Cancelled`.
    pub fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    /// Whether it was cancelled.
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }
}

/// The known properties of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// As `server_version_num`: 150020 is 15.20.
    pub version: u32,
    /// The version of the extension, if it is in the database.
    pub timescaledb: Option<String>,
}

/// A connection that can be opened several times.
pub struct Connection {
    settings: Settings,
    target: Target,
    tls: Option<Connector>,
    runtime: Option<Runtime>,
    open: Option<Open>,
    cancel: Arc<Cancel>,
}

struct Open {
    client: Client,
    driver: JoinHandle<()>,
    /// Why the connection ended, if the server gave a reason.
    fate: Fate,
    /// Set at each notification on a channel of LISTEN.
    notified: Arc<Notify>,
    /// Prepared statements, by their text.
    prepared: HashMap<String, Statement>,
    server: Server,
}

impl Open {
    /// A statement with parameters, prepared once.
    async fn statement(&mut self, sql: &str) -> Result<Statement> {
        if let Some(known) = self.prepared.get(sql) {
            return Ok(known.clone());
        }
        let made = self.client.prepare(sql).await?;
        self.prepared.insert(sql.to_owned(), made.clone());
        Ok(made)
    }
}

type Fate = Arc<Mutex<Option<Error>>>;

impl Connection {
    /// Check the settings, without connecting.
    pub fn new(settings: Settings) -> Result<Self> {
        let target = Target::new(&settings)?;
        let tls = if target.trust.mode == TlsMode::Disable || target.is_local() {
            None
        } else {
            Some(Connector::new(&target.trust)?)
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::settings(format!("no event loop: {error}")))?;
        Ok(Self {
            settings,
            target,
            tls,
            runtime: Some(runtime),
            open: None,
            cancel: Arc::default(),
        })
    }

    /// The handle that ends the call under way.
    pub fn cancel(&self) -> Arc<Cancel> {
        Arc::clone(&self.cancel)
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Host and database, for people.
    pub fn shown(&self) -> String {
        self.target.shown()
    }

    /// The known properties of the server; none without a connection.
    pub fn server(&self) -> Option<&Server> {
        self.open.as_ref().map(|open| &open.server)
    }

    /// Whether the connection is open, as far as is known.
    pub fn is_open(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| !open.client.is_closed())
    }

    /// Connect, and check that the server accepts writes.
    pub fn open(&mut self) -> Result<()> {
        self.close();
        let runtime = self.runtime.take();
        let outcome = runtime
            .as_ref()
            .ok_or_else(Error::cancelled)
            .and_then(|runtime| {
                // Time for each server, for a second attempt with or without TLS, and for one query.
                let attempts = 2 * self.target.hosts() as u32 + 1;
                let within = self.settings.connect_timeout.saturating_mul(attempts);
                runtime.block_on(bounded(&self.cancel, within, self.connect()))
            });
        self.runtime = runtime;
        self.open = Some(outcome.map_err(|error| error.doing(&self.target.shown()))?);
        Ok(())
    }

    async fn connect(&self) -> Result<Open> {
        let mut open = self.connect_as_told().await?;
        let asked = "SELECT current_setting('server_version_num'), current_setting('transaction_read_only'), \
             (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb')";
        let rows = rows(&open.client, asked).await?;
        let text = |at: usize| rows.first().and_then(|row| row.get(at));
        open.server.version = text(0).and_then(|v| v.parse().ok()).unwrap_or(0);
        open.server.timescaledb = text(2).map(str::to_owned);
        if open.server.version < OLDEST_VERSION {
            return Err(Error::report(format!(
                "the server has version {}; 13 or later is needed",
                open.server.version / 10_000
            )));
        }
        if text(1) == Some("on") {
            return Err(Error::new(
                ErrorKind::Wait,
                "the server takes no writes: it is a replica, or the database is set to read only",
            ));
        }
        Ok(open)
    }

    /// Try with and without TLS, in the order of the mode.
    async fn connect_as_told(&self) -> Result<Open> {
        let Some(tls) = &self.tls else {
            return self.connect_plain().await;
        };
        let first = match self.target.trust.mode {
            TlsMode::Disable | TlsMode::Allow => self.connect_plain().await,
            _ => self.connect_tls(tls).await,
        };
        let error = match first {
            Ok(open) => return Ok(open),
            Err(error) => error,
        };
        // An unavailable server need not be tried twice.
        let may_be_the_way = error.kind == ErrorKind::Report || error.to_string().contains("TLS");
        match self.target.trust.mode {
            TlsMode::Allow if may_be_the_way => self.connect_tls(tls).await,
            TlsMode::Prefer if may_be_the_way => self.connect_plain().await,
            _ => Err(error),
        }
    }

    async fn connect_plain(&self) -> Result<Open> {
        let (client, connection) = self.target.config.connect(NoTls).await?;
        Ok(drive(client, connection))
    }

    async fn connect_tls(&self, tls: &Connector) -> Result<Open> {
        let mut config = self.target.config.clone();
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let (client, connection) = config.connect(tls.clone()).await?;
        Ok(drive(client, connection))
    }

    /// Run statements within the time of a transaction. After an error the connection is closed, and the caller reads the result from the server.
    pub fn run<T>(&mut self, work: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
        let (Some(runtime), Some(open)) = (&self.runtime, &self.open) else {
            return Err(no_connection());
        };
        let within = self
            .settings
            .timeout
            .saturating_add(self.settings.lock_timeout);
        let outcome = runtime.block_on(bounded(&self.cancel, within, work(&open.client)));
        outcome.map_err(|error| {
            let said = self.open.as_ref().and_then(|open| taken(&open.fate));
            self.close();
            match said {
                Some(said) if error.sqlstate.is_none() && error.kind == ErrorKind::Wait => said,
                _ => error,
            }
        })
    }

    /// The rows of all statements of a text, their values as text.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let found = self.run(async |client| rows(client, sql).await)?;
        let texts = |row: &SimpleQueryRow| {
            (0..row.len())
                .map(|at| row.get(at).map(str::to_owned))
                .collect()
        };
        Ok(found.iter().map(texts).collect())
    }

    /// The rows of a statement with the parameters `$1`, `$2` and so on, and the number of changed rows. If the server refuses the statement, the
    /// connection stays open, and the caller must roll back an open transaction.
    pub fn ask(&mut self, sql: &str, parameters: &[Value]) -> Result<Asked> {
        self.on_open(async |open| {
            let statement = open.statement(sql).await?;
            asked(&open.client, &statement, parameters).await
        })
    }

    /// Run the same statement with each set of parameters, all sent together. Returns the number of changed rows.
    pub fn ask_many(&mut self, sql: &str, sets: &[Vec<Value>]) -> Result<u64> {
        self.on_open(async |open| {
            let statement = open.statement(sql).await?;
            let mut changed = 0;
            for some in sets.chunks(PIPELINED) {
                let answers = some.iter().map(|set| asked(&open.client, &statement, set));
                for answer in try_join_all(answers).await? {
                    changed += answer.changed;
                }
            }
            Ok(changed)
        })
    }

    /// Wait for a notification on a channel of LISTEN, for a limited time. False if none came. A broken connection is closed.
    pub fn notified(&mut self, within: Duration) -> Result<bool> {
        let (Some(runtime), Some(open)) = (&self.runtime, &mut self.open) else {
            return Err(no_connection());
        };
        let notified = Arc::clone(&open.notified);
        let said = runtime.block_on(async {
            let told = self.cancel.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.cancel.is_set() {
                return Err(Error::cancelled());
            }
            tokio::select! {
                () = told => Err(Error::cancelled()),
                () = notified.notified() => Ok(true),
                () = tokio::time::sleep(within) => Ok(false),
                _ = &mut open.driver => Err(taken(&open.fate).unwrap_or_else(|| Error::new(ErrorKind::Wait, "the server ended the connection"))),
            }
        });
        if said.is_err() {
            self.abandon();
        }
        said
    }

    /// Use the connection within the time of a transaction. An error without the server's words closes it, because the result is then unknown.
    fn on_open<T>(&mut self, work: impl AsyncFnOnce(&mut Open) -> Result<T>) -> Result<T> {
        let (Some(runtime), Some(open)) = (&self.runtime, &mut self.open) else {
            return Err(no_connection());
        };
        let within = self
            .settings
            .timeout
            .saturating_add(self.settings.lock_timeout);
        let outcome = runtime.block_on(bounded(&self.cancel, within, work(open)));
        let error = match outcome {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let said = taken(&open.fate);
        let is_broken = said.is_some() || error.sqlstate.is_none() || open.client.is_closed();
        if is_broken {
            self.abandon();
        }
        Err(said.filter(|_| error.sqlstate.is_none()).unwrap_or(error))
    }

    /// Drop a useless connection, without a message to the server.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            open.driver.abort();
        }
    }

    /// Close the connection. An open transaction is rolled back.
    pub fn close(&mut self) {
        let (Some(runtime), Some(open)) = (&self.runtime, self.open.take()) else {
            return;
        };
        let mut driver = open.driver;
        drop(open.client);
        runtime.block_on(async {
            if tokio::time::timeout(GOODBYE, &mut driver).await.is_err() {
                driver.abort();
                let _ = driver.await;
            }
        });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
        // An ordinary drop would wait for a name lookup under way.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn no_connection() -> Error {
    Error::new(ErrorKind::Wait, "there is no connection")
}

fn taken(fate: &Fate) -> Option<Error> {
    fate.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Let a task of the current runtime serve a connection.
fn drive<S, T>(client: Client, mut connection: tokio_postgres::Connection<S, T>) -> Open
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let fate = Fate::default();
    let told = Arc::clone(&fate);
    let notified = Arc::<Notify>::default();
    let notify = Arc::clone(&notified);
    let driver = tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            match message {
                Ok(AsyncMessage::Notification(_)) => notify.notify_one(),
                Ok(_) => {}
                Err(error) => {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.into());
                    break;
                }
            }
        }
    });
    Open {
        client,
        driver,
        fate,
        notified,
        prepared: HashMap::new(),
        server: Server {
            version: 0,
            timescaledb: None,
        },
    }
}

/// Run a future until it ends, the time is over, or it is cancelled.
async fn bounded<T>(
    cancel: &Cancel,
    within: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let told = cancel.told.notified();
    tokio::pin!(told);
    told.as_mut().enable();
    if cancel.is_set() {
        return Err(Error::cancelled());
    }
    tokio::select! {
        () = told => Err(Error::cancelled()),
        outcome = tokio::time::timeout(within, work) => outcome.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Wait, format!("no answer within {} s", within.as_secs_f64())))
        }),
    }
}

/// The rows of all statements of a text.
pub(crate) async fn rows(client: &Client, sql: &str) -> Result<Vec<SimpleQueryRow>> {
    Ok(client
        .simple_query(sql)
        .await?
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .collect())
}
