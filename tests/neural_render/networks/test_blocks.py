"""Shared blocks against closed forms and second implementations."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates
from torch import nn

from neural_render.networks import (
    SPADE,
    AdaIN,
    MultiScaleDiscriminator,
    ResidualBlock,
    ResNetGenerator,
    SharedBatchNorm2d,
    adain,
    add_spectral_norm,
    identity_grid,
    warp,
)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_zero_flow_is_the_identity():
    image = torch.rand(2, 3, 5, 8)
    torch.testing.assert_close(warp(image, torch.zeros(2, 5, 8, 2)), image)


def test_identity_grid_has_pixel_centres():
    grid = identity_grid(2, 4)
    assert grid.shape == (2, 4, 2)
    assert grid[0, :, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert grid[:, 0, 1].tolist() == [-0.5, 0.5]


def test_a_flow_of_whole_pixels_moves_the_picture():
    image, flow = torch.rand(1, 1, 6, 8), torch.zeros(1, 6, 8, 2)
    flow[..., 0], flow[..., 1] = 2 * 3 / 8, 2 * -1 / 6  # three pixels to the right, one up
    moved = warp(image, flow, padding="zeros")
    torch.testing.assert_close(moved[..., 1:, :5], image[..., :-1, 3:], atol=1e-5, rtol=0)
    assert moved[..., 0, :].abs().max() < 1e-5


def test_warp_is_scipys_interpolation():
    image, flow = torch.rand(1, 1, 9, 7), (torch.rand(1, 9, 7, 2) - 0.5) * 0.4
    rows, columns = np.mgrid[:9, :7]
    at = np.stack([rows + flow[0, ..., 1].numpy() * 9 / 2, columns + flow[0, ..., 0].numpy() * 7 / 2])
    expected = map_coordinates(image[0, 0].numpy(), at, order=1, mode="nearest")
    np.testing.assert_allclose(warp(image, flow)[0, 0].numpy(), expected, atol=1e-5)


def test_adain_gives_each_map_its_mean_and_std():
    x, scale, shift = torch.randn(2, 3, 8, 8) * 4 + 1, torch.rand(2, 3) + 0.5, torch.randn(2, 3)
    y = adain(x, scale, shift)
    torch.testing.assert_close(y.mean((2, 3)), shift, atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((2, 3), unbiased=False), scale, atol=1e-4, rtol=0)


def test_adain_layer_begins_as_instance_normalisation_and_follows_its_style():
    layer, x = AdaIN(3, 5), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(layer(x, torch.zeros(2, 5)), nn.InstanceNorm2d(3)(x))
    style = torch.randn(2, 5)
    scale, shift = layer.to_modulation(style).split(3, 1)
    torch.testing.assert_close(layer(x, style), adain(x, scale + 1, shift))


def test_spade_is_its_equation():
    layer, x, labels = SPADE(4, 2, hidden=6), torch.randn(2, 4, 8, 8), torch.randn(2, 2, 4, 4)
    hidden = layer.shared(labels.repeat_interleave(2, 2).repeat_interleave(2, 3)).clamp_min(0)
    mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, unbiased=False)
    expected = (x - mean) / (var + 1e-5).sqrt() * (1 + layer.to_scale(hidden)) + layer.to_shift(hidden)
    torch.testing.assert_close(layer(x, labels), expected)


def test_spectral_norm_is_the_largest_singular_value():
    net = add_spectral_norm(nn.Sequential(nn.Conv2d(3, 8, 4), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5)))
    with torch.no_grad():
        net[0].parametrizations.weight.original.mul_(7)
    for _ in range(60):
        net(torch.randn(1, 3, 4, 4))
    net.eval()
    for layer in (net[0], net[3]):
        assert torch.linalg.svdvals(layer.weight.flatten(1))[0].item() == pytest.approx(1, abs=1e-3)


def test_shared_batch_norm_is_batch_norm_in_one_process():
    ours, theirs, x = SharedBatchNorm2d(3), nn.BatchNorm2d(3), torch.randn(4, 3, 5, 5) * 2 + 1
    for _ in range(2):
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_residual_block_keeps_what_it_gets_where_its_last_scale_is_zero():
    block, x = ResidualBlock(4), torch.randn(2, 4, 6, 6)
    nn.init.zeros_(block.body[-1].weight)
    torch.testing.assert_close(block(x), x)
    plain = ResidualBlock(4, "none")
    first, second = plain.body[1], plain.body[5]
    hidden = F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), first.weight, first.bias).clamp_min(0)
    expected = x + F.conv2d(F.pad(hidden, (1, 1, 1, 1), "reflect"), second.weight, second.bias)
    torch.testing.assert_close(plain(x), expected)


def test_resnet_generator_is_cyclegans():
    """CycleGAN's generator of nine blocks has 11.38 million parameters (affine-free norms, biases in convolutions)."""
    net = ResNetGenerator(3, 3, 64, norm="none")
    assert sum(p.numel() for p in net.parameters()) == 11_378_179
    small = ResNetGenerator(9, 3, 4, blocks=2)
    image = small(torch.randn(2, 9, 32, 48))
    assert image.shape == (2, 3, 32, 48)
    assert image.abs().max() <= 1
    with pytest.raises(ValueError, match="four divides"):
        small(torch.randn(1, 9, 30, 32))


def test_each_scale_sees_the_picture_averaged_down():
    net = MultiScaleDiscriminator(2, 3, 4, scales=3).eval()
    x, y = torch.randn(2, 2, 128, 128), torch.randn(2, 3, 128, 128)
    logits = net(x, y)
    assert [tuple(level.shape) for level in logits] == [(2, 1, 14, 14), (2, 1, 6, 6), (2, 1, 2, 2)]
    kernel = torch.ones(1, 1, 3, 3)
    count = F.conv2d(torch.ones(1, 1, 128, 128), kernel, stride=2, padding=1)

    def halved(image):
        n, c, *size = image.shape
        return (F.conv2d(image.reshape(n * c, 1, *size), kernel, stride=2, padding=1) / count).reshape(n, c, 64, 64)

    second = net.levels[1]
    torch.testing.assert_close(logits[0], net.levels[0](net.levels[0].embed(x), y))
    torch.testing.assert_close(logits[1], second(second.embed(halved(x)), halved(y)))


def test_features_end_in_the_logits():
    level = MultiScaleDiscriminator(2, 3, 4, scales=1).levels[0].eval()
    x, y, z = torch.randn(1, 2, 32, 32), torch.randn(1, 3, 32, 32), torch.randn(1, 3, 32, 32)
    features = level.features(level.embed(x), y)
    assert [f.shape[1] for f in features] == [4, 8, 16, 32, 1]
    torch.testing.assert_close(features[-1], level(level.embed(x), y))
    first = F.leaky_relu(level.from_condition(x) + level.from_image(y), 0.2)
    torch.testing.assert_close(features[0], first)
    on_fake, on_real = level.compare(x, y, z)
    torch.testing.assert_close(on_fake[-1], features[-1])
    torch.testing.assert_close(on_real[-1], level(level.embed(x), z))
