"""What a profile names as no telemetry is counted by its name, beside the ledger: no frame, no reject, and nothing published."""

from __future__ import annotations

import json
from pathlib import Path

from gateways import Gateway, assert_balanced

STATUS = {
    "deviceName": "door",
    "devEUI": "01",
    "margin": 17,
    "externalPowerSource": False,
    "batteryLevelUnavailable": False,
    "batteryLevel": 80,
}
EVENTS = [
    {"deviceName": "door", "devEUI": "01", "rxInfo": [{"rssi": -90, "loRaSNR": 4}], "fCnt": 1, "data": "0a", "object": {"open": True}},
    STATUS,
    {**STATUS, "batteryLevelUnavailable": True, "batteryLevel": 0},
    {"deviceName": "door", "devEUI": "01", "devAddr": "0011", "rxInfo": [{"rssi": -90, "loRaSNR": 4}], "dr": 5},
    {"deviceName": "door", "devEUI": "01", "acknowledged": False, "fCnt": 2},
    {"deviceName": "door", "devEUI": "01", "acknowledged": True, "fCnt": 3},
    {"deviceName": "door", "gatewayId": "0a", "txInfo": {"frequency": 868100000}},
    {"deviceName": "door", "level": "ERROR", "code": "OTAA", "description": "DevNonce was used before"},
    {"what": "else"},
]


def test_events_without_telemetry_are_counted_by_name(gateway: Gateway, tmp_path: Path) -> None:
    """Three frames, one reject, five ignored, which `status` and `decode` name; a second run of the gateway goes on counting."""
    gateway.configure('[gateway]\nprofile = "chirpstack"\n[history]\npath = "history.db"\n')
    log = tmp_path / "events.ndjson"
    log.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))

    decoded = gateway.run("decode", str(log))
    assert "ignored, as the profile says: 2 ack, 1 join, 1 log, 1 txack" in decoded.stderr
    assert decoded.stdout.count("reject at byte") == 1
    assert decoded.stdout.count("battery_level,") == 1

    replayed = gateway.run("replay", str(log), "--speed", "max", "--once")
    assert replayed.returncode == 0, replayed.stderr
    status = gateway.status()
    intake = status["intake"]
    assert (intake["received"], intake["accepted"], intake["rejected"], intake["ignored"]) == (4, 3, 1, 5)
    assert intake["ignored_kinds"] == {"ack": 2, "join": 1, "log": 1, "txack": 1}
    assert_balanced(status)
    assert "ignored   2 ack, 1 join, 1 log, 1 txack" in gateway.run("status").stdout

    assert gateway.run("replay", str(log), "--speed", "max", "--once", "--from-start").returncode == 0
    assert gateway.status()["intake"]["ignored"] == 10
