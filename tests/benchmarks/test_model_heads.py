"""What fits of heads are told by `benchmarks.model_heads`."""

import numpy as np
import pytest
import torch

from benchmarks.heads_neutral import expression_of
from benchmarks.model_heads import TrueLandmarks, with_expression


def test_weights_of_both_sides_are_one_where_the_model_has_one(model):
    names = ["jawOpen", "mouthSmile_L", "mouthSmile_R", "browInnerUp_L", "browInnerUp_R"]
    found = expression_of(model, names, np.array([0.4, 0.1, 0.2, 0.6, 0.2]))
    said = {model.expression_names[k]: float(found[k]) for k in found.nonzero().flatten()}
    assert said == pytest.approx({"jawOpen": 0.4, "mouthSmileLeft": 0.1, "mouthSmileRight": 0.2, "browInnerUp": 0.4})


def test_an_expression_that_is_known_stays(model):
    values = torch.rand(model.count("expression"), generator=torch.Generator().manual_seed(0))
    told = with_expression(model, values)
    block = told.blocks["expression"]
    for far in (-9.0, 0.5, 9.0):
        torch.testing.assert_close(block.clamp(torch.full_like(values, far)), values)
    torch.testing.assert_close(block.mean, values)
    torch.testing.assert_close(told.vertices(None, values), model.vertices(None, values))
    assert told.arkit == model.arkit


def test_true_landmarks_are_where_the_camera_sees_them():
    truth = {"landmarks": np.zeros((68, 3)), "R": np.eye(3), "t": np.array([10.0, -20.0, 500.0]),
             "K": np.array([[1000.0, 0, 256], [0, 1000, 250], [0, 0, 1]])}  # fmt: skip
    points = TrueLandmarks(truth).detect(np.zeros((4, 4, 3), np.uint8))[0].points
    np.testing.assert_allclose(points, np.tile([276.0, 210.0], (68, 1)))
