"""The compiled kernels against their references in plain torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fitting.energy.landmark_points import landmark_points
from fitting.energy.landmarks import Landmarks, landmark_rows, landmarks
from fitting.energy.occluder import occluder
from fitting.energy.photometric import Look, by_reference, photometric_rows
from fitting.energy.samples import surface_samples
from fitting.energy.surface import model_surface
from fitting.landmarks.base import Face
from fitting.observation.crop import observe
from fitting.policy.settings import Thinning
from fitting.policy.weights import TermWeights
from fitting.solver.state import FitState, Unknowns
from geometry.rotation import rotation_matrix

SIZE = 64


@pytest.fixture(scope="module")
def scene(model):
    g = torch.Generator().manual_seed(3)
    normal = lambda *s: torch.randn(*s, generator=g)  # noqa: E731
    light = 0.2 * normal(2, 9, 3)
    light[:, 0] = 2.5
    state = FitState(
        identity=normal(model.count("identity")),
        reflectance=0.5 * normal(model.count("reflectance")),
        detail=0.05 * normal(300, 3),
        log_focal=torch.tensor(900.0).log(),
        rotation=rotation_matrix(0.3 * normal(2, 3)),
        translation=torch.tensor([5.0, 10.0, 700.0]) + 4 * normal(2, 3),
        expression=0.4 * torch.rand(2, model.count("expression"), generator=g),
        joints=torch.zeros(2, 0),
        gaze=0.2 * normal(2, 2, 2),
        light=light,
        brows=0.01 * normal(20),
    )
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    picture = np.kron(noise, np.ones((12, 12, 1), np.uint8))
    marks = landmark_points(model, "mediapipe478")
    centre = np.array([360.0, 250.0])
    points = [centre + 60 * np.random.default_rng(k).normal(size=(len(marks.mean), 2)) for k in (1, 2)]
    points[0][5] = np.nan
    seen = [
        observe(picture, Face(p, "mediapipe478", 1.0), (SIZE,)) for p in (np.nan_to_num(q, nan=300.0) for q in points)
    ]
    both = type(seen[0]).concatenate(seen)
    both = replace(both, landmarks=torch.tensor(np.stack(points)).float())
    samples = surface_samples(model, 300)
    shape = model_surface(model, {300: samples}, marks, occluder(model, Thinning())).shape(state)
    return state, both, shape, marks, Unknowns.of(model)


@pytest.mark.parametrize("shared", [True, False])
def test_photometric_kernel_is_the_reference(scene, shared):
    state, seen, shape, _, unknowns = scene
    visible = (torch.rand(2, 300, generator=torch.Generator().manual_seed(1)) > 0.3).float()
    arguments = (shape.surface, state, Look(seen, SIZE, visible), TermWeights(), unknowns.layout, shared)
    ours, theirs = photometric_rows(*arguments), by_reference(*arguments)
    seen_at = theirs.seen > 0
    torch.testing.assert_close(ours.squared[seen_at], theirs.squared[seen_at], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(ours.seen, theirs.seen, rtol=1e-3, atol=1e-5)
    for a, b in zip(ours.rows, theirs.rows):
        if not shared:
            assert 0 < len(a) < 3 * 300  # unseen samples are left out
        kept, wanted = (x[x.abs().sum(1) > 0] for x in (a, b))
        scale = wanted.square().mean(0).sqrt()
        assert ((kept - wanted).abs() <= 2e-3 * scale + 1e-5).all()
    if shared:
        torch.testing.assert_close(ours.by_detail, theirs.by_detail, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shared", [True, False])
def test_landmark_kernel_is_the_reference(scene, shared):
    state, seen, shape, marks, unknowns = scene
    arguments = (Landmarks(marks, shape.marks), state, seen, TermWeights(), unknowns.layout, shared)
    rows, squared = landmark_rows(*arguments)
    terms, expected = landmarks(*arguments)
    torch.testing.assert_close(squared, expected, rtol=1e-3, atol=1e-6)
    wanted = terms.weighted()
    scale = wanted.square().mean((0, 1)).sqrt()
    assert ((rows - wanted).abs() <= 2e-3 * scale + 1e-5).all()
    assert (rows[0, 10:12] == 0).all()  # the landmark that wasn't found


def test_frames_do_not_touch_each_other(scene):
    """A batch of two is two single runs, bit for bit."""
    state, seen, shape, marks, unknowns = scene
    visible, last = torch.ones(2, 300), (TermWeights(), unknowns.layout, False)
    both = photometric_rows(shape.surface, state, Look(seen, SIZE, visible), *last).rows
    both_marks = landmark_rows(Landmarks(marks, shape.marks), state, seen, *last)[0]
    for f in range(2):
        single, alone = state.frame(f), seen.frame(f)
        rows = photometric_rows(shape.surface, single, Look(alone, SIZE, visible[:1]), *last).rows[0]
        assert torch.equal(rows, both[f])
        assert torch.equal(landmark_rows(Landmarks(marks, shape.marks), single, alone, *last)[0][0], both_marks[f])
