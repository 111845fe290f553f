"""The mesh that hides things: thinned out where it's fine, as it is else."""

import torch

from fitting.energy.occluder import occluder
from fitting.policy.settings import Thinning


def test_a_small_mesh_is_left_alone(model):
    whole = occluder(model, Thinning())
    assert torch.equal(whole.triangles, model.triangles) and len(whole.vertices) == len(model.mean)


def test_a_fine_one_is_thinned_out_and_stays_where_it_was(model):
    thin = occluder(model, Thinning(most=1000, coarse=12.0, fine=3.0))
    assert len(thin.vertices) < 0.75 * len(model.mean)
    assert int(thin.triangles.min()) >= 0 and int(thin.triangles.max()) == len(thin.vertices) - 1
    away = torch.cdist(model.mean[model.triangles.unique()], model.mean[thin.vertices]).min(1).values
    assert float(away.max()) < 12 * 3**0.5  # a cell's diagonal
    eyes = torch.cat(model.eyes.vertices)
    assert float(torch.cdist(model.mean[eyes], model.mean[thin.vertices]).min(1).values.max()) < 3 * 3**0.5


def test_lips_stay_apart(model):
    """They touch, but don't hang together: with the jaw open there's a hole between them."""
    thin = occluder(model, Thinning(most=1000, coarse=6.0))
    expression = torch.zeros(model.count("expression"))
    expression[model.expression_index("jawOpen")] = 1
    opened, closed = model.vertices(None, expression)[thin.vertices], model.mean[thin.vertices]
    edges = torch.cat([thin.triangles[:, [0, 1]], thin.triangles[:, [1, 2]], thin.triangles[:, [2, 0]]])
    a, b = edges.unbind(1)
    stretched = (opened[a] - opened[b]).norm(dim=1) - (closed[a] - closed[b]).norm(dim=1)
    gap = (model.vertices(None, expression) - model.mean).norm(dim=1).max()
    assert float(stretched.max()) < 0.7 * float(gap)
