"""The history sink: writes every point to a file on this machine."""
