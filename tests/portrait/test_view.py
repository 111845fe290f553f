"""The editor page as a file: what is in it, what it refuses. What it does in a browser is in test_page.py."""

import base64
import json
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

import facemodel
from facemodel import FrameStatus, LinearModel
from facemodel.formats.default import write_model
from foundation.errors import PortraitError
from portrait.cli import main
from portrait.page.document import document
from portrait.page.facts import model_content, track_content
from portrait.page.pictures import BYTES, small_pictures
from portrait.services.setup import Setup
from portrait.services.viewing import ViewOptions, view_page
from tests.extension.toy_model import ToyModel
from tests.facemodel.clips import make_track, small_model
from tools.build_page import BUILT, banner

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&{{data}}"


def facts_of(text: str) -> dict:
    return json.loads(re.search(r'id="facts">(.*?)</script>', text, re.S)[1])


def arrays_of(text: str) -> dict[str, np.ndarray]:
    packed = re.search(r'id="data">(.*?)</script>', text, re.S)[1]
    data, kinds = (
        zlib.decompress(base64.b64decode(packed)),
        {"Float32Array": "<f4", "Uint32Array": "<u4", "Uint8Array": "u1"},
    )
    table = facts_of(text)["table"]
    return {t["name"]: np.frombuffer(data, kinds[t["type"]], t["count"], t["at"]) for t in table}


def test_the_bundle_is_that_of_its_sources():
    assert BUILT.read_text(encoding="utf-8").startswith(banner()), "run python -m tools.build_page"
    assert "MIT License" in BUILT.with_name("THREE-LICENSE.txt").read_text()


def test_a_page_has_everything_and_asks_for_nothing(tmp_path):
    model = small_model()
    track = make_track(model, 9)
    content = track_content(track, model, Path("talk.track"))
    text = document(content.facts, content.arrays)
    outside = re.sub(r"<script>.*</script>", "", text, flags=re.S)
    assert "http" not in outside.replace("http-equiv", "")
    arrays = arrays_of(text)
    assert np.array_equal(arrays["a expression"].reshape(9, 52), track.parameters.expression.numpy())
    base = arrays["a base"].reshape(-1, 3)
    exact = model.vertices(track.parameters.identity).numpy()
    np.testing.assert_allclose(base, exact, atol=1e-5)
    assert facts_of(text)["track"]["frames"] == 9


def test_hostile_names_are_text(tmp_path):
    model = small_model(names=(HOSTILE, *small_model().expression_names[1:]))
    model.name = HOSTILE
    track = make_track(model, 3)
    content = track_content(track, model, Path(HOSTILE.replace("/", "∕")))
    text = document(content.facts, content.arrays)
    assert "<img" not in text and text.count("</script>") == document({"title": ""}, {}).count("</script>")
    assert facts_of(text)["blocks"]["expression"]["names"][0] == HOSTILE
    assert "default-src 'none'" in text.replace("&#x27;", "'")


def test_a_model_of_another_kind_is_shown_by_what_it_has():
    content = model_content(ToyModel())
    assert content.facts["blocks"]["joints"]["names"] == ["jaw"] and not content.facts["gaze"]
    assert content.facts["blocks"]["expression"]["lower"] == [-1.5, -1.0, -0.5]
    assert "isn't linear" in content.facts["notes"][0]
    assert len(content.arrays["a target start"]) == 1 + 3 + 4 + 1


def test_pictures_fit_into_their_room():
    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (180, 320, 3), dtype=np.uint8) for _ in range(8)]
    made = small_pictures(iter(frames), 8)
    assert len(made.ends) == 8 and made.every == 1 and made.height <= 180
    long = small_pictures((frames[k % 8] for k in range(40)), 40 * (BYTES // 3000))
    assert long.every == 40 and len(long.ends) == 1


def test_view_and_edit_by_the_command_line(track, clip, tmp_path, capsys):
    page = tmp_path / "look.html"
    assert main(["view", str(track), "--video", str(clip), "-o", str(page), "--against", str(track)]) == 0
    facts = facts_of(page.read_text(encoding="utf-8"))
    assert len(facts["pictures"]["ends"]) == facts["track"]["frames"] == facts["against"]["frames"]
    edits = tmp_path / "e.json"
    told = facts["track"]
    edits.write_text(json.dumps({
        "format": "video-portraits edits", "version": 1, "track": {k: told[k] for k in ("name", "fingerprint")},
        "expression": {"jawOpen": [{"start": 1, "values": [0.7]}]},
    }))  # fmt: skip
    assert main(["edit", str(track), "--edits", str(edits), "-o", str(tmp_path / "new.track")]) == 0
    new = facemodel.Track.load(tmp_path / "new.track")
    jaw = facemodel.load().expression_index("jawOpen")
    assert new.parameters.expression[1, jaw] == np.float32(0.7)
    assert main(["edit", str(tmp_path / "new.track"), "--edits", str(edits), "-o", str(tmp_path / "no.track")]) == 2
    assert "another track" in capsys.readouterr().err and not (tmp_path / "no.track").exists()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda t: {"expression": torch.full_like(t.expression, torch.nan)},
            "expression has values that aren't numbers",
        ),
        (lambda t: {"translation": torch.full_like(t.translation, torch.inf)}, "translation has values"),
    ],
)
def test_tracks_that_cant_be_shown(tmp_path, change, line):
    track = make_track(facemodel.load(), 3)
    track.with_parameters(track.parameters.replace(**change(track.parameters))).save(tmp_path / "t.track")
    with pytest.raises(PortraitError, match=line):
        view_page(tmp_path / "t.track", tmp_path / "t.html")
    assert not (tmp_path / "t.html").exists()


def test_bad_input(track, clip, tmp_path):
    def refused(line, *arguments, **options):
        with pytest.raises(PortraitError, match=line):
            view_page(*arguments, **options)

    page = tmp_path / "x.html"
    refused("name ending in .html", track, tmp_path / "x.png")
    refused("go with a track", None, page, ViewOptions(video=clip))
    refused("no such folder", tmp_path / "none.track", page)
    other = tmp_path / "other.track"
    make_track(facemodel.load(), 4, width=320, height=240).save(other)
    refused("expected 320 x 240", other, page, ViewOptions(video=clip))
    loaded = facemodel.Track.load(track)
    make_track(facemodel.load(), 0).save(tmp_path / "empty.track")
    refused("it has no frames", tmp_path / "empty.track", page)
    make_track(facemodel.load(), 50, width=loaded.width, height=loaded.height).save(tmp_path / "long.track")
    refused("at least 50 frames", tmp_path / "long.track", page, ViewOptions(video=clip))
    flame = tmp_path / "other.model"
    small = small_model()
    write_model(
        flame, LinearModel(small.flatten(), name="small", fingerprint="", expression=small.blocks["expression"])
    )
    refused("but the model loaded is 'small'", track, page, setup=Setup(str(flame)))
    assert not page.exists()


@pytest.mark.parametrize("display", ["", ":0"])
def test_without_an_output_it_is_opened_where_there_is_a_screen(track, monkeypatch, display):
    asked = []
    monkeypatch.setattr("webbrowser.open", lambda address: asked.append(address) or True)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    made = view_page(track, None)
    try:
        assert made.path.is_file() and made.opened == bool(display)
        assert asked == ([made.path.as_uri()] if display else [])
    finally:
        shutil.rmtree(made.path.parent)


def test_status_and_cuts_are_in_the_page():
    model = small_model()
    cut = int(FrameStatus.TRACKED | FrameStatus.CUT)
    content = track_content(make_track(model, 4, status=[cut, 1, 0, cut]), model, Path("t.track"))
    labels = content.facts["track"]["labels"]
    assert [labels[int(s)] for s in content.arrays["a status"]] == ["tracked+cut", "tracked", "no_face", "tracked+cut"]
