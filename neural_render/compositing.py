"""Putting a synthesised crop back into the original frame, at the frame's own resolution."""

from __future__ import annotations

import cv2
import numpy as np

from neural_render.images import Crop, cut_out, resize_square

SHARED = 0.6
"""How much of a network's picture of the head is Face2Face's, where both show the same."""


def feather_mask(crop: Crop, frame_width: int, frame_height: int, border: float = 0.06) -> np.ndarray:
    """(side, side) float32 in [0, 1]: one inside, falling smoothly to zero over ``border`` of the side.

    Where the crop ends at the frame's own edge there is nothing to blend with and it stays one.
    """
    n = crop.side
    distance = (np.arange(n) + 0.5) / max(border * n, 1e-6)
    ramp = np.clip(distance, 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)

    def axis(start: int, end: int) -> np.ndarray:
        low = np.ones(n) if crop_at(start, 0) else ramp
        high = np.ones(n) if crop_at(end, 1) else ramp[::-1]
        return low * high

    def crop_at(position: int, which: int) -> bool:
        return position <= 0 if which == 0 else position >= 0

    x = axis(crop.x0, crop.x0 + n - frame_width)
    y = axis(crop.y0, crop.y0 + n - frame_height)
    return (y[:, None] * x[None]).astype(np.float32)


def changed_mask(
    image: np.ndarray, original: np.ndarray, head: np.ndarray, *, low: float = 8.0, high: float = 28.0
) -> np.ndarray:
    """(S, S) float32 in [0, 1]: where the synthesised picture is needed; elsewhere the original shows the same.

    One over the head, with a margin for hair, wherever it is now; and wherever the two pictures disagree, the
    place the original's head was at included: rising from ``low`` to ``high`` levels of difference, both smoothed.
    What is left is background, which keeps its own resolution and its own motion.

    image, original: (S, S, 3) uint8, the crop synthesised and real, at the network's size. head: (S, S) bool.
    """
    size = image.shape[0]
    difference = np.abs(image.astype(np.int16) - original).max(-1).astype(np.float32)
    difference = cv2.dilate(cv2.GaussianBlur(difference, (0, 0), size / 64), _disc(size / 32))
    weight = np.clip((difference - low) / (high - low), 0, 1)
    radius = 0.18 * np.sqrt(float(head.sum()))  # of the head's size: hair stands about so far off the model
    wide = cv2.dilate(head.astype(np.uint8), _disc(radius)).astype(np.float32)
    return cv2.GaussianBlur(np.maximum(weight, wide), (0, 0), size / 42)


def _disc(radius: float) -> np.ndarray:
    side = 2 * int(round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def paste(frame: np.ndarray, image: np.ndarray, crop: Crop, mask: np.ndarray) -> np.ndarray:
    """A copy of the frame (H, W, 3) uint8 with the square image (S, S, 3) uint8 blended into its crop.

    mask: (side, side) float32 in [0, 1]. Pixels outside the crop, and those where the mask is zero, stay as they are.
    """
    result = frame.copy()
    region = cut_out(result, crop)
    before = region.astype(np.float32)
    blended = cv2.subtract(resize_square(image, crop.side).astype(np.float32), before)
    blended *= mask[..., None]
    blended += before
    blended += 0.5  # the conversion cuts off; a blend of two values in range stays in range
    region[:] = blended
    return result


def detailed(
    image: np.ndarray, sharp: np.ndarray, head: np.ndarray, *, low: float = 16.0, high: float = 48.0
) -> np.ndarray:
    """A network's picture (S, S, 3) uint8 at the size of another one's (T, T, 3) uint8, with what that knows better.

    Where both show the same: fully up to ``low`` levels of difference, not at all from ``high`` on, where it would be a
    second outline beside the first. There the other gives all the detail that S pixels don't hold; and on the head,
    (S, S) bool, a share of the rest, since the two err in different ways and their mean is nearer to the truth than
    either.
    """
    size, how = sharp.shape[1::-1], cv2.INTER_CUBIC if len(sharp) > len(image) else cv2.INTER_AREA
    small = resize_square(sharp, len(image))
    apart = cv2.GaussianBlur(cv2.absdiff(image, small).max(-1).astype(np.float32), (0, 0), 1.0)
    alike = np.clip((high - apart) / (high - low), 0, 1)
    inside = cv2.GaussianBlur(cv2.dilate(head.astype(np.float32), _disc(len(image) / 64)), (0, 0), len(image) / 64)
    image, small = image.astype(np.float32), small.astype(np.float32)
    image = image + (SHARED * alike * inside)[..., None] * (small - image)
    coarse, under = (cv2.resize(p, size, interpolation=how) for p in (image, small))
    share = cv2.resize(alike, size, interpolation=cv2.INTER_LINEAR)
    return np.clip(coarse + share[..., None] * (sharp - under) + 0.5, 0, 255).astype(np.uint8)


def composite(
    frame: np.ndarray,
    image: np.ndarray,
    head: np.ndarray,
    crop: Crop,
    feather: np.ndarray,
    finer: np.ndarray | None = None,
) -> np.ndarray:
    """The original frame (H, W, 3) uint8 with a synthesised crop (S, S, 3) uint8 where that is needed.

    head: (S, S) bool, where the model is seen. feather: of ``feather_mask``. finer: of `detailed`, which is shown in
    the picture's place. A new array; see ``changed_mask``.
    """
    original = cut_out(frame, crop)
    needed = changed_mask(image, resize_square(original, image.shape[0]), head)
    needed = cv2.resize(needed, (crop.side, crop.side), interpolation=cv2.INTER_LINEAR)
    return paste(frame, image if finer is None else finer, crop, needed * feather)
