"""Takes over the configuration files of Telegraf. Nothing here connects or writes: texts go in, texts and a report come out.

`conf` reads a file into its sections, which report each of their keys once (`section`). `inputs`, `outputs` and `general` translate the
keys that they know, `written` makes the gateway's files from the result, and `translate` calls all of them.
"""
