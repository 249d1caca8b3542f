"""Keeps the accounts of a broker in step with the registry: at the start, after each change, and when the broker comes back.

The registry holds the wanted accounts, and the last key that the broker is known to have. The broker says which accounts it has. The
difference is the remaining work, so nothing is forgotten when either side dies.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread

from iiot_gateway.backoff import Backoff
from iiot_gateway.device_accounts.conversation import CommandRefused, Conversation, Unanswered
from iiot_gateway.device_accounts.steps import BrokerState, Command, Knowledge, Next, next_of, note, rights, role_prefix, surplus
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.log import DEVICE_ACCOUNTS, DEVICE_ACCOUNTS_UNAVAILABLE, REGISTRY_UNAVAILABLE, Repeated, get_log
from iiot_gateway.mqtt.side import serve_side
from iiot_gateway.registry.accounts import Account, AccountState, WantedAccount

if TYPE_CHECKING:
    from iiot_gateway._native import SideConnection
    from iiot_gateway.device_accounts.handed import HandedKeys
    from iiot_gateway.registry.store import Registry

LOOK_S = 0.2
AGAIN_S = 30.0
"""How often (s) expiring keys are checked, and refused commands are tried again."""
PATIENCE_S = 3.0
"""How long the first connection may take before the broker is reported as away."""
NAMED = 20
"""The most devices that one line of the log names."""
MOST_STEPS = 8
"""The most steps that one account can need. It stops the work at a broker that does not do what it acknowledges."""


@dataclass(frozen=True, slots=True)
class _Look:
    """The result of a comparison of registry and broker."""

    wanted: dict[str, WantedAccount]
    due: list[WantedAccount]
    surplus: list[Command]
    gone: set[str]
    before: dict[str, AccountState]


class AccountKeeper:
    """Makes the plug-in's accounts as the registry wants them."""

    def __init__(self, registry: Registry, handed: HandedKeys, side: SideConnection, *, broker: str, topics: str) -> None:
        self._registry = registry
        self._handed = handed
        self._side = side
        self._talk = Conversation(side)
        self._broker_url = broker
        self._topics = topics
        self._prefix = ""
        """The prefix of this registry's roles, once the registry was asked for its name."""
        self._known: dict[str, Account] = {}
        self._to_store: dict[str, Account] = {}
        self._settled: dict[str, WantedAccount] = {}
        """The wanted accounts at the last comparison."""
        self._seen: tuple[int, int, int] | None = None
        self._log = get_log(part="device_accounts")
        self._began_s, self._was_reached = time.monotonic(), False
        self.fault = "the broker has not answered yet; `iiot-gateway doctor` says why"
        """Why no work can be done now; empty if it can."""

    def summary(self) -> str:
        """Return what is wrong; empty if nothing is."""
        if self.fault and (self._was_reached or time.monotonic() - self._began_s > PATIENCE_S):
            return f"accounts of devices wait for the broker: {self.fault}"
        open_states = {account.state for account in self._known.values()} & {AccountState.ROTATE, AccountState.TAKEN, AccountState.REFUSED}
        states = ", ".join(sorted(open_states))
        return f"accounts of some devices need somebody ({states}); `iiot-gateway devices list` names them" if states else ""

    async def run(self) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_side, self._side, self._talk.take, self._log, DEVICE_ACCOUNTS_UNAVAILABLE)
            tasks.start_soon(self._keep)

    async def _keep(self) -> None:
        backoff, repeated = Backoff(first_s=0.5, ceiling_s=30.0), Repeated()
        while True:
            while not self._talk.connection:
                await self._talk.changes()
            try:
                await self._serve_connection(self._talk.connection, backoff)
                self.fault = "the broker is away"
            except (CommandRefused, Unanswered) as error:
                self.fault = str(error)
                if (extra := repeated.allows(str(error))) is not None:
                    self._log.warning(DEVICE_ACCOUNTS_UNAVAILABLE, detail=str(error), consequence="accounts of devices wait", **extra)
                await anyio.sleep(backoff.next_delay_s())
            except RegistryUnusable as error:
                if (extra := repeated.allows(str(error))) is not None:
                    self._log.warning(REGISTRY_UNAVAILABLE, error=str(error), consequence="accounts of devices wait", **extra)
                await anyio.sleep(backoff.next_delay_s())

    async def _serve_connection(self, connection: int, backoff: Backoff) -> None:
        """Find and do the remaining work until the connection ends."""
        if not self._prefix:
            self._prefix = role_prefix(await anyio.to_thread.run_sync(self._registry.accounts.registry_id))
        if wrong := await self._talk.open_defaults():
            self._log.error(
                DEVICE_ACCOUNTS,
                state="open",
                detail=f"the broker's default access allows {' and '.join(wrong)}: every device may use topics of others",
                remedy="mosquitto_ctrl ... dynsec setDefaultACLAccess publishClientSend deny, and the same for subscribe",
            )
        broker = await self._talk.state()
        self._settled = {}
        self.fault, self._seen, self._was_reached = "", None, True
        backoff.reset()
        looked_s = 0.0
        while self._talk.connection == connection:
            # The handed keys are counted first, because they are looked up after the count.
            handed = self._handed.changes()
            seen = (connection, await anyio.to_thread.run_sync(self._registry.generation), handed)
            if seen != self._seen or time.monotonic() - looked_s >= AGAIN_S:
                looked_s = time.monotonic()
                await self._reconcile(broker, is_again=seen == self._seen)
                self._seen = seen
            await anyio.sleep(LOOK_S)

    def _needs_another_look(self, wanted: Mapping[str, WantedAccount], *, is_again: bool) -> bool:
        """Return whether the broker must be asked again for its accounts.

        Somebody may have put right there what kept an account from being right: from time to time, and when such a device has a new key.
        """
        open_accounts = [each for each in self._known.values() if each.state in (AccountState.TAKEN, AccountState.REFUSED)]
        if is_again:
            return bool(open_accounts)
        return any(each.device in wanted and self._handed.find(wanted[each.device].key_digest) for each in open_accounts)

    async def _reconcile(self, broker: BrokerState, *, is_again: bool) -> None:
        look = await anyio.to_thread.run_sync(lambda: self._look(broker, is_again=is_again))
        if self._needs_another_look(look.wanted, is_again=is_again):
            await self._ask_again(broker)
            look = await anyio.to_thread.run_sync(lambda: self._look(broker, is_again=True))
        try:
            await self._remove(look.surplus, broker)
            for each in look.due:
                await self._settle(each, broker)
                # This lets posts be answered in between, even if no command is sent to the broker.
                await anyio.lowlevel.checkpoint()
        finally:
            # Also if the broker goes away in between: the commands that it has acknowledged stay in effect.
            with anyio.CancelScope(shield=True):
                await self._store(gone=look.gone)
            self._tell(look)

    def _look(self, broker: BrokerState, *, is_again: bool) -> _Look:
        """Find the remaining work. Runs in a thread, because there may be many devices, and posts must be answered meanwhile."""
        accounts = self._registry.accounts
        wanted, stored = accounts.wanted(), accounts.all()
        # States that could not be stored the last time count as known.
        self._known = {device: each for device, each in stored.items() if each.broker == self._broker_url} | self._to_store
        self._handed.keep_only({each.key_digest for each in wanted.values()})
        before = {device: each.state for device, each in self._known.items()}
        due = [
            each
            for each in wanted.values()
            if (is_again or self._settled.get(each.device) != each or self._handed.find(each.key_digest)) and self._is_due(each, broker)
        ]
        self._settled = wanted
        return _Look(wanted, due, surplus(wanted, broker, self._prefix), stored.keys() - wanted.keys(), before)

    def _is_due(self, wanted: WantedAccount, broker: BrokerState) -> bool:
        known = self._known.get(wanted.device)
        if known is None:
            return True
        step = self._next(wanted, broker, known.key_id if wanted.user_name in broker.accounts else None)
        return step.command is not None or (step.state, step.detail) != (known.state, known.detail)

    def _next(self, wanted: WantedAccount, broker: BrokerState, key_id: int | None) -> Next:
        known = Knowledge(
            role=f"{self._prefix}{wanted.device}",
            rights=rights(self._topics, wanted.device),
            broker_key=key_id,
            key=self._handed.find(wanted.key_digest),
            now_s=time.time(),
        )
        return next_of(wanted, broker, known)

    async def _ask_again(self, broker: BrokerState) -> None:
        """Replace the known state of the accounts by the broker's own answer."""
        found = await self._talk.state()
        broker.accounts, broker.roles = found.accounts, found.roles
        self._settled = {}

    async def _remove(self, commands: Sequence[Command], broker: BrokerState) -> None:
        removed = []
        for command in commands:
            await self._talk.ask(command)
            note(broker, command)
            if "username" in command:
                removed.append(command["username"])
        if removed:
            self._log.info(DEVICE_ACCOUNTS, state="removed", accounts=len(removed), names=removed[:NAMED])

    async def _settle(self, wanted: WantedAccount, broker: BrokerState) -> None:
        """Do the work for one account. Raises Unanswered. A refusal is noted, and does not stop the work for other accounts."""
        known = self._known.get(wanted.device) or Account(device=wanted.device, broker=self._broker_url)
        key_id, state, detail = known.key_id, AccountState.REFUSED, "the broker does not do what it acknowledges"
        refused: Command | None = None
        for _ in range(MOST_STEPS):
            if wanted.user_name not in broker.accounts:
                key_id = None
            step = self._next(wanted, broker, key_id)
            if step.command is None:
                state, detail = step.state, step.detail
                break
            if step.command == refused:
                break
            try:
                await self._talk.ask(step.command)
            except CommandRefused as error:
                # Perhaps somebody else has changed the account meanwhile: then its present state needs another step, or none.
                state, detail, refused = AccountState.REFUSED, str(error), step.command
                await self._ask_again(broker)
                continue
            note(broker, step.command)
            if step.gives_key:
                key_id = wanted.key_id
                # At once, because a key whose state is unknown after a kill must be rotated.
                self._put(Account(device=wanted.device, broker=self._broker_url, key_id=key_id, state=known.state))
                await self._store()
        self._put(Account(device=wanted.device, broker=self._broker_url, key_id=key_id, state=state, detail=detail))
        if key_id == wanted.key_id and state in (AccountState.READY, AccountState.DISABLED):
            self._handed.drop(wanted.key_digest)

    def _put(self, account: Account) -> None:
        known = self._known.get(account.device)
        if known is None or (known.key_id, known.state, known.detail) != (account.key_id, account.state, account.detail):
            self._known[account.device] = self._to_store[account.device] = account

    async def _store(self, gone: set[str] | None = None) -> None:
        changed, self._to_store = self._to_store, {}
        for device in gone or ():
            self._known.pop(device, None)
        if changed or gone:
            try:
                await anyio.to_thread.run_sync(self._registry.accounts.store, list(changed.values()), gone or set())
            except RegistryUnusable:
                self._to_store = {**changed, **self._to_store}
                raise

    def _tell(self, look: _Look) -> None:
        """Log which accounts have a new state, in one line per state."""
        changed: dict[AccountState, list[str]] = defaultdict(list)
        for device in look.wanted:
            known = self._known.get(device)
            if known is not None and look.before.get(device) is not known.state:
                changed[known.state].append(device)
        for state, devices in changed.items():
            is_good = state in (AccountState.READY, AccountState.DISABLED, AccountState.WAITING)
            details = {self._known[device].detail for device in devices[:NAMED]} - {""}
            tell = self._log.info if is_good else self._log.warning
            tell(DEVICE_ACCOUNTS, state=str(state), accounts=len(devices), devices=devices[:NAMED], detail="; ".join(sorted(details)))
