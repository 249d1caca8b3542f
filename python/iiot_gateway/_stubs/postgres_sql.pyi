"""What `rust/iiot-native/src/postgres_sql.rs` gives to Python."""

from collections.abc import Sequence

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
