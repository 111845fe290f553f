"""Stacked hourglasses: the published sizes, and that every stack learns where a dot is."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from neural_render.networks import StackedHourglass


@pytest.mark.parametrize("size, reduction, side", [(256, 4, 64), (64, 2, 32)])
def test_maps_of_each_stack(size, reduction, side):
    with torch.device("meta"):
        found = StackedHourglass(15, reduction=reduction)(torch.empty(2, 3, size, size))
    assert [maps.shape for maps in found] == [(2, 15, side, side)] * 2


def test_every_stack_finds_a_dot():
    torch.manual_seed(0)
    network = StackedHourglass(1, 16, depth=2, reduction=2, norm="group")
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    places = torch.randint(2, 14, (16, 2))
    real = torch.zeros(16, 1, 16, 16)
    real[torch.arange(16), 0, places[:, 0], places[:, 1]] = 1
    pictures = F.interpolate(real, scale_factor=2).expand(-1, 3, -1, -1)
    for _ in range(60):
        found = network(pictures)
        loss = sum(F.mse_loss(maps, real) for maps in found)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for maps in found:
        at = maps.flatten(1).argmax(1)
        right = (at // 16 == places[:, 0]) & (at % 16 == places[:, 1])
        assert right.float().mean() > 0.9


def test_another_reduction_is_refused():
    with pytest.raises(ValueError, match="reduction: expected 2 or 4, got 8"):
        StackedHourglass(3, 16, reduction=8)
