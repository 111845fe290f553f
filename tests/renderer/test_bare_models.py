"""Models that have a surface and little else: drawn by all paths; what needs more says what is missing."""

from __future__ import annotations

import pytest
import torch
import trimesh

from facemodel import FaceParameters, PortraitError
from facemodel.base import PLAIN_SKIN, Block, FaceModel
from renderer import MAPS, Camera, atlas_values, main_island, render, render_textured, surface_points, unwrap_view
from renderer.eyes import eye_shape
from tests.renderer.conftest import surface

CAMERA = Camera(torch.tensor([150.0, 160.0]), 64, 64)


@pytest.fixture(scope="module")
def bare():
    """A ball of 100 mm, nothing else."""
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=100)
    return surface(torch.tensor(mesh.vertices, dtype=torch.float32), torch.tensor(mesh.faces))


class Hinge(FaceModel):
    """The upper half of a ball turns about the x axis: a joint, no atlas, no eyes; not linear."""

    name, license, fingerprint = "hinge", "none", "1" * 16

    def __init__(self, bare) -> None:
        super().__init__()
        self.mean, self.triangles = bare.mean, bare.triangles

    @property
    def blocks(self):
        joint = Block(("tilt",), torch.tensor([-1.0]), torch.tensor([1.0]), torch.zeros(1), torch.full((1,), 0.3))
        nothing = Block.standard("none", 0)
        return {"identity": nothing, "expression": nothing, "joints": joint}

    def vertices(self, identity=None, expression=None, gaze=None, joints=None):
        if joints is None:
            return self.mean
        upper = (self.mean[:, 1] > 0).float()
        return self.mean + torch.stack([0 * upper, 0 * upper, 50 * upper], -1) * joints[..., None, :].sin()


def people(model) -> FaceParameters:
    return FaceParameters.neutral(model, (2,), distance=600.0).replace(
        rotation=torch.tensor([[0, 0.4, 0], [0.2, 0, 0.0]])
    )


@pytest.mark.parametrize("supersample", [1, 2])
def test_all_maps_by_both_paths(bare, supersample):
    fast = render(bare, people(bare), CAMERA, MAPS, supersample=supersample)
    slow = render(bare, people(bare), CAMERA, MAPS, supersample=supersample, rasterizer="torch")
    for name in MAPS:
        torch.testing.assert_close(fast[name], slow[name], atol=0.02 if name != "depth" else 2.0, rtol=1e-3)
    assert not fast["eyes"].any()
    inside = fast["mask"][..., 0] == 1
    shade = fast["diffuse"][inside].median(0).values
    assert inside.any() and (shade.diff() < 0).all(), f"not skin of {PLAIN_SKIN}: {shade}"


def test_joints_move_what_is_drawn(bare):
    model = Hinge(bare)
    p = people(model)
    assert p.joints.shape == (2, 1)
    bent = p.replace(joints=torch.tensor([[0.0], [0.5]]))
    still, moved = (render(model, q, CAMERA, ("depth",))["depth"] for q in (p, bent))
    assert torch.equal(still[0], moved[0]) and (still[1] - moved[1]).max() > 10
    without = p.replace(joints=torch.zeros(0))  # of a track that was made before there were joints
    torch.testing.assert_close(surface_points(model, without), surface_points(model, p))


def test_textures_need_an_atlas(bare):
    p, texture = people(bare)[0], torch.ones(8, 8, 3)
    for call in (
        lambda: unwrap_view(torch.ones(64, 64, 3), surface_points(bare, p), bare, Camera(150.0, 64, 64)),
        lambda: atlas_values(bare, bare.mean, 8),
        lambda: main_island(bare, 8),
        lambda: render_textured(bare, p, Camera(150.0, 64, 64), texture),
    ):
        with pytest.raises(PortraitError, match="model 'surface': .* needs a UV atlas, which this model doesn't have"):
            call()


def test_an_iris_that_a_model_does_not_name_is_as_wide_as_an_adult_s(ball_model, monkeypatch):
    """Of eyeballs of 15 mm, an iris of 0.49 of that about the axis."""
    nowhere = torch.zeros(len(ball_model.mean), dtype=torch.bool)
    monkeypatch.setattr(type(ball_model), "region", lambda self, name: nowhere)
    assert 15 * float(eye_shape(ball_model).iris_angle.sin()) == pytest.approx(0.49 * 15, rel=1e-6)
