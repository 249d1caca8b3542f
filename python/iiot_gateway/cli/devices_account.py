"""Hands keys that the command line makes to the running gateway: only the gateway talks to the broker, and keys are stored nowhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from iiot_gateway.device_mqtt.brokers import account_broker
from iiot_gateway.errors import GatewayError
from iiot_gateway.pipeline.control import ask
from iiot_gateway.registry.accounts import AccountState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iiot_gateway.config.schema import Config
    from iiot_gateway.registry.store import Registry

AT_ONCE = 500
"""Keys of one request: a request has at most 64 kB."""


def hand_over(config: Config, keys: Sequence[str]) -> bool:
    """Hand keys over before the registry stores them. If the broker will not get them, print that to standard error and return False."""
    if account_broker(config) is None:
        return True
    try:
        for first in range(0, len(keys), AT_ONCE):
            ask(config.journal_path(), {"command": "device_key", "keys": list(keys[first : first + AT_ONCE])})
    except GatewayError as error:
        print(
            f"the broker does not get this key, because no running gateway takes it ({error}); "
            "once the gateway runs, `iiot-gateway devices rotate ID` makes one that it does get",
            file=sys.stderr,
        )
        return False
    return True


def shown_account(registry: Registry, config: Config, device_id: str) -> dict[str, Any] | None:
    """Return the known state of a device's account at the broker; None if no broker has accounts. Times are Unix seconds."""
    broker = account_broker(config)
    if broker is None:
        return None
    account = registry.accounts.all().get(device_id)
    if account is None or account.broker != broker.broker_url:
        return {"state": str(AccountState.WAITING), "detail": "the running gateway makes it", "since": None}
    return {"state": str(account.state), "detail": account.detail, "since": account.changed_at}


def account_states(registry: Registry, config: Config, device_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the state of each device's account at the broker, by device; nothing if no broker has accounts."""
    broker = account_broker(config)
    if broker is None:
        return {}
    known = {device: str(account.state) for device, account in registry.accounts.all().items() if account.broker == broker.broker_url}
    return {device: {"mqtt_account": known.get(device, str(AccountState.WAITING))} for device in device_ids}
