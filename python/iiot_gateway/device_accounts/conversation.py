"""Talks to Mosquitto's dynamic security plug-in: a command goes to the plug-in's topic, and correlationData identifies the answer.

    $CONTROL/dynamic-security/v1             {"commands": [{"command": "createRole", ..., "correlationData": "7"}]}
    $CONTROL/dynamic-security/v1/response    {"responses": [{"command": "createRole", "correlationData": "7"}]}, with "error" if refused

Sources: mosquitto.org/documentation/dynamic-security, and the answers of version 2.0.11.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio

from iiot_gateway.device_accounts.steps import BrokerAccount, BrokerState, Command, rights_of
from iiot_gateway.errors import GatewayError

if TYPE_CHECKING:
    from iiot_gateway._native import SideConnection
    from iiot_gateway.mqtt.side import Messages, Refused

TOPIC = "$CONTROL/dynamic-security/v1"
RESPONSES = f"{TOPIC}/response"
ANSWER_S = 20.0
PAGE = 100
"""The most accounts or roles of one answer, so that no answer is long."""
MUST_BE_CLOSED = ("publishClientSend", "subscribe")
NO_ANSWER = (
    "no answer to a command of dynamic security: the plug-in is not loaded, or this account may not use $CONTROL/dynamic-security/# there"
)


class Unanswered(GatewayError):
    """The plug-in did not answer, or the connection ended before it did."""


class CommandRefused(GatewayError):
    """The plug-in refused a command; the text is its own."""


class Conversation:
    """Sends one command at a time over a connection that the caller serves."""

    def __init__(self, side: SideConnection, *, answer_s: float = ANSWER_S) -> None:
        self._side = side
        self._answer_s = answer_s
        self._own = secrets.token_hex(4)
        self._asked = 0
        self._waits: dict[str, anyio.Event] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        self.connection = 0
        """The number of the connection; 0 if there is none."""
        self._changed = anyio.Event()

    def take(self, connection: int, messages: Messages, refused: Refused) -> None:
        """Take a message that came over the connection."""
        if connection != self.connection:
            self.connection = connection
            self._wake()
        for topic, payload, was_retained in messages:
            if topic == RESPONSES and not was_retained:
                for response in _responses(payload):
                    self._take_response(response)
        for topic, _reason, _number in refused:
            if topic == TOPIC:
                self._wake()

    async def changes(self) -> int:
        """Wait until the connection changes or ends, and return its number."""
        await self._changed.wait()
        return self.connection

    async def ask(self, command: Command) -> dict[str, Any]:
        """Send a command, and return the data of the answer. Raises CommandRefused or Unanswered."""
        self._asked += 1
        number = f"{self._own}-{self._asked}"
        document = json.dumps({"commands": [{**command, "correlationData": number}]}).encode()
        answered = self._waits[number] = anyio.Event()
        connection = self.connection
        try:
            if not connection or not self._side.publish(TOPIC, document, retain=False, only_over=connection):
                raise Unanswered("the broker is away")
            with anyio.move_on_after(self._answer_s):
                while not answered.is_set() and self.connection == connection:
                    await self._either(answered)
            if number not in self._answers:
                raise Unanswered(NO_ANSWER if self.connection == connection else "the connection ended before the broker answered")
            response = self._answers.pop(number)
        finally:
            del self._waits[number]
            self._answers.pop(number, None)
        if "error" in response:
            raise CommandRefused(f"{command['command']}: {str(response['error'])[:200]}")
        data = response.get("data")
        return data if isinstance(data, dict) else {}

    async def state(self) -> BrokerState:
        """Return every account and role of the broker. Raises as `ask` does."""
        with _readable():
            return await self._state()

    async def _state(self) -> BrokerState:
        accounts = {
            str(each["username"]): BrokerAccount(
                str(each["username"]),
                str(each.get("clientid", "")),
                tuple(str(role["rolename"]) for role in each.get("roles", ())),
                not each.get("disabled", False),
            )
            for each in await self._pages("listClients", "clients")
        }
        roles = {str(each["rolename"]): rights_of(each.get("acls", ())) for each in await self._pages("listRoles", "roles")}
        return BrokerState(accounts, roles)

    async def open_defaults(self) -> list[str]:
        """Return the rights that the broker gives to everybody by default, but should not. Raises as `ask` does."""
        data = await self.ask({"command": "getDefaultACLAccess"})
        # publishClientReceive is open by default: a client that may not subscribe receives nothing.
        with _readable():
            return [str(acl["acltype"]) for acl in data.get("acls", ()) if acl["acltype"] in MUST_BE_CLOSED and acl["allow"]]

    async def _pages(self, command: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            data = await self.ask({"command": command, "verbose": True, "count": PAGE, "offset": len(found)})
            page = data.get(key, [])
            found += page
            if len(page) < PAGE:
                return found

    async def _either(self, answered: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:

            async def wait_for(event: anyio.Event) -> None:
                await event.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(wait_for, answered)
            tasks.start_soon(wait_for, self._changed)

    def _take_response(self, response: dict[str, Any]) -> None:
        number = response.get("correlationData")
        # Other administrators use the same topic.
        if isinstance(number, str) and (answered := self._waits.get(number)) is not None:
            self._answers[number] = response
            answered.set()

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


@contextmanager
def _readable() -> Iterator[None]:
    """Ignore answers that do not have the form of the plug-in."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Unanswered(f"an answer of dynamic security cannot be read: {error!r}") from error


def _responses(payload: bytes) -> list[dict[str, Any]]:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return []
    responses = document.get("responses") if isinstance(document, dict) else None
    return [each for each in responses if isinstance(each, dict)] if isinstance(responses, list) else []
