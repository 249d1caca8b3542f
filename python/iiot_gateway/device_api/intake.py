"""Brings posts into the journal: a post is queued at once, and answered when its data is safe."""

from __future__ import annotations

import asyncio
import time
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

import anyio

from iiot_gateway.api.problem import Problem

if TYPE_CHECKING:
    from iiot_gateway._native import Posts

ANSWER_S = 10.0
LOOK_S = 0.5


class Counted(Problem):
    """A Problem with data that is counted elsewhere: by the journal, or point by point. The API does not count it again."""


def paused() -> Problem:
    """Return the problem that the journal is full."""
    return Problem(
        503,
        "journal_full",
        "the journal has no room; nothing was taken",
        "send it again later; `iiot-gateway status` names the sink that holds the journal up",
        {"retry-after": "10"},
    )


def unanswered() -> Counted:
    """Return the problem that the journal did not answer. The journal counts the messages that it got."""
    return Counted(
        503,
        "journal_slow",
        f"the journal's disk did not confirm within {ANSWER_S:g} s; what was sent may have been taken",
        "send it again with the same message_id or time, and it is taken once",
        {"retry-after": "10"},
    )


Message = tuple[str | None, bytes, str, bytes, bytes | None, int]
"""Topic, document, device, tags of its points from the registry, message id, arrival (Unix nanoseconds)."""


class Outcome(NamedTuple):
    """The outcome of a message."""

    word: str
    """accepted, duplicate, conflict, rejected, refused or ignored."""
    detail: str

    @property
    def is_taken(self) -> bool:
        """Whether the message is in the journal, by this post or an earlier one."""
        return self.word in ("accepted", "duplicate")

    def raise_fault(self) -> None:
        """Raise a Problem if the message was not accepted: 409, 422 or 429. The journal has counted the message."""
        if self.is_taken:
            return
        if self.word == "conflict":
            raise Counted(
                409,
                "message_id_conflict",
                "a message with this message_id and other content was taken before",
                "give each message an id of its own",
            )
        if self.word == "refused":
            raise Counted(
                429,
                "too_many_message_ids",
                "more message ids are in use than the gateway remembers",
                "raise devices.max_message_ids, or shorten devices.message_id_window_s",
                {"retry-after": "60"},
            )
        if self.word == "ignored":
            raise Counted(
                422, "ignored", f"the profile names this as no telemetry: {self.detail}", "send something else, or change the profile"
            )
        reason, _, text = self.detail.partition(": ")
        raise Counted(422, reason or "rejected", text or "nothing of this can be used", "docs/devices.md says what a point may hold")


class PostQueue:
    """The messages that wait for the journal."""

    def __init__(self, posts: Posts) -> None:
        self._posts = posts
        self._gathered: list[tuple[list[Message], asyncio.Future[list[Outcome]]]] = []
        self._waiting: dict[int, tuple[float, list[tuple[int, asyncio.Future[list[Outcome]]]]]] = {}
        """By ticket: the end of the wait, and per post the number of its messages."""

    def has_room(self) -> bool:
        """Return whether the journal accepts more messages now."""
        return self._posts.has_room()

    def must_have_room(self) -> None:
        """Raise Problem 503 unless the journal accepts more messages now."""
        if not self.has_room():
            raise paused()

    def counts(self) -> tuple[int, int, int]:
        """Return the number of messages, their bytes, and when the last one arrived (Unix nanoseconds, 0 before the first)."""
        return self._posts.counts()

    async def post(self, messages: list[Message]) -> list[Outcome]:
        """Give messages to the journal, and wait until their outcomes are safe on the disk. Raises Problem 503."""
        self.must_have_room()
        loop = asyncio.get_running_loop()
        # One check of all futures replaces a timer per future, because this happens for every post.
        waiting: asyncio.Future[list[Outcome]] = loop.create_future()
        if not self._gathered:
            # All messages of this turn of the loop go together: one call, one commit.
            loop.call_soon(self._give)
        self._gathered.append((messages, waiting))
        return await waiting

    def _give(self) -> None:
        """Give the collected messages to the journal."""
        gathered, self._gathered = self._gathered, []
        try:
            ticket = self._posts.post([message for messages, _ in gathered for message in messages])
        except Exception as error:
            for _, waiting in gathered:
                if not waiting.done():
                    waiting.set_exception(error)
            return
        self._waiting[ticket] = (time.monotonic() + ANSWER_S, [(len(messages), waiting) for messages, waiting in gathered])

    async def run(self) -> None:
        """Hand out the outcomes of the messages, until cancelled."""
        while True:
            with anyio.move_on_after(LOOK_S):
                await anyio.wait_readable(self._posts.fileno())
            for ticket, outcomes in self._posts.results():
                self._hand_out(ticket, outcomes)
            self._give_up()

    def _hand_out(self, ticket: int, outcomes: list[tuple[str, str]]) -> None:
        _until_s, those = self._waiting.pop(ticket, (0.0, []))
        begin = 0
        for count, waiting in those:
            if not waiting.done():
                waiting.set_result([Outcome(*outcome) for outcome in outcomes[begin : begin + count]])
            begin += count

    def _give_up(self) -> None:
        """Answer posts that have waited too long; the oldest are first."""
        now_s = time.monotonic()
        late = list(takewhile(lambda ticket: self._waiting[ticket][0] <= now_s, self._waiting))
        for ticket in late:
            for _count, waiting in self._waiting.pop(ticket)[1]:
                if not waiting.done():
                    waiting.set_exception(unanswered())
