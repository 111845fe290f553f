"""Whole fits by two ways that have to agree: two rasterisers, a batch and single runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fitting.energy.agreement import compiled_figures, figures
from fitting.observation.crop import Observation
from fitting.policy.agreement import AgreementPolicy
from fitting.policy.settings import Settings, Thinning, Visibility
from fitting.tracking.frame import Fitter
from renderer.rasterizers import RASTERIZERS, using
from tests.fitting.rendered import FAST, fit, observed

SMALL = Settings(samples=300, levels=(64,), steps=(1,), joint_levels=(64,), joint_steps=(2,), key_frames=1)
COARSE = replace(SMALL, thinning=Thinning(most=0, coarse=8.0, fine=4.0), visibility=Visibility(buffer=48))


def test_both_rasterizers_lead_to_the_same_fit(model, clip):
    """One turned head. A sample on an edge of the buffer may be hidden by one and seen by the other."""
    _, pictures, points = clip
    calls, pytorch3d = [], RASTERIZERS["pytorch3d"]
    counted = replace(pytorch3d, name="counted", rasterize=lambda *a: calls.append(1) or pytorch3d.rasterize(*a))
    RASTERIZERS.add("counted", counted)
    fits = []
    try:
        for name in ("numba", "counted"):
            with using(name):
                fits.append(fit(model, pictures[:1], points, focal=400.0, settings=COARSE))
    finally:
        RASTERIZERS.remove("counted")
    ours, theirs = fits
    # Two sources of landmarks, each with four coarse steps and a look at what they leave; the rest, and the eyes.
    assert len(calls) > 2 * 5 + 2, "PyTorch3D wasn't asked for each visibility"
    a, b = ours.parameters, theirs.parameters
    assert (a.rotation - b.rotation).norm(dim=-1).rad2deg().max() < 0.1
    assert (a.translation - b.translation).norm(dim=-1).max() < 1.0  # mm
    assert (a.identity - b.identity).abs().max() < 0.1
    assert (a.expression - b.expression).abs().max() < 0.02
    torch.testing.assert_close(ours.energies["photometric"], theirs.energies["photometric"], rtol=0.02, atol=0)
    torch.testing.assert_close(ours.energies["visible"], theirs.energies["visible"], rtol=0, atol=0.02)


def test_a_batch_is_as_many_single_runs(model, clip):
    """Four pictures of one person at once, from the same start; and each of them alone."""
    _, pictures, points = clip
    fitter = Fitter(model, "mediapipe478", 400.0, 400.0, FAST)
    alone = [observed(pictures[k], points[k], FAST.levels) for k in (0, 2, 4, 6)]
    together = Observation.concatenate(alone)
    with torch.inference_mode():
        shared = fitter.start(together)
        batch = fitter.track(together, None, fitter.start(together, shared))
        for k, seen in enumerate(alone):
            one = fitter.track(seen, None, fitter.start(seen, shared))
            for name in ("rotation", "translation", "expression", "gaze", "light"):
                torch.testing.assert_close(
                    getattr(one.state, name)[0], getattr(batch.state, name)[k], rtol=1e-4, atol=1e-4
                )
            torch.testing.assert_close(one.spread[0], batch.spread[k], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("grey", [False, True])
def test_the_compiled_figures_are_the_reference_s(grey):
    random = np.random.default_rng(4)
    weight, shown = random.random(200), random.random((200, 3))
    normal = random.normal(size=(200, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    seen = 0.6 * shown + 0.1 * random.random((200, 3))
    seen[:30] = random.random((30, 3))  # a hand
    if grey:
        seen = np.repeat(seen[:, :1], 3, 1)
    args = weight, shown, normal, seen, AgreementPolicy()
    np.testing.assert_allclose(compiled_figures(*args), figures(*args), rtol=1e-9)
