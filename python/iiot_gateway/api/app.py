"""The HTTP routes. `openapi.json` beside this file describes the routes of `/api/v1/`; a test compares the two."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from iiot_gateway.api import page, past
from iiot_gateway.api.feed import Feed
from iiot_gateway.api.guard import App, Guard
from iiot_gateway.api.parameters import place, refuse_unknown, whole
from iiot_gateway.api.problem import METHOD_NOT_ALLOWED, NOT_FOUND, PROBLEM_TYPE, Problem, fault, method_not_allowed
from iiot_gateway.api.shortcuts import Shortcuts
from iiot_gateway.api.stream import EVENTS_TYPE, EventStream
from iiot_gateway.config.schema import HttpSection
from iiot_gateway.log import PAGE_NOT_BUILT, get_log
from iiot_gateway.metrics import render
from iiot_gateway.pipeline.views import Views

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FRESH = {"cache-control": "no-store"}
OPENAPI = Path(__file__).with_name("openapi.json")
MAX_REJECTS = 1000


def make_app(views: Views, feed: Feed, section: HttpSection) -> App:
    """Return the application for a running gateway."""
    starlette = Starlette(
        routes=[
            *(route for part in views.http_parts for route in part.routes()),
            *_monitoring(feed),
            *_api(views, feed),
            _site(views, feed),
            *_page(),
        ],
        exception_handlers={Problem: _say, HTTPException: _say_http, Exception: _say_fault},
    )
    return Guard(Shortcuts(starlette, views.http_parts), section, views.http_parts)


def _monitoring(feed: Feed) -> list[Route]:
    async def healthz(_request: Request) -> Response:
        """Answer 200, which shows that the process and its event loop work."""
        return JSONResponse({"status": "ok"}, headers=FRESH)

    async def readyz(_request: Request) -> Response:
        """Answer whether every sink delivers; a 503 names those that do not. Frames are stored in the journal in any case."""
        document = await feed.status()
        waiting = {name: sink["state"] for name, sink in document["sinks"].items() if sink["state"] not in ("connected", "removed")}
        return JSONResponse({"ready": not waiting, "waiting": waiting}, status_code=503 if waiting else 200, headers=FRESH)

    async def metrics(_request: Request) -> Response:
        """Return the ledger, lag, sizes, rates and states for Prometheus."""
        return PlainTextResponse(render(await feed.status()), media_type=METRICS_TYPE, headers=FRESH)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def _api(views: Views, feed: Feed) -> list[Route]:
    description = functools.cache(partial(_described, views))

    async def openapi(request: Request) -> Response:
        refuse_unknown(request.query_params, ())
        return Response(description(), media_type="application/json", headers={"cache-control": "no-cache"})

    async def status(request: Request) -> Response:
        refuse_unknown(request.query_params, ())
        return JSONResponse(await feed.status(), headers=FRESH)

    async def latest(request: Request) -> Response:
        refuse_unknown(request.query_params, ())
        return Response(await feed.latest(), media_type="application/json", headers=FRESH)

    async def live(request: Request) -> Any:
        refuse_unknown(request.query_params, ())
        if request.method == "HEAD":
            return Response(headers={"content-type": EVENTS_TYPE, **FRESH})
        feed.open_page()
        return EventStream(feed)

    async def rejects(request: Request) -> Response:
        refuse_unknown(request.query_params, ("limit",))
        limit = whole(request.query_params, "limit", low=1, high=MAX_REJECTS, default=50)
        return await _in_thread(lambda: {"rejects": [_reject(entry) for entry in views.rejects(limit)]}, feed.threads)

    async def points(request: Request) -> Response:
        return await _in_thread(partial(past.points, views, dict(request.query_params)), feed.history_threads)

    routes = {
        "openapi.json": openapi,
        "status": status,
        "latest": latest,
        "live": live,
        "rejects": rejects,
        "alerts": _all_of(lambda: views.alerts() if views.alerts else {}, lambda: feed.threads),
        "series": _all_of(partial(past.series, views), lambda: feed.history_threads),
        "range": points,
    }
    return [Route(f"/api/v1/{name}", handler, methods=["GET"]) for name, handler in routes.items()]


async def _in_thread(call: Callable[[], Any], limiter: anyio.CapacityLimiter) -> Response:
    return JSONResponse(await anyio.to_thread.run_sync(call, limiter=limiter), headers=FRESH)


def _all_of(call: Callable[[], Any], limiter: Callable[[], anyio.CapacityLimiter]) -> Callable[[Request], Any]:
    """Return a handler that answers with the complete result of a call."""

    async def give(request: Request) -> Response:
        refuse_unknown(request.query_params, ())
        return await _in_thread(call, limiter())

    return give


def _site(views: Views, feed: Feed) -> Route:
    async def site(request: Request) -> Response:
        refuse_unknown(request.query_params, ("after",))
        behind = place(request.query_params, "after")
        found = await anyio.to_thread.run_sync(views.site, request.path_params["origin"], behind, limiter=feed.threads)
        if found is None:
            raise NOT_FOUND
        return JSONResponse(found, headers=FRESH)

    return Route("/api/v1/sites/{origin}", site, methods=["GET"])


def _described(views: Views) -> bytes:
    """Return the description of everything under /api/v1/."""
    if not views.http_parts:
        return OPENAPI.read_bytes()
    whole = json.loads(OPENAPI.read_bytes())
    for part in views.http_parts:
        described = part.describe()
        whole["paths"].update(described["paths"])
        for kind, entries in described["components"].items():
            whole["components"].setdefault(kind, {}).update(entries)
    return json.dumps(whole).encode()


def _page() -> list[Route]:
    assets = page.load()
    if not assets:
        get_log().info(PAGE_NOT_BUILT, remedy="install nodejs and npm, run scripts/build-web.sh, and start again")

        async def not_built(_request: Request) -> Response:
            return PlainTextResponse(page.NOT_BUILT, headers=FRESH)

        return [Route("/", not_built)]

    def of(asset: page.Asset) -> Callable[[Request], Any]:
        async def give(request: Request) -> Response:
            if request.headers.get("if-none-match") == asset.headers["etag"]:
                return Response(status_code=304, headers=asset.headers)
            if "gzip" in request.headers.get("accept-encoding", ""):
                return Response(asset.packed, headers={**asset.headers, "content-encoding": "gzip"})
            return Response(asset.body, headers=asset.headers)

        return give

    return [Route(path, of(asset)) for path, asset in {**assets, "/": assets["/" + page.INDEX]}.items()]


def _reject(entry: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        key: entry[key] for key in ("id", "sink", "source", "kind", "position", "point", "field", "topic", "reason", "place", "excerpt")
    }
    return {**kept, "at_ms": entry["at_ns"] // 1_000_000}


async def _say(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - the handler is registered for Problem only
    return Response(error.body(), status_code=error.status, headers={**FRESH, **error.headers}, media_type=PROBLEM_TYPE)


async def _say_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException) or error.status_code != METHOD_NOT_ALLOWED:
        return await _say(request, NOT_FOUND)
    allowed = (error.headers or {}).get("Allow", "GET, HEAD")
    return await _say(request, method_not_allowed(allowed))


async def _say_fault(request: Request, error: Exception) -> Response:
    return await _say(request, fault(error))
