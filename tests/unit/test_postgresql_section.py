"""The section `[postgresql]`: what `check` says of it, and what its errors ask of a person."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from iiot_gateway.config.load import load_text
from iiot_gateway.errors import ConfigError
from iiot_gateway.sinks.postgresql.failures import remedy
from iiot_gateway.sinks.postgresql.hypertables import hypertables
from iiot_gateway.sinks.postgresql.plant import FACTORY_DOSING
from iiot_gateway.sinks.postgresql.section import PostgresqlSection, settings

KEEP = {**{table.name: 90.0 for table in FACTORY_DOSING.tables}, FACTORY_DOSING.hourly.name: 730.0}


@dataclass
class Failure:
    """An error as the extension raises it."""

    kind: str = "report"
    sqlstate: str | None = None


def faults_of(text: str) -> list[str]:
    """Return the faults of a configuration, without their places in the file."""
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    return [str(fault).partition(": ")[2] for fault in caught.value.faults]


def test_days_are_numbers_above_0_by_the_name_of_a_measurement() -> None:
    """In one line, or as a table of their own; anything else is named with what would be right."""
    for text in ("retention_days = { temperature = 90, dose = 0.5 }", "[postgresql.retention_days]\ntemperature = 90\ndose = 0.5"):
        (section,) = load_text(f"[postgresql]\n{text}").of(PostgresqlSection).values()
        assert section.retention_days == {"temperature": 90, "dose": 0.5}
    for wrong in ("{ temperature = 0 }", '{ temperature = "90" }', "{ temperature = true }", "{ temperature = nan }", "90"):
        (fault,) = faults_of(f"[postgresql]\nretention_days = {wrong}")
        assert fault.startswith("postgresql.retention_days: expected a table of numbers above 0")


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ('url = "mysql://db/plant"', "postgresql://"),
        ('url = "postgresql://me:secret@db/plant"', "ends up in logs"),
        ('url = "postgresql://me@db/plant?password=secret"', "ends up in logs"),
        ('url = "postgresql://me@db/plant?sslmode=maybe"', "sslmode"),
        (f'schema = "{"x" * 64}"', "63"),
    ],
)
def test_what_cannot_be_used_is_said_before_the_start(keys: str, fault: str) -> None:
    """Without the password that a URL may hold."""
    (found,) = faults_of(f"[postgresql]\n{keys}")

    assert fault in found
    assert "secret" not in found


def test_the_password_of_libpq_s_own_variable_is_taken() -> None:
    """`PGPASSWORD` is what people have set."""
    (section,) = load_text("[postgresql]\n", environ={"PGPASSWORD": "open sesame"}).of(PostgresqlSection).values()

    assert section.password.reveal() == "open sesame"
    assert "sesame" not in repr(section)
    settings(section)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Failure(sqlstate="28P01"), "password"),
        (Failure(sqlstate="3D000"), "create the database"),
        (Failure(sqlstate="42501"), "GRANT"),
        (Failure(sqlstate="42P01"), 'tables = "manage"'),
        (Failure(sqlstate=None), "read the message"),
        (Failure(kind="unknown_run"), "postgresql adopt --section postgresql.archive"),
    ],
)
def test_each_error_that_needs_a_person_has_a_remedy(failure: Failure, words: str) -> None:
    """By the server's code."""
    assert words in remedy(failure, "postgresql.archive")


def test_a_plan_without_policies_for_an_apache_licensed_build() -> None:
    """There only hypertables, and an hourly view that is computed when it is read."""
    apache = list(hypertables(FACTORY_DOSING, "public", KEEP, is_apache=True))
    full = list(hypertables(FACTORY_DOSING, "public", KEEP, is_apache=False))

    assert not [statement for statement in apache if "policy" in statement or "compress" in statement or "MATERIALIZED" in statement]
    policies = [statement.partition("(")[0] for statement in full if "_policy(" in statement]
    assert policies.count("SELECT add_retention_policy") == len(KEEP)
    assert policies.count("SELECT add_continuous_aggregate_policy") == 1
    assert [statement for statement in full if "materialized_only = false" in statement]
    # The policy must cover two hours, and a refresh of all would delete hours whose rows are gone.
    assert [statement for statement in full if "start_offset => INTERVAL '3 days'" in statement]
    assert not [statement for statement in full if "refresh_continuous_aggregate" in statement]
