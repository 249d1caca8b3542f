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
"""What `HistoryReader.range` can give of the points of a bucket."""

class ProfileError(ValueError):
    """A profile file has faults; `faults` holds all of them as (line, message); line 0 means the whole file."""

    faults: list[tuple[int, str]]

class PostgresError(Exception):
    """PostgreSQL cannot be used. `kind`: wait (it is away, busy, full, or the connection broke), report (a person has to act: password, rights, a missing table,
    a certificate), moved (another writer moved the position; connect again), unknown_run (a copy of the journal, or an old one: stop until adopted),
    settings (they cannot be used), cancelled. `sqlstate`: the server's code, if it gave one. A row that is refused is no error."""

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
        """Start it and wait until it listens at ADDRESS:PORT. `path` is the file that retained values are kept in; those of `own_clients` are
        not, they publish them again themselves. `consumers` are given what other clients publish. With a user name every client must give it.

        With `devices`, which needs a user name and a password, a device logs in with its id or user name and its key. It may publish below `device_prefix`/ID/telemetry and
        .../status, and subscribe below .../commands; its client id is its id, with `:` and anything behind it if it likes, and nobody else has such a client id. Raises
        BrokerError, or ValueError for `listen`."""
    port: int
    def has_ended(self) -> bool:
        """It stopped, by `stop` or by a fault."""
    def end_reason(self) -> str | None:
        """Why it does not run any more; None while it runs."""
    def not_stored(self) -> int:
        """How many changes of other clients' retained values the file has not taken since the start; never waits."""
    def refused(self) -> dict[str, int]:
        """What was refused since the start, by reason: logins, publishes, subscriptions, and connections whose key is gone; never waits."""
    def stop(self, timeout_s: float) -> bool:
        """Disconnect the clients and stop listening. False if that takes longer."""

@final
class Profile:
    """Rules that turn documents into points. Immutable; shareable between threads."""

    @staticmethod
    def parse(text: str) -> Profile:
        """Compile the text of a profile file. Raises ProfileError with every fault."""
    def may_give(self, measurement: str, field: str) -> bool:
        """Whether any document may give a field of a measurement; an empty name stands for any."""
    def heard(self, document: bytes) -> list[tuple[str, int | None, int]]:
        """Node, boot number and sequence number of every packet that a document tells of; none if the values had waited at their node."""
    @property
    def name(self) -> str: ...
    @property
    def hash(self) -> str:
        """16 hexadecimal digits of the text's fingerprint."""

@final
class AlertSettings:
    """Rules, receivers and limits of alerts. Each rule is a JSON object of the keys of [[alert]] that are given, with of = "silence" for a silence.

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
        """`repeat_s` = 0 tells an alert once."""

@final
class AlertSink:
    """A sink's way from the journal to its alerts. `deliver` is called on one thread, everything else on any; each call blocks for the disk.

    What a call changes is committed when it returns. Raises JournalError."""

    def __new__(cls, journal: Journal, name: str, settings: AlertSettings) -> Self:
        """Take up the states that are stored beside the sink's cursor."""
    def deliver(self, *, linger_ms: int, timeout_ms: int) -> int | None:
        """Judge the next frames and let time pass; the number of frames, None if none came in time."""
    def figures(self, figures: Sequence[tuple[str, Sequence[tuple[str, str]], float]]) -> None:
        """Take all figures of the gateway as they are now: (name, labels sorted by their names, value)."""
    def take(self, receiver: str) -> str | None:
        """What a receiver is to be told now, sealed: the same until `tried` says that it was sent.

        JSON: {"id", "rule", "severity", "alerts": [{"id", "state", "repeated", "labels", "value", "text", "since_ms", "at_ms", "reason"}]}."""
    def tried(self, receiver: str, id: str, sent: bool) -> bool:
        """The receiver took the notification, or did not this time. False if it has gone meanwhile."""
    def version(self) -> int:
        """Counts what changed of states."""
    def document(self) -> str:
        """JSON: {"rules", "receivers", "late", "beyond_max_series"}, as the schema Alerts of the HTTP API says."""
    def cancel(self) -> None:
        """Let `deliver` return, now and from now on."""

def stored_alerts(path: str, name: str, settings: AlertSettings) -> str:
    """What `AlertSink.document` would say of a journal that no gateway has open. Raises JournalError."""

def alert_rule_fault(rule: str) -> tuple[str, str] | None:
    """The key of a rule that cannot be used and what is wrong with it; see `AlertSettings`."""

@final
class Decoder:
    """Decode without a journal: for `decode`, `check` and benchmarks."""

    def __new__(
        cls,
        profile: Profile,
        *,
        topic_prefix: str,
        tags: dict[str, str],
        max_document_bytes: int = 65536,
        rtt_channel: str | None = None,
    ) -> Self:
        """With `rtt_channel` that channel is taken out of what probe-rs prints for several; see `Journal.add_source`."""
    def push(self, chunk: bytes, received_at_ns: int, *, publishes: bool = True) -> Decoded:
        """Decode a chunk. With `publishes` off only lines are written."""
    def finish(self, received_at_ns: int) -> Decoded:
        """The end of the stream: a document that is still open is damaged."""
    def message(self, document: bytes, received_at_ns: int, *, topic: str | None = None) -> Decoded:
        """Decode one message, which is a whole document that came under `topic`: any JSON value, or a bare text where the profile takes one."""

@final
class Decoded:
    """What one chunk or message gave."""

    documents: int
    points: int
    ignored: dict[str, int]
    """How many documents the profile ignored, by the name that they have there."""
    def lines(self) -> bytes: ...
    def publishes(self) -> list[tuple[bytes, bytes, bool]]:
        """(topic, payload, retain)."""
    def rejects(self) -> list[tuple[int, str, str]]:
        """(byte offset in the stream, in that of its RTT channel if there are several, reason, excerpt)."""

@final
class Pacer:
    """Cuts a recording into pieces by the node's own clock, for playback in real time."""

    def __new__(cls, profile: Profile, *, max_document_bytes: int = 65536, rtt_channel: str | None = None) -> Self: ...
    def skip(self, chunk: bytes) -> None:
        """Pass over bytes before the first `push`, as `Intake.skip` does."""
    def push(self, chunk: bytes) -> list[tuple[int, int]]:
        """(end offset in the chunk, milliseconds since the first document) for every document with a node time in it, in order."""

@final
class CopyProgress:
    """How far a copy of a file is. All methods may be called from any thread."""

    def __new__(cls) -> Self: ...
    def cancel(self) -> None:
        """End the copy at its next step, with an error."""
    def pages(self) -> tuple[int, int]:
        """Pages that are copied, and pages of the file; (0, 0) before the first step."""

def copy_file(path: str, to: str, progress: CopyProgress) -> None:
    """Copy an SQLite file as it is now into a new one, synced. Others may write to it meanwhile. Raises JournalError. Blocks; releases the interpreter."""

def check_file(path: str) -> list[str]:
    """Read every page of an SQLite file that nobody writes, and the checksums of a journal's frames. Returns what is damaged. Raises JournalError."""

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
        """Open or create; starts the writer and the sync thread. Raises JournalError. `max_age_s` 0 means no limit of age.
        Frames that every sink has confirmed stay for `keep_confirmed_s` where half of the room is free, for a database that comes back as it was earlier.
        With `keep_sinks` the sinks of the last run stay active without `add_sink`, as a retry on a stopped gateway needs it."""
    @staticmethod
    def inspect(path: str) -> dict[str, Any]:
        """`status()` of a journal that no process has open for writing (or of one that has), read-only."""
    @staticmethod
    def inspect_rejects(path: str, *, limit: int = 100) -> list[dict[str, Any]]: ...
    def notes(self) -> list[str]:
        """What opening found and did (a torn tail dropped, a clock that fell back), for the log."""
    def status(self) -> dict[str, Any]:
        """The ledger: {"intake": {...}, "sinks": {name: {...}}, "journal": {...}}; units are frames. See docs/ledger.md."""
    def rejects(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """Newest first: {"id", "at_ns", "sink" (None for intake), "source", "position", "point", "field", "topic", "reason", "place",
        "excerpt"}; `topic` is the one under which the frame came."""
    def retry_rejects(
        self, sources: dict[str, tuple[Profile, float]], *, ids: Sequence[int] | None = None, devices: DeviceDirectory | None = None
    ) -> dict[str, int]:
        """Offer rejects again, the oldest first, under what is valid now by the source's name: profile and dedup_window_s. What was rejected because of its device is
        looked up in `devices`; without it, such documents are taken without tags of a device.
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
        """Begin a live source. A replayable source is held back by the disk; another may keep 16 MB and then loses, counted.

        With `rtt_channel` the stream is taken as it comes until a line begins with `[rtt_channel] `; from there on only that channel is taken."""
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
        """Begin or resume a recording. With `start_ns` times follow the node's clock; without, they are those given to `push`.
        Raises ValueError if it was begun with other `arguments` and `from_start` is not set."""
    def add_sink(self, name: str, *, profiles: Sequence[str] | None = None) -> None:
        """Make the sink known; it starts at the oldest kept frame if it is new. Call for every configured sink before any source."""
    @property
    def id(self) -> str:
        """A random id of this journal, 32 hexadecimal digits; made when the journal was."""
    run: str
    """The run that this opening began, in hexadecimal."""
    def site_chunks(self, origin: str, *, behind: tuple[str, int] | None = None, limit: int = 256) -> list[tuple[str, int, bytes]]:
        """Which values of a site came: run, position divided by 64, and the values, in the order of the first two, behind a run and number.

        Values are varints, three for each: the frame's distance from the one before within the 64, point and field."""
    def may_drop(self, name: str) -> None:
        """Where room is scarce, let the frames that only this sink lacks go first."""
    def end(self, timeout_s: float) -> int | None:
        """The position behind everything pushed so far, once that is synced; None if it takes longer than the time-out."""
    def behind(self, position: int) -> list[str]:
        """The configured sinks whose stored cursor has not passed a position, by name. Raises JournalError."""
    def delete_rejects(self, device_id: str, start_ns: int, stop_ns: int) -> int:
        """Delete the rejects of a device with times in [start_ns, stop_ns), Unix nanoseconds. Returns how many. They, and all commits before, survive
        the loss of power then. Raises JournalError."""
    def wait_delivered(self, timeout_s: float) -> bool:
        """Wait until every added sink has passed every committed frame, or the time-out."""
    def sync(self, timeout_s: float) -> bool:
        """Commit and sync everything pushed so far."""
    def copy_to(self, path: str, progress: CopyProgress) -> None:
        """Copy the file into a new one while it is written, in steps of some milliseconds; the copy is synced, and holds what was committed when this
        returns. Raises JournalError, also once it is cancelled, and ValueError while another copy is being made. Blocks; releases the interpreter."""
    @staticmethod
    def copy_file(path: str, to: str, progress: CopyProgress) -> None:
        """The same for a journal that nobody has open; it stays as it is."""
    def close(self, timeout_s: float = 3.0) -> int:
        """Commit, sync, checkpoint, stop the threads, release the lock. Idempotent.

        Returns how many documents of live sources could not be committed: they are lost."""

@final
class BrokerConsumer:
    """A consumer of what clients of the built-in broker publish. A client's message is acknowledged when its frame is synced in the journal."""

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
        """Give it to `Broker.start`; see `MqttConsumer` for `waits` and `devices`."""
    def has_room(self) -> bool:
        """Whether the journal takes more now; clients wait while it does not."""
    def stop(self) -> None:
        """Take nothing more; what comes is not acknowledged, so that its client sends it again."""
    def counts(self) -> tuple[int, int, int]:
        """Messages so far, their bytes, and when the last one came (nanoseconds since 1970, 0 before the first)."""

@final
class DeviceDirectory:
    """The devices that are registered: what a frame takes of a device, and which keys let it in. May be shared by consumers, the broker and threads."""

    def __new__(cls, *, unknown: Literal["reject", "take"] = "reject") -> Self:
        """Begin without devices. `unknown`: documents of devices that are not known, or disabled, are rejects or are taken without a device's tags."""
    def set(
        self,
        device_id: str,
        *,
        user_name: str | None = None,
        is_enabled: bool = True,
        tags: dict[str, str],
        keys: Sequence[tuple[bytes, float | None]],
    ) -> None:
        """Add a device or replace what is known of it. `keys`: SHA-256 of each key and when it expires, in Unix seconds. Connections whose key is gone end.

        Raises ValueError for tags that `device_tags` refuses and for a hash that has not 32 bytes."""
    def remove(self, device_id: str) -> None:
        """Forget a device and end its connections."""
    def heard(self) -> list[tuple[str, int]]:
        """Devices of which a document came since the last call, with the newest arrival in Unix nanoseconds."""

@final
class Posts:
    """The place of HTTP clients in the journal: batches of messages go in, and what became of each comes back once it is synced."""

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
        """Begin the source. A message is known by its id for `message_id_window_s`, over restarts too; an id takes 24 to 30 bytes of memory and 16 of the journal."""
    def post(self, messages: Sequence[tuple[str | None, bytes, str, bytes, bytes | None, int]]) -> int:
        """Queue messages as one batch: (topic, document, device id or "", what `device_tags` gives or b"", message id, arrival in Unix nanoseconds).

        Returns the ticket of the batch. Scans the messages; does not wait for the disk. Ask `has_room` before. Raises ValueError for no messages and JournalError
        for a closed journal."""
    def fileno(self) -> int:
        """A descriptor that is readable when `results` has something. Raises ValueError when it is closed."""
    def results(self) -> list[tuple[int, list[tuple[str, str]]]]:
        """Every batch that is synced and was not given before, in the order of the tickets: (ticket, (outcome, detail) of each message in its order).

        Outcomes: accepted (the detail names values that could not be used), duplicate, conflict (same device and message id, other content; not kept), rejected
        ("reason: text"; kept), refused (too many message ids within the window; not kept), ignored (the profile names it as no telemetry)."""
    def has_room(self) -> bool:
        """Whether the journal takes more now."""
    def counts(self) -> tuple[int, int, int]:
        """Messages so far, their bytes, and when the last one came (nanoseconds since 1970, 0 before the first)."""
    def close(self) -> None:
        """Close the descriptor, which must not be watched any more. Batches that were not given stay in the journal."""

@final
class MqttRecorder:
    """A consumer for `record`: messages go to a function as a list of (topic, payload, arrival in Unix nanoseconds), and are acknowledged when it returns."""

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
        """`subscriptions` are filters, each with its QoS. With `devices`, the level `{device}` of the profile's filters names a registered device, whose tags go with the
        message; one of an unknown or disabled device is a reject (unknown_device, device_disabled). With `waits` the source is held back before the journal is full, and its frames are never dropped for
        those of others. Raises MqttError for a URL, filter, text or certificate that cannot be used."""
    def run_connection(self) -> dict[str, Any]:
        """Connect, subscribe and take messages until the connection ends or `stop`. Blocks; releases the interpreter.
        Returns {"kind", "detail", "subscribed_s"}; kinds: those of `MqttSink.run_connection`, and paused: the journal has no room."""
    def wait_room(self, timeout_s: float) -> bool:
        """Wait until the journal takes more. False on time-out."""
    def stop(self, timeout_s: float = 3.0) -> None:
        """End `run_connection`: acknowledge what is durable within the time-out, and disconnect; the broker keeps the session."""
    def retire(self) -> None:
        """Let `run_connection`, this one or the next, take the filters back, take what the broker still holds, and end the session; its kind is `retired` then, for good."""
    def state(self) -> dict[str, Any]:
        """{"state": connecting|subscribed|paused|disconnected|stopped, "messages", "payload_bytes", "last_message_ns", "unacknowledged", "refused",
        "limits", "sessions_lost"}: filters that the broker refused, what it granted less of, and how often it had lost the session."""

@final
class Intake:
    """Where a source pushes bytes. One per source; calls must not overlap."""

    resume_offset: int
    """For a recording: how many bytes of its stream are settled; skip them, and push the stream from here."""
    finished: bool
    """For a recording: it was delivered to the journal to its end before."""
    def skip(self, chunk: bytes) -> None:
        """For a recording that goes on, before the first `push`: its bytes before `resume_offset`, which tell what RTT channel speaks there."""
    def push(self, chunk: bytes, received_at_ns: int) -> int:
        """Frame and queue a chunk; never blocks on the disk. Returns how many documents (good or damaged) it completed."""
    def push_message(self, topic: bytes, document: bytes, received_at_ns: int, settled: int) -> None:
        """Queue a message, which is a whole document, with its topic. `settled` is the offset behind it in its recording."""
    def read(self, descriptor: int, stop: int, listener: Callable[[bytes], object] | None = None) -> bytes:
        """Push what can be read from a descriptor, until its other end hangs up or `stop` does; releases the interpreter throughout.

        The listener hears every chunk, on this thread and with the interpreter; what it raises is shown and changes nothing. Return the last 4,096 bytes. Raises OSError when the device is gone.
        """
    def traffic(self) -> tuple[int, float, int, float]:
        """What `read` has read: bytes, the Unix time in seconds of the last ones (0 for never), documents, the time of the last one."""
    def wait_room(self, timeout_s: float) -> bool:
        """Wait until less than 4 MB of this source wait for the disk. False on time-out (the disk is full, or slow)."""
    def finish(self, received_at_ns: int) -> int:
        """The end of the stream: an open document is damaged; a recording is marked finished."""
    def restart(self) -> None:
        """The stream broke (port unplugged, probe-rs ended): an open document is damaged, framing begins anew."""
    def settled(self, timeout_s: float) -> bool:
        """Wait until everything pushed is committed."""

MQTT_PREFIX_BYTES: Final = 32000
"""How long a prefix of topics may be, in UTF-8."""

def mqtt_text_fault(text: str, *, max_bytes: int = 65535) -> str | None:
    """Say why MQTT does not take a text as a topic, client id or user name ("holds U+0001, ..."); None if it does."""

def device_tags(tags: dict[str, str]) -> bytes:
    """Return the snapshot of a device with these tags, which stand above all other tags of its points. Tags without a value are left out.

    Raises ValueError for an empty key and for more than 16 KiB."""

def read_lines(body: bytes, precision: Literal["ns", "us", "ms", "s"], max_lines: int) -> list[tuple[bytes, str]]:
    """Read InfluxDB line protocol: for each line a document to post under the topic `$api/line` with the profile `line-protocol`, and ""; or b"" and what is wrong with the
    line ("line 3, column 12: ..."). Empty lines and comments are left out. Raises ValueError for more lines and for another precision."""

def read_time(text: bytes) -> int | None:
    """Read a JSON value as a time, as profiles do with the format "auto": a number since 1970 (its size tells the unit), one in quotes, or RFC 3339. Unix nanoseconds."""

def mqtt_text(text: str) -> str:
    """Return the text with `_` for every character that MQTT does not allow."""

def toml_places(text: str) -> tuple[dict[tuple[str, ...], int], set[tuple[str, ...]], list[tuple[tuple[str, ...], int, bool]]]:
    """The line of each key path of a TOML text, from 1, where it is first named; and the tables that a line of their own opens. Keys within arrays are left out."""

def sign_command(
    key: bytes, *, node: int, boot: int, until_seq: int, counter: int, action: Literal["interval_s", "led", "reboot"], value: int
) -> bytes:
    """Return the payload of a command (19 bytes) with its code. Raises ValueError for another action or a key that has not 16 bytes."""

def read_answer(key: bytes, *, node: int, payload: bytes) -> dict[str, Any] | None:
    """Return `counter`, `outcome` and `value` of an answer's payload; None if its code is not that of the key."""

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
        """`own_topics` are filters of the gateway's own topics: values for them are rejected. Schemes: mqtt:// (1883), mqtts:// (8883, TLS or
        nothing). Raises MqttError for a URL, text or certificate that cannot be used."""
    def run_connection(self) -> dict[str, Any]:
        """Connect, refresh, publish until the connection ends or `stop`. Blocks; releases the interpreter.
        Returns {"kind", "detail", "connected_s", "delivered", "again", "answered"}; kinds: stopped, refused, not_authorized, unreachable,
        lost, ack_timeout, session_taken_over, tls, protocol, quota, journal, search. "again": the next one should come soon, because a
        publish is being looked for by which connections end, or it will do otherwise. "answered": the broker answered a publish."""
    def is_answering(self, timeout_s: float) -> bool:
        """Whether the broker answers a CONNECT under another client id. Blocks; releases the interpreter."""
    def stop(self, timeout_s: float = 3.0) -> None:
        """End `run_connection`: finish what is in flight, say offline, disconnect; after the time-out cut the connection, so that the will speaks."""
    def publish_health(self, payload: bytes) -> None:
        """Replace the retained health document; sent when connected."""
    def refusal(self, topic: str) -> str | None:
        """Why no value goes to this topic: MQTT does not allow it, or it is one of the gateway's own. None if values may go there."""
    def state(self) -> dict[str, Any]:
        """{"state": connecting|refreshing|connected|disconnected|stopped, "in_flight", "late", "refreshed", "publishes", "unlisted",
        "suspects", "rejects", "last_reject", "limits", "last_error"}: values by which connections ended; points refused for good, and the
        last one; what the broker does not offer of what was configured."""
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
        """Connect, subscribe to `filter` (the topic without one), publish to `topic`, read it back: {"ok", "step", "kind", "detail"}: the first step that failed and, as `run_connection` names it, why."""

@final
class SideConnection:
    """A connection beside a sink's, for what belongs to no ledger: messages of subscriptions in, publishes at QoS 1 out."""

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
        """`subscriptions` are topic filters, taken at QoS 0. Where a connection breaks, the broker publishes `offline` to `will_topic`. Raises MqttError for a filter, URL or certificate that cannot be used."""
    def run_connection(self) -> dict[str, Any]:
        """Connect and subscribe, publish and receive until the connection ends or `stop`. Blocks; releases the interpreter.
        Returns {"kind", "detail", "connected_s"}, with the kinds of `MqttSink.run_connection`. More than 20,000 messages, or 16 MiB
        of them, that nobody has fetched end it as `refused`."""
    def publish(self, topic: str, payload: bytes, *, retain: bool, only_over: int | None = None) -> bool:
        """Hand over a publish. It is kept, over connections, until the broker has answered it; with `only_over`, the number of a
        connection, it is forgotten when that ends, and its refusal ends that. False if it will not go out: 20,000 publishes or 16 MiB
        wait already, or that connection has ended."""
    def receive(self, known: int, timeout_s: float) -> tuple[int, list[tuple[str, bytes, bool]], list[tuple[str, str]]]:
        """Wait for messages, refusals, or another connection than the `known` one. Gives the number of the connection (0: none stands;
        each has a new one), (topic, payload, came as retained) of what came over it, in order, and (topic, reason) of kept publishes
        that the broker has refused. Releases the interpreter."""
    def waiting(self) -> int:
        """How many publishes the broker has not answered; those under way are among them once the connection has ended."""
    def stop(self, timeout_s: float = 0.3) -> None:
        """End `run_connection`, now and for good; what was handed over goes out first, within the time."""

@final
class LineSink:
    """Reads lines of the frames behind a sink's cursor, for a database or a pipe."""

    def __new__(
        cls, journal: Journal, name: str, *, format: Literal["influx", "json"] = "influx", integers: Literal["typed", "float"] = "typed"
    ) -> Self:
        """ "influx" gives line protocol. "json" gives one object per point:
        `{"measurement":"temperature","tags":{"node":"1"},"fields":{"value":27.60},"time":1764393600000000000}`, the time in nanoseconds since 1970.

        With integers = "float" line protocol writes integers as floats, for a database that has them so."""
    def next_batch(self, *, max_lines: int, max_bytes: int, linger_ms: int, timeout_ms: int, gzip: bool = False) -> LineBatch | None:
        """The batch behind the last one handed out; waits up to `timeout_ms` for a first frame, then `linger_ms` for more. None on time-out.
        Blocks; releases the interpreter. Batches may be prepared ahead; they are confirmed in order. `gzip` for a poster that compresses: the
        whole batch is compressed here, while another is posted."""
    def newest(self, behind: int) -> LineBatch | None:
        """Lines of the newest frames, from position `behind` on and not behind the last 64; to look at, not to be confirmed. None if there are none."""
    def rewind(self) -> None:
        """Forget batches handed out and not confirmed: begin again at the stored cursor."""
    def confirm(self, batch: LineBatch, *, rejects: Sequence[tuple[int, str]] = (), wait: bool = True) -> bool:
        """The other side has every line of the batch but the named ones (line index, reason), which are stored as rejects.

        Returns when the confirmation before this one is committed; this one is, at the latest, when the journal is closed. Without `wait` it never
        blocks: False if the one before is not committed yet, and nothing was confirmed."""
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
    def line(self, index: int) -> bytes: ...
    def text(self, *, first: int = 0, end: int | None = None) -> bytes:
        """The lines `first`..`end`, each with its line feed. Raises ValueError if there are not so many."""
    def last_lines(self, *, first: int = 0, end: int | None = None, most: int = 1000) -> dict[bytes, bytes]:
        """The last of the lines `first`..`end` of each measurement, by the measurement as lines write it; of `most` measurements at most."""

@final
class PostgresSettings:
    """How to connect: a URL with libpq's parameters, and time-outs. They are checked by those who take them."""

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
        """`password` comes before the URL's and the password file's; `pass_file` None means libpq's usual one. `timeout_s` is for each transaction."""

@final
class PostgresSink:
    """Rows of the frames behind a sink's cursor, into a database that keeps the sink's position in the transaction of the rows.

    `connect`; then `next_batch`, `commit`, `confirm` again and again. After an error of `commit` the connection is closed: `connect` again, which finds out
    what is in. After that, and where `commit` returns False, batches read before are worth nothing: `rewind`. One thread may read while another commits."""

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
        """Raises PostgresError (settings). With `manage` missing tables, columns and partitions are made. Rows of a measurement in `retention_days` that are
        older are rejects. With `unique` a row that says the same of the same time as one that is there is left out, and counted (`RowBatch.repeated`)."""
    def connect(self) -> PostgresResumed:
        """Connect, read the position, and let the journal's cursor follow it. Raises PostgresError, JournalError. Blocks; releases the interpreter."""
    def adopt(self) -> int:
        """Take over the position that a run wrote which this journal does not know; returns the position from which this journal goes on."""
    def next_batch(self, *, max_rows: int, max_bytes: int, linger_ms: int, timeout_ms: int) -> RowBatch | None:
        """The batch behind the last one handed out; waits up to `timeout_ms` for a first frame, then `linger_ms` for more. None on time-out.
        Raises JournalError. Blocks; releases the interpreter."""
    def rewind(self) -> None:
        """Forget batches handed out and not confirmed: begin again at the stored cursor. Waits for a `next_batch` under way."""
    def commit(self, batch: RowBatch) -> bool:
        """Commit the rows and the position behind them. True: all are in but `batch.refused`, which the journal has stored before. False: the tables or the
        position were other than thought; `rewind` and read again. Raises PostgresError, JournalError. Blocks; releases the interpreter."""
    def confirm(self, batch: RowBatch, *, wait: bool = True) -> bool:
        """Confirm a committed batch. As `LineSink.confirm`."""
    def prepare_partitions(self) -> None:
        """Make the partitions of this week and the next of every table written to so far."""
    def query(self, sql: str) -> list[list[str | None]]:
        """The rows of all statements, as text. Waits for a `commit` under way."""
    def close(self) -> None:
        """Close the connection; `connect` may open it again."""
    def stop(self) -> None:
        """Make a waiting `next_batch` return None now, and every later one; a `commit` under way goes on."""
    def cancel(self) -> None:
        """End whatever is under way, and everything later, with PostgresError (cancelled)."""

@final
class PostgresResumed:
    """Where a connection goes on. Immutable."""

    state: Literal["new", "same", "ahead", "behind"]
    """new: nothing of this journal's sink was ever there. ahead: the database had a COMMIT that the journal did not know of. behind: it is as it was earlier."""
    position: int
    lost: tuple[int, int]
    """First and end of positions that the database has not (new) or no longer (behind), and the journal has no more; equal if there are none."""
    lost_here: int
    """How many positions the database has of a run whose end this journal lost."""
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
    """After `commit` with `unique`: rows that were there already, word for word."""
    left_out: list[tuple[str, str, int]]
    """Table, name and count of values that had no column."""
    refused: list[tuple[int, int, str, str]]
    """Position, point, reason and excerpt of rows that are rejects; those that the server refused are among them after `commit`."""

@final
class PostgresConnection:
    """A connection for commands and questions."""

    def __new__(cls, settings: PostgresSettings) -> Self:
        """Raises PostgresError (settings)."""
    def connect(self) -> tuple[int, str | None]:
        """The server's version as in 150020, and that of TimescaleDB. Raises PostgresError. Blocks; releases the interpreter."""
    def query(self, sql: str) -> list[list[str | None]]:
        """The rows of all statements, as text. After an error the connection is closed."""
    def ask(
        self, sql: str, parameters: Sequence[str | bytes | float | None]
    ) -> tuple[list[tuple[str | bytes | int | float | None, ...]], int]:
        """The rows of a statement whose parameters are `$1`, `$2` and so on, and how many it changed. Raises PostgresError. What the server refuses does not
        close the connection: a transaction that was open is to be rolled back. Everything else does: what the server did is not known then."""
    def ask_many(self, sql: str, sets: Sequence[Sequence[str | bytes | float | None]]) -> int:
        """The same with each set of parameters, which wait for the server together. How many rows were changed."""
    def notified(self, within_s: float) -> bool:
        """Wait until a channel of LISTEN says something. False if nothing was said. Raises PostgresError if the connection broke; then it is closed."""
    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known: one that broke is noticed by the next call."""
    def close(self) -> None: ...
    def cancel(self) -> None:
        """End the call under way, and every later one, with PostgresError (cancelled)."""

def postgres_name(name: str) -> str:
    """A name as an identifier in quotes."""

def postgres_literal(text: str) -> str:
    """A text as a literal, whatever `standard_conforming_strings` is."""

def postgres_position_table(schema: str) -> str:
    """The statement that makes the table of positions. This and the following do nothing by themselves; twice changes nothing."""

def postgres_time_bucket(schema: str, server_version: int) -> str:
    """Makes `time_bucket`, for a server without TimescaleDB."""

def postgres_partition_function(schema: str) -> str:
    """Makes `iiot_gateway_add_partition`, which lets a role that may only write have partitions made. GRANT EXECUTE on it to the role."""

def postgres_partitions(schema: str, table: str) -> str:
    """Lists partitions: name, first and end in microseconds since 1970."""

def postgres_add_partitions(
    schema: str, table: str, known: Sequence[tuple[int, int]], now_us: int, *, by_function: bool
) -> list[tuple[str, str]]:
    """The name of each partition that a table lacks of this week and the next, and what makes it; `known` as `postgres_partitions` lists them."""

def postgres_has_partition_function(schema: str) -> str:
    """Gives a row if the function that makes partitions is there and may be called."""

def postgres_drop_partition(schema: str, partition: str) -> str: ...
def postgres_hypertable(schema: str, table: str) -> str:
    """Makes a hypertable of an empty table. Needs TimescaleDB."""

def postgres_roll_up(
    schema: str, table: str, view: str, *, by: Sequence[str], count: str, sums: Sequence[tuple[str, str, str]]
) -> list[str]:
    """Makes an hourly roll-up that each insertion keeps right, and the view of it: `bucket`, the columns `by`, `count`, and for each (column, total, average)
    the sum and the average under these names; an empty name leaves one out."""

@final
class Live:
    """The newest value of every topic and of every node's link. Beside the sinks: it has no ledger and holds nothing back.

    Its documents are UTF-8 JSON (docs: /api/v1/openapi.json, schemas Latest and Changes); values are text as they came, times milliseconds since 1970."""

    def __new__(cls, journal: Journal, *, max_bytes: int = 1048576) -> Self:
        """Begin with what the journal still holds and what its sinks have confirmed. `max_bytes` of frames are kept between two `follow`s."""
    def follow(self) -> int:
        """Decode what was committed since the last call; returns the version, which rises if something was. Releases the interpreter."""
    def latest(self) -> bytes:
        """Everything, with the samples for sparklines."""
    def changes(self, since: int) -> bytes:
        """What changed after version `since`: series that are new, and values."""

@final
class HistorySink:
    """A history sink's way from the journal into its file; the points never become Python objects."""

    def __new__(cls, journal: Journal, name: str) -> Self: ...
    def open(self, path: str, *, max_age_s: float = 0.0, max_bytes: int = 0, check: bool = True) -> None:
        """Open or make the file; with `check` an old one is read to the end, to find damage now. 0 is without limit. Raises HistoryError. Blocks."""
    def deliver(self, *, max_points: int, linger_ms: int, timeout_ms: int) -> dict[str, int] | None:
        """Store the points behind the sink's cursor and confirm their frames: waits up to `timeout_ms` for a first frame, then `linger_ms` for more.
        Returns {"frames", "inserted", "replaced", "unchanged", "pruned"}: frames confirmed, and points; None on time-out, or when not open.
        Raises HistoryError or JournalError; nothing is confirmed then, and the next call begins anew. Blocks; releases the interpreter."""
    def size(self) -> dict[str, int] | None:
        """{"series", "points", "bytes"}; None when not open. Waits for a `deliver` under way."""
    def delete(self, device_id: str, start_ns: int, stop_ns: int) -> int | None:
        """Delete the points of all series with the tag `device_id` in [start_ns, stop_ns), Unix nanoseconds; roll-ups follow. Returns how many that were; None when not open.
        Waits for a `deliver` under way. Raises HistoryError; a part may be deleted then, and the same call deletes the rest. Ends so after `cancel`."""
    def copy_to(self, path: str, progress: CopyProgress) -> bool:
        """Copy the file into a new one, synced; nothing is stored meanwhile. False when not open. Waits for a `deliver` under way. Raises JournalError, also
        once it is cancelled. Blocks; releases the interpreter."""
    def cancel(self) -> None:
        """Make a waiting `deliver` return now, and every later one."""
    def close(self) -> None:
        """Close the file, once a `deliver`, `delete` or `copy_to` under way has returned."""

@final
class HistoryReader:
    """Questions to a history file, also while a gateway writes it. Read-only; usable from any thread. Times are nanoseconds since 1970."""

    def __new__(cls, path: str) -> Self:
        """Raises HistoryError."""
    def series(self) -> list[dict[str, Any]]:
        """[{"id": int, "measurement": str, "tags": dict[str, str], "field": str, "topic": str | None, "first_ns": int, "last_ns": int, "points": int}]."""
    def last(self, ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """The last point of each series: [{"id": int, "time_ns": int, "value": str, "typed": bool | int | float | str}], `value` as the text that came. An id without points is left out."""
    def range(
        self, id: int, start_ns: int, end_ns: int, *, every_ns: int = 0, agg: str = "mean", limit: int = 100000, timeout_s: float = 0.0
    ) -> tuple[list[int], list[float | None]]:
        """Times and values of [start, end). `every_ns` 0: points. Else buckets that begin at whole multiples of it since 1970; empty ones are left out.

        `agg`: mean, min, max, sum, count, first, last; of numbers, true being 1; a text is counted and has no value (None). Raises ValueError,
        with the remedy, for an unknown series or agg and where there are more than `limit` values; HistoryError otherwise,
        of the kind "timeout" where reading takes longer than `timeout_s` (0 is without limit)."""
    def texts(self, id: int, start_ns: int, end_ns: int, *, limit: int = 100000) -> tuple[list[int], list[str]]:
        """Times and texts, as they came, of the first `limit` points of [start, end); to go on, ask from behind the last time."""
    def values(self, id: int, start_ns: int, end_ns: int, *, limit: int = 100000) -> tuple[list[int], list[bool | int | float | str]]:
        """The same, each value as what it is: a text that looks like a number stays a text."""
    def close(self) -> None: ...

@final
class Poster:
    """A kept HTTP connection that posts line protocol."""

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
        """`url` is the whole write URL with its query; `max_body_bytes` of an answer's body are kept. Raises HttpError."""
    def post(self, batch: LineBatch, *, first: int = 0, end: int | None = None) -> Answer:
        """POST lines first..end of the batch. Never raises for what the peer does. Blocks; releases the interpreter."""
    def post_bytes(self, body: bytes) -> Answer:
        """POST bytes as they are: for what is no batch (a benchmark)."""
    def get(self, url: str) -> Answer:
        """GET with the same headers and settings: health checks."""
    def cancel(self) -> None:
        """End a `post` that is under way, and every later one, with error "cancelled"."""

@final
class Answer:
    """What a request came to: a status, or an error (refused, timeout, tls, dns, reset, cancelled) with status 0."""

    status: int
    error: str | None
    detail: str
    retry_after_s: float | None
    content_type: str
    """What the peer calls the body; empty if it does not say."""
    location: str
    """Where a redirect leads, which is not followed; empty if there is none."""
    body: bytes
    """At most `max_body_bytes` of the Poster."""

@final
class Simulator:
    """Simulated sensor nodes, and the log that probe-rs would print for their receiver. The same arguments give the same bytes."""

    def __new__(cls, *, nodes: int, rate_per_s: float | None, seed: int, start_ns: int) -> Self:
        """`rate_per_s` counts the readings of all nodes in simulated time, which begins at `start_ns`; with None each node measures every
        10 s. Raises ValueError."""
    @property
    def next_ns(self) -> int:
        """When the next reading is sent, in simulated time."""
    def advance(self, until_ns: int | None, *, max_readings: int) -> bytes:
        """The log of everything that happens before a time (None: at any time), but of `max_readings` at most. Releases the interpreter."""
    def counts(self) -> dict[str, int]:
        """What has happened so far: {"readings", "lost", "damaged", "documents", "duplicates", "node_restarts", "receiver_restarts"};
        documents = readings - lost - damaged + duplicates."""

def crossings() -> int:
    """How many calls have crossed into the extension on the data path since the start; for the benchmark."""

def share_arena() -> bool:
    """Let all threads allocate from one arena, if this is glibc: memory that one has freed serves the others, and large blocks
    go back to the system at once. Call before threads start."""
