"""Holes filled without a network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facemodel import PortraitError
from neural_render.uv_gan.filling import blend_weight, mirror_fill, smooth_fill

G = torch.Generator().manual_seed(0)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 40), st.integers(3, 40), st.integers(0, 10**6))
def test_known_values_stay_and_others_lie_between(height, width, seed):
    g = torch.Generator().manual_seed(seed)
    values, known = torch.rand(height, width, 2, generator=g), torch.rand(height, width, generator=g) < 0.2
    known[seed % height, seed % width] = True
    out = smooth_fill(values, known.float())
    torch.testing.assert_close(out[known], values[known])
    seen = values[known]
    assert (out >= seen.amin(0) - 1e-5).all() and (out <= seen.amax(0) + 1e-5).all()


def test_a_ramp_is_filled_smoothly():
    ramp = torch.linspace(0, 1, 64).expand(64, 64)[..., None]
    known = torch.ones(64, 64)
    known[20:44, 20:44] = 0
    out = smooth_fill(ramp, known)
    hole = known == 0
    assert float((out - ramp)[hole].abs().mean()) < 0.04
    assert float(out.diff(dim=1).abs().max()) < 0.08  # no seam
    with pytest.raises(PortraitError, match="known"):
        smooth_fill(ramp, torch.zeros(64, 64))


def test_the_mirrored_side_fills_a_hole_with_its_detail():
    """A symmetric texture, lit from one side as the model's is: the hidden half comes back whole."""
    half = 0.2 + 0.5 * torch.rand(32, 16, 3, generator=G)
    albedo = torch.cat([half, half.flip(1)], 1)
    light = torch.linspace(0.5, 1.5, 32)[None, :, None]
    weight = torch.ones(32, 32)
    weight[:, 20:] = 0
    out = mirror_fill(albedo * light * weight[..., None], weight, 0.4 * light.expand(32, 32, 3))
    torch.testing.assert_close(out, albedo * light, atol=1e-3, rtol=1e-3)


def test_neither_side_seen_is_the_model_in_the_texture_s_tone():
    model = 0.3 + 0.1 * torch.rand(32, 32, 3, generator=G)
    weight = torch.ones(32, 32)
    weight[:, 12:20] = 0  # the middle: its mirrored side is hidden too
    out = mirror_fill(1.5 * model * weight[..., None], weight, model)
    torch.testing.assert_close(out, 1.5 * model, atol=1e-3, rtol=1e-3)


def test_weights_from_confidence():
    island = torch.tensor([[True, True, False]])
    assert blend_weight(torch.tensor([[0.3, 0.075, 1.0]]), island).tolist() == [[1.0, 0.5, 0.0]]


def test_compiled_filling_is_that_of_plain_torch():
    """Gradients switch the compiled steps off."""
    generator = torch.Generator().manual_seed(0)
    values, weight = torch.rand(23, 41, 5, generator=generator), torch.rand(23, 41, generator=generator)
    weight = weight * (weight > 0.6)
    fast = smooth_fill(values, weight)
    slow = smooth_fill(values.clone().requires_grad_(), weight)
    assert slow.requires_grad and not fast.requires_grad
    torch.testing.assert_close(fast, slow.detach(), atol=1e-5, rtol=1e-5)
