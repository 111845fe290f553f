"""Self-supervised disentangling: its networks, its step, and the method from clips to pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from foundation.errors import PortraitError
from neural_render.corpus import gather
from neural_render.losses.terms import pyramid_l1
from neural_render.methods.base import METHODS
from neural_render.methods.disentangling.networks import DisentanglingNetworks
from neural_render.methods.disentangling.settings import Settings
from neural_render.methods.disentangling.trainer import Trainer, deformed
from neural_render.networks import warp
from neural_render.training import make_fabric
from tests.neural_render.methods.drawn import clip_of, people

SMALL = dict(size=64, width=4, batch=4)


def test_shapes_at_full_width():
    with torch.device("meta"):
        networks = DisentanglingNetworks(256, 64)
        sources, frame = torch.empty(1, 3, 3, 256, 256), torch.empty(1, 3, 256, 256)
        face = networks.embedder(sources).face
        code = networks.pose.code(face, frame)
        flows = networks.pose.flows(code)
        made, warped = networks.generator(face, flows)
    assert code.shape == (1, 128)
    assert [tuple(f.shape) for f in flows] == [(1, s, s, 2) for s in (32, 64, 128, 256)]
    assert made.shape == warped.shape == face.shape == (1, 3, 256, 256)


def test_attention_is_a_softmax_over_pictures_and_flows_add_up():
    torch.manual_seed(0)
    networks = DisentanglingNetworks(64, 4, norm="none")
    decoder = networks.embedder.decoder
    torch.nn.init.normal_(decoder.to_maps.weight, std=0.2)
    pictures = torch.rand(2, 3, 3, 64, 64)
    maps = decoder(*networks.embedder.encoder(pictures.flatten(0, 1))).unflatten(0, (2, 3))
    torch.testing.assert_close(networks.embedder(pictures).share, maps[:, :, 2:].softmax(1))
    for layer in networks.pose.to_flow:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, 0.1)
    torch.nn.init.zeros_(networks.pose.decoder.to_maps.weight)
    flows = networks.pose.flows(torch.rand(1, 128))
    for k, flow in enumerate(flows):
        torch.testing.assert_close(flow, torch.full_like(flow, 0.1 * min(k + 1, 3)).tanh())


def test_at_first_the_warped_face_is_shown():
    torch.manual_seed(0)
    networks = DisentanglingNetworks(64, 4).eval()
    face, flows = torch.rand(1, 3, 64, 64), networks.pose.flows(torch.rand(1, 128))
    made, warped = networks.generator(face, flows)
    torch.testing.assert_close(warped, warp(face, flows[-1]))
    assert (made - warped).abs().mean() < 0.2 * warped.abs().mean()


def test_deforming_is_learnt_first_then_painting_then_a_discriminator(tmp_path):
    faces = gather(people(2, acts=1, frames=5), tmp_path, 64)
    settings = Settings(**SMALL, rate=4e-3, sources=1, generator_after=20, adversarial_after=22)
    trainer = Trainer(settings, faces, make_fabric("cpu"))
    begun = {k: v.clone() for k, v in trainer.modules["generator"].state_dict().items()}
    history = [trainer.advance() for _ in range(20)]
    assert np.mean([h["warped"] for h in history[-5:]]) < 0.9 * history[0]["warped"]
    assert all(torch.equal(begun[k], v) for k, v in trainer.modules["generator"].state_dict().items())
    history += [trainer.advance() for _ in range(3)]
    assert "l1" not in history[19] and "l1" in history[20]
    assert not {"adversarial", "discriminator"} & history[21].keys()
    assert {"adversarial", "feature-matching", "discriminator"} <= history[22].keys()
    assert trainer.sheet().shape == (5 * 64, 6 * 64, 3)


def test_deforming_is_judged_at_every_size():
    face, frame = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    flows = [torch.zeros(1, s, s, 2) for s in (8, 16, 32, 64)]
    assert deformed(face, flows, face).item() == pytest.approx(0, abs=1e-6)
    for k in range(4):
        moved = [f + 0.2 * (k == j) for j, f in enumerate(flows)]
        assert deformed(face, moved, face) > 1e-3
    means = [(F.avg_pool2d(face, n) - F.avg_pool2d(frame, n)).abs().mean() for n in (8, 4, 2, 1)]
    expected = sum(means) / 4 + pyramid_l1(face, frame)
    torch.testing.assert_close(deformed(face, flows, frame), expected)


def test_no_face_is_expected_of_pictures_that_are_alike():
    """Where sources and others are the same, so are their embedded faces."""
    torch.manual_seed(0)
    networks = DisentanglingNetworks(64, 4).eval()
    pictures = torch.rand(2, 2, 3, 64, 64)
    face, other, _ = networks(pictures, pictures.flip(1), pictures[:, 0])
    torch.testing.assert_close(face, other)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    method, out = METHODS["disentangling"](), tmp_path_factory.mktemp("disentangling") / "w"
    clips, small = people(2), dict(size=64, width=4, batch=2)
    method.train(clips, out, method.options(steps=2, **small))
    assert method.train(clips, out, method.options(steps=3, **small)).resumed_at == 2
    whole = out.with_name("whole")
    method.train(clips, whole, method.options(steps=3, **small))
    a, b = method.load(out).tensors, method.load(whole).tensors
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    return method, method.load(out)


def test_a_photograph_is_driven_by_pictures(trained):
    method, weights = trained
    made = np.stack(list(method.animate(weights, clip_of(7, frames=1), clip_of(8, 1))))
    assert made.shape == (6, 64, 64, 3) and made.dtype == np.uint8
    panels = list(method.panels(weights, clip_of(7), clip_of(8), iter(made[:2]), 40))
    assert len(panels) == 2 and panels[0]["embedded face"].shape == (40, 40, 3)


def test_bad_input(trained):
    method, weights = trained
    bare = clip_of(8)
    bare.find_landmarks = None
    with pytest.raises(PortraitError, match="driver: expected landmarks of"):
        method.animate(weights, clip_of(7), bare)
    with pytest.raises(PortraitError, match="size: expected 64, 128, 256, got 65"):
        method.options(size=65)
    broken = type(weights)(weights.header, dict(list(weights.tensors.items())[1:]))
    with pytest.raises(PortraitError, match="tensors of the networks aren't what the header says"):
        method.animate(broken, clip_of(7), clip_of(8))
