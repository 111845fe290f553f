"""The command line's outside: help, speed, exit codes."""

import re
import subprocess
import sys

import pytest
import typer

from foundation.progress import Event
from portrait.cli import GOES_ON, app, explain, main
from portrait.commands.progress import Progress
from portrait.services.events import Noted
from tests.portrait.conftest import ROOT, run

COMMANDS = [
    "fit",
    "edit",
    "mix",
    "render",
    "train",
    "adapt",
    "synthesize",
    "reenact",
    "live",
    "export",
    "import",
    "view",
    "serve",
    "demo",
    "doctor",
    "info",
]


def test_help_lists_the_commands():
    done = run("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from portrait.cli import main; main(['--help']); main(['fit', '--help']);"
        "heavy = {'torch', 'av', 'numba', 'cv2', 'numpy', 'mediapipe', 'facemodel', 'matplotlib'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_services_print_nothing_and_know_no_command():
    """A viewer or a server may call each of them; `portrait.commands` alone speaks."""
    spoken = r"^\s*(print|say)\(|(from|import) (portrait\.commands|typer)"
    for folder in ("services", "batch", "reports", "video"):
        for path in (ROOT / "portrait" / folder).rglob("*.py"):
            text = path.read_text()
            assert not re.search(spoken, text, re.MULTILINE), path


def test_version(capsys):
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"video-portraits {version('video-portraits')}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: portrait" in text
    assert "Example" in text or command in ("doctor", "info")


def test_commands_are_those_expected():
    assert set(typer.main.get_command(app).commands) == {
        *COMMANDS,
        "methods",
        "uv",
        "uv-train",
        "synthesize-dataset",
        "recognize",
        "model",
    }


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["fit"], "Missing argument"),
        (["fitt"], "No such command 'fitt'"),
        (["fit", "a.mp4"], "Missing option"),
        (["edit", "t", "--smooth", "x", "-o", "u"], "Invalid value"),
        (["render", "t", "--alpha", "2", "-o", "u"], "Invalid value for '--alpha'"),
    ],
)
def test_wrong_use_is_one_line(arguments, expected, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and expected in error and error.count("\n") == 1


def test_our_own_errors_stay_visible():
    assert explain(KeyError("a bug")) is None
    assert explain(RuntimeError("a bug")) is None
    assert "disk is full" in explain(OSError(28, "No space left on device"))
    assert "disk is full" in explain(RuntimeError("I/O error: No space left on device (os error 28)"))


def test_doctor_finds_what_is_needed(capsys):
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for part in ("device", "face model", "PyTorch3D", "mediapipe", "face-alignment", "video codecs", "disk"):
        assert part in text
    assert "MISSING" not in text and "portrait demo" in text


@pytest.mark.parametrize(
    "job, arguments, goes_on",
    [
        ("rendering.render_track", ["render", "a.track", "-o", "a.mp4"], False),
        ("editing.edit_track", ["edit", "a.track", "-o", "b.track"], False),
        ("recognition.evaluate_run", ["recognize", "evaluate", "a.toml", "run"], False),
        ("recognition.train_run", ["recognize", "train", "a.toml", "-o", "run"], True),
        ("batch.fit_any", ["fit", "a.mp4", "-o", "a.track"], True),
    ],
)
def test_an_interrupted_command_says_whether_it_goes_on(job, arguments, goes_on, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"portrait.services.{job}", interrupted)
    assert main(arguments) == 130
    next = "run the same command again to go on" if goes_on else "the same command begins from the start"
    assert capsys.readouterr().err == f"interrupted; {next}\n"


def test_commands_that_go_on_are_there():
    command = typer.main.get_command(app)
    names = set(command.commands) | {f"recognize {name}" for name in command.commands["recognize"].commands}
    assert set(GOES_ON) <= names


def test_progress_counts_things_and_whole_seconds(monkeypatch, capsys):
    monkeypatch.setattr("portrait.commands.progress.LOG_EVERY", 0.0)
    with Progress() as progress:
        progress(Event("training", 0.0, 24.0, "s"))
        progress(Event("training", 15.5311, 24.0, "s", "l1 0.1"))
        progress(Event("tracking", 0, 24))
        progress(Event("tracking", 15, 24))
        progress(Event("survey", 3, None))
        progress(Noted("note", 0, None, note="the light is low"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("  training: 16 s of 24 s, 0:00 left (l1 0.1)")
    assert lines[3].startswith("  tracking: 15 of 24,") and lines[4] == "  survey: 3"
    assert lines[5] == "  note: the light is low"


def test_time_left_counts_from_where_this_run_took_up(monkeypatch, capsys):
    """A training at 779 of 1,440 s when it's gone on with: what was done before says nothing of the pace."""
    clock = iter([0.0, 0.0, 0.0, 60.0])
    monkeypatch.setattr("portrait.commands.progress.LOG_EVERY", 0.0)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = Progress()
    for done in (779.0, 780.0, 809.0):
        progress(Event("training", done, 1440.0, "s"))
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "  training: 779 s of 1440 s" and "21:02 left" in shown[2]
