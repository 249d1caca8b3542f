"""The documents that the device API answers with. Times in seconds are Unix seconds; texts are RFC 3339."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Taken(TypedDict):
    """A point that is in the journal, where it survives a loss of power."""

    message: str
    device_id: str
    timestamp: str | None
    measurement: NotRequired[str]
    device_name: NotRequired[str]
    type: NotRequired[str]
    warning: NotRequired[str]


class PointResult(TypedDict):
    """The result for one point of a batch."""

    index: int
    status: str
    code: NotRequired[int]
    error: NotRequired[str]
    message: NotRequired[str]
    remedy: NotRequired[str]
    warning: NotRequired[str]


class BatchTaken(TypedDict):
    """The results for a batch, point by point."""

    message: str
    count: int
    results: list[PointResult]


class HeartbeatTaken(TypedDict):
    """A heartbeat that was received."""

    message: str
    device_id: str
    timestamp: str
    status: str


class ShownDevice(TypedDict):
    """A device."""

    id: str
    name: str
    device_type: str
    location: str | None
    firmware_version: str | None
    hardware_version: str | None
    state: str
    tags: dict[str, str]
    user_name: str | None
    created_at: float
    last_seen: float | None
    configuration_version: int
    presence: NotRequired[str]
    is_online: NotRequired[bool]
    api_key: NotRequired[str]


class Registered(TypedDict):
    """A new device and its key."""

    message: str
    device: ShownDevice


class OneDevice(TypedDict):
    """A device."""

    device: ShownDevice
    status: NotRequired[str]


class Devices(TypedDict):
    """A page of devices. `after` is the parameter for the next page, or null if there is no other page."""

    devices: list[ShownDevice]
    count: int
    after: str | None


class Configuration(TypedDict):
    """The configuration of a device."""

    device_id: str
    configuration: dict[str, Any]
    version: int
    status: NotRequired[str]
    message: NotRequired[str]
    device: NotRequired[ShownDevice]


class MqttTopics(TypedDict):
    """The topics to which a device publishes and subscribes."""

    telemetry_publish: str
    status_publish: str
    commands_subscribe: str


class MqttLogin(TypedDict):
    """The settings with which a device logs in at the broker. Its password is its key."""

    mqtt_host: str | None
    mqtt_port: int
    username: str
    password_hint: str
    api_key: None
    client_id: str
    topics: MqttTopics


class MqttCredentials(TypedDict):
    """The answer with the settings for the broker."""

    status: str
    credentials: MqttLogin


class ShownKey(TypedDict):
    """A key without its secret: only the answer to the request that made the key contains the key itself."""

    id: int
    kind: str
    devices: list[str]
    label: str
    created_at: float
    expires_at: float | None
    last_used: float | None
    api_key: NotRequired[str]


class Keys(TypedDict):
    """Keys without their secrets."""

    keys: list[ShownKey]


class NewKeyMade(TypedDict):
    """A new key."""

    key: ShownKey


class Rotated(TypedDict):
    """The new key of a device."""

    device_id: str
    api_key: str
    old_key_valid_until: float | None


class ShownCommand(TypedDict):
    """A command and its state."""

    id: int
    type: str
    payload: Any
    expires_at: float
    state: NotRequired[str]
    created_at: NotRequired[float]
    sent_at: NotRequired[float | None]
    acknowledged_at: NotRequired[float | None]


class OneCommand(TypedDict):
    """A command that is queued."""

    command: ShownCommand


class Commands(TypedDict):
    """Commands of a device."""

    commands: list[ShownCommand]


class Done(TypedDict):
    """A confirmation that the request was carried out."""

    message: str
    id: NotRequired[int]
    device_id: NotRequired[str]
    start_time: NotRequired[str]
    stop_time: NotRequired[str]


class ShownDeletion(TypedDict):
    """A deletion.

    `waits_for` names the sinks that have not yet passed the frames that the journal held. `failure` says why the last attempt failed.
    """

    id: int
    device_id: str
    start_time: str
    stop_time: str
    state: str
    asked_at: float
    done_at: float | None
    waits_for: list[str]
    failure: str | None


class OneDeletion(TypedDict):
    """The progress of a deletion."""

    deletion: ShownDeletion


class Values(TypedDict):
    """Values of a device. Each value has time, measurement, device_id, field, value, and its tags."""

    device_id: str
    measurement: str | None
    start_time: str
    stop_time: str
    data_points: list[dict[str, Any]]
    count: int


class OwnValues(TypedDict):
    """The newest values of the device that asks."""

    status: str
    telemetry: list[dict[str, Any]]
    count: int
    limit: int
    start_time: str


class Latest(TypedDict):
    """The newest value per field, or null if there are no values."""

    device_id: str
    measurement: str | None
    latest_data: list[dict[str, Any]] | None
    message: NotRequired[str]


class DatabaseHealth(TypedDict):
    """Whether values can be read."""

    status: str
    message: str
    version: str


class Health(TypedDict):
    """Whether values can be read, and from where."""

    influxdb: DatabaseHealth
    connected: bool
    served_by: NotRequired[str]
