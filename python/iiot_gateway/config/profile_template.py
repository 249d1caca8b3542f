"""The commented profile that `profile template` prints."""

TEMPLATE = """\
# A profile says what documents mean. Try it: iiot-gateway profile test THIS_FILE --topic plant/line1/dosing FILE
name = "plant"                            # required: letters, digits, - and _
description = "What these documents are."

# The time of a document, if it has one. A time that cannot be right is not believed; the document then has the time of its arrival.
[time]
path = "timestamp"                        # or a list, of which the first that leads to a value counts
format = "auto"                           # auto, unix_s, unix_ms, unix_us, unix_ns, rfc3339, local, uptime_ms, unix_s_or_uptime_ms,
                                          # or as strptime reads it: "%d.%m.%Y %H:%M"
# zone = "Europe/Vienna"                  # of `local` and `%`: the zone whose clock the document shows
# earliest = "2020-01-01T00:00:00Z"       # earlier times are not believed
# most_ahead_s = 86400                    # nor are those further ahead of their arrival
# device = "id"                           # what names the device, for uptimes; the topic by default
# repeats = "real"                        # equal documents with one time are both real; by default the second is a duplicate

# The node's clock, for documents with an uptime instead.
# [clock]
# uptime_ms = "ts"
# uptime_bits = 32                        # it wraps there
# packet_counter = "received"             # a count that only a restart lowers
# age_ms = "age"                          # how long the values had waited at their node

# What a node numbers, so that repeats and losses are known.
# [[sequence]]
# node = "{device}"
# seq = "seq"
# object = "data"                         # what is compared; the whole document by default
# boot = "boot"                           # changes when the node restarts
# modulus = 65536                         # the number wraps there

# What hears the nodes, where documents say something of it.
# [receiver]
# rssi = "signal.rssi"                    # in dBm, of the packet that the document tells of
# snr = "signal.snr"                      # in dB
# names = ["receiver"]                    # where the tag `node` is one of these, the value is the receiver's own

# A point: a measurement with tags, and any number of fields. It is one line in InfluxDB.
[[point]]
filter = "plant/{line}/dosing"            # only for documents under such topics; a list is possible; without it, for all
measurement = "dosing"
tags = { line = "{line}", pump = "{pump}" }   # {name}: a named level of the filter, or a value of the document
others = { except = ["debug"] }           # all other numbers and booleans are fields as well

[point.fields]
target_g = "number"                       # number, integer, bool, string, any
duration_ms = "integer"
# place = { level = "line", type = "string" }   # a named level of the topic: number, integer or string
actual_g = { path = "actual", type = "number", topic = "{line}/pump{pump}/actual_g", retain = true }   # published as well

# A point for each item of a list; what an item does not have is looked for beside the list.
[[point]]
filter = "plant/{line}/readings"
each = "readings[*]"
measurement = "reading"
tags = { line = "{line}", sensor = "{sensor}" }
time = { path = "at", format = "auto" }
fields = { value = "number" }

# Whatever a document holds, by patterns of names: * stands for any characters, ? for one.
[[point]]
filter = "plant/#"
except_filter = ["plant/+/dosing", "plant/+/readings", "plant/+/state/#"]   # not for documents under such topics
# each = "data"                           # begin at this value; if it is a list, at each item of it
measurement = "device"
tags = { topic = "{#}" }                  # {#} is the whole topic

[point.others]
flatten = "_"                             # values of objects and lists too: {"a":{"b":[1]}} has a_b_0
tags = ["id", "*_name"]                   # values that are tags
# fields = ["*"]                          # only such names are fields
# booleans = ["*"]                        # booleans that are fields; others are value faults
# strings = ["note"]                      # texts that are fields; others are value faults
except = ["debug*"]                       # names that are no fields

# The document is a bare value, such as 27.6; its name is in the topic.
[[point]]
filter = "plant/{line}/state/{name}"
measurement = "{name}"
tags = { line = "{line}" }
fields = { value = { path = ".", type = "any" } }

# The short form: a point with one field. A wildcard makes a point of every value that matches; {1} is what it matched.
# [[metric]]
# path = "nodes.*.t"
# topic = "{1}/temperature"
# measurement = "temperature"
# tags = { node = "{1}", unit = "celsius" }
# field = "value"
# type = "number"
# retain = true
"""
