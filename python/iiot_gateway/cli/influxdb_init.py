"""`influxdb init`: sets an InfluxDB 2 server up. Each step happens only if it is needed, so the command can be repeated."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from iiot_gateway.cli import influxdb_access as access
from iiot_gateway.cli.confirm import confirm
from iiot_gateway.cli.influxdb_plan import HOUR_S, PLANS, Plan, write_task
from iiot_gateway.cli.influxdb_samples import write_samples
from iiot_gateway.errors import GatewayError, command
from iiot_gateway.sinks.influxdb.section import InfluxdbSection

POLL_S = 0.5


def init(section: InfluxdbSection, args: argparse.Namespace) -> int:
    """Set the server up, and print each step."""
    plan = _plan(section, args)
    gateway_token_file = args.gateway_token_file or section.token_file or "gateway.token"
    if args.password_file:
        access.secret_of(args.password_file)  # checked first, because the command may wait a minute for a server
    _wait_ready(section, args.wait)
    is_new = _is_new(section)
    files = [gateway_token_file, args.dashboard_token_file]
    if is_new and not args.password_file:
        raise GatewayError(f"{section.url} is not set up yet: --password-file FILE, with the first user's password, is needed")
    if is_new:
        files.append(args.admin_token_file)
        steps = [f"set up the new server with the user {args.username}, and write the administrator's token to {args.admin_token_file}"]
    else:
        _admin_token(section, args)
        steps = []
    for file in files:
        if Path(file).exists():
            raise GatewayError(f"{file} exists; move it away or name another file")
    retention_s = plan.raw_hours * HOUR_S if plan else (args.retention_days or 0) * 86400
    keep = f"{retention_s // 86400} days" if retention_s else "for ever"
    steps += [
        f"make the organisation {section.org} and the bucket {section.bucket} (kept {keep}), if they are not there",
        *([f"make the bucket {plan.daily} (kept {plan.daily_hours // 24} days) and the task {plan.task_name}"] if plan else []),
        f"write a token that may only write that bucket to {gateway_token_file}",
        f"write a token that may only read {'both buckets' if plan else 'it'} to {args.dashboard_token_file}",
        *(["write sample data of two devices, sample-1 and sample-2, to the bucket if it is made now"] if args.sample_data else []),
    ]
    if args.dry_run:
        print("\n".join(f"would {step}" for step in steps))
        return 0
    confirm("\n".join(steps) + "\nDo this?", yes=args.yes)
    admin = _set_up(section, args, retention_s) if is_new else _admin_token(section, args)
    with access.client(section, admin) as client:
        org = _organisation(client, section.org)
        was_there = not is_new and _find_bucket(client, section.bucket, org) is not None
        bucket = _bucket(client, section.bucket, org, retention_s)
        read = [bucket]
        if plan:
            read.append(_bucket(client, plan.daily, org, plan.daily_hours * HOUR_S))
            write_task(client, plan, org)
        access.write_secret(gateway_token_file, _token(client, org, [bucket], "write", "iiot-gateway writes"))
        access.write_secret(args.dashboard_token_file, _token(client, org, read, "read", "dashboards read"))
        if args.sample_data:
            _write_samples(client, section, was_there=was_there)
    hint = "" if section.token_file else f"set token_file = {gateway_token_file!r} in the section; "
    print(f"ready: {hint}dashboards take {args.dashboard_token_file}")
    return 0


def _plan(section: InfluxdbSection, args: argparse.Namespace) -> Plan | None:
    """Return the plan named by the arguments. Raises GatewayError for options that exclude each other."""
    plan = PLANS[args.plan] if args.plan else None
    if plan and section.bucket != plan.raw:
        raise GatewayError(f"the plan {args.plan} writes to the bucket {plan.raw!r}: set bucket = {plan.raw!r} in [{args.section}]")
    if plan and args.retention_days:
        raise GatewayError("--plan says how long buckets keep points: leave --retention-days out")
    if plan and args.sample_data:
        raise GatewayError("--sample-data is of devices, and a plan's bucket is not for them: leave --plan or --sample-data out")
    return plan


def _write_samples(client: Any, section: InfluxdbSection, *, was_there: bool) -> None:
    if was_there:
        # The user's own measurements in the bucket would be mixed with the sample data.
        print(f"iiot-gateway: the bucket {section.bucket} was there before, so it gets no sample data", file=sys.stderr)
        return
    written = write_samples(client, section.bucket, section.org, int(time.time()))
    print(f"wrote {written} points of the devices sample-1 and sample-2")


def _wait_ready(section: InfluxdbSection, wait_s: float) -> None:
    deadline_s = time.monotonic() + wait_s
    with access.client(section, "") as client:
        is_told = False
        while not client.ping():
            if not is_told:
                print(f"iiot-gateway: waiting for {section.url}", file=sys.stderr)
                is_told = True
            if time.monotonic() > deadline_s:
                raise GatewayError(f"{section.url} was not ready within {wait_s:g} s; `{command('doctor')}` says why")
            time.sleep(POLL_S)


def _is_new(section: InfluxdbSection) -> bool:
    from influxdb_client import SetupService

    with access.client(section, "") as client:
        allowed = getattr(SetupService(client.api_client).get_setup(), "allowed", None)
    if not isinstance(allowed, bool):
        raise access.foreign(section, "it does not say whether it is set up")
    return allowed


def _set_up(section: InfluxdbSection, args: argparse.Namespace, retention_s: int) -> str:
    """Do the first set-up and return the administrator's token."""
    from influxdb_client import OnboardingRequest, SetupService

    request = OnboardingRequest(
        username=args.username,
        password=access.secret_of(args.password_file),
        org=section.org,
        bucket=section.bucket,
        retention_period_seconds=retention_s,
    )
    with access.client(section, "") as client:
        token = str(SetupService(client.api_client).post_setup(request).auth.token)
    access.write_secret(args.admin_token_file, token)
    return token


def _admin_token(section: InfluxdbSection, args: argparse.Namespace) -> str:
    if not Path(args.admin_token_file).exists():
        raise GatewayError(
            f"{section.url} is set up already, and there is no {args.admin_token_file}: --admin-token-file FILE, a token that may make "
            "buckets, is needed"
        )
    return access.secret_of(args.admin_token_file)


def _organisation(client: Any, name: str) -> Any:
    api = client.organizations_api()
    found = _found(lambda: api.find_organizations(org=name))
    return found[0] if found else api.create_organization(name=name)


def _bucket(client: Any, name: str, org: Any, retention_s: int) -> Any:
    from influxdb_client import BucketRetentionRules

    rules = [BucketRetentionRules(type="expire", every_seconds=retention_s)] if retention_s else []
    found = _find_bucket(client, name, org)
    return found or client.buckets_api().create_bucket(bucket_name=name, retention_rules=rules, org_id=org.id)


def _find_bucket(client: Any, name: str, org: Any) -> Any:
    found = _found(lambda: client.buckets_api().find_buckets(name=name, org_id=org.id).buckets)
    return found[0] if found else None


def _found(ask: Callable[[], list[Any]]) -> list[Any]:
    """Return the result of a search by name, or None: the server answers 404 if nothing has the name."""
    from influxdb_client.rest import ApiException

    try:
        return ask()
    except ApiException as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return []
        raise


def _token(client: Any, org: Any, buckets: list[Any], action: str, description: str) -> str:
    from influxdb_client import Authorization, Permission, PermissionResource

    resources = [PermissionResource(type="buckets", id=bucket.id, org_id=org.id) for bucket in buckets]
    permissions = [Permission(action=action, resource=resource) for resource in resources]
    authorization = Authorization(org_id=org.id, permissions=permissions, description=description)
    return str(client.authorizations_api().create_authorization(authorization=authorization).token)
