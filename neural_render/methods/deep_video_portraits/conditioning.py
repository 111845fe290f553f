"""What the network sees: windows of rendered maps inside one fixed square crop of the clip."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facemodel.track import FrameStatus, Track
from foundation.errors import PortraitError
from geometry.camera import Camera, project
from geometry.color import to_uint8
from neural_render.images import Crop
from renderer import correspondence_colors, render, surface_points

CONDITIONS = 4
"""Version of how parameters become what the network sees: weights of another one are refused."""
MAPS = ("diffuse", "correspondence", "eyes")
CHANNELS = 9
"""Channels of the maps of one frame: three maps of three channels."""
TEXTURED = 3
"""Channels of the person's texture, drawn as a fourth map, of which the network sees the current frame's alone."""
FACE, EYES = slice(3, 6), slice(6, 9)
"""Channels that are zero wherever the head, or an eye, isn't."""
WINDOW = 11
"""Frames the network sees: the current one, last, and the ten before it."""


def camera_for(track: Track, crop: Crop | None = None, size: int | None = None) -> Camera:
    """The pinhole camera of a track's frames, or of a crop of them resized to ``size`` pixels."""
    camera = track.camera
    if crop is not None:
        camera = camera.cropped(crop.x0, crop.y0, crop.side, crop.side)
    return camera if size is None else camera.resized(size, size)


def head_boxes(track: Track, model, *, stride: int = 1) -> Tensor:
    """(F', 4) px: left, top, right, bottom of the projected head, without the neck's lower end, of tracked frames."""
    frames = torch.nonzero(track.tracked).flatten()[::stride]
    keep = ~model.region("neck")
    camera, boxes = track.camera, []
    for chunk in frames.split(32):
        parameters = track.parameters[chunk].to(model.mean.device)
        points = project(surface_points(model, parameters)[..., keep, :], camera)
        boxes.append(torch.cat([points.amin(-2), points.amax(-2)], dim=-1).cpu())
    return torch.cat(boxes) if boxes else torch.zeros(0, 4)


def head_crop(track: Track, model, *, margin: float = 0.12, hair: float = 0.25) -> Crop:
    """One square for the whole clip: the head over time with hair and some neck, inside the frame.

    The square holds the boxes of the head in 98 % of the frames, so that a single bad fit doesn't widen it, with
    ``hair`` of the head's height added at the top, and ``margin`` of a head's size around; it is cut to the
    frame's shorter side. Raises PortraitError where no frame has a face.
    """
    boxes = head_boxes(track, model, stride=max(1, len(track) // 2000))
    if len(boxes) == 0:
        raise PortraitError("track: expected a face in at least one frame, found none; fit another clip")
    boxes = boxes.double().numpy()
    boxes[:, 1] -= hair * (boxes[:, 3] - boxes[:, 1])
    left, top = np.quantile(boxes[:, :2], 0.01, axis=0)
    right, bottom = np.quantile(boxes[:, 2:], 0.99, axis=0)
    head = float(np.median(np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])))
    side = max(right - left, bottom - top) + 2 * margin * head
    side = int(min(np.ceil(side), track.width, track.height))
    if side < 16:
        raise PortraitError(f"track: the head is only {side} pixels wide; use a clip with a larger face")
    x0 = _place((left + right - side) / 2, side, track.width)
    y0 = _place((top + bottom - side) / 2, side, track.height)
    return Crop(x0, y0, side)


def _place(start: float, side: int, length: int) -> int:
    """The start nearest to ``start`` of a crop inside ``length`` px; it doesn't leave a sliver beside the edge."""
    sliver, last = 0.05 * side, length - side
    if start < sliver:
        return 0
    return last if start > last - sliver else int(round(start))


def inputs(window: int, textured: bool) -> int:
    """Channels of a condition."""
    return window * CHANNELS + (TEXTURED if textured else 0)


def render_maps(
    model,
    track: Track,
    frames: Tensor,
    crop: Crop,
    size: int,
    texture: Tensor | None = None,
) -> np.ndarray:
    """(N, size, size, 9) uint8: diffuse, correspondence and eye maps of these frames inside the crop.

    texture: (S, S, 3) linear RGB without light, on the model's device; three channels more then.
    """
    names = MAPS if texture is None else (*MAPS, "textured")
    with torch.no_grad():
        parameters = track.parameters[frames].expanded().to(model.mean.device)
        maps = render(model, parameters, camera_for(track, crop, size), names, supersample=2, texture=texture)
    stacked = torch.cat([maps[name] for name in names], dim=-1)
    return to_uint8(stacked).cpu().numpy()


def mouth_colors(model) -> Tensor:
    """(boxes, 2, 3) in [0, 1]: the least and the greatest correspondence colours of lips, and of teeth and tongue."""
    return _color_boxes(model, model.region("lips"), model.region("teeth") | model.region("tongue"))


def eye_colors(model) -> Tensor:
    """(boxes, 2, 3) in [0, 1]: the least and the greatest correspondence colours around each eye, lids to brow."""
    around, side = model.region("eyelids") | model.region("brows"), model.mean[:, 0] > 0
    return _color_boxes(model, around & side, around & ~side)


def _color_boxes(model, *parts: Tensor) -> Tensor:
    """A box a part; none of a part that the model doesn't know."""
    colors = correspondence_colors(model)
    boxes = [torch.stack([colors[part].amin(0), colors[part].amax(0)]) for part in parts if part.any()]
    return torch.stack(boxes).cpu() if boxes else torch.zeros(0, 2, 3)


def shot_starts(track: Track) -> np.ndarray:
    """(F,) int64: for every frame the first frame of its shot."""
    frames = np.arange(len(track))
    cut = track.where(FrameStatus.CUT).cpu().numpy()
    cut[:1] = True
    return np.maximum.accumulate(np.where(cut, frames, 0))


def window_frames(frames: np.ndarray, starts: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """(N, window) frame indices, oldest first, current last; a shot's first frame is repeated before its start."""
    back = np.arange(window)[::-1]
    return np.maximum(np.asarray(frames)[:, None] - back, starts[frames][:, None])


def condition(maps: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """(N, window, H, W, C) uint8 maps -> (N, ``inputs``, H, W) in [-1, 1], channels-last in memory.

    The current frame's texture goes first, where there is one; then frame by frame, the oldest first, diffuse,
    correspondence, eyes.
    """
    n, window, height, width, channels = maps.shape
    x = maps[..., :CHANNELS].permute(0, 2, 3, 1, 4).reshape(n, height, width, window * CHANNELS)
    if channels > CHANNELS:
        x = torch.cat([maps[:, -1, ..., CHANNELS:], x], -1)
    return x.to(dtype).sub_(127.5).mul_(1 / 127.5).permute(0, 3, 1, 2)


def to_network(images: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float in [-1, 1]."""
    return images.to(torch.float32).mul_(1 / 127.5).sub_(1).permute(0, 3, 1, 2)


def to_pixels(images: Tensor) -> np.ndarray:
    """(N, 3, H, W) in [-1, 1] -> (N, H, W, 3) uint8."""
    return to_uint8(images.float().add(1).mul(0.5)).permute(0, 2, 3, 1).contiguous().cpu().numpy()
