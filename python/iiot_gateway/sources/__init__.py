"""Where bytes come from: one file a source."""
