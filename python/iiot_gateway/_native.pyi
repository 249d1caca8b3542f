"""The extension: hot path, journal, MQTT and HTTP client. Private; import from the package's modules."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Self, final

__all__ = [
    "AGGREGATES",
    "MQTT_PREFIX_BYTES",
    "AlertSettings",
    "AlertSink",
    "Answer",
    "Broker",
    "BrokerConsumer",
    "BrokerError",
    "CopyProgress",
    "Decoded",
    "Decoder",
    "DeviceDirectory",
    "HistoryError",
    "HistoryReader",
    "HistorySink",
    "HttpError",
    "Intake",
    "Journal",
    "JournalError",
    "LineBatch",
    "LineSink",
    "Live",
    "MqttConsumer",
    "MqttError",
    "MqttRecorder",
    "MqttSink",
    "Pacer",
    "Poster",
    "PostgresConnection",
    "PostgresError",
    "PostgresResumed",
    "PostgresSettings",
    "PostgresSink",
    "Posts",
    "Profile",
    "ProfileError",
    "RowBatch",
    "SideConnection",
    "Simulator",
    "__version__",
    "alert_rule_fault",
    "check_file",
    "copy_file",
    "crossings",
    "debug_build",
    "device_tags",
    "mqtt_text",
    "mqtt_text_fault",
    "postgres_add_partitions",
    "postgres_drop_partition",
    "postgres_has_partition_function",
    "postgres_hypertable",
    "postgres_literal",
    "postgres_name",
    "postgres_partition_function",
    "postgres_partitions",
    "postgres_position_table",
    "postgres_roll_up",
    "postgres_time_bucket",
    "read_answer",
    "read_lines",
    "read_time",
    "share_arena",
    "sign_command",
    "stored_alerts",
    "toml_places",
]

__version__: str
debug_build: bool
AGGREGATES: tuple[str, ...]
"""The ways in which `HistoryReader.range` can combine the points of a bucket."""

class ProfileError(ValueError):
    """A profile file has faults; `faults` holds all of them as (line, message); line 0 means the whole file."""

    faults: list[tuple[int, str]]

class PostgresError(Exception):
    """PostgreSQL cannot be used. `kind`: wait (the server is away, busy or full, or the connection broke), report (a person must act: password, rights, a missing
    table, a certificate), moved (another writer moved the position; connect again), unknown_run (a copy or an old state of the journal wrote there: stop until
    adopted), settings (they cannot be used), cancelled. `sqlstate`: the server's code, if it gave one. A refused row is no error."""

    kind: str
    sqlstate: str | None
    constraint: str | None
    """The constraint that a row broke, if the server named one."""

class JournalError(Exception):
    """The journal cannot be used: `kind` is one of locked, unknown_version, damaged, io, full, closed."""

    kind: str

class HistoryError(Exception):
    """The history cannot be used: `kind` is one of missing, unknown_version, damaged, io, full, closed, busy."""

    kind: str

class MqttError(ValueError):
    """An MQTT setting cannot be used (URL, certificate); the message names it."""

class HttpError(ValueError):
    """An HTTP setting cannot be used (URL, certificate); the message names it."""

class BrokerError(Exception):
    """The built-in broker cannot be started; the message says why."""

@final
class Broker:
    """A running MQTT broker (3.1.1 and 5 on one port), on a thread of its own. It ends with the object."""

    @staticmethod
    def start(
        listen: str,
        *,
        path: str,
        own_clients: Sequence[str] = (),
        consumers: Sequence[BrokerConsumer] = (),
        username: str | None = None,
        password: str | None = None,
        devices: DeviceDirectory | None = None,
        device_prefix: str = "iotflow/devices",
    ) -> Broker:
        """Start the broker and wait until it listens at ADDRESS:PORT. `path` is the file for retained values; those of `own_clients` are not
        stored, because these clients publish them again themselves. `consumers` get the messages of other clients. With a user name, every client must log in with it.

        With `devices`, which needs a user name and a password, a device logs in with its id or user name and its key. It may publish below `device_prefix`/ID/telemetry and
        .../status, and subscribe below .../commands. Its client id is its id, or begins with its id and `:`; no other client may have such a client id. Raises
        BrokerError, or ValueError for `listen`."""
    port: int
    def has_ended(self) -> bool:
        """Whether the broker has stopped, after `stop` or a fault."""
    def end_reason(self) -> str | None:
        """Why the broker no longer runs; None while it runs."""
    def not_stored(self) -> int:
        """How many changes of other clients' retained values could not be stored in the file since the start. Never waits."""
    def refused(self) -> dict[str, int]:
        """The number of refusals since the start, by reason: logins, publishes, subscriptions, and connections whose key was removed. Never waits."""
    def stop(self, timeout_s: float) -> bool:
        """Disconnect the clients and stop listening. False if that takes longer than the time-out."""

@final
class Profile:
    """Rules that turn documents into points. Immutable; shareable between threads."""

    @staticmethod
    def parse(text: str) -> Profile:
        """Compile the text of a profile file. Raises ProfileError with every fault."""
    def may_give(self, measurement: str, field: str) -> bool:
        """Whether any document may give a field of a measurement. An empty name stands for every name."""
    def heard(self, document: bytes) -> list[tuple[str, int | None, int]]:
        """Node, boot number and sequence number of every packet in a document; empty if the values had waited at their node."""
    @property
    def name(self) -> str:
        """The name that the profile gives itself."""
    @property
    def hash(self) -> str:
        """16 hexadecimal digits of the text's fingerprint."""

@final
class AlertSettings:
    """Rules, receivers and limits of alerts. Each rule is a JSON object with the given keys of [[alert]], with of = "silence" for a silence.

    Raises ValueError for a rule that cannot be used."""

    def __new__(
        cls,
        rules: Sequence[str],
        receivers: Sequence[str],
        *,
        late_s: float,
        repeat_s: float,
        forget_s: float,
        max_series: int,
        group_s: float,
        expire_s: float,
        max_waiting: int,
    ) -> Self:
        """Set the limits; those whose names end in _s are seconds.

        `late_s`: a value that was older when it arrived begins and ends no alert. `repeat_s`: an alert that goes on is notified again after this time; 0 notifies once.
        `forget_s`: a series without a value for this time is forgotten, and its alert ends. `max_series`: the most series that all rules together watch.
        `group_s`: changes of one rule are collected for this time, and sent as one notification. `expire_s`: a change that could not be sent for this time is given up.
        `max_waiting`: the most changes that wait for one receiver; beyond that, the oldest are dropped."""

@final
class AlertSink:
    """The path from the journal to the alerts of a sink. One thread calls `deliver`; any thread may call the other methods. Each call waits for the disk.

    The changes of a call are committed when it returns. Raises JournalError."""

    def __new__(cls, journal: Journal, name: str, settings: AlertSettings) -> Self:
        """Load the states that are stored beside the sink's cursor."""
    def deliver(self, *, linger_ms: int, timeout_ms: int) -> int | None:
        """Judge the next frames, and update the time. Returns the number of frames, None if none came in time."""
    def figures(self, figures: Sequence[tuple[str, Sequence[tuple[str, str]], float]]) -> None:
        """Set the present figures of the gateway, all of them: (name, labels sorted by their names, value)."""
    def take(self, receiver: str) -> str | None:
        """The notification for a receiver, now sealed: it stays the same until `tried` reports that it was sent. None if there is nothing to send.

        JSON: {"id", "rule", "severity", "alerts": [{"id", "state", "repeated", "labels", "value", "text", "since_ms", "at_ms", "reason"}]}."""
    def tried(self, receiver: str, id: str, sent: bool) -> bool:
        """Note whether a notification was sent. False if the notification has expired meanwhile."""
    def version(self) -> int:
        """A number that increases with each change of the states."""
    def document(self) -> str:
        """JSON: {"rules", "receivers", "late", "beyond_max_series"}, in the schema Alerts of the HTTP API."""
    def cancel(self) -> None:
        """Make `deliver` return at once, now and in future."""

def stored_alerts(path: str, name: str, settings: AlertSettings) -> str:
    """The result of `AlertSink.document` for a journal that no gateway has open. Raises JournalError."""

def alert_rule_fault(rule: str) -> tuple[str, str] | None:
    """The wrong key of a rule, and what is wrong with it; None if the rule can be used. See `AlertSettings`."""

@final
class Decoder:
    """Decodes without a journal, for `decode`, `profile test` and benchmarks."""

    def __new__(
        cls,
        profile: Profile,
        *,
        topic_prefix: str,
        tags: dict[str, str],
        max_document_bytes: int = 65536,
        rtt_channel: str | None = None,
    ) -> Self:
        """With `rtt_channel`, only that channel is decoded if probe-rs prints several; see `Journal.add_source`."""
    def push(self, chunk: bytes, received_at_ns: int, *, publishes: bool = True) -> Decoded:
        """Decode a chunk. Without `publishes`, only lines are written."""
    def finish(self, received_at_ns: int) -> Decoded:
        """End the stream: a document that is still open is damaged."""
    def message(self, document: bytes, received_at_ns: int, *, topic: str | None = None) -> Decoded:
        """Decode one message, which is a whole document that came under `topic`: any JSON value, or a bare text if the profile accepts one."""

@final
class Decoded:
    """The result of one chunk or message."""

    documents: int
    points: int
    ignored: dict[str, int]
    """How many documents the profile ignored, by their name in the profile."""
    unused_times: list[str]
    """Why times in the documents are not the times of their values; at most one text per document and reason."""
    def lines(self) -> bytes:
        """The points in line protocol, each line with its line feed."""
    def publishes(self) -> list[tuple[bytes, bytes, bool]]:
        """(topic, payload, retain)."""
    def rejects(self) -> list[tuple[int, str, str]]:
        """(byte offset in the stream, or in that of its RTT channel if there are several; reason; excerpt)."""

@final
class Pacer:
    """Cuts a recording into pieces by the node's own clock, for playback in real time."""

    def __new__(cls, profile: Profile, *, max_document_bytes: int = 65536, rtt_channel: str | None = None) -> Self: ...
    def skip(self, chunk: bytes) -> None:
        """Skip bytes before the first `push`, as `Intake.skip` does."""
    def push(self, chunk: bytes) -> list[tuple[int, int]]:
        """(end offset in the chunk, milliseconds since the first document) for every document with a node time in it, in order."""

@final
class CopyProgress:
    """The progress of a copy of a file. All methods may be called from any thread."""

    def __new__(cls) -> Self: ...
    def cancel(self) -> None:
        """End the copy at its next step, with an error."""
    def pages(self) -> tuple[int, int]:
        """The number of copied pages, and of pages in the file; (0, 0) before the first step."""

def copy_file(path: str, to: str, progress: CopyProgress) -> None:
    """Copy the present state of an SQLite file into a new one, synced. Others may write to it meanwhile. Raises JournalError. Blocks; releases the interpreter."""

def check_file(path: str) -> list[str]:
    """Read every page of an SQLite file that nobody writes, and check the checksums of a journal's frames. Returns the faults. Raises JournalError."""

@final
class Journal:
    """The durable log between sources and sinks. One process at a time; all methods may be called from any thread."""

    @staticmethod
    def open(
        path: str,
        *,
        sync: Literal["full", "normal"] = "full",
        max_bytes: int = 268435456,
        max_age_s: float = 0.0,
        max_rejects: int = 10000,
        keep_confirmed_s: float = 0.0,
        keep_sinks: bool = False,
    ) -> Journal:
        """Open or create the journal; starts the writer and the sync thread. Raises JournalError. `max_age_s` 0 means no limit of age.
        Frames that every sink has confirmed stay for `keep_confirmed_s` while half of the room is free, for a database that returns to an earlier state.
        With `keep_sinks`, the sinks of the last run stay active without `add_sink`, which a retry on a stopped gateway needs."""
    @staticmethod
    def inspect(path: str) -> dict[str, Any]:
        """The `status()` of a journal, read-only. A process may have the journal open for writing."""
    @staticmethod
    def inspect_rejects(path: str, *, limit: int = 100) -> list[dict[str, Any]]:
        """The `rejects()` of a journal, read-only; as `inspect`. Raises JournalError."""
    def notes(self) -> list[str]:
        """Sentences for the log that were not returned before: a torn tail that was dropped, a clock that was set back, a full disk."""
    def status(self) -> dict[str, Any]:
        """The ledger: {"intake": {...}, "sinks": {name: {...}}, "sites": {...}, "journal": {...}}; units are frames. See "ledger" in docs/glossary.md."""
    def rejects(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """Newest first: {"id", "at_ns", "sink" (None for intake), "source", "position", "point", "field", "topic", "reason", "place",
        "excerpt"}; the frame came under `topic`."""
    def retry_rejects(
        self, sources: dict[str, tuple[Profile, float]], *, ids: Sequence[int] | None = None, devices: DeviceDirectory | None = None
    ) -> dict[str, int]:
        """Offer rejects again, the oldest first, with the present profile and dedup_window_s of their source, by its name. Rejects because of their device are
        looked up in `devices`; without it, such documents are accepted without tags of a device.
        Returns {"accepted", "duplicate", "still_rejected", "without_source"}."""
    def add_source(
        self,
        name: str,
        *,
        profile: Profile,
        topic_prefix: str,
        tags: dict[str, str],
        dedup_window_s: float = 3600.0,
        time_step_us: int = 1000,
        replayable: bool = False,
        max_document_bytes: int = 65536,
        rtt_channel: str | None = None,
    ) -> Intake:
        """Begin a live source. A replayable source waits for a slow disk; any other may queue 16 MB, and then loses data, which is counted.

        With `rtt_channel`, the whole stream is read until a line begins with `[rtt_channel] `; from there on, only that channel is read."""
    def add_recording(
        self,
        name: str,
        *,
        fingerprint: str,
        arguments: str,
        from_start: bool = False,
        start_ns: int | None = None,
        profile: Profile,
        topic_prefix: str,
        tags: dict[str, str],
        dedup_window_s: float = 3600.0,
        time_step_us: int = 1000,
        max_document_bytes: int = 65536,
        rtt_channel: str | None = None,
    ) -> Intake:
        """Begin or resume a recording. With `start_ns`, times follow the node's clock; without it, they are the times given to `push`.
        Raises ValueError if it was begun with other `arguments` and `from_start` is not set."""
    def add_sink(self, name: str, *, profiles: Sequence[str] | None = None) -> None:
        """Register the sink. A new sink starts at the oldest kept frame. Call this for every configured sink before any source."""
    @property
    def id(self) -> str:
        """A random id of this journal, 32 hexadecimal digits, made together with the journal."""
    run: str
    """The run that this opening began, in hexadecimal."""
    def site_chunks(self, origin: str, *, behind: tuple[str, int] | None = None, limit: int = 256) -> list[tuple[str, int, bytes]]:
        """The values that came from a site: run, number (position divided by 64) and values, in the order of run and number, after the given run and number.

        Each value is three varints: the frame's distance from the one before within the 64, the point and the field."""
    def may_drop(self, name: str) -> None:
        """If room is scarce, drop frames first that only this sink lacks."""
    def end(self, timeout_s: float) -> int | None:
        """The position behind all data pushed so far, once it is synced; None if that takes longer than the time-out."""
    def behind(self, position: int) -> list[str]:
        """The configured sinks whose stored cursor has not passed a position, by name. Raises JournalError."""
    def delete_rejects(self, device_id: str, start_ns: int, stop_ns: int) -> int:
        """Delete the rejects of a device with times in [start_ns, stop_ns), Unix nanoseconds. Returns their number. The deletion, and all commits before, then
        survive a loss of power. Raises JournalError."""
    def wait_delivered(self, timeout_s: float) -> bool:
        """Wait until every added sink has passed every committed frame. False on a time-out."""
    def sync(self, timeout_s: float) -> bool:
        """Commit and sync all data pushed so far. False on a time-out."""
    def copy_to(self, path: str, progress: CopyProgress) -> None:
        """Copy the file into a new one while it is written, in steps of some milliseconds. The copy is synced, and holds all commits up to the return of this
        call. Raises JournalError, also after `cancel`, and ValueError while another copy is being made. Blocks; releases the interpreter."""
    @staticmethod
    def copy_file(path: str, to: str, progress: CopyProgress) -> None:
        """The same for a journal that no process has open. The journal is not changed."""
    def close(self, timeout_s: float = 3.0) -> int:
        """Commit, sync, checkpoint, stop the threads, release the lock. Idempotent.

        Returns the number of documents of live sources that could not be committed, and are lost."""

@final
class BrokerConsumer:
    """A consumer of messages from clients of the built-in broker. A client's message is acknowledged when its frame is synced in the journal."""

    def __new__(
        cls,
        journal: Journal,
        name: str,
        *,
        profile: Profile,
        topic_prefix: str,
        tags: dict[str, str],
        filters: Sequence[str],
        waits: bool = True,
        dedup_window_s: float = 3600.0,
        max_document_bytes: int = 65536,
        devices: DeviceDirectory | None = None,
    ) -> Self:
        """Make a consumer for `Broker.start`; see `MqttConsumer` for `waits` and `devices`."""
    def has_room(self) -> bool:
        """Whether the journal has room now; clients wait while it has none."""
    def stop(self) -> None:
        """Accept no more messages. They are not acknowledged, so that their clients send them again."""
    def counts(self) -> tuple[int, int, int]:
        """Messages so far, their bytes, and when the last one came (nanoseconds since 1970, 0 before the first)."""

@final
class DeviceDirectory:
    """The registered devices: the tags that frames take from them, and the keys with which they log in. Consumers, the broker and threads may share it."""

    def __new__(cls, *, unknown: Literal["reject", "take"] = "reject") -> Self:
        """Begin without devices. `unknown`: documents of unknown or disabled devices become rejects, or are accepted without a device's tags."""
    def set(
        self,
        device_id: str,
        *,
        user_name: str | None = None,
        is_enabled: bool = True,
        tags: dict[str, str],
        keys: Sequence[tuple[bytes, float | None]],
    ) -> None:
        """Add or replace a device. `keys`: the SHA-256 of each key, and its expiry in Unix seconds. Connections end if their key is removed.

        Raises ValueError for tags that `device_tags` refuses, and for a hash without 32 bytes."""
    def remove(self, device_id: str) -> None:
        """Forget a device and end its connections."""
    def heard(self) -> list[tuple[str, int]]:
        """The devices from which a document came since the last call, with the newest arrival in Unix nanoseconds."""

@final
class Posts:
    """The source of HTTP clients in the journal. It takes batches of messages, and returns the outcome of each message once it is synced."""

    def __new__(
        cls,
        journal: Journal,
        name: str,
        *,
        profile: Profile,
        topic_prefix: str,
        tags: dict[str, str],
        dedup_window_s: float = 3600.0,
        message_id_window_s: float = 900.0,
        max_message_ids: int = 2_000_000,
        max_document_bytes: int = 65536,
    ) -> Self:
        """Begin the source. A message id is remembered for `message_id_window_s`, even over restarts; an id takes 24 to 30 bytes of memory and 16 of the journal."""
    def post(self, messages: Sequence[tuple[str | None, bytes, str, bytes, bytes | None, int]]) -> int:
        """Queue messages as one batch: (topic, document, device id or "", result of `device_tags` or b"", message id, arrival in Unix nanoseconds).

        Returns the ticket of the batch. Scans the messages, but does not wait for the disk. Check `has_room` first. Raises ValueError if there are no messages, and
        JournalError for a closed journal."""
    def fileno(self) -> int:
        """A descriptor that is readable when `results` has results. Raises ValueError when it is closed."""
    def results(self) -> list[tuple[int, list[tuple[str, str]]]]:
        """Every synced batch that was not returned before, in the order of the tickets: (ticket, (outcome, detail) per message, in order).

        Outcomes: accepted (the detail names values that could not be used), duplicate, conflict (same device and message id, other content; not kept), rejected
        ("reason: text"; kept), refused (too many message ids within the window; not kept), ignored (the profile says that the document is not telemetry)."""
    def has_room(self) -> bool:
        """Whether the journal has room now."""
    def counts(self) -> tuple[int, int, int]:
        """Messages so far, their bytes, and when the last one came (nanoseconds since 1970, 0 before the first)."""
    def close(self) -> None:
        """Close the descriptor, which must no longer be watched. Batches that were not returned stay in the journal."""

@final
class MqttRecorder:
    """A consumer for `record`. It calls a function with a list of (topic, payload, arrival in Unix nanoseconds), and acknowledges the messages when it returns."""

    def __new__(
        cls,
        listener: Callable[[list[tuple[bytes, bytes, int]]], object],
        *,
        broker_url: str,
        client_id: str,
        subscriptions: Sequence[tuple[str, int]],
        max_document_bytes: int = 65536,
        protocol: Literal["3.1.1", "5"] = "3.1.1",
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        client_key_file: str | None = None,
    ) -> Self:
        """Raises MqttError for a URL, filter, text or certificate that cannot be used."""
    def run_connection(self) -> None:
        """Connect, subscribe and take messages until `stop`. Blocks; releases the interpreter. Raises MqttError when the connection ends otherwise."""
    def stop(self, timeout_s: float = 1.0) -> None:
        """End `run_connection`."""

@final
class MqttConsumer:
    """A consumer of MQTT messages, with its place in the journal."""

    def __new__(
        cls,
        journal: Journal,
        name: str,
        *,
        profile: Profile,
        topic_prefix: str,
        tags: dict[str, str],
        broker_url: str,
        client_id: str,
        subscriptions: Sequence[tuple[str, int]],
        retained: Literal["ignore", "take"] = "ignore",
        redelivery: Literal["marked", "unmarked"] = "marked",
        waits: bool = True,
        session_expiry_s: float = 86400.0,
        dedup_window_s: float = 3600.0,
        max_document_bytes: int = 65536,
        protocol: Literal["3.1.1", "5"] = "3.1.1",
        keep_alive_s: float = 30.0,
        ack_timeout_s: float = 20.0,
        connect_timeout_s: float = 10.0,
        receive_maximum: int = 65535,
        is_shared: bool = False,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        client_key_file: str | None = None,
        devices: DeviceDirectory | None = None,
    ) -> Self:
        """`subscriptions` are filters, each with its QoS. With `devices`, the level `{device}` of the profile's filters names a registered device, whose tags are added to the
        message. A message of an unknown or disabled device is a reject (unknown_device, device_disabled). With `waits`, the source stops before the journal is full, and its
        frames are never dropped for those of others. Raises MqttError for a URL, filter, text or certificate that cannot be used."""
    def run_connection(self) -> dict[str, Any]:
        """Connect, subscribe and take messages until the connection ends or `stop`. Blocks; releases the interpreter.
        Returns {"kind", "detail", "subscribed_s"}; kinds: those of `MqttSink.run_connection`, and paused: the journal has no room."""
    def wait_room(self, timeout_s: float) -> bool:
        """Wait until the journal has room. False on a time-out."""
    def stop(self, timeout_s: float = 3.0) -> None:
        """End `run_connection`: acknowledge the messages that become durable within the time-out, and disconnect. The broker keeps the session."""
    def retire(self) -> None:
        """Make `run_connection`, now or at the next call, unsubscribe, take the messages that the broker still holds, and end the session. Its kind is then `retired` for good."""
    def state(self) -> dict[str, Any]:
        """{"state": connecting|subscribed|paused|disconnected|stopped, "messages", "payload_bytes", "last_message_ns", "unacknowledged", "refused",
        "limits", "sessions_lost"}. "refused": filters that the broker refused. "limits": settings of which it granted less. "sessions_lost": how often it lost the session."""

@final
class Intake:
    """Takes the bytes of one source. Calls must not overlap."""

    resume_offset: int
    """For a recording: the offset from which to push its stream. Give the bytes before it to `skip`."""
    finished: bool
    """For a recording: whether the journal already has it to its end."""
    def skip(self, chunk: bytes) -> None:
        """For a resumed recording, before the first `push`: take its bytes before `resume_offset`, which show the RTT channel at that place."""
    def push(self, chunk: bytes, received_at_ns: int) -> int:
        """Frame and queue a chunk. Never waits for the disk. Returns how many documents (good or damaged) the chunk completed."""
    def push_message(self, topic: bytes, document: bytes, received_at_ns: int, settled: int) -> None:
        """Queue a message, which is a whole document, with its topic. `settled` is the offset behind the message in its recording."""
    def read(self, descriptor: int, stop: int, listener: Callable[[bytes], object] | None = None) -> bytes:
        """Push all bytes from a descriptor until its other end, or that of `stop`, hangs up. Releases the interpreter throughout.

        The listener is called with every chunk, on this thread and with the interpreter; an exception in it is printed and has no other effect. Returns the last 4,096 bytes.
        Raises OSError when the device is gone.
        """
    def traffic(self) -> tuple[int, float, int, float]:
        """The counts of `read`: bytes, Unix time in seconds of the last ones (0 for never), documents, Unix time of the last document."""
    def wait_room(self, timeout_s: float) -> bool:
        """Wait until less than 4 MB of this source wait for the disk. False on a time-out (the disk is full or slow)."""
    def finish(self, received_at_ns: int) -> int:
        """End the stream: an open document is damaged, and a recording is marked as finished."""
    def restart(self) -> None:
        """Note that the stream was interrupted (port unplugged, probe-rs ended): an open document is damaged, and framing begins again."""
    def settled(self, timeout_s: float) -> bool:
        """Wait until all pushed data is committed. False on a time-out."""

MQTT_PREFIX_BYTES: Final = 32000
"""The longest prefix of topics, in bytes of UTF-8."""

def mqtt_text_fault(text: str, *, max_bytes: int = 65535) -> str | None:
    """Return why MQTT does not allow a text as a topic, client id or user name ("holds U+0001, ..."); None if it does."""

def device_tags(tags: dict[str, str]) -> bytes:
    """Return the snapshot of a device with these tags, which override all other tags of its points. Tags without a value are left out.

    Raises ValueError for an empty key, and for more than 16 KiB."""

def read_lines(body: bytes, precision: Literal["ns", "us", "ms", "s"], max_lines: int) -> list[tuple[bytes, str]]:
    """Read InfluxDB line protocol. Returns for each line a document to post under the topic `$api/line` with the profile `line-protocol`, and ""; or b"" and the fault of
    the line ("line 3, column 12: ..."). Empty lines and comments are left out. Raises ValueError for more lines than `max_lines`, and for another precision."""

def read_time(text: bytes) -> int | None:
    """Read a JSON value as a time, like a profile with the format "auto": a number since 1970 (its size tells the unit), also in quotes, or RFC 3339. Returns Unix nanoseconds."""

def mqtt_text(text: str) -> str:
    """Return the text with `_` for every character that MQTT does not allow."""

def toml_places(text: str) -> tuple[dict[tuple[str, ...], int], set[tuple[str, ...]], list[tuple[tuple[str, ...], int, bool]]]:
    """The line of each key path in a TOML text, from 1, at its first mention, without keys inside arrays; the tables with a header; and each table with a header and each
    key in the order of the text, with its line, and whether it is a table of an array."""

def sign_command(
    key: bytes, *, node: int, boot: int, until_seq: int, counter: int, action: Literal["interval_s", "led", "reboot"], value: int
) -> bytes:
    """Return the payload of a command (19 bytes) with its code. Raises ValueError for another action, and for a key without 16 bytes."""

def read_answer(key: bytes, *, node: int, payload: bytes) -> dict[str, Any] | None:
    """Return `counter`, `outcome` and `value` of an answer's payload; None if its code was not made with the key."""

@final
class MqttSink:
    """The MQTT client and its place in the journal."""

    def __new__(
        cls,
        journal: Journal,
        name: str,
        *,
        broker_url: str,
        client_id: str,
        availability_topic: str,
        health_topic: str,
        own_topics: Sequence[str] = (),
        protocol: Literal["3.1.1", "5"] = "3.1.1",
        qos: int = 1,
        backlog: Literal["replay", "latest"] = "replay",
        keep_alive_s: float = 30.0,
        ack_timeout_s: float = 20.0,
        connect_timeout_s: float = 10.0,
        inflight: int = 1000,
        max_topics: int = 100000,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        client_key_file: str | None = None,
    ) -> Self:
        """`own_topics` are filters of the gateway's own topics; values for them are rejected. Schemes: mqtt:// (1883), mqtts:// (8883, always
        with TLS). Raises MqttError for a URL, text or certificate that cannot be used."""
    def run_connection(self) -> dict[str, Any]:
        """Connect, refresh, publish until the connection ends or `stop`. Blocks; releases the interpreter.
        Returns {"kind", "detail", "connected_s", "delivered", "again", "answered"}; kinds: stopped, refused, not_authorized, unreachable,
        lost, ack_timeout, session_taken_over, tls, protocol, quota, journal, search. "again": the next connection should come soon, because the
        sink is looking for a publish that ends connections, or will act differently. "answered": the broker answered a publish."""
    def is_answering(self, timeout_s: float) -> bool:
        """Whether the broker answers a CONNECT under another client id. Blocks; releases the interpreter."""
    def stop(self, timeout_s: float = 3.0) -> None:
        """End `run_connection`: finish the publishes in flight, publish "offline", and disconnect. After the time-out, cut the connection, so that the broker publishes the will."""
    def publish_health(self, payload: bytes) -> None:
        """Replace the retained health document; sent when connected."""
    def refusal(self, topic: str) -> str | None:
        """Why no value may be published to this topic: MQTT does not allow it, or it is one of the gateway's own. None if values may be published there."""
    def state(self) -> dict[str, Any]:
        """{"state": connecting|refreshing|connected|disconnected|stopped, "in_flight", "late", "refreshed", "publishes", "unlisted",
        "suspects", "rejects", "last_reject", "limits", "last_error"}. "suspects": publishes that may have ended connections. "rejects": points refused for good.
        "last_reject": the last of them. "limits": configured features that the broker does not offer."""
    @staticmethod
    def probe(
        *,
        broker_url: str,
        client_id: str,
        topic: str,
        filter: str | None = None,
        protocol: str = "3.1.1",
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        client_key_file: str | None = None,
        timeout_s: float = 10.0,
    ) -> dict[str, Any]:
        """Connect, subscribe to `filter` (by default the topic), publish to `topic`, and read the message back.

        Returns {"ok", "step", "kind", "detail"}: the first step that failed, and the reason with the kinds of `run_connection`."""

@final
class SideConnection:
    """A connection beside a sink's, for messages that belong to no ledger: it takes messages of subscriptions, and publishes at QoS 1."""

    def __new__(
        cls,
        *,
        broker_url: str,
        client_id: str,
        subscriptions: Sequence[str],
        protocol: Literal["3.1.1", "5"] = "3.1.1",
        keep_alive_s: float = 30.0,
        ack_timeout_s: float = 20.0,
        connect_timeout_s: float = 10.0,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        client_key_file: str | None = None,
        will_topic: str | None = None,
    ) -> Self:
        """`subscriptions` are topic filters, at QoS 0. If a connection breaks, the broker publishes `offline` to `will_topic`. Raises MqttError for a filter, URL or certificate
        that cannot be used."""
    def run_connection(self) -> dict[str, Any]:
        """Connect and subscribe, publish and receive until the connection ends or `stop`. Blocks; releases the interpreter.
        Returns {"kind", "detail", "connected_s"}, with the kinds of `MqttSink.run_connection`. The connection ends as `refused` if more than 20,000 messages, or
        16 MiB of them, wait for `receive`."""
    def publish(self, topic: str, payload: bytes, *, retain: bool, only_over: int | None = None) -> bool:
        """Queue a publish. It is kept, even over connections, until the broker has answered it. With `only_over`, the number of a
        connection, it is forgotten when that connection ends, and its refusal ends the connection. False if it was not queued: 20,000
        publishes or 16 MiB wait already, or that connection has ended."""
    def receive(self, known: int, timeout_s: float) -> tuple[int, list[tuple[str, bytes, bool]], list[tuple[str, str]]]:
        """Wait for messages, refusals, or another connection than `known`. Returns the number of the connection (0 if there is none;
        each connection has a new number), (topic, payload, came as retained) of its messages in order, and (topic, reason) of kept publishes
        that the broker has refused. Releases the interpreter."""
    def waiting(self) -> int:
        """How many publishes wait for the broker's answer. Those under way are counted only after their connection has ended."""
    def stop(self, timeout_s: float = 0.3) -> None:
        """End `run_connection` for good. Queued publishes are sent first, within the time-out."""

@final
class LineSink:
    """Reads lines of the frames behind a sink's cursor, for a database or a pipe."""

    def __new__(
        cls, journal: Journal, name: str, *, format: Literal["influx", "json"] = "influx", integers: Literal["typed", "float"] = "typed"
    ) -> Self:
        """ "influx" gives line protocol. "json" gives one object per point:
        `{"measurement":"temperature","tags":{"node":"1"},"fields":{"value":27.60},"time":1764393600000000000}`, the time in nanoseconds since 1970.

        With integers = "float", line protocol writes integers as floats, for a database that already stores them as floats."""
    def next_batch(self, *, max_lines: int, max_bytes: int, linger_ms: int, timeout_ms: int, gzip: bool = False) -> LineBatch | None:
        """The next batch; waits up to `timeout_ms` for a first frame, then `linger_ms` for more. None on a time-out.
        Blocks; releases the interpreter. Batches may be prepared ahead; they are confirmed in order. With `gzip`, for a poster that compresses, the
        whole batch is compressed here while another one is posted."""
    def newest(self, behind: int) -> LineBatch | None:
        """Lines of the newest frames, at most the last 64, from position `behind` on. They cannot be confirmed. None if there are none."""
    def rewind(self) -> None:
        """Forget returned batches that are not confirmed, and begin again at the stored cursor."""
    def confirm(self, batch: LineBatch, *, rejects: Sequence[tuple[int, str]] = (), wait: bool = True) -> bool:
        """Confirm that the other side has every line of the batch except `rejects` (line index, reason), which are stored as rejects.

        Returns when the previous confirmation is committed; this one is committed at the latest when the journal is closed. Without `wait`, this never
        blocks: if the previous one is not committed yet, it returns False and confirms nothing."""
    def cancel(self) -> None:
        """Make a waiting `next_batch` return None now, and every later one."""

@final
class LineBatch:
    """Lines of consecutive frames. Immutable."""

    lines: int
    frames: int
    byte_length: int
    first_position: int
    end_position: int
    def line(self, index: int) -> bytes:
        """One line, with its line feed. Raises ValueError if there is no such line."""
    def text(self, *, first: int = 0, end: int | None = None) -> bytes:
        """The lines `first`..`end`, each with its line feed. Raises ValueError if the batch has fewer lines."""
    def last_lines(self, *, first: int = 0, end: int | None = None, most: int = 1000) -> dict[bytes, bytes]:
        """The last line of each measurement among `first`..`end`, by the measurement in the form of lines; for at most `most` measurements."""

@final
class PostgresSettings:
    """The settings of a connection: a URL with libpq's parameters, and time-outs. The objects that use the settings check them."""

    def __new__(
        cls,
        url: str,
        *,
        password: str | None = None,
        pass_file: str | None = None,
        schema: str = "public",
        application_name: str = "iiot-gateway",
        connect_timeout_s: float = 10.0,
        timeout_s: float = 60.0,
        lock_timeout_s: float = 10.0,
    ) -> Self:
        """`password` overrides the URL's and the password file's. `pass_file` None means libpq's default file. `timeout_s` is the limit of each transaction."""

@final
class PostgresSink:
    """Writes rows of the frames behind a sink's cursor to a database, which stores the sink's position in the same transaction.

    Call `connect`; then `next_batch`, `commit` and `confirm` again and again. After an error of `commit` the connection is closed: call `connect` again, which
    reads the position in the database. After that, and if `commit` returns False, call `rewind`, because batches read before are invalid. One thread may read
    while another commits."""

    def __new__(
        cls,
        journal: Journal,
        name: str,
        settings: PostgresSettings,
        *,
        manage: bool = True,
        configuration_tags: bool = False,
        unique: bool = False,
        replace_nul: bool = False,
        max_columns: int = 200,
        max_tables: int = 1000,
        retention_days: dict[str, float] = {},
    ) -> Self:
        """Raises PostgresError (settings). With `manage`, missing tables, columns and partitions are made. Rows older than their measurement's `retention_days`
        are rejects. With `unique`, a row that is equal to an existing row, with the same time, is left out and counted (`RowBatch.repeated`)."""
    def connect(self) -> PostgresResumed:
        """Connect, read the position, and set the journal's cursor to it. Raises PostgresError, JournalError. Blocks; releases the interpreter."""
    def adopt(self) -> int:
        """Adopt a position that was written by a run that this journal does not know. Returns the position at which this journal continues."""
    def next_batch(self, *, max_rows: int, max_bytes: int, linger_ms: int, timeout_ms: int) -> RowBatch | None:
        """The next batch; waits up to `timeout_ms` for a first frame, then `linger_ms` for more. None on a time-out.
        Raises JournalError. Blocks; releases the interpreter."""
    def rewind(self) -> None:
        """Forget returned batches that are not confirmed, and begin again at the stored cursor. Waits for a `next_batch` under way."""
    def commit(self, batch: RowBatch) -> bool:
        """Commit the rows and the position behind them. True: all rows are stored except `batch.refused`, which the journal has stored before. False: the tables or
        the position had changed; call `rewind` and read again. Raises PostgresError, JournalError. Blocks; releases the interpreter."""
    def confirm(self, batch: RowBatch, *, wait: bool = True) -> bool:
        """Confirm a committed batch. As `LineSink.confirm`."""
    def prepare_partitions(self) -> None:
        """Make the partitions of this week and the next of every table written to so far."""
    def query(self, sql: str) -> list[list[str | None]]:
        """The rows of all statements, as text. Waits for a `commit` under way."""
    def close(self) -> None:
        """Close the connection; `connect` may open it again."""
    def stop(self) -> None:
        """Make a waiting `next_batch`, and every later one, return None. A `commit` under way continues."""
    def cancel(self) -> None:
        """End the call under way, and every later one, with PostgresError (cancelled)."""

@final
class PostgresResumed:
    """The position at which a connection continues. Immutable."""

    state: Literal["new", "same", "ahead", "behind"]
    """new: the database never had data of this journal's sink. same: both agree. ahead: the database had a COMMIT that the journal did not know.
    behind: the database has returned to an earlier state."""
    position: int
    lost: tuple[int, int]
    """First and end of the positions that the database does not have (new) or no longer has (behind), and that the journal has removed; equal if there are none."""
    lost_here: int
    """How many positions the database has from a run whose end this journal has lost."""
    server_version: int
    timescaledb: str | None

@final
class RowBatch:
    """Rows of consecutive frames."""

    rows: int
    frames: int
    byte_length: int
    first_position: int
    end_position: int
    repeated: int
    """After `commit` with `unique`: the number of rows that were already there."""
    left_out: list[tuple[str, str, int]]
    """Table, name and count of values that had no column."""
    refused: list[tuple[int, int, str, str]]
    """Position, point, reason and excerpt of rejected rows; after `commit` also of those that the server refused."""

@final
class PostgresConnection:
    """A connection for commands and queries."""

    def __new__(cls, settings: PostgresSettings) -> Self:
        """Raises PostgresError (settings)."""
    def connect(self) -> tuple[int, str | None]:
        """Connect. Returns the server's version as a number, such as 150020, and that of TimescaleDB. Raises PostgresError. Blocks; releases the interpreter."""
    def query(self, sql: str) -> list[list[str | None]]:
        """The rows of all statements, as text. After an error the connection is closed."""
    def ask(
        self, sql: str, parameters: Sequence[str | bytes | float | None]
    ) -> tuple[list[tuple[str | bytes | int | float | None, ...]], int]:
        """The rows of a statement with the parameters `$1`, `$2` and so on, and the number of changed rows. Raises PostgresError. If the server refuses the statement,
        the connection stays open, and the caller must roll back an open transaction. Any other error closes the connection, and the result is unknown."""
    def ask_many(self, sql: str, sets: Sequence[Sequence[str | bytes | float | None]]) -> int:
        """The same with each set of parameters; all are sent together. Returns the number of changed rows."""
    def notified(self, within_s: float) -> bool:
        """Wait for a notification on a channel of LISTEN. False if none came. Raises PostgresError, and closes the connection, if the connection broke."""
    @property
    def is_open(self) -> bool:
        """Whether the connection is open, as far as is known: the next call notices a broken one."""
    def close(self) -> None:
        """Close the connection."""
    def cancel(self) -> None:
        """End the call under way, and every later one, with PostgresError (cancelled)."""

def postgres_name(name: str) -> str:
    """A name as an identifier in quotes."""

def postgres_literal(text: str) -> str:
    """A text as a literal, whatever `standard_conforming_strings` is."""

def postgres_position_table(schema: str) -> str:
    """The statement that makes the table of positions. This and the following functions only return text; a second run of a statement changes nothing."""

def postgres_time_bucket(schema: str, server_version: int) -> str:
    """The statement that makes `time_bucket`, for a server without TimescaleDB."""

def postgres_partition_function(schema: str) -> str:
    """The statement that makes `iiot_gateway_add_partition`, with which a role that may only write can make partitions. The role needs GRANT EXECUTE on it."""

def postgres_partitions(schema: str, table: str) -> str:
    """The query that lists partitions: name, first and end in microseconds since 1970."""

def postgres_add_partitions(
    schema: str, table: str, known: Sequence[tuple[int, int]], now_us: int, *, by_function: bool
) -> list[tuple[str, str]]:
    """The name of each partition that a table lacks for this week and the next, and the statement that makes it; `known` as `postgres_partitions` lists them."""

def postgres_has_partition_function(schema: str) -> str:
    """The query that returns a row if the function that makes partitions exists and the user may call it."""

def postgres_drop_partition(schema: str, partition: str) -> str:
    """The statement that drops a partition with its rows."""

def postgres_hypertable(schema: str, table: str) -> str:
    """The statement that makes an empty table a hypertable. Needs TimescaleDB."""

def postgres_roll_up(
    schema: str, table: str, view: str, *, by: Sequence[str], count: str, sums: Sequence[tuple[str, str, str]]
) -> list[str]:
    """The statements that make an hourly roll-up, which each insertion updates, and its view: `bucket`, the columns `by`, `count`, and for each
    (column, total, average) the sum and the average under these names; an empty name leaves one out."""

@final
class Live:
    """The newest value of every topic and of every node's link. It works beside the sinks, has no ledger, and delays nothing.

    Its documents are UTF-8 JSON (/api/v1/openapi.json, schemas Latest and Changes). Values are texts as they came; times are milliseconds since 1970."""

    def __new__(cls, journal: Journal, *, max_bytes: int = 1048576) -> Self:
        """Begin with the frames that the journal still holds, and the values that its sinks have confirmed. `max_bytes` of frames are kept between two calls of `follow`."""
    def follow(self) -> int:
        """Decode the frames committed since the last call. Returns the version, which rises if there were any. Releases the interpreter."""
    def latest(self) -> bytes:
        """All series and values, with the samples for sparklines."""
    def changes(self, since: int) -> bytes:
        """The changes after version `since`: new series, and values."""

@final
class HistorySink:
    """The path of a history sink from the journal to its file. The points never become Python objects."""

    def __new__(cls, journal: Journal, name: str) -> Self: ...
    def open(self, path: str, *, max_age_s: float = 0.0, max_bytes: int = 0, check: bool = True) -> None:
        """Open or make the file. With `check`, an existing file is read to its end, to find damage now. A limit of 0 means no limit. Raises HistoryError. Blocks."""
    def deliver(self, *, max_points: int, linger_ms: int, timeout_ms: int) -> dict[str, int] | None:
        """Store the points behind the sink's cursor and confirm their frames. Waits up to `timeout_ms` for a first frame, then `linger_ms` for more.
        Returns {"frames", "inserted", "replaced", "unchanged", "pruned"}: confirmed frames, and points; None on a time-out, or if the file is not open.
        Raises HistoryError or JournalError; then nothing is confirmed, and the next call begins again. Blocks; releases the interpreter."""
    def size(self) -> dict[str, int] | None:
        """{"series", "points", "bytes"}; None if the file is not open. Waits for a `deliver` under way."""
    def delete(self, device_id: str, start_ns: int, stop_ns: int) -> int | None:
        """Delete the points of all series with the tag `device_id` in [start_ns, stop_ns), Unix nanoseconds, and correct the roll-ups. Returns their number; None if the file is
        not open. Waits for a `deliver` under way. Raises HistoryError, also after `cancel`; then a part may be deleted, and the same call deletes the rest."""
    def copy_to(self, path: str, progress: CopyProgress) -> bool:
        """Copy the file into a new one, synced; nothing is stored meanwhile. False if the file is not open. Waits for a `deliver` under way. Raises JournalError, also
        after `cancel`. Blocks; releases the interpreter."""
    def cancel(self) -> None:
        """Make a waiting `deliver`, and every later one, return at once."""
    def close(self) -> None:
        """Close the file, once a `deliver`, `delete` or `copy_to` under way has returned."""

@final
class HistoryReader:
    """Queries a history file, even while a gateway writes it. Read-only; usable from any thread. Times are nanoseconds since 1970."""

    def __new__(cls, path: str) -> Self:
        """Raises HistoryError."""
    def series(self) -> list[dict[str, Any]]:
        """[{"id": int, "measurement": str, "tags": dict[str, str], "field": str, "topic": str | None, "first_ns": int, "last_ns": int, "points": int}]."""
    def last(self, ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """The last point of each series: [{"id": int, "time_ns": int, "value": str, "typed": bool | int | float | str}]; `value` is the text that came. An id without points
        is left out."""
    def range(
        self, id: int, start_ns: int, end_ns: int, *, every_ns: int = 0, agg: str = "mean", limit: int = 100000, timeout_s: float = 0.0
    ) -> tuple[list[int], list[float | None]]:
        """Times and values in [start, end). With `every_ns` 0, these are points; otherwise buckets that begin at whole multiples of `every_ns` since 1970, without empty ones.

        `agg`: mean, min, max, sum, count, first, last, of numbers, where true is 1; a text is counted, but has no value (None). Raises ValueError,
        with the remedy, for an unknown series or agg, and for more than `limit` values. Raises HistoryError otherwise,
        of the kind "timeout" if reading takes longer than `timeout_s` (0: no limit)."""
    def texts(self, id: int, start_ns: int, end_ns: int, *, limit: int = 100000) -> tuple[list[int], list[str]]:
        """Times and original texts of the first `limit` points in [start, end). To continue, call again with a start behind the last time."""
    def values(self, id: int, start_ns: int, end_ns: int, *, limit: int = 100000) -> tuple[list[int], list[bool | int | float | str]]:
        """The same, each value with its own type: a text that looks like a number stays a text."""
    def close(self) -> None:
        """Close the file."""

@final
class Poster:
    """A persistent HTTP connection that posts line protocol."""

    def __new__(
        cls,
        url: str,
        *,
        headers: dict[str, str],
        timeout_s: float = 30.0,
        gzip: bool = True,
        ca_file: str | None = None,
        max_body_bytes: int = 65536,
    ) -> Self:
        """`url` is the whole write URL with its query. The first `max_body_bytes` of an answer's body are kept. Raises HttpError."""
    def post(self, batch: LineBatch, *, first: int = 0, end: int | None = None) -> Answer:
        """POST the lines first..end of the batch. Errors of the peer never raise. Blocks; releases the interpreter."""
    def post_bytes(self, body: bytes) -> Answer:
        """POST bytes unchanged, for callers without a batch."""
    def get(self, url: str) -> Answer:
        """GET with the same headers and settings, for health checks."""
    def cancel(self) -> None:
        """End a `post` under way, and every later one, with the error "cancelled"."""

@final
class Answer:
    """The result of a request: a status, or an error (refused, timeout, tls, dns, reset, cancelled) with status 0."""

    status: int
    error: str | None
    detail: str
    retry_after_s: float | None
    content_type: str
    """The content type that the peer gives; empty if it gives none."""
    location: str
    """The target of a redirect, which is not followed; empty if there is none."""
    body: bytes
    """The first `max_body_bytes` of the body."""

@final
class Simulator:
    """Simulates sensor nodes, and the log that probe-rs would print for their receiver. The same arguments give the same bytes."""

    def __new__(cls, *, nodes: int, rate_per_s: float | None, seed: int, start_ns: int) -> Self:
        """`rate_per_s` counts the readings of all nodes in simulated time, which begins at `start_ns`; with None each node measures every
        10 s. Raises ValueError."""
    @property
    def next_ns(self) -> int:
        """The simulated time of the next reading."""
    def advance(self, until_ns: int | None, *, max_readings: int) -> bytes:
        """The log of all events before a time (None: without a limit), for at most `max_readings` readings. Releases the interpreter."""
    def counts(self) -> dict[str, int]:
        """The counts so far: {"readings", "lost", "damaged", "documents", "duplicates", "node_restarts", "receiver_restarts"};
        documents = readings - lost - damaged + duplicates."""

def crossings() -> int:
    """How many calls into the extension the data path has made since the start, for the benchmark."""

def share_arena() -> bool:
    """With glibc, let all threads allocate from one arena: the others can reuse memory that one thread has freed, and large blocks
    go back to the system at once. Call this before threads start."""
