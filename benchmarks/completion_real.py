"""Completion of real faces: what a turned frame hides is filled, and compared with the merged texture of other frames.

Of each clip, one person, the frames turned furthest are taken; the others are merged as ``portrait uv --merge`` does,
and brought to the turned frame's light and exposure. Where they are trusted and the turned frame isn't, methods are
scored. Clips seldom turn far: so the same is done with what the fitted head would hide when turned by 45, 60 and 75
degrees to the side that it looks to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.turned_frames import APART, apart, by_turn, pictures_of, yaws
from facemodel import FaceParameters
from fitting import fit_video
from fitting.texture import FrameTexture, TextureMerger, frame_texture, gain_between
from neural_render.uv_gan.filling import blend_weight
from neural_render.uv_gan.samples import MASK_SIZE, seen_from
from portrait.video import open_frames
from renderer import Camera, linear_to_srgb, main_island, to_uint8
from synthetic.performance import head_turn

CHOSEN, MERGED = 4, 60  # turned frames a clip; others that are merged, at most
TURNS = (0.0, 45.0, 60.0, 75.0)  # degrees; 0 is what the frame itself hides
LEAST = 0.01  # share of the skin that has to be hidden and known


@dataclass(frozen=True)
class Hidden:
    """One turned frame's texture with holes, and what other frames show in them. (S, S, ...)"""

    turn: float  # of ``TURNS``
    seen: np.ndarray  # (S, S, 3) uint8
    weight: Tensor  # (S, S) 0 to 1, how far ``seen`` is to be kept
    truth: np.ndarray  # (S, S, 3) uint8, in the turned frame's light
    hole: np.ndarray  # (S, S) bool: hidden here and known from others
    known: np.ndarray  # (S, S) bool: known from others


def hidden_parts(model, clip: Path, size: int) -> list[Hidden]:
    """Turned frames of a clip, each with several holes."""
    track = fit_video(open_frames(clip), model=model)
    island, order, yaw = main_island(model, size), by_turn(track), yaws(track)
    turned = apart(order[::-1], CHOSEN)
    others = [k for k in sorted(order.tolist()) if all(abs(k - t) >= APART for t in turned)]
    others = others[:: -(-len(others) // MERGED)]
    p = track.parameters.expanded()
    texture = lambda k, picture: frame_texture(model, p[k], torch.from_numpy(picture), size)  # noqa: E731
    merger = TextureMerger(size)
    for take in (merger.add, merger.refine):
        for k, picture in pictures_of(clip, others):
            take(texture(k, picture))
    delit, confidence = merger.result()
    return [
        part
        for k, picture in pictures_of(clip, turned)
        for part in holes_of(model, p[k], float(yaw[k]), texture(k, picture), delit, confidence, island)
    ]


def holes_of(
    model, parameters: FaceParameters, yaw: float, frame: FrameTexture, delit: Tensor, confidence: Tensor,
    island: Tensor,
) -> list[Hidden]:  # fmt: skip
    """One frame's texture with the holes of each turn. delit, confidence: the others' texture (S, S, ...)."""
    gain = gain_between(delit, frame.delit, frame.confidence * confidence)
    truth, seen = to_bytes(delit * gain * frame.light), to_bytes(frame.color)
    known, out = ((confidence > 0.5) & island).numpy(), []
    own = blend_weight(frame.confidence, island)
    for turn in TURNS:
        weight = own * shown_when_turned(model, parameters, np.copysign(turn, yaw), island) if turn else own
        hole = known & (weight.numpy() < 0.5)
        if hole.sum() >= LEAST * known.sum():
            out.append(Hidden(turn, seen, weight, truth, hole, known))
    return out


def shown_when_turned(model, parameters: FaceParameters, yaw: float, island: Tensor) -> Tensor:
    """(S, S) 0 to 1: what of a head's skin a camera would see if it were turned by ``yaw`` degrees."""
    focal = 3.0 * MASK_SIZE
    turned = parameters.replace(rotation=head_turn(float(yaw)), translation=torch.tensor([0.0, -20.0, 3.0 * 300.0]))
    return seen_from(model, turned, Camera(focal, MASK_SIZE, MASK_SIZE), len(island), island)


def to_bytes(linear: Tensor) -> np.ndarray:
    return to_uint8(linear_to_srgb(linear.clamp(0, 1))).numpy()


def evaluate_clips(
    model, clips: list[Path], filling: dict[str, Callable], size: int, score: Callable
) -> tuple[dict[str, dict[str, dict[str, float]]], list[np.ndarray]]:
    """Mean scores by turn and method over all clips' frames, and pictures for a sheet: a row a clip."""
    rows: dict[tuple[float, str], list[dict[str, float]]] = {}
    pictures: list[np.ndarray] = []
    for clip in clips:
        parts = hidden_parts(model, clip, size)
        for part in parts:
            keep, shown = part.weight.numpy()[..., None], []
            for name, fill in filling.items():
                made = (keep * part.seen + (1 - keep) * fill(part.seen, part.weight)).round().astype(np.uint8)
                made = np.where(part.known[..., None], made, part.truth)
                rows.setdefault((part.turn, name), []).append(score(made, part.truth, part.hole, part.known))
                shown.append(made)
            if part is parts[-1]:
                pictures += [np.where(part.hole[..., None], 0, part.truth), *shown, part.truth]
        print(f"  {clip.name}: {len(parts)} textures with holes", flush=True)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for (turn, name), scores in rows.items():
        turned = table.setdefault(f"{turn:g}" if turn else "own", {})
        turned[name] = {k: float(np.mean([s[k] for s in scores])) for k in scores[0]} | {"textures": len(scores)}
    return table, pictures
