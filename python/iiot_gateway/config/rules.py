"""Rules between keys: those of the sections of every gateway, and those of the components. Each fault has the path of its key."""

from __future__ import annotations

import os
import re
from collections.abc import Set as AbstractSet

from iiot_gateway.config.component import Faults, KeyPath, SourceSection, place
from iiot_gateway.config.mqtt_text import prefix_fault
from iiot_gateway.config.nearest import nearest_name
from iiot_gateway.config.schema import Config, HttpSection
from iiot_gateway.config.urls import is_listen, is_loopback, listen_host
from iiot_gateway.config.wiring import BUILT_IN_PROFILES, profile_files, profile_name, profile_path

TOKEN = re.compile(r"[!-~]{8,200}")


def faults(config: Config, given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule. `given` holds the key paths in the file and the environment."""
    for component in config.components:
        yield from component.faults(config, given)
    yield from _sources(config)
    yield from _wanted_profiles(config)
    if not config.journal.path:
        yield ("journal", "path"), "must not be empty"
    elif os.path.isdir(config.journal_path()):
        yield ("journal", "path"), f"{config.journal_path()} is a directory: name a file in it"
    yield from _http(config.http)


def _sources(config: Config) -> Faults:
    """Check the keys that all sources have, and that [gateway] gives to them."""
    sections: dict[str, SourceSection] = {**config.sources(), "gateway": config.gateway}
    sections.pop("probe_rs", None)
    for name, section in sections.items():
        if section.topic_prefix and (fault := prefix_fault(section.topic_prefix)):
            yield (*place(name), "topic_prefix"), fault
        if section.profile and not profile_path(config.base, section.profile).is_file():
            known = ", ".join(BUILT_IN_PROFILES)
            yield (
                (*place(name), "profile"),
                f"there is no profile {section.profile!r}; built in are {known}; a path ends in .toml",
            )
        for tag, value in section.tags.items():
            if not tag or not value:
                yield (*place(name), "tags", tag or '""'), f"a tag without a {'value' if tag else 'name'} cannot be written"


def _wanted_profiles(config: Config) -> Faults:
    """Find sinks for a profile that no source has: such a sink would never get a frame, without any message."""
    sinks = config.sinks()
    if not any(sink.profiles for sink in sinks.values()):
        return
    files = {profile_path(config.base, config.gateway.profile), *profile_files(config).values()}
    known = sorted({*BUILT_IN_PROFILES, *(name for file in files if (name := profile_name(file)))})
    for name, sink in sinks.items():
        for wanted in sink.profiles:
            if wanted not in known:
                yield (*place(name), "profiles"), f"there is no profile {wanted!r}{nearest_name(wanted, known)}"


def _http(http: HttpSection) -> Faults:
    if not is_listen(http.listen):
        yield ("http", "listen"), "expected ADDRESS:PORT"
    elif http.enabled and not http.token and not is_loopback(listen_host(http.listen)):
        yield (
            ("http", "token"),
            f"is needed, because others can reach {http.listen}: set IIOT_HTTP__TOKEN or token_file, or listen on 127.0.0.1",
        )
    if http.token and not TOKEN.fullmatch(http.token.reveal()):
        yield ("http", "token"), "expected 8 to 200 printable ASCII characters without spaces: it travels in a header"
    if bool(http.tls_cert_file) != bool(http.tls_key_file):
        yield ("http", "tls_cert_file"), "tls_cert_file and tls_key_file go together"
    for key in ("tls_cert_file", "tls_key_file"):
        file = getattr(http, key)
        if file and not os.path.isfile(file):
            yield ("http", key), f"there is no file {file}"
    if http.tls_cert_file and http.behind_proxy:
        yield ("http", "behind_proxy"), "the proxy speaks TLS with clients, so take tls_cert_file and tls_key_file out"
