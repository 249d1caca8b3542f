"""Takes over the configuration files of Telegraf. Nothing here connects or writes: texts go in, texts and a report come out.

`conf` reads a file into its sections, which report each of their keys once (`section`). `inputs`, `outputs` and `general` take what they
know from them, `written` makes the gateway's files of it, and `translate` joins all.
"""
