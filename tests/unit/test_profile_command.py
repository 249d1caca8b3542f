"""`profile test` and `profile template`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from iiot_gateway.cli.main import main

PROFILE = """
name = "plant"
[[point]]
filter = "plant/{line}/dosing"
measurement = "dosing"
tags = { line = "{line}" }
[point.fields]
actual_g = { path = "actual", type = "number", topic = "{line}/actual_g", retain = true }
duration_ms = "integer"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a profile."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plant.toml").write_text(PROFILE)
    return tmp_path


def test_each_document_is_shown_with_what_it_yields(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines, topics and rejects stand under their document, and a reject makes the exit code 1."""
    (folder / "documents").write_text('{"actual":12.50,"duration_ms":45000}\n\n{"actual":"much","duration_ms":1}\n{"actual":\n')

    code = main(["profile", "test", "plant.toml", "documents", "--topic", "plant/one/dosing"])

    assert code == 1
    shown = [line.rpartition(" ")[0] if line.startswith("  line") else line for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        'plant/one/dosing: {"actual":12.50,"duration_ms":45000}',
        "  line    dosing,line=one actual_g=12.50,duration_ms=45000i",
        "  topic   iiot/one/actual_g = 12.50 (retained)",
        'plant/one/dosing: {"actual":"much","duration_ms":1}',
        "  line    dosing,line=one duration_ms=1i",
        "  reject  at byte 11: actual: not a number: much",
        'plant/one/dosing: {"actual":',
        '  reject  at byte 10: the stream ended inside the document at byte 10: {"actual":',
        "3 documents: 2 points, 2 rejects",
    ]


@pytest.mark.parametrize(
    ("time", "said"), [(5_000, "an uptime"), (1_100_000_000, "not believed"), (4_000_000_000, "not believed"), (1_700_000_000, None)]
)
def test_a_time_that_is_not_used_is_said(folder: Path, capsys: pytest.CaptureFixture[str], time: int, said: str | None) -> None:
    """An uptime, a time before `earliest` or too far ahead; the values then have the time of arrival."""
    time_format = "uptime_ms" if said == "an uptime" else "unix_s"
    profile = PROFILE.replace("[[point]]", f'[time]\npath = "at"\nformat = "{time_format}"\n[[point]]', 1)
    (folder / "plant.toml").write_text(profile)
    (folder / "document").write_text(json.dumps({"actual": 1, "at": time}))

    assert main(["profile", "test", "plant.toml", "document", "--topic", "plant/one/dosing"]) == 0
    shown = capsys.readouterr().out
    times = [line for line in shown.splitlines() if line.startswith("  time")]
    assert len(times) == (said is not None)
    assert said is None or said in times[0]
    assert (f"actual_g=1 {time}000000000" in shown) == (said is None)


def test_a_document_over_several_lines_is_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is one JSON value is one message, line feeds and all."""
    (folder / "document").write_text(json.dumps({"actual": 1, "duration_ms": 2}, indent=2))

    assert main(["profile", "test", "plant.toml", "document", "--topic", "plant/one/dosing"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 documents: 1 points, 0 rejects"


def test_files_are_looked_for_where_the_command_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not beside the configuration, whose own paths are."""
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/config.toml").write_text('[gateway]\ntags = { site = "north" }\n')
    (folder / "document").write_text('{"actual":1}')

    test = ["profile", "--config", "elsewhere/config.toml", "test", "plant.toml", "document", "--topic", "plant/one/dosing"]
    assert main(test) == 0
    assert "site=north" in capsys.readouterr().out


def test_recorded_messages_bring_their_topics(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of `mosquitto_sub -F %j` are messages; numbers keep their text, and a topic that nobody takes is told."""
    messages = [
        {"tst": "2026-11-28T12:00:00.000000Z+0000", "topic": "plant/two/dosing", "qos": 1, "payload": '{"actual":0.10}'},
        {"topic": "plant/two/other", "payload": "1"},
    ]
    (folder / "messages").write_text("".join(json.dumps(message) + "\n" for message in messages))

    assert main(["profile", "test", "plant.toml", "messages"]) == 1
    shown = capsys.readouterr().out
    assert "dosing,line=two actual_g=0.10 " in shown
    assert "no filter of the profile's points matches the topic plant/two/other" in shown


NODE = '{"ts":%d,"id":"N2","n1":{"t":%s,"seq":%d}}'
FIRMWARE_LINE = "[INFO ] JSON sent via VCP: %s\\n (node2_firmware src/main.rs:573)\n"


def recording(*chunks: bytes) -> bytes:
    """Return what `record` writes for a stream."""
    at_s = 1_700_000_000
    return b"iiot-recording 1 port\n" + b"".join(b"@%d000000000 %d\n%b\n" % (at_s + i, len(c), c) for i, c in enumerate(chunks))


def test_a_log_is_read_as_a_source_reads_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text around a document belongs to no document; a cut document costs only itself; two documents may share a line."""
    log = "[INFO ] UART INT: 47 bytes\n" + FIRMWARE_LINE % (NODE % (1000, "21.50", 1)) + FIRMWARE_LINE % '{"ts":2000,"n1":{"t":2'
    (folder / "log").write_text(log + FIRMWARE_LINE % (NODE % (3000, "3", 3) + NODE % (4000, "4", 4)))

    assert main(["profile", "test", "lora-bridge", "log"]) == 1
    shown = capsys.readouterr().out.splitlines()
    whole = [NODE % (1000, "21.50", 1), NODE % (3000, "3", 3), NODE % (4000, "4", 4)]
    assert [line[:21] for line in shown if line.startswith("{")] == [text[:21] for text in (whole[0], '{"ts":2000,"n1":{"t":2', *whole[1:])]
    assert [line for line in shown if line in whole] == whole
    assert [line.split()[2] for line in shown if line.startswith("  line")] == ["value=21.50", "value=3", "value=4"]
    assert len([line for line in shown if line.startswith("  reject")]) == 1
    assert shown[-1] == "4 documents: 3 points, 1 rejects"


def test_a_recording_is_read_as_a_source_reads_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A document may be spread over chunks, and has the time at which its last chunk arrived. Only the wanted RTT channel is read."""
    first, second = (NODE % (1000 * i, "21.50", i) for i in (1, 2))
    (folder / "bytes").write_bytes(recording(b"21.5}}\n" + first[:20].encode(), first[20:].encode() + b"\n", second.encode()))
    channels = f'[json] {first}\n[other] {{"n1":{{"t":99}}}}\n[json] {second[:30]}[other] a line\n[json] {second[30:]}\n'
    (folder / "channels").write_bytes(recording(channels.encode()))
    (folder / "config.toml").write_text('[gateway]\nrtt_channel = "json"\n')

    for name in ("bytes", "channels"):
        assert main(["profile", "test", "lora-bridge", name]) == 0, name
        shown = capsys.readouterr().out.splitlines()
        assert shown[0] == first, name
        assert [line.split()[2] for line in shown if line.startswith("  line")] == ["value=21.50"] * 2, name
        assert shown[-1] == "2 documents: 2 points, 0 rejects", name
        if name == "bytes":
            assert shown[1].endswith(" value=21.50 1700000001000000000")


def test_an_excerpt_is_not_taken_for_a_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If another channel's text is within a document, only its faulty value is shown, whose path is in the profile."""
    (folder / "log").write_text('[json] ready\n[other] boot\n[json] {"n1":{"t":1,[other] a line\n[json] "h":"5"}}\n')
    (folder / "config.toml").write_text('[gateway]\nrtt_channel = "json"\n')

    assert main(["profile", "test", "lora-bridge", "log"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "5"
    assert shown[-1] == "1 documents: 1 points, 1 rejects"
    assert not any("no metric or point" in line for line in shown)


@pytest.mark.parametrize("command", ["profile", "decode"])
def test_a_recording_of_messages_brings_its_topics(folder: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Both commands read what `record` writes for a source with topics, and name the topic of a reject."""
    messages = [(b"plant/two/dosing", b'{"actual":0.10}'), (b"plant/two/dosing", b'{"actual":')]
    written = b"".join(b"@1700000000000000000 %d %d\n%b%b\n" % (len(t), len(p), t, p) for t, p in messages)
    (folder / "messages").write_bytes(b"iiot-recording 2 broker\n" + written)
    words = ["profile", "test", "plant.toml", "messages"] if command == "profile" else ["decode", "messages", "--profile", "plant.toml"]

    assert main(words) == 1
    shown = capsys.readouterr().out
    assert "dosing,line=two actual_g=0.10 1700000000000000000" in shown
    assert ("plant/two/dosing: " if command == "profile" else "reject under plant/two/dosing at byte ") in shown


def test_a_recording_without_documents_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As for `decode`, with the likely reason."""
    (folder / "noise").write_bytes(recording(b"boot\n", b"ready\n"))

    assert main(["profile", "test", "plant.toml", "noise"]) == 1
    assert "noise holds no document in its 11 bytes" in capsys.readouterr().err


def test_bare_texts_are_documents(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A profile whose points need no topic accepts them; they are not taken for a log without documents."""
    (folder / "bare.toml").write_text('name = "bare"\n[[metric]]\npath = "."\nmeasurement = "m"\ntype = "any"\n')
    (folder / "states").write_text("ON\n27.6\ntrue\n")

    assert main(["profile", "test", "bare.toml", "states"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 documents: 3 points, 0 rejects"


def test_the_template_is_a_profile(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints can be used as it stands, also with every line that is commented out."""
    assert main(["profile", "template"]) == 0
    template = capsys.readouterr().out
    everything = "\n".join(line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in template.splitlines())
    everything = everything.replace('format = "auto"', 'format = "local"', 1).replace("A profile says", "# A profile says")
    (folder / "template.toml").write_text(template)
    (folder / "everything.toml").write_text(everything)
    (folder / "value").write_text("27.6\n")

    for name in ("template.toml", "everything.toml"):
        assert main(["profile", "test", name, "value", "--topic", "plant/one/state/level"]) == 0, name
        assert "level,line=one value=27.6 " in capsys.readouterr().out


def test_a_built_in_profile_is_printed_to_be_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its rules of alerts with it; a name that there is not gets the list."""
    assert main(["profile", "template", "gateway-topics"]) == 0
    (folder / "site.toml").write_text(capsys.readouterr().out.replace('"iiot/', '"north/'))
    (folder / "value").write_text("27.6")
    assert main(["profile", "test", "site.toml", "value", "--topic", "north/node1/temperature"]) == 0
    assert "temperature,node=node1 value=27.6 " in capsys.readouterr().out

    with pytest.raises(SystemExit):
        main(["profile", "template", "gateway-topic"])
    assert "'gateway-topics'" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_is_read_as_other_commands_read_it(folder: Path, capsys: pytest.CaptureFixture[str], encoding: str) -> None:
    """A byte order mark, UTF-16 and gzip are no part of the documents."""
    (folder / "documents.gz").write_bytes(gzip.compress('{"actual":1}'.encode(encoding)))

    assert main(["profile", "test", "plant.toml", "documents.gz", "--topic", "plant/one/dosing"]) == 0
    assert "dosing,line=one actual_g=1 " in capsys.readouterr().out


def test_what_cannot_be_a_document_costs_only_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets without end are a reject, and a file without anything is an error."""
    (folder / "deep").write_text("[" * 100_000 + "\n" + '{"actual":1}\n')
    (folder / "empty").write_text("\n")

    assert main(["profile", "test", "plant.toml", "deep", "--topic", "plant/one/dosing"]) == 1
    assert capsys.readouterr().out.endswith("2 documents: 1 points, 1 rejects\n")
    assert main(["profile", "test", "plant.toml", "empty"]) == 1
    assert "empty holds no document in its 1 bytes" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says which file it is."""
    assert main(["profile", "test", "plant.toml", "nowhere"]) == 1
    assert "nowhere cannot be read: No such file or directory" in capsys.readouterr().err


def unnamed(folder: Path, capsys: pytest.CaptureFixture[str], profile: str, documents: list[str], topic: str | None = None) -> list[str]:
    """Return the lines about values that no path names."""
    (folder / "mine.toml").write_text(f'name = "mine"\n{profile}')
    (folder / "documents").write_text("".join(f"{document}\n" for document in documents))
    assert main(["profile", "test", "mine.toml", "documents", *([] if topic is None else ["--topic", topic])]) == 0
    *shown, sums = capsys.readouterr().out.splitlines()
    assert sums.startswith(f"{len(documents)} documents: ")
    return [line for line in shown if "no metric or point" in line]


TEMPERATURE = '[[metric]]\npath = "n1.t"\nmeasurement = "t"\n'


def test_a_value_that_no_path_names_is_named_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the number of its documents, also in a log, where a new value is often looked for. Rejected documents do not count."""
    documents = ['{"n1":{"t":27.6,"lux":412.5}}', '{"n1":{"t":28},"fault":null,"a.b":[{"c":1},{"c":2}]}', '{"n1":{"t":27.6,"lux":412.5}}']
    expected = ["n1.lux: no metric or point has this path (2 documents)", '"a.b"[*].c: no metric or point has this path (1 document)']

    assert unnamed(folder, capsys, TEMPERATURE, documents) == expected

    (folder / "log").write_text("".join(FIRMWARE_LINE % document for document in (*documents, '{"n1":{"lux":1}}', '{"n1":{"t')))
    assert main(["profile", "test", "mine.toml", "log"]) == 1
    assert capsys.readouterr().out.splitlines()[-3:-1] == expected


EVERYTHING = """
[clock]
uptime_ms = "ts"
packet_counter = "sts.rx"
age_ms = "age"
[time]
path = ["at", "when"]
format = "unix_s"
device = "id"
[[sequence]]
node = "{name}"
object = "raw"
seq = "nodes.node3.seq"
boot = "nodes.node3.boot"
[receiver]
rssi = "sig.rssi"
snr = "sig.snr"
[[metric]]
path = "nodes.*.t"
topic = "{where}/{1}"
measurement = "{kind}"
tags = { x = "{tags.x}" }
unless = ["off"]
[[metric]]
path = '"a.b".c[0].d'
measurement = "d"
[[ignore]]
name = "join"
has = ["joined"]
lacks = ["fcnt"]
[[point]]
each = "doses[*]"
measurement = "dose"
tags = { line = "{line}", pump = "{pump}" }
time = { path = "dosed", format = "unix_s" }
[point.fields]
g = "number"
ms = { path = "took.ms", type = "integer", topic = "{unit}/ms", unless = ["dry"] }
"""


def test_what_any_part_of_a_profile_uses_is_not_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Clock, time, sequence, receiver, templates, conditions, items and the values around them."""
    document = {
        "ts": 1,
        "sts": {"rx": 1},
        "age": 0,
        "at": 1_700_000_000,
        "when": 1_700_000_000,
        "id": "x",
        "name": "node3",
        "raw": "AA",
        "nodes": {"node3": {"t": 1, "seq": 1, "boot": 1}, "node4": {"t": 2}},
        "sig": {"rssi": -50, "snr": 9},
        "where": "hall",
        "kind": "t",
        "tags": {"x": "y"},
        "off": False,
        "a.b": {"c": [{"d": 0}, {"d": 1}]},
        "fcnt": 1,
        "doses": [{"g": 1, "took": {"ms": 5}, "pump": "A", "unit": "u", "dry": False, "dosed": 1_700_000_000}, {"g": 2}],
        "line": "one",
        "pump": "B",
    }
    assert unnamed(folder, capsys, EVERYTHING, [json.dumps(document)]) == []

    document |= {"lux": 1, "nodes": {"node3": {"t": 1, "lux": 2}}, "doses": [{"g": 1, "took": {"s": 1}}], "g": 3, "tags": {"z": 1}}
    paths = [line.split(": ")[0] for line in unnamed(folder, capsys, EVERYTHING, [json.dumps(document)])]
    assert paths == ["nodes.node3.lux", "tags.z", "doses[*].took.s", "lux"]


@pytest.mark.parametrize(
    ("others", "document", "paths"),
    [
        ("", '{"a":1,"b":{"c":2},"d":[3]}', ["b.c", "d[*]"]),
        ('flatten = "_"', '{"a":1,"b":{"c":2},"d":[3]}', []),
        ('within = "data"', '{"data":{"a":1,"b":{"c":2}},"e":3}', ["data.b.c", "e"]),
        ('within = "data"\nflatten = "_"\ntag_objects = ["meta"]', '{"data":{"b":{"c":2}},"meta":{"x":"y"},"e":3}', ["e"]),
        ('value = "{kind}"', "27.6", []),
    ],
)
def test_other_values_are_used_where_the_profile_takes_them(
    folder: Path, capsys: pytest.CaptureFixture[str], others: str, document: str, paths: list[str]
) -> None:
    """`[point.others]` takes the values of one object, and those below only with `flatten`."""
    profile = f'[[point]]\nfilter = "{{kind}}"\nmeasurement = "m"\n[point.others]\n{others}\n'

    assert [line.split(":")[0] for line in unnamed(folder, capsys, profile, [document], "t")] == paths


def test_items_have_their_own_values(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of an array at the place of `each`, and of a document that is an array. A bare item makes a point of the values around it."""
    others = '[[point]]\nmeasurement = "m"\neach = "d"\n[point.others]\n'
    of_items = unnamed(folder, capsys, others, ['{"d":[{"x":1,"n":{"y":2}}],"outer":5}', '{"d":{"z":1}}'])
    assert [line.split(":")[0] for line in of_items] == ["d[*].n.y", "outer"]

    bare = '[[point]]\nmeasurement = "m"\neach = "d"\nfields = { outer = "number" }\n'
    assert unnamed(folder, capsys, bare, ['{"d":7,"outer":5}', '{"d":[7,8],"outer":5}']) == []

    of_array = unnamed(folder, capsys, TEMPERATURE, ['[{"n1":{"t":1}},{"n1":{"t":2,"lux":3}}]'])
    assert [line.split(":")[0] for line in of_array] == ["[*].n1.lux"]


def test_only_the_points_of_the_topic_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that another topic's point has is unused under this topic, and the topic is named."""
    other = '[[point]]\nfilter = "plant/+/level"\nmeasurement = "level"\nfields = { percent = "number" }\n'
    profile = PROFILE.partition("\n[[point]]")[2]

    shown = unnamed(folder, capsys, f"[[point]]{profile}{other}", ['{"actual":1,"percent":2}'], "plant/one/dosing")

    assert shown == ["percent: no metric or point for topics such as plant/one/dosing has this path (1 document)"]


def test_names_of_values_are_bounded_and_harmless(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A document may have any keys, and as many as it likes."""
    document = json.dumps({"n1": {"t": 1}, "\x1b[2J": 1, "k" * 500: 1} | {f"k{i}": i for i in range(100)})

    shown = unnamed(folder, capsys, TEMPERATURE, [document])

    assert shown[0] == r'"\x1b[2J": no metric or point has this path (1 document)'
    assert len(shown) == 51
    assert max(map(len, shown)) < 200
    assert shown[-1] == "no metric or point has any of further paths; only the first 50 are shown"
