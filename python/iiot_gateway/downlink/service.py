"""Commands to sensor nodes: requested over MQTT, signed here, sent through the gateway node, and answered over MQTT.

    PREFIX/node1/set/interval_s   30          ->  command 1 120 <signed>   to the gateway node's serial port
    PREFIX/node1/state/interval_s {"outcome":"done","value":30,...}  <-  answer 1 <signed>   from it

A command is valid only for the newest known run of the node and for its next packets, so the node itself refuses a late or repeated
command. This service refuses unknown names, values out of range, retained messages (which each start would repeat), and commands to
nodes that were not heard yet.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from iiot_gateway._native import read_answer, sign_command
from iiot_gateway.errors import SourceUnavailable
from iiot_gateway.log import DOWNLINK_ANSWERED, DOWNLINK_DISCONNECTED, DOWNLINK_REFUSED, DOWNLINK_SENT, get_log
from iiot_gateway.mqtt.side import Messages, Refused, serve_side

if TYPE_CHECKING:
    from iiot_gateway._native import Profile, SideConnection
    from iiot_gateway.pipeline.views import Views

NEXT_PACKETS = 64
"""How many more packets of a node may come before a command to it is too late."""
GRACE_S = 30.0
"""How long after its time the result of a command may still come, in seconds."""
MAX_LINE_BYTES = 4096
MOST_PENDING = 64
LED = {"0": 0, "off": 0, "false": 0, "1": 1, "on": 1, "true": 1}
Name = Literal["interval_s", "led", "reboot"]
EXPECTED = {"interval_s": "a whole number from 1 to 3600", "led": "on or off", "reboot": "nothing, or 1"}


MAX_ADDRESS, MAX_COUNT = 0xFF, 0xFFFF
"""The largest values in the radio's packets: an address, and a boot id or sequence number."""


class Gate(Protocol):
    """The source that is connected to the gateway node."""

    listener: Callable[[bytes], None] | None

    def write(self, data: bytes) -> None:
        """Write to the node. Raises SourceUnavailable."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command under way."""

    node: str
    name: str
    until_s: float


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest packet of a node."""

    address: int
    boot: int
    seq: int


def address_of(node: str) -> int | None:
    """Return a node's radio address, which is the number at the end of its name; None if the name has no such number."""
    digits = re.search(r"[0-9]{1,3}\Z", node)
    address = int(digits[0]) if digits else 0
    return address if 0 < address <= MAX_ADDRESS else None


def value_of(name: str, payload: bytes) -> tuple[Name, int] | None:
    """Read the requested value; None if it is not as `EXPECTED` says."""
    text = payload.decode("utf-8", "replace").strip().lower()
    if name == "interval_s" and text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= 3600:
        return "interval_s", int(text)
    if name == "led" and text in LED:
        return "led", LED[text]
    if name == "reboot" and text in ("", "1"):
        return "reboot", 0
    return None


class Downlink:
    """Takes commands for one gateway node. The source's thread calls `hear`; any thread may call the other methods."""

    def __init__(self, side: SideConnection, gate: Gate, profile: Profile, *, key: bytes, prefix: str, valid_s: int) -> None:
        self._side = side
        self._gate = gate
        self._profile = profile
        self._key = key
        self._prefix = prefix
        self._valid_s = valid_s
        self._lock = threading.Lock()
        self._newest: dict[str, Heard] = {}
        self._asked: dict[tuple[int, int], Asked] = {}
        self._counter = 0
        self._rest = b""
        self._log = get_log(part="downlink")
        gate.listener = self.hear

    async def run(self, _views: Views) -> None:
        """Serve until cancelled."""
        await serve_side(self._side, self._take, self._log, DOWNLINK_DISCONNECTED)

    def _take(self, _connection: int, messages: Messages, refused: Refused) -> None:
        for topic, payload, retained in messages:
            self.ask(topic, payload, retained=retained)
        self._forget_old()
        for topic, reason, _number in refused:
            self._log.error(DOWNLINK_REFUSED, by="broker", topic=topic, reason=reason)

    def ask(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Handle a message on PREFIX/NODE/set/NAME."""
        node_name, _set, name = topic.removeprefix(f"{self._prefix}/").rpartition("/set/")
        if retained:
            self._tell(node_name, name, "refused", reason="the message was retained; each start would repeat it")
        elif name not in EXPECTED:
            self._tell(node_name, name, "unknown", reason=f"expected one of {', '.join(EXPECTED)}")
        elif (wanted := value_of(name, payload)) is None:
            self._tell(node_name, name, "out_of_range", reason=f"expected {EXPECTED[name]}")
        elif (heard := self._newest.get(node_name)) is None:
            self._tell(node_name, name, "refused", reason="the node has not been heard yet")
        elif len(self._asked) >= MOST_PENDING:
            self._tell(node_name, name, "refused", reason=f"{MOST_PENDING} commands are under way already")
        else:
            self._send(node_name, wanted, heard)

    def _send(self, node_name: str, wanted: tuple[Name, int], heard: Heard) -> None:
        (name, value), node = wanted, heard.address
        with self._lock:
            # The number only rises, even over restarts, as long as there is at most one command per second.
            self._counter = counter = max(self._counter + 1, int(time.time()) & 0xFFFFFFFF)
            self._asked[node, counter] = Asked(node_name, name, time.monotonic() + self._valid_s + GRACE_S)
        until_seq = (heard.seq + NEXT_PACKETS) & 0xFFFF
        payload = sign_command(self._key, node=node, boot=heard.boot, until_seq=until_seq, counter=counter, action=name, value=value)
        try:
            self._gate.write(f"command {node} {self._valid_s} {payload.hex()}\n".encode())
        except SourceUnavailable as error:
            self._finish(node, counter, "refused", reason=f"the gateway node cannot be reached: {error}")
        else:
            self._log.info(DOWNLINK_SENT, node=node, name=name, value=value, counter=counter)

    def hear(self, chunk: bytes) -> None:
        """Handle the output of the gateway node, in chunks of any size."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[-MAX_LINE_BYTES:]
        for line in lines:
            start = line.find(b"{")
            if start >= 0:
                self._note(line[start:])
            else:
                self._judge(line.decode("ascii", "replace").split())

    def _note(self, document: bytes) -> None:
        """Remember the run and the newest packet of each node in a document. The intake reports faults of the document."""
        for node, boot, seq in self._profile.heard(document):
            address = address_of(node)
            if address is not None and boot is not None and boot <= MAX_COUNT and seq <= MAX_COUNT:
                self._newest[node] = Heard(address, boot, seq)

    def _judge(self, words: list[str]) -> None:
        """Handle a line with the answer to a command."""
        try:
            match words:
                case ["answer", node, payload]:
                    self._answered(int(node), bytes.fromhex(payload))
                case ["over", node, counter, fate]:
                    self._finish(
                        int(node), int(counter), fate, reason="the node did not answer in time" if fate != "full" else "too many wait"
                    )
                case ["refused", *reason]:
                    self._log.error(DOWNLINK_REFUSED, by="gateway node", reason=" ".join(reason))
        except (ValueError, OverflowError):
            return  # the line is no answer to a command

    def _answered(self, node: int, payload: bytes) -> None:
        answer = read_answer(self._key, node=node, payload=payload)
        if answer is None:
            self._log.error(DOWNLINK_REFUSED, by="gateway", reason=f"an answer of node {node} does not hold the key's code")
            return
        self._finish(node, answer["counter"], answer["outcome"], value=answer["value"])

    def _finish(self, node: int, counter: int, outcome: str, *, value: int | None = None, reason: str = "") -> None:
        with self._lock:
            asked = self._asked.pop((node, counter), None)
        if asked is None:
            return
        self._tell(asked.node, asked.name, outcome, value=value, counter=counter, reason=reason)
        self._log.info(DOWNLINK_ANSWERED, node=node, name=asked.name, outcome=outcome, value=value, counter=counter)

    def _forget_old(self) -> None:
        now_s = time.monotonic()
        with self._lock:
            old = [key for key, asked in self._asked.items() if asked.until_s < now_s]
        for node, counter in old:
            self._finish(node, counter, "unanswered", reason="the gateway node said nothing of it")

    def _tell(
        self, node_name: str, name: str, outcome: str, *, value: int | None = None, counter: int | None = None, reason: str = ""
    ) -> None:
        document = {"outcome": outcome, "value": value, "counter": counter, "reason": reason}
        payload = json.dumps({key: value for key, value in document.items() if value not in (None, "")})
        if not self._side.publish(f"{self._prefix}/{node_name}/state/{name}", payload.encode(), retain=True):
            self._log.error(DOWNLINK_REFUSED, by="gateway", reason="too many answers wait for the broker")
