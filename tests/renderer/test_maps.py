"""The maps: compiled against plain torch, what they show, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facemodel import FaceParameters, PortraitError
from geometry.camera import FLIP
from renderer import MAPS, Camera, maps, overlay, render, to_camera
from renderer.maps_kernels import vertex_normals as compiled_normals

CAMERA = Camera(150.0, 72, 64)


@pytest.fixture(scope="module")
def clip(ball_model) -> FaceParameters:
    """Four pictures: pose, expression, gaze and light of their own, identity and reflectance shared."""
    generator = torch.Generator().manual_seed(0)
    base = FaceParameters.neutral(ball_model, (4,), distance=600.0)
    return base.replace(
        identity=torch.tensor([0.5, -0.5]),
        reflectance=torch.tensor([1.0, -1.0]),
        expression=torch.rand(4, 2, generator=generator),
        rotation=0.3 * torch.randn(4, 3, generator=generator),
        illumination=base.illumination + 0.2 * torch.randn(4, 9, 3, generator=generator),
        gaze=0.3 * torch.randn(4, 2, 2, generator=generator),
    )


@pytest.mark.parametrize("supersample", [1, 2, 3])
def test_compiled_is_the_reference(ball_model, clip, supersample):
    fast = render(ball_model, clip, CAMERA, MAPS, supersample=supersample)
    wanting = clip.replace(rotation=clip.rotation.clone().requires_grad_())
    slow = render(ball_model, wanting, CAMERA, MAPS, supersample=supersample)
    for name in MAPS:
        channels = 1 if name in ("depth", "mask") else 3
        assert fast[name].shape == slow[name].shape == (4, 64, 72, channels)
        assert slow[name].requires_grad == (name != "mask")
        scale = 600.0 if name == "depth" else 1.0
        torch.testing.assert_close(fast[name] / scale, slow[name].detach() / scale, atol=2e-3, rtol=0, msg=name)


def test_compiled_normals_are_the_reference(ball_model, clip):
    from geometry.mesh import vertex_normals

    points = to_camera(ball_model.mean, clip.rotation[0], clip.translation[0])
    ours = np.empty((len(points), 3), np.float32)
    compiled_normals(points.numpy(), ball_model.triangles.numpy(), ours)
    theirs = vertex_normals(points, ball_model.triangles) * torch.tensor(FLIP)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_batch_is_the_single_pictures(ball_model, clip, monkeypatch):
    together = render(ball_model, clip, CAMERA, MAPS)
    monkeypatch.setattr(maps, "CHUNK_PIXELS", 2 * CAMERA.width * CAMERA.height + 5)
    chunked = render(ball_model, clip, CAMERA, MAPS)
    for name in MAPS:
        for n in range(4):
            alone = render(ball_model, clip[n], CAMERA, (name,))[name][0]
            for other in (together[name][n], chunked[name][n]):
                # Rounding differs with the batch, which may move an outline across a pixel's centre.
                assert ((other - alone).abs() > 2e-3).float().mean() < 2e-3


@pytest.mark.parametrize("gradients", [False, True])
def test_fields_broadcast(ball_model, clip, gradients):
    """Leading dimensions (), (1,) and (N,) of the same values give the same pictures."""
    full = clip.expanded()
    single = clip.replace(identity=clip.identity[None], reflectance=clip.reflectance[None])
    drawn = []
    for parameters in (clip, full, single):
        gaze = parameters.gaze.clone().requires_grad_(gradients)
        drawn.append(render(ball_model, parameters.replace(gaze=gaze), CAMERA, MAPS))
    for name in MAPS:
        for other in drawn[1:]:
            torch.testing.assert_close(other[name], drawn[0][name], atol=1e-4, rtol=1e-5)
    light = clip.replace(illumination=clip.illumination[0], rotation=clip.rotation[:1])
    assert render(ball_model, light, CAMERA)["diffuse"].shape[0] == 4


def test_normals_face_the_viewer(ball_model, ball_parameters):
    drawn = render(ball_model, ball_parameters, CAMERA, ("normals", "mask"))
    normals = 2 * drawn["normals"][0] - 1
    assert normals[32, 36, 2] > 0.98
    assert normals[32, 55, 0] > 0.3 and normals[32, 17, 0] < -0.3  # to the right on the right
    assert normals[14, 36, 1] > 0.3 and normals[50, 36, 1] < -0.3  # up at the top
    inside = drawn["mask"][0, ..., 0] > 0
    torch.testing.assert_close(normals[inside].norm(dim=-1), torch.ones(int(inside.sum())), atol=1e-4, rtol=0)
    assert (normals[inside][:, 2] > -0.1).all()


def test_diffuse_is_albedo_under_constant_light(ball_model, ball_parameters):
    grey = BallAlbedo(ball_model, 0.25)
    drawn = render(grey, ball_parameters, CAMERA, ("diffuse", "mask"))
    inside = drawn["mask"][0, ..., 0] > 0
    expected = 1.055 * (0.25 * 0.8) ** (1 / 2.4) - 0.055
    torch.testing.assert_close(
        drawn["diffuse"][0][inside], torch.full((int(inside.sum()), 3), expected), atol=1e-4, rtol=0
    )
    assert (drawn["diffuse"][0][~inside] == 0).all()


class BallAlbedo:
    """A model with another, constant albedo."""

    def __init__(self, model, value: float):
        self._model, self._value = model, value

    def albedo(self, reflectance=None):
        return torch.full_like(self._model.mean, self._value)

    def __getattr__(self, name):
        return getattr(self._model, name)


def test_correspondence_stays_with_the_vertex(ball_model, clip):
    """The colour of a point doesn't depend on pose: where two pictures show a point, they show its colour."""
    drawn = render(ball_model, clip, CAMERA, ("correspondence", "mask"))
    low, high = ball_model.mean.amin(0), ball_model.mean.amax(0)
    from renderer import interpolate, rasterize

    points = to_camera(ball_model.vertices(clip.identity, clip.expression, clip.gaze), clip.rotation, clip.translation)
    fragments = rasterize(points, ball_model.triangles, CAMERA)
    mean = interpolate(fragments, (ball_model.mean - low) / (high - low), ball_model.triangles)
    torch.testing.assert_close(drawn["correspondence"], mean)
    assert drawn["correspondence"].min() >= 0 and drawn["correspondence"].max() <= 1


def iris_center(eyes: torch.Tensor) -> tuple[float, float]:
    """Mean (column, row) of blue in an eye map (H, W, 3)."""
    blue = eyes[..., 2] - eyes[..., 0]
    rows, columns = torch.arange(eyes.shape[0]) + 0.5, torch.arange(eyes.shape[1]) + 0.5
    return float((blue.sum(0) * columns).sum() / blue.sum()), float((blue.sum(1) * rows).sum() / blue.sum())


def test_iris_moves_with_the_gaze(ball_model, ball_parameters):
    camera = Camera(1000.0, 256, 256)

    def look(yaw: float, pitch: float):
        gaze = torch.tensor([[yaw, pitch]]).expand(2, 2)
        return iris_center(render(ball_model, ball_parameters.replace(gaze=gaze), camera, ("eyes",))["eyes"][0])

    u, v = look(0, 0)
    assert look(0.3, 0)[0] > u + 5 and abs(look(0.3, 0)[1] - v) < 1  # to the subject's left: right in the picture
    assert look(0, 0.3)[1] < v - 5 and abs(look(0, 0.3)[0] - u) < 1  # up


def test_iris_is_round_at_any_size(ball_model, ball_parameters):
    """The blue area is that of the disc, to a few per cent, even where it is three pixels wide."""
    areas = []
    for size in (24, 48, 96, 384):
        camera = Camera(250.0, 96, 96).resized(size, size)
        eyes = render(ball_model, ball_parameters, camera, ("eyes",), supersample=2)["eyes"][0]
        areas.append(float((eyes[..., 2] - eyes[..., 0]).sum()) / size**2)
    assert np.ptp(areas) / areas[-1] < 0.06
    assert set(eyes.reshape(-1, 3)[eyes.reshape(-1, 3).sum(-1) == 1].unique(dim=0).flatten().tolist()) == {0.0, 1.0}


def test_the_head_occludes_the_eyes(ball_model, ball_parameters):
    behind = ball_parameters.replace(rotation=torch.tensor([0.0, 3.1, 0]))
    assert not render(ball_model, behind, CAMERA, ("eyes",))["eyes"].any()


def test_gradients_reach_every_parameter(ball_model, clip):
    focal = torch.tensor(150.0, requires_grad=True)
    wanting = clip.map(lambda t: t.clone().requires_grad_())
    drawn = render(ball_model, wanting, Camera(focal, 72, 64), ("diffuse", "eyes", "depth"))
    loss = drawn["diffuse"].sum() + drawn["eyes"].square().sum() + drawn["depth"].sum()
    loss.backward()
    for name in ("identity", "reflectance", "expression", "rotation", "translation", "illumination", "gaze"):
        gradient = getattr(wanting, name).grad
        assert gradient is not None and torch.isfinite(gradient).all() and gradient.abs().sum() > 0, name
    assert torch.isfinite(focal.grad) and focal.grad != 0


def test_gradient_in_the_light_alone(ball_model, clip):
    light = clip.illumination.clone().requires_grad_()
    render(ball_model, clip.replace(illumination=light), CAMERA)["diffuse"].sum().backward()
    assert light.grad.abs().sum() > 0


def test_smallest_and_empty(ball_model, ball_parameters, clip):
    assert render(ball_model, ball_parameters, Camera(5.0, 1, 1), MAPS)["diffuse"].shape == (1, 1, 1, 3)
    away = ball_parameters.replace(translation=torch.tensor([0.0, 0, -600]))
    for name, picture in render(ball_model, away, CAMERA, MAPS).items():
        assert not picture.any(), name
    none = clip.expanded()[:0]
    assert render(ball_model, none, CAMERA, ("mask",))["mask"].shape == (0, 64, 72, 1)
    assert render(ball_model, clip, CAMERA, ()) == {}


def test_errors_name_the_argument(ball_model, clip):
    with pytest.raises(PortraitError, match="did you mean 'correspondence'"):
        render(ball_model, clip, CAMERA, ("corespondence",))
    with pytest.raises(PortraitError, match="supersample"):
        render(ball_model, clip, CAMERA, supersample=0)
    with pytest.raises(PortraitError, match="rasterizer"):
        render(ball_model, clip, CAMERA, rasterizer="gl")
    with pytest.raises(PortraitError, match="leading dimensions"):
        render(ball_model, clip.map(lambda t: t[None]), CAMERA)
    with pytest.raises(PortraitError, match="one size"):
        overlay(torch.zeros(4, 4, 3), torch.zeros(5, 4, 3))


def test_overlay():
    image = torch.full((2, 3, 3), 100, dtype=torch.uint8)
    picture, mask = torch.ones(2, 3, 3), torch.zeros(2, 3, 1)
    mask[0] = 1
    out = overlay(image, picture, mask, alpha=1.0)
    assert out.dtype == torch.uint8 and (out[0] == 255).all() and (out[1] == 100).all()
    assert torch.equal(overlay(image, picture, mask, alpha=0.0), image)
    half = overlay(torch.zeros(2, 3, 3), torch.ones(2, 3, 1), alpha=0.5)
    assert (half == 0.5).all()
