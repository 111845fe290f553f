"""What ``benchmarks.real`` measures of brows."""

import pytest
import torch

from benchmarks.real import brow_heights, eye_distance, followed

BROWS = torch.tensor([[276, 263], [295, 362], [46, 33], [65, 133]])  # and the corners of the eyes below them


def test_heights_of_brows_are_those_across_the_eyes_however_the_picture_is_turned():
    points = torch.zeros(2, 478, 2)
    points[:, [33, 133, 362, 263], 0] = torch.tensor([0.0, 20.0, 40.0, 60.0])
    points[:, BROWS[:, 0]] = points[:, BROWS[:, 1]] + torch.tensor([3.0, -10.0])
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    points[1] = points[1] @ turn.T + 5
    torch.testing.assert_close(eye_distance(points), torch.full((2,), 40.0))
    torch.testing.assert_close(brow_heights(points, BROWS), torch.full((2, 4), 0.25))


def test_half_of_a_movement_is_followed_wholly_in_step():
    seen = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    assert followed(seen, 0.5 * seen + 1) == pytest.approx((1.0, 0.5), abs=1e-5)
