"""Sources of bytes and messages: a file or folder for each."""
