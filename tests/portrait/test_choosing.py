"""Which of two methods is shown, and that the demo shows that one and says why."""

import shutil
from dataclasses import dataclass, replace
from html import unescape

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from facemodel import FrameStatus
from facemodel.editing.mixing import target_frames
from neural_render.methods.base import Method, Needs, TrainingSummary
from neural_render.methods.clip import Clip
from portrait.services import choosing, pipeline
from portrait.services.choosing import Choice, Likeness, compare, first_part, kept_out, likeness
from portrait.tracks import load_track
from portrait.video import VideoReader, open_frames
from portrait.video.writer import read_comment


@pytest.fixture
def whole(clip, track, model, monkeypatch) -> Clip:
    """The clip, of whose eight frames two may be kept out."""
    monkeypatch.setattr(choosing, "KEPT_OUT", 0.25)
    monkeypatch.setattr(choosing, "FEWEST", 2)
    return Clip.of_track(load_track(track, model), open_frames(clip), model)


@dataclass
class Shows:
    """A method that shows these pictures."""

    title: str
    pictures: list
    name: str = "shows"

    def animate(self, weights, target, driver, device="cpu"):
        assert len(target.track) == 6 and driver.frames is None  # neither sees what is kept out
        return iter(self.pictures)


def test_a_blur_is_less_like_and_less_sharp():
    rng = np.random.default_rng(0)
    real = [rng.integers(0, 255, (40, 40, 3)).astype(np.uint8)]
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    same = likeness("same", real, real, {0: mask})
    assert same.ssim == pytest.approx(1) and same.sharpness == pytest.approx(1) and same.worth == pytest.approx(1)
    soft = likeness("soft", [cv2.GaussianBlur(real[0], (0, 0), 1.0)], real, {0: mask})
    assert soft.ssim < 0.8 and soft.sharpness < 0.3 and soft.worth < 0.55 * soft.ssim
    beside = real[0].copy()
    beside[~mask] = 0
    assert likeness("beside", [beside], real, {0: np.pad(mask[16:24, 16:24], 16)}).ssim == pytest.approx(1)


def test_ssim_is_scikit_image_s():
    rng = np.random.default_rng(1)
    a = cv2.GaussianBlur(rng.uniform(0, 255, (40, 50)), (0, 0), 2)
    b = a + rng.normal(0, 5, a.shape)
    of_skimage = structural_similarity(
        a, b, data_range=255, full=True, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )[1]
    np.testing.assert_allclose(choosing.ssim(a, b)[6:-6, 6:-6], of_skimage[6:-6, 6:-6], atol=1e-9)


def test_likeness_decides_unless_it_is_a_blur():
    near, blurred, sharp = Likeness("near", 0.9, 0.9), Likeness("blurred", 0.86, 0.8), Likeness("sharp", 0.85, 1.0)
    assert Choice(near, sharp, 9).first and not Choice(blurred, sharp, 9).first
    assert Choice(near, sharp, 9).line().startswith("the result is near's, not sharp's: on 9 frames")


def test_the_last_frames_are_kept_out(whole, monkeypatch):
    known = first_part(whole)
    asked = kept_out(known, whole).track
    assert len(known.track) == 6 and len(asked) == 2 and asked.facts["target_frames"] == [5, 4]
    assert asked.times[0] == whole.track.times[6]
    lost = replace(whole.track, status=whole.track.status.clone())
    lost.status[6:] &= ~int(FrameStatus.TRACKED)
    assert first_part(Clip.of_track(lost, whole.frames, whole.model)) is None
    monkeypatch.setattr(choosing, "FEWEST", 3)
    assert first_part(whole) is None


def test_they_are_held_against_the_real_frames(whole):
    real = [rgb for _, _, rgb in whole.frames][6:]
    right, blurred = Shows("Right (1999)", real), Shows("Blurred", [cv2.blur(p, (9, 9)) for p in real])
    choice = compare(right, None, blurred, first_part(whole), whole)
    assert choice.first and choice.frames == 2 and choice.trained.name == "Right"
    assert choice.trained.ssim == pytest.approx(1) and choice.untrained.ssim < 0.9
    assert not compare(blurred, None, right, first_part(whole), whole).first


class Blurs(Method):
    """Learns nothing, and shows the target's frames out of focus."""

    name = title = "blurs"
    training = target = Needs(track=True)
    driver = Needs(pictures=False, track=True)

    def train(self, clips, out, options, *, work=None, report=None):
        out.write_bytes(b"")
        return TrainingSummary(out, 1, 0.0, len(clips[0].track))

    def load(self, path, model=None):
        return None

    def animate(self, weights, target, driver, *, device="cpu"):
        frames = [cv2.blur(rgb, (9, 9)) for _, _, rgb in target.frames]
        return (frames[k] for k in target_frames(driver.track))


def test_the_demo_shows_what_is_better_than_what_it_trained(whole, clip, track, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "chosen_method", lambda _: Blurs())
    shutil.copytree(track, tmp_path / "work" / "target.track")
    wide = whole.track.parameters.expression.clone()
    wide[5:, whole.model.expression_index("jawOpen")] = 1.0
    opened = replace(whole.track, parameters=whole.track.parameters.replace(expression=wide))
    opened.save(tmp_path / "wide.track")
    done = pipeline.demo(tmp_path, source=tmp_path / "wide.track", target=clip, minutes=1)
    label = read_comment(VideoReader(done.video).metadata)
    assert label["method"] == "face2face" and "weights" not in label
    assert done.trained.summary.frames == 6 and VideoReader(done.comparison).frame_count == 8
    said, page = "the result is Face2Face's, not blurs's: on 2 frames", unescape(done.page.read_text())
    assert any(note.startswith(said) for note in done.notes) and said[1:] in page
    assert "in 3 of 8 frames; its inside is drawn there, not retrieved: 5-7" in page
