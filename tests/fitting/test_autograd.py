"""Every block of the analytic Jacobians against automatic differentiation, in double precision."""

from dataclasses import replace

import pytest
import torch

from fitting.energy.landmarks import Landmarks, landmarks
from fitting.energy.photometric import Look, photometric
from fitting.policy.weights import TermWeights
from tests.fitting.test_energy import BLOCKS, SIZE, random_state, setup, shapes

SAMPLES = 25


def by_autograd(value, state, layout):
    """Jacobian (R, S + P) of value(state) (1, R) by a step from a state of one frame."""
    total = layout.shared + layout.frame

    def stepped(step):
        return value(state.stepped(step[: layout.shared], step[None, layout.shared :], layout))[0]

    return torch.autograd.functional.jacobian(stepped, torch.zeros(total, dtype=torch.float64))


@pytest.fixture(scope="module")
def photometric_pair(model):
    """Ours (R, S + P), and the same by autograd."""
    state = random_state(model, frames=1, seed=4)
    state = type(state)(**{**vars(state), "detail": 0.05 * torch.randn(SAMPLES, 3, dtype=torch.float64)})
    shape = shapes(model, SAMPLES)
    _, seen, layout = setup(model, state)
    look = Look(seen, SIZE, torch.ones(1, SAMPLES, dtype=torch.float64))

    def terms(s):
        return photometric(shape(s).surface, s, look, TermWeights(), layout, shared=True)[0]

    return terms(state).jacobian[0], by_autograd(lambda s: terms(s).value, state, layout), layout


@pytest.fixture(scope="module")
def landmark_pair(model):
    """The same for the rows of all eyeball landmarks, of some of the skin and of the pairs."""
    state = random_state(model, frames=1, seed=5)
    marks, seen, layout = setup(model, state)
    eyes = (marks.eye >= 0).nonzero().flatten()
    skin = (marks.eye < 0).nonzero().flatten()[::40]
    chosen = torch.cat([eyes, skin])
    shape = shapes(model, SAMPLES)
    state = replace(state, detail=torch.zeros(SAMPLES, 3, dtype=torch.float64))
    rows = torch.cat([2 * chosen, 2 * chosen + 1, torch.arange(2 * len(marks.mean), 2 * len(marks.mean) + 8)])

    def terms(s):
        return landmarks(Landmarks(marks, shape(s).marks), s, seen, TermWeights(), layout, shared=True)[0]

    return terms(state).jacobian[0, rows], by_autograd(lambda s: terms(s).value[:, rows], state, layout), layout


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("term", ["photometric", "landmark"])
def test_block(request, term, block):
    ours, expected, layout = request.getfixturevalue(f"{term}_pair")
    at = layout.slices[block]
    unused = {"photometric": ["gaze"], "landmark": ["reflectance", "light"]}[term]
    assert (expected[:, at].abs().max() == 0) == (block in unused)
    torch.testing.assert_close(ours[:, at], expected[:, at], rtol=1e-8, atol=1e-10)


def test_the_sample_s_own_albedo(model):
    """``by_detail``: a row's derivative by its own sample's and channel's albedo; no other row depends on it."""
    state = random_state(model, frames=1, seed=6)
    shape = shapes(model, SAMPLES)
    _, seen, layout = setup(model, state)
    look = Look(seen, SIZE, torch.ones(1, SAMPLES, dtype=torch.float64))

    def terms(detail):
        surface = shape(replace(state, detail=detail)).surface
        return photometric(surface, state, look, TermWeights(), layout, shared=True)[0]

    detail = torch.zeros(SAMPLES, 3, dtype=torch.float64)
    expected = torch.autograd.functional.jacobian(lambda d: terms(d).value[0], detail).flatten(1)
    torch.testing.assert_close(torch.diag(terms(detail).by_detail[0]), expected)
