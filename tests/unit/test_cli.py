"""What the command line refuses: in one line, with the exit code that says whose mistake it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from iiot_gateway.cli.main import COMMANDS, main
from iiot_gateway.cli.moments import moment_ns
from iiot_gateway.cli.status import table


def test_every_command_has_a_file_and_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` works for each command, and each takes --config."""
    for command in COMMANDS:
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
        assert "--config FILE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: COMMAND"),
        (["runn"], "invalid choice: 'runn'"),
        (["replay"], "required: FILE"),
        (["replay", "x", "--speed", "0"], "expected max or a number above 0, found '0'"),
        (["replay", "x", "--speed", "nan"], "expected max or a number above 0, found 'nan'"),
        (["replay", "x", "--start", "yesterday"], "expected a time like 2023-01-04T21:31:22Z, found 'yesterday'"),
        (["replay", "x", "--once", "--timeout", "-1"], "expected seconds above 0"),
        (["rejects", "--limit", "none"], "expected a whole number above 0, found 'none'"),
        (["replay", "x", "--start", "9999-12-31"], "expected a time between the years 1970 and 2262"),
        (["config"], "required: action"),
    ],
)
def test_wrong_arguments_exit_with_2_and_say_what_was_expected(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line names the argument."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_a_faulty_configuration_gives_a_line_a_fault_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, every fault."""
    file = tmp_path / "config.toml"
    file.write_text("[mqtt]\nqos = 9\nqoss = 1\n")

    code = main(["status", "--config", str(file)])

    err = capsys.readouterr().err.splitlines()
    assert code == 1
    assert [line.partition("config.toml")[2][:8] for line in err] == [":2: mqtt", ":3: mqtt"]


def test_the_template_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints what the loader reads."""
    assert main(["config", "template"]) == 0
    assert "[mqtt]" in capsys.readouterr().out


def test_a_start_time_is_exact_to_the_microsecond_and_utc_without_a_zone() -> None:
    """No float stands between the text and the nanoseconds."""
    assert moment_ns("2023-01-04T21:31:22Z") == 1672867882000000000
    assert moment_ns("2023-01-04T21:31:22.000001") == 1672867882000001000
    assert moment_ns("2023-01-04T22:31:22+01:00") == 1672867882000000000


def test_the_ledger_is_printed_as_a_table() -> None:
    """Each sink has its row, its state and its last error."""
    document = {
        "gateway": {"version": "0.1.0", "uptime_s": 5.0, "frames_per_s": 2.5, "log_lines_lost": 0, "notes": ["a value may come twice"]},
        "intake": {"received": 12653, "accepted": 10631, "duplicate": 1981, "rejected": 41, "lost_on_air": 7},
        "journal": {"bytes": 5_000_000, "frames": 12, "hours_left": 31.25},
        "sinks": {
            "mqtt": {"delivered": 10631, "queued": 0, "rejected": 0, "dropped": 0, "superseded": 0, "state": "stopped", "last_error": None}
        },
        "source": {},
        "refused": {"broker": {"wrong_key": 1200, "foreign_topic": 2}, "devices": {}},
    }

    lines = table(document).splitlines()

    assert lines[0] == "gateway   0.1.0, up 0 min 5 s, 2.5 frames/s"
    assert lines[1] == "intake    12 653 received, 10 631 accepted, 1 981 duplicate, 41 rejected, 7 lost on air"
    assert lines[2] == "journal   12 frames in 5.0 MB; at the present rate there is room for 31.2 hours"
    assert lines[3:5] == ["refused   by broker: 1 200 wrong_key, 2 foreign_topic", "note      a value may come twice"]
    assert lines[-1].split() == ["mqtt", "10", "631", "0", "0", "0", "0", "stopped"]
    assert table({**document, "gateway": None}).startswith("gateway   not running\n")
