"""The control socket answers every request, also those that nobody should send, and ends nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from iiot_gateway._native import JournalError
from iiot_gateway.compose import build
from iiot_gateway.config.load import load_text
from iiot_gateway.pipeline.control import _reply


@pytest.mark.parametrize(
    "request_text",
    [
        '{"command":"rejects","limit":null}',
        '{"command":"rejects","limit":-1}',
        '{"command":"rejects","limit":0}',
        '{"command":"rejects","limit":true}',
        '{"command":"rejects","limit":1e3}',
        '{"command":"rejects","limit":99999999999999999999}',
        '{"command":"retry","id":[7]}',
        '{"command":"retry","id":"seven"}',
        '{"command":["status"]}',
        '{"command":"unknown"}',
        "[]",
        "null",
        "",
        "[" * 60_000,
    ],
)
def test_a_wrong_request_is_answered_with_what_is_wrong(tmp_path: Path, request_text: str) -> None:
    """Each of them is an answer with a text, none an exception."""
    gateway = build(load_text("", base=tmp_path))
    try:
        reply = _reply(gateway._commands, request_text.encode())
    finally:
        gateway._journal.close()

    assert reply["ok"] is False
    assert reply["error"]
    json.dumps(reply)


@pytest.mark.parametrize("error", [JournalError("disk I/O error"), RuntimeError(), OSError(5, "Input/output error")])
def test_a_command_that_fails_is_answered(error: Exception) -> None:
    """A journal that cannot be read is an answer, not the end of the gateway."""

    def fail(_request: dict[str, Any]) -> None:
        raise error

    reply = _reply({"status": fail}, b'{"command":"status"}')

    assert reply["ok"] is False
    assert reply["error"]
