"""ReenactGAN: boundaries and their networks, and the method from many people's clips to one person's pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render.methods.base import METHODS
from neural_render.methods.common.contours import Contours
from neural_render.methods.reenactgan.boundaries import Boundaries, components, jittered
from neural_render.methods.reenactgan.networks import Aligner, BoundaryEncoder, Decoder, Judge, Transformer, moments
from neural_render.methods.reenactgan.settings import Settings
from neural_render.methods.reenactgan.trainer import apart
from neural_render.methods.weights import load_network
from tests.neural_render.methods.landmarked import clip_of, people, points_of

SMALL = dict(size=64, width=4, batch=2)


def test_networks_are_the_papers():
    with torch.device("meta"):
        maps, picture = torch.empty(1, 15, 64, 64), torch.empty(1, 3, 256, 256)
        encoder, transformer, judge = BoundaryEncoder(15, 256, 64, 64), Transformer(15, 106), Judge(15)
        decoder, aligner = Decoder(15, 256, 64), Aligner(15, 106, 64)
        assert [m.shape for m in encoder(picture)] == [maps.shape] * 2
        points = aligner(maps)
        assert [t.shape for t in transformer(maps, points, maps, points)] == [maps.shape, (1, 106, 2)] and aligner(
            maps
        ).shape == (
            1,
            106,
            2,
        )
        assert decoder(maps).shape == picture.shape and judge(maps, maps).shape == (1, 1, 6, 6)
    assert encoder.hourglass.to_maps[0].in_channels == 256
    assert [m.out_channels for m in decoder.up if hasattr(m, "out_channels")] == [15, 15]
    assert len(decoder.unet.down) == 8


def test_a_transformer_begins_at_the_boundary_as_it_was():
    torch.manual_seed(0)
    maps, points = torch.rand(2, 3, 16, 16).clamp(0.03, 0.97), torch.rand(2, 5, 2) - 0.5
    made, found = Transformer(3, 5, 4)(maps, points, torch.rand_like(maps), torch.rand_like(points))
    torch.testing.assert_close(made, maps)
    torch.testing.assert_close(found, points)


def test_a_transformer_that_knows_pairs_carries_lines_to_the_others_points():
    """People who differ by where they sit: what has to be done to the points follows from those at rest."""
    torch.manual_seed(0)
    contours, count = Contours.of("ibug68"), 200
    boundaries = Boundaries(contours, 32)
    face = torch.from_numpy(contours.pick(points_of(1, 0, 1) / 32 - 1)).float()
    acts, place, other = (s * torch.rand(count, 1, 2) for s in (0.1, 0.2, 0.2))
    given, wanted, resting = face + acts + place, face + acts + other, face + other - place
    network = Transformer(len(contours.lines), len(contours.points), 4)
    network.begin(given, resting, wanted)
    maps, true = (boundaries.drawn(p[:4]) for p in (given, wanted))
    made, points = network(maps, given[:4], maps, resting[:4])
    assert (points - wanted[:4]).abs().max() < 0.01
    assert (made - true).abs().mean() < 0.3 * (maps - true).abs().mean()


def test_moments_are_those_of_a_line():
    """Of a line of four pixels on a row, and of its transpose."""
    maps = torch.zeros(1, 2, 32, 32)
    maps[0, 0, 8, 20:24] = 0.6
    maps[0, 1] = maps[0, 0].T
    x, y, wide, high, leans_x, leans_y, bends_y, bends_x = moments(maps).view(8, 2)
    pixel = 2 / 32
    across, down = 12 / 32 * 2 - 1 + 10 * pixel, 8.5 * pixel - 1
    torch.testing.assert_close(torch.stack([x, y]), torch.tensor([[across, down], [down, across]]))
    reach = (1.25 * pixel**2 + 1e-4) ** 0.5  # the variance of four pixels in a row
    torch.testing.assert_close(torch.stack([wide, high]), torch.tensor([[reach, 0.01], [0.01, reach]]))
    for none in (leans_x, leans_y, bends_x, bends_y):
        assert none.abs().max() < 1e-5


def test_an_aligner_begins_at_the_points_that_lines_go_through():
    g = torch.Generator().manual_seed(0)
    contours, boundaries = Contours.of("ibug68"), Boundaries(Contours.of("ibug68"), 32)
    face = torch.from_numpy(contours.pick(points_of(1, 0, 1) / 32 - 1)).float()
    turned = jittered(face.expand(400, -1, -1), Settings(), np.random.default_rng(0))
    points = turned + 0.02 * torch.randn(turned.shape, generator=g).cumsum(1) / 4
    aligner, maps = Aligner(len(contours.lines), len(contours.points), 32, 4), boundaries.drawn(points)
    aligner.begin(maps[:300], points[:300])
    with torch.no_grad():
        missed = (aligner(maps[300:]) - points[300:]).norm(dim=-1).mean()
    assert missed < 0.15 * (points[300:] - points.mean(0)).norm(dim=-1).mean()


def test_points_are_apart_by_place_and_by_shape():
    points = torch.rand(2, 9, 2) - 0.5
    moved = 1.1 * points @ torch.tensor([[0.8, 0.6], [-0.6, 0.8]]) + 0.2
    torch.testing.assert_close(apart(moved, points), (moved - points).abs().mean((1, 2)))
    bent = points + torch.tensor([0.1, -0.1]).repeat(9)[:9, None]
    assert (apart(bent, points) > 1.5 * (bent - points).abs().mean((1, 2))).all()


def test_a_judge_sees_edges_alone():
    torch.manual_seed(0)
    judge, maps = Judge(2, 4), torch.zeros(1, 2, 32, 32)
    maps[:, 1, :, 16:] = 1
    edges = torch.nn.functional.conv2d(maps, judge.filters, padding=1, groups=2)[0, :, 1:-1, 1:-1]
    assert edges[:2].abs().max() == 0 and edges[3].abs().max() == 0  # a step from left to right has no other
    assert edges[2, :, 14:16].unique().item() == 1.0 and edges[2, :, :13].abs().max() == 0


def test_resting_boundaries_say_whose_and_not_how():
    contours = Contours.of("ibug68")
    boundaries = Boundaries(contours, 32)
    points = [torch.from_numpy(contours.pick(points_of(p, a, 8) / 32 - 1)).float() for p in (1, 2) for a in (0, 1)]
    resting = boundaries.resting(torch.cat(points), torch.arange(4).repeat_interleave(8))
    assert resting.shape == (4, len(contours.points), 2)
    rest = boundaries.drawn(resting)
    assert rest.shape == (4, 13, 32, 32) and 0.5 < rest.max() <= 1
    apart = lambda a, b: (rest[a] - rest[b]).abs().mean()  # noqa: E731
    assert max(apart(0, 1), apart(2, 3)) < 0.8 * min(apart(0, 2), apart(1, 3))


def test_a_jitter_is_a_turn_a_zoom_and_a_shift():
    settings, draw = Settings(turn=30, zoom=0.2, shift=0.1), np.random.default_rng(0)
    points = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]).expand(500, -1, -1)
    made = jittered(points, settings, draw)
    shift, x, y = made[:, 0], made[:, 1] - made[:, 0], made[:, 2] - made[:, 0]
    angle = torch.atan2(x[:, 1], x[:, 0]) * 180 / math.pi
    assert 25 < angle.abs().max() <= 30 and 0.09 < shift.abs().max() <= 0.1
    assert 0.55 < x.norm(dim=1).max() <= 0.6 and 0.4 <= x.norm(dim=1).min() < 0.45
    torch.testing.assert_close(x.norm(dim=1), y.norm(dim=1))
    assert (x * y).sum(1).abs().max() < 1e-6


def test_components_are_what_points_vary_by():
    g = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(8, 8, generator=g)).Q[:3].view(3, 4, 2)
    points = (torch.randn(300, 3, generator=g) * torch.tensor([3.0, 2.0, 1.0])) @ axes.flatten(1)
    mean, found = components(points.view(-1, 4, 2) + 5)
    assert (mean - 5).abs().max() < 0.5
    overlap = (found.flatten(1) @ axes.flatten(1).T).abs()
    assert (overlap.diagonal() > 0.95).all()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    method, out = METHODS["reenactgan"](), tmp_path_factory.mktemp("reenactgan") / "w"
    method.train(people(3), out, method.options(steps=1, **SMALL))
    summary = method.train(people(3), out, method.options(steps=2, **SMALL))
    return method, out, summary


@pytest.fixture(scope="module")
def adapted(trained, tmp_path_factory):
    method, out, _ = trained
    mine = tmp_path_factory.mktemp("adapted") / "w"
    weights = method.load(out)
    method.adapt(weights, [clip_of(7), clip_of(7, 1)], mine, method.options(steps=1, batch=2))
    summary = method.adapt(weights, [clip_of(7), clip_of(7, 1)], mine, method.options(steps=2, batch=2))
    return mine, summary


def test_the_corpus_aligner_begins_at_drawn_lines(trained):
    """After two steps it finds the corpus's points, of which it would need thousands to learn them."""
    weights, contours, side = trained[0].load(trained[1]), Contours.of("ibug68"), Settings(size=64).side
    aligner = load_network(Aligner(len(contours.lines), len(contours.points), side), weights, "aligner")
    points = weights.tensors["bank.points"]
    missed = (aligner(Boundaries(contours, side).drawn(points)) - points).norm(dim=-1).mean()
    assert missed < 0.3 * (points - points.mean(0)).norm(dim=-1).mean()


def test_trainings_go_on_to_the_same_bits(trained, adapted, tmp_path):
    method, out, summary = trained
    method.train(people(3), tmp_path / "w", method.options(steps=2, **SMALL))
    assert (summary.resumed_at, summary.steps, summary.frames) == (1, 2, 36)
    assert set(summary.losses) == {"encoder", "aligner", "moved", "adversarial", "cycle", "shape", "truth", "points"}
    weights, whole = method.load(out), method.load(tmp_path / "w")
    assert all(torch.equal(whole.tensors[k], t) for k, t in weights.tensors.items())
    assert weights.tensors["bank.points"].shape == (36, 68, 2) and weights.tensors["bank.people"].max() == 2
    mine, second = adapted
    assert (second.resumed_at, second.steps, second.frames) == (1, 2, 12)
    assert set(second.losses) == {"adversarial", "cycle", "shape", "truth", "points", "l1", "decoder adversarial"}
    again = method.adapt(weights, [clip_of(7), clip_of(7, 1)], tmp_path / "m", method.options(steps=2, batch=2))
    assert again.steps == 2
    one, two = method.load(mine), method.load(tmp_path / "m")
    assert all(torch.equal(two.tensors[k], t) for k, t in one.tensors.items())
    assert one.header.target == "person 7" and not any(k.startswith("bank") for k in one.tensors)


def test_anybody_drives_the_person(trained, adapted):
    method, weights = trained[0], trained[0].load(adapted[0])
    made = np.stack(list(method.animate(weights, clip_of(7, frames=1), clip_of(4, 1, frames=3))))
    assert made.shape == (3, 64, 64, 3) and made.dtype == np.uint8
    assert not np.array_equal(made[0], made[2])
    own = clip_of(4, 1, frames=3)
    own.person = "person 7"  # the same pictures, said to be the target's: the boundary stays as it is
    assert not np.array_equal(np.stack(list(method.animate(weights, clip_of(7), own))), made)


def test_bad_input(trained, adapted, tmp_path):
    method, out, _ = trained
    weights, mine = method.load(out), method.load(adapted[0])
    with pytest.raises(PortraitError, match="size: expected 64, 128 or 256, got 100"):
        method.options(size=100)
    with pytest.raises(PortraitError, match="width: expected at least 4, got 1"):
        method.options(width=1)
    with pytest.raises(PortraitError, match="weights: expected a person's, got those of many people"):
        method.animate(weights, clip_of(7), clip_of(1))
    with pytest.raises(PortraitError, match="target: expected 'person 7', whose weights they are, got 'person 1'"):
        method.animate(mine, clip_of(1), clip_of(2))
    with pytest.raises(PortraitError, match="references: expected clips of one person, got those of 2"):
        method.adapt(weights, [clip_of(1), clip_of(2)], tmp_path / "w", method.options())
    with pytest.raises(PortraitError, match="expected those of many people, got those of 'person 7'"):
        method.adapt(mine, [clip_of(7)], tmp_path / "w", method.options())
