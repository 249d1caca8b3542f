"""The one sentence about the gateway: whether data flows, and where it stops."""

from __future__ import annotations

from typing import Any

import pytest

from iiot_gateway.pipeline.verdict import verdict

NOW_S = 1_700_000_000.0


def source(**changes: Any) -> dict[str, Any]:
    """Return a source that gave a document just now."""
    return {"state": "running", "detail": "", "last_document_at": NOW_S - 1, **changes}


def sink(**changes: Any) -> dict[str, Any]:
    """Return a sink that has everything."""
    return {"state": "connected", "last_error": None, "queued": 0, "oldest_queued_at_ms": None, "since": NOW_S - 100, **changes}


def judge(sources: dict[str, Any], sinks: dict[str, Any], **journal: Any) -> dict[str, Any]:
    """Judge a gateway."""
    return verdict({"source": sources, "sinks": sinks, "journal": {"stalled": None, "hours_left": 31.0, **journal}}, NOW_S)


def test_data_flows_when_every_part_does_its_work() -> None:
    """All parts are named."""
    found = judge({"serial": source()}, {"mqtt": sink(), "history": sink(), "old": sink(state="removed")})

    assert found == {"state": "flowing", "text": "Frames come from serial and reach mqtt and history.", "stops": []}


@pytest.mark.parametrize("state", ["running", "subscribed", "listening"])
def test_whatever_a_source_calls_its_work_it_is_none_that_stops(state: str) -> None:
    """A serial port is read, a broker's topics are subscribed to, devices are listened to."""
    assert judge({"devices": source(state=state, detail="a word")}, {"mqtt": sink()})["state"] == "flowing"


def test_a_sink_that_is_away_holds_up_and_its_frames_are_safe() -> None:
    """The sentence names the sink, the reason, what waits and for how long there is room."""
    found = judge(
        {"serial": source()}, {"mqtt": sink(state="disconnected", last_error="connection refused", queued=1234), "history": sink()}
    )

    text = (
        "mqtt takes nothing: connection refused. 1,234 frames wait for it in the journal; at the present rate there is room for 31 hours."
    )
    assert found == {"state": "held", "text": text, "stops": [{"kind": "sink", "name": "mqtt", "text": text}]}


def test_a_sink_that_connects_is_given_some_seconds() -> None:
    """A start is no fault; one that takes long is."""
    fresh, long = sink(state="connecting", since=NOW_S - 2), sink(state="connecting", since=NOW_S - 60)

    assert judge({"serial": source()}, {"mqtt": fresh})["state"] == "flowing"
    assert judge({"serial": source()}, {"mqtt": long})["state"] == "held"


def test_a_sink_that_lags_is_said_to_be_behind() -> None:
    """It is connected, and yet what it has is old."""
    found = judge({"serial": source()}, {"influxdb": sink(queued=9, oldest_queued_at_ms=(NOW_S - 600) * 1000)})

    assert (found["state"], found["text"].partition(".")[0]) == ("held", "influxdb is 10 minutes behind")


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        ({}, "No source is configured: add one to the configuration, [serial] for example."),
        ({"serial": source(state="no_port", detail="/dev/ttyACM0 is not there")}, "serial gives nothing: /dev/ttyACM0 is not there."),
        ({"probe_rs": source(state="rtt_silent")}, "probe_rs gives nothing (rtt_silent)."),
    ],
)
def test_nothing_comes_in_without_a_source_that_works(sources: dict[str, Any], text: str) -> None:
    """The reason is the source's own."""
    found = judge(sources, {"mqtt": sink()})

    assert (found["state"], found["text"]) == ("stopped", text)


def test_one_of_two_sources_that_fails_holds_up_its_own() -> None:
    """The other one's data flows on."""
    found = judge({"a": source(state="port_busy"), "b": source()}, {"mqtt": sink()})

    assert (found["state"], found["text"]) == ("held", "a gives nothing (port_busy).")


def test_a_disk_that_takes_nothing_stops_everything() -> None:
    """The journal comes before sinks and sources."""
    found = judge({"serial": source()}, {"mqtt": sink(state="disconnected")}, stalled="the disk is full")

    assert (found["state"], found["text"]) == ("stopped", "The journal takes nothing: the disk is full.")
    assert [stop["kind"] for stop in found["stops"]] == ["journal", "sink"]


@pytest.mark.parametrize(
    ("quiet", "text"),
    [
        ({"last_document_at": None}, "serial runs; no telemetry has come yet."),
        ({"last_document_at": NOW_S - 600}, "serial runs; no telemetry has come for 10 minutes."),
        ({"state": "finished"}, "serial was played to its end."),
    ],
)
def test_a_quiet_source_is_waited_for(quiet: dict[str, Any], text: str) -> None:
    """Nothing is wrong, and nothing comes."""
    found = judge({"serial": source(**quiet)}, {"mqtt": sink()})

    assert (found["state"], found["text"], found["stops"]) == ("waiting", text, [])
