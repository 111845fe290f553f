"""The sRGB curve."""

import pytest
import torch

from geometry.color import linear_to_srgb, srgb_to_linear


def test_srgb_known_values_and_inverse():
    known = torch.tensor([0.0, 0.04045, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(
        srgb_to_linear(known), torch.tensor([0, 0.0031308, 0.21404114, 1], dtype=torch.float64), atol=1e-7, rtol=0
    )
    values = torch.linspace(0, 1.5, 500, dtype=torch.float64)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-7, rtol=0)
    zero = torch.zeros(1, requires_grad=True)
    linear_to_srgb(zero).backward()
    assert float(zero.grad) == pytest.approx(12.92)
