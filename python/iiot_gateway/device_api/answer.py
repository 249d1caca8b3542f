"""A JSON answer with a fast encoder."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

_encoder = msgspec.json.Encoder()


class Answer(Response):
    """An answer: a document, and a status if it is not 200."""

    media_type = "application/json"

    def __init__(self, document: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(_encoder.encode(document), status_code, headers)
