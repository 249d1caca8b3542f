"""Listens for changes of a registry in PostgreSQL, and decides how long cached data of it may be trusted.

One connection listens. It is notified of each committed change; then, and every second, it queries the revision. An answer is trusted
for LEASE_S seconds from the time of the query. So after a connection breaks silently, cached data soon lets nobody in any more.
"""

from __future__ import annotations

import atexit
import threading
import time

from iiot_gateway._native import PostgresConnection, PostgresError, postgres_name
from iiot_gateway.backoff import Backoff
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.log import REGISTRY_AVAILABLE, REGISTRY_UNAVAILABLE, Repeated, get_log
from iiot_gateway.registry.server_schema import ServerPlace, remedy

LEASE_S = 3.0
ASK_S = 1.0
JOIN_S = 2.0
CONSEQUENCE = "devices are answered with 503 and come again; MQTT goes on with what is known"


def clock() -> float:
    """Return seconds that also pass while the machine sleeps, so that cached data is not trusted after a sleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Watch:
    """Follows the revision, on its own thread."""

    def __init__(self, place: ServerPlace) -> None:
        self._place = place
        self._connection = PostgresConnection(place.settings)
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._is_ended = threading.Event()
        self._is_told = threading.Event()
        """Set once the first attempt to reach the server has succeeded, or can never succeed."""
        self._lock = threading.Lock()
        self._generation = 0
        self._revision = -1
        self._trusted_until = 0.0
        self._fault, self._remedy = "the server was not reached yet", "wait, or look at the log"
        self._is_hopeless = False
        self._log = get_log(part="registry")

    def start(self, patience_s: float) -> None:
        """Begin, and wait at most `patience_s` seconds for the server. Raises RegistryUnusable if its tables can never be used."""
        # A thread that comes back from the extension once the interpreter has ended would end the process by force.
        atexit.register(self.end)
        self._thread.start()
        self._is_told.wait(patience_s)
        if self._is_hopeless:
            raise self._unusable()

    def end(self) -> None:
        """End the thread and the connection."""
        self._is_ended.set()
        self._connection.cancel()
        self._thread.join(JOIN_S)
        atexit.unregister(self.end)

    def generation(self) -> int:
        """Return a number that changes with each relevant change. Raises RegistryUnusable while the server does not report changes."""
        if clock() >= self._trusted_until:
            raise self._unusable()
        return self._generation

    def reached(self, revision: int) -> None:
        """Note a revision that this process has just committed: its next query must see it."""
        with self._lock:
            if revision > self._revision:
                self._revision = revision
                self._generation += 1

    def doubt(self) -> None:
        """Forget everything, because there may have been changes."""
        with self._lock:
            self._generation += 1

    def _unusable(self) -> RegistryUnusable:
        return RegistryUnusable(self._place.shown, self._fault, self._remedy)

    def _run(self) -> None:
        repeated, backoff = Repeated(), Backoff(first_s=0.2, ceiling_s=2.0)
        while not self._is_ended.is_set():
            try:
                self._follow(repeated, backoff)
            except (PostgresError, RegistryUnusable) as error:
                self._trusted_until = 0.0
                if self._is_ended.is_set():
                    return
                if isinstance(error, RegistryUnusable):
                    self._fault, self._remedy, self._is_hopeless = error.detail, error.remedy, True
                    self._is_told.set()
                else:
                    self._fault, self._remedy = str(error), remedy(error, self._place.schema)
                if (extra := repeated.allows(str(error))) is not None:
                    self._log.error(REGISTRY_UNAVAILABLE, error=str(self._unusable()), consequence=CONSEQUENCE, **extra)
                self._is_ended.wait(backoff.next_delay_s())

    def _follow(self, repeated: Repeated, backoff: Backoff) -> None:
        self._place.connect(self._connection)
        self._connection.query(f"LISTEN {postgres_name(self._place.schema)}")
        # Notifications without a listener are lost, and a server that was set back may count to the same number again.
        self.doubt()
        while True:
            asked_at, known = clock(), self._revision
            ((number,),) = self._connection.query("SELECT number FROM revision")
            self._saw(int(number or 0), known)
            if self._trusted_until == 0.0:
                self._log.info(REGISTRY_AVAILABLE, registry=self._place.shown)
                repeated.reset()
                backoff.reset()
            self._trusted_until = asked_at + LEASE_S
            # The failure is reported if the next answer does not come in time.
            self._fault, self._remedy = f"the server has not answered for {LEASE_S:g} s", "check the server and the network"
            self._is_hopeless = False
            self._is_told.set()
            self._connection.notified(ASK_S)

    def _saw(self, revision: int, known: int) -> None:
        with self._lock:
            # A lower number comes from a server that was set back, unless this process has committed a change since the query.
            if revision > self._revision or (revision < self._revision and known == self._revision):
                self._revision = revision
                self._generation += 1
