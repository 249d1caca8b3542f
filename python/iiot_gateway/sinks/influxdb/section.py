"""The section `[influxdb]`: a database for line protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from iiot_gateway.config.component import MAY_DROP, Faults, KeyPath, SinkSection, place
from iiot_gateway.config.keys import HOUR_S, YEAR_S, OnStart, flag, integer, number, path, secret, text, texts
from iiot_gateway.config.secret import Secret
from iiot_gateway.config.urls import url_faults

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

API_PATH = re.compile(r"/(api/v[23](/.*)?|write|write_lp|query|ping|health)$")
"""The paths of the API of InfluxDB and VictoriaMetrics; a proxy's own path may come before them."""
NO_PAGE = "404 page not found"
"""How InfluxDB 1 before 1.8 answers where InfluxDB 2 has its API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxdbSection(SinkSection):
    """`[influxdb]`, `[influxdb.NAME]`: InfluxDB 2 or 3, VictoriaMetrics, or InfluxDB 1 with api = "v1"."""

    url: str = text("http://localhost:8086", "http:// or https:// of the server.")
    org: str = text("iiot", "Organisation (api v2).")
    bucket: str = text("telemetry", "Bucket; the database with api v1.")
    token: Secret = secret("Preferably set by INFLUXDB_TOKEN or token_file.")
    token_file: str = path("", "A file that holds the token and nothing else; `influxdb init` writes one.", made_by="influxdb init")
    read_token: Secret = secret(
        "A token that may read the bucket; with it the device API asks this database. Preferably set by read_token_file."
    )
    read_token_file: str = path("", "A file that holds that token and nothing else; `influxdb init` writes one.", made_by="influxdb init")
    api: Literal["v2", "v1"] = text("v2", "v2 posts to /api/v2/write, v1 to /write?db=BUCKET.", "v2", "v1")
    batch_lines: int = integer(5000, "Lines per request; a few more, so that a frame stays whole.", low=1, high=100000)
    batch_interval_ms: int = integer(1000, "How long the first line of a request waits for more.", low=0, high=60000)
    timeout_s: float = number(30.0, "A request that takes longer is repeated.", low=0.1, high=HOUR_S)
    suspect_after_s: float = number(
        600.0,
        "A 5xx that lasts this long may be the fault of a line; "
        "the line is rejected if the database accepts another one of its measurement.",
        low=0,
        high=YEAR_S,
    )
    integers: Literal["typed", "float"] = text(
        "typed", "float writes integers as floats, for a bucket in which Telegraf has written floats under these names.", "typed", "float"
    )
    gzip: bool = flag(True, "Compress requests.")
    ca_file: str = path("", "Certificates (PEM) that the server's is checked against; empty takes the system's.")
    on_start: OnStart = text("wait", "If the server is not available at the start: wait for it, or fail.", "wait", "fail")
    profiles: tuple[str, ...] = texts("Only frames of these profiles; empty takes all.")
    may_drop: bool = flag(False, MAY_DROP)


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    for name, section in config.of(InfluxdbSection).items():
        path = place(name)
        yield from url_faults((*path, "url"), section.url, ("http", "https"))
        if not section.bucket:
            yield (*path, "bucket"), "must not be empty"
        if section.ca_file and not Path(section.ca_file).is_file():
            yield (*path, "ca_file"), f"there is no file {section.ca_file}"


def notes(config: Config) -> Iterator[str]:
    """Yield a sentence on each URL that already ends with the path that the gateway adds."""
    for name, section in config.of(InfluxdbSection).items():
        base = section.url.rstrip("/")
        if found := API_PATH.search(urlsplit(base).path):
            right = base.removesuffix(found[0])
            yield f"{name}.url ends with a path of the API, {found[0]}, to which the gateway adds its own: take {right}"
