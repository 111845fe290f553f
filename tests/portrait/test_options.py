"""Numbers that can't be are refused by every command: before any work, in a line that names the option."""

import inspect
import itertools
import math
import typing

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import PortraitError
from portrait.cli import app, main
from portrait.commands import options
from tests.garbled import bounded

ARGUMENTS = {
    "fit": ["none.mp4", "-o", "out"],
    "edit": ["none.track", "-o", "out", "--csv", "none.csv"],
    "mix": ["--source", "none.track", "--target", "none.track", "-o", "out"],
    "render": ["none.track", "-o", "out.mp4"],
    "export": ["none.track", "-o", "out.obj"],
    "import": ["none.npz", "-o", "out"],
    "view": ["none.track", "-o", "out.html"],
    "serve": ["none.track", "none.mp4", "--no-open"],
    "train": ["none.track", "none.mp4", "-o", "out"],
    "adapt": ["none", "none.mp4", "-o", "out"],
    "synthesize": ["none", "none.track", "--video", "none.mp4", "-o", "out.mp4"],
    "reenact": ["--source", "none.mp4", "--target", "none.mp4", "-o", "out.mp4"],
    "demo": ["-o", "out"],
    "live": ["--source", "none.mp4", "--weights", "none", "--no-window"],
    "uv": ["none.png", "-o", "out"],
    "uv-train": ["-o", "out", "--synthetic", "1"],
    "synthesize-dataset": ["-o", "out"],
    "info": ["none.mp4"],
    "doctor": [],
    "methods": [],
    "model import": ["none", "-o", "out"],
    "model info": [],
    "model list": [],
    "model convert": ["none.track", "--to", "none.model", "-o", "out"],
    "model show": ["-o", "out.png"],
    "recognize align": ["none", "-o", "out"],
    "recognize train": ["none.toml", "-o", "out"],
    "recognize evaluate": ["none.toml", "none"],
    "recognize compare": ["none", "none", "-o", "out.html"],
}
FINE = {  # values that a command can work with
    "0": {"smooth", "alpha", "frame", "texture", "held-out", "synthetic", "seed", "max-yaw", "test", "yaw",
          "source-neutral", "target-neutral", "port"},
    "-1": {"yaw"},
}  # fmt: skip
BAD = {float: ("nan", "inf", "-inf", "-1", "0", "1e30"), int: ("-1", "0", "9" * 25)}


def commands(group=None, before=""):
    """Every command with its name, as it's typed."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} ")
        else:
            yield f"{before}{name}", command


def leaves(kind):
    """The types in a union or a list."""
    inner = typing.get_args(kind)
    return {kind} if not inner else set().union(*map(leaves, inner))


def cases():
    for name, command in commands():
        kinds = typing.get_type_hints(inspect.unwrap(command.callback))
        for parameter in command.params:
            kind = kinds.get(parameter.name)
            number = next((k for k in (float, int) if k in (kind, *leaves(kind))), None)
            for value in BAD.get(number, ()):
                option = parameter.opts[0].removeprefix("--")
                if option not in FINE.get(value, ()):
                    yield name, option, value


def test_every_command_is_tried():
    assert {name for name, _ in commands()} == set(ARGUMENTS)
    tried = {(name, option) for name, option, _ in cases()}
    assert {("train", "minutes"), ("edit", "smooth"), ("uv", "yaw"), ("fit", "focal-px"), ("live", "frames")} <= tried


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_numbers_that_cannot_be(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _, option, value in itertools.filterfalse(lambda case: case[0] != name, cases()):
        assert main([*name.split(), *ARGUMENTS[name], f"--{option}", value]) == 2, (option, value)
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1, error
        assert f"--{option}" in error or f"'--{option}'" in error, (option, value, error)
        assert list(tmp_path.iterdir()) == [], (option, value)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["reenact", "--size", "100"], "--size"),
        (["reenact", "--width", "0"], "--width"),
        (["reenact", "--take", "foo"], "unknown part to take 'foo'"),
        (["reenact", "--report", "x.pdf"], "ending in .html"),
        (["reenact", "--option", "sice=3"], "did you mean 'size'?"),
        (["reenact", "--option", "held_out=half"], "--option held_out: expected float, got 'half'"),
        (["reenact", "--method", "deep-video-portrait"], "did you mean 'deep-video-portraits'?"),
        (["reenact", "--detector", "mediapip"], "did you mean 'mediapipe'?"),
        (["reenact", "--rasterizer", "nomba"], "did you mean 'numba'?"),
        (["reenact", "--quality", "god"], "unknown quality"),
        (["reenact", "-o", ""], "expected a name, got nothing"),
        (["reenact", "--comparison", "c.png"], "expected a name ending in .mp4"),
        (["fit", "--report", "x.pdf"], "ending in .html"),
        (["fit", "-o", "/"], "expected the name of a folder"),
        (["edit", "--set", "jawOpen=nan"], "expected NAME=VALUE"),
        (["edit", "--gaze", "nan,0"], "expected YAW,PITCH"),
        (["render", "--size", "1e3"], "expected WIDTHxHEIGHT"),
        (["render", "--size", "0x0"], "from 16 to 8192"),
        (["render", "-o", "out.txt"], "expected a folder, or a name ending in"),
        (["train", "--loss", "l1=nan"], "--loss"),
        (["train", "--vgg", "none.pth"], "vgg 'none.pth': expected a file"),
        (["reenact", "--sound", "none.wav"], "--sound 'none.wav': expected source, target, none or a file"),
        (["reenact", "--sound", ""], "--sound ''"),
        (["synthesize", "--sound", "."], "--sound '.'"),
        (["render", "--model", ""], "got nothing"),
        (["import", "--model", "none.model"], "neither a file nor a model"),
        (["export", "--video", "none.mp4"], "are for all frames"),
        (["export", "--texture", "none.png"], "--texture 'none.png': expected a number of pixels"),
        (["export", "-o", "out.csv", "--video", "none.mp4"], "has no pictures of the clip"),
        (["edit", "--to-csv", "/proc/none/a.csv"], "can't be written to"),
        (["uv", "--detector", "none"], "unknown landmark detector"),
        (["uv", "--video", "clip.mp4"], "is for tracks"),
        (["recognize compare", "-o", "a.csv"], "ending in .html"),
        (["synthesize-dataset", "--yaws", "nan"], "--yaws"),
        (["synthesize-dataset", "--form", "frames"], "are for clips"),
    ],
)
def test_other_options_that_cannot_be(arguments, expected, tmp_path, monkeypatch, capsys):
    """With files that are there, so that nothing else is refused."""
    from portrait.video.sample import carphone

    monkeypatch.chdir(tmp_path)
    name, *options = arguments
    given = [str(carphone()) if a in ("none.mp4", "none.track", "none.png") else a for a in ARGUMENTS[name]]
    assert main([*name.split(), *given, *options]) == 2
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1, error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["fit", "edit", "mix", "render", "export", "import", "train", "synthesize", "reenact",
                                  "live", "demo", "uv", "uv-train", "synthesize-dataset",
                                  "recognize align"])  # fmt: skip
def test_every_command_that_uses_a_model_takes_one(name):
    options = {option for parameter in dict(commands())[name].params for option in parameter.opts}
    assert "--model" in options
    assert "--rasterizer" in options or name in ("edit", "mix", "import")


def test_help_names_what_there_is():
    """By hand, since registries import what they hold; so that they agree with them."""
    from fitting import QUALITIES
    from fitting.landmarks import DETECTORS
    from neural_render.methods.base import DEFAULT
    from renderer import MAPS, rasterizers

    def shown(command):
        return " ".join(getattr(p, "help", None) or "" for p in dict(commands())[command].params)

    text = shown("fit")
    assert all(name in text for name in (*DETECTORS.names(), *rasterizers.names(), *QUALITIES))
    assert all(name in shown("render") for name in MAPS) and DEFAULT in shown("train")


TEXT = st.text(alphabet="0123456789.,=-+xeinfaut \u00b2\0", max_size=12) | st.just("9" * 5000)


@bounded
@given(text=TEXT, items=st.lists(TEXT, max_size=2))
def test_any_text_of_an_edit_is_read_or_refused(text, items):
    readers = (options.angles, options.degrees, options.frame_or_auto, options.width_and_height)
    for read, given_text in (*((read, text) for read in readers), (options.numbers, items)):
        try:
            found = read("--option", given_text)
        except PortraitError:
            continue
        values = found.values() if isinstance(found, dict) else found if isinstance(found, tuple) else ()
        assert all(value is None or math.isfinite(value) for value in values)
