"""Our rasterisers, compiled and in plain torch: against PyTorch3D's, against ray casting, and at their limits."""

from __future__ import annotations

import builtins

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facemodel import PortraitError
from renderer import Camera, rasterize, to_camera
from renderer.rasterizers import RASTERIZERS, Rasterizer, choose, chosen, names, resolve, using
from tests.renderer.conftest import random_mesh

CAMERAS = {
    "square": Camera(150.0, 48, 48),
    "wide": Camera(150.0, 61, 33),
    "tall": Camera(150.0, 32, 50),
    "off centre": Camera(150.0, 40, 40, cx=31.3, cy=4.8),
    "oblong pixels": Camera(150.0, 40, 36, focal_y=90.0),
    "1 x 1": Camera(10.0, 1, 1),
}
OURS = ("numba", "torch")


def agreement(ours, theirs) -> tuple[float, float, float]:
    """Share of the same triangle in covered pixels, largest difference of barycentrics and of depth in mm."""
    same = ours.pix_to_face == theirs.pix_to_face
    covered = (ours.pix_to_face >= 0) | (theirs.pix_to_face >= 0)
    both = same & covered
    share = float(same[covered].double().mean()) if covered.any() else 1.0
    if not both.any():
        return share, 0.0, 0.0
    return (
        share,
        float((ours.bary_coords - theirs.bary_coords)[both].abs().max()),
        float((ours.zbuf - theirs.zbuf)[both].abs().max()),
    )


@pytest.mark.parametrize("rasterizer", OURS)
@pytest.mark.parametrize("name", CAMERAS)
def test_same_as_pytorch3d(name, rasterizer):
    meshes = [random_mesh(seed) for seed in range(4)]
    points, triangles = torch.stack([m[0] for m in meshes]), meshes[0][1]
    ours = rasterize(points, triangles, CAMERAS[name], rasterizer)
    theirs = rasterize(points, triangles, CAMERAS[name], rasterizer="pytorch3d")
    for field in ("pix_to_face", "zbuf", "bary_coords"):
        a, b = getattr(ours, field), getattr(theirs, field)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    share, bary, depth = agreement(ours, theirs)
    assert share >= 0.999
    assert bary < 1e-3
    assert depth < 0.05
    empty = ours.pix_to_face < 0
    assert (ours.zbuf[empty] == -1).all() and (ours.bary_coords[empty] == -1).all()


@pytest.mark.parametrize("rasterizer", OURS)
def test_same_as_pytorch3d_on_a_closed_surface(ball_model, rasterizer):
    rotation, translation = torch.tensor([0.2, 0.5, 0.1]), torch.tensor([0.0, 0, 600])
    points = to_camera(ball_model.mean, rotation, translation)[None]
    camera = Camera(150.0, 64, 64)
    ours, theirs = (rasterize(points, ball_model.triangles, camera, b) for b in (rasterizer, "pytorch3d"))
    share, bary, depth = agreement(ours, theirs)
    assert share >= 0.999 and bary < 1e-3 and depth < 0.05


def test_triangles_at_or_behind_the_camera_are_dropped_in_all():
    front = torch.tensor([[-50.0, -50, 300], [50, -50, 300], [0, 60, 300]])
    crossing = front.clone()
    crossing[1, 2] = -10
    at_zero = front.clone()
    at_zero[0, 2] = 0
    behind = front * torch.tensor([1.0, 1, -1])
    points = torch.cat([behind, crossing, at_zero, front + torch.tensor([0.0, 0, 100])])[None]
    triangles = torch.arange(12).reshape(4, 3)
    camera = Camera(60.0, 20, 20)
    for rasterizer in (*OURS, "pytorch3d"):
        assert set(rasterize(points, triangles, camera, rasterizer).pix_to_face.unique().tolist()) == {-1, 3}
        assert not rasterize(points, triangles[:3], camera, rasterizer).mask.any()


@pytest.mark.parametrize("rasterizer", OURS)
def test_both_sides_are_drawn(rasterizer):
    points = torch.tensor([[[-50.0, -50, 300], [50, -50, 300], [0, 60, 300]]])
    camera = Camera(60.0, 20, 20)
    forth = rasterize(points, torch.tensor([[0, 1, 2]]), camera, rasterizer)
    back = rasterize(points, torch.tensor([[2, 1, 0]]), camera, rasterizer)
    assert forth.mask.sum() > 50
    assert torch.equal(forth.mask, back.mask)
    torch.testing.assert_close(
        forth.bary_coords, torch.where(back.mask[..., None, None], back.bary_coords.flip(-1), -1.0)
    )


@pytest.mark.parametrize("rasterizer", OURS)
def test_perspective_is_that_of_a_ray(rasterizer):
    """A strongly tilted triangle: point = sum of bary * corners must lie on the pixel's ray, at depth zbuf."""
    points = torch.tensor([[[-40.0, -60, 150], [300, -80, 900], [-20, 200, 500]]])
    camera = Camera(80.0, 64, 48, cx=20.0, cy=25.0)
    fragments = rasterize(points, torch.tensor([[0, 1, 2]]), camera, rasterizer)
    row, column = torch.nonzero(fragments.mask[0], as_tuple=True)
    assert len(row) > 200
    found = fragments.bary_coords[0, row, column, 0] @ points[0]
    normal = torch.linalg.cross(points[0, 1] - points[0, 0], points[0, 2] - points[0, 0])
    ray = torch.stack([(column + 0.5 - 20) / 80, (row + 0.5 - 25) / 80, torch.ones(len(row))], -1)
    expected = ray * ((points[0, 0] @ normal) / (ray @ normal))[:, None]
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=1e-5)
    torch.testing.assert_close(fragments.zbuf[0, row, column, 0], expected[:, 2], atol=2e-3, rtol=1e-5)


@pytest.mark.parametrize("rasterizer", OURS)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.floats(20, 2000))
def test_properties(rasterizer, seed, width, height, focal):
    points, triangles = random_mesh(seed, count=15)
    camera = Camera(focal, width, height)
    fragments = rasterize(points, triangles, camera, rasterizer)
    mask = fragments.mask
    bary, z = fragments.bary_coords[mask][:, 0], fragments.zbuf[mask][:, 0]
    faces = fragments.pix_to_face[mask][:, 0]
    assert (bary >= 0).all() and torch.allclose(bary.sum(-1), torch.ones(len(bary)), atol=1e-5)
    corners = points[triangles[faces]]
    assert (z >= corners[..., 2].amin(-1) - 1e-2).all() and (z <= corners[..., 2].amax(-1) + 1e-2).all()
    # The point that the barycentrics name projects to the pixel's centre.
    point = (bary[..., None] * corners).sum(-2)
    u = focal * point[:, 0] / point[:, 2] + width / 2
    row, column = torch.nonzero(mask[0], as_tuple=True)
    assert (u - column - 0.5).abs().max() < 0.02 if len(u) else True
    # The order of triangles doesn't change what is nearest.
    order = torch.randperm(len(triangles), generator=torch.Generator().manual_seed(seed))
    again = rasterize(points, triangles[order], camera, rasterizer)
    torch.testing.assert_close(again.zbuf, fragments.zbuf)
    # Nothing nearer was overlooked: no other single triangle is in front.
    for t in range(0, len(triangles), 5):
        alone = rasterize(points, triangles[t : t + 1], camera, rasterizer)
        assert ((fragments.zbuf > 0) | ~alone.mask[..., None]).all()
        assert (fragments.zbuf[alone.mask] <= alone.zbuf[alone.mask] + 1e-2).all()


@pytest.mark.parametrize("rasterizer", OURS)
@pytest.mark.parametrize("size", [16, 17, 64, 129])
def test_no_cracks(size, rasterizer):
    """A square of many triangles whose edges pass exactly through pixel centres covers each pixel."""
    steps = torch.linspace(-1, 1, size + 1 if size % 2 else 9)
    grid = torch.stack([*torch.meshgrid(steps, steps, indexing="ij"), torch.ones(len(steps), len(steps))], -1)
    points = grid.reshape(-1, 3) * torch.tensor([100.0, 100, 200])
    n = len(steps)
    corner = (torch.arange(n - 1)[:, None] * n + torch.arange(n - 1)).reshape(-1)
    lower = torch.stack([corner, corner + 1, corner + n], -1)
    upper = torch.stack([corner + 1, corner + n + 1, corner + n], -1)
    fragments = rasterize(points, torch.cat([lower, upper]), Camera(float(size), size, size), rasterizer)
    assert fragments.mask.all()


@pytest.mark.parametrize("rasterizer", OURS)
def test_batch_is_the_single_pictures(rasterizer):
    points = torch.stack([random_mesh(seed)[0] for seed in range(5)])
    triangles = random_mesh(0)[1]
    focal = torch.tensor([100.0, 150, 200, 250, 300])
    together = rasterize(points, triangles, Camera(focal, 40, 30), rasterizer)
    for n in range(5):
        alone = rasterize(points[n], triangles, Camera(float(focal[n]), 40, 30), rasterizer)
        packed = torch.where(alone.pix_to_face >= 0, alone.pix_to_face + n * len(triangles), -1)
        assert torch.equal(together.pix_to_face[n : n + 1], packed)
        assert torch.equal(together.zbuf[n : n + 1], alone.zbuf)
        assert torch.equal(together.bary_coords[n : n + 1], alone.bary_coords)


@pytest.mark.parametrize("rasterizer", [*OURS, "pytorch3d"])
def test_nothing_to_draw(rasterizer):
    camera = Camera(100.0, 12, 10)
    points, triangles = random_mesh(0)
    for scene in (
        (points, triangles[:0]),
        (points[:0], triangles[:0]),
        (points + torch.tensor([0, 9e4, 0]), triangles),
    ):
        fragments = rasterize(scene[0][None], scene[1], camera, rasterizer)
        assert fragments.pix_to_face.shape == (1, 10, 12, 1) and fragments.bary_coords.shape == (1, 10, 12, 1, 3)
        assert (fragments.pix_to_face == -1).all() and (fragments.zbuf == -1).all()
    assert rasterize(points[None][:0], triangles, camera, rasterizer).zbuf.shape == (0, 10, 12, 1)


@pytest.mark.parametrize("rasterizer", OURS)
def test_degenerate_and_not_a_number(rasterizer):
    points = torch.tensor([[0.0, 0, 300], [10, 0, 300], [20, 0, 300], [float("nan"), 0, 300], [0, 9, float("inf")]])
    triangles = torch.tensor([[0, 1, 2], [0, 0, 0], [0, 1, 3], [0, 2, 4]])
    fragments = rasterize(points, triangles, Camera(60.0, 20, 20), rasterizer)
    assert set(fragments.pix_to_face.unique().tolist()) <= {-1, 3}
    assert torch.isfinite(fragments.zbuf[~fragments.mask]).all()


@pytest.mark.parametrize("rasterizer", OURS)
def test_enormous_and_needle_triangles(rasterizer):
    generator = torch.Generator().manual_seed(5)
    points = torch.randn(300, 3, generator=generator) * torch.tensor([1e6, 1e-3, 10]) + torch.tensor([0.0, 0, 50])
    fragments = rasterize(points, torch.arange(300).reshape(100, 3), Camera(300.0, 33, 31), rasterizer)
    assert torch.isfinite(fragments.bary_coords).all()
    assert (fragments.bary_coords[fragments.mask] >= 0).all()


@pytest.mark.parametrize("rasterizer", OURS)
def test_takes_other_types_and_strides(rasterizer):
    points, triangles = random_mesh(3)
    camera = CAMERAS["wide"]
    plain = rasterize(points, triangles, camera, rasterizer)
    strided = torch.stack([points.double(), points.double()], -1)[..., 0]
    other = rasterize(strided.requires_grad_(), triangles.int().flip(0).flip(0), camera, rasterizer)
    assert torch.equal(plain.pix_to_face, other.pix_to_face)


@pytest.fixture
def register():
    """Adds rasterisers for the length of a test."""
    added = []

    def add(name: str, *what) -> None:
        RASTERIZERS.add(name, Rasterizer(name, *what))
        added.append(name)

    yield add
    for name in added:
        RASTERIZERS.remove(name)


def test_the_choice_holds_until_it_is_changed(register):
    points, triangles = random_mesh(0)
    camera, drawn = Camera(100.0, 8, 8), []
    for name in ("one", "other"):
        draw = RASTERIZERS["numba"].rasterize
        register(name, lambda *a, n=name, d=draw: drawn.append(n) or d(*a))
    with using("one"):
        rasterize(points, triangles, camera)
        rasterize(points, triangles, camera, "other")
        with pytest.raises(RuntimeError), using("other"):
            raise RuntimeError
        assert chosen() == "one"
        rasterize(points, triangles, camera)
    rasterize(points, triangles, camera)
    assert drawn == ["one", "other", "one"] and chosen() == "auto"
    assert names() == ("auto", "numba", "torch", "pytorch3d", "one", "other")


def test_a_choice_that_cant_be_used_is_refused_at_once(register):
    register("cards", None, lambda device: f"needs CUDA, and this is {device.type}")
    with pytest.raises(PortraitError, match="unknown rasterizer 'pytorch': did you mean 'pytorch3d'"):
        choose("pytorch")
    with pytest.raises(PortraitError, match="rasterizer 'cards': needs CUDA, and this is cpu; use another of auto, "):
        choose("cards", "cpu")
    assert chosen() == "auto"
    with using("cards"), pytest.raises(PortraitError, match="needs CUDA"):
        rasterize(*random_mesh(0), Camera(100.0, 8, 8))
    assert resolve("auto", "cpu").name == "numba" and resolve("auto", "cuda:1").name == "torch"


def test_errors_name_the_argument(monkeypatch):
    points, triangles = random_mesh(0, count=2)
    camera = Camera(100.0, 8, 8)
    with pytest.raises(PortraitError, match="unknown rasterizer 'opengl': known: numba, torch, pytorch3d"):
        rasterize(points, triangles, camera, rasterizer="opengl")
    with pytest.raises(PortraitError, match="points_cam"):
        rasterize(points[:, :2], triangles, camera)
    with pytest.raises(PortraitError, match="triangles"):
        rasterize(points, triangles[:, :2], camera)
    for rasterizer in OURS:
        with pytest.raises(PortraitError, match=r"0 to 5, got \[0, 1, 6\] in triangle 1"):
            rasterize(points, torch.tensor([[0, 1, 2], [0, 1, 6]]), camera, rasterizer)
        with pytest.raises(PortraitError, match="focal: expected 1 or 2 values"):
            rasterize(torch.stack([points, points]), triangles, Camera(torch.ones(3), 8, 8), rasterizer)
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.startswith("pytorch3d"):
            raise ImportError("No module named 'pytorch3d'")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PortraitError, match="easypytorch3d"):
        rasterize(points, triangles, camera, rasterizer="pytorch3d")
    assert rasterize(points, triangles, camera).mask.shape == (1, 8, 8)
