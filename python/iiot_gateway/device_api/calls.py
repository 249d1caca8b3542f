"""Every call of the device API in one table: address, keys, body and answers. Routes and OpenAPI description are made from this table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from iiot_gateway.device_api import answers, bodies, managing
from iiot_gateway.device_api.deleting import Deleting
from iiot_gateway.device_api.lines import Lines
from iiot_gateway.device_api.managing import Managing
from iiot_gateway.device_api.reading import Reading
from iiot_gateway.device_api.registering import Registering
from iiot_gateway.device_api.telemetry import Telemetry

if TYPE_CHECKING:
    from iiot_gateway.api.part import Handler
    from iiot_gateway.device_api.service import DeviceApi


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query."""

    name: str
    schema: dict[str, Any]
    sentence: str
    is_needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call."""

    method: str
    path: str
    """Below /api/v1/, in the form of Starlette; a path that begins with a slash is a whole path."""
    handler: Handler
    sentence: str
    keys: str
    """The keys that the call accepts, in words; empty if it needs no key."""
    takes: Any = None
    may_be_empty: bool = False
    takes_text: bool = False
    """Whether the body is line protocol, packed or not."""
    gives: dict[int, tuple[Any, str]]
    problems: tuple[int, ...] = ()
    """Further statuses. Every call has 429 and 503, and also 401 and 403 if it needs a key."""
    query: tuple[Parameter, ...] = ()
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Schemas of the parameters in the path."""

    def address(self) -> str:
        """Return the whole path."""
        return self.path if self.path.startswith("/") else f"/api/v1/{self.path}"


ID = {"id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}}
NUMBER = {"number": {"type": "integer", "minimum": 1, "maximum": 9223372036854775807}}
TYPE = {"type": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}}
MOMENT = {"type": "string", "minLength": 1, "maxLength": 40}
START = Parameter("start", MOMENT, "The beginning: -1h, now(), RFC 3339, or a number since 1970; an hour ago by default.")
STOP = Parameter("stop", MOMENT, "The end, in the same forms as `start`; now by default. The values are before this time.")
MEASUREMENT = Parameter("measurement", {"type": "string", "minLength": 1, "maxLength": 256}, "Only values of this measurement.")
SENDERS = "the device's own key, a gateway's key that names the device, or an administrator's key"
READERS = f"{SENDERS}; or a reader's key"
OWN = "the device's own key"
ADMINISTRATOR = "an administrator's key"
BODY = (400, 408, 413, 415, 422)


def calls(api: DeviceApi) -> list[Call]:
    """Return every call. Paths with words come before paths with ids; no device may have such a word as its id."""
    telemetry, registering, managed, reading, lines = Telemetry(api), Registering(api), Managing(api), Reading(api), Lines(api)
    deleting = Deleting(api)
    return [
        *(
            Call(
                method="POST",
                path=path,
                handler=lines.write,
                sentence="Write line protocol, as to InfluxDB. With a gateway's key, the tag device_id of each line names its device",
                keys=f"{SENDERS}; as a token, or as the password of version 1",
                takes_text=True,
                gives={204: (None, "All lines are in the journal, or had been sent before.")},
                problems=(400, 408, 413, 415),
                query=(
                    Parameter("precision", {"enum": ["ns", "us", "ms", "s"], "default": "ns"}, "The unit of the times."),
                    *(Parameter(name, {"type": "string"}, "Ignored: there is only one journal.") for name in named),
                ),
            )
            for path, named in (("/api/v2/write", ("bucket", "org")), ("/write", ("db", "rp")))
        ),
        Call(
            method="GET",
            path="/ping",
            handler=lines.ping,
            sentence="Check whether the server is there, as InfluxDB's clients do",
            keys="",
            gives={204: (None, "The server is there.")},
        ),
        Call(
            method="GET",
            path="influxdb/health",
            handler=reading.health,
            sentence="Check whether values can be read",
            keys="",
            gives={200: (answers.Health, "Values can be read."), 503: (answers.Health, "Values cannot be read.")},
            problems=(400,),
        ),
        Call(
            method="POST",
            path="influxdb/telemetry",
            handler=telemetry.point,
            sentence="Send one point",
            keys=SENDERS,
            takes=bodies.Point,
            gives={201: (answers.Taken, "The data is in the journal, or had been sent before.")},
            problems=(*BODY, 404, 409),
        ),
        Call(
            method="POST",
            path="influxdb/telemetry/batch",
            handler=telemetry.batch,
            sentence="Send several points; each point is accepted or refused on its own",
            keys=SENDERS,
            takes=bodies.Batch,
            gives={
                201: (answers.BatchTaken, "At least one point is in the journal; `results` has the result for each point."),
                422: (
                    answers.BatchTaken,
                    "No point was accepted; `results` says why. If the body has the wrong shape, the answer is a problem document.",
                ),
            },
            problems=BODY,
        ),
        Call(
            method="GET",
            path="influxdb/device/{id}/data",
            handler=reading.data,
            sentence="Read the values of a span of time",
            keys=READERS,
            gives={200: (answers.Values, "The values, by time.")},
            problems=(400, 404, 500),
            query=(
                START,
                STOP,
                MEASUREMENT,
                Parameter(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": 10_000},
                    "The most values, the newest ones; 10,000 by default.",
                ),
            ),
            parameters=ID,
        ),
        Call(
            method="DELETE",
            path="influxdb/device/{id}/data",
            handler=deleting.delete,
            sentence="Delete the values of a span of time in every place that keeps them",
            keys=SENDERS,
            gives={
                200: (answers.Done, "The values are deleted."),
                202: (answers.Done, "The values will be deleted; `id` is the number of the deletion."),
            },
            problems=(400, 404, 409, 501),
            query=(Parameter("start", MOMENT, START.sentence.partition(";")[0] + ".", is_needed=True), STOP),
            parameters=ID,
        ),
        Call(
            method="GET",
            path="influxdb/deletions/{number:whole}",
            handler=deleting.deletion,
            sentence="Show the progress of a deletion",
            keys=READERS,
            gives={200: (answers.OneDeletion, "The deletion.")},
            problems=(400, 404),
            parameters=NUMBER,
        ),
        Call(
            method="POST",
            path="influxdb/deletions/{number:whole}/take",
            handler=deleting.take,
            sentence="Let this gateway carry out a deletion that another gateway accepted",
            keys=ADMINISTRATOR,
            gives={200: (answers.OneDeletion, "The deletion, which is done or waits.")},
            problems=(400, 404, 501),
            parameters=NUMBER,
        ),
        Call(
            method="GET",
            path="influxdb/device/{id}/latest",
            handler=reading.latest,
            sentence="Read the newest value per field, by the time of measurement",
            keys=READERS,
            gives={
                200: (answers.Latest, "The values."),
                404: (answers.Latest, "There are no values. If the device is unknown, the answer is a problem document."),
            },
            problems=(400, 404, 500),
            query=(MEASUREMENT,),
            parameters=ID,
        ),
        Call(
            method="POST",
            path="devices/register",
            handler=registering.register,
            sentence="Register a device",
            keys='a registration key or an administrator\'s key; no key with registration = "open"',
            takes=bodies.Registration,
            gives={201: (answers.Registered, "The device is registered. This answer contains its key, which is never shown again.")},
            problems=(*BODY, 409),
        ),
        Call(
            method="POST",
            path="devices/telemetry",
            handler=telemetry.device_telemetry,
            sentence="Send values that a device measured",
            keys=SENDERS,
            takes=bodies.DeviceTelemetry,
            gives={201: (answers.Taken, "The data is in the journal, or had been sent before.")},
            problems=(*BODY, 404, 409),
        ),
        Call(
            method="GET",
            path="devices/telemetry",
            handler=reading.own,
            sentence="Read the newest values of the device that asks",
            keys=OWN,
            gives={200: (answers.OwnValues, "The values, by time.")},
            problems=(400, 404, 500),
            query=(
                Parameter(
                    "start_time", MOMENT, "The beginning, in the forms of `start` of influxdb/device/{id}/data; a day ago by default."
                ),
                Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "The most values, the newest ones; 100 by default."),
                Parameter("type", MEASUREMENT.schema, "Only values of this type."),
            ),
        ),
        Call(
            method="GET",
            path="devices/status",
            handler=registering.status,
            sentence="Show the entry of the device that asks",
            keys=OWN,
            gives={200: (answers.OneDevice, "The entry.")},
            problems=(404,),
        ),
        Call(
            method="POST",
            path="devices/heartbeat",
            handler=telemetry.heartbeat,
            sentence="Send a sign that the device is alive",
            keys=OWN,
            takes=bodies.Heartbeat,
            may_be_empty=True,
            gives={200: (answers.HeartbeatTaken, "The heartbeat is in the journal.")},
            problems=(*BODY, 404, 409),
        ),
        Call(
            method="GET",
            path="devices/config",
            handler=registering.configuration,
            sentence="Read the configuration of the device that asks",
            keys=OWN,
            gives={200: (answers.Configuration, "The configuration. A request with its ETag in If-None-Match is answered with 304.")},
            problems=(404,),
        ),
        Call(
            method="PUT",
            path="devices/config",
            handler=registering.configure,
            sentence="Change the entry or the configuration of the device that asks",
            keys=OWN,
            takes=bodies.OwnChange,
            gives={200: (answers.Configuration, "The present state.")},
            problems=(*BODY, 404),
        ),
        Call(
            method="GET",
            path="devices/mqtt-credentials",
            handler=registering.mqtt_credentials,
            sentence="Show how the device that asks logs in at the broker",
            keys=OWN,
            gives={200: (answers.MqttCredentials, "User name, client id and topics; the password is the key.")},
            problems=(404,),
        ),
        Call(
            method="GET",
            path="devices/commands",
            handler=managed.own_commands,
            sentence="Read the commands for the device that asks",
            keys=OWN,
            gives={200: (answers.Commands, "The waiting commands, the oldest first.")},
            problems=(404,),
        ),
        Call(
            method="POST",
            path="devices/commands/{number:whole}/acknowledge",
            handler=managed.acknowledge,
            sentence="Confirm that a command was carried out",
            keys=OWN,
            gives={200: (answers.Done, "The confirmation is stored.")},
            problems=(404,),
            parameters=NUMBER,
        ),
        Call(
            method="GET",
            path="devices",
            handler=managed.devices,
            sentence="List all devices, one page at a time",
            keys=f"{ADMINISTRATOR} or a reader's key",
            gives={200: (answers.Devices, "The devices in the order of their ids, beginning after the id `after`.")},
            problems=(400,),
            query=(
                Parameter("after", {"type": "string", "maxLength": 64}, "Return only devices after this id."),
                Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "The most devices of a page; 1,000 by default."),
            ),
        ),
        Call(
            method="GET",
            path="devices/{id}",
            handler=managed.device,
            sentence="Show a device",
            keys=READERS,
            gives={200: (answers.OneDevice, "The device.")},
            problems=(404,),
            parameters=ID,
        ),
        Call(
            method="PATCH",
            path="devices/{id}",
            handler=managed.change,
            sentence="Change a device; keys that are not in the body stay as they are",
            keys=ADMINISTRATOR,
            takes=managing.Change,
            gives={200: (answers.OneDevice, "The present state.")},
            problems=(*BODY, 404, 409),
            parameters=ID,
        ),
        Call(
            method="DELETE",
            path="devices/{id}",
            handler=managed.remove,
            sentence="Remove a device with its keys and commands; its data stays",
            keys=ADMINISTRATOR,
            gives={200: (answers.Done, "The device is removed.")},
            problems=(404,),
            parameters=ID,
        ),
        Call(
            method="GET",
            path="devices/{id}/config",
            handler=managed.configuration,
            sentence="Read the configuration of a device",
            keys=READERS,
            gives={200: (answers.Configuration, "The configuration.")},
            problems=(404,),
            parameters=ID,
        ),
        Call(
            method="PUT",
            path="devices/{id}/config",
            handler=managed.configure,
            sentence="Set the configuration of a device, which is any JSON object",
            keys=SENDERS,
            takes=dict[str, Any],
            gives={200: (answers.Configuration, "The present state.")},
            problems=(*BODY, 404),
            parameters=ID,
        ),
        Call(
            method="GET",
            path="devices/{id}/keys",
            handler=managed.device_keys,
            sentence="List the keys of a device, without their secrets",
            keys=ADMINISTRATOR,
            gives={200: (answers.Keys, "The keys, without their secrets.")},
            problems=(404,),
            parameters=ID,
        ),
        Call(
            method="POST",
            path="devices/{id}/keys",
            handler=managed.rotate,
            sentence="Give a device a new key; the old one stays valid for a while",
            keys="the device's own key, or an administrator's key",
            takes=managing.Rotation,
            may_be_empty=True,
            gives={201: (answers.Rotated, "The new key, which is never shown again.")},
            problems=(*BODY, 404),
            parameters=ID,
        ),
        Call(
            method="GET",
            path="devices/{id}/commands",
            handler=managed.commands,
            sentence="List the commands of a device and their states",
            keys=READERS,
            gives={200: (answers.Commands, "The commands, the newest first.")},
            problems=(404,),
            parameters=ID,
        ),
        Call(
            method="POST",
            path="devices/{id}/commands/{type}",
            handler=managed.command,
            sentence="Queue a command for a device",
            keys=ADMINISTRATOR,
            takes=managing.NewCommand,
            may_be_empty=True,
            gives={202: (answers.OneCommand, "The command waits for the device.")},
            problems=(*BODY, 404, 409),
            parameters={**ID, **TYPE},
        ),
        Call(
            method="GET",
            path="keys",
            handler=managed.keys,
            sentence="List all keys, without their secrets",
            keys=ADMINISTRATOR,
            gives={200: (answers.Keys, "The keys, without their secrets.")},
        ),
        Call(
            method="POST",
            path="keys",
            handler=managed.create_key,
            sentence="Create a key for a gateway, a reader, an administrator or registration",
            keys=ADMINISTRATOR,
            takes=managing.NewKey,
            gives={201: (answers.NewKeyMade, "The key, which is never shown again.")},
            problems=BODY,
        ),
        Call(
            method="DELETE",
            path="keys/{number:whole}",
            handler=managed.revoke,
            sentence="Revoke a key",
            keys=ADMINISTRATOR,
            gives={200: (answers.Done, "The key is no longer valid.")},
            problems=(404,),
            parameters=NUMBER,
        ),
    ]
