"""How well real clips are fitted, against the pictures and the detector's own landmarks: no other truth is there.

    python -m benchmarks.real VIDEO... [--overlays FOLDER] [--set NAME=VALUE]

Without a VIDEO it's the clip that is installed, carphone.

A column a clip:

- landmark error, all points alike, as a share of the distance between the eyes, and its 90th percentile over frames;
- photometric: mean absolute difference of 255 in sRGB between picture and drawn fit over the fitted skin;
- mouth openings of the fitted face beside the landmarks'; heights of the brows' inner and outer halves over the corners
  of the eyes likewise, and how much of their movement is found (``brow_share``), both the mean of four;
- lids, in frames in which both eyes face the camera (``eyes_seen``: an eye seen from its side has no eye-aspect ratio):
  their openings too; ``blink_correlation`` is the eyeBlink coefficients' with the eye-aspect ratio, its sign turned;
  blinks are peaks within a shot, by coefficients and by landmarks, and how many of the landmarks' the coefficients have
  within 0.15 s;
- gaze, in those frames and with open eyes: correlation of the fitted irises' place between the corners of the eyes with
  the detected ones', across and upwards; how much the fitted gaze moves at all (standard deviation of yaw and pitch),
  without which those say little; the distance in px between fitted and detected irises, also as a share of the eye's
  width;
- jitter: median second difference from frame to frame within a shot, of rotation, of translation, and of points on
  forehead and nose bridge, which no expression moves, beside the detected points';
- identity drift: median distance in mm of the face's vertices between the identities found from the clip's first and
  second half alone, after rigid alignment, and the distance of the first half's to the mean face, to compare; the same
  with size, which a clip hardly tells, taken out (``shape_...``). NaN where a half shows no face.

``--overlays`` writes an overlay video a clip and a sheet of its hardest frames; ``--set`` changes a value of
`fitting.Settings`, for ablations. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.signal import find_peaks
from torch import Tensor

import facemodel
import fitting
from benchmarks.changes import add_option, settings_of
from benchmarks.measures import photometric_error, vertex_distances
from benchmarks.real_pictures import write_overlays
from facemodel import PortraitError, Track
from facemodel.track import FrameStatus
from fitting.energy.landmark_points import landmark_points
from fitting.energy.pairs import eye_openness
from portrait.video import VideoReader
from portrait.video.sample import carphone

SCHEME = "mediapipe478"
EYES = ((362, 263), (33, 133))  # corners of the subject's left and right eye, in the picture from left to right
IRISES = (473, 468)  # centres
STILL = (151, 9, 8, 168, 6, 197)  # forehead and nose bridge
LOOKED_AT = 60  # frames in which colours are compared
SAME_BLINK = 0.15  # s
DRIFT = ("identity_drift_mm", "identity_from_mean_mm", "shape_drift_mm", "shape_from_mean_mm")
FACING = 0.6  # of one eye's width in the picture: the other has it where both are seen, to about 40 degrees


class Part:
    """Frames ``start`` to ``stop`` of a clip."""

    def __init__(self, frames, start: int, stop: int) -> None:
        self.frames, self.start, self.stop, self.frame_count = frames, start, stop, stop - start
        self.width, self.height, self.fps = frames.width, frames.height, frames.fps

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        for k, seconds, picture in self.frames:
            if k >= self.stop:
                return
            if k >= self.start:
                yield k - self.start, seconds, picture


def projected_landmarks(track: Track, model) -> Tensor:
    """(F, L, 2) px: the fitted face's landmarks in the original frames."""
    return torch.stack([track.parameters[k].landmarks(model, track.camera, SCHEME) for k in range(len(track))])


def eye_distance(points: Tensor) -> Tensor:
    """(F, L, 2) px to (F,) px between the middles of the eyes."""
    left, right = (points[:, list(corners)].mean(1) for corners in EYES)
    return (left - right).norm(dim=-1)


def landmark_error(seen: Tensor, fitted: Tensor) -> Tensor:
    """(F,) mean distance of (F, L, 2) points, as a share of the distance between the eyes."""
    return (fitted - seen).norm(dim=-1).mean(1) / eye_distance(seen)


def jitter(values: Tensor, joined: Tensor) -> float:
    """Median length of the second difference of (F, K) values over frames ``joined`` (F,) to the one before."""
    inside = joined[2:] & joined[1:-1]
    return float((values[2:] - 2 * values[1:-1] + values[:-2])[inside].norm(dim=-1).median())


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's; NaN where one of them doesn't change."""
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(a.numpy(), b.numpy())[0, 1])


def blink_times(closure: Tensor, times: Tensor, runs: list[np.ndarray]) -> np.ndarray:
    """Seconds at which (F,) closures, 0 open to 1 closed, have a peak 0.3 high, half a second wide at most.

    ``runs`` are the indices of frames that follow each other within a shot.
    """
    rate = 1 / float((times[1:] - times[:-1]).median())
    found = [run[find_peaks(closure[run].numpy(), prominence=0.3, width=(None, 0.5 * rate))[0]] for run in runs]
    return times.numpy()[np.concatenate(found)]


def between_corners(points: Tensor) -> tuple[Tensor, Tensor]:
    """Where irises of (F, L, 2) stand, from the corners' middle, over the eye's width: (F, 2 eyes, right and up), and
    that width (F, 2) px."""
    places, widths = [], []
    for (left, right), iris in zip(EYES, IRISES):
        axis = points[:, right] - points[:, left]
        width = axis.norm(dim=-1)
        offset = (points[:, iris] - (points[:, left] + points[:, right]) / 2) / width[:, None]
        axis = axis / width[:, None]
        up = torch.stack([axis[:, 1], -axis[:, 0]], -1)  # v points down
        places.append(torch.stack([(offset * axis).sum(-1), (offset * up).sum(-1)], -1))
        widths.append(width)
    return torch.stack(places, 1), torch.stack(widths, 1)


def brow_heights(points: Tensor, brows: Tensor) -> Tensor:
    """(F, 4): how far both halves of both brows are above the corners of the eyes, over the distance between the eyes.

    points: (F, L, 2) px. brows: (P, 2), landmarks of brows and the corners below them.
    """
    left, right = (points[:, list(corners)].mean(1) for corners in EYES)
    across = (left - right) / (left - right).norm(dim=-1, keepdim=True)
    up = torch.stack([across[:, 1], -across[:, 0]], -1)
    a, b = brows.unbind(1)
    heights = ((points[:, a] - points[:, b]) * up[:, None]).sum(-1) / eye_distance(points)[:, None]
    return torch.stack([heights[:, b == corner].mean(1) for corner in b.unique()], 1)


def followed(seen: Tensor, fitted: Tensor) -> tuple[float, float]:
    """Correlation of (F, K) columns, and how much is fitted of one unit seen: the mean over columns."""
    pairs = list(zip(seen.unbind(1), fitted.unbind(1)))
    slopes = [float(np.polyfit(a.numpy(), b.numpy(), 1)[0]) for a, b in pairs]
    return float(np.mean([correlation(a, b) for a, b in pairs])), float(np.mean(slopes))


def lids_and_gaze(track: Track, model, seen: Tensor, fitted: Tensor) -> dict[str, float]:
    """``seen`` and ``fitted`` (T, 478, 2) px are those of the T tracked frames."""
    (place, width), (fitted_place, _) = between_corners(seen), between_corners(fitted)
    facing = width.amin(1) > FACING * width.amax(1)
    frames = track.tracked.nonzero().flatten()[facing]
    seen, fitted, place, fitted_place, width = (x[facing] for x in (seen, fitted, place, fitted_place, width))
    marks, p = landmark_points(model, SCHEME), track.parameters[frames]
    ratio, fitted_ratio = (eye_openness(x, marks).mean(1) for x in (seen, fitted))
    blink = p.expression[:, [model.expression_index(f"eyeBlink{s}") for s in ("Left", "Right")]].mean(1)
    cut = (track.status[frames] & int(FrameStatus.CUT)) != 0
    breaks = ((frames.diff() != 1) | cut[1:]).nonzero().flatten() + 1
    runs = np.split(np.arange(len(frames)), breaks.numpy())
    times = track.times[frames]
    by_fit, by_landmarks = (blink_times(x, times, runs) for x in (blink, 1 - ratio / ratio.median()))
    wide = ratio > 0.6 * ratio.median()
    across, up = (correlation(*(x[wide, :, axis].mean(1) for x in (place, fitted_place))) for axis in (0, 1))
    moves = p.gaze[wide].mean(1).rad2deg().std(0)
    apart = (fitted[:, list(IRISES)] - seen[:, list(IRISES)]).norm(dim=-1)
    return {
        "eyes_seen": len(frames),
        "lids_correlation": correlation(ratio, fitted_ratio),
        "blink_correlation": correlation(blink, -ratio),
        "blinks_fitted": len(by_fit),
        "blinks_landmarks": len(by_landmarks),
        "blinks_in_both": sum(bool((np.abs(by_fit - t) <= SAME_BLINK).any()) for t in by_landmarks),
        "iris_across_correlation": across,
        "iris_up_correlation": up,
        "gaze_yaw_spread_deg": float(moves[0]),
        "gaze_pitch_spread_deg": float(moves[1]),
        "iris_px": float(apart[wide].median()),
        "iris_of_eye_width": float((apart / width)[wide].median()),
    }


def identity_drift(frames, count: int, model, settings) -> dict[str, float]:
    """Fits each half of a clip alone."""
    face = model.regions["face"]
    halves = (Part(frames, 0, count // 2), Part(frames, count // 2, count))
    try:
        fitted = [fitting.fit_video(h, model=model, settings=settings).parameters for h in halves]
    except PortraitError:
        return dict.fromkeys(DRIFT, float("nan"))
    shapes = [model.vertices(p.identity)[face] for p in fitted]
    pairs = shapes, (shapes[0], model.mean[face])
    apart = [np.median(vertex_distances(*two, enlarge)) for enlarge in (False, True) for two in pairs]
    return dict(zip(DRIFT, map(float, apart)))


def measure(track: Track, model, frames, fitted: Tensor, settings) -> dict[str, float]:
    """Figures of one clip; ``fitted`` (F, 478, 2) are the fitted face's landmarks, see the module."""
    p, ok = track.parameters, track.tracked
    seen, fitted = track.landmarks[ok], fitted[ok]
    apart = eye_distance(seen)
    error = landmark_error(seen, fitted)
    marks = landmark_points(model, SCHEME)
    lips = marks.on_lips
    mouth = [(x[:, lips[:, 0]] - x[:, lips[:, 1]]).norm(dim=-1).mean(1) / apart for x in (seen, fitted)]
    brow_correlation, brow_share = followed(*(brow_heights(x, marks.on_brows) for x in (seen, fitted)))
    stride = max(1, len(track) // LOOKED_AT)
    some = ((k, picture) for k, _, picture in frames if k % stride == 0 and k < len(track) and ok[k])
    joined = ok & ~track.where(FrameStatus.CUT)
    joined[1:] &= ok[:-1]
    everywhere = lambda x: torch.zeros(len(track), *x.shape[1:]).masked_scatter(ok.view(-1, 1, 1), x.float())  # noqa: E731
    return {
        "frames": len(track),
        "tracked": int(ok.sum()),
        "landmark_nme": float(error.median()),
        "landmark_nme_90": float(error.quantile(0.9)),
        "photometric": float(np.median(photometric_error(model, p, track.camera, some))),
        "mouth_correlation": correlation(*mouth),
        "brow_correlation": brow_correlation,
        "brow_share": brow_share,
        **lids_and_gaze(track, model, seen, fitted),
        "rotation_jitter_deg": jitter(p.rotation.rad2deg(), joined),
        "sideways_jitter_mm": jitter(p.translation[:, :2], joined),
        "depth_jitter_mm": jitter(p.translation[:, 2:], joined),
        "still_jitter_px": jitter(everywhere(fitted[:, list(STILL)]).flatten(1), joined) / len(STILL) ** 0.5,
        "detected_still_jitter_px": jitter(everywhere(seen[:, list(STILL)]).flatten(1), joined) / len(STILL) ** 0.5,
        **identity_drift(frames, len(track), model, settings),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video", nargs="*", type=Path)
    parser.add_argument("--overlays", type=Path, help="a folder for overlay videos and sheets of the hardest frames")
    add_option(parser)
    options = parser.parse_args()
    model, settings = facemodel.load(), settings_of(parser, options)
    results = {}
    with torch.inference_mode():
        for path in options.video or [carphone()]:
            try:
                reader = VideoReader(path)
                track = fitting.fit_video(reader, model=model, settings=settings)
            except PortraitError as error:
                parser.error(f"{path}: {error}")
            fitted = projected_landmarks(track, model)
            results[path.stem] = measure(track, model, reader, fitted, settings)
            if options.overlays:
                write_overlays(options.overlays, path.stem, track, model, reader, fitted)
    table = Table("", *results)
    for name in next(iter(results.values())):
        table.add_row(name, *(f"{r[name]:.4g}" for r in results.values()))
    Console(width=32 + 20 * len(results)).print(table)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
