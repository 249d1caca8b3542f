"""Translates the formats `json` and `value`, which say how a message becomes measurement, tags, fields and time.

`read` checks whether everything important can be translated, and reports nothing; `report` then reports each key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from iiot_gateway.telegraf import times, values
from iiot_gateway.telegraf.made import Point, literal
from iiot_gateway.telegraf.section import Section

NAME = "mqtt_consumer"
"""The measurement of a plugin that does not name one."""
VALUE_TYPES = {
    "integer": "integer",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "string": "string",
    "boolean": "bool",
    "auto_integer": "any",
    "auto_float": "any",
}
VALUE_TEXTS = {
    "bool": "`true` and `false`; other words that Telegraf takes for them are value faults",
    "string": "a text; one that is a JSON number, boolean or object is a value fault",
    "any": "a number, a boolean or a text, as the message is written",
}
INCLUDE = ("fieldpass", "fieldinclude")
EXCLUDE = ("fielddrop", "fieldexclude")
"""The first of each is the older name."""
OTHER_TAGS = "such tags are left out; those of [gateway] stay, except `host` where all plugins leave it out"
OTHER_FORMAT = "are not read here, those of `json` and `value` are; a profile may say what they mean (`iiot-gateway profile template`)"


@dataclass(slots=True)
class Shape:
    """The common properties of all points of a plugin."""

    data_format: str
    name: str = ""
    """`name_override`."""
    prefix: str = ""
    suffix: str = ""
    name_key: str = ""
    tag_patterns: list[str] = field(default_factory=list)
    string_patterns: list[str] = field(default_factory=list)
    include: list[str] | None = None
    exclude: list[str] = field(default_factory=list)
    include_tags: list[str] = field(default_factory=lambda: ["*"])
    exclude_tags: list[str] = field(default_factory=list)
    each: str = ""
    time: times.Time = field(default_factory=times.Time)
    value_field: str = "value"
    value_type: str = ""

    def measurement(self, of_topic: str | None) -> str:
        """Return the template of the measurement; `of_topic` is the one from `topic_parsing`."""
        name = literal(self.name) or of_topic or (self.named() if self.name_key else NAME)
        return f"{literal(self.prefix)}{name}{literal(self.suffix)}"

    def named(self) -> str:
        """Return the template for the value of `json_name_key`. It names every path where the value may be; all but one are empty."""
        return "".join(f"{{{path}}}" for path in values.paths(self.name_key, times.SEPARATOR))

    def point(self, filters: list[str], measurement: str, tags: dict[str, str], excepted: list[str]) -> Point:
        """Return a point for the messages of these topics."""
        point = Point(filters, measurement, tags, excepted)
        if self.data_format == "value":
            point.fields = {self.value_field: {"path": ".", "type": self.value_type}}
            return point
        point.each, point.time = self.each, self.time.rule
        # The value that names the measurement does not count as another value, so it needs a rule of its own.
        named = self.name_key if not self.name else ""
        if named and values.is_named(named, self.tag_patterns):
            point.tags = {named: self.named(), **tags}
        elif named and values.is_named(named, self.string_patterns):
            # Use only the key itself, because a field has one path.
            point.fields = {named: "string"}
        point.others = {"flatten": times.SEPARATOR}
        if self.tag_patterns:
            point.others["tags"] = self.tag_patterns
        if self.include is not None:
            point.others["fields"] = self.include
        # Telegraf drops other values silently. With a list, even an empty one, the gateway reports them.
        point.others["booleans"] = point.others["strings"] = self.string_patterns
        if excluded := [*self.exclude, *self.time.excluded]:
            point.others["except"] = excluded
        return point

    def has_tag(self, name: str) -> bool:
        """Return whether `taginclude` and `tagexclude` keep a tag."""
        return values.is_named(name, self.include_tags) and not values.is_named(name, self.exclude_tags)


def read(section: Section) -> Shape | str:
    """Read the format of a plugin. Return a text instead if the translation would give wrong points, and why."""
    shape = Shape(section.text("data_format") or "influx")
    if shape.data_format not in ("json", "value"):
        return f"messages of the format `{shape.data_format}` {OTHER_FORMAT}"
    shape.name, shape.prefix, shape.suffix = (section.text(key) or "" for key in ("name_override", "name_prefix", "name_suffix"))
    if shape.data_format == "value":
        return _read_value(section, shape)
    query = section.text("json_query") or ""
    each = values.query(query)
    if each is None:
        return "`json_query` is more than keys with dots between them; a profile with `each` may say the same"
    for key in ("tag_keys", "json_string_fields"):
        found = values.patterns(section.texts(key) or [])
        if found is None or (section.has(key) and section.texts(key) is None):
            return f"`{key}` is no list of patterns that have a like here"
        if key == "tag_keys":
            shape.tag_patterns = found
        else:
            shape.string_patterns = found
    shape.each = each
    shape.name_key = section.text("json_name_key") or ""
    shape.time = times.read(section)
    return shape


def _read_value(section: Section, shape: Shape) -> Shape | str:
    data_type = section.text("data_type") or ""
    if data_type not in VALUE_TYPES:
        return "`data_type` is none that is known here"
    shape.value_type = VALUE_TYPES[data_type]
    shape.value_field = section.text("value_field_name") or "value"
    return shape


def report(section: Section, shape: Shape) -> None:
    """Report the keys of the format, and the keys that select fields and tags."""
    for key in ("name_override", "name_prefix", "name_suffix"):
        text = section.text(key)
        if text is not None and literal(text) == text:
            section.taken(key, "in the measurement of the points")
        elif text is not None:
            section.differs(key, "in the measurement of the points; braces are `_` there")
    if shape.data_format == "json":
        section.taken("data_format", "JSON: objects, and lists of them")
        _report_json(section, shape)
        times.report(section, shape.time)
    else:
        section.taken("data_format", "the message is one value")
        if section.text("value_field_name") is not None:
            section.taken("value_field_name", "the field's name")
        if shape.value_type in VALUE_TEXTS:
            section.differs("data_type", VALUE_TEXTS[shape.value_type])
        else:
            section.taken("data_type", f"the field's type, `{shape.value_type}`")
    _choose_fields(section, shape)
    _choose_tags(section, shape)


def _report_json(section: Section, shape: Shape) -> None:
    if section.has("tag_keys"):
        section.taken("tag_keys", "tags of the points; a number is the tag that its text says: 1.50 is `1.50`, in Telegraf `1.5`")
    if section.has("json_string_fields"):
        section.taken(
            "json_string_fields", "texts and booleans that are fields; others vanish in Telegraf, and are counted as value faults here"
        )
    if section.text("json_name_key") is not None and shape.name:
        section.left_out("json_name_key", "name_override stands over it, in Telegraf too")
    elif section.text("json_name_key") is not None:
        section.differs("json_name_key", f"the measurement is the value of that key; where it is missing `_`, in Telegraf `{NAME}`")
    if section.text("json_query") is not None:
        section.taken("json_query", "`each`: a point for the object there, or for each one of a list")
    if section.flag("json_strict") is not None:
        section.differs("json_strict", "an item of a list that cannot be read costs itself, never the others")


def _choose_fields(section: Section, shape: Shape) -> None:
    for key in (*INCLUDE, *EXCLUDE):
        texts = section.texts(key)
        if texts is None:
            continue
        found = values.patterns(texts)
        if found is None:
            section.left_out(key, "it holds a pattern that has no like here; all fields are taken")
        elif shape.data_format == "value":
            if found and values.is_named(shape.value_field, found) != (key in INCLUDE):
                section.left_out(key, "it would leave out the only field")
            else:
                section.taken(key, "the only field is one that it lets through")
        elif key in INCLUDE:
            shape.include = [*(shape.include or []), *found] if found else shape.include
            section.taken(key, "the fields of the points")
        else:
            shape.exclude = [*shape.exclude, *found]
            section.taken(key, "fields that are left out")


def _choose_tags(section: Section, shape: Shape) -> None:
    for key in ("taginclude", "tagexclude"):
        texts = section.texts(key)
        if texts is None:
            continue
        found = values.patterns(texts)
        unclear = [pattern for pattern in shape.tag_patterns if set("*?") & set(pattern) and pattern not in (found or [])]
        if found is None or unclear:
            section.left_out(key, "which tags of tag_keys it is about cannot be told; leave them out there")
            continue
        is_wanted = key == "taginclude"
        gone = [pattern for pattern in shape.tag_patterns if values.is_named(pattern, found) != is_wanted]
        shape.tag_patterns = [pattern for pattern in shape.tag_patterns if pattern not in gone]
        shape.exclude = [*shape.exclude, *gone]
        if is_wanted:
            shape.include_tags = found
        else:
            shape.exclude_tags = found
        section.differs(key, "other tags are left out, but not those of [gateway]" if is_wanted else OTHER_TAGS)
