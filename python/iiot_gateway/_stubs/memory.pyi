"""What `rust/iiot-native/src/memory.rs` gives to Python."""

def share_arena() -> bool:
    """With glibc, let all threads allocate from one arena: the others can reuse memory that one thread has freed, and large blocks
    go back to the system at once. Call this before threads start."""
