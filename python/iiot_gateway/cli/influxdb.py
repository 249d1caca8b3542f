"""`influxdb init|query|delete`: the commands that use influxdb-client, which only they import because it is large.

init    wait until the server is ready, set it up if it is new, make organisation and bucket, and write a write-only token for
        the gateway and a read-only token for dashboards, each to a file with mode 0600
query   run a Flux query and print CSV
delete  delete the points of a measurement, or all points, between two times
"""

from __future__ import annotations

import argparse
import os
import sys
from http import HTTPStatus

from iiot_gateway.cli.confirm import confirm
from iiot_gateway.cli.durations import seconds
from iiot_gateway.cli.influxdb_access import client, foreign, secret_of
from iiot_gateway.cli.influxdb_plan import PLANS
from iiot_gateway.cli.moments import moment_ns
from iiot_gateway.cli.rejects import count
from iiot_gateway.config.load import examine
from iiot_gateway.errors import ConfigError, GatewayError, command
from iiot_gateway.sinks.influxdb.section import NO_PAGE, InfluxdbSection
from iiot_gateway.visible import for_reader

DASHBOARD_TOKEN_FILE = "dashboard.token"  # noqa: S105 - a file name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three actions."""
    parser.add_argument("--section", default="influxdb", metavar="NAME", help="which section of the configuration; influxdb by default")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    init = actions.add_parser("init", help="set up a server")
    init.add_argument("--username", default="admin", help="the first user of a new server")
    init.add_argument("--password-file", metavar="FILE", help="that user's password; needed for a new server")
    init.add_argument(
        "--admin-token-file",
        default="admin.token",
        metavar="FILE",
        help="a token that may make buckets; written for a new server, else read; admin.token by default",
    )
    init.add_argument(
        "--plan",
        choices=tuple(PLANS),
        metavar="NAME",
        help="make the buckets and the daily task of a plan: factory-dosing (raw points for two years, daily sums for ten)",
    )
    init.add_argument("--retention-days", type=count, metavar="N", help="how long the bucket keeps points; without a limit by default")
    init.add_argument(
        "--gateway-token-file",
        metavar="FILE",
        help="where the write-only token goes; by default the section's token_file, else gateway.token",
    )
    init.add_argument(
        "--dashboard-token-file",
        default=DASHBOARD_TOKEN_FILE,
        metavar="FILE",
        help=f"where the read-only token goes; {DASHBOARD_TOKEN_FILE} by default",
    )
    init.add_argument(
        "--sample-data", action="store_true", help="write a day of two devices that do not exist into the bucket, if it is made now"
    )
    init.add_argument("--wait", type=seconds, default=60.0, metavar="S", help="how long to wait for the server")
    query = actions.add_parser("query", help="run a Flux query")
    query.add_argument("flux", help="the query; - reads standard input")
    query.add_argument(
        "--token-file",
        metavar="FILE",
        help=f"a token that may read the bucket; by default {DASHBOARD_TOKEN_FILE} if it is there, else the section's",
    )
    delete = actions.add_parser("delete", help="delete points")
    delete.add_argument("--from", dest="begin", type=moment_ns, required=True, metavar="ISO-TIME")
    delete.add_argument("--to", dest="end", type=moment_ns, required=True, metavar="ISO-TIME")
    delete.add_argument(
        "--predicate",
        default="",
        metavar="TEXT",
        help='like _measurement="temperature" AND node="node1"; all by default',
    )
    for action in (init, query, delete):
        # The option is also accepted after the action. Its default is suppressed, so that it does not overwrite one before the action.
        action.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration")
        action.add_argument("--section", metavar="NAME", default=argparse.SUPPRESS, help="which section of it")
    for action in (init, delete):
        action.add_argument("--dry-run", action="store_true", help="only print what would be done")
        action.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Perform one of the three actions."""
    config, faults = examine(args.config)
    if args.action == "init":
        faults = [fault for fault in faults if fault.key != f"{args.section}.token_file"]  # `init` writes this file
    if faults:
        raise ConfigError(faults)
    section = config.of(InfluxdbSection).get(args.section)
    if section is None:
        raise GatewayError(f"the configuration has no section [{args.section}]")
    import urllib3.exceptions
    from influxdb_client.rest import ApiException

    from iiot_gateway.cli import influxdb_init

    try:
        if args.action == "init":
            return influxdb_init.init(section, args)
        return _query(section, args) if args.action == "query" else _delete(section, args)
    except ApiException as error:
        if error.status == HTTPStatus.NOT_FOUND and NO_PAGE in str(error.body):
            raise GatewayError(f"{section.url} is no InfluxDB 2: `{command(f'influxdb {args.action}')}` is for InfluxDB 2 alone") from error
        raise GatewayError(f"{section.url}: {error.status} {error.message or error.reason}") from error
    except urllib3.exceptions.HTTPError as error:
        raise GatewayError(f"{section.url}: {error}") from error


def _query(section: InfluxdbSection, args: argparse.Namespace) -> int:
    flux = sys.stdin.read() if args.flux == "-" else args.flux
    file = args.token_file or (DASHBOARD_TOKEN_FILE if os.path.exists(DASHBOARD_TOKEN_FILE) else None)
    with client(section, secret_of(file) if file else section.token.reveal()) as influxdb:
        answer = influxdb.query_api().query_raw(flux, org=section.org)
        kind = answer.headers.get("Content-Type", "")
        if "csv" not in kind:
            raise foreign(section, f"a query was answered with {kind or 'no content type'}, not with CSV")
        shown = for_reader(sys.stdout)
        for row in answer:
            text = row.decode("utf-8", "replace") if isinstance(row, bytes) else str(row)
            line = text.rstrip("\r\n")
            sys.stdout.write(shown(line) + text[len(line) :])
    return 0


def _delete(section: InfluxdbSection, args: argparse.Namespace) -> int:
    if args.end <= args.begin:
        raise GatewayError("--to must be later than --from")
    what = f"points of {section.bucket} from {iso(args.begin)} to {iso(args.end)}" + (f" where {args.predicate}" if args.predicate else "")
    if args.dry_run:
        print(f"would delete {what}")
        return 0
    confirm(f"Delete {what}?", yes=args.yes)
    from influxdb_client import DeletePredicateRequest, DeleteService

    with client(section, section.token.reveal()) as influxdb:
        request = DeletePredicateRequest(start=iso(args.begin), stop=iso(args.end), predicate=args.predicate)
        # The library's own `delete` does not return the status of the answer.
        _data, status, _headers = DeleteService(influxdb.api_client).post_delete_with_http_info(
            delete_predicate_request=request, bucket=section.bucket, org=section.org
        )
    if status != HTTPStatus.NO_CONTENT:
        raise foreign(section, f"a deletion was answered with {status}, not with 204")
    print(f"deleted {what}")
    return 0


def iso(moment: int) -> str:
    """Return a time in nanoseconds as the text that InfluxDB accepts."""
    import datetime as dt

    whole = dt.datetime.fromtimestamp(moment // 1_000_000_000, tz=dt.UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{moment % 1_000_000_000:09d}Z"
