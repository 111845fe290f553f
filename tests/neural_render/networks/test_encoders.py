"""Encoders of pictures: the papers' forms, shallow where asked, with places left of small pictures."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from neural_render.networks.encoders import MobileEncoder, ResNeXtEncoder


def weights_of(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_wide_ones_are_torchvisions():
    with torch.device("meta"):
        ours, theirs = ResNeXtEncoder(10, 64, "batch"), torchvision.models.resnext50_32x4d(num_classes=10)
        assert weights_of(ours) == weights_of(theirs)
        mobile = MobileEncoder(10, 64, "batch")
        assert weights_of(mobile) == weights_of(torchvision.models.mobilenet_v2(num_classes=10))


def test_shallow_ones_have_a_block_a_stage():
    with torch.device("meta"):
        shallow, deep = (ResNeXtEncoder(4, 16, shallow=s) for s in (True, False))
        counts = [sum(isinstance(m, nn.Conv2d) for m in network.modules()) for network in (shallow, deep)]
        assert counts == [1 + 4 * 4, 1 + 16 * 3 + 4]
        shallow, deep = (MobileEncoder(4, 16, shallow=s) for s in (True, False))
        assert [len(network.body.features) for network in (shallow, deep)] == [1 + 7 + 1, 1 + 17 + 1]


@pytest.mark.parametrize("size, left", [(64, 4), (128, 4), (256, 8)])
def test_small_pictures_keep_places(size, left):
    encoder = MobileEncoder(4, 16, size=size)
    assert encoder.body.features(torch.zeros(1, 3, size, size)).shape[-1] == left
    assert encoder(torch.zeros(1, 3, size, size)).shape == (1, 4)


def test_blocks_begin_as_their_shortcuts():
    torch.manual_seed(0)
    block = next(m for m in ResNeXtEncoder(4, 16, shallow=True).modules() if type(m).__name__ == "Bottleneck").eval()
    x = torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(block(x), torch.relu(block.downsample(x)))
