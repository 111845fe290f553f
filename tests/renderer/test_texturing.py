"""Textures over the atlas: drawn, lit, seen."""

from __future__ import annotations

import pytest
import torch

from facemodel import FaceParameters, PortraitError
from renderer import Camera, atlas_light, atlas_values, extend, main_island, render, render_textured
from renderer.unwrapping import uv_fragments

SIZE = 256


@pytest.fixture(scope="module")
def turned(model):
    """A head under a light from one side, turned by half a radian."""
    p = FaceParameters.neutral(model, focal=300.0, distance=700.0)
    light = p.illumination.clone()
    light[3] = torch.tensor([0.9, 0.7, 0.5])
    light[1] = 0.4
    return p.replace(illumination=light, rotation=torch.tensor([0.1, 0.5, 0.0]))


@pytest.fixture(scope="module")
def albedo(model):
    known = uv_fragments(model, (SIZE, SIZE)).mask[0]
    return extend(atlas_values(model, model.albedo(), SIZE), known)


def test_a_texture_of_the_albedo_looks_like_the_albedo(model, turned, albedo):
    """Two ways to one picture: colours at vertices, and colours in the atlas."""
    camera = Camera(300.0, 96, 96)
    expected = render(model, turned, camera, maps=("diffuse", "mask"))
    picture, alpha = render_textured(model, turned, camera, albedo, supersample=1)
    assert torch.equal(alpha, expected["mask"])
    inside = expected["mask"][0, ..., 0] > 0
    error = (picture - expected["diffuse"])[0][inside].abs().mean(-1)
    assert float(error.mean()) < 0.004 and float(error.quantile(0.95)) < 0.02


def test_light_may_be_in_the_texture(model, turned, albedo):
    camera = Camera(300.0, 64, 64)
    known = uv_fragments(model, (SIZE, SIZE)).mask[0]
    lit = extend(albedo * atlas_light(model, turned, SIZE), known)
    baked, _ = render_textured(model, turned, camera, lit, lit=True, supersample=1)
    shaded, alpha = render_textured(model, turned, camera, albedo, supersample=1)
    error = (baked - shaded).abs().mean(-1)[alpha[..., 0] > 0]
    assert float(error.mean()) < 0.005


def test_supersampling_keeps_the_mean(model, turned, albedo):
    coarse, alpha = render_textured(model, turned, Camera(300.0, 64, 64), albedo, supersample=2)
    fine, fine_cover = render_textured(model, turned, Camera(600.0, 128, 128), albedo, supersample=1)
    expected = torch.nn.functional.avg_pool2d(fine_cover.movedim(-1, 1), 2).movedim(1, -1)
    torch.testing.assert_close(alpha, expected)
    assert set((alpha * 4).unique().tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    whole = alpha[..., 0] == 1
    small = torch.nn.functional.avg_pool2d(fine.movedim(-1, 1), 2).movedim(1, -1)
    assert float((coarse - small)[whole].abs().mean()) < 0.01


def test_several_pictures_and_lights(model, turned, albedo):
    both = FaceParameters.stack([turned, turned.replace(illumination=turned.illumination / 2)])
    pictures, _ = render_textured(model, both, Camera(300.0, 48, 48), albedo)
    alone, _ = render_textured(model, both[1], Camera(300.0, 48, 48), albedo)
    torch.testing.assert_close(pictures[1], alone[0])
    assert float(pictures[1].mean()) < 0.9 * float(pictures[0].mean())


def test_main_island_is_one_mirrored_piece_without_the_eyes(model):
    island = main_island(model, SIZE)
    assert torch.equal(island, island.flip(1)) and 0.7 < float(island.float().mean()) < 0.95
    eyes = atlas_values(model, model.region("eyes").float()[:, None], SIZE)[..., 0]
    assert not island[eyes > 0.9].any()


def test_extend_repeats_the_nearest():
    texture = torch.arange(12.0).reshape(3, 4, 1)
    known = torch.zeros(3, 4, dtype=torch.bool)
    known[0, 0] = known[2, 3] = True
    out = extend(texture, known)
    assert out[0, 1] == 0 and out[1, 0] == 0 and out[2, 2] == 11 and out[1, 3] == 11
    with pytest.raises(PortraitError, match="known texel"):
        extend(texture, torch.zeros(3, 4, dtype=torch.bool))


def test_the_map_of_a_texture(model, turned):
    """Compiled against plain torch, and against pictures of the texture alone."""
    texture, camera = torch.rand(64, 48, 3, generator=torch.Generator().manual_seed(0)), Camera(260.0, 64, 48)
    names = ("diffuse", "textured", "mask")
    fast = render(model, turned, camera, names, supersample=2, texture=texture)
    slow = render(model, turned, camera, names, supersample=2, texture=texture, rasterizer="torch")
    inside = (fast["mask"] == 1) & (slow["mask"] == 1)
    assert inside.sum() > 300
    for name in names:
        difference = ((fast[name] - slow[name]).abs() * inside).amax(-1)
        assert (difference > 2e-3).sum() <= 3  # pixel centres on an edge
    alone, _ = render_textured(model, turned, camera, texture, supersample=1)
    one = render(model, turned, camera, ("textured", "mask"), texture=texture)
    torch.testing.assert_close(one["textured"], alone * one["mask"], atol=2e-3, rtol=0)
    with pytest.raises(PortraitError, match="expected one for the map 'textured'"):
        render(model, turned, camera, names)
