"""What the registry lists is complete: each component can be built, told of and described."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from iiot_gateway._native import Journal
from iiot_gateway.components import Building, ByteSource, MessageSource, ServiceComponent, SinkComponent
from iiot_gateway.compose import source_component
from iiot_gateway.config.component import Component, SinkSection, SourceSection
from iiot_gateway.config.keys import keys_of
from iiot_gateway.config.load import load_text
from iiot_gateway.config.sections import COMPONENTS, SECTIONS
from iiot_gateway.errors import GatewayError
from iiot_gateway.metrics import METRICS


@pytest.mark.native
def test_what_is_made_once_is_made_once_by_any_threads(tmp_path: Path) -> None:
    """A function may ask for what another one makes."""
    journal = Journal.open(str(tmp_path / "journal.db"))
    building = Building(load_text(""), journal)
    both = threading.Barrier(2)

    def inner(_building: Building) -> object:
        # Where two threads make it, both come here.
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return object()

    def outer(building: Building) -> object:
        return building.once(inner)

    with ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(building.once, outer) for _ in range(2))

    assert first.result() is second.result()
    assert building.made(inner) is first.result()
    journal.close()


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_a_section_and_its_component_are_of_one_kind(component: Component) -> None:
    """What is a source for the configuration is built as one, and so is a sink."""
    is_source, is_sink = (issubclass(component.section, kind) for kind in (SourceSection, SinkSection))

    assert isinstance(component, ByteSource | MessageSource) == is_source
    assert isinstance(component, SinkComponent) == is_sink


@pytest.mark.parametrize("component", SECTIONS.values(), ids=lambda component: component.name)
def test_a_section_says_what_it_is_for(component: Component) -> None:
    """The template shows it, and every key has a sentence."""
    assert re.match(r"`\[\[?[\w.A-Z]+\]?\]`(, `\[[\w.A-Z]+\]`)*: .+\.$", component.section.__doc__ or "")
    assert all(key.doc.strip() for key in keys_of(component.section).values())


@pytest.mark.parametrize("component", [c for c in COMPONENTS if issubclass(c.section, SourceSection)], ids=lambda component: component.name)
def test_a_source_has_the_keys_of_all_sources(component: Component) -> None:
    """`[gateway]` gives them to every one."""
    assert {"profile", "topic_prefix", "tags", "dedup_window_s", "max_document_bytes"} <= set(keys_of(component.section))


@pytest.mark.parametrize("component", [c for c in COMPONENTS if issubclass(c.section, SinkSection)], ids=lambda component: component.name)
def test_a_sink_takes_the_profiles_that_it_names_and_its_metrics_are_shown(component: Component) -> None:
    """Each of its metrics is one of the gateway's, with a name that says so."""
    assert isinstance(component, SinkComponent)
    assert "profiles" in keys_of(component.section)
    for metric in component.metrics:
        assert METRICS[metric.name] == (metric.kind, metric.help)
        assert metric.name.startswith("iiot_sink_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")


def test_a_section_that_nobody_makes_a_source_of_is_an_error() -> None:
    """It is not taken for a probe."""

    class Unknown(SourceSection):
        """A section of no component."""

    with pytest.raises(GatewayError, match="no component makes a source of Unknown"):
        source_component(load_text(""), Unknown())


def test_services_ask_for_nothing_that_is_not_configured() -> None:
    """Neither builds, looks at values nor names topics without being wanted."""
    config = load_text("[mqtt]\n")

    for component in COMPONENTS:
        if isinstance(component, ServiceComponent):
            assert not component.looks_at_values(config)
            assert list(component.trials(config, "mqtt")) == []
