"""Backbones, DREAM, and which pictures a step sees."""

import numpy as np
import pytest
import torch
from torch import nn

from foundation.errors import PortraitError
from recognition.backbones import BACKBONES, Residual, make_backbone
from recognition.dream import Dream, profile_targets, stitch, yaw_gate
from recognition.model import Embedder
from recognition.sampling import Batches
from recognition.settings import ModelSettings


@pytest.mark.parametrize("name, convolutions", [("resnet20", 20), ("resnet27", 27), ("resnet64", 62)])
def test_sphereface_networks_have_the_published_layers(name, convolutions):
    net = make_backbone(name, 112, 96, 512, 8)
    found = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(found) == convolutions
    assert all(c.kernel_size == (3, 3) for c in found) and sum(c.stride == (2, 2) for c in found) == 4
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    assert sum(isinstance(m, nn.PReLU) for m in net.modules()) == convolutions
    assert net.head.in_features == 64 * 7 * 6


def test_sphereface_20_has_the_authors_count_of_parameters():
    with torch.device("meta"):
        net = make_backbone("resnet20", 112, 96, 512)
    units = {64: 1, 128: 2, 256: 4, 512: 1}
    heads = sum(9 * a * b + b for a, b in ((3, 64), (64, 128), (128, 256), (256, 512)))
    inside = sum(n * 2 * 9 * c * c for c, n in units.items())
    slopes = sum((1 + 2 * n) * c for c, n in units.items())
    assert sum(p.numel() for p in net.parameters()) == heads + inside + slopes + 512 * 7 * 6 * 512 + 512


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_embed_odd_sizes_and_pass_gradient(name):
    torch.manual_seed(0)
    net = make_backbone(name, 40, 34, 10, 64 if name == "resnet18" else 4)
    x = torch.randn(2, 3, 40, 34, requires_grad=True)
    out = net(x)
    assert out.shape == (2, 10)
    out.square().sum().backward()
    assert x.grad.abs().sum() > 0 and all(p.grad is not None for p in net.parameters())


def test_a_unit_is_the_identity_beside_two_convolutions():
    unit, x = Residual(3), torch.randn(1, 3, 5, 5)
    first, slope, second, other = unit.layers
    torch.testing.assert_close(unit(x) - x, other(second(slope(first(x)))))
    for convolution in (first, second):
        nn.init.zeros_(convolution.weight)
    assert torch.equal(unit(x), x)


def test_backbones_that_cannot_be():
    with pytest.raises(PortraitError, match="did you mean 'resnet"):
        make_backbone("resnet21", 112, 96, 512)
    with pytest.raises(PortraitError, match="16 px"):
        make_backbone("resnet20", 8, 96, 512)
    with pytest.raises(PortraitError, match="leave width out"):
        make_backbone("resnet18", 112, 96, 512, 32)


def test_the_gate_is_the_authors_code_s():
    gate = yaw_gate(torch.tensor([0.0, 20, -30, 45, 60, -90]))
    torch.testing.assert_close(gate, torch.tensor([0.00005, 0.0039, 0.034, 0.5, 0.966, 0.99995]), rtol=0.02, atol=5e-4)


def test_dream_leaves_frontal_faces_and_needs_yaw():
    torch.manual_seed(0)
    block, f = Dream(6), torch.randn(3, 6)
    yaw = torch.tensor([0.0, 90.0, -90.0])
    moved = block(f, yaw) - f
    assert moved[0].abs().max() < 1e-3 * block.layers(f)[0].abs().max() + 1e-9
    torch.testing.assert_close(moved[1:], block.layers(f)[1:], rtol=1e-3, atol=1e-4)
    assert (moved >= 0).all()  # a ReLU after both layers
    net = Embedder(ModelSettings("resnet20", 6, 4, 32, 32, dream="end-to-end"))
    x = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(net(x, yaw), net.dream(net.backbone(x), yaw))
    for wrong in (None, torch.tensor([0.0, torch.nan, 3])):
        with pytest.raises(PortraitError, match="every face's yaw"):
            net(x, wrong)


def test_stitching_moves_profiles_to_their_frontal_mean():
    torch.manual_seed(0)
    people, per = 6, 8
    labels = np.arange(people).repeat(per)
    yaw = np.tile([0, 5, -10, 15, 60, -70, 80, 90], people).astype(np.float32)
    base = torch.rand(people, 16).repeat_interleave(per, 0)
    lost = (torch.as_tensor(yaw).abs() >= 50)[:, None] * torch.linspace(0, 0.5, 16)
    embeddings = base - lost + 0.01 * torch.randn(people * per, 16)
    block = Dream(16)
    turned = np.abs(yaw) >= 50
    error = lambda: (block(embeddings, torch.as_tensor(yaw)) - base)[turned].square().mean().item()  # noqa: E731
    before = (embeddings - base)[turned].square().mean().item()
    last = stitch(block, embeddings, labels, yaw, iterations=400, batch=32, rate=0.1)
    assert error() < 0.2 * before and last < 0.2 * before


def test_stitching_leaves_out_people_without_both_kinds():
    embeddings = torch.arange(14.0).reshape(7, 2)
    labels, yaw = np.array([0, 0, 0, 1, 2, 0, 0]), np.array([0, 18, 60, 0, 90, 30, -49])
    profiles, targets = profile_targets(embeddings, labels, yaw)
    assert [p.tolist() for p in profiles] == [[2]]
    torch.testing.assert_close(targets, torch.tensor([[1.0, 2]]))
    with pytest.raises(PortraitError, match="no identity has both"):
        profile_targets(embeddings, labels, np.full(7, 30.0))


def test_batches_are_epochs_and_do_not_depend_on_where_they_begin():
    labels = np.arange(10) // 2
    whole = list(Batches(labels, 4, 0, 15, seed=3))
    assert list(Batches(labels, 4, 7, 15, seed=3)) == whole[7:]
    seen = [index for batch in whole for index, _ in batch]
    assert [sorted(seen[k : k + 10]) for k in range(0, 60, 10)] == [list(range(10))] * 6
    assert list(Batches(labels, 4, 0, 15, seed=4)) != whole
    flips = np.mean([mirrored for batch in whole for _, mirrored in batch])
    assert 0.25 < flips < 0.75


def test_batches_of_two_processes_are_halves_of_one_s():
    labels = np.arange(10) // 2
    whole = list(Batches(labels, 4, 0, 6, seed=3))
    halves = [list(Batches(labels, 2, 0, 6, seed=3, rank=rank, processes=2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves)] == whole


def test_balanced_batches_draw_people_alike():
    labels = np.array([0] * 95 + [1] * 5)
    drawn = [labels[i] for batch in Batches(labels, 50, 0, 20, seed=0, balanced=True) for i, _ in batch]
    assert 0.44 < np.mean(drawn) < 0.56
