"""Who may import whom inside of the package, read from the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from iiot_gateway.config.sections import MODULES

PACKAGE = Path(__file__).parent.parent / "python" / "iiot_gateway"
NAME = "iiot_gateway"

LEAVES = {"errors", "backoff", "findings", "__version__"}
BUILT = LEAVES | {"components", "config", "log", "_native"}
"""What every component may use."""
MAY_IMPORT = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "backoff": set(),
    "findings": set(),
    "_structlog": set(),
    "_anyio": {"_structlog"},
    "line_writer": set(),
    "visible": set(),
    "log": {"_structlog", "line_writer", "visible"},
    "metrics": {"components", "config"},
    # `sections.py` names the components' modules as text; `schema.py` knows one of them: see SECTIONS.
    "config": LEAVES | {"config", "sources", "_native"},
    "profile": LEAVES | {"config", "_native"},
    "journal": LEAVES | {"config", "log", "profile", "_native"},
    # The types of what is built.
    "components": LEAVES | {"api", "config", "profile", "pipeline", "sources", "sinks", "_native"},
    "mqtt": BUILT | {"mqtt"},
    # A consumer asks which devices are registered.
    "sources": BUILT | {"mqtt", "registry", "sources"},
    "sinks": BUILT | {"journal", "mqtt", "sinks"},
    "registry": BUILT | {"registry", "sinks"},
    "device_mqtt": BUILT | {"api", "mqtt", "registry", "device_api", "sources", "sinks", "device_mqtt"},
    "device_accounts": BUILT | {"mqtt", "registry", "device_mqtt", "device_accounts"},
    "device_api": BUILT | {"api", "device_accounts", "device_mqtt", "mqtt", "profile", "registry", "sources", "sinks", "device_api"},
    "pipeline": LEAVES | {"api", "log", "pipeline", "sources", "sinks", "_native"},
    # Services stand beside sources and sinks, and know those that they go through.
    "downlink": BUILT | {"mqtt", "pipeline", "profile", "sources", "sinks", "downlink"},
    "home_assistant": BUILT | {"mqtt", "pipeline", "profile", "sources", "sinks", "home_assistant"},
    "backup": BUILT | {"backup", "mqtt", "pipeline", "registry", "sinks"},
    "compose": BUILT | {"backup", "journal", "pipeline", "sources", "sinks"},
    "devices": LEAVES | {"devices"},
    "plant": LEAVES | {"plant", "_native"},
    "telegraf": LEAVES | {"config", "telegraf"},
    "api": LEAVES | {"api", "config", "log", "metrics", "pipeline"},
    # `run` starts the HTTP face, so that nothing below the leaves knows it.
    "cli": LEAVES
    | {
        "_anyio",
        "backup",
        "config",
        "devices",
        "line_writer",
        "log",
        "visible",
        "metrics",
        "components",
        "compose",
        "journal",
        "profile",
        "mqtt",
        "registry",
        "device_mqtt",
        "pipeline",
        "plant",
        "telegraf",
        "sources",
        "sinks",
        "downlink",
        "home_assistant",
        "cli",
        "api",
        "_native",
    },
}

NATIVE = {
    "config/locate.py": "where keys stand",
    "config/mqtt_text.py": "what MQTT takes as text",
    "backup/copier.py": "copies of files; the journal's error",
    "backup/making.py": "as backup/copier.py",
    "backup/trying.py": "opens what was restored",
    "backup/verifying.py": "whether files are whole; the journal's error",
    "compose.py": "makes the live values, and knows the errors of building",
    "components.py": "the type of the journal",
    "journal.py": "opens journals",
    "profile.py": "compiles profiles",
    "downlink/building.py": "makes its connection",
    "home_assistant/building.py": "makes its connections",
    "sources/played.py": "makes the pacer",
    "downlink/service.py": "signs commands and reads answers; the type of its connection",
    "pipeline/live.py": "the type of the live values",
    "pipeline/status.py": "the type of the journal, and how often the data path crossed",
    "pipeline/supervisor.py": "the types of the journal and of the live values",
    "pipeline/views.py": "the type of the live values, and what a history can be asked for",
    "plant/fleet.py": "the machines' connections",
    "plant/publishing.py": "how its devices reach a broker",
    "registry/directory.py": "makes and fills the directory of devices",
    "registry/server.py": "asks the server",
    "registry/server_schema.py": "makes tables, and the settings of connections",
    "registry/watch.py": "listens to the server",
    "registry/doctor.py": "questions to the server",
    "device_api/building.py": "makes the place of posts in the journal",
    "device_api/intake.py": "the type of that place",
    "device_api/door.py": "what a point takes of its device",
    "device_api/times.py": "reads times as profiles do",
    "device_api/spans.py": "reads times as profiles do",
    "device_api/lines.py": "reads line protocol",
    "device_api/history_archive.py": "the type of what reads the history",
    "device_api/influxdb_archive.py": "questions to the database",
    "device_api/postgresql_archive.py": "questions to the database",
    "device_api/postgresql_deletion.py": "runs statements",
    "device_api/keepers.py": "the history's writer and its error",
    "device_api/deletions.py": "the type of the journal, and its error",
    "device_api/deleting.py": "the journal's error",
    "device_accounts/building.py": "makes the connection",
    "device_accounts/doctor.py": "makes the connection",
    "device_accounts/conversation.py": "the type of its connection",
    "device_accounts/keeper.py": "the type of its connection",
    "device_mqtt/building.py": "makes connections",
    "device_mqtt/outgoing.py": "the type of its connection",
    "mqtt/side.py": "the type of its connection",
    "mqtt/connection.py": "what MQTT takes as text",
    "mqtt/embedded.py": "starts and stops the broker",
    "sinks/delivery.py": "the journal's error",
    "sinks/outlet.py": "the types of what reads lines",
    "home_assistant/entities.py": "what MQTT takes as text",
    "home_assistant/discovery.py": "the types of its connection and of the live values",
    "cli/history.py": "questions to the history",
    "cli/export.py": "the type of the reader",
    "cli/postgresql.py": "questions to the database",
    "cli/postgresql_access.py": "questions to the database",
    "cli/postgresql_init.py": "runs statements",
    "cli/postgresql_maintain.py": "runs statements",
    "cli/decode.py": "decodes without a journal",
    "cli/documents.py": "as cli/decode.py",
    "cli/profile.py": "as cli/decode.py",
    "cli/single_documents.py": "as cli/decode.py",
    "cli/run.py": "the journal's error, and the allocator before there are threads",
    "cli/simulate.py": "simulates without a journal",
    "cli/version.py": "the extension's version",
}
"""The modules that know the extension, each with its reason; beside them components do, which are made of it."""

SECTIONS = {
    "registry/section.py": {"sinks.postgresql"},  # names the database that may hold the registry
    "config/schema.py": {"sources.probe_rs"},  # [gateway] has the keys of the first probe, as that of the original gateway has
    "downlink/__init__.py": {"sinks.mqtt"},  # topics at its broker
    "downlink/section.py": {"sources.serial", "sinks.mqtt"},  # names a port and a broker
    "downlink/building.py": {"sources.serial", "sinks.mqtt"},
    "home_assistant/__init__.py": {"sinks.mqtt"},  # topics at its brokers
    "home_assistant/section.py": {"sinks.mqtt"},  # names brokers
    "backup/contents.py": {"sinks.history"},  # every file that a gateway writes
    "backup/copier.py": {"sinks.history"},
    "device_api/__init__.py": {"sinks.postgresql"},  # the database of the registry
    "device_api/building.py": {"sinks.influxdb", "sinks.postgresql"},  # asks the databases
    "device_api/influxdb_archive.py": {"sinks.influxdb"},
    "device_api/keepers.py": {"sinks.influxdb", "sinks.postgresql", "sinks.history"},  # every sink that keeps values
    "device_mqtt/brokers.py": {"sources.mqtt_consumer"},  # devices publish there
    "device_mqtt/building.py": {"sinks.mqtt"},  # sends where devices publish
    "home_assistant/building.py": {"sinks.mqtt", "sinks.alerts"},
}
"""Files that know sections of components; beside them the commands do."""
KNOWS_CONCRETE = {
    "cli/postgresql.py": {"sinks.postgresql"},  # adopts as the sink would
    "cli/demo_postgresql.py": {"sinks.postgresql"},  # makes the plant's tables
    "cli/postgresql_access.py": {"sinks.postgresql"},  # connects as the sink would
    "cli/postgresql_init.py": {"sinks.postgresql"},  # runs its statements
    "cli/postgresql_maintain.py": {"sinks.postgresql"},
    "cli/postgresql_query.py": {"sinks.postgresql"},
    "cli/postgresql_size.py": {"sinks.postgresql"},
    "cli/check.py": {"sinks.alerts"},  # looks at the rules of profiles
    "cli/alerts.py": {"sinks.alerts"},  # tells receivers as the sink would
    "compose.py": {"sinks.history"},  # the page asks the first history
    "device_api/building.py": {"sinks.history"},  # so do devices
    "device_api/postgresql_archive.py": {"sinks.postgresql"},  # writes devices and times as deletions do
    "device_api/postgresql_deletion.py": {"sinks.postgresql"},  # runs its statements
    "downlink/building.py": {"sources.serial"},  # writes to a port
    "home_assistant/building.py": {"sinks.mqtt"},  # asks a sink which topics it publishes to
}
"""Files that know more of a component than its section."""
HEAVY = {
    "influxdb_client": {
        "cli/influxdb.py",
        "cli/influxdb_access.py",
        "cli/influxdb_init.py",
        "cli/influxdb_plan.py",
        "cli/influxdb_samples.py",
    },
    "pyarrow": {"cli/export.py"},
    "rich": {"cli/tail_view.py"},
    "msgspec": {"device_api"},
    "starlette": {"api/app.py", "api/part.py", "api/shortcuts.py", "device_api"},
    "uvicorn": {"api/server.py"},
}
"""Large packages and the only files, or folders, that may import them."""


def modules() -> list[Path]:
    """Return every file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


@cache
def imports(path: Path) -> list[str]:
    """Return the full name of everything that a file imports, in functions too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names += (f"{node.module}.{alias.name}" for alias in node.names)
    return names


def own(path: Path) -> Iterator[str]:
    """Give what a file imports of the package, without the package's name."""
    yield from (name.removeprefix(f"{NAME}.") for name in imports(path) if name.startswith(NAME))


def components() -> set[str]:
    """Return every folder or file of a source or sink that the registry names."""
    return {".".join(name.split(".")[:2]) for name in MODULES if name.startswith(("sources.", "sinks."))}


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
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        assert place in NATIVE or any(f"{module}.".startswith(f"{component}.") for component in components())
    for package, places in HEAVY.items():
        assert package not in outer or place in places or path.relative_to(PACKAGE).parts[0] in places


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_component_is_known_by_itself_and_by_its_section(path: Path) -> None:
    """No source knows another, no sink another; who names one knows its section, and only the table's files know more."""
    place = str(path.relative_to(PACKAGE))
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    others = {component for component in components() if not f"{module}.".startswith(f"{component}.")}
    known = {component: {name for name in own(path) if f"{name}.".startswith(f"{component}.")} for component in others}
    sections = {component for component, names in known.items() if names}
    more = {component for component, names in known.items() if any(not name.startswith(f"{component}.section.") for name in names)}

    if path.relative_to(PACKAGE).parts[0] != "cli":
        assert sections - more <= SECTIONS.get(place, set())
    assert more <= KNOWS_CONCRETE.get(place, set())


def test_sections_import_nothing_heavy() -> None:
    """`check` needs no event loop and no log, and the gateway at rest keeps only what it uses."""
    program = "import sys, iiot_gateway.config.load; print(*sorted(sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert {"anyio", "asyncio", "structlog", "ssl", "serial", "subprocess", "urllib.request"} & set(loaded) == set()
