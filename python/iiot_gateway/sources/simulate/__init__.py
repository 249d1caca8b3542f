"""The simulate source: sensor nodes that do not exist."""
