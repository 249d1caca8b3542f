"""Every call of the device API in one table: its address, who may make it, what it takes and gives. Routes and description come from it."""

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
    """Below /api/v1/, as Starlette writes it; whole where it begins with a slash."""
    handler: Handler
    sentence: str
    keys: str
    """Whose keys it takes, in words; empty for everybody."""
    takes: Any = None
    may_be_empty: bool = False
    takes_text: bool = False
    """Whether the body is line protocol, packed or not."""
    gives: dict[int, tuple[Any, str]]
    problems: tuple[int, ...] = ()
    """Beside those of every call: 401 and 403 with a key, 429, 503."""
    query: tuple[Parameter, ...] = ()
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Schemas of what stands in the path."""

    def address(self) -> str:
        """Return the whole path."""
        return self.path if self.path.startswith("/") else f"/api/v1/{self.path}"


ID = {"id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}}
NUMBER = {"number": {"type": "integer", "minimum": 1, "maximum": 9223372036854775807}}
TYPE = {"type": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}}
MOMENT = {"type": "string", "minLength": 1, "maxLength": 40}
START = Parameter("start", MOMENT, "-1h, now(), RFC 3339, or a number since 1970; an hour ago by default.")
STOP = Parameter("stop", MOMENT, "As `start`; now by default. Values before it are given.")
MEASUREMENT = Parameter("measurement", {"type": "string", "minLength": 1, "maxLength": 256}, "Only values of this measurement.")
SENDERS = "a device's own key, a gateway's key that names the device, or an administrator's"
READERS = f"{SENDERS}, or a reader's"
OWN = "the device's own key"
ADMINISTRATOR = "an administrator's"
BODY = (400, 408, 413, 415, 422)


def calls(api: DeviceApi) -> list[Call]:
    """Return every call. Words come before ids: no device is called like one of them."""
    telemetry, registering, managed, reading, lines = Telemetry(api), Registering(api), Managing(api), Reading(api), Lines(api)
    deleting = Deleting(api)
    return [
        *(
            Call(
                method="POST",
                path=path,
                handler=lines.write,
                sentence="Write lines as to InfluxDB; a gateway's lines name their device by the tag device_id",
                keys=f"{SENDERS}, as a token, or as the password of version 1",
                takes_text=True,
                gives={204: (None, "All lines are in the journal, or were before.")},
                problems=(400, 408, 413, 415),
                query=(
                    Parameter("precision", {"enum": ["ns", "us", "ms", "s"], "default": "ns"}, "The unit of times."),
                    *(Parameter(name, {"type": "string"}, "Ignored: the journal is one.") for name in named),
                ),
            )
            for path, named in (("/api/v2/write", ("bucket", "org")), ("/write", ("db", "rp")))
        ),
        Call(
            method="GET",
            path="/ping",
            handler=lines.ping,
            sentence="Whether the server is there, as clients of InfluxDB ask",
            keys="",
            gives={204: (None, "It is.")},
        ),
        Call(
            method="GET",
            path="influxdb/health",
            handler=reading.health,
            sentence="Whether values can be asked for",
            keys="",
            gives={200: (answers.Health, "They can."), 503: (answers.Health, "They cannot.")},
            problems=(400,),
        ),
        Call(
            method="POST",
            path="influxdb/telemetry",
            handler=telemetry.point,
            sentence="Send one point",
            keys=SENDERS,
            takes=bodies.Point,
            gives={201: (answers.Taken, "It is in the journal, or was before.")},
            problems=(*BODY, 404, 409),
        ),
        Call(
            method="POST",
            path="influxdb/telemetry/batch",
            handler=telemetry.batch,
            sentence="Send several points, each of which stands for itself",
            keys=SENDERS,
            takes=bodies.Batch,
            gives={
                201: (answers.BatchTaken, "At least one point is in the journal; `results` says which."),
                422: (answers.BatchTaken, "No point was taken; `results` says why. A body of another shape gives a problem."),
            },
            problems=BODY,
        ),
        Call(
            method="GET",
            path="influxdb/device/{id}/data",
            handler=reading.data,
            sentence="Values of a span",
            keys=READERS,
            gives={200: (answers.Values, "The values, by time.")},
            problems=(400, 404, 500),
            query=(
                START,
                STOP,
                MEASUREMENT,
                Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 10_000}, "The newest so many; 10,000 by default."),
            ),
            parameters=ID,
        ),
        Call(
            method="DELETE",
            path="influxdb/device/{id}/data",
            handler=deleting.delete,
            sentence="Delete the values of a span, everywhere",
            keys=SENDERS,
            gives={200: (answers.Done, "They are deleted."), 202: (answers.Done, "They will be; `id` names the deletion.")},
            problems=(400, 404, 409, 501),
            query=(Parameter("start", MOMENT, START.sentence.partition(";")[0] + ".", is_needed=True), STOP),
            parameters=ID,
        ),
        Call(
            method="GET",
            path="influxdb/deletions/{number:whole}",
            handler=deleting.deletion,
            sentence="How far a deletion has come",
            keys=READERS,
            gives={200: (answers.OneDeletion, "The deletion.")},
            problems=(400, 404),
            parameters=NUMBER,
        ),
        Call(
            method="POST",
            path="influxdb/deletions/{number:whole}/take",
            handler=deleting.take,
            sentence="Let this gateway carry out a deletion that another one was asked for",
            keys=ADMINISTRATOR,
            gives={200: (answers.OneDeletion, "The deletion, done or waiting.")},
            problems=(400, 404, 501),
            parameters=NUMBER,
        ),
        Call(
            method="GET",
            path="influxdb/device/{id}/latest",
            handler=reading.latest,
            sentence="The newest value of each field, by the time of measurement",
            keys=READERS,
            gives={200: (answers.Latest, "The values."), 404: (answers.Latest, "There is none. An unknown device gives a problem.")},
            problems=(400, 404, 500),
            query=(MEASUREMENT,),
            parameters=ID,
        ),
        Call(
            method="POST",
            path="devices/register",
            handler=registering.register,
            sentence="Register a device",
            keys='a registration key or an administrator\'s; none with registration = "open"',
            takes=bodies.Registration,
            gives={201: (answers.Registered, "It is registered. Its key stands in this answer, and is never shown again.")},
            problems=(*BODY, 409),
        ),
        Call(
            method="POST",
            path="devices/telemetry",
            handler=telemetry.device_telemetry,
            sentence="Send what a device measured",
            keys=SENDERS,
            takes=bodies.DeviceTelemetry,
            gives={201: (answers.Taken, "It is in the journal, or was before.")},
            problems=(*BODY, 404, 409),
        ),
        Call(
            method="GET",
            path="devices/telemetry",
            handler=reading.own,
            sentence="The newest values of the device that asks",
            keys=OWN,
            gives={200: (answers.OwnValues, "The values, by time.")},
            problems=(400, 404, 500),
            query=(
                Parameter("start_time", MOMENT, "As `start` of influxdb/device/{id}/data; a day ago by default."),
                Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "The newest so many; 100 by default."),
                Parameter("type", MEASUREMENT.schema, "Only values of this type."),
            ),
        ),
        Call(
            method="GET",
            path="devices/status",
            handler=registering.status,
            sentence="The entry of the device that asks",
            keys=OWN,
            gives={200: (answers.OneDevice, "The entry.")},
            problems=(404,),
        ),
        Call(
            method="POST",
            path="devices/heartbeat",
            handler=telemetry.heartbeat,
            sentence="Say that the device lives",
            keys=OWN,
            takes=bodies.Heartbeat,
            may_be_empty=True,
            gives={200: (answers.HeartbeatTaken, "It is in the journal.")},
            problems=(*BODY, 404, 409),
        ),
        Call(
            method="GET",
            path="devices/config",
            handler=registering.configuration,
            sentence="What the device that asks is configured to do",
            keys=OWN,
            gives={200: (answers.Configuration, "The configuration; If-None-Match with its ETag gives 304.")},
            problems=(404,),
        ),
        Call(
            method="PUT",
            path="devices/config",
            handler=registering.configure,
            sentence="What the device that asks says of itself, and another configuration",
            keys=OWN,
            takes=bodies.OwnChange,
            gives={200: (answers.Configuration, "As it is now.")},
            problems=(*BODY, 404),
        ),
        Call(
            method="GET",
            path="devices/mqtt-credentials",
            handler=registering.mqtt_credentials,
            sentence="How the device that asks logs in at the broker",
            keys=OWN,
            gives={200: (answers.MqttCredentials, "User name, client id and topics; the password is the key.")},
            problems=(404,),
        ),
        Call(
            method="GET",
            path="devices/commands",
            handler=managed.own_commands,
            sentence="What the device that asks is to do",
            keys=OWN,
            gives={200: (answers.Commands, "The commands that wait, the oldest first.")},
            problems=(404,),
        ),
        Call(
            method="POST",
            path="devices/commands/{number:whole}/acknowledge",
            handler=managed.acknowledge,
            sentence="Say that a command is carried out",
            keys=OWN,
            gives={200: (answers.Done, "It is noted.")},
            problems=(404,),
            parameters=NUMBER,
        ),
        Call(
            method="GET",
            path="devices",
            handler=managed.devices,
            sentence="Every device, a page at a time",
            keys=f"{ADMINISTRATOR} or a reader's",
            gives={200: (answers.Devices, "The devices by id, from behind `after` on.")},
            problems=(400,),
            query=(
                Parameter("after", {"type": "string", "maxLength": 64}, "Give devices behind this id."),
                Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "So many at most; 1,000 by default."),
            ),
        ),
        Call(
            method="GET",
            path="devices/{id}",
            handler=managed.device,
            sentence="A device",
            keys=READERS,
            gives={200: (answers.OneDevice, "The device.")},
            problems=(404,),
            parameters=ID,
        ),
        Call(
            method="PATCH",
            path="devices/{id}",
            handler=managed.change,
            sentence="Change a device; what is not named stays",
            keys=ADMINISTRATOR,
            takes=managing.Change,
            gives={200: (answers.OneDevice, "As it is now.")},
            problems=(*BODY, 404, 409),
            parameters=ID,
        ),
        Call(
            method="DELETE",
            path="devices/{id}",
            handler=managed.remove,
            sentence="Remove a device with its keys and commands; its data stays",
            keys=ADMINISTRATOR,
            gives={200: (answers.Done, "It is removed.")},
            problems=(404,),
            parameters=ID,
        ),
        Call(
            method="GET",
            path="devices/{id}/config",
            handler=managed.configuration,
            sentence="What a device is configured to do",
            keys=READERS,
            gives={200: (answers.Configuration, "The configuration.")},
            problems=(404,),
            parameters=ID,
        ),
        Call(
            method="PUT",
            path="devices/{id}/config",
            handler=managed.configure,
            sentence="Configure a device: any JSON object",
            keys=SENDERS,
            takes=dict[str, Any],
            gives={200: (answers.Configuration, "As it is now.")},
            problems=(*BODY, 404),
            parameters=ID,
        ),
        Call(
            method="GET",
            path="devices/{id}/keys",
            handler=managed.device_keys,
            sentence="What is known of a device's keys",
            keys=ADMINISTRATOR,
            gives={200: (answers.Keys, "Everything but the keys.")},
            problems=(404,),
            parameters=ID,
        ),
        Call(
            method="POST",
            path="devices/{id}/keys",
            handler=managed.rotate,
            sentence="Give a device a new key; the old one stays valid for a while",
            keys="the device's own key, or an administrator's",
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
            sentence="The commands of a device, and how far each has come",
            keys=READERS,
            gives={200: (answers.Commands, "The newest first.")},
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
            gives={202: (answers.OneCommand, "It waits for the device.")},
            problems=(*BODY, 404, 409),
            parameters={**ID, **TYPE},
        ),
        Call(
            method="GET",
            path="keys",
            handler=managed.keys,
            sentence="What is known of every key",
            keys=ADMINISTRATOR,
            gives={200: (answers.Keys, "Everything but the keys.")},
        ),
        Call(
            method="POST",
            path="keys",
            handler=managed.create_key,
            sentence="Create a key for a gateway, a reader, an administrator or registrations",
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
            gives={200: (answers.Done, "It is valid no more.")},
            problems=(404,),
            parameters=NUMBER,
        ),
    ]
