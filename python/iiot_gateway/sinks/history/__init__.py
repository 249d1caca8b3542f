"""The history sink: every point in a file on this machine."""
