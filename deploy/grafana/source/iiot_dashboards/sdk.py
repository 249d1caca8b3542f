"""What we use of grafana-foundation-sdk, the data sources, and the queries that the SDK has no classes for."""

from __future__ import annotations

import warnings
from typing import Any

with warnings.catch_warnings():
    # It warns of this form of dashboards wherever it is imported. Grafana's file provisioning reads it in every version from 10 on.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import barchart as barchart_
    from grafana_foundation_sdk.builders import bargauge, common, dashboard, gauge, prometheus, stat, table, text, timeseries
    from grafana_foundation_sdk.cog import builder, variants
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common as common_models
    from grafana_foundation_sdk.models import dashboard as models
    from grafana_foundation_sdk.models import prometheus as prometheus_models

barchart = barchart_

__all__ = [
    "DATA_SOURCES",
    "INFLUX",
    "PROMETHEUS",
    "SQL",
    "Flux",
    "Sql",
    "barchart",
    "bargauge",
    "common",
    "common_models",
    "dashboard",
    "decode",
    "encode",
    "gauge",
    "models",
    "promql",
    "source",
    "stat",
    "table",
    "text",
    "timeseries",
]

INFLUX, SQL, PROMETHEUS = "influx", "timescale", "prom"
"""The uids of the data sources, which are also the names of the variables that choose one."""
DATA_SOURCES = {
    INFLUX: ("influxdb", "InfluxDB"),
    SQL: ("grafana-postgresql-datasource", "TimescaleDB Factory Metrics"),
    PROMETHEUS: ("prometheus", "Prometheus"),
}
"""Type and name of each."""


def encode(made: models.Dashboard) -> str:
    """Return a dashboard as JSON."""
    return JSONEncoder(sort_keys=True).encode(made)


def decode(made: dict[str, Any]) -> models.Dashboard:
    """Read a dashboard back."""
    return models.Dashboard.from_json(made)


def source(uid: str) -> common_models.DataSourceRef:
    """Name a data source by its variable, so that a dashboard also finds the one of a Grafana that was there before."""
    return common_models.DataSourceRef(type_val=DATA_SOURCES[uid][0], uid=f"${{{uid}}}")


class _Query(variants.Dataquery, builder.Builder[variants.Dataquery]):
    """A query, and the builder of itself."""

    source_uid: str

    def __init__(self, query: str, ref_id: str = "A") -> None:
        self.query = query
        self.ref_id = ref_id
        self.datasource = source(self.source_uid)

    def build(self) -> variants.Dataquery:
        """Return itself."""
        return self

    def to_json(self) -> dict[str, Any]:
        """Return what Grafana stores."""
        return {"refId": self.ref_id, "datasource": self.datasource.to_json()}


class Flux(_Query):
    """A query in Flux."""

    source_uid = INFLUX

    def to_json(self) -> dict[str, Any]:
        """Return what Grafana stores."""
        return {**super().to_json(), "query": self.query}


class Sql(_Query):
    """A query in SQL: `table`, or `time_series` for rows with `time`, a text for the series' name, and a value."""

    source_uid = SQL

    def __init__(self, query: str, ref_id: str = "A", *, form: str = "table") -> None:
        super().__init__(query, ref_id)
        self.form = form

    def to_json(self) -> dict[str, Any]:
        """Return what Grafana stores."""
        return {**super().to_json(), "rawQuery": True, "rawSql": self.query, "format": self.form, "editorMode": "code"}


def promql(query: str, legend: str = "__auto", ref_id: str = "A", *, instant: bool = False, as_table: bool = False) -> prometheus.Dataquery:
    """Return a query in PromQL."""
    made = prometheus.Dataquery().ref_id(ref_id).datasource(source(PROMETHEUS)).expr(query).legend_format(legend)
    made = made.editor_mode(prometheus_models.QueryEditorMode.CODE)
    if as_table:
        made = made.format(prometheus_models.PromQueryFormat.TABLE)
    return made.instant() if instant or as_table else made.range()
