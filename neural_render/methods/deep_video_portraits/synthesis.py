"""From an edited or mixed track to frames: maps, network, compositing, streamed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch

from facemodel.base import check_same_model
from facemodel.track import Track
from foundation.errors import PortraitError
from neural_render.compositing import composite, detailed, feather_mask
from neural_render.frames import FrameCursor
from neural_render.images import cut_out
from neural_render.methods.clip import Clip
from neural_render.methods.common.order import target_frames
from neural_render.methods.common.texture import linear
from neural_render.methods.deep_video_portraits.conditioning import (
    FACE,
    condition,
    render_maps,
    shot_starts,
    to_pixels,
    window_frames,
)
from neural_render.methods.deep_video_portraits.weights import Weights
from neural_render.methods.face2face.method import Face2Face
from neural_render.methods.weights import AGAIN
from neural_render.networks import fold_norms
from neural_render.training import bfloat16_helps


def inference_network(weights: Weights, device: str = "cpu") -> torch.nn.Module:
    """The generator made fast: batch normalisation folded into the convolutions, bfloat16 where that helps."""
    network = weights.network(device)
    fold_norms(network)
    return network.to(torch.bfloat16) if bfloat16_helps(device) else network


def synthesize_crops(
    network: torch.nn.Module, weights: Weights, track: Track, *, model, device: str = "cpu", batch: int = 4
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For every frame of the track what ``network`` makes of its maps, and where the head is. Streams.

    (size, size, 3) uint8 and (size, size) bool.

    network: from ``inference_network``, or ``weights.network()`` for float32 throughout.
    """
    header = weights.header
    starts = shot_starts(track)
    texture = None if weights.texture is None else linear(weights.texture, model)
    recent: deque[tuple[int, np.ndarray]] = deque(maxlen=header.window + batch - 1)
    dtype = next((p.dtype for p in network.parameters()), torch.float32)  # an ONNX session has none
    for first in range(0, len(track), batch):
        frames = np.arange(first, min(first + batch, len(track)))
        maps = render_maps(model, track, torch.from_numpy(frames), header.crop, header.size, texture=texture)
        recent.extend(zip(frames.tolist(), maps))
        kept = dict(recent)
        windows = window_frames(frames, starts, header.window)
        stack = torch.from_numpy(np.stack([[kept[int(k)] for k in row] for row in windows]))
        with torch.inference_mode():
            images = to_pixels(network(condition(stack.to(device), dtype)))
        yield from zip(images, maps[..., FACE].max(-1) > 0)


def synthesize(
    weights: Weights | str | os.PathLike,
    track: Track,
    frames: Iterable,
    *,
    model,
    device: str = "cpu",
    batch: int = 4,
) -> Iterator[np.ndarray]:
    """The target clip re-synthesised with the track's parameters: (H, W, 3) uint8, one a frame of the track.

    weights: of the target clip, or ``OnnxWeights``. track: edited, or mixed from a driver; in the target's camera.
    frames: the target clip, re-iterable of (index, time, (H, W, 3) uint8); see ``target_frames`` for which goes where.
    Face2Face makes the same frames, and gives of them what `detailed` takes.
    A frame whose status says that there is no face is given back as it is. Memory doesn't grow with the clip.
    Raises PortraitError, before the first frame, where weights, model and track don't belong together.
    """
    if not isinstance(weights, Weights):
        weights = Weights.load(weights, model=model)
    header = weights.header
    check_same_model("track: made", track, model)
    check_same_model("weights: trained", header, model, AGAIN)
    if (track.width, track.height) != (header.frame_width, header.frame_height):
        raise PortraitError(
            f"track: expected frames of {header.frame_width} x {header.frame_height} as the weights were trained for, "
            f"got {track.width} x {track.height}; use a track of that clip"
        )
    order = target_frames(track, getattr(frames, "frame_count", None) or header.target.get("clip_frames"))
    network, sharp = inference_network(weights, device), (None for _ in order)
    if weights.own is not None:
        known = [min(k, len(weights.own) - 1) for k in order]  # they may be of a part of the clip
        asked = replace(track, facts={**track.facts, "target_frames": known})
        target, driver = Clip.of_track(weights.own, frames, model), Clip.of_track(asked, None, model)
        sharp = Face2Face().animate(None, target, driver)
    cursor = FrameCursor(frames)
    return _composite(weights, track, order, cursor, sharp, network, model=model, device=device, batch=batch)


def _composite(weights: Weights, track: Track, order: list[int], cursor: FrameCursor, sharp, network, **options):
    header = weights.header
    feather = feather_mask(header.crop, header.frame_width, header.frame_height)
    crops = synthesize_crops(network, weights, track, **options)
    absent = (~track.tracked).tolist()
    try:
        for (image, head), index, skip, whole in zip(crops, order, absent, sharp):
            frame = cursor.at(index)
            if frame.shape[:2] != (header.frame_height, header.frame_width):
                raise PortraitError(
                    f"video: expected frames of {header.frame_width} x {header.frame_height} as the weights were "
                    f"trained for, got {frame.shape[1]} x {frame.shape[0]}; give the target clip"
                )
            finer = None if whole is None else detailed(image, cut_out(whole, header.crop), head)
            yield frame.copy() if skip else composite(frame, image, head, header.crop, feather, finer)
    finally:
        sharp.close()
        cursor.close()
