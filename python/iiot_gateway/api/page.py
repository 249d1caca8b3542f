"""The web page: the files that `scripts/build-web.sh` puts into `iiot_gateway/web`, served from memory.

A checkout that was built without npm has no page. The gateway still runs, and `/` says why there is no page.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "web"
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
NOT_BUILT = """\
iiot-gateway runs. There is no web page, because this checkout was built without npm: install nodejs and npm
(apt install nodejs npm), run scripts/build-web.sh, and start the gateway again.

The API works all the same: /api/v1/openapi.json, /api/v1/latest, /api/v1/status, /metrics.
"""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page."""

    body: bytes
    packed: bytes
    """The same by gzip."""
    headers: Mapping[str, str]


def load(folder: Path = FOLDER) -> dict[str, Asset]:
    """Return the files of the page by the path of their URL. Empty if the page was not built."""
    if not (folder / INDEX).is_file():
        return {}
    return {"/" + (name := str(file.relative_to(folder))): _asset(name, file) for file in sorted(folder.rglob("*")) if file.suffix in TYPES}


def _asset(name: str, file: Path) -> Asset:
    body = file.read_bytes()
    # The names of built files contain a hash of their content. Browsers request the page itself again each time.
    cache = "public, max-age=31536000, immutable" if name.startswith("assets/") else "no-cache"
    headers = {
        "content-type": TYPES[file.suffix],
        "cache-control": cache,
        "etag": f'"{sha256(body).hexdigest()[:16]}"',
        "vary": "accept-encoding",
    }
    return Asset(body, gzip.compress(body, 9, mtime=0), headers)
