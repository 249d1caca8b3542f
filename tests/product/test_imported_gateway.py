"""A gateway that runs on what `import telegraf` wrote: broker, journal, database and publishes, over a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from test_mqtt_consumer import Publisher, intake, until_taken

from gateways import Gateway, assert_balanced
from iiot_gateway.cli.main import main
from servers import Mosquitto, VictoriaMetrics, until
from subscribers import Subscriber

pytestmark = pytest.mark.slow

TELEGRAF = """
[global_tags]
  facility = "main"
[agent]
  hostname = "old-machine"
[[inputs.mqtt_consumer]]
  servers = ["{broker}"]
  topics = ["plant/+/state"]
  qos = 1
  client_id = "telegraf"
  persistent_session = true
  data_format = "json"
  tag_keys = ["id", "pump_*"]
  json_time_key = "at"
  json_time_format = "unix"
  name_override = "state"
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "plant/+/state"
    tags = "_/line/_"
[[inputs.mqtt_consumer]]
  servers = ["{broker}"]
  topics = ["plant/+/level"]
  data_format = "value"
  data_type = "float"
  name_override = "level"
[[outputs.influxdb_v2]]
  urls = ["{database}"]
  token = "any"
  organization = "o"
  bucket = "b"
[[outputs.mqtt]]
  servers = ["{broker}"]
  topic_prefix = "values"
"""
COUNT = 1_200
SECOND = 1_764_400_000


def series(database: VictoriaMetrics, name: str) -> dict[tuple[tuple[str, str], ...], list[Any]]:
    """Return the values of a metric in the order of their times, by their tags."""
    found = {}
    for line in database.export(f'{{__name__="{name}"}}').splitlines():
        document = json.loads(line)
        tags = {key: value for key, value in document["metric"].items() if key not in ("__name__", "db")}
        found[tuple(sorted(tags.items()))] = [
            value for _time, value in sorted(zip(document["timestamps"], document["values"], strict=True))
        ]
    return found


def test_an_imported_gateway_does_the_work_of_telegraf(
    gateway: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics, subscribe: Callable[..., Subscriber]
) -> None:
    """Tags of documents make series, in the database and in times; nested values are fields; a kill loses and doubles nothing."""
    conf = gateway.folder / "telegraf.conf"
    conf.write_text(TELEGRAF.replace("{broker}", mosquitto.url.replace("mqtt:", "tcp:")).replace("{database}", victoria_metrics.url))
    assert main(["import", "telegraf", str(conf), "--out", str(gateway.folder)]) == 0
    gateway.configure(gateway.config.read_text())
    assert gateway.run("check").returncode == 0
    published = subscribe(mosquitto, "values/#")
    gateway.start("run")
    until(lambda: '"state": "subscribed"' in gateway.log_path.read_text(), "the subscription")
    publisher = Publisher(mosquitto.port, qos=1)

    for number in range(COUNT):
        document = {"id": f"d{number % 3}", "pump": {"no": number % 2}, "at": SECOND + number // 6, "n": {"v": number, "list": [number]}}
        publisher.send(json.dumps(document), f"plant/l{number % 2}/state")
        if number == COUNT // 2:
            until(lambda: intake(gateway).get("accepted", 0) > 0, "progress", 60.0)
            gateway.kill9()
            gateway.start("run")
    publisher.send("27.60", "plant/l0/level").wait_for_publish(60)
    until_taken(gateway, accepted=COUNT + 1, rejected=0)
    published.wait(lambda seen: seen.last("values/level/value") == "27.60", "the level")
    assert gateway.stop() == 0
    publisher.close()

    assert_balanced(gateway.status())
    values = series(victoria_metrics, "state_n_v")
    common = {"facility": "main", "host": "old-machine"}
    for number in range(6):
        tags = {"id": f"d{number % 3}", "pump_no": str(number % 2), "line": f"l{number % 2}", "topic": f"plant/l{number % 2}/state"}
        assert values.pop(tuple(sorted({**common, **tags}.items()))) == list(range(number, COUNT, 6))
    assert not values
    assert sum(map(len, series(victoria_metrics, "state_n_list_0").values())) == COUNT
    assert published.values("values/state/n_v")
