"""The HTTP routes: /healthz, /readyz, /metrics. `/api/v1/` is kept free for what comes later."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from iiot_gateway.metrics import render
from iiot_gateway.pipeline.status import StatusView

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def make_app(view: StatusView) -> Starlette:
    """Return the application over a running gateway."""

    async def healthz(_request: Request) -> Response:
        """Say that the process and its event loop live."""
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        """Say whether every sink delivers; 503 names those that do not. Frames are journalled all the same."""
        document = await run_in_threadpool(view.document)
        waiting = {name: sink["state"] for name, sink in document["sinks"].items() if sink["state"] not in ("connected", "removed")}
        return JSONResponse({"ready": not waiting, "waiting": waiting}, status_code=503 if waiting else 200)

    async def metrics(_request: Request) -> Response:
        """Give the ledger, lag, sizes, rates and states to Prometheus."""
        document = await run_in_threadpool(view.document)
        return PlainTextResponse(render(document), media_type=METRICS_TYPE)

    async def nothing_here(_request: Request, _error: Exception) -> Response:
        return JSONResponse({"error": "not found"}, status_code=404)

    return Starlette(
        routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)],
        exception_handlers={404: nothing_here},
    )
