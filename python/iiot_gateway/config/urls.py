"""Checks the form of a server's URL, and of an address at which to listen."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from iiot_gateway.config.component import Faults, KeyPath


def url_faults(path: KeyPath, url: str, schemes: tuple[str, ...], *, is_secret: bool = False) -> Faults:
    """Yield the faults in the URL of a server. No part of a secret URL is quoted."""

    def found(part: str) -> str:
        return "" if is_secret else f", found {part[:40]!r}"

    expected = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield path, "expected a URL with a port from 1 to 65535"
        return
    if parts.scheme not in schemes:
        yield path, f"expected a URL that begins with {expected}{found(parts.scheme or url)}"
    elif not parts.hostname:
        yield path, "the URL names no host"
    elif port == 0:
        yield path, "expected a port from 1 to 65535"
    behind = url.partition(parts.netloc)[2] if parts.netloc else ""
    if parts.scheme.startswith("mqtt") and behind not in ("", "/"):
        yield path, f"expected nothing behind host and port{found(behind)}: MQTT has no paths; topic_prefix begins topics"
    elif parts.query or parts.fragment:
        yield (
            path,
            f"expected nothing behind the path{found(behind[len(parts.path) :])}: the gateway adds the API's own path and query",
        )
    if parts.username or parts.password:
        yield path, "a user or password in a URL ends up in logs; use the keys made for them"


def listen_host(listen: str) -> str:
    """Return the address of ADDRESS:PORT, without the brackets of an IPv6 address."""
    return listen.rpartition(":")[0].strip("[]")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address. A name other than localhost may belong to any machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_listen(text: str) -> bool:
    """Return whether a text is ADDRESS:PORT."""
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdigit() and 0 <= int(port) < 65536
