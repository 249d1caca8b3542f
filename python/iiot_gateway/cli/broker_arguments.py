"""`--broker URL` and `--ca-file FILE`: how a command without a configuration reaches a broker."""

from __future__ import annotations

import argparse
from pathlib import Path

from iiot_gateway.config.urls import url_faults
from iiot_gateway.errors import GatewayError


def add_broker_arguments(parser: argparse.ArgumentParser, *, credentials: str) -> None:
    """Declare both options. `credentials` says where the user name and the password come from."""
    parser.add_argument("--broker", metavar="URL", help=f"the broker, mqtt://HOST:PORT or mqtts://HOST:PORT; {credentials}")
    parser.add_argument("--ca-file", metavar="FILE", help="certificates (PEM) to check the server's with; the system's by default")


def broker_url(args: argparse.Namespace) -> str:
    """Return the URL of `--broker`. Raises GatewayError if its text is not a URL."""
    for _path, message in url_faults((), args.broker, ("mqtt", "mqtts")):
        raise GatewayError(f"--broker: {message}")
    return str(args.broker)


def ca_file_of(args: argparse.Namespace, *urls: str | None) -> str | None:
    """Return the file of `--ca-file`. Raises GatewayError if the file does not exist, or if none of the URLs uses TLS."""
    if not args.ca_file:
        return None
    if not any(url and url.startswith(("mqtts:", "https:")) for url in urls):
        raise GatewayError("--ca-file has no meaning without mqtts:// or https://")
    if not Path(args.ca_file).is_file():
        raise GatewayError(f"--ca-file: there is no file {args.ca_file}")
    return str(args.ca_file)
