"""The trial of `doctor` for the broker of `[devices] mosquitto`: ask its plug-in for its accounts, and change nothing."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from iiot_gateway import _native
from iiot_gateway.device_accounts.conversation import RESPONSES, CommandRefused, Conversation, Unanswered
from iiot_gateway.device_mqtt.brokers import account_broker
from iiot_gateway.findings import Finding
from iiot_gateway.mqtt.connection import broker_settings
from iiot_gateway.mqtt.remedies import remedy
from iiot_gateway.registry.section import DevicesSection

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Running
    from iiot_gateway.mqtt.connection import Connection

ANSWER_S = 5.0
RECEIVE_S = 0.2
RIGHTS = "give its account a role that may publish to, receive from and subscribe to $CONTROL/dynamic-security/#, and load the plug-in"
CLOSE = "mosquitto_ctrl ... dynsec setDefaultACLAccess KIND deny, for each of them"


def plug_in(config: Config, _running: Running) -> Iterator[Finding]:
    """Test the plug-in, if the configuration needs it."""
    section = account_broker(config)
    if section is not None:
        subject = f"devices accounts at {section.broker_url}"
        try:
            yield anyio.run(_tried, config, section, subject)
        except _native.MqttError as error:
            yield Finding(subject, ok=False, detail=str(error), remedy="correct the setting that the message names")


async def _tried(config: Config, section: Connection, subject: str) -> Finding:
    client_id = f"iiot-gateway-{secrets.token_hex(6)}-doctor"
    side = _native.SideConnection(client_id=client_id, subscriptions=[RESPONSES], **broker_settings(config, section))
    talk = Conversation(side, answer_s=ANSWER_S)
    ended: list[dict[str, Any]] = []
    found = Finding(subject, ok=False, detail="the connection ended", remedy=RIGHTS)
    try:
        async with anyio.create_task_group() as tasks:

            async def connect() -> None:
                ended.append(await anyio.to_thread.run_sync(side.run_connection))
                tasks.cancel_scope.cancel()

            async def fetch() -> None:
                known = 0
                while True:
                    known, messages, refused = await anyio.to_thread.run_sync(side.receive, known, RECEIVE_S)
                    talk.take(known, messages, refused)

            tasks.start_soon(connect)
            tasks.start_soon(fetch)
            while not talk.connection:
                await talk.changes()
            found = await _asked(config, talk, subject)
            await anyio.to_thread.run_sync(side.stop)
    finally:
        side.stop()
    if ended and ended[0]["kind"] != "stopped":
        report = {**ended[0], "step": "connect"}
        return Finding(subject, ok=False, detail=f"{report['kind']}: {report['detail']}", remedy=remedy(report, RESPONSES, RESPONSES))
    return found


async def _asked(config: Config, talk: Conversation, subject: str) -> Finding:
    try:
        wrong = await talk.open_defaults()
        state = await talk.state()
    except (Unanswered, CommandRefused) as error:
        return Finding(subject, ok=False, detail=str(error), remedy=RIGHTS)
    if wrong:
        detail = f"the broker's default access allows {' and '.join(wrong)}, so every device may use topics of others"
        return Finding(subject, ok=False, detail=detail, remedy=CLOSE)
    below = config.one(DevicesSection).topics
    ours = sum(1 for of_role in state.roles.values() if any(topic.startswith(f"{below}/") for _, topic, _ in of_role))
    return Finding(subject, ok=True, detail=f"the plug-in answers; {ours} of its roles are of devices below {below}")
