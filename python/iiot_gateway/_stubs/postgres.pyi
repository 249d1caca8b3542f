"""What `rust/iiot-native/src/postgres.rs` gives to Python."""

from collections.abc import Sequence
from typing import Literal, Self, final

from iiot_gateway._stubs.journal import Journal

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
