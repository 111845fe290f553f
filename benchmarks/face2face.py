"""What a frame of Face2Face costs, synthesis alone: no tracking, no video.

    python -m benchmarks.face2face VIDEO [--work DIR] [--longest 512] [--frames 40]

The clip, its longer side made ``longest`` px, shows its own performance backwards: ``in_place`` with heads where they
were, ``posed`` with their turns too, as ``portrait reenact`` makes it; ``live`` as ``portrait live`` does, from
pictures of its own size. Milliseconds a frame of one thread's processor time, medians and means, and seconds of
``preparing``, printed as one JSON object on the last line with the machine's load: a busy one takes more of those, too.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

import facemodel
from facemodel import Track
from neural_render import Clip
from neural_render.methods.face2face.method import Face2Face
from portrait.services.fitting import fit_clip
from portrait.services.setup import Setup
from portrait.video import VideoReader

WARM = 4  # frames that aren't counted


def smaller(track: Track, frames, longest: int) -> tuple[Track, list]:
    """A clip's track and frames with pictures of at most so many px."""
    scale = min(1.0, longest / max(track.width, track.height))
    size = tuple(2 * round(scale * n / 2) for n in (track.width, track.height))
    pictures = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f, _ in zip(frames, range(len(track)))]
    p = track.parameters
    small = replace(
        track,
        width=size[0],
        height=size[1],
        landmarks=None,
        parameters=p.replace(focal=p.focal * size[0] / track.width),
    )
    return small, [(k, float(t), f) for k, (t, f) in enumerate(zip(track.times, pictures))]


def backwards(track: Track, *names: str) -> Track:
    """Parameters of these names in the opposite order."""
    p = track.parameters.expanded()
    changed = {name: getattr(p, name).flip(0) for name in names}
    shared = {name: getattr(track.parameters, name) for name in ("identity", "reflectance", "focal")}
    mixed = {"target_frames": list(range(len(track))), "mixed": {}}
    return replace(track, parameters=p.replace(**changed, **shared), facts={**track.facts, **mixed})


def spent(made: Iterator) -> dict[str, float]:
    """ms of thread time a frame."""
    taken, began = [], time.thread_time()
    for _ in made:
        now = time.thread_time()
        taken.append(1e3 * (now - began))
        began = now
    counted = taken[WARM:] or taken
    return {"median": round(float(np.median(counted)), 1), "mean": round(float(np.mean(counted)), 1)}


def measure(clip: Clip, live_clip: Clip) -> dict:
    """The figures of the module."""
    method, track, result = Face2Face(), clip.track, {}
    for name, turned in (("in_place", ()), ("posed", ("rotation", "translation"))):
        asked = Clip.of_track(backwards(track, "expression", *turned), None, clip.model)
        made = method.animate(None, clip, asked)
        result[name] = spent(made)
    began = time.thread_time()
    live = method.live(None, live_clip)
    result["preparing"] = round(time.thread_time() - began, 1)
    asked = backwards(live_clip.track, "expression", "rotation", "translation").parameters.expanded()
    result["live"] = spent(live(asked[k]) for k in range(len(track)))
    return result | {"size": [track.width, track.height], "live_size": list(live.size)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--work", type=Path, help="default: VIDEO's name + .face2face")
    parser.add_argument("--longest", type=int, default=512)
    parser.add_argument("--frames", type=int, default=40)
    o = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    model, work = facemodel.load(), o.work or Path(o.video.name + ".face2face")
    track = fit_clip(o.video, work / "target.track", setup=Setup(device="cpu"), replace_own=True).track
    track = track.frames(0, min(o.frames, len(track)))
    small, pictures = smaller(track, (f for _, _, f in VideoReader(o.video)), o.longest)
    found = measure(Clip.of_track(small, pictures, model), Clip.of_track(track, VideoReader(o.video), model))
    print(json.dumps(found | {"load": [round(v, 1) for v in os.getloadavg()]}))


if __name__ == "__main__":
    main()
