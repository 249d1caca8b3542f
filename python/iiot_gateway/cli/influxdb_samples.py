"""The data of `influxdb init --sample-data`: a day of two devices that do not exist, as the profile `iotflow` would store it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

DEVICES = (
    {"device_id": "sample-1", "device_name": "Sample, boiler room", "device_type": "esp32", "location": "Boiler room"},
    {"device_id": "sample-2", "device_name": "Sample, roof", "device_type": "esp32", "location": "Roof"},
)
STEP_S = 900
STEPS = 95
"""So that the oldest point is younger than a day, which is the shortest time that a bucket keeps points."""
CURVES = {"temperature": (21.0, 4.0, 2), "humidity": (48.0, -9.0, 2), "battery": (3.9, 0.1, 3)}
"""Field `value` of a measurement: mean, how far it swings within a day, decimals."""


def sample_points(now_s: int) -> Iterator[dict[str, Any]]:
    """Give the points of the last day, the oldest first, as influxdb-client takes them. Times are Unix seconds, `now_s` the newest."""
    for step in range(STEPS, -1, -1):
        at_s = now_s - step * STEP_S
        for number, tags in enumerate(DEVICES):
            for measurement, (mean, swing, decimals) in CURVES.items():
                # Both follow the day; the second one is ahead, and swings further.
                turn = math.sin(2 * math.pi * (at_s % 86_400) / 86_400 + number)
                value = round(mean + swing * (1 + number / 2) * turn, decimals)
                yield {"measurement": measurement, "tags": tags, "fields": {"value": value}, "time": at_s}
            if step % 4 == 0:
                yield {"measurement": "status", "tags": tags, "fields": {"value": "online"}, "time": at_s}


def write_samples(client: Any, bucket: str, org: str, now_s: int) -> int:
    """Write the points; return how many. Raises ApiException."""
    from influxdb_client import WritePrecision
    from influxdb_client.client.write_api import SYNCHRONOUS

    points = list(sample_points(now_s))
    client.write_api(write_options=SYNCHRONOUS).write(bucket=bucket, org=org, record=points, write_precision=WritePrecision.S)
    return len(points)
