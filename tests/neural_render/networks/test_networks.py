import pytest
import torch

from neural_render.networks import PatchDiscriminator, RefinementUNet, fold_norms, make_norm


@pytest.mark.parametrize("size", [64, 128, 256])
def test_generator_shapes_and_range(size):
    net = RefinementUNet(99, size, 4).eval()
    assert len(net.down) == len(net.up) == size.bit_length() - 1
    with torch.no_grad():
        image = net(torch.randn(2, 99, size, size) * 5)
    assert image.shape == (2, 3, size, size)
    assert image.abs().max() <= 1


def test_paper_sizes():
    net = RefinementUNet(99, 256, 64)
    assert [m.convolution.out_channels for m in net.down] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [m.deconvolution.out_channels for m in net.up][:7] == [512, 512, 512, 512, 256, 128, 64]
    assert all(len(m.refinement) == 2 for m in net.up)
    assert [m.dropout.p if hasattr(m.dropout, "p") else 0 for m in net.up][:4] == [0.5, 0.5, 0.5, 0]


def test_skips_have_the_decoders_resolution():
    net = RefinementUNet(99, 64, 4).eval()
    down, up = [], []
    for module in net.down:
        module.register_forward_hook(lambda m, i, o: down.append(tuple(o.shape[-2:])))
    for module in net.up:
        module.register_forward_hook(lambda m, i, o: up.append((tuple(o.shape[-2:]), i[1])))
    with torch.no_grad():
        net(torch.zeros(1, 99, 64, 64))
    assert [s[-2:] == tuple(skip.shape[-2:]) for s, skip in up[:-1]] == [True] * 5
    assert [tuple(skip.shape[-2:]) for _, skip in up[:-1]] == down[-2::-1]
    assert up[-1] == ((64, 64), None)


def test_output_can_be_negative_and_positive():
    torch.manual_seed(0)
    image = RefinementUNet(9, 64, 8)(torch.randn(2, 9, 64, 64))
    assert image.min() < 0 < image.max()


def test_initialisation():
    torch.manual_seed(0)
    net = RefinementUNet(99, 64, 16)
    weight = net.down[2].convolution.weight
    assert abs(weight.std().item() - 0.02) < 1e-3
    assert abs(weight.mean().item()) < 1e-3


def test_wrong_condition_is_named():
    with pytest.raises(ValueError, match=r"expected \(N, 99, 64, 64\), got \(1, 9, 64, 64\)"):
        RefinementUNet(99, 64, 4)(torch.zeros(1, 9, 64, 64))


@pytest.mark.parametrize(("size", "patches"), [(256, 30), (128, 14)])
def test_discriminator_patches(size, patches):
    net = PatchDiscriminator(99, 3, 4)
    x, y = torch.randn(2, 99, size, size), torch.randn(2, 3, size, size)
    assert net(net.embed(x), y).shape == (2, 1, patches, patches)


def test_discriminator_patch_is_70_pixels():
    net = PatchDiscriminator(3, 3, 4, norm="none").eval()
    y = torch.randn(1, 3, 256, 256, requires_grad=True)
    net(net.embed(torch.zeros(1, 3, 256, 256)), y)[0, 0, 15, 15].backward()
    seen = torch.nonzero(y.grad.abs().sum((0, 1)))
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


def test_split_first_layer_is_one_convolution_of_condition_and_image():
    net = PatchDiscriminator(99, 3, 4)
    x, y = torch.randn(1, 99, 32, 32), torch.randn(1, 3, 32, 32)
    weight = torch.cat([net.from_condition.weight, net.from_image.weight], 1)
    joint = torch.nn.functional.conv2d(torch.cat([x, y], 1), weight, net.from_condition.bias, 2, 1)
    torch.testing.assert_close(net(net.embed(x), y), net.judge(joint))


def test_unknown_norm():
    with pytest.raises(ValueError, match="norm"):
        make_norm("layer", 4)


def test_folded_norms_give_the_same_image():
    torch.manual_seed(0)
    net, x = RefinementUNet(9, 64, 8), torch.randn(4, 9, 64, 64)
    for _ in range(3):
        net(x)  # running statistics that aren't 0 and 1
    net.eval()
    with torch.no_grad():
        before = net(x)
        fold_norms(net)
        torch.testing.assert_close(net(x), before, rtol=1e-3, atol=1e-4)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())


def test_background_shows_where_the_network_gives_way():
    net, image = RefinementUNet(9, 64, 8), torch.rand(3, 64, 64) * 2 - 1
    net.start_from(image)
    with torch.no_grad():
        net.to_rgb.weight.zero_()
        net.to_rgb.bias[3] = -20
        torch.testing.assert_close(net(torch.randn(2, 9, 64, 64))[1], image)


def test_what_is_beneath_shows_through_and_is_added_to():
    torch.manual_seed(0)
    net, x = RefinementUNet(12, 64, 8, beneath=True), torch.rand(2, 12, 64, 64) - 0.5
    net.start_from(torch.rand(3, 64, 64) * 2 - 1)
    with torch.no_grad():
        net.to_rgb.weight.zero_()
        net.to_rgb.bias.copy_(torch.tensor([0, 0, 0, -20, 20, 0.2, 0.2, 0.2]))
        torch.testing.assert_close(net(x), x[:, :3] + torch.tanh(torch.tensor(0.2)))
        net.to_rgb.bias[4] = -20
        torch.testing.assert_close(net(x)[0], net.background[0] + torch.tanh(torch.tensor(0.2)))
        assert RefinementUNet(12, 64, 8, beneath=True, background=False)(x).shape == (2, 3, 64, 64)
