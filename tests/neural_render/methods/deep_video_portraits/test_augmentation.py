import pytest
import torch

from neural_render.methods.deep_video_portraits.augmentation import jitter, moved
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.trainer import Trainer
from tests.neural_render.arrays import moving_disc


def smooth(n: int = 2, size: int = 32) -> torch.Tensor:
    """Pictures without edges, in [-1, 1], so that interpolation hardly matters."""
    rows, columns = torch.meshgrid(*2 * [torch.linspace(-2, 2, size)], indexing="ij")
    return torch.stack([torch.stack([(rows * (k + 1)).sin(), (columns - k).cos(), rows * 0]) for k in range(n)])


def test_condition_and_image_stay_aligned():
    """Where both show the same thing, they still do afterwards."""
    torch.manual_seed(1)
    y = smooth()
    x = torch.cat([y, -y], 1)
    a, b = jitter(x, y, shift=0.2, scale=0.2)
    assert not torch.allclose(b, y, atol=0.05)
    middle = (..., slice(10, 22), slice(10, 22))
    torch.testing.assert_close(a[:, :3][middle], b[middle])
    torch.testing.assert_close(a[:, 3:][middle], -b[middle])
    assert not torch.allclose(a[0], a[1], atol=0.05)


def test_half_precision_moves_as_far():
    theta = torch.tensor([[[0.9, 0, 0.037], [0, 0.9, -0.051]]])
    y = smooth(1, 128)
    torch.testing.assert_close(moved(y.bfloat16(), theta).float(), moved(y, theta), atol=0.01, rtol=0)


def test_shift_of_whole_pixels():
    image = torch.rand(1, 2, 8, 8)
    theta = torch.tensor([[[1.0, 0, 2 * 2 / 8], [0, 1, 0]]])
    torch.testing.assert_close(moved(image, theta)[..., :6], image[..., 2:])
    beyond = moved(image, theta, outside=-1.0)
    torch.testing.assert_close(beyond[..., :6], image[..., 2:])
    torch.testing.assert_close(beyond[..., 6:], torch.full((1, 2, 8, 2), -1.0))


def test_limits():
    """A single bright pixel in the middle moves by at most the shift; with neither, nothing changes."""
    torch.manual_seed(0)
    y = torch.zeros(64, 3, 33, 33)
    y[..., 16, 16] = 1
    x, same = jitter(y, y, shift=0.0, scale=0.0)
    torch.testing.assert_close(same, y)
    x, y = jitter(y, y, shift=0.1, scale=0.0)
    found = torch.nonzero(y[:, 0] > 0.2)[:, 1:] - 16
    assert 2 <= found.abs().max() <= 4  # a tenth of 33 pixels, rounded up by interpolation
    assert (found[:, 0] - found[:, 1]).unique().numel() > 2


def test_training_on_jittered_pictures_needs_no_background():
    from foundation.errors import PortraitError

    options = {"size": 64, "width": 4, "shift": 0.05, "scale": 0.05, "adversarial_after": 0}
    with pytest.raises(PortraitError, match="background=False"):
        Trainer(Settings(**options), moving_disc())
    jittered, plain = (
        Trainer(Settings(**{**options, **more}, background=False), moving_disc())
        for more in ({}, {"shift": 0.0, "scale": 0.0})
    )
    assert jittered.advance()["l1"] != plain.advance()["l1"]
