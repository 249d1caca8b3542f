"""The extension: hot path, journal, and clients of MQTT, HTTP and PostgreSQL. Private: import from the package's modules.

The types are in `_stubs/`, one file for each file of `rust/iiot-native/src/`.
"""

from typing import Final

from iiot_gateway._stubs.alerts import (
    AlertSettings,
    AlertSink,
    alert_rule_fault,
    stored_alerts,
)
from iiot_gateway._stubs.broker import Broker, BrokerConsumer
from iiot_gateway._stubs.consumer import MqttConsumer
from iiot_gateway._stubs.copying import CopyProgress, check_file, copy_file
from iiot_gateway._stubs.crossings import crossings
from iiot_gateway._stubs.decode import Decoded, Decoder, Pacer, Profile
from iiot_gateway._stubs.devices import DeviceDirectory
from iiot_gateway._stubs.downlink import read_answer, sign_command
from iiot_gateway._stubs.errors import (
    BrokerError,
    HistoryError,
    HttpError,
    JournalError,
    MqttError,
    PostgresError,
    ProfileError,
)
from iiot_gateway._stubs.history import HistoryReader, HistorySink
from iiot_gateway._stubs.http import Answer, Poster
from iiot_gateway._stubs.intake import Intake
from iiot_gateway._stubs.journal import Journal
from iiot_gateway._stubs.line_protocol import read_lines
from iiot_gateway._stubs.lines import LineBatch, LineSink
from iiot_gateway._stubs.live import Live
from iiot_gateway._stubs.memory import share_arena
from iiot_gateway._stubs.mqtt import MqttSink
from iiot_gateway._stubs.mqtt_text import mqtt_text, mqtt_text_fault
from iiot_gateway._stubs.postgres import (
    PostgresConnection,
    PostgresResumed,
    PostgresSettings,
    PostgresSink,
    RowBatch,
)
from iiot_gateway._stubs.postgres_sql import (
    postgres_add_partitions,
    postgres_drop_partition,
    postgres_has_partition_function,
    postgres_hypertable,
    postgres_literal,
    postgres_name,
    postgres_partition_function,
    postgres_partitions,
    postgres_position_table,
    postgres_roll_up,
    postgres_time_bucket,
)
from iiot_gateway._stubs.posts import Posts, device_tags, read_time
from iiot_gateway._stubs.recorder import MqttRecorder
from iiot_gateway._stubs.side import SideConnection
from iiot_gateway._stubs.simulate import Simulator
from iiot_gateway._stubs.toml_places import toml_places

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
MQTT_PREFIX_BYTES: Final = 32000
"""The longest prefix of topics, in bytes of UTF-8."""
