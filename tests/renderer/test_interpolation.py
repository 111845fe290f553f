"""Interpolation: compiled against plain torch, and gradients against finite differences."""

from __future__ import annotations

import pytest
import torch

from facemodel import PortraitError
from renderer import Camera, Fragments, interpolate, linear_to_srgb, rasterize, shade
from renderer.interpolation import barycentrics, interpolate_covered, interpolate_reference
from tests.renderer.conftest import random_mesh

CAMERA = Camera(90.0, 40, 30, cx=18.0)


@pytest.fixture(scope="module")
def scene():
    meshes = [random_mesh(seed, count=12, spread=50) for seed in range(3)]
    points, triangles = torch.stack([m[0] for m in meshes]), meshes[0][1]
    return points, triangles, rasterize(points, triangles, CAMERA)


@pytest.mark.parametrize("shape", [(3, 36, 5), (36, 5), (1, 36, 5), (36, 1)])
def test_compiled_is_the_reference(scene, shape):
    _, triangles, fragments = scene
    attributes = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    fast = interpolate(fragments, attributes, triangles)
    covered = fragments.covered()
    slow = covered.scatter(interpolate_reference(covered.faces, covered.bary, triangles, attributes))
    assert fast.shape == (3, 30, 40, shape[-1])
    torch.testing.assert_close(fast, slow, atol=1e-6, rtol=0)
    assert (fast[~fragments.mask] == 0).all()
    compact = interpolate_covered(covered, attributes, triangles)
    torch.testing.assert_close(covered.scatter(compact), fast)


def test_position_as_attribute_gives_depth(scene):
    points, triangles, fragments = scene
    depth = interpolate(fragments, points, triangles)[..., 2]
    torch.testing.assert_close(depth[fragments.mask], fragments.zbuf[fragments.mask][:, 0], atol=1e-3, rtol=1e-5)


def test_barycentrics_from_vertices_are_the_fragments(scene):
    points, triangles, fragments = scene
    covered = fragments.covered()
    again = barycentrics(covered, triangles, points, CAMERA)
    assert float((again - covered.bary).abs().max()) < 1e-3
    exact = barycentrics(covered, triangles, points.double(), CAMERA)
    assert float((exact - covered.bary).abs().max()) < 1e-4


def test_an_empty_picture(scene):
    points, triangles, _ = scene
    fragments = rasterize(points * torch.tensor([1.0, 1, -1]), triangles, CAMERA)
    assert not interpolate(fragments, torch.ones(36, 4), triangles).any()
    points = points.clone().requires_grad_()
    out = interpolate(fragments, torch.ones(36, 4), triangles, points, CAMERA)
    assert out.shape == (3, 30, 40, 4) and not out.any()
    out.sum().backward()


def test_points_and_camera_belong_together(scene):
    points, triangles, fragments = scene
    with pytest.raises(PortraitError, match="together"):
        interpolate(fragments, points, triangles, points_cam=points)


def _first_pixels(fragments: Fragments, count: int) -> Fragments:
    """The same fragments with all but some pixels emptied, to keep finite differences cheap."""
    faces = fragments.pix_to_face.clone().reshape(-1)
    index = torch.nonzero(faces >= 0).squeeze(1)
    keep = index[:: max(1, len(index) // count)]
    thinned = torch.full_like(faces, -1)
    thinned[keep] = faces[keep]
    return Fragments(thinned.view_as(fragments.pix_to_face), fragments.zbuf, fragments.bary_coords)


def test_gradients_are_finite_differences(scene):
    points, triangles, fragments = scene
    fragments = _first_pixels(fragments, 12)
    points = points.double().requires_grad_()
    focal = torch.tensor(90.0, dtype=torch.float64, requires_grad=True)
    generator = torch.Generator().manual_seed(2)
    attributes = torch.rand(3, 36, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    shared = torch.rand(36, 2, generator=generator, dtype=torch.float64, requires_grad=True)

    def draw(p, a, f):
        picture = interpolate(fragments, a, triangles, p, Camera(f, 40, 30, cx=18.0))
        return picture[fragments.mask]

    assert torch.autograd.gradcheck(draw, (points, attributes, focal), atol=1e-6)
    assert torch.autograd.gradcheck(lambda a: interpolate(fragments, a, triangles)[fragments.mask], shared)


def test_gradient_of_a_shaded_picture_in_light_and_albedo(scene):
    _, triangles, fragments = scene
    fragments = _first_pixels(fragments, 10)
    generator = torch.Generator().manual_seed(4)
    normals = torch.nn.functional.normalize(torch.randn(36, 3, generator=generator, dtype=torch.float64), dim=-1)
    albedo = (0.2 + torch.rand(36, 3, generator=generator, dtype=torch.float64)).requires_grad_()
    light = torch.zeros(9, 3, dtype=torch.float64)
    light[0], light[3] = 1.5, 0.2
    light.requires_grad_()

    def draw(a, l):
        at_pixels = torch.nn.functional.normalize(interpolate(fragments, normals, triangles)[fragments.mask], dim=-1)
        return linear_to_srgb(shade(interpolate(fragments, a, triangles)[fragments.mask], at_pixels, l))

    assert torch.autograd.gradcheck(draw, (albedo, light))
