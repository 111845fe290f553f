"""What a track says of itself: doubtful frames, what the clip left open, quality, and that a fit isn't lost."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

import facemodel
import fitting
from facemodel import FrameStatus, PortraitError, Track
from fitting.tracking.confidence import frame_doubts
from portrait.cli import main
from portrait.reports.doubtful import doubtful_runs, doubtful_section
from portrait.reports.page import colour_errors, with_model
from portrait.reports.quality import quality_lines, undetermined
from portrait.services.fitting import FitOptions, fit_clip
from portrait.services.setup import Setup
from portrait.video import VideoReader
from tests.portrait.conftest import FRAMES

FAST, CPU = FitOptions(quality="fast"), Setup(device="cpu")
T, U, CUT, NONE = FrameStatus.TRACKED, FrameStatus.UNCERTAIN, FrameStatus.CUT, FrameStatus.NO_FACE


@pytest.fixture(scope="module")
def fitted(track):
    return Track.load(track)


def doubtful(fitted, status, confidence):
    return replace(fitted, status=torch.tensor([int(s) for s in status]), confidence=torch.tensor(confidence))


def test_runs_end_at_cuts_and_where_the_kind_changes(fitted):
    status = [T, T | U, T | U, NONE, NONE, T | U | CUT, T | U | CUT, T]
    runs = doubtful_runs(doubtful(fitted, status, [0.9, 0.3, 0.2, 0, 0, 0.1, 0.3, 0.8]))
    assert [(r.first, r.last, r.worst) for r in runs] == [(1, 2, 2), (3, 4, 3), (5, 5, 5), (6, 6, 6)]
    assert runs[0].lost == pytest.approx(1.5)
    assert doubtful_runs(doubtful(fitted, [T] * FRAMES, [0.9] * FRAMES)) == []


def test_the_report_shows_the_weightiest_runs_with_reasons(fitted, clip, monkeypatch):
    model = facemodel.load()
    status = [T | U, T, NONE, NONE, T, T | U, T | U, T]
    some = doubtful(fitted, status, [0.35, 0.9, 0, 0, 0.9, 0.3, 0.1, 0.9])
    text = doubtful_section(model, some, clip)
    assert text.count("<img") == 3 and text.count("no face was found") == 1
    assert text.index("frame 0,") < text.index("frame 2,") < text.index("frame 6,")
    assert "confidence 0.10" in text and "frames 5 to 6" in text
    assert "5 of 8 frames, in 3 stretches; below is the worst frame of each, the fit over it" in text
    monkeypatch.setattr("portrait.reports.doubtful.SHOWN", 1)
    text = doubtful_section(model, some, clip)
    assert text.count("<img") == 1 and "frame 2," in text  # two frames without a face weigh most
    assert doubtful_section(model, doubtful(fitted, [T] * FRAMES, [0.9] * FRAMES), clip) == "<p>None.</p>"


def test_where_the_colours_are_off(fitted, clip):
    """The fit's own picture has no error; a patch painted over the face has, and is red."""
    model, frame = facemodel.load(), next(iter(VideoReader(clip)))[2]
    perfect = with_model(model, fitted, 0, np.zeros_like(frame)) / 0.75  # what is drawn over black, at its strength
    perfect = perfect.round().clip(0, 255).astype(np.uint8)
    face = perfect.any(-1)
    shown = colour_errors(model, fitted, 0, perfect)
    blue = shown[face].astype(int)
    assert np.median(blue[:, 2] - blue[:, 0]) > 0 and (shown[~face] == 0).all()
    y, x = (int(v.mean()) for v in np.nonzero(face))
    perfect[y - 3 : y + 4, x - 3 : x + 4] = 255 - perfect[y - 3 : y + 4, x - 3 : x + 4]
    patch = colour_errors(model, fitted, 0, perfect)[y, x].astype(int)
    assert patch[0] > patch[2]


def test_undetermined_counts_what_is_as_wide_as_its_prior(fitted):
    identity, expression = torch.full((80,), 0.5), torch.full((FRAMES, 52), 0.1)
    identity[:20] = 0.95
    expression[0] = torch.nan  # no face
    expression[1:, :2] = 0.0  # held by the gaze
    expression[1:, 2:12] = 0.44
    facts = {"priors": {"identity": 1.0, "expression": 0.45}}
    some = replace(fitted, spread={"identity": identity, "expression": expression}, facts=facts)
    assert undetermined(some) == {"identity": 0.25, "expression": pytest.approx(10 / 50)}
    assert undetermined(replace(fitted, spread={})) == {}
    facts["priors"]["identity"] = 2.0
    assert undetermined(some)["identity"] == 0.0


def test_hidden_parts_are_told(fitted):
    hidden = torch.ones(len(fitted))
    hidden[:2] = 0.1
    some = replace(fitted, visibility={"mouth": hidden, "left_eye": torch.ones(len(fitted))})
    assert quality_lines(some)["hidden"] == f"mouth in 2 of {len(fitted)} frames; as at rest there"
    assert "hidden, and so as at rest: mouth" in frame_doubts(some, 0)
    assert not any("hidden" in doubt for doubt in frame_doubts(some, 2))
    assert "hidden" not in quality_lines(replace(fitted, visibility={}))


def test_quality_lines_of_a_real_track(fitted):
    lines = quality_lines(fitted)
    assert lines["converged"].endswith("% of the frames with a face")
    half = torch.tensor([1.0, 0.0] * (FRAMES // 2))
    assert quality_lines(replace(fitted, energies={"converged": half}))["converged"].startswith("50%")
    assert "of identity" in lines["open"]
    wide, narrow = ({**fitted.spread, "focal": torch.tensor(s * fitted.facts["priors"]["focal"])} for s in (1.0, 0.2))
    assert "not determined" in quality_lines(replace(fitted, spread=wide))["focal"]
    assert "focal" not in quality_lines(replace(fitted, spread=narrow))


def test_fit_with_a_report_and_a_quality(clip, tmp_path, capsys):
    page = tmp_path / "r.html"
    arguments = ["fit", str(clip), "-o", str(tmp_path / "t"), "--device", "cpu", "--quality", "fast"]
    assert main([*arguments, "--report", str(page)]) == 0
    text = page.read_text()
    assert "<h2>Doubtful frames</h2>" in text and "confidence" in text and "<script" not in text
    facts = json.loads((tmp_path / "t" / "track.json").read_text())["facts"]
    settings = facts["settings"]
    assert settings["quality"] == "fast" and settings["fitting"]["samples"] == fitting.QUALITIES["fast"].samples
    assert len(facts["key_frames"]) == fitting.QUALITIES["fast"].key_frames < FRAMES  # it was used, not only noted
    capsys.readouterr()
    assert main(["info", str(tmp_path / "t")]) == 0
    shown = capsys.readouterr().out
    assert "converged" in shown and "open " in shown
    with pytest.raises(PortraitError, match="did you mean 'balanced'"):
        fit_clip(clip, tmp_path / "u", FitOptions(quality="balancd"))


def test_options_that_do_not_fit(clip, tmp_path, capsys):
    assert main(["fit", str(clip.parent), "-o", str(tmp_path / "t"), "--report", str(tmp_path / "r.html")]) == 2
    assert "expected one clip" in capsys.readouterr().err
    for arguments in (["fit", clip, "-o", tmp_path / "t"],
                      ["reenact", "--source", clip, "--target", clip, "-o", tmp_path / "o.mp4"]):  # fmt: skip
        assert main([*map(str, arguments), "--quality", "good"]) == 2
        assert "quality" in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


def test_a_track_that_cannot_be_saved_is_not_fitted_again(clip, tmp_path, monkeypatch):
    """The disk is full just then: the work stays, and the next run takes it from there."""
    out = tmp_path / "t"

    def full(*_):
        raise PortraitError("track: the disk is full")

    with monkeypatch.context() as m:
        m.setattr(Track, "save", full)
        with pytest.raises(PortraitError, match="disk is full"):
            fit_clip(clip, out, FAST, setup=CPU)
    assert (tmp_path / "t.work" / "progress.safetensors").is_file()
    stages = []
    track = fit_clip(clip, out, FAST, setup=CPU, report=lambda event: stages.append(event.stage)).track
    assert stages == [] and len(track) == FRAMES and not (tmp_path / "t.work").exists()
    assert np.isfinite(track.parameters.expression.numpy()).all()

    (tmp_path / "t.work").mkdir()  # as after a kill between saving and removing
    (tmp_path / "t.work" / "progress.safetensors").write_bytes(b"old")
    assert fit_clip(clip, out, FAST, setup=CPU).kept
    assert not (tmp_path / "t.work").exists()


class Reached(Exception):
    """The fit would begin."""


@pytest.fixture
def no_fit(monkeypatch):
    def fit_video(*_, **__):
        raise Reached

    monkeypatch.setattr("portrait.services.fitting.fit_video", fit_video)


ANOTHER = {"source": {"file": "other.mp4", "sha256": "0" * 64}}
ALTERED = [({"edits": [{"gaze": 1}]}, "edited"), ({"curves": "a.csv"}, "edited"),
           ({"mixed": {}, "target_frames": [0] * FRAMES}, "mixed")]  # fmt: skip


@pytest.mark.parametrize(("facts", "reason"), [*ALTERED, (ANOTHER, "fitted to another file ('other.mp4')")])
def test_a_fit_never_takes_the_place_of_what_would_be_lost(facts, reason, fitted, clip, tmp_path, capsys, no_fit):
    out = tmp_path / "talk.track"
    fitted.with_parameters(fitted.parameters, **facts).save(out)
    before = {p: p.read_bytes() for p in out.iterdir()}
    for quality in ("balanced", "fast"):
        assert main(["fit", str(clip), "-o", str(out), "--device", "cpu", "--quality", quality]) == 2
        error = capsys.readouterr().err
        assert reason in error and "name another output" in error and error.count("\n") == 1
    assert {p: p.read_bytes() for p in out.iterdir()} == before


def test_a_track_that_may_not_be_read_is_not_replaced(fitted, clip, tmp_path, monkeypatch, no_fit):
    fitted.save(tmp_path / "t")
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: "track.safetensors" not in str(path) and access(path, mode))
    with pytest.raises(PortraitError, match="may not be read"):
        fit_clip(clip, tmp_path / "t", FAST, setup=CPU)


def test_a_fit_of_the_same_file_may_be_replaced(fitted, clip, tmp_path, no_fit):
    source = fitted.facts["source"] | {"file": "as it was called before.mp4"}
    fitted.with_parameters(fitted.parameters, source=source).save(tmp_path / "t")
    with pytest.raises(Reached):
        fit_clip(clip, tmp_path / "t", FAST, setup=CPU)


def test_work_of_a_command_s_own_is_replaced_but_no_edit_in_it(fitted, track, clip, tmp_path, capsys, no_fit):
    place = tmp_path / "o.mp4.work" / "target.track"
    arguments = ["reenact", "--source", track, "--target", clip, "-o", tmp_path / "o.mp4", "--device", "cpu"]
    fitted.with_parameters(fitted.parameters, **ANOTHER).save(place)
    with pytest.raises(Reached):
        main([*map(str, arguments)])
    for facts, reason in ALTERED:
        fitted.with_parameters(fitted.parameters, **facts).save(place)
        assert main([*map(str, arguments)]) == 2
        assert f"target.track': was {reason}" in capsys.readouterr().err
