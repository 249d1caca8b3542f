"""The destinations of points: one file or folder per sink."""
