"""Combinations of vertices without the mesh, against the mesh: of every kind of model."""

import numpy as np
import pytest
import torch
from scipy import sparse

import facemodel
from benchmarks.model_files import make_head, write_facewarehouse, write_flame, write_gnm
from facemodel.combinations import Gathered
from facemodel.importing import import_model


@pytest.fixture(scope="module", params=["flame", "gnm", "facewarehouse"])
def model(request, tmp_path_factory):
    folder, head = tmp_path_factory.mktemp("combinations"), make_head(8, 10)
    write = {"flame": lambda f, h: write_flame(f, h, lids=True), "gnm": write_gnm, "facewarehouse": write_facewarehouse}
    written = write[request.param](folder, head)
    return import_model(written.path, written.extras, force=True).double()


def rows(model, count=40, seed=0):
    """Random combinations of three vertices: of weights that add up to one, or to nothing, as a tangent's do."""
    rng = np.random.default_rng(seed)
    at = rng.integers(0, len(model.mean), (count, 3))
    weights = rng.dirichlet(np.ones(3), count)
    weights[::2] -= 1 / 3
    return sparse.csr_matrix((weights.ravel(), (np.repeat(np.arange(count), 3), at.ravel())), (count, len(model.mean)))


def place(model, seed=0, size=0.3):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randn(n, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw(model.count("identity")), 0.5 * draw(model.count("expression")), size * draw(model.count("joints"))


def test_they_are_what_the_mesh_says(model):
    ours, theirs = model.combinations(rows(model)), Gathered(model, rows(model))
    assert type(ours) is not Gathered
    for seed in (1, 2):  # a second identity, too: the first is remembered
        at = place(model, seed)
        for part in ("positions", "by_identity", "by_motion"):
            got, wanted = (getattr(x, part)(*at) for x in (ours, theirs))
            torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-6)


def test_derivatives_of_a_state_are_worked_out_once(model, monkeypatch):
    calls, linearize = [], model.linearize
    monkeypatch.setattr(model, "linearize", lambda *state: calls.append(1) or linearize(*state))
    found = Gathered(model, rows(model))
    for seed in (1, 1, 2):
        at = place(model, seed)
        found.by_identity(*at), found.by_motion(*at)
    assert len(calls) == 2


def test_where_they_hold_they_are_right(model):
    """A state nearby, by the derivatives of another one: to hundredths of a millimetre if `holds` says so."""
    ours = model.combinations(rows(model))
    identity, expression, joints = place(model)
    near = identity, expression + 0.05, joints + 0.015
    assert ours.holds((identity, expression, joints), near)
    step = torch.cat([near[1] - expression, near[2] - joints])
    guess = ours.positions(identity, expression, joints) + ours.by_motion(identity, expression, joints) @ step
    assert (guess - ours.positions(*near)).abs().max() < 0.1
    if len(joints):
        assert not ours.holds((identity, expression, joints), (identity, expression, joints + 0.1))


def test_of_a_linear_model():
    model = facemodel.load()
    at = rows(model, 10)
    for seed in (1, 2):
        place_ = [x.float() for x in place(model, seed)]
        for part in ("positions", "by_identity", "by_motion"):
            got, wanted = (getattr(x, part)(*place_) for x in (model.combinations(at), Gathered(model, at)))
            torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-5)
