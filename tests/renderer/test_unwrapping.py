"""From a picture to the atlas and back."""

from __future__ import annotations

import pytest
import torch
import trimesh

from facemodel import PortraitError
from renderer import Camera, interpolate, project, rasterize, to_camera, unwrap_view
from renderer.unwrapping import Sight, uv_fragments
from tests.renderer.conftest import surface


def cylinder_model(rows: int = 24, columns: int = 48, radius: float = 80.0, height: float = 200.0):
    """An upright tube with an atlas that unrolls it: u around (0.5 in front), v up; the seam's vertices are doubled."""
    turn = torch.linspace(0, 1, columns + 1)
    u, v = torch.meshgrid(turn, torch.linspace(0, 1, rows), indexing="ij")
    angle = (u - 0.5) * 2 * torch.pi
    points = torch.stack([radius * angle.sin(), height * (v - 0.5), radius * angle.cos()], -1).reshape(-1, 3)
    corner = (torch.arange(columns)[:, None] * rows + torch.arange(rows - 1)).reshape(-1)
    lower = torch.stack([corner, corner + rows, corner + 1], -1)
    upper = torch.stack([corner + rows, corner + rows + 1, corner + 1], -1)
    triangles = torch.cat([lower, upper])
    uv = torch.stack([u, v], -1).reshape(-1, 2)
    return surface(points, triangles, uv=uv, uv_triangles=triangles)


CAMERA = Camera(500.0, 160, 200)
SIZE = (64, 128)


@pytest.fixture(scope="module")
def tube():
    model = cylinder_model()
    return model, to_camera(model.mean, torch.zeros(3), torch.tensor([0.0, 0, 600]))


def test_atlas_covers_its_texels(tube):
    model, _ = tube
    fragments = uv_fragments(model, SIZE)
    assert fragments.mask.all()
    uv = interpolate(fragments, model.atlas.coordinates, model.atlas.triangles)[0]
    torch.testing.assert_close(uv[:, :, 0], ((torch.arange(128) + 0.5) / 128).expand(64, 128), atol=1e-4, rtol=0)
    torch.testing.assert_close(uv[:, 0, 1], 1 - (torch.arange(64) + 0.5) / 64, atol=1e-4, rtol=0)


def test_round_trip(tube):
    """Paint a smooth texture, photograph it, unwrap: the front comes back, the back isn't seen."""
    model, points = tube
    u, v = model.atlas.coordinates.unbind(-1)
    paint = torch.stack([u, v, (6 * u).sin() / 2 + 0.5], -1)
    picture = interpolate(rasterize(points, model.triangles, CAMERA), paint, model.triangles)[0]
    view = unwrap_view(picture, points, model, CAMERA, SIZE)
    texture, visibility = view.texture, view.visible
    assert texture.shape == (64, 128, 3) and visibility.shape == (64, 128) and visibility.dtype == torch.bool
    expected = interpolate(uv_fragments(model, SIZE), paint, model.triangles)[0]
    assert visibility[:, 40:88].float().mean() > 0.95
    assert not visibility[:, :24].any() and not visibility[:, 104:].any()
    inner = visibility.clone()
    inner[:4], inner[-4:] = False, False
    assert float((texture - expected)[inner].abs().max()) < 0.03
    assert float((texture - expected)[inner].abs().mean()) < 0.004
    assert (texture[~visibility] == 0).all()


def test_bytes_and_crops(tube):
    model, points = tube
    picture = (torch.rand(200, 160, 3) * 255).byte()
    view = unwrap_view(picture, points, model, CAMERA, SIZE)
    whole, seen = view.texture, view.visible
    view = unwrap_view(picture[30:150, 20:140], points, model, CAMERA.cropped(20, 30, 120), SIZE)
    crop, seen_crop = view.texture, view.visible
    assert (seen_crop <= seen).all() and seen_crop.sum() < seen.sum()
    near = (crop - whole)[seen_crop].abs().amax(-1)
    assert float((near < 1e-3).float().mean()) > 0.97  # but for the crop's own border


def test_an_occluder_hides_what_is_behind(tube):
    model, _ = tube
    ball = trimesh.creation.icosphere(subdivisions=3, radius=30)
    count = len(model.mean)
    mean = torch.cat([model.mean, torch.tensor(ball.vertices, dtype=torch.float32) + torch.tensor([0.0, 0, 150])])
    extra = torch.tensor(ball.faces) + count
    model = surface(
        mean,
        torch.cat([model.triangles, extra]),
        uv=torch.cat([model.atlas.coordinates, torch.zeros(1, 2)]),
        uv_triangles=torch.cat([model.atlas.triangles, torch.full_like(extra, len(model.atlas.coordinates))]),
    )
    points = to_camera(model.mean, torch.zeros(3), torch.tensor([0.0, 0, 600]))
    visibility = unwrap_view(torch.ones(200, 160, 3), points, model, CAMERA, SIZE).visible
    assert not visibility[29:35, 61:67].any()  # behind the ball
    assert visibility[10, 64] and visibility[54, 64]


def test_a_coarse_picture_shows_what_slopes_within_its_pixels(tube):
    """Pixels of 12 mm, over which the tube's sides fall away by more than the depth buffer's tolerance."""
    model, points = tube
    coarse = Camera(CAMERA.focal / 10, 16, 20)
    visibility = unwrap_view(torch.ones(20, 16, 3), points, model, coarse, SIZE).visible
    assert visibility[8:56, 44:84].float().mean() > 0.95


def test_grazing_angle_and_size(tube):
    model, points = tube
    picture = torch.ones(200, 160, 3)
    counts = [
        int(unwrap_view(picture, points, model, CAMERA, SIZE, Sight(grazing=g)).visible.sum()) for g in (30, 60, 80)
    ]
    assert counts[0] < counts[1] < counts[2]
    with pytest.raises(PortraitError, match="unwrap image"):
        unwrap_view(picture[:-1], points, model, CAMERA, SIZE)


def test_how_far_from_the_outline_and_what_is_beyond(tube):
    """The tube of 160 mm is 134 px wide, 13 px from the picture's sides: red on its left, half green on its right."""
    model, points = tube
    picture = torch.zeros(200, 160, 3)
    picture[:, :80, 0], picture[:, 80:, 1] = 1.0, 0.5
    view = unwrap_view(picture, points, model, CAMERA, SIZE)
    left, right = (int(view.visible[32].nonzero()[k]) for k in (0, -1))
    torch.testing.assert_close(view.beyond[32, left], torch.tensor([1.0, 0, 0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(view.beyond[32, right], torch.tensor([0, 0.5, 0]), atol=1e-4, rtol=0)
    u = project(interpolate(uv_fragments(model, SIZE), points, model.triangles)[0], CAMERA)[32, :, 0]
    fragments = rasterize(points, model.triangles, CAMERA)
    columns = fragments.mask[0, 100].nonzero().flatten()
    expected = torch.minimum(u.long() - columns[0], columns[-1] - u.long()) + 1
    seen = view.visible[32]
    torch.testing.assert_close(view.margin[32, seen], expected[seen].float(), atol=0.5, rtol=0.05)
    filled = unwrap_view(picture[80:120, 60:100], points, model, CAMERA.cropped(60, 80, 40), SIZE)
    assert filled.margin[filled.visible].isinf().all() and filled.visible.any(), "no outline is in the picture"
