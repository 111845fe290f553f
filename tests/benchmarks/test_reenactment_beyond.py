"""Heads that turn past a clip's own range, and what is measured of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import facemodel
from benchmarks import reenactment_beyond as beyond
from facemodel import FaceParameters, FrameStatus, Track
from facemodel.landmark_schemes import SCHEMES
from fitting.landmarks.base import Face
from neural_render import Crop

SIZE = 64


@pytest.fixture(scope="module")
def model():
    return facemodel.load()


@pytest.fixture(scope="module")
def track(model) -> Track:
    """Yaw from -10 to 20 degrees; the first frame, which would be the most frontal, has no face."""
    p = FaceParameters.neutral(model, (7,), focal=100.0, distance=700.0)
    rotation = p.rotation.clone()
    rotation[1:, 1] = torch.linspace(-10, 20, 6).deg2rad()
    shared = {name: getattr(p, name)[0] for name in ("identity", "reflectance", "focal")}
    return Track(
        model=model.name, fingerprint=model.fingerprint, width=SIZE, height=SIZE, confidence=torch.ones(7),
        parameters=p.replace(rotation=rotation, **shared), times=torch.arange(7).double() / 25,
        status=torch.tensor([0] + [1] * 6),
    )  # fmt: skip


def test_the_head_turns_past_the_clip_on_either_side(model, track):
    asked, past = beyond.performance(track, model)
    turned = beyond.yaw(asked).numpy()
    first, second = turned[: beyond.SIDE], turned[beyond.SIDE :]
    assert first[0] == second[0] == pytest.approx(2, abs=0.01)
    assert (first[-1], second[-1]) == (pytest.approx(45, abs=0.01), pytest.approx(-35, abs=0.01))
    assert (past[0], past[beyond.SIDE]) == (pytest.approx(-18, abs=0.01), pytest.approx(-12, abs=0.01))
    assert past[[beyond.SIDE - 1, -1]] == pytest.approx(25, abs=0.01)
    jaw = asked.parameters.expression[:, model.expression_index("jawOpen")].numpy()
    assert jaw[0] == 0 and jaw[past >= 5] == pytest.approx(0.8) and (jaw[(past > 1) & (past < 4)] < 0.79).all()
    assert asked.where(FrameStatus.CUT).nonzero().flatten().tolist() == [beyond.SIDE]
    assert asked.tracked.all() and len(asked) == len(asked.facts["target_frames"])


def test_what_is_measured(model, track):
    """A detector that finds what was asked for, 3 px beside it, but nothing in black; of jumps the largest counts."""
    crop, scheme = Crop(0, 0, SIZE), "mediapipe478"
    real = np.stack([np.full((SIZE, SIZE, 3), 100 + 2 * k, np.uint8) for k in range(7)])
    detector, outline = SimpleNamespace(scheme=scheme), list(SCHEMES[scheme].outline)
    asked, past = beyond.performance(track, model)
    points = np.concatenate([beyond.asked_points(t, model, scheme, crop, SIZE) for t in (track, asked)])

    def refine(picture, centre, size):
        near = min(points, key=lambda p: np.linalg.norm(Face(p, scheme, 1.0).centre - centre))
        near = near + [3.0, 0.0]
        near[outline, 1] += 4.0 * (picture[0, 0, 0] == 90)  # of the method's pictures, not of the model's
        return Face(near, scheme, 1.0) if picture.any() else None

    detector.refine = refine
    made = np.full((len(past), SIZE, SIZE, 3), 90, np.uint8)
    made[10] = 96
    made[np.abs(past - 20) <= beyond.NEAR] = 0
    embedding = lambda picture, face: np.array([1.0, float(picture[0, 0, 0] == 90)])  # noqa: E731
    texture = torch.full((8, 8, 3), 128, dtype=torch.uint8)
    found, pictures = beyond.measure(lambda _: made, track, real, model, crop, detector, embedding, texture)
    assert pictures is made and set(found) == {"own", "10", "20", "25", "tearing"}
    left, right = (points[7, list(c)].mean(0) for c in beyond.EYE_CORNERS)
    share, part = 3 / np.linalg.norm(left - right), len(outline) / 478
    assert found["10"]["landmark_nme"] == pytest.approx(share * (1 - part) + 5 / 3 * share * part, rel=1e-3)
    assert found["10"]["drawn"] == pytest.approx(share, rel=1e-3)  # a picture of the model isn't black
    assert found["10"]["inside_nme_to_drawn"] == 0 and np.isnan(found["20"]["inside_nme_to_drawn"])
    assert found["10"]["landmark_nme_to_drawn"] == pytest.approx(4 / 3 * share * part, rel=1e-3)
    assert np.isnan(found["20"]["landmark_nme_to_drawn"])
    assert found["own"]["identity"] == pytest.approx(1) and found["10"]["identity"] == pytest.approx(0.5**0.5)
    assert found["20"]["landmarks_found"] == 0 and np.isnan(found["20"]["identity"])
    assert found["tearing"] == pytest.approx(90 / 2)
