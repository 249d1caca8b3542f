"""A request that cannot be answered, as a problem document (RFC 9457).

{"type": "urn:iiot-gateway:problem:NAME", "title": NAME in words, "status": 422, "detail": what is wrong,
"error": NAME, "message": what is wrong, "remedy": what to do}. The last three members are the gateway's own, and older than the others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

PROBLEM_TYPE = "application/problem+json"


@dataclass(eq=False)
class Problem(Exception):
    """Raised by a handler; the caller of the handler sends it as the answer."""

    status: int
    error: str
    message: str
    remedy: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """Return the document."""
        document = {
            "type": f"urn:iiot-gateway:problem:{self.error}",
            "title": self.error.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.message,
            "error": self.error,
            "message": self.message,
            "remedy": self.remedy,
        }
        return json.dumps(document).encode()


NOT_FOUND = Problem(404, "not_found", "there is nothing at this address", "/api/v1/openapi.json lists all addresses")
METHOD_NOT_ALLOWED = 405


def method_not_allowed(allowed: str) -> Problem:
    """Return the problem for a method that an address does not accept."""
    return Problem(
        METHOD_NOT_ALLOWED, "method_not_allowed", f"this address takes {allowed}", "use one of these methods", {"allow": allowed}
    )


def fault(error: Exception) -> Problem:
    """Return the problem for a fault in the gateway itself."""
    return Problem(500, "internal", str(error) or repr(error), "the gateway's log says more")
