"""Weights that were never trained but react to their input."""

from pathlib import Path

import torch

from facemodel import Track
from neural_render.methods.deep_video_portraits.conditioning import CHANNELS, condition, head_crop, render_maps
from neural_render.methods.deep_video_portraits.weights import Header, Weights
from neural_render.networks import RefinementUNet

SIZE, WINDOW = 64, 3


def random_weights(target: Track, model, path: Path) -> Path:
    """A random network for a track, written to ``path``."""
    header = Header(
        method="deep-video-portraits", model=model.name, fingerprint=model.fingerprint, width=4, size=SIZE,
        window=WINDOW, crop=head_crop(target, model), frame_width=target.width, frame_height=target.height,
        sources=(target.facts["source"],),
    )  # fmt: skip
    torch.manual_seed(0)
    net = RefinementUNet(WINDOW * CHANNELS, SIZE, 4)
    net.start_from(torch.rand(3, SIZE, SIZE) * 2 - 1)
    net.to_rgb.weight.data *= 30
    maps = render_maps(model, target, torch.arange(len(target)), header.crop, SIZE)
    seen = condition(torch.from_numpy(maps)[:, None].expand(-1, WINDOW, -1, -1, -1))
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.momentum = None  # the mean over all passes, so that it brings out what differs between frames
    for _ in range(4):
        net(seen)
    return Weights(header, net.state_dict()).save(path)
