"""Files with names that shells, web pages, formats and terminals stumble over."""

import os
import shutil

import numpy as np
import pytest

from facemodel import Track
from portrait.cli import main
from portrait.reports.plots import line_plot
from portrait.reports.reenactment import warnings
from portrait.video import VideoReader
from tests.portrait.conftest import FRAMES

NAMES = ["-name", "take:1", "two words", "ünï→", "100%d", "new\nline", "[b]x[-b]", "$x^{", "<i>&", "'\""]


@pytest.fixture(params=NAMES, ids=repr)
def name(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return request.param


def call(*arguments):
    assert main([str(a) for a in arguments]) == 0


def test_outputs(name, track):
    call("edit", track, "--set", "jawOpen=0.5", "-o", f"{name}.track", "--to-csv", f"{name}.csv")
    call("mix", "--source", f"{name}.track", "--target", track, "-o", f"{name}")
    call("render", track, "-o", f"{name}.mp4", "--maps", "mask", "--size", "32")
    call("export", track, "-o", f"{name}.obj", "--texture", "0")
    assert Track.load(f"{name}.track").facts["edits"] and len(Track.load(name)) == FRAMES
    assert VideoReader(f"{name}.mp4").frame_count == FRAMES
    whole = {f"{name}{ending}" for ending in ("", ".track", ".csv", ".mp4", ".obj", ".mtl", ".landmarks.json")}
    assert {p for p in os.listdir() if not p.endswith(".mtl")} == {p for p in whole if not p.endswith(".mtl")}


def test_inputs(name, track, clip, capsys):
    shutil.copytree(track, f"{name}.track")
    shutil.copy(clip, f"{name}.mp4")
    call("edit", f"./{name}.track", "--smooth", "0.1", "-o", "out.track")
    call("info", f"./{name}.mp4")
    call("render", f"./{name}.track", "--overlay", f"{name}.mp4", "-o", "out.mp4")
    said = capsys.readouterr().out
    assert "note: the track was fitted" not in said and VideoReader("out.mp4").frame_count == FRAMES


def test_a_dash_is_explained(capsys):
    assert main(["info", "-name.mp4"]) == 2
    error = capsys.readouterr().err
    assert "given as ./-NAME" in error and error.count("\n") == 1


def test_what_is_no_text_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments in (["info", "\udcff.mp4"], ["fit", "a.mp4", "-o", "\udcff"]):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert "expected a name in UTF-8" in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_errors_are_one_line(name, capsys):
    for command in (["info", f"./{name}"], ["edit", f"./{name}", "--smooth", "1", "-o", "out"]):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1 and "Traceback" not in error


def test_reports_escape_them(name, track):
    some = Track.load(track)
    some = some.with_parameters(some.parameters, warnings=[f"{name}<script>"])
    text = warnings({f"<b>{name}": some}) + line_plot(np.arange(3), {f"{name}<script>": np.arange(3)})
    assert "<script>" not in text and "<b>" not in text
