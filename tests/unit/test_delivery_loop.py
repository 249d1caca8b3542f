"""The delivery loop against another side that is scripted: which lines it gives up, when, and what it does about a side that is gone."""

# ruff: noqa: D102, ARG002 - the protocol describes the methods
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.backoff import Backoff
from iiot_gateway.errors import SinkUnavailable
from iiot_gateway.sinks.delivery import DeliverySink
from iiot_gateway.sinks.outlet import TAKEN, Outcome, Result
from iiot_gateway.sinks.plan import Delivery, Range


@dataclass
class Lines:
    """A batch."""

    texts: list[bytes]
    end_position: int = 1

    @property
    def lines(self) -> int:
        return len(self.texts)

    def line(self, index: int) -> bytes:
        return self.texts[index]

    def last_lines(self, *, first: int = 0, end: int | None = None) -> dict[bytes, bytes]:
        return {b"m": self.texts[:end][-1]}


@dataclass
class Table:
    """Takes a batch as a whole or not at all, as a transaction does, and names the rows that it refuses."""

    batches: list[Lines]
    bad: Callable[[bytes], bool] = lambda _line: False
    refuses_all: bool = False
    answers: list[Outcome] = field(default_factory=list)
    place: tuple[str, str] = ("url", "table://here")
    refuses_all_remedy: str = "look at the table"
    stored: list[list[bytes]] = field(default_factory=list)
    confirmed: list[tuple[int, list[tuple[int, str]]]] = field(default_factory=list)
    proved: list[bytes] = field(default_factory=list)
    done: Callable[[], None] = lambda: None
    stopped: threading.Event = field(default_factory=threading.Event)

    def greet(self) -> Outcome:
        return TAKEN

    def next_batch(self) -> Lines | None:
        if self.batches:
            return self.batches.pop(0)
        self.stopped.wait(1)
        return None

    def newest(self, behind: Lines) -> Lines | None:
        return None

    def send(self, batch: Lines, part: Range) -> Outcome:
        if self.answers:
            return self.answers.pop(0)
        rows = [(index, batch.line(index)) for index in range(part.first, part.end) if index not in part.without]
        refused = tuple((index, "no such number") for index, line in rows if self.refuses_all or self.bad(line))
        if refused:
            return Outcome(Result.BAD_LINES, "no such number", rows=refused[:1])
        self.stored.append([line for _index, line in rows])
        return TAKEN

    def prove(self, line: bytes) -> Outcome:
        self.proved.append(line)
        return Outcome(Result.BAD_LINES, "no such number") if self.refuses_all or self.bad(line) else TAKEN

    def rewind(self) -> None:
        pass

    def confirm(self, batch: Lines, rejects: Sequence[tuple[int, str]], *, wait: bool) -> bool:
        self.confirmed.append((batch.lines, list(rejects)))
        anyio.from_thread.run_sync(self.done) if wait else self.done()
        return True

    def stop_reading(self) -> None:
        self.stopped.set()

    def stop_sending(self) -> None:
        pass


def deliver(table: Table) -> DeliverySink[Lines]:
    """Run a sink until it has confirmed a batch."""

    async def main() -> DeliverySink[Lines]:
        sink = DeliverySink("table", "table", table, backoff=Backoff(first_s=0.001, ceiling_s=0.001))
        confirmed = anyio.Event()
        table.done = confirmed.set
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sink.run)
                await confirmed.wait()
                await sink.stop(5)
        return sink

    return anyio.run(main)


def test_named_rows_are_left_out_and_the_others_are_stored_at_once() -> None:
    """A side that commits a batch as a whole never gets a part of it."""
    table = Table([Lines([b"1", b"x", b"2", b"y", b"3"])], bad=lambda line: line.isalpha())

    deliver(table)

    assert table.stored == [[b"1", b"2", b"3"]]
    assert table.confirmed == [(5, [(1, "no such number"), (3, "no such number")])]


def test_a_batch_of_bad_rows_is_given_up_once_a_canary_is_taken() -> None:
    """What was stored before shows that the table takes rows."""
    table = Table([Lines([b"1"]), Lines([b"x", b"y"])], bad=lambda line: line.isalpha())

    async def main() -> None:
        sink = DeliverySink("table", "table", table, backoff=Backoff(first_s=0.001, ceiling_s=0.001))
        second = anyio.Event()
        table.done = lambda: second.set() if len(table.confirmed) == 2 else None
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sink.run)
                await second.wait()
                await sink.stop(5)

    anyio.run(main)

    assert table.proved == [b"1"]
    assert table.confirmed == [(1, []), (2, [(0, "no such number"), (1, "no such number")])]


def test_a_table_that_refuses_everything_gets_every_row_once_it_takes_some() -> None:
    """Nothing was wrong with the rows: none is a reject."""
    table = Table([Lines([b"1", b"2", b"3"])], refuses_all=True)
    asked = 0

    def prove(line: bytes) -> Outcome:
        nonlocal asked
        asked += 1
        # Somebody mends the table after a while.
        table.refuses_all = asked < 10
        return Outcome(Result.BAD_LINES, "no such number") if table.refuses_all else TAKEN

    table.prove = prove  # type: ignore[method-assign]

    sink = deliver(table)

    assert table.stored == [[b"1", b"2", b"3"]]
    assert table.confirmed == [(3, [])]
    assert sink.status.state == "stopped"


def test_a_side_that_is_gone_for_good_ends_the_gateway() -> None:
    """The error says where and why; nothing is confirmed."""
    table = Table([Lines([b"1"])], answers=[Outcome(Result.GONE, "nobody reads", "start again")])

    async def main() -> None:
        with anyio.fail_after(20):
            await DeliverySink("table", "table", table).run()

    with pytest.raises(SinkUnavailable, match=r"\[table\] table://here: nobody reads; start again"):
        anyio.run(main)

    assert table.confirmed == []


def test_rows_that_were_not_sent_are_not_blamed() -> None:
    """A side that names a row of another range is not believed; the range is halved instead."""
    plan = Delivery(4)

    plan.refused("bad", [(7, "no such row")])

    assert plan.next() == Range(0, 2)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.data())
def test_named_rows_are_exactly_the_bad_ones(are_bad: list[bool], data: st.DataObject) -> None:
    """Whichever of its bad rows a side names at a time: the good ones go in once and together, and no other row is given up."""
    bad = {index for index, is_bad in enumerate(are_bad) if is_bad}
    plan, stored, asked = Delivery(len(are_bad)), [], 0
    while (part := plan.next()) is not None:
        asked += 1
        assert asked <= 3 * len(are_bad) + 3
        rows = [index for index in range(part.first, part.end) if index not in part.without]
        assert len(rows) == len(part)
        if left := sorted(bad.intersection(rows)):
            named = data.draw(st.lists(st.sampled_from(left), min_size=1, unique=True))
            plan.refused("bad", [(index, "bad") for index in named])
        else:
            stored.append(rows)
            plan.accepted()
        if plan.in_doubt:
            # Somebody shows now and then that nothing is taken, until a canary is.
            plan.doubt() if data.draw(st.booleans()) and asked < len(are_bad) else plan.believe()
    if plan.in_doubt:
        plan.believe()

    assert sorted(index for index, _why in plan.rejects) == sorted(bad)
    assert stored == ([sorted(set(range(len(are_bad))) - bad)] if len(bad) < len(are_bad) else [])


def test_a_doubt_does_not_bring_back_what_is_known_to_be_bad() -> None:
    """Rows that were rejected with proof stay out; those that were only suspected come again."""
    plan = Delivery(30)
    plan.refused("bad", [(index, "bad") for index in range(8)])
    plan.believe()
    plan.refused("bad", [(index, "bad") for index in range(8, 24)])

    plan.doubt()

    assert plan.next() == Range(0, 30, frozenset(range(8)))
    assert [index for index, _why in plan.rejects] == list(range(8))
