import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from foundation.errors import PortraitError
from neural_render.losses.base import LOSSES, Context, Loss
from neural_render.losses.objective import Objective
from neural_render.losses.perceptual import LAYERS, MEAN, STD, Perceptual
from neural_render.losses.terms import embedding_distance, feature_matching, l1
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.trainer import Trainer
from tests.neural_render.arrays import moving_disc


def test_l1_of_a_batch_is_the_mean_of_its_pictures():
    a, b, weight = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8), torch.rand(4, 1, 8, 8)
    each = [l1(a[k : k + 1], b[k : k + 1], weight[k : k + 1]) for k in range(4)]
    torch.testing.assert_close(l1(a, b, weight), torch.stack(each).mean())
    torch.testing.assert_close(l1(a, b, torch.ones(4, 1, 8, 8)), l1(a, b))


def test_feature_matching_is_the_mean_over_layers_and_leaves_the_real_image_alone():
    made = [torch.tensor([1.0, 3.0], requires_grad=True), torch.zeros(4, requires_grad=True)]
    real = [torch.tensor([0.0, 1.0], requires_grad=True), torch.ones(4)]
    loss = feature_matching(made, real)
    loss.backward()
    assert loss.item() == pytest.approx((1.5 + 1) / 2)
    assert real[0].grad is None
    assert made[0].grad.tolist() == [0.25, 0.25]


def test_weighted_sum_of_named_terms():
    given = ("on_made", "on_real")
    weights = {"l1": 3, "adversarial": 0.5, "feature-matching": 2, "perceptual": 0}
    objective = Objective(weights, {"adversarial": "hinge"}, given=given)
    on = {"on_made": [torch.ones(2), torch.full((1,), 4.0)], "on_real": [torch.zeros(2), torch.zeros(1)]}
    context = Context(torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), on)
    total, values = objective(context, ["l1"])
    assert (total.item(), set(values)) == (3, {"l1"})
    assert objective.needing("on_made") == ("adversarial", "feature-matching")
    total, values = objective(context, objective.needing("on_made"))
    assert total.item() == pytest.approx(0.5 * -4 + 2 * 1)  # the logits aren't a feature
    assert {k: v.item() for k, v in values.items()} == {"adversarial": -4, "feature-matching": 1}
    assert objective(context)[0].item() == 3
    assert Objective({"l1": 1, "adversarial": 0}, {}).needing("on_made") == ()


def test_a_loss_that_needs_what_isnt_given():
    with pytest.raises(PortraitError, match="loss 'identity': needs embedded_made, embedded_real"):
        Objective({"identity": 1}, {})
    made, real = torch.eye(3, requires_grad=True), torch.eye(3).roll(1, 0).requires_grad_()
    context = Context(torch.zeros(3, 3, 2, 2), torch.zeros(3, 3, 2, 2), {"embedded_made": made, "embedded_real": real})
    total, _ = Objective({"identity": 2}, {}, given=context.extras)(context)
    assert total.item() == pytest.approx(2) and embedding_distance(real, real).item() == pytest.approx(0)
    total.backward()
    assert real.grad is None


@pytest.fixture
def dark():
    LOSSES.add("dark", Loss.of(lambda context: context.made.mean()))
    yield "dark"
    LOSSES.remove("dark")


def test_a_loss_of_ones_own(dark):
    settings = Settings(size=64, width=4, losses={"l1": 100.0, dark: 2.0})
    assert set(Trainer(settings, moving_disc()).advance()) == {"l1", dark}


def test_unknown_and_negative():
    with pytest.raises(PortraitError, match="did you mean 'perceptual'"):
        Objective({"perceptive": 1}, {})
    with pytest.raises(PortraitError, match="weight of at least 0"):
        Objective({"l1": -1}, {})


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """A file with VGG-16's layers, random, as torchvision names them, with a classifier that isn't needed."""
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(0)
    tensors = {f"features.{k}": v for k, v in make_layers(cfgs["D"]).state_dict().items()}
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    save_file({**tensors, "classifier.0.weight": torch.zeros(2, 2)}, path)
    return path


def test_perceptual_is_vggs_features_by_hand(vgg):
    loss, a, b = Perceptual(vgg), torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(1, 3, 32, 32) * 2 - 1
    assert loss(a, a).item() == 0
    weights = [(m.weight, m.bias) for m in loss.layers if isinstance(m, nn.Conv2d)]

    def features(image):
        mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (MEAN, STD))
        x, found, k = (image / 2 + 0.5 - mean) / std, [], 0
        for count in (2, 2, 3, 3):
            for _ in range(count):
                x, k = F.relu(F.conv2d(x, *weights[k], padding=1)), k + 1
            found.append(x)
            x = F.max_pool2d(x, 2)
        return found

    expected = sum((p - q).abs().mean() for p, q in zip(features(a), features(b))) / len(LAYERS)
    torch.testing.assert_close(loss(a, b), expected)
    assert not any(p.requires_grad for p in loss.parameters())


def test_perceptual_trains_with_weights_that_are_there(vgg):
    settings = Settings(size=64, width=4, losses={"l1": 100.0, "perceptual": 10.0}, vgg=str(vgg))
    assert Trainer(settings, moving_disc()).advance()["perceptual"] > 0


def test_weights_of_vgg_that_are_not_there_or_no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(PortraitError, match=r"hub/checkpoints/vgg16-397923af.pth.*or leave this loss out"):
        Objective({"perceptual": 1}, {})
    (tmp_path / "text.pth").write_text("nothing")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    torch.save({"a": nn.Linear(1, 1)}, tmp_path / "code.pth")
    for name, reason in (
        ("none.pth", "no such file"),
        ("text.pth", "isn't a file of weights"),
        ("code.pth", "isn't a file of weights"),
        ("other.safetensors", "doesn't hold VGG-16"),
    ):
        with pytest.raises(PortraitError, match=reason):
            Perceptual(tmp_path / name)
