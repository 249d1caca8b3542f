"""The next command for the plug-in, so that an account becomes as the registry wants it. Pure: it knows neither broker nor clock.

Commands are sent one at a time, because each one rewrites the broker's file on its only thread. Afterwards, the known state of the
broker includes the commands that it acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from iiot_gateway.registry.accounts import AccountState, WantedAccount

Command = dict[str, Any]
Rights = frozenset[tuple[str, str, bool]]
"""(kind of right, topic, is granted)."""

NO_KEY = "the broker never had a key of it"
OLD_KEY = "as far as is known the broker has an older key, which is still valid"
UNKNOWN_KEY = "it is not known which key the broker has, so the account is disabled there"
ENDED_KEY = "the key that the broker has is valid no more, so the account is disabled there"


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """An account at the broker."""

    user_name: str
    client_id: str = ""
    roles: tuple[str, ...] = ()
    is_enabled: bool = True


@dataclass(slots=True)
class BrokerState:
    """The accounts and roles at the broker, by its last answer."""

    accounts: dict[str, BrokerAccount] = field(default_factory=dict)
    roles: dict[str, Rights] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Next:
    """The next command, or the state of the account if no command is needed."""

    command: Command | None
    state: AccountState = AccountState.WAITING
    detail: str = ""
    gives_key: bool = False
    """Whether the command carries the newest key."""


def role_prefix(registry_id: str) -> str:
    """Return the prefix of the roles of this registry's devices."""
    return f"iiot-gateway {registry_id} "


def rights(topics: str, device_id: str) -> Rights:
    """Return the rights of a device. Its id has no characters with a meaning in topics."""
    below = f"{topics}/{device_id}"
    return frozenset(
        {
            ("publishClientSend", f"{below}/telemetry/#", True),
            ("publishClientSend", f"{below}/status/#", True),
            ("subscribePattern", f"{below}/commands/#", True),
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """Facts about an account besides the broker's answer."""

    role: str
    rights: Rights
    broker_key: int | None
    """The number of the key that the broker was given last."""
    key: str | None
    """The newest key, if it is in memory."""
    now_s: float


def next_of(wanted: WantedAccount, broker: BrokerState, known: Knowledge) -> Next:
    """Return the next step for a device."""
    account = broker.accounts.get(wanted.user_name)
    if account is None:
        return _without_account(wanted, broker, known)
    if known.role not in account.roles:
        return Next(None, AccountState.TAKEN, f"the broker has an account {wanted.user_name} that this registry did not make")
    return next(_changes(wanted, account, broker, known), None) or _standing(wanted, known)


def _without_account(wanted: WantedAccount, broker: BrokerState, known: Knowledge) -> Next:
    if not wanted.is_enabled:
        return Next(None, AccountState.DISABLED, "the broker has no account of it")
    if known.key is None:
        return Next(None, AccountState.ROTATE, NO_KEY)
    return _role(broker, known) or Next(_creation(wanted, known.role, known.key), gives_key=True)


def _changes(wanted: WantedAccount, account: BrokerAccount, broker: BrokerState, known: Knowledge) -> Iterator[Next]:
    """Yield the commands for an existing account in their order: rights are removed before others are granted."""
    name = {"username": wanted.user_name}
    may_log_in = wanted.is_enabled and (_has_valid_key(wanted, known) or _is_given(wanted, known))
    if account.is_enabled and not may_log_in:
        yield Next({"command": "disableClient", **name})
    if (step := _role(broker, known)) is not None:
        yield step
    if account.client_id != wanted.device:
        yield Next({"command": "setClientId", **name, "clientid": wanted.device})
    if _is_given(wanted, known):
        yield Next({"command": "setClientPassword", **name, "password": known.key}, gives_key=True)
    if may_log_in and not account.is_enabled:
        yield Next({"command": "enableClient", **name})


def _standing(wanted: WantedAccount, known: Knowledge) -> Next:
    """Return the state of an account that needs no command."""
    if not wanted.is_enabled:
        return Next(None, AccountState.DISABLED)
    if not _has_valid_key(wanted, known):
        return Next(None, AccountState.ROTATE, UNKNOWN_KEY if known.broker_key is None else ENDED_KEY)
    return Next(None, AccountState.READY) if known.broker_key == wanted.key_id else Next(None, AccountState.ROTATE, OLD_KEY)


def _has_valid_key(wanted: WantedAccount, known: Knowledge) -> bool:
    """Return whether the broker has a valid key."""
    if known.broker_key is None or known.broker_key not in wanted.valid:
        return False
    expires_at = wanted.valid[known.broker_key]
    return expires_at is None or known.now_s < expires_at


def _is_given(wanted: WantedAccount, known: Knowledge) -> bool:
    """Return whether the broker can be given a newer key than it has."""
    return known.key is not None and known.broker_key != wanted.key_id


def surplus(wanted: Mapping[str, WantedAccount], broker: BrokerState, prefix: str) -> list[Command]:
    """Return the commands that delete accounts and roles of this registry which belong to no device. Accounts of others are not touched."""
    names = {(f"{prefix}{device}", each.user_name) for device, each in wanted.items()}
    commands: list[Command] = []
    for account in broker.accounts.values():
        is_ours = bool(account.roles) and all(role.startswith(prefix) for role in account.roles)
        if is_ours and not any((role, account.user_name) in names for role in account.roles):
            commands.append({"command": "deleteClient", "username": account.user_name})
    roles = {role for role, _ in names}
    commands += [{"command": "deleteRole", "rolename": role} for role in broker.roles if role.startswith(prefix) and role not in roles]
    return commands


def note(broker: BrokerState, command: Command) -> None:
    """Apply a command that the broker has acknowledged to the known state."""
    name = str(command.get("username", command.get("rolename", "")))
    account = broker.accounts.get(name)
    match command["command"]:
        case "createRole" | "modifyRole":
            broker.roles[name] = rights_of(command["acls"])
        case "deleteRole":
            broker.roles.pop(name, None)
        case "createClient":
            roles = tuple(str(role["rolename"]) for role in command["roles"])
            broker.accounts[name] = BrokerAccount(name, str(command["clientid"]), roles)
        case "deleteClient":
            broker.accounts.pop(name, None)
        case "setClientId" if account is not None:
            broker.accounts[name] = BrokerAccount(name, str(command["clientid"]), account.roles, account.is_enabled)
        case "enableClient" | "disableClient" if account is not None:
            is_enabled = command["command"] == "enableClient"
            broker.accounts[name] = BrokerAccount(name, account.client_id, account.roles, is_enabled)


def rights_of(acls: Any) -> Rights:
    """Read the rights of a role in the form of the plug-in."""
    return frozenset((str(acl["acltype"]), str(acl["topic"]), bool(acl["allow"])) for acl in acls)


def _role(broker: BrokerState, known: Knowledge) -> Next | None:
    found = broker.roles.get(known.role)
    if found == known.rights:
        return None
    acls = [{"acltype": kind, "topic": topic, "priority": 0, "allow": is_granted} for kind, topic, is_granted in sorted(known.rights)]
    return Next({"command": "createRole" if found is None else "modifyRole", "rolename": known.role, "acls": acls})


def _creation(wanted: WantedAccount, role: str, key: str) -> Command:
    return {
        "command": "createClient",
        "username": wanted.user_name,
        "password": key,
        # No other account may use this client id: it could take over the device's session.
        "clientid": wanted.device,
        "textname": "device of an iiot-gateway",
        "roles": [{"rolename": role, "priority": 0}],
    }
