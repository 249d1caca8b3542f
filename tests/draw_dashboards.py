"""Draw the dashboards' layouts with the known points into pictures, to be looked at. No test and no part of one.

MPLBACKEND=Agg PYTHONPATH=tests:tests/product .venv/bin/python tests/draw_dashboards.py FOLDER, after pip install matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle, Wedge
from test_metric_queries import SHOWN as OF_GATEWAY

from grafana import boards, panels
from panels import SHOWN
from panels_of_nodes import OF_DEVICES, OF_NODES

BACK, CARD, INK, FAINT = "#111217", "#181b1f", "#ccccdc", "#8e8e9e"
COLOURS = {"green": "#73bf69", "yellow": "#fade2a", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2", "text": INK}
SERIES = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9"]
UNITS = {
    "celsius": " °C",
    "percent": " %",
    "humidity": " %",
    "massg": " g",
    "s": " s",
    "h": " h",
    "ohm": " Ω",
    "dBm": " dBm",
    "dB": " dB",
    "bytes": " B",
    "accG": " g",
    "mvolt": " mV",
}
KNOWN: dict[str, dict[str, Any]] = {
    "iiot-production-influx": SHOWN,
    "iiot-production-sql": SHOWN,
    "iiot-lora-sensors": OF_NODES,
    "iiot-lora-signal": OF_NODES,
    "iiot-devices": OF_DEVICES,
    "iiot-gateway": {name: [[label, value] for label, value in shown.items()] for name, shown in OF_GATEWAY.items()},
}


def colour(panel: dict[str, Any], value: float) -> str:
    """Return the colour of the step that a value has reached."""
    chosen = "text"
    for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            chosen = step["color"]
    return COLOURS.get(chosen, INK)


def shown(panel: dict[str, Any], value: Any) -> str:
    """Return a value as Grafana would print it."""
    defaults = panel["fieldConfig"]["defaults"]
    if not isinstance(value, int | float):
        return str(value)
    decimals = defaults.get("decimals")
    for mapping in defaults.get("mappings", []):
        if f"{value:g}" in mapping["options"]:
            return str(mapping["options"][f"{value:g}"]["text"])
    text = f"{value:.{int(decimals)}f}" if decimals is not None else f"{value:.4g}"
    return text + UNITS.get(defaults.get("unit", ""), "")


def draw(panel: dict[str, Any], rows: list[list[Any]], axes: Axes) -> None:
    """Draw one panel's content into axes from 0 to 1."""
    kinds = {"timeseries": series, "stat": numbers, "gauge": numbers, "bargauge": bars, "barchart": columns, "table": table}
    if rows:
        kinds[panel["type"]](panel, rows, axes)
    else:
        axes.text(0.5, 0.45, "no data", color=FAINT, ha="center", va="center", fontsize=9)


def numbers(panel: dict[str, Any], rows: list[list[Any]], axes: Axes) -> None:
    """Draw big numbers, with arcs around them in a gauge."""
    for place, row in enumerate(rows):
        name, value = str(row[-2]), row[-1]
        x = (place + 0.5) / len(rows)
        if panel["type"] == "gauge":
            radius = 0.32 / len(rows) + 0.06
            axes.add_patch(Wedge((x, 0.35), radius, 0, 180, width=0.05, color="#2c3235"))
            axes.add_patch(Wedge((x, 0.35), radius, 180 - 1.8 * value, 180, width=0.05, color=colour(panel, value)))
        text, tint = (f"{value:.0f} s", FAINT) if name == "age" else (shown(panel, value), colour(panel, value))
        axes.text(x, 0.42, text, color=tint, ha="center", va="center", fontsize=15, weight="bold")
        axes.text(x, 0.2, name, color=INK, ha="center", va="center", fontsize=7)


def bars(panel: dict[str, Any], rows: list[list[Any]], axes: Axes) -> None:
    """Draw bars that lie."""
    top = panel["fieldConfig"]["defaults"].get("max") or max(float(row[-1]) for row in rows) or 1
    for place, row in enumerate(rows):
        value, tint = float(row[-1]), colour(panel, float(row[-1]))
        y = 0.8 * (1 - (place + 0.8) / len(rows)) + 0.05
        middle = y + 0.2 / len(rows)
        axes.add_patch(Rectangle((0.35, y), 0.5 * value / top, 0.5 / len(rows), color=tint))
        axes.text(0.33, middle, str(row[0]), color=INK, ha="right", va="center", fontsize=7)
        axes.text(0.97, middle, shown(panel, value), color=tint, ha="right", va="center", fontsize=8)


def columns(_panel: dict[str, Any], rows: list[list[Any]], axes: Axes) -> None:
    """Draw bars that stand."""
    top = max(float(row[-1]) for row in rows) or 1
    for place, row in enumerate(rows):
        x, height = (place + 0.15) / len(rows), 0.6 * row[-1] / top
        axes.add_patch(Rectangle((x, 0.15), 0.7 / len(rows), height, color=COLOURS["blue"]))
        axes.text(x + 0.35 / len(rows), 0.08, str(row[0]), color=INK, ha="center", va="center", fontsize=6)
        axes.text(x + 0.35 / len(rows), 0.2 + height, f"{row[-1]:g}", color=INK, ha="center", va="center", fontsize=7)


def table(_panel: dict[str, Any], rows: list[list[Any]], axes: Axes) -> None:
    """Write rows."""
    for place, row in enumerate(rows):
        axes.text(0.02, 0.8 - place * 0.15, "      ".join(map(str, row)), color=INK, va="center", fontsize=8)


def series(panel: dict[str, Any], rows: list[list[Any]], axes: Axes) -> None:
    """Draw rows of time, name and value; rows without a time are one moment."""
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    rows = [row if len(row) == 3 else [0, *row] for row in rows]
    names = list(dict.fromkeys(row[1] for row in rows))
    values = [row[2] for row in rows]
    steps = [step["value"] for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", []) if step["value"] is not None]
    is_lined = custom.get("thresholdsStyle", {}).get("mode") == "dashed"
    low, high = min([*values, *(steps if is_lined else [])]), max([*values, *(steps if is_lined else [])])
    span = (high - low) or 1
    times = [row[0] for row in rows]
    width = (max(times) - min(times)) or 1

    def at(row: list[Any]) -> tuple[float, float]:
        return 0.1 + 0.85 * (row[0] - min(times)) / width, 0.2 + 0.6 * (row[2] - low) / span

    for number, name in enumerate(names):
        points = [at(row) for row in rows if row[1] == name]
        tint = SERIES[number % len(SERIES)]
        if custom.get("drawStyle") == "bars":
            for x, y in points:
                axes.add_patch(Rectangle((x - 0.01 + 0.01 * number, 0.15), 0.02, y - 0.13, color=tint))
        else:
            axes.plot([x for x, _ in points], [y for _, y in points], color=tint, marker="o", markersize=3)
        axes.text(0.1 + 0.8 * number / len(names), 0.05, f"— {name}", color=tint, fontsize=6, va="center")
    for step in steps if is_lined else []:
        y = 0.2 + 0.6 * (step - low) / span
        axes.plot([0.1, 0.95], [y, y], color=colour(panel, step), linestyle="--", linewidth=0.8)
        axes.text(0.09, y, shown(panel, step), color=colour(panel, step), ha="right", va="center", fontsize=5)
    axes.text(0.09, 0.82, shown(panel, high), color=FAINT, ha="right", va="center", fontsize=5)


def picture(board: dict[str, Any], folder: Path) -> Path:
    """Draw a dashboard; return the file."""
    rows_high = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels(board))
    figure = plt.figure(figsize=(16, rows_high * 0.36 + 0.9), facecolor=BACK)
    variables = "   ".join(
        f"{each.get('label') or each['name']}: {each['current']['text']}"
        for each in board["templating"]["list"]
        if each.get("hide", 0) != 2
    )
    figure.text(0.01, 1 - 0.3 / (rows_high * 0.36 + 0.9), f"{board['title']}      {variables}", color=INK, fontsize=11, va="center")
    head = 0.6 / (rows_high * 0.36 + 0.9)
    for panel in panels(board):
        x, y, w, h = (panel["gridPos"][key] for key in "xywh")
        box = (x / 24 + 0.002, (1 - head) * (1 - (y + h) / rows_high) + 0.002, w / 24 - 0.004, (1 - head) * h / rows_high - 0.004)
        axes = figure.add_axes(box)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.axis("off")
        if panel["type"] == "row":
            axes.text(0.005, 0.5, f"▾ {panel['title']}", color=INK, fontsize=10, va="center", weight="bold")
            continue
        axes.add_patch(FancyBboxPatch((0, 0), 1, 1, boxstyle="square,pad=0", facecolor=CARD, edgecolor="#2c3235"))
        axes.text(0.02, 0.93, panel["title"], color=INK, fontsize=9, va="center", weight="bold")
        known = KNOWN[board["uid"]]
        rows = known.get(panel["title"]) or []
        for target in panel["targets"]:
            rows = rows + known.get(f"{panel['title']} / {target['refId']}", [])
        if panel["type"] == "stat" and rows and len(rows[0]) == 3:
            rows = [[name, row[2]] for name, row in zip(("now", "age"), rows, strict=True)]
        draw(panel, rows, axes)
    file = folder / f"{board['uid']}.png"
    figure.savefig(file, dpi=75, facecolor=BACK)
    plt.close(figure)
    return file


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for each in boards().values():
        print(picture(each, out))
