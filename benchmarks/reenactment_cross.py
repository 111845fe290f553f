"""Another clip drives the trained person: is what was asked for there, is it still that person, does it flicker?

- ``correlation``: expression shapes fitted again on the output with those asked for, by name: the jaw's, the lids', the
  brows' and the smile's that move (standard deviation of at least ``MOVES``); with the yaw and pitch of head and gaze.
  ``ceiling``: the same of a faultless re-enactment, the driver's own frames, their head as few pixels tall as the
  network's.
- ``movement``: the same of what is seen of these shapes, as several of them move one brow: openings of the mouth and
  the lids, heights of both halves of the brows over the corners of the eyes, and of the corners of the mouth, of the
  model itself, where what was asked for has a standard deviation of at least ``MOVES_MM``; ``share`` is how much is
  found of one mm. ``movement_ceiling`` likewise.
- ``nearer_to_target``: share of frames whose embedding is nearer to the target's mean one than to the driver's;
  ``distance`` to both.
- ``flicker``: mean change from frame to frame, of 255, where the head never is, of what the network makes, beside that
  of the clip's own frames behind.
- ``retargeting``, each as ``asked`` for and as ``fitted`` again on the output: ``neutral``, mean absolute difference of
  the shapes in the driver's neutral frame from the target's neutral; ``range`` of moving shapes over the driver's, 2nd
  to 98th percentile, the median over shapes; ``gaze_offset``, degrees from the target's median gaze.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

import facemodel
from benchmarks.image_metrics import flicker
from benchmarks.reenactment_methods import crops_of
from facemodel import Track
from facemodel.editing.mixing import target_frames
from facemodel.editing.neutral import neutral_expression, neutral_frame
from facemodel.landmark_schemes import SCHEMES
from fitting.landmarks.base import Face
from neural_render import Clip, FrameCursor
from neural_render.images import cut_out, resize_square
from neural_render.methods.deep_video_portraits.conditioning import Crop, head_boxes, head_crop
from neural_render.methods.deep_video_portraits.method import DeepVideoPortraits
from neural_render.methods.deep_video_portraits.weights import Weights
from neural_render.methods.face2face.method import Face2Face
from portrait.services.fitting import fit_clip
from portrait.services.setup import Setup
from portrait.services.synthesis import write_result
from portrait.video import VideoReader, VideoWriter
from recognition.embedding import FaceEmbedding

GROUPS = {"jaw": ("jawOpen",), "lids": ("eyeBlink",), "brows": ("brow",), "smile": ("mouthSmile",)}
"""Beginnings of the names of the shapes that are looked at."""
MOVES = 0.03
MOVES_MM = 0.3
LOOKED_AT = 48  # frames of target and driver that give their mean embeddings; the output's are all measured


@dataclass(frozen=True)
class Driven:
    """A target driven by another clip."""

    driver_video: Path
    target_video: Path
    output: Path
    driver: Track
    seen_small: Track  # the driver fitted again at the network's resolution
    target: Track
    mixed: Track  # what was asked for
    fitted: Track  # what was found again in the output
    made: np.ndarray  # (F, S, S, 3) uint8: what the network makes
    behind: np.ndarray  # (F, S, S, 3) uint8: the target's frames behind
    empty: np.ndarray  # (S, S) bool: where the head never is
    model: object
    name: str  # of what made it


def drive(bench, name: str, weights: Weights | None, video: Path, take: list[str], frames: int) -> Driven:
    """Fits the driver, mixes, synthesises as users do, and fits the output again; all kept in ``bench.work``.

    name: of what makes it: a training, whose ``weights`` those are, or ``face2face``. frames: of the driver, at most.
    """
    work, model, device, size = bench.work, bench.model, bench.options.device, bench.options.size
    steps = "" if weights is None else f"-{size}-{weights.header.steps}"
    stem = f"{name}-driven-by-{video.stem}-{'-'.join(take)}-{frames}{steps}"
    setup = Setup(device=device)
    driver = fit_clip(video, work / f"driver-{video.stem}.track", setup=setup, replace_own=True).track
    driver = driver.frames(0, min(frames, len(driver)))
    mixed = facemodel.mix(driver, bench.track, model, take)
    target = Clip.of_track(bench.track, VideoReader(bench.video), model)
    method, output = Face2Face() if weights is None else DeepVideoPortraits(), work / f"{stem}.mp4"
    if not output.is_file():
        write_result(
            output, method, weights, target, Clip.of_track(mixed, None, model), audio=None, note={}, setup=setup
        )
    fitted = fit_clip(output, work / f"{stem}-fitted.track", setup=setup, replace_own=True).track
    small = work / f"{video.stem}-small-{size}-{frames}.mp4"
    if not small.is_file():
        head = tall(bench.track, model) * size / bench.crop.side  # px of the network's
        write_small(video, driver, small, head, model)
    seen_small = fit_clip(small, small.with_suffix(".track"), setup=setup, replace_own=True).track
    if weights is None:
        made = crops(output, bench.crop, size, list(range(len(mixed))))
    else:
        made, _ = crops_of(name, weights, mixed, model=model, device=device)
    behind = crops(bench.video, bench.crop, size, target_frames(mixed))
    empty = (bench.cache.head_region() == 0).numpy()
    return Driven(
        video, bench.video, output, driver, seen_small, bench.track, mixed, fitted, made, behind, empty, model, name
    )  # fmt: skip


def tall(track: Track, model) -> float:
    """px of the frame: the head's median height."""
    boxes = head_boxes(track, model)
    return float((boxes[:, 3] - boxes[:, 1]).median())


def write_small(video: Path, track: Track, output: Path, head: float, model) -> None:
    """The clip at its own size, but as sharp as if its head were ``head`` px tall."""
    share = min(head / tall(track, model), 1.0)
    small = (max(1, round(track.width * share)), max(1, round(track.height * share)))
    with VideoWriter(output, track.width, track.height, track.fps) as writer:
        for _, seconds, frame in islice(VideoReader(video), len(track)):
            shrunk = cv2.resize(frame, small, interpolation=cv2.INTER_AREA)
            writer.write(cv2.resize(shrunk, (track.width, track.height), interpolation=cv2.INTER_CUBIC), seconds)


def measure(d: Driven, detector, embedding: FaceEmbedding) -> dict:
    """The figures that this module's description names."""
    both = d.mixed.tracked & d.fitted.tracked
    names = moving(d)
    result = {
        "frames": len(d.mixed),
        "fitted": int(both.sum()),
        "correlation": correlations(d.mixed, d.fitted, names, d),
        "ceiling": correlations(d.driver, d.seen_small, names, d),
        "movement": movement(d.mixed, d.fitted, d.model),
        "movement_ceiling": movement(d.driver, d.seen_small, d.model),
    }
    result |= identity(d, detector, embedding)
    result["flicker"] = {"made": flicker(d.made, d.empty), "behind": flicker(d.behind, d.empty)}
    result["retargeting"] = retargeting(d, names, both)
    return result


def correlations(asked: Track, found: Track, names: list[str], d: Driven) -> dict[str, float]:
    """Of shapes by name, of the head's turns and of the gaze, over the frames that both tracks have."""
    both = asked.tracked & found.tracked
    result = {n: correlation(column(asked, d, n)[both], column(found, d, n)[both]) for n in names}
    for name, turn, look in (("pitch", 0, 1), ("yaw", 1, 0)):
        result[name] = correlation(*(t.parameters.rotation[both, turn] for t in (asked, found)))
        result[f"gaze_{name}"] = correlation(*(t.parameters.gaze[both].mean(1)[:, look] for t in (asked, found)))
    return result


def movement(asked: Track, found: Track, model) -> dict[str, dict[str, float]]:
    """Of `movements` that ``asked`` has, over the frames that both tracks have: correlation and share of a mm found."""
    both = asked.tracked & found.tracked
    a, b = ({name: values[both] for name, values in movements(track, model).items()} for track in (asked, found))
    return {
        name: {"correlation": correlation(x, b[name]), "share": float(np.polyfit(x.numpy(), b[name].numpy(), 1)[0])}
        for name, x in a.items()
        if float(x.std()) >= MOVES_MM
    }


def movements(track: Track, model) -> dict[str, Tensor]:
    """By name (F,) mm, of the face before it is turned."""
    p, scheme = track.parameters.expanded(), SCHEMES["mediapipe478"]
    joints = p.joints if p.joints.shape[-1] else None
    points = model.landmarks(model.vertices(p.identity, p.expression, p.gaze, joints), scheme.name)
    height = lambda marks: points[:, list(marks), 1].mean(1)  # noqa: E731

    def opening(pairs) -> Tensor:  # below zero where lips lie in each other
        upper, lower = zip(*pairs)
        return height(upper) - height(lower)

    found = {"mouth": opening(scheme.lip_pairs)}
    for k, side in enumerate(("left", "right")):
        outer, inner = scheme.eye_corners[k]
        found |= {
            f"lids, {side}": opening(scheme.eye_pairs[k]),
            f"inner brow, {side}": height(scheme.brows_inner[k]) - height([inner]),
            f"outer brow, {side}": height(scheme.brows_outer[k]) - height([outer]),
            f"corner of the mouth, {side}": height(scheme.mouth_corners[k : k + 1]) - height([scheme.nose_base]),
        }
    return found


def column(track: Track, d: Driven, name: str) -> Tensor:
    return track.parameters.expression[:, d.model.expression_index(name)]


def moving(d: Driven) -> list[str]:
    """Names of the shapes of ``GROUPS`` that the mixed track moves."""
    prefixes = tuple(p for group in GROUPS.values() for p in group)
    names = [n for n in d.model.expression_names if n.startswith(prefixes)]
    return [n for n in names if float(column(d.mixed, d, n)[d.mixed.tracked].std()) >= MOVES]


def correlation(a: Tensor, b: Tensor) -> float:
    return float(np.corrcoef(a.numpy(), b.numpy())[0, 1])


def retargeting(d: Driven, names: list[str], both: Tensor) -> dict:
    """Neutral, range and gaze of what was asked for, and of what was fitted again."""
    frame = d.mixed.facts["mixed"]["neutral"]["source"]
    counted = torch.tensor([not n.startswith("eyeLook") for n in d.model.expression_names])
    goal = neutral_expression(d.target, neutral_frame(d.target, d.model))
    straight = median_gaze(d.target, d.target.tracked)
    tracks, result = {"asked": d.mixed, "fitted": d.fitted}, {"neutral": {}, "range": {}, "gaze_offset": {}}
    for kind, track in tracks.items():
        result["neutral"][kind] = float((neutral_expression(track, frame) - goal)[counted].abs().mean())
        shares = [spread(column(track, d, n)[both]) / max(spread(column(d.driver, d, n)[both]), 1e-6) for n in names]
        result["range"][kind] = float(np.median(shares)) if shares else float("nan")
        result["gaze_offset"][kind] = float((median_gaze(track, both) - straight).norm(dim=-1).mean())
    return result


def spread(values: Tensor) -> float:
    """From the 2nd to the 98th percentile."""
    return float(values.quantile(0.98) - values.quantile(0.02))


def median_gaze(track: Track, rows: Tensor) -> Tensor:
    """(2 eyes, 2) degrees."""
    return track.parameters.gaze[rows].median(0).values.rad2deg()


def identity(d: Driven, detector, embedding: FaceEmbedding) -> dict:
    """Distances of the output's embeddings to the mean ones of target and driver."""
    embeddings = {
        "target": embed_clip(d.target_video, d.target, detector, embedding, LOOKED_AT),
        "driver": embed_clip(d.driver_video, d.driver, detector, embedding, LOOKED_AT),
        "made": embed_clip(d.output, d.fitted, detector, embedding, len(d.fitted)),
    }
    distance = {
        who: np.linalg.norm(embeddings["made"] - embeddings[who].mean(0), axis=-1) for who in ("target", "driver")
    }
    return {
        "nearer_to_target": float((distance["target"] < distance["driver"]).mean()),
        "distance": {who: float(values.mean()) for who, values in distance.items()},
    }


def embed_clip(video: Path, track: Track, detector, embedding: FaceEmbedding, most: int) -> np.ndarray:
    """(K, 128) embeddings of at most so many tracked frames, evenly spread."""
    tracked = torch.nonzero(track.tracked).flatten().numpy()
    chosen = tracked[np.unique(np.linspace(0, len(tracked) - 1, min(len(tracked), most)).round().astype(int))]
    cursor, found = FrameCursor(VideoReader(video)), []
    for k in chosen.tolist():
        face = Face(track.landmarks[k].double().numpy(), detector.scheme, 1.0)
        found.append(embedding(cursor.at(k), face))
    cursor.close()
    return np.stack(found)


def crops(video: Path, crop: Crop, size: int, frames: list[int]) -> np.ndarray:
    """(N, size, size, 3) uint8: a clip's frames, in any order, inside a crop."""
    cursor = FrameCursor(VideoReader(video))
    pictures = [resize_square(cut_out(cursor.at(k), crop), size) for k in frames]
    cursor.close()
    return np.stack(pictures)


def sheet(d: Driven) -> dict[str, np.ndarray]:
    """Rows of a contact sheet: the driver's head, the frame behind, what the network makes."""
    size = d.made.shape[1]
    driver = crops(d.driver_video, head_crop(d.driver, d.model), size, list(range(len(d.driver))))
    return {"driver": driver, "behind": d.behind, d.name: d.made}
