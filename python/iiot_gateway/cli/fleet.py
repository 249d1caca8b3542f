"""`fleet status`: compares the ledgers of gateways that publish to a broker with those of workers that share its messages."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from iiot_gateway.cli.fleet_ledger import Look, SiteRow, WorkerRow, add_up, asked, status_of
from iiot_gateway.errors import GatewayError

EXIT_DOES_NOT_HOLD = 1
WAIT_S = 10.0
POLL_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `status`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    status = actions.add_parser(
        "status",
        help="check that each value which the sites published is stored once; if not, name the origins and exit with code 1",
    )
    status.add_argument(
        "urls", nargs="+", metavar="URL", help="the HTTP address of each gateway, site or worker, such as http://10.0.0.7:5000"
    )
    status.add_argument("--token-file", metavar="FILE", help="the [http] token of all of them; a line `URL TOKEN` for each if they differ")
    status.add_argument("--ca-file", metavar="FILE", help="certificates (PEM) to check theirs with; the system's by default")
    status.add_argument(
        "--wait",
        type=float,
        default=WAIT_S,
        metavar="S",
        help=f"how long values may be on their way before they count as missing; {WAIT_S:g} by default",
    )
    status.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Query all gateways, again and again until every value has come or the wait is over."""
    tokens = _tokens(args.token_file)
    sites = {url: status_of(url, tokens, args.ca_file) for url in args.urls}

    def page(url: str, origin: str, after: str | None) -> Mapping[str, Any]:
        return asked(url, tokens, args.ca_file, f"sites/{origin}" + (f"?after={after}" if after else ""))

    until_s = time.monotonic() + args.wait
    while True:
        # All values that the sites had published at the first look must have come by now. Workers must not have more than the sites
        # report a moment later. That second look is needed, because a site counts a value a little after the broker has passed it on.
        now = {url: status_of(url, tokens, args.ca_file) for url in args.urls}
        time.sleep(POLL_S)
        looks = [Look(url=url, first=first, now=now[url], after=status_of(url, tokens, args.ca_file)) for url, first in sites.items()]
        site_rows, worker_rows = add_up(looks, page)
        if all(row.missing == 0 for row in site_rows) or time.monotonic() >= until_s:
            break
    holds = all(row.missing == 0 and row.is_asked and not row.dropped for row in site_rows)
    holds = holds and all(row.is_balanced and not row.dropped for row in worker_rows)
    if args.json:
        print(
            json.dumps(
                {"holds": holds, "sites": [asdict(row) for row in site_rows], "workers": [asdict(row) for row in worker_rows]}, indent=2
            )
        )
    else:
        print(_table(site_rows, worker_rows))
    return 0 if holds else EXIT_DOES_NOT_HOLD


def _tokens(file: str | None) -> dict[str, str]:
    """Return the token of each address; the token of the address "" is for all others."""
    if file is None:
        return {}
    try:
        lines = Path(file).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise GatewayError(f"--token-file {file} cannot be read: {error}") from error
    parted = [line.split(None, 1) for line in lines if line.strip()]
    return {(words[0].rstrip("/") if len(words) > 1 else ""): words[-1].strip() for words in parted}


def _table(sites: list[SiteRow], workers: list[WorkerRow]) -> str:
    lines = [f"{'site':<34}{'published':>13}{'received':>13}{'doubles':>10}{'missing':>10}{'queued':>10}"]
    lines += [
        f"{site.url or site.origin:<34}{site.published:>13,}{site.received:>13,}{site.doubles:>10,}{site.missing:>10,}{site.queued:>10,}"
        for site in sites
    ]
    lines += ["", f"{'worker':<34}{'accepted':>13}{'duplicates':>13}{'rejected':>10}{'refused':>10}{'queued':>10}{'dropped':>10}"]
    for worker in workers:
        counts = (worker.rejected, worker.refused, worker.queued, worker.dropped)
        lines.append(f"{worker.url:<34}{worker.accepted:>13,}{worker.duplicate:>13,}" + "".join(f"{count:>10,}" for count in counts))
    published, received = sum(site.published for site in sites), sum(site.received for site in sites)
    doubles, missing = sum(site.doubles for site in sites), sum(site.missing for site in sites)
    if not sites:
        lines += ["", "no site: none of these gateways has published values, and nothing with the mark of a site came to them"]
        return "\n".join([*lines, *_not_stored(workers)])
    lines += ["", f"{published:,} published = {received:,} received - {doubles:,} doubles + {missing:,} missing; in values"]
    lines += [_judged(site) for site in sites if site.missing or not site.is_asked]
    lines += [
        f"{site.origin}: {site.dropped:,} frames of {site.url} were dropped before they were published" for site in sites if site.dropped
    ]
    if forgotten := sum(site.forgotten for site in sites):
        lines.append(
            f"of {forgotten:,} values workers know the number only: among them a missing one would be hidden by one that came twice"
        )
    return "\n".join([*lines, *_not_stored(workers)])


def _not_stored(workers: list[WorkerRow]) -> Iterator[str]:
    """Yield one line per reason why frames that a worker accepted are not in a database."""
    for worker in workers:
        if worker.refused:
            yield f"{worker.url}: its sinks could not store {worker.refused:,} frames; `iiot-gateway rejects` shows them there"
        if worker.dropped:
            yield f"{worker.url}: {worker.dropped:,} frames were dropped before its sinks had stored them"
        if worker.unbalanced:
            yield f"{worker.url}: the ledger of {', '.join(worker.unbalanced)} does not balance"


def _judged(site: SiteRow) -> str:
    if not site.is_asked:
        return f"{site.origin}: its gateway was not asked, so nothing can be said of what it published: name its URL as well"
    if site.missing < 0:
        return (
            f"{site.origin}: {-site.missing:,} values more than it published: its journal was put back, or several of "
            "its sinks publish to these workers"
        )
    return (
        f"{site.origin}: {site.missing:,} values of {site.url} have not come: they wait in the broker or are lost. Look at "
        'the limits of the broker\'s queues, for workers that were not asked, and for [mqtt] protocol = "5" at the site'
    )
