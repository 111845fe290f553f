"""The renderer on the model that ships: against PyTorch3D at a low resolution, and what its maps show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from facemodel import FaceParameters
from renderer import Camera, interpolate, project, rasterize, render, srgb_to_linear, to_camera, unwrap_view
from renderer.scene import MouthDepth, behind_skin
from renderer.unwrapping import uv_fragments
from tests.renderer.test_maps import iris_center
from tests.renderer.test_rasterizer import agreement

CAMERA = Camera(820.0, 256, 256, cy=146.0)
OUTER_LIP = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)  # MediaPipe's


@pytest.fixture(scope="module")
def neutral(model) -> FaceParameters:
    return FaceParameters.neutral(model, (), distance=900.0)


def test_same_as_pytorch3d(model, neutral):
    rotation = torch.tensor([[0.1, 0.35, 0.05], [-0.2, -0.9, 0.3]])
    points = to_camera(model.vertices(), rotation, neutral.translation.expand(2, 3))
    camera = Camera(200.0, 64, 56)
    ours, theirs = (rasterize(points, model.triangles, camera, rasterizer=b) for b in ("numba", "pytorch3d"))
    share, bary, depth = agreement(ours, theirs)
    assert share >= 0.999 and bary < 1e-3 and depth < 0.05


def test_the_head_is_closed_and_faces_outside(model, neutral):
    """From in front no pixel shows a triangle's back, and the outline has no holes but beside the ears."""
    points = to_camera(model.vertices(), neutral.rotation, neutral.translation)
    fragments = rasterize(points, model.triangles, CAMERA)
    a, b, c = points[model.triangles].unbind(1)
    facing = -(torch.linalg.cross(b - a, c - a) * a).sum(-1) > 0
    seen = fragments.pix_to_face[fragments.mask][:, 0]
    assert float(facing[seen].float().mean()) > 0.995
    mask = fragments.mask[0, :, 64:192]  # between the ears
    for row in mask[mask.any(1)]:
        columns = torch.nonzero(row)
        assert row[columns.min() : columns.max() + 1].all()


def test_teeth_stay_behind_the_skin(model):
    """A wide mouth presses the lower teeth of some through their chin: drawn are only those between the lips."""
    shapes = {"jawOpen": 1.0, "mouthLowerDownLeft": 0.9, "mouthLowerDownRight": 0.6, "mouthShrugLower": 0.7,
              "mouthShrugUpper": 0.6, "mouthRollLower": 0.6}  # fmt: skip
    expression = torch.zeros(len(model.expression_names))
    for name, value in shapes.items():
        expression[model.expression_index(name)] = value
    identity = 1.5 * torch.randn(80, generator=torch.Generator().manual_seed(10))
    camera, translation = Camera(1200.0, 512, 512), torch.tensor([0.0, 0.0, 600.0])
    vertices = model.vertices(identity, expression)
    points = to_camera(vertices, torch.zeros(3), translation)
    moved = behind_skin(model, points, expression)
    teeth, tongue = model.region("teeth"), model.region("tongue")
    inner = teeth | tongue
    torch.testing.assert_close(project(moved, camera), project(points, camera), atol=1e-3, rtol=0)
    assert ((moved - points)[inner, 2] - MouthDepth().teeth).abs().max() < 1e-3
    assert torch.equal(moved[~inner], points[~inner])
    expression[model.expression_index("tongueOut")] = 1.0
    assert torch.equal(behind_skin(model, points, expression)[tongue], points[tongue])  # what comes out is in front

    outer_lip = model.landmarks(vertices, "mediapipe478")[list(OUTER_LIP)]
    corners = project(to_camera(outer_lip, torch.zeros(3), translation), camera).round().int().numpy()
    mouth = cv2.dilate(cv2.fillPoly(np.zeros((512, 512), np.uint8), [corners], 1), np.ones((3, 3)))

    def through_the_skin(points) -> int:
        face = rasterize(points, model.triangles, camera).pix_to_face[0, ..., 0]
        return int(((face >= 0) & teeth[model.triangles].all(1)[face.clamp_min(0)])[torch.from_numpy(mouth) == 0].sum())

    assert through_the_skin(points) > 50 and through_the_skin(moved) == 0


def test_irises_turn_with_the_gaze_and_lids_hide_them(model, neutral):
    def eyes(**changes):
        return render(model, neutral.replace(**changes), CAMERA.cropped(60, 50, 136).resized(272, 272), ("eyes",))[
            "eyes"
        ][0]

    ahead = eyes()
    white, blue = (ahead[..., 0] > 0.5).sum(), (ahead[..., 2] - ahead[..., 0] > 0.5).sum()
    assert white > 50 and blue > 50
    u, v = iris_center(ahead)
    assert abs(u - 136) < 1.5  # symmetric
    for yaw, pitch, right, down in ((0.35, 0, 1, 0), (-0.35, 0, -1, 0), (0, 0.25, 0, -1), (0, -0.25, 0, 1)):
        there = iris_center(eyes(gaze=torch.tensor([[yaw, pitch]]).expand(2, 2)))
        assert (there[0] - u) * right + (there[1] - v) * down > 0.8 or (right, down) == (0, 0)
    closed = torch.zeros(len(model.expression_names))
    closed[[model.expression_index("eyeBlinkLeft"), model.expression_index("eyeBlinkRight")]] = 1
    assert float((eyes(expression=closed).sum(-1) > 0.2).sum()) < 0.02 * float((ahead.sum(-1) > 0).sum())


def test_unwrap_then_render_gives_the_picture_back(model, neutral):
    """Light is white and even, so the picture's texture is the albedo; drawn again from the atlas it's the picture."""
    points = to_camera(model.vertices(), neutral.rotation, neutral.translation)
    picture = render(model, neutral, CAMERA)["diffuse"][0]
    view = unwrap_view(picture, points, model, CAMERA, (512, 512))
    texture, visibility = view.texture, view.visible
    assert visibility.float().mean() > 0.1
    atlas = uv_fragments(model, (512, 512))
    albedo = interpolate(atlas, model.albedo(), model.triangles)[0]
    error = (srgb_to_linear(texture) / 0.8 - albedo).abs()[visibility].amax(-1)
    assert float((error < 0.03).float().mean()) > 0.95
    # Back into the picture: atlas coordinates of each pixel, looked up in the texture.
    fragments = rasterize(points, model.triangles, CAMERA)
    covered = fragments.covered()
    corners = model.atlas.coordinates[model.atlas.triangles[covered.faces]]
    uv = (covered.bary[..., None] * corners).sum(1)
    grid = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], -1)[None, None]
    sample = lambda t: torch.nn.functional.grid_sample(t[None], grid, align_corners=False)[0, :, 0].T  # noqa: E731
    known = sample(visibility[None].float())[:, 0] > 0.999
    again, first = sample(texture.movedim(-1, 0)), picture.reshape(-1, 3)[covered.index]
    assert known.float().mean() > 0.6
    assert float((again - first)[known].abs().amax(-1).quantile(0.95)) < 0.04


def test_turned_away_less_of_the_atlas_is_seen(model, neutral):
    shares = []
    for yaw in (0.0, 0.8):
        points = to_camera(model.vertices(), torch.tensor([0.0, yaw, 0]), neutral.translation)
        visibility = unwrap_view(torch.ones(256, 256, 3), points, model, CAMERA, (128, 128)).visible
        u = (torch.arange(128) + 0.5) / 128
        shares.append(float((visibility.float().sum(0) * u).sum() / visibility.sum()))
    assert abs(shares[0] - 0.5) < 0.02  # the atlas is symmetric about its middle
    assert abs(shares[1] - 0.5) > 0.03
