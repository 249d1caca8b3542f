"""The errors of the gateway. The class of an error tells the caller whether to try again.

GatewayError
|-- ConfigError            also ValueError; carries every fault, each with its place
|-- ProfileInvalid         also ValueError; carries every fault of one profile file
|-- SourceError
|   |-- SourceUnavailable      retry
|   `-- RecordingUnreadable    do not retry; ends the program
|-- RecordingUnwritable    do not retry; `record` cannot write its file any further
|-- RecordingInvalid       also ValueError; not a recording, or of an unknown version
|-- SinkError
|   |-- SinkUnavailable        retry; ends the program only with on_start = "fail"
|   `-- SettingUnusable        do not retry; a URL or certificate that cannot be used
|-- JournalUnusable        do not retry: locked, damaged, of an unknown version
|-- HistoryUnusable        do not retry: missing, damaged, of an unknown version
|-- RegistryUnusable       retry if it is locked or full; otherwise a person must act
|-- OutputUnwritable       standard output cannot be written
`-- GatewayUnreachable     no gateway answers on the control socket
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass

PROGRAM = "iiot-gateway"


def command(words: str) -> str:
    """Return a command of this program in the form in which a person can type it: in a checkout the program is not on the path."""
    called = sys.argv[0]
    if os.path.basename(called) != PROGRAM or shutil.which(PROGRAM) is not None:
        return f"{PROGRAM} {words}"
    # A person who reads the log later may be in another folder.
    if sys.stderr.isatty():
        with suppress(OSError):  # the working folder may no longer exist
            near = os.path.relpath(called)
            called = called if near.startswith("..") else near
    return f"{called} {words}"


class GatewayError(Exception):
    """Any error that the gateway raises on purpose. Its text is written for the operator."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in a file. Line 0 means the file as a whole, or the environment."""

    place: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.place}:{self.line}" if self.line else self.place
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class ConfigError(GatewayError, ValueError):
    """The configuration cannot be used."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class ProfileInvalid(GatewayError, ValueError):
    """A profile file cannot be used."""

    def __init__(self, place: str, faults: list[tuple[int, str]]) -> None:
        self.faults = [Fault(place, line, "", message) for line, message in faults]
        super().__init__("\n".join(str(fault) for fault in self.faults))


class SourceError(GatewayError):
    """A source cannot give data."""


class SourceUnavailable(SourceError):
    """The source is not available now; try again."""


class RecordingUnreadable(SourceError):
    """A recording could not be read any further."""


class RecordingUnwritable(GatewayError):
    """A recording cannot be written any further."""


class RecordingInvalid(GatewayError, ValueError):
    """A recording cannot be read."""


class SinkError(GatewayError):
    """A sink cannot deliver."""


class SinkUnavailable(SinkError):
    """The other side is not available now; try again."""


class SettingUnusable(SinkError, ValueError):
    """A URL or certificate of a sink cannot be used."""


class JournalUnusable(GatewayError):
    """The journal cannot be opened or used."""

    def __init__(self, kind: str, path: str, detail: str) -> None:
        self.kind = kind
        super().__init__(f"the journal {path} cannot be used ({kind}): {detail}")


class HistoryUnusable(GatewayError):
    """A history cannot be read."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind = kind
        super().__init__(f"the history cannot be read ({kind}): {detail}")


class RegistryUnusable(GatewayError):
    """The registry of devices cannot be opened or used."""

    def __init__(self, path: str, detail: str, remedy: str) -> None:
        self.detail = detail
        self.remedy = remedy
        super().__init__(f"the registry {path} cannot be used: {detail}; {remedy}")


class OutputUnwritable(GatewayError):
    """Standard output cannot be written. This is no OSError, because commands treat an OSError as a fault of the files that they read."""


class GatewayUnreachable(GatewayError):
    """No gateway answers on the control socket beside the journal."""
