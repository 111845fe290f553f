"""How fast frames are synthesised: maps, network and compositing, beside a plain pix2pix U-Net in the same run.

    python -m benchmarks.synthesis [--size 256] [--width 32] [--repeats 9] [--threads 2]

The last line is one JSON object: ``fps`` (maps + network + compositing at the given size and width), ``ms`` a stage,
``fps_128``, ``plain_fps`` (network alone of a float32, channels-first pix2pix U-Net-256 of width 64),
``network_speedup`` over it, ``train_speedup``: training steps a second over those of the same network and
discriminator in float32, channels-first, with both losses taken in passes of their own. ``data_speedup``: how many
times sooner a training batch is there when its maps are read from the cache than when they are rendered for it
(pictures come from the cache in both).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

import facemodel
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from neural_render.compositing import composite, feather_mask
from neural_render.losses.terms import l1
from neural_render.methods.deep_video_portraits.conditioning import (
    CHANNELS,
    FACE,
    WINDOW,
    condition,
    head_crop,
    render_maps,
    to_network,
    to_pixels,
    window_frames,
)
from neural_render.methods.deep_video_portraits.data import ClipCache
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.synthesis import inference_network
from neural_render.methods.deep_video_portraits.trainer import Trainer
from neural_render.methods.deep_video_portraits.weights import Header, Weights
from neural_render.networks import RefinementUNet
from neural_render.training import bfloat16_helps, order

FRAME = (1280, 720)
BATCH = 4


class PlainUNet(nn.Module):
    """pix2pix's U-Net as commonly written: skips, no refinement."""

    def __init__(self, inputs: int, levels: int, width: int) -> None:
        super().__init__()
        channels = [width * min(2**k, 8) for k in range(levels)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for k, (a, b) in enumerate(zip([inputs, *channels], channels)):
            norm = nn.Identity() if k in (0, levels - 1) else nn.BatchNorm2d(b)
            activation = nn.Identity() if k == 0 else nn.LeakyReLU(0.2)
            self.down.append(nn.Sequential(activation, nn.Conv2d(a, b, 4, 2, 1), norm))
        for k in reversed(range(levels)):
            a = channels[k] * (1 if k == levels - 1 else 2)
            b = channels[k - 1] if k else 3
            norm = nn.BatchNorm2d(b) if k else nn.Tanh()
            self.up.append(nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1), norm))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = []
        for module in self.down:
            x = module(x)
            features.append(x)
        x = self.up[0](features.pop())
        for module in self.up[1:]:
            x = module(torch.cat([x, features.pop()], 1))
        return x


class RandomSamples:
    """Noise as training data."""

    def __init__(self, size: int) -> None:
        noise = np.random.default_rng(0)
        self.maps = torch.from_numpy(noise.integers(0, 256, (8, WINDOW, size, size, CHANNELS), dtype=np.uint8))
        self.images = torch.from_numpy(noise.integers(0, 256, (8, size, size, 3), dtype=np.uint8))

    def __len__(self) -> int:
        return len(self.maps)

    def batch(self, samples: np.ndarray, window: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.from_numpy(samples)
        return self.maps[rows, -window:], self.images[rows]


class PlainTrainer(Trainer):
    """The same networks and losses in float32, channels-first, with a discriminator pass for each loss."""

    def __init__(self, settings: Settings, samples: RandomSamples) -> None:
        super().__init__(settings, samples)
        for net in (self.generator, self.discriminator):
            net.to(memory_format=torch.contiguous_format)
        adam = {"lr": settings.rate, "betas": (settings.beta1, settings.beta2)}
        self.optimizers = {name: torch.optim.Adam(net.parameters(), **adam) for name, net in self.modules.items()}

    def advance(self) -> dict[str, float]:
        s, d = self.settings, self.discriminator
        maps, images = self.samples.batch(order(self.step, s.batch, len(self.samples), s.seed), s.window)
        x, y = condition(maps).contiguous(), to_network(images).contiguous()
        self.generator.train()
        fake = self.generator(x)
        on_real, on_fake = d(d.embed(x), y), d(d.embed(x), fake.detach())
        self.optimizers["discriminator"].zero_grad()
        self.adversarial.discriminator(on_real, on_fake).backward()
        self.optimizers["discriminator"].step()
        apart = l1(fake, y)
        loss = s.losses["l1"] * apart + self.adversarial.generator(d(d.embed(x), fake))
        self.optimizers["generator"].zero_grad()
        loss.backward()
        self.optimizers["generator"].step()
        self.step += 1
        return {"l1": apart.item()}


def moving_track(model, frames: int) -> Track:
    """A head that turns and speaks before a camera of ``FRAME`` pixels."""
    p = FaceParameters.neutral(model, (frames,), focal=1400.0, distance=900.0)
    phase = torch.linspace(0, 6.28, frames)
    rotation, expression = p.rotation.clone(), p.expression.clone()
    rotation[:, 1] = 0.4 * phase.sin()
    expression[:, model.expression_index("jawOpen")] = 0.5 - 0.5 * phase.cos()
    shared = {name: getattr(p, name)[0] for name in ("identity", "reflectance", "focal")}
    return Track(
        model=model.name, fingerprint=model.fingerprint, width=FRAME[0], height=FRAME[1],
        parameters=p.replace(rotation=rotation, expression=expression, **shared),
        times=torch.arange(frames).double() / 25, status=torch.ones(frames, dtype=torch.int64),
        confidence=torch.ones(frames),
    )  # fmt: skip


def clock(function: Callable[[], object], repeats: int) -> float:
    """Median milliseconds of a call, after one that isn't counted."""
    function()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1e3


def stages(model, track: Track, size: int, width: int, repeats: int) -> dict[str, float]:
    """Milliseconds a frame of each stage of synthesis."""
    crop = head_crop(track, model)
    header = Header(
        method="deep-video-portraits", model=model.name, fingerprint=model.fingerprint, width=width, size=size,
        window=WINDOW, crop=crop, frame_width=FRAME[0], frame_height=FRAME[1],
    )  # fmt: skip
    torch.manual_seed(0)
    network = inference_network(Weights(header, RefinementUNet(WINDOW * CHANNELS, size, width).state_dict()))
    dtype = next(network.parameters()).dtype
    frames = torch.arange(BATCH)
    maps = torch.from_numpy(render_maps(model, track, frames, crop, size))
    window = maps[:, None].expand(-1, WINDOW, -1, -1, -1).contiguous()
    picture = np.zeros((FRAME[1], FRAME[0], 3), np.uint8)
    image, feather = np.zeros((size, size, 3), np.uint8), feather_mask(crop, *FRAME)
    head = maps[0, ..., FACE].amax(-1).numpy() > 0

    @torch.inference_mode()
    def synthesise() -> np.ndarray:
        return to_pixels(network(condition(window, dtype)))

    return {
        "maps": clock(lambda: render_maps(model, track, frames, crop, size), repeats) / BATCH,
        "network": clock(synthesise, repeats) / BATCH,
        "compositing": clock(lambda: composite(picture, image, head, crop, feather), repeats),
    }


def plain_network(size: int, repeats: int) -> float:
    """Milliseconds a frame of the plain U-Net of width 64 on the same condition."""
    network = PlainUNet(WINDOW * CHANNELS, int(np.log2(size)), 64).eval()
    x = torch.zeros(BATCH, WINDOW * CHANNELS, size, size)
    with torch.inference_mode():
        return clock(lambda: to_pixels(network(x)), max(3, repeats // 3)) / BATCH


def data(model, repeats: int, size: int = 128, batch: int = 2) -> dict[str, float]:
    """Milliseconds of a training batch, its maps read from the cache or rendered on the fly."""
    track, pictures = moving_track(model, 24), np.zeros((FRAME[1], FRAME[0], 3), np.uint8)
    clip, crop = [(k, k / 25, pictures) for k in range(24)], head_crop(track, model)
    with tempfile.TemporaryDirectory() as folder:
        cache = ClipCache.build(folder, track, clip, model, crop=crop, size=size)
        chosen = np.array([12, 20])[:batch]

        def rendered() -> torch.Tensor:
            windows = torch.from_numpy(window_frames(cache.frames[chosen], cache.starts, WINDOW))
            cache.images(cache.frames[chosen])
            return torch.from_numpy(render_maps(model, track, windows.flatten(), crop, size))

        assert torch.equal(rendered(), cache.batch(chosen)[0].flatten(0, 1))
        return {"cached": clock(lambda: cache.batch(chosen), repeats), "rendered": clock(rendered, repeats)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = facemodel.load()
    track = moving_track(model, BATCH)

    results = {}
    for size in sorted({128, options.size}):
        ms = results[size] = stages(model, track, size, options.width, options.repeats)
        total = sum(ms.values())
        parts = ", ".join(f"{name} {value:.1f}" for name, value in ms.items())
        print(
            f"{size} px, width {options.width}: {parts} ms a frame; {1000 / total:.1f} frames a second",
            flush=True,
        )
    ms, plain = results[options.size], plain_network(options.size, options.repeats)
    print(f"plain U-Net, {options.size} px, width 64, float32: {plain:.1f} ms a frame", flush=True)

    settings = Settings(size=128, width=options.width, batch=2, adversarial_after=0, bfloat16=bfloat16_helps("cpu"))
    ours = clock(Trainer(settings, RandomSamples(128)).advance, max(3, options.repeats // 2))
    theirs = clock(PlainTrainer(settings, RandomSamples(128)).advance, max(3, options.repeats // 2))
    print(f"training step, 128 px, batch 2: {ours:.0f} ms; plain {theirs:.0f} ms", flush=True)
    batch = data(model, options.repeats)
    print(f"data of a step: {batch['cached']:.2f} ms cached, {batch['rendered']:.1f} ms rendered", flush=True)
    summary = {
        "fps": round(1000 / sum(ms.values()), 2),
        "ms": {k: round(v, 2) for k, v in ms.items()},
        "fps_128": round(1000 / sum(results[128].values()), 2),
        "plain_fps": round(1000 / plain, 2),
        "network_speedup": round(plain / ms["network"], 2),
        "train_ms": round(ours, 1),
        "train_speedup": round(theirs / ours, 2),
        "data_speedup": round(batch["rendered"] / batch["cached"], 2),
        "size": options.size,
        "width": options.width,
        "threads": options.threads,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
