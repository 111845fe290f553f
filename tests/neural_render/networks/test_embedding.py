"""The encoder, the decoder and the embedded face of X2Face against the paper's shapes and closed forms."""

import pytest
import torch
from torch import nn

from neural_render.networks import SharedBatchNorm2d, warp
from neural_render.networks.embedded_face import FaceEmbedder
from neural_render.networks.encoder_decoder import Decoder, Encoder
from neural_render.networks.norms import gathering_statistics


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_shapes_at_full_width_are_the_papers():
    """Eight levels of 64, 128, 256 and five times 512 channels; a vector of 128; skips double what enters a level."""
    with torch.device("meta"):
        encoder, plain = Encoder(3, 256, 64, 128), Decoder(2, 256, 64, 128, skips=False)
        vector, features = encoder(torch.empty(1, 3, 256, 256))
        flow = plain(vector)
        skipping = Decoder(3, 256, 64, skips=True)
    assert [tuple(f.shape[1:3]) for f in features] == [
        (64, 128), (128, 64), (256, 32), (512, 16), (512, 8), (512, 4), (512, 2),
    ]  # fmt: skip
    assert vector.shape == (1, 128) and flow.shape == (1, 2, 256, 256)
    assert [level[0].in_channels for level in skipping.up] == [512, 1024, 1024, 1024, 1024, 512, 256]
    assert [level[0].in_channels for level in plain.up] == [128, 512, 512, 512, 512, 256, 128]
    assert [type(level.norm).__name__ for level in encoder.down] == ["Identity"] + ["SharedBatchNorm2d"] * 6
    with pytest.raises(ValueError, match="a power of two"):
        Encoder(3, 48, 8)


def test_shares_are_the_papers_and_the_face_their_mean():
    embedder, pictures = FaceEmbedder(16, 4, "none"), torch.rand(2, 3, 3, 16, 16)
    nn.init.normal_(embedder.decoder.to_maps.weight, std=0.3)
    made = embedder(pictures)
    maps = embedder.decoder(*embedder.encoder(pictures.flatten(0, 1))).unflatten(0, (2, 3))
    weight = maps[:, :, 2:].exp() + 0.1
    torch.testing.assert_close(made.share, weight / weight.sum(1, keepdim=True))
    torch.testing.assert_close(made.flows, maps[:, :, :2].tanh().movedim(2, -1))
    one = [warp(pictures[:, k], made.flows[:, k]) for k in range(3)]
    torch.testing.assert_close(made.face, sum(made.share[:, k] * one[k] for k in range(3)))
    again = embedder(pictures.flip(1)).face
    torch.testing.assert_close(again, made.face)  # the order of the pictures doesn't matter


def test_shares_of_great_confidence_are_finite():
    embedder = FaceEmbedder(16, 4, "none", floor=0.0)
    nn.init.constant_(embedder.decoder.to_maps.bias, 500.0)
    share = embedder(torch.rand(1, 2, 3, 16, 16)).share
    assert share.isfinite().all()
    torch.testing.assert_close(share.sum(1), torch.ones(1, 1, 16, 16))


def test_a_new_embedder_leaves_pictures_about_as_they_are():
    pictures = nn.functional.interpolate(torch.rand(1, 1, 3, 4, 4)[0], size=16, mode="bilinear")[:, None]
    assert (FaceEmbedder(16, 4)(pictures).face - pictures[:, 0]).abs().mean() < 0.02


def test_statistics_are_gathered_from_all_that_is_seen():
    network = nn.Sequential(SharedBatchNorm2d(2), nn.Dropout(0.9))
    network[0].running_mean.fill_(7.0)
    seen = torch.randn(4, 6, 2, 5, 5) * 3 + 1
    with gathering_statistics(network):
        assert network[0].training and not network[1].training
        for batch in seen:
            network(batch)
    assert not network[0].training and network[0].momentum == 0.1
    torch.testing.assert_close(network[0].running_mean, seen.mean((0, 1, 3, 4)))
