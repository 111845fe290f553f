"""``benchmarks.methods``: who does what, measures in closed form, the report, and the whole on two people."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import methods as bench
from benchmarks import methods_bench
from benchmarks.methods_measures import MEASURES, expression_error, landmark_error, summary
from benchmarks.methods_people import SEEN, Unseen, joined
from benchmarks.methods_real import FPS, FRAMES, real_pairs, stretches
from benchmarks.methods_report import BEGIN, END, contact_sheet, markdown, put_into, strips, write_figures, write_strip
from facemodel import FaceParameters, FrameStatus, Track
from neural_render.corpus import Faces
from neural_render.methods.base import METHODS, Needs
from neural_render.methods.clip import Clip
from portrait.services.clips_dataset import ClipOptions
from portrait.services.setup import Setup
from portrait.video import VideoWriter, read_image
from tests.extension.toy_method import ToyMethod, register


@pytest.fixture
def unseen(tmp_path):
    """Three people in four performances of 12 frames; a clip's label says whose it is and what is done."""
    person, performance, frame = (n.ravel() for n in np.meshgrid(range(3), range(4), range(12), indexing="ij"))
    clip = person * 4 + performance
    faces = Faces(
        tmp_path / "none", 8, ("a", "b", "c"), person, clip, performance, frame, np.ones(12),
        np.zeros((144, 478, 2), np.float32), "mediapipe478",
    )  # fmt: skip
    return Unseen(faces, [SimpleNamespace(person="abc"[k // 4], performance=str(k % 4), model=None) for k in range(12)])


@pytest.mark.parametrize(("kind", "whose"), [("same", "abc"), ("across", "bca")])
def test_the_truth_is_the_target_doing_what_the_driver_did(unseen, kind, whose):
    faces = unseen.faces
    for who, (pair, driver) in enumerate(zip(unseen.pairs(kind), whose, strict=True)):
        assert pair.target.person == "abc"[who] and pair.driver.person == driver
        assert pair.target.performance != pair.driver.performance
        assert faces.frame[pair.truth].tolist() == faces.frame[pair.driven].tolist() == list(SEEN)
        assert (faces.person[pair.truth] == who).all() and faces.person[pair.still] == who
        assert {str(p) for p in faces.performance[pair.truth]} == {pair.driver.performance}
        assert str(faces.performance[pair.still]) == pair.target.performance and faces.frame[pair.still] == 0


def test_who_learns_one_person_is_given_the_clip_that_was_learnt(unseen, tmp_path, monkeypatch):
    """The clips of the target without the one that is asked for; the method asks for their frames again."""
    monkeypatch.setattr(methods_bench, "joined", lambda clips: SimpleNamespace(parts=clips))
    learnt = []
    method = SimpleNamespace(
        name="one", training=Needs(), target=Needs(), options=dict, load=lambda path, model: "weights",
        train=lambda clips, *args, **kwargs: learnt.extend(clips),
    )  # fmt: skip
    tried = methods_bench.Bench([], unseen.faces, unseen, None, 8, tmp_path, {"same": unseen.pairs("same")})
    monkeypatch.setattr(tried, "made", lambda method, weights, pair: [pair])
    given = [pair for (pair,) in tried.made_pictures(method, None, "same", 1.0, lambda event: None)]
    assert [clip.parts for clip in learnt] == [pair.target.parts for pair in given]
    for who, pair in zip("abc", given, strict=True):
        assert {clip.person for clip in pair.target.parts} == {who} and len(pair.target.parts) == 3
        assert pair.driver.performance not in {clip.performance for clip in pair.target.parts}


def test_who_has_learnt_more_is_adapted_anew(unseen, tmp_path):
    """What was adapted of earlier weights isn't gone on with."""
    tried = methods_bench.Bench([], unseen.faces, unseen, None, 8, tmp_path, {"same": unseen.pairs("same")})
    pair, outs = tried.pairs["same"][0], []
    method = SimpleNamespace(
        name="many", options=dict, load=lambda path: "weights",
        adapt=lambda weights, known, out, *args, **kwargs: outs.append(out),
    )  # fmt: skip
    for steps in (10, 10, 30):
        tried.learnt(method, SimpleNamespace(header=SimpleNamespace(steps=steps)), pair, 1.0, lambda event: None)
    assert outs[0] == outs[1] != outs[2]


def test_clips_of_a_person_as_one(model):
    """Frames and what is known of them go on where the clip before ended, and a shot begins there."""

    def clip(count: int, turn: float) -> Clip:
        p = FaceParameters.neutral(model)
        turned = torch.zeros(count, 3)
        turned[:, 1] = turn + torch.arange(count)
        track = Track(
            model.name, model.fingerprint, 8, 8, p.replace(rotation=turned), torch.arange(count).double() / 5,
            torch.ones(count, dtype=torch.int64), torch.ones(count), torch.full((count, 478, 2), turn),
        )  # fmt: skip
        frames = [(k, k / 5, np.full((8, 8, 3), turn + k, np.uint8)) for k in range(count)]
        return Clip.of_track(track, frames, model, person="ada")

    whole = joined([clip(3, 10), clip(4, 20)])
    assert [(k, int(rgb[0, 0, 0])) for k, _, rgb in whole.frames] == list(enumerate([10, 11, 12, 20, 21, 22, 23]))
    assert [seconds for _, seconds, _ in whole.frames] == pytest.approx(np.arange(7) / 5)
    assert whole.track.times.tolist() == pytest.approx((np.arange(7) / 5).tolist())
    assert whole.track.parameters.rotation[:, 1].tolist() == [10, 11, 12, 20, 21, 22, 23]
    assert whole.track.parameters.identity.dim() == 1 and whole.track.parameters.focal.dim() == 0
    assert whole.track.landmarks[:, 0, 0].tolist() == [10] * 3 + [20] * 4
    assert torch.nonzero(whole.track.where(FrameStatus.CUT)).flatten().tolist() == [3]
    assert whole.person == "ada" and whole.count == whole.frames.frame_count == 7


def test_stretches_of_videos(tmp_path):
    """Of 7 s at 20 frames a second two stretches of 3 s are kept, at 8 a second; large frames are made smaller."""
    path = tmp_path / "ada.mp4"
    with VideoWriter(path, 128, 720, 20.0) as writer:
        for k in range(140):
            writer.write(np.full((720, 128, 3), k, np.uint8))
    found = list(stretches([path], Setup(device="cpu")))
    assert [clip.source["first"] for clip in found] == [0, 24] and {clip.person for clip in found} == {"ada"}
    assert all((clip.width, clip.height, clip.fps) == (64, 360, FPS) for clip in found)
    shown = [int(rgb.mean()) for clip in found for _, _, rgb in clip.frames]
    assert len(shown) == 2 * FRAMES
    assert np.abs(np.array(shown) - np.arange(2 * FRAMES) * 20 / FPS).max() < 5  # the first frame from a time on


def test_a_real_person_is_driven_by_the_next_stretch_of_theirs(unseen):
    """Clips 0 to 3 are a's, 4 to 7 b's, 8 to 11 c's."""
    pairs = real_pairs(unseen)
    assert [unseen.clips.index(pair.driver) for pair in pairs] == [1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8]
    assert [unseen.clips.index(pair.target) for pair in pairs] == list(range(12))
    for pair in pairs:
        assert pair.truth.tolist() == pair.driven.tolist()
        assert unseen.faces.frame[pair.driven].tolist() == list(SEEN)


def test_errors_in_closed_form():
    draw = np.random.default_rng(0)
    true = draw.uniform(50, 200, (478, 2))
    assert landmark_error(true + (3, 4), true) == pytest.approx(5 / np.ptp(true[:, 1]))
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    assert expression_error(1.3 * true @ turn + (9, -4), true) < 1e-12
    other = true.copy()
    other[13] += 20  # the middle of the upper lip
    assert 0.002 < expression_error(other, true) < 0.03  # 28 px of 150 at one of some forty points


def test_a_picture_without_a_face_counts_as_the_still_one():
    rows = [dict.fromkeys(MEASURES, 1.0), dict.fromkeys(MEASURES, np.nan) | {"found": 0.0, "psnr": 3.0}]
    still = [dict.fromkeys(MEASURES, 4.0)] * 2
    told = summary(rows, still)
    assert told["landmarks"] == 2.5 and told["found"] == 0.5 and told["psnr"] == 2.0 and told["identity"] == 1.0


FIGURES = {"same": dict.fromkeys(MEASURES, 0.5), "across": dict.fromkeys(MEASURES, 0.25) | {"psnr": None},
           "over_still": {"same": 0.5, "across": 0.75}, "steps": 7, "minutes": 1.5}  # fmt: skip
SETTINGS = {"size": 64, "people": 3, "learnt_from": 5}


def test_the_report(tmp_path):
    table = markdown(SETTINGS, {"mine": FIGURES})
    assert "| mine | 1.5 | 7 | 0.5 / 0.75 | 0.5 / - | 0.5 / 0.25 | 50 / 25 |" in table
    assert "| | minutes | steps | landmarks over still |" not in table.splitlines()  # no curve
    of_videos = FIGURES | {"real": {"pairs": 4, "real": dict.fromkeys(MEASURES, 0.125), "over_still": {"real": 0.75}}}
    told = markdown(SETTINGS, {"mine": of_videos, "of a single person": FIGURES}).splitlines()
    assert told[-5].endswith("(4 pairs).") and told[-1] == "| mine | 0.75 | 0.125 | 0.125 | 12.5 | 0.125 | 12.5 |"
    along = FIGURES | {"curve": [{"minutes": 0.5, "steps": 3, "same": 0.9, "across": 0.8}]}
    assert markdown(SETTINGS, {"mine": along}).endswith("| mine | 0.5 | 3 | 0.9 / 0.8 |")
    claimed = FIGURES | {"claims": {"x2face.psnr_gain_of_4": 0.25}}
    told = markdown(SETTINGS, {"x2face": claimed}).splitlines()[-3:]
    assert [line.split(" | ")[2:5] for line in told] == [
        ["at most 0.6", "0.5", "yes"], ["at most 0.75", "0.75", "yes"], ["at least 0.5", "0.25", "no"]
    ]  # fmt: skip
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    put_into(page, table)
    put_into(page, table)
    assert page.read_text() == f"before\n{BEGIN}\n\n{table}\n\n{END}\nafter\n"
    path = tmp_path / "figures.json"
    write_figures(path, SETTINGS, {"mine": FIGURES})
    write_figures(path, SETTINGS, {"other": FIGURES})
    assert list(json.loads(path.read_text())["methods"]) == ["mine", "other"]
    write_figures(path, SETTINGS | {"people": 4}, {"third": FIGURES})
    assert list(json.loads(path.read_text())["methods"]) == ["third"]
    write_strip(tmp_path / "images" / "mine.jpg", [np.full((8, 8, 3), 200, np.uint8)] * 2, 16)
    assert read_image(tmp_path / "images" / "mine.jpg").shape == (16, 32, 3)
    told = strips(["mine", "other"], tmp_path / "images", page, ["a", "b"])
    assert told[1:] == ["|  | a, b |", "| --- | --- |", "| mine | ![mine](images/mine.jpg) |"]
    contact_sheet(tmp_path / "sheet.jpg", {"mine": [np.full((8, 8, 3), 200, np.uint8)] * 2}, ["a", "b"], 16)
    assert read_image(tmp_path / "sheet.jpg").shape == (36, 182, 3)


def test_a_longer_training_keeps_what_it_was_before():
    claimed = FIGURES | {"claims": {"x2face.psnr_gain_of_4": 0.25}}
    early = {"minutes": 0.5, "steps": 3, "same": 0.9, "across": 0.8}  # measured along the way, without claims
    longer = bench.gone_on(claimed | {"curve": [early]}, claimed | {"steps": 12, "minutes": 3.0})
    assert [point["steps"] for point in longer["curve"]] == [3, 7] and longer["steps"] == 12
    assert longer["curve"][1]["claims"] == claimed["claims"] and longer["curve"][1]["same"] == 0.5
    assert bench.gone_on(longer, FIGURES) == FIGURES  # begun anew
    told = markdown(SETTINGS, {"x2face": longer}).splitlines()
    assert next(line for line in told if "embed more" in line).endswith("| 0.25 | no | 0.25 (7) |")
    assert told[-1] == "| x2face | 1.5 | 7 | 0.5 / 0.75 |"


@pytest.mark.slow
def test_the_whole(tmp_path, monkeypatch, capsys):
    """Two people to learn from and two unseen ones: the truth is nearest to the truth, and nothing is done twice."""
    few = ClipOptions(identities=4, clips=2, performances=4, frames=12, fps=8.0, seed=4, test=0.5, size=96, processes=1)
    assert sorted(few.plan.split(k) for k in range(4)) == ["test", "test", "train", "train"]
    monkeypatch.setattr(bench, "CORPUS", few)
    name = register()
    call = ["methods", "--minutes", "0.005", "--work", str(tmp_path), "--parts", "2", "--only", "truth", "still", name]
    monkeypatch.setattr("sys.argv", call)
    try:
        bench.main()
        told = json.loads(capsys.readouterr().out.splitlines()[-1])["methods"]
        assert told["truth"]["over_still"]["same"] < 0.3 and told["still"]["over_still"]["same"] == 1
        assert told["truth"]["same"]["ssim"] == 1 and told["truth"]["same"]["expression"] == 0
        assert told[name]["steps"] > 0 and told[name]["pairs"] == 2
        assert [point["minutes"] for point in told[name]["curve"]] == [0.0]  # of 0.0025
        assert read_image(tmp_path / "sheet.jpg").shape[0] == 20 + 4 * 96
        monkeypatch.setattr(ToyMethod, "animate", None)  # which isn't asked again
        bench.main()
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["methods"] == told
    finally:
        METHODS.remove(ToyMethod.name)
