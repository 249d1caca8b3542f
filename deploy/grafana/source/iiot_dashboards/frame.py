"""What every dashboard has: uid, variables, links, annotations, time zone, refresh, and a grid that places panels in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from iiot_dashboards.sdk import DATA_SOURCES, PROMETHEUS, common_models, dashboard, models, promql, source

TAG = "iiot"
WIDTH = 24
REFRESH = "10s"
ALL = "$__all"


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice of tags or columns, read from a database; All puts `all_value` into queries, so that it also takes what comes later."""

    name: str
    label: str
    uid: str
    query: str
    all_value: str = ""
    multi: bool = True
    first: str = ""
    """What is chosen at first where All has no meaning."""

    def made(self) -> dashboard.QueryVariable:
        """Return it as the SDK has it."""
        made = (
            dashboard.QueryVariable(self.name)
            .label(self.label)
            .datasource(source(self.uid))
            .query(_variable_query(self.uid, self.query))
            # Not with the time range: a range that ends now changes with every refresh.
            .refresh(models.VariableRefresh.ON_DASHBOARD_LOAD)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(self.multi)
            .include_all(not self.first)
            .current(models.VariableOption(text=self.first or "All", value=self.first or ALL))
        )
        return made if self.first else made.all_value(self.all_value)


def _variable_query(uid: str, query: str) -> str | dict[str, object]:
    """Return a variable's query in the form of its data source: Flux needs an object, the others take the text."""
    kind, _name = DATA_SOURCES[uid]
    if kind == "influxdb":
        return {"refId": "variable", "query": query}
    return query


@dataclass(frozen=True, slots=True)
class Annotation:
    """Events that are drawn into every panel with a time axis."""

    name: str
    colour: str
    target: Any
    uid: str
    title: str = ""

    def made(self) -> dashboard.AnnotationQuery:
        """Return it as the SDK has it."""
        made = dashboard.AnnotationQuery().name(self.name).icon_color(self.colour).enable(True).datasource(source(self.uid))
        made = made.target(self.target)
        return made.title_format(self.title) if self.title else made


RESTARTS = Annotation(
    "Gateway restarts",
    "orange",
    promql("resets(iiot_gateway_uptime_seconds[1m]) > 0", "restart", "restarts"),
    PROMETHEUS,
    "Gateway started",
)
VERSIONS = Annotation(
    "New versions",
    "purple",
    promql("iiot_gateway_info unless iiot_gateway_info offset 1m", "{{version}}", "versions"),
    PROMETHEUS,
    "Gateway {{version}}",
)


class Board:
    """A dashboard under construction."""

    def __init__(
        self,
        uid: str,
        title: str,
        text: str,
        *,
        sources: Sequence[str],
        variables: Sequence[Variable] = (),
        annotations: Sequence[Annotation] = (),
        since: str = "now-24h",
    ) -> None:
        self.uid = uid
        self._ids = 0
        self._by_title: dict[str, int] = {}
        self._x = self._y = self._row_height = 0
        self._made = (
            dashboard.Dashboard(title)
            .uid(uid)
            .description(text)
            .tags([TAG])
            .editable()
            .time(since, "now")
            .timezone("")
            .refresh(REFRESH)
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .annotation(_of_grafana_itself())
            .link(
                dashboard.DashboardLink("IIoT")
                .type(models.DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .as_dropdown(True)
                .keep_time(True)
                .include_vars(True)
            )
        )
        for used in dict.fromkeys((*sources, PROMETHEUS)):
            kind, name = DATA_SOURCES[used]
            chosen = dashboard.DatasourceVariable(used).label(name).type(kind).current(models.VariableOption(text=name, value=used))
            self._made.with_variable(chosen if used in sources else chosen.hide(models.VariableHide.HIDE_VARIABLE))
        for variable in variables:
            self._made.with_variable(variable.made())
        for annotation in (RESTARTS, VERSIONS, *annotations):
            self._made.annotation(annotation.made())

    def add(self, panel: Any, width: int, height: int) -> None:
        """Place a panel behind the one before, in a new row where it does not fit."""
        if self._x + width > WIDTH:
            self._break()
        self._ids += 1
        self._by_title[panel.build().title] = self._ids
        first = panel.build().targets[0]
        panel.id(self._ids).grid_pos(models.GridPos(x=self._x, y=self._y, w=width, h=height)).datasource(first.datasource)
        self._made.with_panel(panel)
        self._x += width
        self._row_height = max(self._row_height, height)

    def row(self, title: str) -> None:
        """Begin a part with a heading."""
        self._break()
        self._ids += 1
        self._made.with_row(dashboard.Row(title).id(self._ids).grid_pos(models.GridPos(x=0, y=self._y, w=WIDTH, h=1)))
        self._y += 1

    def _break(self) -> None:
        self._x, self._y, self._row_height = 0, self._y + self._row_height, 0

    def id_of(self, title: str) -> int:
        """Return the number of a panel. Raises KeyError."""
        return self._by_title[title]

    def build(self) -> models.Dashboard:
        """Return it."""
        return self._made.build()


def _of_grafana_itself() -> dashboard.AnnotationQuery:
    """Return the annotations that every dashboard has, which vanish where a dashboard has others and does not name them."""
    return (
        dashboard.AnnotationQuery()
        .name("Annotations & Alerts")
        .datasource(common_models.DataSourceRef(type_val="grafana", uid="-- Grafana --"))
        .built_in(1)
        .enable(True)
        .hide(True)
        .icon_color("rgba(0, 211, 255, 1)")
        .type("dashboard")
    )
