"""What posts are compared with: the gateway's server and keys, and a handler that throws the body away. bare_http.py PORT REGISTRY."""

from __future__ import annotations

import sys

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from iiot_gateway.api.server import BoundedProtocol
from iiot_gateway.device_api.door import Door
from iiot_gateway.registry.file import RegistryFile
from iiot_gateway.registry.store import Registry


def main(port: int, registry: str) -> None:
    """Serve until ended."""
    door = Door(Registry(RegistryFile(registry)))

    async def take(request: Request) -> Response:
        caller = await door.caller(request)
        await request.body()
        return JSONResponse({"device_id": caller.own_device}, 201)

    app = Starlette(routes=[Route("/api/v1/influxdb/telemetry", take, methods=["POST"])])
    protocol = type("Protocol", (BoundedProtocol,), {"max_connections": 2000})
    config = uvicorn.Config(
        app, port=port, http=protocol, ws="none", log_config=None, access_log=False, lifespan="off", server_header=False
    )
    anyio.run(uvicorn.Server(config).serve, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
