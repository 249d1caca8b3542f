"""The sections `[mail]` and `[mail.NAME]`: alerts by e-mail."""

from __future__ import annotations

import os
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from iiot_gateway.config.component import Component, Faults, KeyPath, place
from iiot_gateway.config.keys import integer, number, path, secret, text, texts
from iiot_gateway.config.secret import Secret
from iiot_gateway.config.urls import is_loopback

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

ADDRESS = re.compile(r"[!-?A-~]+@[A-Za-z0-9.\-\[\]:]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSection:
    """`[mail]`, `[mail.NAME]`: notifies people of alerts by e-mail."""

    host: str = text("", "The mail server that takes the gateway's mails.")
    port: int = integer(587, "The server's port: 587 for starttls, 465 for tls, 25 for none.", low=1, high=65535)
    tls: Literal["starttls", "tls", "none"] = text(
        "starttls",
        "starttls: encrypted after the greeting. tls: from the beginning. none: not encrypted.",
        "starttls",
        "tls",
        "none",
    )
    username: str = text("", "Empty sends without logging in.")
    password: Secret = secret("The password. Preferably set by IIOT_MAIL__PASSWORD or password_file.")
    password_file: str = path("", "A file that holds the password and nothing else.")
    sender: str = text("", "The address that mails come from.")
    to: tuple[str, ...] = texts("The addresses that mails go to.")
    ca_file: str = path("", "Certificates to trust instead of those of the system (PEM).")
    timeout_s: float = number(20.0, "An attempt fails if the server does not answer for this many seconds.", low=0.1, high=300)


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    for name, section in config.of(MailSection).items():
        yield from _people(place(name), section)
        yield from _way(place(name), section)


def _people(at: KeyPath, section: MailSection) -> Faults:
    if not ADDRESS.fullmatch(section.sender):
        yield (*at, "sender"), "expected an address like gateway@example.org"
    if not section.to:
        yield (*at, "to"), "is needed: who gets the mails?"
    for address in section.to:
        if not ADDRESS.fullmatch(address):
            yield (*at, "to"), f"expected addresses like operator@example.org, found {address!r}"


def _way(at: KeyPath, section: MailSection) -> Faults:
    if not section.host:
        yield (*at, "host"), "is needed: the mail server"
    # A file without a password is a separate fault.
    if bool(section.username) != bool(section.password or section.password_file):
        yield (*at, "username"), "username and password go together"
    if section.tls == "none" and section.password and not is_loopback(section.host):
        yield (*at, "tls"), "the password would travel in the clear: use starttls or tls"
    if section.tls == "none" and section.ca_file:
        yield (*at, "ca_file"), 'has no meaning with tls = "none"'
    if section.ca_file and not os.path.isfile(section.ca_file):
        yield (*at, "ca_file"), f"there is no file {section.ca_file}"


COMPONENT = Component(name="mail", section=MailSection, faults=faults)
