"""`run`: runs the gateway with the sources of its configuration."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from iiot_gateway.config.load import load
from iiot_gateway.config.schema import Config
from iiot_gateway.errors import JournalUnusable
from iiot_gateway.registry.section import is_asked_by_devices

if TYPE_CHECKING:
    from iiot_gateway.pipeline.supervisor import Service
    from iiot_gateway.sources.played import Replay


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Take no arguments but --config."""


def run(args: argparse.Namespace) -> int:
    """Run until a signal."""
    return start(load(args.config))


def start(
    config: Config,
    *,
    replay: Replay | None = None,
    once: bool = False,
    timeout_s: float | None = None,
    services: tuple[Service, ...] = (),
) -> int:
    """Run a gateway with a configuration. `replay` calls this too, with a recording as the source."""
    from iiot_gateway import log
    from iiot_gateway._anyio import anyio
    from iiot_gateway._native import JournalError, share_arena
    from iiot_gateway.compose import build

    share_arena()  # this must happen before there are threads
    log.configure(config.log.level, config.log.format)
    if config.http.enabled:
        from iiot_gateway.api.server import http_service

        services = (*services, http_service(config.http))

    async def main() -> int:
        return await build(config, replay=replay, services=services).run(once=once, timeout_s=timeout_s)

    try:
        # uvloop and its parser answer devices in a fifth of the time. Without devices they would only cost three megabytes.
        return anyio.run(main, backend_options={"use_uvloop": is_asked_by_devices(config)})
    except* JournalError as group:
        detail = str(group.exceptions[0])
        failed = JournalUnusable("failed", config.journal_path(), detail)
    finally:
        log.finish()
    raise failed
