"""The data of `influxdb init --sample-data`: a day of two invented devices, in the form in which the profile `iotflow` stores it."""

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
"""The oldest point must be younger than a day, which is the shortest retention of a bucket."""
CURVES = {"temperature": (21.0, 4.0, 2), "humidity": (48.0, -9.0, 2), "battery": (3.9, 0.1, 3)}
"""The field `value` of each measurement: mean, daily swing, decimals."""


def sample_points(now_s: int) -> Iterator[dict[str, Any]]:
    """Yield the points of the last day for influxdb-client, the oldest first. Times are Unix seconds; `now_s` is the newest."""
    for step in range(STEPS, -1, -1):
        at_s = now_s - step * STEP_S
        for number, tags in enumerate(DEVICES):
            for measurement, (mean, swing, decimals) in CURVES.items():
                # Both devices have a daily curve; that of the second is ahead, and swings further.
                turn = math.sin(2 * math.pi * (at_s % 86_400) / 86_400 + number)
                value = round(mean + swing * (1 + number / 2) * turn, decimals)
                yield {"measurement": measurement, "tags": tags, "fields": {"value": value}, "time": at_s}
            if step % 4 == 0:
                yield {"measurement": "status", "tags": tags, "fields": {"value": "online"}, "time": at_s}


def write_samples(client: Any, bucket: str, org: str, now_s: int) -> int:
    """Write the points, and return their number. Raises ApiException."""
    from influxdb_client import WritePrecision
    from influxdb_client.client.write_api import SYNCHRONOUS

    points = list(sample_points(now_s))
    client.write_api(write_options=SYNCHRONOUS).write(bucket=bucket, org=org, record=points, write_precision=WritePrecision.S)
    return len(points)
