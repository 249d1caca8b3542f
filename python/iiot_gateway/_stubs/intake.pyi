"""What `rust/iiot-native/src/intake.rs` gives to Python."""

from collections.abc import Callable
from typing import final

@final
class Intake:
    """Takes the bytes of one source. Calls must not overlap."""

    resume_offset: int
    """For a recording: the offset from which to push its stream. Give the bytes before it to `skip`."""
    finished: bool
    """For a recording: whether the journal already has it to its end."""
    def skip(self, chunk: bytes) -> None:
        """For a resumed recording, before the first `push`: take its bytes before `resume_offset`, which show the RTT channel at that place."""
    def push(self, chunk: bytes, received_at_ns: int) -> int:
        """Frame and queue a chunk. Never waits for the disk. Returns how many documents (good or damaged) the chunk completed."""
    def push_message(self, topic: bytes, document: bytes, received_at_ns: int, settled: int) -> None:
        """Queue a message, which is a whole document, with its topic. `settled` is the offset behind the message in its recording."""
    def read(self, descriptor: int, stop: int, listener: Callable[[bytes], object] | None = None) -> bytes:
        """Push all bytes from a descriptor until its other end, or that of `stop`, hangs up. Releases the interpreter throughout.

        The listener is called with every chunk, on this thread and with the interpreter; an exception in it is printed and has no other effect. Returns the last 4,096 bytes.
        Raises OSError when the device is gone.
        """
    def traffic(self) -> tuple[int, float, int, float]:
        """The counts of `read`: bytes, Unix time in seconds of the last ones (0 for never), documents, Unix time of the last document."""
    def wait_room(self, timeout_s: float) -> bool:
        """Wait until less than 4 MB of this source wait for the disk. False on a time-out (the disk is full or slow)."""
    def finish(self, received_at_ns: int) -> int:
        """End the stream: an open document is damaged, and a recording is marked as finished."""
    def restart(self) -> None:
        """Note that the stream was interrupted (port unplugged, probe-rs ended): an open document is damaged, and framing begins again."""
    def settled(self, timeout_s: float) -> bool:
        """Wait until all pushed data is committed. False on a time-out."""
