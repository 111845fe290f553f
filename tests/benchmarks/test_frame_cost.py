"""The finer model that frames are timed with is the same face."""

import torch

import facemodel
from benchmarks.frame_cost import split


def test_a_split_model_is_the_same_face():
    model = facemodel.load()
    fine = split(model, 10_000)
    assert len(fine.mean) >= 10_000 and len(fine.triangles) == 4 * len(model.triangles)
    identity, expression = torch.randn(80), torch.rand(52)
    vertices = fine.vertices(identity, expression)
    torch.testing.assert_close(vertices[: len(model.mean)], model.vertices(identity, expression))
    for scheme in model.embeddings:
        ours = model.landmarks(model.vertices(identity, expression), scheme)
        torch.testing.assert_close(fine.landmarks(vertices, scheme), ours, atol=1e-3, rtol=0)
    assert fine.region("face").sum() > 3 * model.region("face").sum()
    assert len(fine.eyes.vertices[0]) > len(model.eyes.vertices[0])
