"""Pictures drawn on the GPU (plain torch) are those of the CPU (compiled kernels)."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from facemodel import FaceParameters
from renderer import (
    MAPS,
    Camera,
    atlas_light,
    atlas_values,
    extend,
    main_island,
    overlay,
    rasterize,
    render,
    render_textured,
    surface_points,
    unwrap_view,
)

EDGE = 0.005  # share of the covered pixels that may be another triangle's: centres on an edge belong to either or none


@pytest.fixture(scope="module")
def people(model) -> FaceParameters:
    """Three pictures of one person: pose, expression, gaze and light of their own."""
    g = torch.Generator().manual_seed(0)
    base = FaceParameters.neutral(model, (3,), distance=600.0)
    return base.replace(
        identity=torch.randn(model.count("identity"), generator=g),
        reflectance=torch.randn(model.count("reflectance"), generator=g),
        expression=0.3 * torch.rand(base.expression.shape, generator=g),
        rotation=0.3 * torch.randn(3, 3, generator=g),
        illumination=base.illumination + 0.1 * torch.randn(3, 9, 3, generator=g),
        gaze=0.2 * torch.randn(3, 2, 2, generator=g),
    )


CAMERAS = {
    "wide": Camera(260.0, 200, 120),
    "high, off-centre": Camera(300.0, 128, 190, cx=50.0, cy=101.5, focal_y=280.0),
    "small head in a large picture": Camera(120.0, 700, 500),  # all triangles in one of the rasteriser's bins
}


def points_of(model, p: FaceParameters) -> torch.Tensor:
    return surface_points(model, p)


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
def test_fragments(model, gpu_model, people, device, camera):
    points = points_of(model, people)
    torch.testing.assert_close(points_of(gpu_model, people.to(device)).cpu(), points, atol=1e-2, rtol=0)
    cpu = rasterize(points, model.triangles, camera)
    gpu = rasterize(points.to(device), gpu_model.triangles, camera)
    assert all(getattr(gpu, f.name).device == gpu_model.mean.device for f in fields(gpu))
    a, b = cpu.pix_to_face[..., 0], gpu.pix_to_face[..., 0].cpu()
    covered = (a >= 0) | (b >= 0)
    assert covered.sum() > 1000 and (a != b)[covered].float().mean() < EDGE
    same = covered & (a == b)
    assert (cpu.zbuf - gpu.zbuf.cpu())[same].abs().max() < 0.05
    assert (cpu.bary_coords - gpu.bary_coords.cpu())[same].abs().max() < 0.05
    # The CPU's rasteriser takes and gives tensors of the GPU as well.
    there = rasterize(points.to(device), gpu_model.triangles, camera, "numba")
    assert there.zbuf.device == gpu_model.mean.device and torch.equal(there.pix_to_face.cpu(), cpu.pix_to_face)


def test_triangles_behind_the_camera_are_dropped(device):
    points = torch.tensor([[-9.0, -9, 20], [9, -9, 20], [0, 9, 20], [-9, -9, -5], [9, -9, -5], [0, 9, -5], [0, 9, 0]])
    for corners, drawn in (([0, 1, 2], True), ([3, 4, 5], False), ([0, 1, 5], False), ([0, 1, 6], False)):
        fragments = rasterize(points.to(device), torch.tensor([corners], device=device), Camera(20.0, 32, 32))
        assert bool(fragments.mask.any()) == drawn


@pytest.mark.parametrize("supersample", [1, 2])
def test_maps(model, gpu_model, people, device, supersample):
    camera = Camera(torch.tensor([260.0, 240.0, 300.0]), 200, 120)
    cpu = render(model, people, camera, MAPS, supersample=supersample)
    gpu = render(gpu_model, people.to(device), camera, MAPS, supersample=supersample)
    covered = cpu["mask"][..., 0] > 0
    for name in MAPS:
        assert gpu[name].device == gpu_model.mean.device and gpu[name].dtype == cpu[name].dtype
        limit = 1.0 if name == "depth" else 0.02
        off = (cpu[name] - gpu[name].cpu()).abs().amax(-1)
        assert not off[~covered].gt(limit).float().mean() > EDGE, name
        assert off[covered].gt(limit).float().mean() < 2 * EDGE, name
        assert off[covered].median() < limit / 20, name


def test_gradients(model, gpu_model, people, device):
    """Of all parameters and the focal length."""
    names = ("identity", "reflectance", "expression", "rotation", "translation", "illumination", "gaze")
    gradients = []
    for where, head in (("cpu", model), (device, gpu_model)):
        p = people.map(lambda t, where=where: t.clone().to(where).requires_grad_())
        focal = torch.tensor(260.0, device=where, requires_grad=True)
        maps = render(head, p, Camera(focal, 200, 120), ("diffuse", "normals", "depth"))
        weight = torch.linspace(0, 1, 200, device=where)[:, None]
        loss = (weight * maps["diffuse"]).mean() + (weight * maps["normals"]).mean() + maps["depth"].mean() / 100
        loss.backward()
        gradients.append([*(getattr(p, name).grad.cpu() for name in names), focal.grad.cpu()])
    for name, a, b in zip((*names, "focal"), *gradients):
        assert b.isfinite().all() and b.abs().max() > 0, name
        assert (a - b).norm() < 0.05 * a.norm(), name


def test_unwrapping(model, gpu_model, people, device):
    camera, own = Camera(260.0, 200, 120), people[0]
    picture = (render(model, own, camera)["diffuse"][0] * 255).to(torch.uint8)
    points = points_of(model, own)
    cpu = unwrap_view(picture, points, model, camera, (96, 96))
    gpu = unwrap_view(picture, points.to(device), gpu_model, camera, (96, 96))  # the picture may lie anywhere
    assert all(getattr(gpu, f.name).device == gpu_model.mean.device for f in fields(gpu))
    differs = cpu.visible != gpu.visible.cpu()
    assert cpu.visible.sum() > 500 and differs.sum() < 0.02 * cpu.visible.sum()
    both = cpu.visible & gpu.visible.cpu()
    for name in ("texture", "cosine", "scale"):
        off = (getattr(cpu, name) - getattr(gpu, name).cpu()).abs()[both]
        assert off.median() < 1e-3 and off.quantile(0.98) < 0.05, name


def test_texturing(model, gpu_model, people, device):
    size, own = 64, people[0]
    pictures = []
    for where, head, p in (("cpu", model, own), (device, gpu_model, own.to(device))):
        island = main_island(head, size)
        albedo = atlas_values(head, head.albedo(p.reflectance), size)
        texture = extend(albedo.clamp(0, 1), island)
        light = atlas_light(head, p, size)
        drawn, alpha = render_textured(head, people.to(where), Camera(260.0, 200, 120), texture)
        shown = overlay(torch.zeros(3, 120, 200, 3, dtype=torch.uint8), drawn, alpha)
        pictures.append([t.float().cpu() for t in (island, texture, light, drawn * alpha, shown / 255)])
        assert drawn.device == head.mean.device
    for a, b in zip(*pictures):
        off = (a - b).abs()
        assert a.shape == b.shape and off.median() < 1e-3 and off.quantile(0.98) < 0.05
