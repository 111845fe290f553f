"""Latent pose descriptors: the networks' shapes, what disguises a pose, and the method from clips to an adaptation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render.corpus import gather
from neural_render.losses.masks import dice
from neural_render.methods.base import METHODS
from neural_render.methods.latent_pose.adaptation import Adaptation, steps_for
from neural_render.methods.latent_pose.augmentation import disguised, placed
from neural_render.methods.latent_pose.foregrounds import Foregrounds
from neural_render.methods.latent_pose.method import JUDGED, background, composed
from neural_render.methods.latent_pose.networks import LatentPoseNetworks, StyledGenerator
from neural_render.methods.latent_pose.settings import Settings
from neural_render.methods.latent_pose.trainer import Trainer
from neural_render.methods.weights import Weights
from neural_render.networks.projection import ProjectionDiscriminator
from neural_render.training import make_fabric
from tests.neural_render.methods.drawn import clip_of, people


@pytest.fixture(autouse=True)
def halves(monkeypatch):
    """MediaPipe sees nobody in drawings: the foreground is the upper half."""

    class Halves:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def __call__(self, picture):
            return (
                np.repeat(np.arange(len(picture)) < len(picture) // 2, picture.shape[1])
                .reshape(picture.shape[:2])
                .astype(np.float32)
            )

    for module in ("foregrounds", "method"):
        monkeypatch.setattr(f"neural_render.methods.latent_pose.{module}.ForegroundNet", Halves)


def test_networks_are_the_papers():
    with torch.device("meta"):
        networks, critic = LatentPoseNetworks().eval(), ProjectionDiscriminator(10)
        made, foreground, first = networks(torch.empty(1, 2, 3, 256, 256), torch.empty(1, 3, 256, 256))
        found = critic.features(torch.empty(1, 3, 256, 256), torch.empty(1, 512))
    assert (made.shape, foreground.shape, first.shape) == ((1, 3, 256, 256), (1, 1, 256, 256), (1, 512))
    assert [f.shape[1] for f in found[:-1]] == [64, 128, 256, 512, 512, 512, 512] and found[-2].shape[-1] == 4
    assert networks.generator.constant.shape == (1, 512, 4, 4) and len(networks.generator.blocks) == 2 + 6
    count = lambda m: sum(p.numel() for p in m.parameters())  # noqa: E731
    # torchvision's ResNeXt-50 32x4d and MobileNetV2 have 25,028,904 and 3,504,872, with 1000 outputs each.
    assert count(networks.of_person.encoder) == 25_028_904 - 1000 * 2049 + 512 * 2049
    assert count(networks.of_pose.encoder) == 3_504_872 - 1000 * 1281 + 256 * 1281


def test_codes_of_a_new_network_differ_between_pictures():
    torch.manual_seed(0)
    networks, pictures = LatentPoseNetworks(64, 16, 8), torch.rand(6, 3, 64, 64)
    for codes in (networks.of_pose(pictures), networks.people(pictures[None])[0]):
        torch.testing.assert_close(codes.mean(0), torch.zeros(codes.shape[1]), atol=1e-4, rtol=0)
        assert codes.std(0, correction=0).min() > 0.5


def test_dice_of_masks():
    a = torch.zeros(2, 1, 4, 4)
    a[:, :, :2] = 1
    b = torch.zeros(2, 1, 4, 4)
    b[0, :, :2], b[1, :, 1:3] = 1, 1
    assert dice(a, b).item() == pytest.approx(-np.log(0.5) / 2)


def test_a_disguise_moves_and_colours_but_keeps_what_is_seen():
    picture = torch.zeros(1, 3, 32, 32)
    picture[..., 8:12, 20:24] = 1
    moved = placed(picture, torch.tensor([[2.0, 1.0]]), torch.tensor([[0.0, 0.25]]))
    rows, columns = (moved[0, 0] > 0.7).nonzero(as_tuple=True)
    assert (rows.min(), rows.max()) == (12, 15)  # 0.25 of half a side is 4 px; the width about the middle doubles
    assert (columns.min().item(), columns.max().item()) == (24, 31)
    torch.manual_seed(0)
    many = disguised(picture.expand(64, -1, -1, -1))
    assert many.shape == (64, 3, 32, 32) and many.abs().max() <= 1
    means = many.mean((2, 3))
    assert means.std(0).min() > 0.1 and (means.std(1) > 0.02).float().mean() > 0.2
    bright = many.mean(1).flatten(1).argmax(1)
    assert ((bright // 32 - 9.5).abs() < 6).float().mean() > 0.95


def test_codes_say_where_things_are_beside_what_they_are_like():
    torch.manual_seed(0)
    generator, codes = StyledGenerator(6, 32, 4), torch.randn(2, 6)
    for parameter in generator.to_style.parameters():
        torch.nn.init.zeros_(parameter)
    one, other = generator(codes)[0]
    assert (one - other).abs().mean() > 0.01


def test_foregrounds_are_made_once(tmp_path, monkeypatch):
    faces = gather(people(2), tmp_path, 16)
    rows = np.array([[0, 1], [2, 23]])
    masks = Foregrounds(faces).masks(rows)
    assert masks.shape == (2, 2, 1, 16, 16) and masks.mean() == 0.5
    monkeypatch.setattr("neural_render.methods.latent_pose.foregrounds.ForegroundNet", None)
    assert torch.equal(Foregrounds(faces).masks(rows), masks)
    with pytest.raises(TypeError):  # of one that wasn't asked for before, there is none
        Foregrounds(faces).masks(np.array([3]))


def test_a_drawing_is_put_before_the_targets_background():
    target = clip_of(3, frames=2)
    behind = background(target, 32)
    assert behind.shape == (3, 32, 32)
    made = torch.full((3, 32, 32), -1.0)
    made[:, :16] = 1
    foreground = torch.zeros(1, 32, 32)
    foreground[:, :16] = 1
    shown = composed(made, foreground, behind)
    assert (shown[:16] == 255).all()
    np.testing.assert_allclose(shown[16:], ((behind[:, 16:] + 1) * 127.5).movedim(0, -1), atol=0.6)


@pytest.fixture(scope="module")
def options():
    return dict(size=64, width=16, pose=8, pictures=2, batch=2)


@pytest.fixture
def trained(tmp_path, options):
    method, out = METHODS["latent-pose"](), tmp_path / "w"
    clips = people(2)
    method.train(clips, out, method.options(steps=1, **options))
    assert method.train(clips, out, method.options(steps=2, **options)).resumed_at == 1
    return method, out


def test_from_clips_to_a_person(trained, options, tmp_path):
    method, out = trained
    whole = tmp_path / "whole"
    summary = method.train(people(2), whole, method.options(steps=2, **options))
    assert set(summary.losses) == {"l1", "pyramid", "dice"}  # the discriminator joins later
    weights, other = method.load(out), method.load(whole)
    assert all(torch.equal(weights.tensors[k], t) for k, t in other.tensors.items())
    target, driver = clip_of(8, frames=3), clip_of(9, 1, frames=3)
    made = list(method.animate(weights, target, driver))
    assert [m.shape for m in made] == [(64, 64, 3)] * 3 and made[0].dtype == np.uint8
    assert [p["foreground"].shape for p in method.panels(weights, target, driver, iter(made), 40)] == [(40, 40, 3)] * 3

    adapted, own = tmp_path / "adapted", [clip_of(8, k, frames=1) for k in range(2)]
    summary = method.adapt(weights, own, tmp_path / "without", method.options(steps=2))
    assert summary.steps == 2 and set(summary.losses) == {"l1", "pyramid", "dice"}
    judged = replace(weights, header=replace(weights.header, judged=JUDGED))
    summary = method.adapt(judged, own, adapted, method.options(steps=2))
    assert set(summary.losses) == {"l1", "pyramid", "dice", "adversarial", "feature-matching", "discriminator"}
    own = method.load(adapted)
    assert own.header.adapted and own.tensors["person"].shape == (1, 128)
    for name, tensor in own.tensors.items():
        if name.startswith(("networks.of_person", "networks.of_pose")):
            assert torch.equal(tensor, weights.tensors[name]), name
    before, after = method.person(weights, target), method.person(own, target)
    assert (before - after).norm() > 0 and len(list(method.animate(own, target, driver))) == 3
    with pytest.raises(PortraitError, match="already those of one person"):
        method.adapt(own, [target], tmp_path / "b", method.options())
    with pytest.raises(PortraitError, match="references: expected one person's, got 2"):
        method.adapt(weights, people(2), tmp_path / "b", method.options())


def test_the_discriminator_joins_and_draws_codes_to_its_embeddings(tmp_path):
    faces = gather(people(2), tmp_path, 64)
    settings = Settings(pose=8, pictures=2, batch=2, adversarial_after=1)
    trainer = Trainer(settings, faces, Foregrounds(faces), make_fabric("cpu"))
    first, second = trainer.advance(), trainer.advance()
    assert set(first) == {"l1", "pyramid", "dice"}
    assert set(second) == {"l1", "pyramid", "dice", "adversarial", "feature-matching", "discriminator", "match"}
    assert trainer.weights()[1]["judged"] == 1


def test_an_adaptation_moves_the_generator_from_its_first_step(tmp_path):
    method, faces = METHODS["latent-pose"](), gather(people(2), tmp_path, 64)
    settings = Settings(pose=8, batch=2, rate=1e-3, adversarial_after=0)
    begun = Trainer(settings, faces, Foregrounds(faces), make_fabric("cpu"))
    tensors, facts = begun.weights()
    weights = Weights(method.Header(method=method.name, **facts), tensors)
    trainer = Adaptation(settings, weights, faces, Foregrounds(faces), make_fabric("cpu"))
    before = trainer.modules["networks"].person.detach().clone()
    trainer.advance()
    moved = (trainer.modules["networks"].person.detach() - before).abs().median()
    assert 0.9 * settings.rate < moved < 1.1 * settings.rate  # Adam's first step


def test_steps_of_an_adaptation():
    assert [steps_for(n) for n in (1, 8, 32, 200)] == [125, 149, 230, 230]


def test_bad_input(options):
    method = METHODS["latent-pose"]()
    with pytest.raises(PortraitError, match="width: expected 16, 32, 64, got 20"):
        method.options(**{**options, "width": 20})
    with pytest.raises(PortraitError, match="batch: expected at least 2, got 1"):
        method.options(**{**options, "batch": 1})
    with pytest.raises(PortraitError, match="pose: expected at least 1"):
        method.options(pose=0)
