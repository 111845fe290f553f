"""The benchmark of completion: what it hides, what it compares, what its one figure says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.completion import OURS, PICTURE, evaluate, gain, methods, observe, score
from benchmarks.completion_real import TURNS, holes_of
from fitting.texture import frame_texture
from neural_render.uv_gan.generator import UVGenerator
from renderer import main_island, render_textured
from synthetic import Shot, SkinAtlas, frame_shot, make_person

SIZE = 64


def test_a_picture_shows_the_truth_where_it_shows_anything(model):
    island = main_island(model, SIZE)
    person = make_person(model, SkinAtlas.of(model, SIZE), 1, 2)
    truth, seen, weight = observe(model, person, Shot(50.0, 0.0, 0.0, 3, 0, 2.5), island)
    shown = (weight > 0.9).numpy()
    assert 0.1 < shown[island.numpy()].mean() < 0.7
    error = np.abs(seen.astype(int) - truth)[shown].mean(-1)
    assert error.mean() < 3 and np.quantile(error, 0.9) < 8


def test_methods_fill_holes_and_mirror_copies():
    network = UVGenerator(SIZE, 4)
    draw = np.random.default_rng(0)
    half = draw.integers(30, 220, (SIZE, SIZE // 2, 3), dtype=np.uint8)
    truth = np.concatenate([half, half[:, ::-1]], 1)
    weight = torch.ones(SIZE, SIZE)
    weight[:, 40:] = 0
    seen = np.where(weight.numpy()[..., None] > 0, truth, 0).astype(np.uint8)
    mean = np.full_like(truth, 128)
    made = {name: fill(seen, weight) for name, fill in methods(network, mean).items()}
    assert np.array_equal(made["mirror"][:, 40:], truth[:, 40:]) and np.array_equal(made["mean"], mean)
    assert np.abs(made["mirror, toned"].astype(int) - truth).mean() < 2
    for name, picture in made.items():
        assert picture.shape == truth.shape and picture.dtype == np.uint8 and picture[:, 40:].min() > 0, name
    # What a hole holds isn't looked at.
    spoilt = np.where(weight.numpy()[..., None] > 0, seen, 255).astype(np.uint8)
    for name, fill in methods(network, mean).items():
        assert np.array_equal(fill(spoilt, weight)[:, 40:], made[name][:, 40:]), name


def test_scores_look_at_holes_alone():
    truth = np.full((32, 32, 3), 100, np.uint8)
    made, hole, island = truth.copy(), np.zeros((32, 32), bool), np.ones((32, 32), bool)
    hole[:16], made[:16] = True, 110
    scores = score(made, truth, hole, island)
    assert scores["hole_psnr"] == pytest.approx(20 * np.log10(25.5))
    assert scores["skin_psnr"] == pytest.approx(20 * np.log10(25.5) + 10 * np.log10(2))


def test_gain_is_against_the_best_at_far_yaws():
    row = lambda ours, a, b: {n: {"hole_psnr": v} for n, v in ((OURS, ours), ("mirror", a), ("mean", b))}  # noqa: E731
    better, best = gain({30: row(10, 40, 40), 45: row(25, 20, 23), 90: row(26, 22, 23)})
    assert (better, best) == (2.5, "mean")


def test_what_a_real_turned_head_hides_is_known_from_others(model):
    island, person = main_island(model, SIZE), make_person(model, SkinAtlas.of(model, SIZE), 1, 2)
    parameters, camera = frame_shot(model, person, Shot(25.0, 0.0, 0.0, 3, 0, 2.5), PICTURE)
    picture, alpha = render_textured(model, parameters, camera, person.albedo)
    frame = frame_texture(model, parameters, (picture * alpha * 255).round().to(torch.uint8)[0], SIZE)
    # The others show the same skin without light, twice as bright.
    parts = holes_of(model, parameters, 25.0, frame, 2 * person.albedo, torch.ones(SIZE, SIZE), island)
    assert [p.turn for p in parts] == list(TURNS)
    shares = [p.hole.mean() for p in parts]
    assert 0 < shares[0] < shares[1] < shares[2] < shares[3]
    right = np.arange(SIZE) < SIZE // 2  # in the atlas the subject's right side is on the left; turned left, it shows
    assert parts[3].hole[:, ~right].mean() > 2 * parts[3].hole[:, right].mean()
    for part in parts:
        assert not (part.hole & (part.weight.numpy() >= 0.5)).any() and part.known[part.hole].all()
    shown = (parts[0].weight > 0.9).numpy()
    error = np.abs(parts[0].truth.astype(int) - parts[0].seen)[shown].mean(-1)
    assert np.median(error) < 3  # brought to the frame's light and exposure


def test_it_runs_for_people_whom_no_training_has(model):
    table = evaluate(model, UVGenerator(SIZE, 4), 1, None)
    assert list(table) == [0, 15, 30, 45, 60, 75, 90]
    for row in table.values():
        assert all(np.isfinite(list(scores.values())).all() for scores in row.values())
        for scores in row.values():  # what was seen is pasted back
            assert scores["skin_psnr"] > scores["hole_psnr"] and scores["skin_ssim"] > scores["hole_ssim"]
