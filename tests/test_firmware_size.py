"""What the firmware takes of flash and RAM: within the goal, and what is committed in `firmware/expected`.

With IIOT_BLESS=1 the figures of the toolchain that was used are written anew. Its versions differ a little, so a difference counts from two
percent on.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parent.parent / "firmware"
BUILT = FIRMWARE / "target" / "thumbv7em-none-eabihf" / "release"
LIMITS = {"flash_bytes": 48 * 1024, "static_ram_bytes": 12 * 1024}
FLASH, RAM = range(0x08000000, 0x08080000), range(0x20000000, 0x20020000)
ALLOCATED, NOBITS = 2, 8
BLESS = "IIOT_BLESS" in os.environ


def sizes(elf: Path) -> dict[str, int]:
    """Add up the sections that lie in flash, and those that lie in RAM; initial values of RAM lie in flash too."""
    image = elf.read_bytes()
    (offset,) = struct.unpack_from("<I", image, 32)
    size, count = struct.unpack_from("<2H", image, 46)
    flash = ram = 0
    for number in range(count):
        _name, kind, flags, address, _offset, length, *_rest = struct.unpack_from("<10I", image, offset + size * number)
        if not flags & ALLOCATED:
            continue
        flash += length if address in FLASH or (address in RAM and kind != NOBITS) else 0
        ram += length if address in RAM else 0
    return {"flash_bytes": flash, "static_ram_bytes": ram}


@pytest.mark.parametrize("name", ["node1-firmware", "node2-firmware"])
def test_the_firmware_is_as_large_as_expected(name: str) -> None:
    """It fits the goal, and grows only with a commit that says so."""
    if not (BUILT / name).is_file():
        message = "the firmware is not built; scripts/build-firmware.sh board builds it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    toolchain = (FIRMWARE / "target" / "toolchain").read_text().strip()
    found = sizes(BUILT / name)
    file = FIRMWARE / "expected" / f"{name}.json"
    expected = json.loads(file.read_text())
    if BLESS:
        expected[toolchain] = found
        file.write_text(json.dumps(expected, indent=2, sort_keys=True) + "\n")

    print(name, toolchain, found)
    for what, limit in LIMITS.items():
        assert found[what] < limit
        assert found[what] == pytest.approx(expected[toolchain][what], rel=0.02), f"{what} of {name}: IIOT_BLESS=1 writes {file}"
