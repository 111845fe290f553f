"""A face model with signed expressions without ARKit's names and a joint; no eyes, regions, atlas or reflectance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from facemodel.base import Block, FaceModel
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from foundation.errors import PortraitError
from neural_render import Clip
from neural_render.methods.deep_video_portraits.conditioning import eye_colors, head_crop, mouth_colors
from neural_render.methods.deep_video_portraits.method import DeepVideoPortraits
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.uv_gan.samples import synthetic_set
from renderer import Camera, render
from tests.neural_render.conftest import Frames

COUNT, SIDE = 6, 96


class Ball(FaceModel):
    """A ball of 100 mm that grows noses and tilts."""

    name, license, fingerprint = "ball", "none", "2" * 16

    def __init__(self) -> None:
        super().__init__()
        mesh = trimesh.creation.icosphere(subdivisions=3, radius=100)
        self.mean, self.triangles = torch.tensor(mesh.vertices).float(), torch.tensor(mesh.faces)
        self.noses = torch.stack([(self.mean[:, k] > 60).float()[:, None] * self.mean / 2 for k in (0, 1)])

    @property
    def blocks(self):
        wide = torch.full((2,), 2.0)
        signed = Block(("left nose", "upper nose"), -wide, wide, torch.zeros(2), torch.ones(2))
        joint = Block(("tilt",), torch.tensor([-1.0]), torch.tensor([1.0]), torch.zeros(1), torch.full((1,), 0.3))
        return {"identity": Block.standard("none", 0), "expression": signed, "joints": joint}

    def vertices(self, identity=None, expression=None, gaze=None, joints=None):
        moved = (
            self.mean if expression is None else self.mean + (expression @ self.noses.flatten(1)).unflatten(-1, (-1, 3))
        )
        if joints is None:
            return moved
        shift = (self.mean[:, 1:] > 0).float() * torch.tensor([0.0, 40.0])
        return moved + torch.cat([torch.zeros(len(shift), 1), shift], -1) * joints[..., None, :]


@pytest.fixture(scope="module")
def ball() -> Ball:
    return Ball()


@pytest.fixture(scope="module")
def clip(ball) -> Clip:
    p = FaceParameters.neutral(ball, (COUNT,), focal=150.0, distance=700.0)
    swing = torch.linspace(-1, 1, COUNT)[:, None]
    p = p.replace(expression=torch.cat([swing, -swing], 1), joints=0.5 * swing, focal=p.focal[0])
    p = p.replace(identity=p.identity[0], reflectance=p.reflectance[0])
    track = Track(
        model=ball.name, fingerprint=ball.fingerprint, width=SIDE, height=SIDE, parameters=p,
        times=torch.arange(COUNT).double() / 25, status=torch.ones(COUNT, dtype=torch.int64),
        confidence=torch.ones(COUNT),
    )  # fmt: skip
    shaded = render(ball, p, Camera(150.0, SIDE, SIDE), ("diffuse",))["diffuse"]
    return Clip.of_track(track, Frames((shaded * 255).round().to(torch.uint8).numpy()), ball)


def test_it_is_trained_and_animated(ball, clip, tmp_path):
    method, said = DeepVideoPortraits(Settings(batch=2, adversarial_after=1)), []
    done = method.train([clip], tmp_path / "w", method.options(size=64, width=4, steps=3), report=said.append)
    assert any("no ARKit names" in event.note for event in said)
    assert not (tmp_path / "w.work" / "warped").exists() and np.isfinite(list(done.losses.values())).all()
    weights = method.load(done.weights, ball)
    made = list(method.animate(weights, clip, Clip.of_track(clip.track, model=ball)))
    assert len(made) == COUNT and made[0].shape == (SIDE, SIDE, 3)
    live = method.live(weights, clip)
    assert live(clip.track.parameters.expanded()[0]).shape == (64, 64, 3)


def test_what_maps_do_without(ball, clip):
    assert mouth_colors(ball).shape == eye_colors(ball).shape == (0, 2, 3)
    crop = head_crop(clip.track, ball)
    assert 30 < crop.side <= SIDE


def test_what_really_needs_more_says_so(ball, clip, tmp_path):
    method = DeepVideoPortraits(Settings(mouth_weight=1.0))
    with pytest.raises(PortraitError, match="a weight of the mouth needs masks of the face's parts"):
        method.train([clip], tmp_path / "w", method.options(size=64, width=4, steps=1))
    with pytest.raises(PortraitError, match="texture completion needs a UV atlas that is mirror-symmetric"):
        synthetic_set(ball, 1, 32)
    with pytest.raises(PortraitError, match="telling action units needs expressions that have ARKit's names"):
        clip.action_units  # noqa: B018
