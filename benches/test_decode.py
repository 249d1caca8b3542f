"""Decoding a log to line protocol: the extension and the plain Python that it replaces, each right before it is measured."""

from __future__ import annotations

from typing import Any

import pytest

from recordings import generated
from stock import chunks, decoder, parsed, with_fstrings, with_points

pytestmark = pytest.mark.native

PACKETS = 500


@pytest.fixture(scope="module")
def pieces() -> list[bytes]:
    """Return a short log in the shape of a recorded one."""
    return chunks(generated(PACKETS))


def lines_of(decoded: list[Any]) -> list[str]:
    """Return the lines of decoded chunks."""
    return b"".join(part.lines() for part in decoded).decode().splitlines()


def test_decoder(benchmark: Any, pieces: list[bytes]) -> None:
    """The extension gives the points that `influxdb_client` gives."""
    decode = decoder()
    assert parsed(lines_of(decode(pieces))) == parsed(with_points(pieces))

    benchmark(decode, pieces)


def test_fstrings(benchmark: Any, pieces: list[bytes]) -> None:
    """`json` and f-strings give the same points."""
    assert parsed(with_fstrings(pieces)) == parsed(with_points(pieces))

    benchmark(with_fstrings, pieces)


def test_stock_python(benchmark: Any, pieces: list[bytes]) -> None:
    """`json` and `Point.to_line_protocol` give points for more than nine of ten packets."""
    assert len(with_points(pieces)) > 0.9 * PACKETS * 10

    benchmark(with_points, pieces)
