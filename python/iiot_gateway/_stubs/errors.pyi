"""What `rust/iiot-native/src/errors.rs` gives to Python."""

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
