"""Flows that points tell, and what is carried by them."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from neural_render.methods.common.carrying import carried, led


def test_a_flow_leads_points_to_the_wanted_places():
    wanted = torch.tensor([[[-0.5, -0.5], [0.5, 0.5]]])
    points = wanted + torch.tensor([[[0.1, 0.0], [0.0, -0.2]]])
    flow = led(points, wanted, 0.06)
    assert flow.shape == (1, 32, 32, 2)
    at = F.grid_sample(flow.movedim(-1, 1), wanted[:, None], align_corners=False)[:, :, 0].mT
    torch.testing.assert_close(wanted + at, points)


def test_what_lies_at_points_comes_to_where_they_are_wanted():
    """A spot at pixel (20, 30) of 64 is wanted 8 px to the right and 4 up; with all points at rest nothing moves."""
    picture = torch.zeros(1, 1, 64, 64)
    picture[..., 29:32, 19:22] = 1
    place = lambda x, y: torch.tensor([[[(x + 0.5) / 32 - 1, (y + 0.5) / 32 - 1]]])  # noqa: E731
    made = carried(picture, place(20, 30), place(28, 26), 0.1)
    torch.testing.assert_close(made[..., 25:28, 27:30], torch.ones(1, 1, 3, 3))
    assert made.sum().item() == 9
    torch.testing.assert_close(carried(picture, place(9, 9), place(9, 9), 0.1), picture)
