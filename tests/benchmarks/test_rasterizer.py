"""The benchmark of the rasterisers: both draw the same head, which fills the picture as said."""

import pytest
import torch

import facemodel
from benchmarks.rasterizer import FILL, compare, framing, measure
from renderer import Fragments, render


def test_the_head_fills_the_picture():
    model = facemodel.load()
    rows = render(model, *framing(model, 200), ("mask",))["mask"][0, ..., 0].any(1).sum()
    assert float(rows) / 200 == pytest.approx(FILL, abs=0.06)


def test_both_are_measured_and_agree():
    result = measure(facemodel.load(), 40)
    assert result["agreement"] > 0.995 and result["bary_max_error"] < 1e-2 and result["covered_pixels"] > 300
    assert result["speedup_vs_pytorch3d"] == pytest.approx(result["pytorch3d_ms"] / result["ms"])
    assert result["three_maps_ms"] > 0


def test_differences_are_counted():
    faces = torch.tensor([0, 0, 1, -1]).view(1, 2, 2, 1)
    ours = Fragments(faces, torch.ones(1, 2, 2, 1), torch.zeros(1, 2, 2, 1, 3))
    theirs = Fragments(
        torch.tensor([0, 1, -1, -1]).view(1, 2, 2, 1), torch.full((1, 2, 2, 1), 1.5), ours.bary_coords + 0.25
    )
    found = compare(ours, theirs)
    assert found["agreement"] == pytest.approx(1 / 3) and found["covered_pixels"] == 3
    assert (found["bary_max_error"], found["depth_max_error_mm"]) == (0.25, 0.5)
