"""Where points go: one file a sink."""
