"""`record FILE`: records a live source's raw bytes, or messages with topics, with their arrival times, in a file for `replay`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import assert_never

import anyio

from iiot_gateway import log
from iiot_gateway.cli.durations import seconds
from iiot_gateway.components import ByteSource, MessageSource
from iiot_gateway.config.load import load
from iiot_gateway.errors import ConfigError, Fault, GatewayError
from iiot_gateway.sources.base import Source
from iiot_gateway.sources.recording import MessageWriter, RecordingWriter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file and the source."""
    parser.add_argument("file", metavar="FILE", help="the recording to write; it must not exist")
    parser.add_argument("--source", metavar="NAME", help="which source, if the configuration has several")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after this time; without it, Ctrl-C ends it")
    parser.add_argument("--force", action="store_true", help="overwrite the file")


def run(args: argparse.Namespace) -> int:
    """Record until Ctrl-C."""
    from iiot_gateway.compose import source_component

    config = load(args.config)
    log.configure(config.log.level, config.log.format)
    names = list(config.sources())
    wanted = args.source or (names[0] if len(names) == 1 else None)
    if not names:
        raise ConfigError([Fault(args.config or "config.toml", 0, "", "no source: set gateway.chip, or add [serial] with a port")])
    if wanted not in names:
        raise GatewayError(f"--source must be one of {', '.join(names)}")
    try:
        with open(args.file, "wb" if args.force else "xb") as file:
            section = config.sources()[wanted]
            component = source_component(config, section)
            writer: RecordingWriter | MessageWriter
            match component:
                case ByteSource():
                    writer = RecordingWriter(file, wanted)
                    source = component.build(wanted, section, writer)
                case MessageSource():
                    writer = MessageWriter(file, wanted)
                    source = component.record(config, wanted, section, writer)
                case _:
                    assert_never(component)
            anyio.run(_record, source, args.seconds)
    except FileExistsError:
        raise GatewayError(f"{args.file} exists; --force overwrites it") from None
    except OSError as error:
        raise GatewayError(f"{args.file} cannot be written: {error.strerror}") from error
    finally:
        log.finish()
    if not writer.bytes:
        # An empty file is no recording, and it would prevent the next attempt.
        if os.path.isfile(args.file):
            os.unlink(args.file)
        raise GatewayError(f"nothing was recorded: {_state(source)}")
    print(f"{writer.bytes} bytes in {writer.chunks} chunks in {args.file}; {_state(source)}", file=sys.stderr)
    return 0


def _state(source: Source) -> str:
    """Return the state of the source at the end of the recording, in words."""
    status = source.status
    return f"{source.name} was {status.state}" + (f" at the end ({status.detail})" if status.detail else " at the end")


async def _record(source: Source, limit_s: float | None) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.run)
        with anyio.move_on_after(limit_s), anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _number in signals:
                break
        tasks.cancel_scope.cancel()
