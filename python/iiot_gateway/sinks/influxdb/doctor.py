"""The trials of `doctor` for each database: a health check, writing a line to `iiot_doctor`, and reading the line back.

A gateway should have a write-only token, which cannot read. Then the finding says that the line could not be read back. VictoriaMetrics
also answers 204 to lines that it does not store, so there only reading the line back is a proof.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

from iiot_gateway._native import Answer, HttpError, Poster
from iiot_gateway.config.schema import Config
from iiot_gateway.errors import GatewayError, command
from iiot_gateway.findings import Finding
from iiot_gateway.journal import inspect_rejects
from iiot_gateway.sinks.influxdb.answers import INTEGER_CONFLICT, reason, remedy, result
from iiot_gateway.sinks.influxdb.building import poster
from iiot_gateway.sinks.influxdb.outlet import headers, write_url
from iiot_gateway.sinks.influxdb.section import NO_PAGE, InfluxdbSection
from iiot_gateway.sinks.outlet import Result

TIMEOUT_S = 10.0
READ_BACK_S = 15.0
"""VictoriaMetrics shows a new series after up to ten seconds."""
MEASUREMENT = "iiot_doctor"
NO_BUCKET = "could not find bucket"
"""How InfluxDB 2 answers (404) a query of a token that may not read the bucket: it does not tell that the bucket is there."""


def databases(config: Config) -> Iterator[Finding]:
    """Try each database."""
    for name, section in config.of(InfluxdbSection).items():
        yield from _database(f"{name} {section.url}", section)
        yield from _integers(config, name)


def _integers(config: Config, name: str) -> Iterator[Finding]:
    """Look for integers that the database refused because another writer has stored floats under the same names."""
    try:
        rejects = inspect_rejects(config, 1000)
    except GatewayError:
        return  # there is no journal yet, or another finding reports it
    refused = [reject for reject in rejects if reject["sink"] == name and INTEGER_CONFLICT.search(reject["reason"])]
    if refused:
        detail = f"refuses integers: the bucket holds floats under their names, as Telegraf writes them; {len(refused)} kept rejects"
        remedy = f'set integers = "float" in [{name}], then `{command("rejects retry")}`'
        yield Finding(f"{name} integers", ok=False, detail=detail, remedy=remedy)


def _database(subject: str, section: InfluxdbSection) -> Iterator[Finding]:
    base = section.url.rstrip("/")
    try:
        alive = _get(section, f"{base}/ping")
    except HttpError as error:
        yield Finding(subject, ok=False, detail=str(error), remedy="correct the setting that the message names")
        return
    if not alive.status:
        remedy = "check url, that the server runs, and that no firewall stands between"
        yield Finding(subject, ok=False, detail=f"does not answer: {alive.detail or alive.error}", remedy=remedy)
        return
    stamp_ns = time.time_ns() // 1_000_000 * 1_000_000  # VictoriaMetrics stores milliseconds
    line = f"{MEASUREMENT},source=doctor value={stamp_ns // 1_000_000} {stamp_ns}"
    # Compressed if the sink compresses, so that this trial and the sink get the same answer.
    answer = poster(section).post_bytes(line.encode())
    if result(answer) is not Result.ACCEPTED:
        yield Finding(f"{subject} write", ok=False, detail=reason(answer), remedy=_remedy(answer, section))
        return
    yield Finding(f"{subject} write", ok=True, detail=f"{answer.status}")
    yield _read_back(subject, section, stamp_ns)


def _remedy(answer: Answer, section: InfluxdbSection) -> str:
    status = answer.status
    if status in (401, 403):
        return f"set a token that may write this bucket (INFLUXDB_TOKEN or token_file); `{command('influxdb init')}` makes one"
    if status == 404 and section.api == "v1":
        return f'make the database: CREATE DATABASE "{section.bucket}"'
    if status == 404 and NO_PAGE in _body(answer):
        return 'set api = "v1" if this is InfluxDB 1; otherwise set url to the address of the database'
    if status == 404:
        return f"create the bucket {section.bucket!r} in the organisation {section.org!r}; `{command('influxdb init')}` does"
    return remedy(status, urlsplit(write_url(section)).path)


def _read_back(subject: str, section: InfluxdbSection, stamp_ns: int) -> Finding:
    value = str(stamp_ns // 1_000_000)
    deadline_s = time.monotonic() + READ_BACK_S
    unreadable = ""
    while time.monotonic() < deadline_s:
        for status, body in _reads(section, stamp_ns):
            if 200 <= status < 300 and value in body:
                return Finding(f"{subject} read back", ok=True, detail="the line is there")
            if status in (401, 403) or (status == 404 and NO_BUCKET in body):
                unreadable = "could not be read back: the token may only write, which is right for a gateway"
        if unreadable:
            return Finding(f"{subject} read back", ok=None, detail=unreadable)
        time.sleep(0.3)
    remedy = (
        f"the line was taken but is not there: check the retention, and the system's clock (now {time.strftime('%FT%TZ', time.gmtime())})"
    )
    return Finding(f"{subject} read back", ok=False, detail="the line is not there", remedy=remedy)


def _reads(section: InfluxdbSection, stamp_ns: int) -> Iterator[tuple[int, str]]:
    """Query in the language of each kind of server. A server that does not know a language answers 404 or a similar status."""
    base = section.url.rstrip("/")
    if section.api == "v1":
        query = urlencode({"db": section.bucket, "q": "SELECT last(value) FROM iiot_doctor", "epoch": "ms"})
        yield _with_numbers(_get(section, f"{base}/query?{query}"))
        return
    flux = f'from(bucket: "{section.bucket}") |> range(start: -5m) |> filter(fn: (r) => r._measurement == "{MEASUREMENT}") |> last()'
    question = json.dumps({"query": flux, "type": "flux"}).encode()
    answer = _ask(section, f"{base}/api/v2/query?{urlencode({'org': section.org})}", question)
    yield _with_numbers(answer)
    if answer.status not in (401, 403):
        # For VictoriaMetrics only: make the written line visible now. If that is forbidden, the line becomes visible later.
        _get(section, f"{base}/internal/force_flush")
        # Only the beginning of the answer is kept, so the query asks for new lines only.
        wanted = {"match[]": MEASUREMENT + "_value", "start": str(stamp_ns // 1_000_000_000 - 60)}
        answer = _get(section, f"{base}/api/v1/export?{urlencode(wanted)}")
        yield answer.status, _body(answer)


def _with_numbers(answer: Answer) -> tuple[int, str]:
    """Return the status, the body, and each number of the body as a whole number: the body may hold the value as 1.7e+12."""
    body = _body(answer)
    return answer.status, body + " " + " ".join(str(int(number)) for number in _numbers(body))


def _numbers(text: str) -> Iterator[float]:
    for word in text.replace(",", " ").replace("]", " ").replace("[", " ").split():
        try:
            yield float(word)
        except ValueError:
            continue


def _get(section: InfluxdbSection, url: str) -> Answer:
    return Poster(write_url(section), headers=headers(section), timeout_s=TIMEOUT_S, ca_file=section.ca_file or None).get(url)


def _ask(section: InfluxdbSection, url: str, question: bytes) -> Answer:
    kinds = {"Content-Type": "application/json", "Accept": "application/csv"}
    poster = Poster(url, headers={**headers(section), **kinds}, timeout_s=TIMEOUT_S, gzip=False, ca_file=section.ca_file or None)
    return poster.post_bytes(question)


def _body(answer: Answer) -> str:
    return answer.body.decode("utf-8", "replace")
