"""Connections of devices: TLS and its renewal, long bodies, and requests that are slow or cut off."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from fleets import POINT, Fleet
from servers import until

pytestmark = [pytest.mark.native, pytest.mark.slow]


def test_a_long_body_leaves_its_connection_usable(fleet: Callable[..., Fleet]) -> None:
    """What bounds the head of a request does not count the body before it."""
    gateway = fleet()
    key = gateway.add("one")
    connection = gateway.connect()
    for number in range(3):
        points = [{**POINT, "fields": {"value": number}, "tags": {"n": f"{each:0100}"}} for each in range(5000)]
        status, answer = gateway.call("POST", "/api/v1/influxdb/telemetry/batch", key, {"points": points}, connection)
        assert (status, answer["count"]) == (201, 5000)
    connection.close()


def test_without_tls_nobody_writes_from_elsewhere(fleet: Callable[..., Fleet]) -> None:
    """An address that others reach needs TLS, a proxy or an explicit word."""
    open_to_all = 'listen = "0.0.0.0:{port}"\ntoken = "a-token-of-the-tests"\n'
    refusing = fleet(http=open_to_all)
    key = refusing.add("one")
    allowing = fleet(http=open_to_all + 'plaintext = "allow"\n')
    other = allowing.add("one")

    status, problem = refusing.api("POST", "influxdb/telemetry", key, POINT)
    assert (status, problem["error"]) == (403, "tls_needed")
    assert refusing.api("GET", "devices/status", key)[0] == 200
    assert allowing.api("POST", "influxdb/telemetry", other, POINT)[0] == 201
    assert "plaintext is allow" in allowing.log()


def test_a_renewed_certificate_is_taken_over_while_devices_send(fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    """One that does not fit its key leaves the old one in place."""
    authority = trustme.CA()
    files = {"cert": tmp_path / "server.crt", "key": tmp_path / "server.key"}

    def write(authority: trustme.CA) -> None:
        issued = authority.issue_cert("localhost", "127.0.0.1")
        for part, pem in (("key", issued.private_key_pem), ("cert", issued.cert_chain_pems[0])):
            pem.write_to_path(files[part])

    write(authority)
    gateway = fleet(start=False, http=f'tls_cert_file = "{files["cert"]}"\ntls_key_file = "{files["key"]}"\n')
    import ssl

    gateway.context = ssl.create_default_context()
    authority.configure_trust(gateway.context)
    gateway.begin()
    key = gateway.add("one")
    assert gateway.api("POST", "influxdb/telemetry", key, POINT)[0] == 201

    files["cert"].write_text("no certificate")
    until(lambda: "certificate_unusable" in gateway.log(), "the word about the certificate")
    assert gateway.api("POST", "influxdb/telemetry", key, POINT)[0] == 201
    renewed = trustme.CA()
    write(renewed)
    until(lambda: "certificate_renewed" in gateway.log(), "the renewed certificate")
    gateway.context = ssl.create_default_context()
    renewed.configure_trust(gateway.context)
    assert gateway.api("POST", "influxdb/telemetry", key, POINT)[0] == 201


def test_slow_and_cut_requests_hold_nobody_up(shared: tuple[Fleet, str]) -> None:
    """A body that does not come, one without an end, and a wrong length."""
    gateway, key = shared
    head = f"POST /api/v1/influxdb/telemetry HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n".encode()
    slow = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(50)]
    for connection in slow:
        connection.sendall(head + b"Content-Length: 100\r\n\r\n{")
    endless = socket.create_connection(("127.0.0.1", gateway.port))
    endless.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
    answer = b""
    try:
        for _ in range(200):
            endless.sendall(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
    except OSError:
        pass
    try:
        answer = endless.recv(4096)
    except ConnectionResetError:
        answer = b" 413 "

    assert b" 413 " in answer
    assert gateway.api("POST", "influxdb/telemetry", key, POINT)[0] == 201
    for connection in (*slow, endless):
        connection.close()
    assert gateway.api("POST", "influxdb/telemetry", key, POINT)[0] == 201
