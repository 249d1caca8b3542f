"""How panels look: one function for each kind, with the units, thresholds and colours that all dashboards share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iiot_dashboards.sdk import (
    barchart,
    bargauge,
    common,
    common_models,
    dashboard,
    gauge,
    models,
    stat,
    table,
    timeseries,
)

Steps = Sequence[tuple[float | None, str]]
"""From which value on which colour; None is the lowest."""

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"
PLAIN: Steps = ((None, BLUE),)
PERCENT_FULL: Steps = ((None, RED), (20, YELLOW), (50, GREEN))
MOTOR_C: Steps = ((None, GREEN), (60, YELLOW), (80, RED))
VIBRATION_RMS: Steps = ((None, GREEN), (0.1, YELLOW), (0.15, RED))
HEALTH: Steps = ((None, RED), (60, YELLOW), (80, GREEN))
AGE_S: Steps = ((None, GREEN), (300, YELLOW), (900, RED))
"""Yellow when a value is five minutes old, red from a quarter of an hour on."""
CLIMATE_C: Steps = ((None, BLUE), (5, GREEN), (30, YELLOW), (40, RED))
HUMIDITY: Steps = ((None, ORANGE), (20, YELLOW), (30, GREEN), (60, YELLOW), (80, RED))
LAG_S: Steps = ((None, GREEN), (60, YELLOW), (300, RED))
HOURS_LEFT: Steps = ((None, RED), (6, YELLOW), (24, GREEN))
BATTERY_MV: Steps = ((None, RED), (2900, GREEN))
RSSI_DBM: Steps = ((None, RED), (-120, ORANGE), (-110, YELLOW), (-100, GREEN))
SNR_DB: Steps = ((None, RED), (-15, ORANGE), (-10, YELLOW), (0, GREEN))
ERROR_RATE: Steps = ((None, GREEN), (5, RED))
GOOD_BAD: Steps = ((None, GREEN), (1, RED))
BAD_GOOD: Steps = ((None, RED), (1, GREEN))

LINE_GAP_MS = 900_000
"""A hole of this length is drawn as one."""
NAME = "${__data.fields.name}"
"""Of a panel that shows each row of a table: its column `name`."""


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Return steps as the SDK has them."""
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=colour) for value, colour in steps])
    )


def _by(mode: models.FieldColorModeId) -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(mode)


BY_STEPS, BY_SERIES = models.FieldColorModeId.THRESHOLDS, models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME


def properties(**values: Any) -> list[models.DynamicConfigValue]:
    """Return properties of a field for an override; `custom_width` is `custom.width`."""
    return [models.DynamicConfigValue(id_val=name.replace("custom_", "custom."), value=value) for name, value in values.items()]


DOSING_ERRORS = properties(
    thresholds=thresholds(GOOD_BAD).build().to_json(), color={"mode": "thresholds"}, custom_cellOptions={"type": "color-text"}
)
"""A count of which every one is bad, in a table."""


def words(nothing: str, one: str) -> list[Any]:
    """Show words instead of 0 and 1."""
    texts = {"0": models.ValueMappingResult(text=nothing), "1": models.ValueMappingResult(text=one)}
    return [models.ValueMap(options=texts)]


def _of_each_row(fields: str) -> common.ReduceDataOptions:
    return common.ReduceDataOptions().values(True).calcs(["lastNotNull"]).fields(f"/^{fields}$/")


def _newest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields("")


def current(title: str, value: Any, age: Any, *, unit: str, steps: Steps, decimals: int = 1, text: str = "") -> stat.Panel:
    """Show the newest value and, beside it, how old it is: the queries A and B, each with one number."""
    return (
        stat.Panel()
        .title(title)
        .description(text)
        .with_target(value)
        .with_target(age)
        .unit(unit)
        .decimals(decimals)
        .thresholds(thresholds(steps))
        .color_scheme(_by(BY_STEPS))
        .reduce_options(_newest())
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .text_mode(common_models.BigValueTextMode.VALUE_AND_NAME)
        .orientation(common_models.VizOrientation.VERTICAL)
        .no_value("no data")
        .override_by_query("A", properties(displayName="now"))
        .override_by_query("B", properties(displayName="age", unit="s", decimals=0, thresholds=thresholds(AGE_S).build().to_json()))
    )


def figures(
    title: str, *targets: Any, unit: str = "short", steps: Steps = PLAIN, decimals: int | None = None, text: str = ""
) -> stat.Panel:
    """Show a big number for each series."""
    made = (
        stat.Panel()
        .title(title)
        .description(text)
        .targets(list(targets))
        .unit(unit)
        .thresholds(thresholds(steps))
        .color_scheme(_by(BY_STEPS))
        .reduce_options(_newest())
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .no_value("no data")
    )
    return made if decimals is None else made.decimals(decimals)


def figure_of_rows(
    title: str, target: Any, *, field: str, unit: str, steps: Steps = PLAIN, decimals: int = 0, text: str = ""
) -> stat.Panel:
    """Show a number for each row of a table, under its column `name`."""
    made = figures(title, target, unit=unit, steps=steps, decimals=decimals, text=text)
    return made.reduce_options(_of_each_row(field)).text_mode(common_models.BigValueTextMode.VALUE_AND_NAME).display_name(NAME)


def gauges(title: str, target: Any, *, field: str, unit: str, steps: Steps, text: str = "") -> gauge.Panel:
    """Show a gauge from 0 to 100 for each row of a table, under its column `name`."""
    return (
        gauge.Panel()
        .title(title)
        .description(text)
        .with_target(target)
        .unit(unit)
        .min(0)
        .max(100)
        .decimals(0)
        .thresholds(thresholds(steps))
        .color_scheme(_by(BY_STEPS))
        .reduce_options(_of_each_row(field))
        .show_threshold_markers(True)
        .display_name(NAME)
        .no_value("no data")
    )


def bars_of_rows(
    title: str, target: Any, *, field: str, unit: str, steps: Steps = PLAIN, decimals: int = 0, top: float | None = None, text: str = ""
) -> bargauge.Panel:
    """Show a bar for each row of a table, under its column `name`."""
    made = (
        bargauge.Panel()
        .title(title)
        .description(text)
        .with_target(target)
        .unit(unit)
        .min(0)
        .decimals(decimals)
        .thresholds(thresholds(steps))
        .color_scheme(_by(BY_STEPS))
        .reduce_options(_of_each_row(field))
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .display_name(NAME)
        .no_value("no data")
    )
    return made if top is None else made.max(top)


def lines(
    title: str,
    *targets: Any,
    unit: str,
    steps: Steps | None = None,
    decimals: int | None = None,
    text: str = "",
    name: str = "",
    coloured: bool = False,
) -> timeseries.Panel:
    """Show series as lines. Steps are drawn as lines across, or, `coloured`, as the colours of the lines."""
    made = (
        timeseries.Panel()
        .title(title)
        .description(text)
        .targets(list(targets))
        .unit(unit)
        .line_width(2)
        .fill_opacity(0)
        .show_points(common_models.VisibilityMode.AUTO)
        # Queries give empty windows as nothing. A line goes on over what is shorter than a reading may be late.
        .span_nulls(LINE_GAP_MS)
        .color_scheme(_by(BY_SERIES))
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull"])
        )
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI).sort(common_models.SortOrder.DESCENDING))
    )
    if steps is not None:
        made = made.thresholds(thresholds(steps))
        if coloured:
            made = made.color_scheme(_by(BY_STEPS)).gradient_mode(common_models.GraphGradientMode.SCHEME)
        else:
            made = made.thresholds_style(common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED))
    if decimals is not None:
        made = made.decimals(decimals)
    return made.display_name(name) if name else made


def columns(title: str, *targets: Any, unit: str, text: str = "", name: str = "") -> timeseries.Panel:
    """Show series as stacked columns over time."""
    return (
        lines(title, *targets, unit=unit, text=text, name=name)
        .draw_style(common_models.GraphDrawStyle.BARS)
        .fill_opacity(80)
        .line_width(0)
        .stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    )


def categories(title: str, target: Any, *, unit: str = "short", text: str = "") -> barchart.Panel:
    """Show a column for each row of a table with a text and a number."""
    return (
        barchart.Panel()
        .title(title)
        .description(text)
        .with_target(target)
        .unit(unit)
        .decimals(0)
        .orientation(common_models.VizOrientation.VERTICAL)
        .show_value(common_models.VisibilityMode.ALWAYS)
        .fill_opacity(80)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color(BLUE))
        .legend(common.VizLegendOptions().show_legend(False).display_mode(common_models.LegendDisplayMode.LIST))
    )


def rows(title: str, target: Any, *, order: Sequence[str] = (), text: str = "") -> table.Panel:
    """Show a table, with its columns in an order: tables of Flux have none."""
    made = table.Panel().title(title).description(text).with_target(target).no_value("-")
    if not order:
        return made
    places = {name: place for place, name in enumerate(order)}
    return made.with_transformation(models.DataTransformerConfig(id_val="organize", options={"indexByName": places}))
