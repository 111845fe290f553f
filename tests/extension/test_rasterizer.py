"""A rasteriser of one's own draws everything that is drawn: maps, textures, what a texture shows, what a fit sees."""

from __future__ import annotations

import pytest
import torch

from facemodel import FaceParameters
from renderer import MAPS, Camera, atlas_values, render, render_textured, surface_points, unwrap_view
from renderer.rasterizers import RASTERIZERS, names, using
from tests.extension import toy_rasterizer
from tests.renderer.test_unwrapping import cylinder_model

CAMERA = Camera(150.0, 60, 70)


@pytest.fixture
def toy():
    toy_rasterizer.register()
    toy_rasterizer.calls.clear()
    with using("toy"):
        yield toy_rasterizer.calls
    RASTERIZERS.remove("toy")


@pytest.fixture(scope="module")
def tube():
    model = cylinder_model(8, 16)
    return model, FaceParameters.neutral(model, (2,), distance=600.0).replace(
        rotation=torch.tensor([[0, 0.2, 0], [0.3, 0, 0]])
    )


def drawn(tube) -> list[torch.Tensor]:
    model, parameters = tube
    points = surface_points(model, parameters)
    maps = render(model, parameters, CAMERA, MAPS, supersample=2)
    picture = maps["normals"][0]
    view = unwrap_view(picture, points[0], model, CAMERA, (24, 40))
    texture, seen = view.texture, view.visible
    textured = render_textured(
        model, parameters, CAMERA, torch.rand(24, 40, 3, generator=torch.Generator().manual_seed(0))
    )
    return [*maps.values(), texture, seen.float(), *textured, atlas_values(model, model.mean, 24)]


def test_it_draws_the_same_pictures(tube, toy):
    assert "toy" in names()
    ours = drawn(tube)
    sizes = set(toy)
    assert {(140, 120), (24, 40), (70, 60), (24, 24)} <= sizes, "something was drawn by another"
    with using("numba"):
        expected = drawn(tube)
    assert set(toy) == sizes
    for a, b in zip(ours, expected):
        assert a.shape == b.shape and float(((a - b).abs() > 1e-2 * b.abs().max().clamp_min(1)).float().mean()) < 0.01


def test_gradients_go_through_its_pictures(tube, toy):
    model, parameters = tube
    gradients = []
    for name in ("toy", "numba"):
        moved = parameters.translation.clone().requires_grad_()
        with using(name):
            render(model, parameters.replace(translation=moved), CAMERA, ("depth",))["depth"].sum().backward()
        gradients.append(moved.grad)
    assert len(toy) == 2
    torch.testing.assert_close(*gradients, rtol=0.01, atol=1)
