"""MarioNETte: its networks, its landmark transformer, and the method from clips to pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from foundation.errors import PortraitError
from neural_render.corpus import gather
from neural_render.methods.base import METHODS
from neural_render.methods.common.contours import Contours, followed
from neural_render.methods.common.head_frame import HeadFrame
from neural_render.methods.common.people import sources
from neural_render.methods.marionette.landmark_transformer import LandmarkTransformer, expressions_of
from neural_render.methods.marionette.networks import (
    NEARER,
    AlignmentBlock,
    Generator,
    TargetEncoder,
    moved,
    nearness,
)
from neural_render.methods.marionette.settings import Settings
from neural_render.methods.marionette.trainer import Trainer
from neural_render.methods.weights import Weights
from neural_render.training import make_fabric
from tests.neural_render.methods.drawn import clip_of as drawn_clip
from tests.neural_render.methods.landmarked import clip_of, people

SMALL = dict(size=64, width=4, batch=2)


def test_networks_are_the_papers():
    with torch.device("meta"):
        generator, pictures = Generator(256, 64), torch.empty(1, 4, 3, 256, 256)
        driver, points = pictures[:, 0], torch.empty(1, 4, 5, 2)
        known = generator.encode(pictures, pictures, points)
        assert generator.driver(driver).shape == (1, 512, 16, 16) and known.code.shape == (1, 4, 512, 8, 8)
        sizes = [(1, 4, 512, 16, 16), (1, 4, 256, 32, 32), (1, 4, 128, 64, 64), (1, 4, 64, 128, 128)]
        assert [m.shape for m in known.maps] == sizes
        assert len(generator.blender) == 3 and generator.blender[0].to_query.out_features == 64
        assert generator(driver, points[:, 0], pictures, pictures, points).shape == (1, 3, 256, 256)
        small, pictures, points = Generator(64, 16), torch.empty(2, 8, 3, 64, 64), torch.empty(2, 8, 5, 2)
        assert small(pictures[:, 0], points[:, 0], pictures, pictures, points).shape == (2, 3, 64, 64)
    with pytest.raises(ValueError, match="size: expected a power of two of at least 32, got 48"):
        Generator(48, 16)


def test_maps_are_moved_by_their_flows():
    torch.manual_seed(0)
    encoder, x = TargetEncoder(64, 4), torch.randn(1, 6, 64, 64)
    code, still = encoder(x)
    with torch.no_grad():
        encoder.to_flow.bias.copy_(torch.atanh(torch.tensor([0.25, 0.0])))  # an eighth of the width to the right
    moved = encoder(x)[1]
    for a, b in zip(still, moved):
        by = a.shape[-1] // 8
        torch.testing.assert_close(b[..., :-by], a[..., by:], atol=1e-5, rtol=0)


def test_pictures_are_brought_to_the_drivers_place_and_count_by_what_they_show():
    torch.manual_seed(0)
    block, u, maps = AlignmentBlock(4, 3, 6), torch.randn(1, 4, 8, 8), torch.randn(1, 2, 3, 8, 8)
    flow = torch.zeros(1, 2, 2, 4, 4)
    flow[:, 0, 0] = 0.25  # of the first a pixel further to the right
    found = block(u, maps, flow, torch.zeros(1, 2))
    assert found.features.shape == (1, 6, 16, 16) and found.flow.shape == (1, 2, 2, 8, 8)
    assert (found.shares == 0.5).all()  # it begins with what it is told
    brought = moved(maps, found.flow)
    torch.testing.assert_close(brought[:, 0, ..., :-1], maps[:, 0, ..., 1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(brought[:, 1], maps[:, 1], atol=1e-5, rtol=0)
    with torch.no_grad():
        block.to_share[0].weight.zero_()
        block.to_share[0].weight[0, 4] = 1.0  # of maps the first channel is what counts
        block.to_share[2].weight[0, 0] = 1.0
    near = torch.tensor([[-1.0, 0.0]])
    shares, counts = block(u, maps, flow, near).shares, (brought[:, :, :1] + block.to_share[0].bias[0]).relu()
    torch.testing.assert_close(shares, torch.softmax(counts + near[..., None, None, None], 1))
    torch.testing.assert_close(shares.sum(1), torch.ones(1, 1, 8, 8))


def test_pictures_count_the_more_the_nearer_their_landmarks_are():
    points = torch.rand(1, 1, 9, 2).expand(1, 3, 9, 2).clone()
    wanted = points[:, 0].clone()
    points[:, 1] += 0.5  # somewhere else, and no further away
    points[:, 2, ::3, 0] += 0.3
    expected = torch.tensor([[0.0, 0.0, -NEARER * 0.3**2 * 2 / 9]])  # a third of the points, less what all move by
    torch.testing.assert_close(nearness(points, wanted), expected, atol=1e-5, rtol=1e-5)


def test_a_picture_comes_along_with_its_landmarks():
    """Even without training: what shows through is the target's picture, moved as its landmarks are."""
    torch.manual_seed(0)
    generator = Generator(64, 4).eval()
    with torch.no_grad():
        generator.to_picture.bias[3] = 20.0  # nothing is painted
        target, drawn, points = torch.randn(1, 1, 3, 64, 64), torch.zeros(1, 1, 3, 64, 64), torch.rand(1, 1, 9, 2) - 0.5
        still = generator(drawn[:, 0], points[:, 0], target, drawn, points)
        shifted = generator(drawn[:, 0], points[:, 0] + torch.tensor([0.25, 0.0]), target, drawn, points)
    torch.testing.assert_close(still, target[:, 0], atol=1e-3, rtol=0)
    torch.testing.assert_close(shifted[..., 8:], target[:, 0, ..., :-8], atol=1e-3, rtol=0)


class FirstCounts(nn.Module):
    """Of two pictures."""

    def forward(self, told: torch.Tensor) -> torch.Tensor:
        return torch.tensor([99.0, 0.0]).view(2, 1, 1, 1).expand(2, 1, *told.shape[-2:])


def test_pictures_come_to_the_last_layer_by_what_they_count():
    torch.manual_seed(0)
    generator = Generator(64, 4).eval()
    generator.decoder[-1].to_share = FirstCounts()
    with torch.no_grad():
        generator.to_picture.bias[3] = 20.0  # nothing is painted
        target, drawn = torch.randn(1, 2, 3, 64, 64), torch.zeros(1, 2, 3, 64, 64)
        points = (torch.rand(1, 1, 9, 2) - 0.5).expand(1, 2, 9, 2)
        made = generator(drawn[:, 0], points[:, 0], target, drawn, points)
    torch.testing.assert_close(made, target[:, 0], atol=1e-3, rtol=0)


def test_a_picture_that_is_in_place_is_shown():
    torch.manual_seed(0)
    generator = Generator(64, 4).eval()
    with torch.no_grad():
        generator.to_picture.bias[3] = 20.0  # nothing is painted
        target, drawn = torch.randn(1, 2, 3, 64, 64), torch.zeros(1, 2, 3, 64, 64)
        wanted = torch.rand(1, 9, 2) - 0.5
        points = torch.stack([wanted, 0.3 * wanted], 1)
        made = generator(drawn[:, 0], wanted, target, drawn, points)
    torch.testing.assert_close(made, target[:, 0], atol=0.01, rtol=0)


def test_a_head_is_mean_identity_and_expression():
    g = torch.Generator().manual_seed(0)
    parts = {"mouth": (0, 1, 2), "eyes": (3, 4)}
    axes = torch.randn(4, 5, 3, generator=g) * 0.1
    people_, acted = torch.randn(6, 5, 3, generator=g), torch.randn(6, 12, 4, generator=g)
    acted = acted - acted.mean(1, keepdim=True)
    heads = (people_[:, None] + torch.einsum("pfc,cxy->pfxy", acted, axes)).flatten(0, 1)
    clips = torch.arange(6).repeat_interleave(12)
    expressions, told = expressions_of(heads, clips)
    torch.testing.assert_close(expressions, heads - people_[clips], atol=1e-5, rtol=0)
    assert told.all() and not expressions_of(heads[:1], clips[:1])[1].any()
    network = LandmarkTransformer(parts, 5, 4).eval()
    network.begin(heads, expressions)
    assert network.axes.shape == (8 + 6, 5, 3)
    assert network.axes[:8, 3:].abs().max() == 0 and network.axes[8:, :3].abs().max() == 0
    found = network.components(expressions)
    torch.testing.assert_close(network.expression(found), expressions, atol=1e-4, rtol=0)
    assert (found.square().mean(0)[:4] - 1).abs().max() < 1e-3
    missed = (network.expression(network(torch.zeros(72, 3, 64, 64), heads)) - expressions).square().mean()
    assert missed < 0.3 * expressions.square().mean()  # by the linear map alone
    same = network.transfer(heads[3] - network.mean - expressions[3], found[3:4])
    torch.testing.assert_close(same[0], heads[3], atol=1e-4, rtol=0)


def test_a_drivers_shape_is_left_behind(tmp_path):
    method, clips = METHODS["marionette"](), people(12, 3)
    trainer = Trainer(Settings(width=4, batch=2), gather(clips, tmp_path, 64), make_fabric("cpu"))
    tensors, facts = trainer.weights()
    weights = Weights(method.Header(method=method.name, **facts), tensors)
    driver, target, true = clip_of(20, 1, 8), clip_of(21, 0, 8), clip_of(21, 1, 8)
    made = method.transferred(weights, sources(target, 64, 8), driver)
    contours = Contours.of("ibug68")
    heads = lambda points: HeadFrame.of(contours).split(points)[0]  # noqa: E731
    copied, wanted = (heads(torch.from_numpy(contours.pick(followed(clip)))) for clip in (driver, true))
    apart = lambda x: (x - wanted).norm(dim=-1).mean()  # noqa: E731
    assert apart(heads(made)) < 0.7 * apart(copied)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    method, out = METHODS["marionette"](), tmp_path_factory.mktemp("marionette") / "w"
    method.train(people(2), out, method.options(steps=1, **SMALL))
    summary = method.train(people(2), out, method.options(steps=3, **SMALL))
    return method, out, summary


def test_a_training_goes_on_to_the_same_bits(trained, tmp_path):
    method, out, summary = trained
    said = []
    method.train(people(2), tmp_path / "w", method.options(steps=3, **SMALL), report=said.append)
    assert (summary.resumed_at, summary.steps, summary.frames) == (1, 3, 24)
    assert any("the perceptual loss is left out" in event.note for event in said)
    weights, whole = method.load(out), method.load(tmp_path / "w")
    assert all(torch.equal(whole.tensors[k], t) for k, t in weights.tensors.items())


def test_the_discriminator_joins_later(tmp_path):
    trainer = Trainer(Settings(width=4, batch=2, adversarial_after=1), gather(people(2), tmp_path, 64), make_fabric())
    first, second = trainer.advance(), trainer.advance()
    assert set(first) == {"l1", "pyramid", "expression"}
    assert set(second) == {"l1", "pyramid", "expression", "adversarial", "feature-matching", "discriminator"}
    assert trainer.modules["discriminator"].embeddings.num_embeddings == 4  # one a clip


def test_a_pictures_own_colours_come_through():
    """Of targets that differ by their brightness alone pictures of another mean are made, even without training."""
    torch.manual_seed(0)
    generator = Generator(64, 4).eval()
    driver, drawn = torch.rand(1, 3, 64, 64), torch.rand(1, 1, 3, 64, 64)
    dark, points = torch.rand(1, 1, 3, 64, 64) - 1, torch.rand(1, 1, 9, 2)
    with torch.no_grad():
        made = [generator(driver, points[:, 0], target, drawn, points) for target in (dark, dark + 1)]
    assert (made[1] - made[0]).mean((2, 3)).abs().max() > 3e-3  # normalised before the colours 1e-4 to 1e-3


def test_landmarks_drive_pictures(trained):
    method, out, _ = trained
    weights, driver = method.load(out), clip_of(6, 1, frames=4, missing=(2,))
    target = clip_of(5, frames=3)
    made = np.stack(list(method.animate(weights, target, driver)))
    assert made.shape == (4, 64, 64, 3) and made.dtype == np.uint8 and not np.array_equal(made[0], made[1])
    one = np.stack(list(method.animate(weights, clip_of(5, frames=1), driver)))
    assert not np.array_equal(one, made)
    driver.person = target.person  # own landmarks are taken as they are
    assert not np.array_equal(np.stack(list(method.animate(weights, target, driver))), made)


def test_bad_input(trained):
    method, out, _ = trained
    with pytest.raises(PortraitError, match="size: expected 64, 128 or 256, got 32"):
        method.options(size=32)
    with pytest.raises(PortraitError, match="width: expected a multiple of four, got 18"):
        method.options(width=18)
    with pytest.raises(PortraitError, match="driver: expected landmarks 'ibug68' of clip '1-0.mp4'.* got 'drawn'"):
        method.animate(method.load(out), clip_of(0), drawn_clip(1))
