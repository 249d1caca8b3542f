"""What is asked of a broker's accounts: each state of the broker leads to the same end, and a key that is not valid lets nobody in."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.device_accounts.handed import KEPT_S, HandedKeys
from iiot_gateway.device_accounts.steps import (
    BrokerAccount,
    BrokerState,
    Command,
    Knowledge,
    Rights,
    next_of,
    note,
    rights,
    role_prefix,
    surplus,
)
from iiot_gateway.registry.accounts import AccountState, WantedAccount
from iiot_gateway.registry.keys import digest

PREFIX = role_prefix("0123abcd")
ROLE = f"{PREFIX}boiler"
RIGHTS = rights("iotflow/devices", "boiler")
NOW_S = 1000.0
KEY = "the newest key"
KEPT = {1: 2000.0, 2: None}
"""An old key that is valid for a while, and the newest."""


def wanted(*, is_enabled: bool = True, user_name: str = "boiler") -> WantedAccount:
    """Return a device whose newest key is number 2."""
    return WantedAccount(device="boiler", user_name=user_name, is_enabled=is_enabled, key_id=2, key_digest=digest(KEY), valid=KEPT)


def settle(
    device: WantedAccount, broker: BrokerState, broker_key: int | None, key: str | None, now_s: float = NOW_S
) -> tuple[list[Command], AccountState]:
    """Do what is next until nothing is."""
    done: list[Command] = []
    for _ in range(8):
        step = next_of(device, broker, Knowledge(role=ROLE, rights=RIGHTS, broker_key=broker_key, key=key, now_s=now_s))
        if step.command is None:
            return done, step.state
        done.append(step.command)
        note(broker, step.command)
        broker_key = device.key_id if step.gives_key else broker_key
    raise AssertionError(f"it does not end: {done}")


def names(commands: list[Command]) -> list[str]:
    """Return what was asked."""
    return [str(command["command"]) for command in commands]


def test_a_new_device_gets_rights_before_it_gets_an_account() -> None:
    """Both are bound to it alone."""
    broker = BrokerState()

    done, state = settle(wanted(), broker, None, KEY)

    assert (names(done), state) == (["createRole", "createClient"], AccountState.READY)
    assert {acl["topic"] for acl in done[0]["acls"]} == {
        "iotflow/devices/boiler/telemetry/#",
        "iotflow/devices/boiler/status/#",
        "iotflow/devices/boiler/commands/#",
    }
    assert (done[1]["clientid"], done[1]["password"], done[1]["roles"]) == ("boiler", KEY, [{"rolename": ROLE, "priority": 0}])
    assert settle(wanted(), broker, 2, None) == ([], AccountState.READY)


@pytest.mark.parametrize(
    ("broker_key", "key", "now_s", "is_enabled", "commands", "state"),
    [
        (1, KEY, NOW_S, True, ["setClientPassword"], AccountState.READY),
        (1, None, NOW_S, True, [], AccountState.ROTATE),
        (1, None, 2000.0, True, ["disableClient"], AccountState.ROTATE),
        (7, None, NOW_S, True, ["disableClient"], AccountState.ROTATE),
        (None, None, NOW_S, True, ["disableClient"], AccountState.ROTATE),
        (None, KEY, NOW_S, True, ["setClientPassword"], AccountState.READY),
        (2, None, NOW_S, False, ["disableClient"], AccountState.DISABLED),
        (1, KEY, NOW_S, False, ["disableClient", "setClientPassword"], AccountState.DISABLED),
    ],
)
def test_an_account_that_is_there(
    broker_key: int | None, key: str | None, now_s: float, *, is_enabled: bool, commands: list[str], state: AccountState
) -> None:
    """By which key the broker has, whether the newest is at hand, the time, and whether the device is enabled."""
    broker = BrokerState({"boiler": BrokerAccount("boiler", "boiler", (ROLE,))}, {ROLE: RIGHTS})

    done, found = settle(wanted(is_enabled=is_enabled), broker, broker_key, key, now_s)

    assert (names(done), found) == (commands, state)


def test_an_account_of_somebody_else_is_not_touched() -> None:
    """Whatever its name."""
    broker = BrokerState({"boiler": BrokerAccount("boiler", "", ("admin",))})

    assert settle(wanted(), broker, None, KEY) == ([], AccountState.TAKEN)


@given(
    account=st.none() | st.tuples(st.sampled_from(["", "boiler", "pump"]), st.booleans()),
    role=st.none() | st.sampled_from([RIGHTS, frozenset(), frozenset({("subscribePattern", "#", True)})]),
    broker_key=st.sampled_from([None, 1, 2, 7]),
    key=st.sampled_from([None, KEY]),
    is_enabled=st.booleans(),
)
def test_every_beginning_ends_well(
    *, account: tuple[str, bool] | None, role: Rights | None, broker_key: int | None, key: str | None, is_enabled: bool
) -> None:
    """Whoever can log in then is enabled, has a valid key, its own client id, and the rights of its device."""
    accounts = {} if account is None else {"boiler": BrokerAccount("boiler", account[0], (ROLE,), account[1])}
    broker = BrokerState(accounts, {} if role is None else {ROLE: role})

    done, _ = settle(wanted(is_enabled=is_enabled), broker, None if account is None else broker_key, key)

    found = broker.accounts.get("boiler")
    if found is not None and found.is_enabled:
        assert is_enabled
        assert account is None or broker_key in (1, 2) or key is not None
        assert found.client_id == "boiler"
        assert broker.roles[ROLE] == RIGHTS
    taken, opened = (
        [number for number, name in enumerate(names(done)) if name in which] for which in (("modifyRole", "setClientId"), ("enableClient",))
    )
    assert all(first < second for first, second in itertools.product(taken, opened))


def test_what_is_too_much_goes_and_what_others_made_stays() -> None:
    """Accounts and roles of removed devices, and the account of a user name that was changed."""
    accounts = [
        BrokerAccount("boiler", "boiler", (ROLE,)),
        BrokerAccount("removed", "removed", (f"{PREFIX}removed",)),
        BrokerAccount("admin", "", ("admin",)),
        BrokerAccount("helper", "", ("admin", f"{PREFIX}removed")),
        BrokerAccount("bare", "", ()),
        BrokerAccount("other", "other", (f"{role_prefix('ffffffff')}removed",)),
    ]
    roles = {ROLE: RIGHTS, f"{PREFIX}removed": RIGHTS, "admin": RIGHTS, f"{role_prefix('ffffffff')}removed": RIGHTS}
    broker = BrokerState({each.user_name: each for each in accounts}, dict(roles))

    assert surplus({"boiler": wanted()}, broker, PREFIX) == [
        {"command": "deleteClient", "username": "removed"},
        {"command": "deleteRole", "rolename": f"{PREFIX}removed"},
    ]
    renamed = replace(wanted(), user_name="heater")
    assert {"command": "deleteClient", "username": "boiler"} in surplus({"boiler": renamed}, broker, PREFIX)


def test_a_key_that_the_registry_never_names_is_forgotten() -> None:
    """One that it names stays until the broker has it."""
    now_s = 0.0
    handed = HandedKeys(lambda: now_s)
    handed.hand("stored")
    handed.hand("failed")
    handed.keep_only({digest("stored")})
    assert handed.find(digest("failed")) == "failed"

    now_s = KEPT_S + 1
    handed.keep_only({digest("stored")})

    assert (handed.find(digest("stored")), handed.find(digest("failed"))) == ("stored", None)
    handed.drop(digest("stored"))
    assert handed.find(digest("stored")) is None
