"""People who don't exist: the same from the same seed, their own in every picture, posed as asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from renderer import project, rotation_matrix, sh_basis, to_camera
from synthetic import RandomShots, Shot, SkinAtlas, frame_shot, make_person, shoot
from synthetic.performance import expression_of, head_turn
from synthetic.skin.marks import places, spots, texel_of
from synthetic.surroundings import light_of

FRONT = Shot(yaw=0.0, pitch=0.0, roll=0.0, light=0, expression=0, focal=2.0)


@pytest.fixture(scope="module")
def atlas(model):
    return SkinAtlas.of(model, 128)


@pytest.fixture(scope="module")
def people(model, atlas):
    return [make_person(model, atlas, 3, k) for k in range(3)]


def test_a_seed_is_a_person(model, atlas, people):
    torch.rand(3)  # what others draw doesn't matter
    again = make_person(model, atlas, 3, 1)
    for name in ("identity", "reflectance", "albedo"):
        assert torch.equal(getattr(again, name), getattr(people[1], name))
        assert not torch.allclose(getattr(again, name), getattr(people[2], name))
    assert float(again.identity.abs().max()) <= 2.5
    assert float(again.albedo.min()) > 0 and float(again.albedo.max()) < 1


def test_detail_is_where_it_is_whatever_the_size(model, atlas, people):
    """Twice as fine an atlas shows the same person: what differs is finer than a texel."""
    fine = make_person(model, SkinAtlas.of(model, 256), 3, 1).albedo
    small = torch.nn.functional.avg_pool2d(fine.movedim(-1, 0)[None], 2)[0].movedim(0, -1)
    inner = torch.from_numpy(atlas.island & (atlas.skin > 0.99))
    same = float((small - people[1].albedo)[inner].abs().mean())
    other = float((small - people[2].albedo)[inner].abs().mean())
    assert same < 0.02 and same < other / 3


def test_detail_stays_on_the_skin(model, atlas, people):
    """Eyeballs and teeth keep the model's colours."""
    from renderer import atlas_values

    p = people[0]
    base = atlas_values(model, model.albedo(p.reflectance), atlas.size)
    elsewhere = torch.from_numpy(atlas.known & ~atlas.island)
    torch.testing.assert_close(p.albedo[elsewhere], base[elsewhere].clamp(0.005, 0.98))
    change = (p.albedo - base)[torch.from_numpy(atlas.island)].abs().mean(-1)
    assert float((change > 0.001).float().mean()) > 0.5


def test_a_spot_has_its_place_and_size(atlas):
    depth = np.zeros((128, 128, 3), np.float32)
    center = atlas.landmarks[30] + [18, -8, -25]  # on a cheek
    row, column = texel_of(atlas, center)
    center = atlas.points[row, column]
    spots(depth, atlas, center[None], np.array([6.0]), np.array([1.0]), np.array([1.0, 2.0, 3.0]))
    assert depth[row, column, 0] > 0.9
    np.testing.assert_allclose(depth[..., 1], 2 * depth[..., 0], rtol=1e-5)
    far = np.linalg.norm(atlas.points - center, axis=-1)
    assert depth[(far > 12) | ~atlas.island].max() < 0.01
    assert depth[(far < 4) & atlas.island, 0].min() > 0.8
    on = places(atlas, 50, np.random.default_rng(0))
    rows, columns = np.array([texel_of(atlas, p) for p in on]).T
    assert (atlas.skin[rows, columns] > 0.9).mean() > 0.9


def test_pose_is_as_asked(model, people):
    """Yaw to the subject's left, pitch up; the picture shows the left ear for a head turned to its right."""
    forward = rotation_matrix(head_turn(30, 0, 0)) @ torch.tensor([0.0, 0, 1])
    torch.testing.assert_close(forward, torch.tensor([0.5, 0, 0.75**0.5]), atol=1e-6, rtol=0)
    forward = rotation_matrix(head_turn(0, 30, 0)) @ torch.tensor([0.0, 0, 1])
    torch.testing.assert_close(forward, torch.tensor([0.0, 0.5, 0.75**0.5]), atol=1e-6, rtol=0)
    for yaw in (-90, 0, 60):
        p, camera = frame_shot(model, people[0], replace(FRONT, yaw=yaw), 100)
        pixels = project(to_camera(model.vertices(p.identity), p.rotation, p.translation), camera)
        middle = (pixels.amin(0) + pixels.amax(0)) / 2
        assert (middle - 50).abs().max() < 15


def test_light(model):
    even = sh_basis(torch.nn.functional.normalize(torch.randn(5, 3), dim=-1)) @ light_of(0)
    torch.testing.assert_close(even, torch.full((5, 3), 0.7), atol=1e-5, rtol=0)
    levels = []
    front = torch.nn.functional.normalize(torch.randn(2000, 3), dim=-1)
    front[:, 2].abs_()
    for seed in range(1, 30):
        assert torch.equal(light_of(seed), light_of(seed))
        levels.append(float((sh_basis(front) @ light_of(seed)).mean()))
    assert min(levels) > 0.4 and max(levels) < 1.0 and np.std(levels) > 0.05


def test_expressions(model):
    assert not expression_of(model, 0).any()
    drawn = torch.stack([expression_of(model, s) for s in range(1, 40)])
    assert float(drawn.min()) >= 0 and float(drawn.max()) <= 1
    assert 0.5 < float((drawn.sum(-1) > 0).float().mean()) < 1


def test_shots_keep_to_their_limits():
    draw = np.random.default_rng(0)
    shots = [RandomShots(yaw=40).shot(draw, k) for k in range(100)]
    yaw = np.array([s.yaw for s in shots])
    assert 30 < abs(yaw).max() <= 40 and abs(yaw.mean()) < 10
    fixed = RandomShots(yaws=(0.0, 45.0), lights=False, expressions=False)
    shots = [fixed.shot(draw, k) for k in range(4)]
    assert [s.yaw for s in shots] == [0, 45, 0, 45] and {(s.light, s.expression) for s in shots} == {(0, 0)}


def test_the_person_stays_and_the_picture_changes(model, people):
    """Two pictures of one person are nearer than pictures of two, in one pose; and other lights are other pictures."""
    a, b, same = (shoot(model, p, s, 64) for p, s in (
        (people[0], FRONT), (people[1], FRONT), (people[0], replace(FRONT, background=0))
    ))  # fmt: skip
    assert a.shape == (64, 64, 3) and a.dtype == np.uint8 and np.array_equal(a, same)
    assert np.abs(a.astype(int) - b).mean() > 5
    lit = shoot(model, people[0], replace(FRONT, light=5), 64)
    turned = shoot(model, people[0], replace(FRONT, yaw=80.0), 64)
    assert np.abs(a.astype(int) - lit)[20:44, 20:44].mean() > 3 and np.abs(a.astype(int) - turned).mean() > 5
