"""Fits of a model that has neither the default's topology nor its capabilities, and isn't linear."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import fitting
from facemodel.parameters import FaceParameters
from fitting import Settings
from fitting.energy.landmarks import landmarks
from fitting.energy.photometric import Look, photometric
from fitting.landmarks.base import Face
from fitting.observation.crop import observe
from fitting.policy.weights import TermWeights
from fitting.tracking.frame import Fitter
from foundation.errors import PortraitError
from renderer import Camera, project, render, to_camera
from tests.fitting.rendered import Frames
from tests.fitting.test_energy import SmoothPicture
from tests.fitting.toy import JawModel

SIZE, FOCAL = 192, 300.0
FAST = Settings(samples=300, levels=(64,), steps=(2,), joint_levels=(64, 128), joint_steps=(4, 4), key_frames=3)


class KnownPoints:
    """The pictures carry their number in a corner pixel."""

    name, scheme = "known points", "ibug68"

    def __init__(self, points):
        self.points = points

    def detect(self, picture):
        return [Face(self.points[int(picture[0, 0, 0])], self.scheme, 1.0)]

    def refine(self, picture, centre, size):
        return self.detect(picture)[0]


@pytest.fixture(scope="module")
def jaw():
    return JawModel()


@pytest.fixture(scope="module")
def clip(jaw):
    """Five frames: truth, pictures, landmarks of a head that turns and opens its jaw."""
    n = 5
    t = torch.linspace(0, 1, n)
    truth = FaceParameters.neutral(jaw, (n,), focal=FOCAL, distance=700.0)
    light = truth.illumination.clone()
    light[:, 3], light[:, 1] = 0.5, 0.3
    truth = truth.replace(
        identity=torch.tensor([1.0, -0.8, 0.5]),
        expression=torch.stack([-0.8 + 1.6 * t, 0.5 - t], 1),
        rotation=torch.stack([0.1 * t, 0.5 * t - 0.25, 0 * t], 1),
        joints=(0.05 + 0.4 * t)[:, None],
        illumination=light,
        focal=torch.tensor(FOCAL),
    )
    camera = Camera(FOCAL, SIZE, SIZE)
    pictures = render(jaw, truth, camera, maps=("diffuse",))["diffuse"].clamp(0, 1).mul(255).byte().numpy()
    for k in range(n):
        pictures[k, 0, 0] = k
    vertices = jaw.vertices(truth.identity, truth.expression, None, truth.joints)
    marks = jaw.landmarks(to_camera(vertices, truth.rotation, truth.translation), "ibug68")
    return truth, list(pictures), list(project(marks, camera).double().numpy())


def state_and_look(jaw, clip):
    """A fitter, a state of the first frame away from the truth, and what is seen, all but the samples in double."""
    truth, pictures, points = clip
    fitter = Fitter(jaw, "ibug68", FOCAL, None, replace(FAST, samples=60))
    seen = observe(pictures[2], Face(points[2], "ibug68", 1.0), (64,))
    smooth = replace(seen, levels={64: SmoothPicture(seen.levels[64].stack, 64)}, eyes=None)
    start = fitter.start(smooth)
    state = replace(start, identity=start.identity + 0.3, expression=start.expression - 0.4, joints=start.joints + 0.2)
    return fitter, state, smooth


@pytest.mark.parametrize("block", ["identity", "expression", "joints", "rotation"])
@pytest.mark.parametrize("term", ["photometric", "landmarks"])
def test_jacobians_away_from_the_mean(jaw, clip, term, block):
    """Analytic columns against central differences of the whole model, re-linearised at every state."""
    fitter, state, seen = state_and_look(jaw, clip)
    layout, at = fitter.layout, fitter.layout.slices[block]

    def rows(s):
        if term == "landmarks":
            return landmarks(fitter.landmarks(s), s, seen, TermWeights(), layout, shared=True)[0]
        look = Look(seen, 64, torch.ones(1, len(s.detail)))
        return photometric(fitter.shape(s).surface, s, look, TermWeights(), layout, shared=True)[0]

    got, eps = rows(state).jacobian[0], 5e-3
    for column in range(at.start, at.stop):
        values = []
        for sign in (1, -1):
            step = torch.zeros(layout.shared + layout.frame)
            step[column] = sign * eps
            values.append(rows(state.stepped(step[: layout.shared], step[None, layout.shared :], layout)).value[0])
        slope = (values[0] - values[1]) / (2 * eps)
        assert slope.abs().max() > 0
        rounding = 3 * torch.finfo(torch.float32).eps / (2 * eps)  # of two colours that are hardly different
        atol = 0.01 * float(slope.abs().max()) + rounding
        torch.testing.assert_close(got[:, column], slope, rtol=0.02, atol=atol)


def test_its_own_rendering_is_recovered(jaw, clip, tmp_path):
    """Pose and jaw of a clip; nothing of what the model doesn't have."""
    truth, pictures, points = clip
    frames = Frames(pictures)
    track = fitting.fit_video(frames, model=jaw, detector=KnownPoints(points), focal=FOCAL, settings=FAST)
    p = track.parameters
    assert (p.rotation - truth.rotation).norm(dim=-1).rad2deg().max() < 2
    assert np.corrcoef(p.joints[:, 0], truth.joints[:, 0])[0, 1] > 0.98
    assert (p.joints - truth.joints).abs().max() < 0.1
    assert (p.joints >= -0.1).all() and (p.joints <= 0.6).all()
    assert p.expression.min() < -0.1, "signed expressions were held above zero"
    assert not p.gaze.any() and p.reflectance.shape == (0,)
    assert track.spread["joints"].shape == (5, 1) and (track.spread["joints"] > 0).all()
    loaded = type(track).load(track.save(tmp_path / "jaw.track"), jaw)
    assert torch.equal(loaded.parameters.joints, p.joints)


def test_a_scheme_that_it_does_not_have_is_said(jaw, clip):
    with pytest.raises(PortraitError, match="no landmarks of scheme 'mediapipe478'"):
        fitting.fit_image(clip[1][0], model=jaw, detector="mediapipe")
