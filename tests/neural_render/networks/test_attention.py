"""Attention of one picture's features to others', and blocks that change the resolution."""

from __future__ import annotations

import math

import pytest
import torch

from neural_render.networks.attention import ImageAttention, place_code
from neural_render.networks.residual import ResidualScale


def test_places_have_codes_of_their_own():
    code = place_code(8, 4, 2)
    assert code.shape == (8, 8)
    i, j, k = 3, 1, 1
    row, column = 256 * i / (4 * 10000 ** (4 * k / 8)), 256 * j / (2 * 10000 ** (4 * k / 8))
    wanted = [math.sin(row), math.cos(row), math.sin(column), math.cos(column)]
    torch.testing.assert_close(code[2 * i + j, 4:], torch.tensor(wanted), atol=1e-5, rtol=0)
    assert torch.pdist(code).min() > 0.1


@pytest.fixture
def attention() -> ImageAttention:
    torch.manual_seed(0)
    return ImageAttention(8, 12, 4)


def test_all_places_of_all_others_are_asked_at_once(attention):
    x, others = torch.randn(2, 8, 4, 4), torch.randn(2, 3, 12, 2, 2)
    weights = attention.weights(x, others)
    assert weights.shape == (2, 16, 12)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 16))
    made = attention(x, others)
    assert made.shape == x.shape
    torch.testing.assert_close(attention(x, others[:, [2, 0, 1]]), made, atol=1e-5, rtol=0)  # their order says nothing
    torch.testing.assert_close(attention(x[1:], others[1:]), made[1:], atol=1e-5, rtol=0)  # nor do other samples
    moved = attention(x, others.flip(-1))
    assert (moved - made).abs().max() > 1e-3  # but places do


def test_without_a_question_the_mean_is_found(attention):
    for layer in (attention.to_query, attention.place_query):
        torch.nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            torch.nn.init.zeros_(layer.bias)
    torch.nn.init.zeros_(attention.convolution.weight)
    torch.nn.init.zeros_(attention.convolution.bias)
    x, others = torch.randn(1, 8, 4, 4), torch.randn(1, 2, 12, 2, 2)
    mean = attention.to_value(others.flatten(3).mean((1, 3)))[..., None, None]
    wanted = torch.nn.functional.instance_norm(torch.nn.functional.instance_norm(x + mean))
    torch.testing.assert_close(attention(x, others), wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("scale", [0.5, 1, 2])
@pytest.mark.parametrize("norm", ["instance", "none"])
def test_resolutions(scale, norm):
    block = ResidualScale(3, 5, scale, norm, first=True)
    assert block(torch.randn(2, 3, 8, 6)).shape == (2, 5, 8 * scale, 6 * scale)
    torch.nn.init.zeros_(block.two.weight)
    torch.nn.init.zeros_(block.two.bias)
    constant = torch.ones(1, 3, 8, 8)
    torch.testing.assert_close(block(constant)[0, :, 0, 0], block.shortcut(constant)[0, :, 0, 0])
