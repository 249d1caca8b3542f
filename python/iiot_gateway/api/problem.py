"""A request that cannot be answered, as JSON: {"error": a constant name, "message": what is wrong, "remedy": what to do}."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(eq=False)
class Problem(Exception):
    """Raised by a handler, written by whoever called it."""

    status: int
    error: str
    message: str
    remedy: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """Return the document."""
        return json.dumps({"error": self.error, "message": self.message, "remedy": self.remedy}).encode()


NOT_FOUND = Problem(404, "not_found", "there is nothing at this address", "/api/v1/openapi.json lists what there is")
METHOD_NOT_ALLOWED = Problem(405, "method_not_allowed", "this address can only be read", "use GET", {"allow": "GET, HEAD"})
