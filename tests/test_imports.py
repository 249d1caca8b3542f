"""Who may import whom inside of the package, read from the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "python" / "iiot_gateway"
NAME = "iiot_gateway"

LEAVES = {"errors", "backoff", "__version__"}
MAY_IMPORT = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "backoff": set(),
    "_structlog": set(),
    "_anyio": {"_structlog"},
    "line_writer": set(),
    "visible": set(),
    "log": {"_structlog", "line_writer", "visible"},
    "metrics": set(),
    "config": LEAVES | {"config", "_native"},
    "sources": LEAVES | {"config", "log", "sources", "_native"},
    "sinks": LEAVES | {"config", "log", "sinks", "_native"},
    "pipeline": LEAVES | {"log", "pipeline", "sources", "sinks", "_native"},
    "home_assistant": LEAVES | {"log", "pipeline", "home_assistant", "_native"},
    "compose": LEAVES | {"config", "log", "pipeline", "sources", "sinks", "home_assistant", "_native"},
    "devices": LEAVES | {"devices"},
    "plant": LEAVES | {"plant", "_native"},
    "telegraf": LEAVES | {"config", "telegraf"},
    "api": LEAVES | {"api", "config", "log", "metrics", "pipeline"},
    # `run` starts the HTTP face, so that nothing below the leaves knows it.
    "cli": LEAVES
    | {
        "_anyio",
        "config",
        "devices",
        "line_writer",
        "log",
        "visible",
        "metrics",
        "compose",
        "pipeline",
        "plant",
        "telegraf",
        "sources",
        "sinks",
        "home_assistant",
        "cli",
        "api",
        "_native",
    },
}

NATIVE = {
    "config/mqtt_text.py": "what MQTT takes as text",
    "compose.py": "makes journal, intakes and clients",
    "pipeline/downlink.py": "signs commands and reads answers; the type of its connection",
    "pipeline/live.py": "the type of the live values",
    "pipeline/status.py": "the type of the journal, and how often the data path crossed",
    "pipeline/supervisor.py": "the types of the journal and of the live values",
    "pipeline/views.py": "the type of the live values, and what a history can be asked for",
    "plant/fleet.py": "the machines' connections",
    "sources/embedded_consumer.py": "the type of the consumer",
    "sources/mqtt_consumer.py": "the types of the consumers and their errors",
    "sinks/canaries.py": "the type of a batch",
    "sinks/embedded_broker.py": "starts and stops the broker",
    "sinks/history.py": "the type of the sink, and the errors of history and journal",
    "sinks/influxdb.py": "batches, answers and the journal's error",
    "sinks/mqtt.py": "the type of the client and the journal's error",
    "home_assistant/entities.py": "what MQTT takes as text",
    "home_assistant/discovery.py": "the types of its connection and of the live values",
    "cli/history.py": "questions to the history",
    "cli/export.py": "the type of the reader",
    "cli/decode.py": "decodes without a journal",
    "cli/profile.py": "as cli/decode.py",
    "cli/doctor_history.py": "opens a history as the commands do",
    "cli/doctor_mqtt.py": "the broker's trial",
    "cli/run.py": "the journal's error, and the allocator before there are threads",
    "cli/simulate.py": "simulates without a journal",
    "cli/version.py": "the extension's version",
}
"""The modules that know the extension, each with its reason."""

CONCRETE = {
    "sources.probe_rs",
    "sources.serial",
    "sources.simulate",
    "sources.replay",
    "sources.mqtt_consumer",
    "sources.embedded_consumer",
    "sinks.mqtt",
    "sinks.influxdb",
    "sinks.history",
}
"""Modules with a concrete source or sink: `compose` alone makes one."""
KNOWS_CONCRETE = {
    "compose.py": CONCRETE,
    "cli/record.py": {"sources.mqtt_consumer"},  # writes messages to a file
    "cli/doctor_local.py": {"sources.serial"},  # opens a port as the source would
    "cli/doctor_database.py": {"sinks.influxdb"},  # posts to the URL that the sink would
}
HEAVY = {
    "influxdb_client": {"cli/influxdb.py", "cli/influxdb_init.py", "cli/influxdb_plan.py"},
    "pyarrow": {"cli/export.py"},
    "rich": {"cli/tail_view.py"},
    "starlette": {"api/app.py"},
    "uvicorn": {"api/server.py"},
}
"""Large packages and the only files that may import them."""


def modules() -> list[Path]:
    """Return every file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Give the full name of everything that a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(path: Path) -> Iterator[str]:
    """Give what a file imports of the package, without the package's name."""
    yield from (name.removeprefix(f"{NAME}.") for name in imports(path) if name.startswith(NAME))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_stands_below_it(path: Path) -> None:
    """Sources and sinks know neither each other nor the pipeline; cli and api are leaves."""
    place = path.relative_to(PACKAGE)
    part = place.parts[0].removesuffix(".py")

    assert {name.partition(".")[0] for name in own(path)} <= MAY_IMPORT[part]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_extension_concrete_classes_and_large_packages_are_known_where_the_tables_say(path: Path) -> None:
    """A new place needs a reason in the table."""
    place = str(path.relative_to(PACKAGE))
    used = set(own(path))
    outer = {name.partition(".")[0] for name in imports(path)}

    if any(name.startswith("_native") for name in used):
        assert place in NATIVE
    concrete = {module for module in CONCRETE for name in used if name == module or name.startswith(module + ".")}
    if path.parts[-2] not in ("sources", "sinks"):
        assert concrete <= KNOWS_CONCRETE.get(place, set())
    for package, places in HEAVY.items():
        assert package not in outer or place in places


def test_a_source_knows_no_other_source_and_a_sink_no_other_sink() -> None:
    """Adding one is one file."""
    for path in modules():
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if module in CONCRETE:
            others = {other for other in CONCRETE - {module} for name in own(path) if name == other or name.startswith(other + ".")}
            assert not others, module
