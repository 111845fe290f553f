"""Carrying expressions to another face, where the truth is known."""

import torch

import facemodel
from benchmarks import transfer


def test_a_pair():
    found = transfer.pair(facemodel.load(), 0, 5)
    assert set(found) == {"neutral", "copied", "transferred"}
    for name in ("shape", "lips", "triangles"):
        assert max(found[method][name] for method in ("copied", "transferred")) < 0.8 * found["neutral"][name]
    assert found["neutral"]["triangles"] == 1


def test_a_fit_with_the_true_identity_finds_the_performance():
    model = facemodel.load()
    mean, wanted = torch.zeros(model.count("identity")), transfer.performance(model, 1, 4)
    found = transfer.refitted(model, model.vertices(mean, wanted), mean)
    truth = model.vertices(mean, wanted)
    error, motion = (model.vertices(mean, found) - truth).norm(), (truth - model.vertices(mean)).norm()
    assert error < 0.1 * motion
