"""How well a person is re-enacted: unseen frames of the clip made again from their parameters, and another's driving.

    python -m benchmarks.reenactment --video V [--minutes 20 | --steps 2000] [--size 256 [--shown 512]]
        [--methods dvp,face2face] [--ablations] [--driver V2] [--pictures DIR]

The clip is fitted whole, so that its identity comes from all of it; the network trains on the first 75 % of its frames
and makes the rest from their parameters alone. It is scored against the real frames, inside the square that it was
trained on, beside the ``nearest`` training frame by parameters, the training ``mean``, and the shaded model ``pasted``
over the nearest frame. Methods are ``face2face``, which isn't trained either, ``dvp``, Deep Video Portraits with the
paper's three maps, ``dvp-textured``, with the person's texture as a fourth, and ``dvp-shown``, that network's pictures
with what Face2Face's give of them, as users get it. ``beyond``: see ``reenactment_beyond``.
With --ablations, variants of the training take --ablation-minutes each, ``full`` among them: see
``reenactment_methods.ABLATIONS``. With --shown, pictures are scored at so many px. With --driver, see
``reenactment_cross``, all networks as users get them; --take says what the driver gives. With both,
``cross_ablations`` has the correlations of ``DRIVEN``.
Minutes are of processor time, all threads together; --steps trains all for as many steps instead.

Everything is kept in --work and gone on with. The last line is one JSON object: ``methods`` (by name), each with what
``reenactment_scores.Scorer`` says and ``beyond``; ``training``, steps and ms a step; ``cross``, by method.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import facemodel
from benchmarks import reenactment_beyond as beyond
from benchmarks import reenactment_cross as cross
from benchmarks.measures import face_pixels
from benchmarks.reenactment_methods import (
    ABLATIONS,
    SHOWN,
    TEXTURED,
    OverSharedCache,
    crops_of,
    face2face,
    held_by_face2face,
    nearest_frames,
    pasted,
    synthesised,
    train_variant,
)
from benchmarks.reenactment_scores import Held, Scorer, to_crop
from facemodel import PortraitError, Track
from facemodel.editing.mixing import TAKE
from fitting import make_detector
from neural_render import Clip, Crop
from neural_render.compositing import detailed
from neural_render.images import resize_square
from neural_render.methods.deep_video_portraits.conditioning import camera_for, render_maps
from neural_render.methods.deep_video_portraits.method import Options
from portrait.commands.progress import Progress
from portrait.services.events import named
from portrait.services.fitting import fit_clip
from portrait.services.methods import LONGEST
from portrait.services.setup import Setup, pick_device
from portrait.video import VideoReader
from recognition.embedding import FaceEmbedding

TRAINED = 0.75  # share of the clip
DRIVEN = ("full", "no_warps")  # ablations that the driver drives too
COLUMNS = 8  # of a contact sheet
METHODS = ("face2face", "dvp", TEXTURED, SHOWN)
SHEET = ("real", *METHODS, "nearest", "pasted")


@dataclass(frozen=True)
class Bench:
    """A clip cut in two, and how its networks are trained."""

    video: Path
    track: Track  # of the whole clip
    target: Clip  # the part that is trained on
    cache: object  # of that part: maps and crops
    model: object
    options: Options
    work: Path
    shown: int  # px at which pictures are scored

    @property
    def crop(self) -> Crop:
        return self.cache.crop

    def train(self, name: str, minutes: float):
        """Weights of a network or of an ablation."""
        with Progress() as report:
            options = replace(self.options, minutes=minutes)
            return train_variant(name, self.target, self.work, options, named(report, name))

    def crops_of(self, name: str, weights, track: Track) -> np.ndarray:
        """(F, S, S, 3) uint8, S shown: what a method makes of a track over the target's clip."""
        sharp = partial(face2face, self.target, track, self.crop, self.shown)
        if weights is None:
            return sharp()
        return self.finer(name, *crops_of(name, weights, track, model=self.model, device=self.options.device), sharp)

    def finer(self, name: str, made: np.ndarray, heads: np.ndarray, sharp: Callable[[], np.ndarray]) -> np.ndarray:
        """A network's pictures at the size that is scored, of ``dvp-shown`` with what Face2Face's give."""
        if name != SHOWN:
            return np.stack([resize_square(picture, self.shown) for picture in made])
        return np.stack([detailed(*pictures) for pictures in zip(made, sharp(), heads)])


def prepare(video: Path, work: Path, options: Options, frames: int | None = None, shown: int | None = None) -> Bench:
    """Fits the clip, cuts it, and draws the maps of the part that is trained on. frames: looked at, at most."""
    model = facemodel.load(device=options.device)
    track = fit_clip(video, work / "target.track", setup=Setup(device=options.device), replace_own=True).track
    track = track.frames(0, min(frames or len(track), len(track)))
    target = Clip.of_track(track.frames(0, int(len(track) * TRAINED)), VideoReader(video), model)
    if not track.tracked[len(target.track) :].any():
        raise PortraitError(f"video '{video}': no face in its last quarter, which is kept for the test; use another")
    samples = OverSharedCache(work / f"data-{options.size}").prepare(target, work, options)
    return Bench(video, track, target, samples, model, options, work, shown or options.size)


def held_out(bench: Bench) -> Held:
    """The tracked frames of the clip's last part."""
    first, size = len(bench.target.track), bench.shown
    frames = first + torch.nonzero(bench.track.tracked[first:]).flatten().numpy()
    maps = [
        render_maps(bench.model, bench.track, chunk, bench.crop, size) for chunk in torch.from_numpy(frames).split(16)
    ]
    pictures = cross.crops(bench.video, bench.crop, size, frames.tolist())
    marks = to_crop(bench.track.landmarks[frames].numpy(), bench.crop, size)
    camera = camera_for(bench.track, bench.crop, size)
    faces = face_pixels(bench.model.on("cpu"), bench.track.parameters.expanded()[torch.from_numpy(frames)], camera)
    return Held(frames, pictures, np.concatenate(maps), marks, faces.numpy())


def baselines(bench: Bench, held: Held) -> dict[str, np.ndarray]:
    """Pictures that no network made, by name."""
    chosen = nearest_frames(bench.track, held.frames, bench.cache.frames)
    nearest = cross.crops(bench.video, bench.crop, bench.shown, chosen.tolist())
    known = bench.cache.frames
    total = sum(
        bench.cache.images(chunk).astype(np.float64).sum(0) for chunk in np.array_split(known, -(-len(known) // 64))
    )
    mean = resize_square((total / len(known)).round().astype(np.uint8), bench.shown)
    return {
        "nearest": nearest,
        "mean": np.broadcast_to(mean, nearest.shape),
        "pasted": pasted(held.maps, nearest),
    }


def show(methods: dict[str, dict[str, float]]) -> None:
    table = Table("", *methods)
    for name in next(iter(methods.values())):
        table.add_row(name, *(f"{scores[name]:.4g}" for scores in methods.values()))
    Console(width=200).print(table)


def write_sheet(path: Path, rows: dict[str, np.ndarray]) -> None:
    """A PNG with a row a clip (N, S, S, 3), named at its left, and a column a frame, evenly spread."""
    count = len(next(iter(rows.values())))
    chosen = np.linspace(0, count - 1, min(count, COLUMNS)).round().astype(int)
    lines = []
    for name, pictures in rows.items():
        label = np.zeros((pictures.shape[1], 144, 3), np.uint8)
        cv2.putText(
            label, name, (6, pictures.shape[1] // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255,) * 3, 1, cv2.LINE_AA
        )
        lines.append(np.hstack([label, *pictures[chosen]]))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(lines)[..., ::-1])
    print(f"{path}: {', '.join(rows)}", flush=True)


def plain(value):
    """For JSON, which has no NaN or infinity."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0, help="of training, in all")
    parser.add_argument("--steps", type=int, help="of training, in place of minutes")
    parser.add_argument("--frames", type=int, help="of the video, at most")
    parser.add_argument("--methods", default=",".join(METHODS), help="which of these")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--shown", type=int, help="px of the pictures that are scored; default: as --size")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--ablation-minutes", type=float, default=5.0)
    parser.add_argument("--driver", type=Path)
    parser.add_argument("--driver-frames", type=int, default=10**6, help="at most")
    parser.add_argument("--take", default=",".join(TAKE), help="what the driver gives")
    parser.add_argument("--pictures", type=Path, help="a folder for contact sheets")
    parser.add_argument("--work", type=Path, help="default: VIDEO's name + .reenactment")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


def main() -> None:
    o = parsed()
    options = Options(size=o.size, width=o.width, steps=o.steps, device=pick_device(o.device))
    minutes = LONGEST if o.steps else o.minutes
    bench = prepare(o.video, o.work or Path(o.video.name + ".reenactment"), options, o.frames, o.shown)
    held = held_out(bench)
    detector, embedding = make_detector(), FaceEmbedding()
    score = Scorer(held, detector, embedding)

    chosen = [name for name in METHODS if name in o.methods.split(",")]
    trained = {name: bench.train(name, minutes) for name in chosen if name != "face2face"}
    trained |= {name: bench.train(name, o.ablation_minutes) for name in ABLATIONS if o.ablations}
    pictures = baselines(bench, held)
    sharp = cache(partial(held_by_face2face, bench.target, bench.track, held.frames, bench.crop, bench.shown))
    for name, weights in trained.items():
        made = synthesised(name, weights, bench.track, held.frames, model=bench.model, device=options.device)
        pictures[name] = bench.finer(name, *made, sharp)
    if "face2face" in chosen:
        pictures["face2face"] = sharp()
    methods = {name: score(made) for name, made in pictures.items()}
    show(methods)
    real = cross.crops(o.video, bench.crop, bench.shown, list(range(len(bench.target.track))))
    turned = {}
    for name in chosen:
        make = partial(bench.crops_of, name, trained.get(name))
        found = beyond.measure(
            make, bench.target.track, real, bench.model, bench.crop, detector, embedding, bench.cache.texture
        )
        methods[name]["beyond"], turned[name] = found
        print(f"  beyond, {name}: {json.dumps(plain(found[0]))}", flush=True)
    if o.pictures:
        rows = {name: pictures[name] for name in SHEET[1:] if name in pictures}
        write_sheet(o.pictures / "self.png", {"real": held.pictures} | rows)
        write_sheet(o.pictures / "beyond.png", turned)
        if o.ablations:
            made = {name: pictures[name] for name in ABLATIONS}
            write_sheet(o.pictures / "ablations.png", {"real": held.pictures} | made)
    result = {
        "methods": methods, "video": o.video.name, "size": o.size, "shown": bench.shown,
        "width": o.width, "minutes": o.minutes,
        "training": {
            name: {"steps": w.header.steps, "ms": 1e3 * w.header.seconds / max(w.header.steps, 1)}
            for name, w in trained.items()
        },
        "frames": {"trained": len(bench.cache.frames), "held_out": len(held.frames)},
    }  # fmt: skip
    if o.driver:
        take, result["cross"] = o.take.split(","), {}
        for method in (name for name in chosen if name != SHOWN or TEXTURED not in chosen):  # both drive as it is shown
            drive = cross.drive(bench, method, trained.get(method), o.driver, take, o.driver_frames)
            result["cross"][method] = cross.measure(drive, detector, embedding)
            for name, value in result["cross"][method].items():
                print(f"  {method}, {name}: {json.dumps(plain(value))}", flush=True)
            if o.pictures:
                write_sheet(o.pictures / f"cross-{method}.png", cross.sheet(drive))
        if o.ablations:
            driven = {n: cross.drive(bench, n, trained[n], o.driver, take, o.driver_frames) for n in DRIVEN}
            result["cross_ablations"] = {
                n: cross.correlations(d.mixed, d.fitted, cross.moving(d), d) for n, d in driven.items()
            }
            show(result["cross_ablations"])
    print(json.dumps(plain(result)))


if __name__ == "__main__":
    main()
