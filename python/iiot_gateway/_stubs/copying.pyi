"""What `rust/iiot-native/src/copying.rs` gives to Python."""

from typing import Self, final

@final
class CopyProgress:
    """The progress of a copy of a file. All methods may be called from any thread."""

    def __new__(cls) -> Self: ...
    def cancel(self) -> None:
        """End the copy at its next step, with an error."""
    def pages(self) -> tuple[int, int]:
        """The number of copied pages, and of pages in the file; (0, 0) before the first step."""

def copy_file(path: str, to: str, progress: CopyProgress) -> None:
    """Copy the present state of an SQLite file into a new one, synced. Others may write to it meanwhile. Raises JournalError. Blocks; releases the interpreter."""

def check_file(path: str) -> list[str]:
    """Read every page of an SQLite file that nobody writes, and check the checksums of a journal's frames. Returns the faults. Raises JournalError."""
