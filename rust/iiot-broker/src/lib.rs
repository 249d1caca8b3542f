//! The built-in MQTT broker (3.1.1 and 5 on one port), for users without a broker: `mqtt5` on a thread of its own.
//!
//! This crate adds two things to the library: a password without a file of hashes, and retained values that survive a kill without a sync for
//! each (the library's file storage handles 800 publishes per second). The gateway's own values are not stored: its sink knows them from the
//! journal and publishes them again when it connects.

mod consumer;
mod devices;
mod door;
mod keeper;
mod refusals;
mod retained;
mod taker;

use std::collections::HashSet;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mqtt5::broker::MqttBroker;
use mqtt5::broker::config::{BrokerConfig, StorageBackend, StorageConfig};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::server::BrokerShutdownHandle;
use mqtt5::packet::publish::PublishPacket;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::devices::Guests;
use crate::door::{Door, is_topic};
use crate::keeper::{Keeper, KeeperState, MAX_RETAINED};
use crate::refusals::{Refusal, Refusals};

pub use consumer::{Consumer, JournalTaker};
pub use devices::DeviceAccounts;
pub use taker::{Done, Published, Taker, Takers};

pub use retained::{RetainedError, RetainedStore, RetainedValue};

const MAX_CLIENTS: usize = 1000;
/// The longest packet; a longer one ends its connection.
const MAX_PACKET_BYTES: usize = 1 << 20;
/// The most messages that wait for a client that is away or slow.
const MAX_QUEUED: usize = 10_000;
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How often to look for connections whose key has expired.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long an abandoned start may take to release its address and file.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings of the broker.
#[derive(Clone)]
pub struct Settings {
    /// The address at which it listens; port 0 takes a free port.
    pub listen: SocketAddr,
    /// The user and password that every client except devices must give; with none, every client may connect.
    pub credentials: Option<(String, String)>,
    /// Clients whose retained values are not stored, because they publish them again themselves.
    pub own_clients: Vec<String>,
    /// The file with the retained values of other clients.
    pub store: PathBuf,
    /// The takers, which get clients' messages before they are acknowledged; not those of the gateway's own clients.
    pub takers: Takers,
    /// The rules for devices, which log in with keys of their own. They require `credentials` for all other clients.
    pub devices: Option<DeviceAccounts>,
}

/// The reason why the broker cannot run.
#[derive(Debug)]
pub enum BrokerError {
    /// Another program listens at the address.
    AddressTaken(SocketAddr),
    /// The address cannot be used.
    Address(SocketAddr, std::io::Error),
    /// The file of retained values cannot be used.
    Store(PathBuf, RetainedError),
    /// There are rules for devices, but every other client may connect without a password.
    OpenToAll,
    /// The library's own words.
    Library(String),
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressTaken(address) => {
                write!(f, "{address} is taken by another program")
            }
            Self::Address(address, error) => {
                write!(f, "{address} cannot be listened on: {error}")
            }
            Self::Store(path, error) => write!(f, "{}: {error}", path.display()),
            Self::OpenToAll => f.write_str(
                "devices have accounts at the built-in broker, so it needs a user name and a password for its other clients",
            ),
            Self::Library(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for BrokerError {}

/// A running broker. Dropping it stops it.
pub struct Broker {
    address: SocketAddr,
    not_stored: Arc<AtomicU64>,
    refusals: Arc<Refusals>,
    shutdown: BrokerShutdownHandle,
    ended: Mutex<Receiver<()>>,
    reason: Arc<Mutex<Option<String>>>,
}

impl Broker {
    /// Start the broker and wait until it listens.
    pub fn start(settings: Settings) -> Result<Self, BrokerError> {
        Self::start_within(settings, START_TIMEOUT)
    }

    fn start_within(settings: Settings, timeout: Duration) -> Result<Self, BrokerError> {
        if settings.devices.is_some() && settings.credentials.is_none() {
            return Err(BrokerError::OpenToAll);
        }
        // Checked here, because the library's error has no kind.
        match TcpListener::bind(settings.listen) {
            Ok(free) => drop(free),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                return Err(BrokerError::AddressTaken(settings.listen));
            }
            Err(error) => return Err(BrokerError::Address(settings.listen, error)),
        }
        let store = RetainedStore::open(&settings.store)
            .map_err(|error| BrokerError::Store(settings.store.clone(), error))?;
        let not_stored = store.failed();
        let refusals = Arc::new(Refusals::default());
        let counted = Arc::clone(&refusals);
        let (started, starting) = channel();
        let (end, ended) = channel();
        let (keep, kept) = oneshot::channel::<()>();
        let reason = Arc::new(Mutex::new(None));
        let told = Arc::clone(&reason);
        let thread = std::thread::Builder::new().name("mqtt-broker".into());
        thread
            .spawn(move || {
                let outcome = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| BrokerError::Library(error.to_string()));
                let outcome = outcome.and_then(|runtime| {
                    runtime.block_on(async {
                        tokio::select! {
                            outcome = run(settings, store, counted, &started) => outcome,
                            () = given_up(kept) => Ok(()),
                        }
                    })
                });
                let words = match &outcome {
                    Ok(()) => "it was stopped".to_owned(),
                    Err(error) => error.to_string(),
                };
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
                if let Err(error) = outcome {
                    // The caller of `start` may still wait.
                    drop(started.send(Err(error)));
                }
                drop(end);
            })
            .map_err(|error| BrokerError::Library(error.to_string()))?;
        let Ok(outcome) = starting.recv_timeout(timeout) else {
            drop(keep);
            let _ = ended.recv_timeout(GIVE_UP_TIMEOUT);
            let detail = format!("it did not listen within {timeout:?}");
            return Err(BrokerError::Library(detail));
        };
        let (address, shutdown) = outcome?;
        // This fails only if the thread has ended, which `has_ended` reports.
        let _ = keep.send(());
        Ok(Self {
            address,
            not_stored,
            refusals,
            shutdown,
            ended: Mutex::new(ended),
            reason,
        })
    }

    /// The address at which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of changes of other clients' retained values that could not be stored: they last until the process ends.
    pub fn not_stored(&self) -> u64 {
        self.not_stored.load(Ordering::Relaxed)
    }

    /// The number of refusals since the start, by reason: logins, publishes, subscriptions, and connections whose key was removed.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        self.refusals.counts()
    }

    /// Whether the broker no longer runs.
    pub fn has_ended(&self) -> bool {
        self.wait_end(Duration::ZERO)
    }

    /// Why the broker no longer runs; none while it runs.
    pub fn end_reason(&self) -> Option<String> {
        if !self.has_ended() {
            return None;
        }
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        Some(
            reason
                .clone()
                .unwrap_or_else(|| "its thread panicked".to_owned()),
        )
    }

    /// Disconnect the clients and stop listening. False if it takes longer than the time-out.
    pub fn stop(&self, timeout: Duration) -> bool {
        self.shutdown.shutdown();
        self.wait_end(timeout)
    }

    fn wait_end(&self, timeout: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.shutdown.shutdown();
    }
}

type Started = Result<(SocketAddr, BrokerShutdownHandle), BrokerError>;

/// Returns when the caller of `start` no longer waits for the start; never after the start.
async fn given_up(kept: oneshot::Receiver<()>) {
    if kept.await.is_ok() {
        std::future::pending::<()>().await;
    }
}

async fn run(
    settings: Settings,
    store: RetainedStore,
    refusals: Arc<Refusals>,
    started: &std::sync::mpsc::Sender<Started>,
) -> Result<(), BrokerError> {
    let values = store
        .values()
        .map_err(|error| BrokerError::Store(settings.store, error))?;
    let listen = settings.listen;
    let guests = settings
        .devices
        .map(|accounts| Arc::new(Guests::new(accounts)));
    let door = Arc::new(Door {
        credentials: settings.credentials,
        own_clients: settings.own_clients.clone(),
        guests: guests.clone(),
        speak_3_1_1: Mutex::default(),
        refusals: Arc::clone(&refusals),
    });
    let keeper = Arc::new(Keeper {
        own_clients: settings.own_clients.into_iter().collect(),
        door: Arc::clone(&door),
        guests: guests.clone(),
        router: OnceLock::new(),
        takers: settings.takers,
        state: Mutex::new(KeeperState {
            own_topics: HashSet::new(),
            store,
        }),
    });
    let storage = StorageConfig::new()
        .with_backend(StorageBackend::Memory)
        .with_max_queued_messages_per_client(MAX_QUEUED);
    let config = BrokerConfig::new()
        .with_bind_address(listen)
        .with_max_clients(MAX_CLIENTS)
        .with_max_packet_size(MAX_PACKET_BYTES)
        .with_max_retained_messages(MAX_RETAINED)
        .with_sys_topics_enabled(false)
        .with_storage(storage);
    let library = |error: mqtt5::MqttError| BrokerError::Library(error.to_string());
    let mut broker = MqttBroker::with_config(config.with_event_handler(keeper.clone()))
        .await
        .map_err(library)?
        .with_auth_provider(door);
    let router = broker.router();
    let _ = keeper.router.set(Arc::clone(&router));
    let (change, changes) = tokio::sync::mpsc::unbounded_channel();
    if let Some(guests) = &guests {
        let tell = move |id: &str| drop(change.send(id.to_owned()));
        guests.directory().subscribe(Box::new(tell));
    }
    // No client is connected yet, so this only fills the broker's memory.
    // An earlier version may have stored a topic that ends the connection of each subscriber.
    for value in values.into_iter().filter(|value| is_topic(&value.topic)) {
        let mut publish = PublishPacket::new(value.topic, value.payload, value.qos.into());
        publish.retain = true;
        broker.router().route_message(&publish, None).await;
    }
    let address = broker.local_addr().unwrap_or(listen);
    let mut ready = broker.ready_receiver();
    let told = (address, broker.shutdown_handle());
    let tell = async {
        if ready.wait_for(|ready| *ready).await.is_ok() {
            drop(started.send(Ok(told)));
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = broker.run() => outcome.map_err(library),
        () = tell => Ok(()),
        () = expel(guests, changes, &router, &refusals) => Ok(()),
    }
}

/// End the connections of devices whose key was removed.
async fn expel(
    guests: Option<Arc<Guests>>,
    mut changes: UnboundedReceiver<String>,
    router: &MessageRouter,
    refusals: &Refusals,
) {
    let Some(guests) = guests else {
        return std::future::pending().await;
    };
    loop {
        // Keys also expire without a change of the directory.
        let told = tokio::time::timeout(EXPIRY_INTERVAL, changes.recv()).await;
        let id = told.ok().flatten();
        for client in guests.expelled(id.as_deref()) {
            refusals.count(Refusal::KeyGone);
            router.disconnect_client(&client).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &tempfile::TempDir, listen: SocketAddr) -> Settings {
        Settings {
            listen,
            credentials: None,
            own_clients: Vec::new(),
            store: folder.path().join("broker.db"),
            takers: Takers::default(),
            devices: None,
        }
    }

    #[test]
    fn a_start_that_was_given_up_leaves_the_address_free() -> Result<(), Box<dyn std::error::Error>>
    {
        let folder = tempfile::tempdir()?;
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;

        assert!(Broker::start_within(settings(&folder, listen), Duration::ZERO).is_err());

        assert_eq!(Broker::start(settings(&folder, listen))?.address(), listen);
        Ok(())
    }

    #[test]
    fn the_reason_of_an_end_is_kept() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let broker = Broker::start(settings(&folder, "127.0.0.1:0".parse()?))?;
        assert_eq!(broker.end_reason(), None);

        assert!(broker.stop(START_TIMEOUT));

        assert_eq!(broker.end_reason().as_deref(), Some("it was stopped"));
        Ok(())
    }
}
