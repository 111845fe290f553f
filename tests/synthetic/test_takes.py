"""Anybody in any performance: what is a person's stays theirs, what is done is the same, hair is before or behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facemodel import FaceParameters, FrameStatus, Track
from renderer import Camera
from synthetic import SkinAtlas
from synthetic.skin import hair_tone, paint
from synthetic.skin.hairs import tone_of
from synthetic.takes import OPENED, make_look, make_performance, parameters_of, performance_of, take
from synthetic.wear import STYLES, Solid, draw_with, make_hair
from synthetic.wear.hair import MIDDLE, direction, skull, style_of


@pytest.fixture(scope="module")
def atlas(model):
    return SkinAtlas.of(model, 64)


@pytest.fixture(scope="module")
def looks(model, atlas):
    return [make_look(model, atlas, 5, k) for k in range(2)]


def test_a_number_is_a_look_and_a_performance(model, atlas, looks):
    again = make_look(model, atlas, 5, 1)
    assert torch.equal(again.worn.points, looks[1].worn.points) and torch.equal(again.light, looks[1].light)
    assert not torch.equal(looks[0].light, looks[1].light)
    a, b, other = (make_performance(model, 5, k, 6, 10.0) for k in (2, 2, 3))
    assert torch.equal(a.expression, b.expression) and not torch.allclose(a.expression, other.expression)
    block = model.blocks["expression"]
    assert torch.equal(a.expression, block.clamp(a.expression))
    long = make_performance(model, 5, 2, 40, 10.0).expression
    jaw = long[:, model.arkit["jawOpen"]]
    assert all((long[:, model.arkit[name]] <= jaw).all() for name in OPENED)


def test_two_people_do_the_same(model, looks):
    performance = make_performance(model, 5, 0, 4, 10.0)
    (first, a), (second, b) = (take(model, look, performance, 48) for look in looks)
    assert torch.equal(first.expression, second.expression) and torch.equal(first.rotation, second.rotation)
    assert not torch.equal(first.identity, second.identity) and not torch.equal(first.illumination, second.illumination)
    assert a.shape == (4, 48, 48, 3) and a.dtype == np.uint8
    assert np.array_equal(a, take(model, looks[0], performance, 48)[1])
    assert np.abs(a.astype(int) - b).mean() > 10
    inside = parameters_of(looks[0], performance, 48)[0].landmarks(model, Camera(float(first.focal), 48, 48))
    assert float(inside.min()) > 0 and float(inside.max()) < 48


def test_a_real_track_gives_a_performance(model):
    """Its expressions at the asked rate, from frames with a face alone."""
    frames = 30
    p = FaceParameters.neutral(model, (frames,))
    shared = {name: getattr(p, name)[0] for name in ("identity", "reflectance", "focal")}
    expression = p.expression.clone()
    expression[:, 0] = torch.arange(frames) / frames
    status = torch.full((frames,), int(FrameStatus.TRACKED))
    status[::2] = 0
    track = Track(
        model.name, model.fingerprint, 64, 64, p.replace(expression=expression, **shared),
        torch.arange(frames, dtype=torch.float64) / 30, status, torch.ones(frames),
    )  # fmt: skip
    found = performance_of(track, 0, 1, 5, 10.0)
    steps = (found.expression[:, 0] * frames).round().int()
    assert (steps % 2 == 1).all() and ((steps[1:] - steps[:-1]) >= 2).all() and (steps[1:] - steps[:-1] <= 4).all()
    assert found.rotation.shape == (5, 3) and torch.equal(found.aside, torch.zeros(5, 3))
    short = performance_of(track, 0, 1, 40, 10.0)  # longer than the track: its last frame is held
    assert torch.equal(short.expression[-1], short.expression[-2])


def test_what_is_nearer_hides(model):
    """A red square before the head is seen, behind it isn't, and beside it it is."""
    p = FaceParameters.neutral(model, (1,), focal=120.0, distance=700.0)
    texture, camera = torch.full((8, 8, 3), 0.3), Camera(120.0, 64, 64)

    def square(x, z):
        corner = torch.tensor([[[-20.0, -20.0, 0.0], [20.0, -20.0, 0.0]], [[-20.0, 20.0, 0.0], [20.0, 20.0, 0.0]]])
        return Solid.grid(corner + torch.tensor([x, 0.0, z]), torch.tensor([0.9, 0.0, 0.0]))

    def red(x, z):
        colour, alpha = draw_with(model, p, camera, texture, square(x, z))
        assert float(alpha.max()) == 1
        return int(((colour[0, ..., 0] > 0.4) & (colour[0, ..., 1] < 0.05)).sum())

    assert red(0.0, 160.0) > 30 and red(0.0, -60.0) == 0 and red(160.0, -60.0) > 20
    bare, alpha = draw_with(model, p, camera, texture, None)
    assert bare.shape == (1, 64, 64, 3) and alpha.shape == (1, 64, 64, 1)


def test_hair_is_as_the_scalp_is(model, atlas):
    """The tone that is told beforehand is what `paint` uses; each layer before it takes one number."""
    albedo = np.full((64, 64, 3), 0.3, np.float32)
    dark = np.stack([paint(albedo, atlas, np.random.default_rng(s))[atlas.scalp > 0.99].mean(0) for s in range(6)])
    told = np.stack([hair_tone(np.random.default_rng(s)) for s in range(6)])
    draw = np.random.default_rng(0)
    for _ in range(7):
        draw.integers(2**63)
    assert np.array_equal(tone_of(np.random.default_rng(draw.integers(2**63))), told[0])
    assert np.corrcoef(dark.mean(1), told.mean(1))[0, 1] > 0.5


@pytest.mark.parametrize("style", [name for name, kind in STYLES.items() if kind is not None])
def test_hair_lies_about_the_skull(model, style):
    identity = torch.zeros(model.count("identity"))
    hair = make_hair(model, identity, style, np.full(3, 0.1), np.random.default_rng(1))
    points = hair.points.double().numpy() - MIDDLE
    away = np.linalg.norm(points, axis=-1)
    azimuth, polar = np.arctan2(points[:, 0], points[:, 2]), np.arccos(points[:, 1] / away)
    on_skull = polar < np.radians(60)
    over = away - skull(model, identity, azimuth, polar)
    assert (over[on_skull] > 0.5).mean() > 0.9 and over[on_skull].max() < 130
    lowest = points[:, 1].min()
    assert (lowest < -80) == (STYLES[style].hangs != (0.0, 0.0))
    face = (np.abs(azimuth) < np.radians(30)) & (polar > np.radians(100))
    assert not face.any()
    np.testing.assert_allclose(np.linalg.norm(direction(azimuth, polar), axis=-1), 1)


def test_styles_are_as_often_as_said():
    draw = np.random.default_rng(0)
    drawn = [style_of(draw) for _ in range(2000)]
    for name, kind in STYLES.items():
        share = kind.share if kind else 1 - sum(k.share for k in STYLES.values() if k)
        assert abs(drawn.count(name) / 2000 - share) < 0.03
