"""Clips of random people: the same from the same seed, within bounds, of any model, and true."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facemodel import PortraitError
from facemodel.base import Block
from facemodel.linear import LinearModel
from renderer import sh_basis
from synthetic import CameraEffects, make_scene
from synthetic.clips import Ranges, random_performance
from synthetic.performance import expression_of, expressions
from synthetic.surroundings import facing, light_of, photograph, random_light


@pytest.fixture(scope="module")
def scene(model):
    return make_scene(model, 7, 3, 160)


@pytest.fixture(scope="module")
def bare(model) -> LinearModel:
    """The default head without eyes, atlas, regions, reflectance; two signed expressions that ARKit doesn't know."""
    shapes = model.linearize(*(model.blocks[b].mean for b in ("identity", "expression")), torch.zeros(0))
    embedding = model.embedding("mediapipe478")
    tensors = {
        "mean": model.mean,
        "triangles": model.triangles,
        "identity_basis": shapes.identity[:4],
        "expression_basis": shapes.expression[[25, 30]],
        "landmark_triangles_mediapipe478": embedding.triangles,
        "landmark_barycentric_mediapipe478": embedding.barycentric,
        "landmark_weights_mediapipe478": embedding.weights,
    }
    return LinearModel(tensors, name="bare", fingerprint="0" * 16, expression=Block.standard("mode", 2))


def test_a_seed_is_a_scene_and_another_seed_another(model, scene):
    again, other = make_scene(model, 7, 3, 160), make_scene(model, 8, 3, 160)
    assert all(np.array_equal(a, b) for a, b in zip(scene.pictures, again.pictures))
    assert not torch.equal(scene.truth.identity, other.truth.identity)
    assert not np.array_equal(scene.pictures[0], scene.pictures[1])


def test_people_are_within_bounds(model):
    within = Ranges()
    for seed in range(6):
        s = make_scene(model, seed, 1, 96)
        t = s.truth
        assert t.rotation.norm() < np.radians(within.yaw + within.pitch) + 0.3
        assert t.gaze[..., 0].abs().max() < np.radians(within.gaze[0]) + 0.03
        assert ((t.expression >= 0) & (t.expression <= 1)).all()
        assert t.expression[0].count_nonzero() >= 3
        assert ((s.landmarks > -10) & (s.landmarks < 106)).mean() > 0.95
        skin = s.pictures[0][tuple(s.landmarks[0].round().astype(int).clip(0, 95).T[::-1])]
        assert 15 < np.median(skin) < 250


def test_a_seed_draws_what_it_drew(scene):
    """The figures of benchmarks.recovery, and weights trained on data sets of seeds, are of these people."""
    truth = scene.truth
    near = lambda a, b: torch.testing.assert_close(a, torch.tensor(b), atol=1e-4, rtol=0)  # noqa: E731
    near(truth.identity[:3], [0.17438, 2.29834, 0.9571])
    near(truth.rotation[1], [0.22617, 0.64176, 0.19041])
    near(truth.illumination[0, 0], [1.70803, 1.48524, 1.66669])
    near(truth.expression[2].sum(), 1.49202)
    near(light_of(5)[:2, 0], [1.56314, 0.08739])


def test_light_is_positive_and_as_bright_as_said(model):
    for seed in range(20):
        g = torch.Generator().manual_seed(seed)
        shading = sh_basis(facing(torch.randn(500, 3, generator=g))) @ random_light(model, g)
        assert shading.min() > -0.05
        assert 0.2 < shading.mean() < 1.2


def test_people_of_any_model(bare):
    """Coefficients from its own prior; drawn, with true landmarks; nothing that it doesn't have is asked for."""
    scene = make_scene(bare, 3, 2, 96)
    truth = scene.truth
    assert truth.identity.shape == (4,) and truth.reflectance.shape == (0,) and truth.expression.shape == (2, 2)
    assert truth.expression.abs().max() > 0.1
    assert scene.landmarks.shape == (2, 478, 2) and ((scene.landmarks > -10) & (scene.landmarks < 106)).mean() > 0.9
    drawn = torch.stack([expression_of(bare, seed) for seed in range(1, 60)])
    assert 0.3 < (drawn != 0).float().mean() < 1 and not expression_of(bare, 0).any()


def test_expressions_keep_to_the_model_s_bounds(bare):
    block = Block(
        ("a", "b"), torch.tensor([0.2, -1.0]), torch.tensor([0.3, 1.0]), torch.tensor([0.25, 0.0]), torch.ones(2)
    )
    model = LinearModel(bare.flatten(), name="b", fingerprint="0" * 16, expression=block)
    g = torch.Generator().manual_seed(0)
    out = expressions(model, g, 50, torch.zeros(50, 2, 2))
    assert out[:, 0].min() >= 0.2 and out[:, 0].max() <= 0.3 and out.std(0).min() > 0
    truth, _ = random_performance(model, g, 4, 64)
    torch.testing.assert_close(block.clamp(truth.expression), truth.expression)


def test_a_camera_blurs_adds_noise_and_compresses():
    picture = np.zeros((40, 40, 3))
    picture[:, 20:] = 0.6
    draw = lambda: np.random.default_rng(0)  # noqa: E731
    plain = CameraEffects()(picture, draw())
    assert plain.dtype == np.uint8 and np.array_equal(plain, (picture * 255).round())
    noisy = CameraEffects(noise=0.02)(picture, draw())
    assert 4 < noisy[:, 25:].std() < 6 and np.array_equal(noisy, CameraEffects(noise=0.02)(picture, draw()))
    soft = CameraEffects(blur=2.0)(picture, draw())
    assert 20 < soft[20, 19, 0] < 76 < soft[20, 20, 0] < 133
    assert not np.array_equal(CameraEffects(quality=40)(picture, draw()), plain)


def test_without_scikit_image_no_photograph(monkeypatch):
    monkeypatch.setattr("synthetic.surroundings.find_spec", lambda name: None)
    with pytest.raises(PortraitError, match="pip install scikit-image"):
        photograph(torch.Generator().manual_seed(0), 32)
