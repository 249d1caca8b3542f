"""Answers addresses that get requests all the time, without the layers of the application. Plain ASGI."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request

from iiot_gateway.api.guard import App, Receive, Scope, Send, respond
from iiot_gateway.api.part import HttpPart
from iiot_gateway.api.problem import Problem, fault


class Shortcuts:
    """Comes before the application."""

    def __init__(self, app: App, parts: Iterable[HttpPart]) -> None:
        self._app = app
        self._answers = {path: answer for part in parts for path, answer in part.shortcuts.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on. A fault in the gateway is answered, and raised again so that it is logged."""
        answer = self._answers.get(scope["path"])
        if answer is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await answer(Request(scope, receive, send))
        except Problem as problem:
            await respond(problem, send)
        except Exception as error:
            await respond(fault(error), send)
            raise
        else:
            await response(scope, receive, send)
