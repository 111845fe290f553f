"""Small public inputs of the kinds that other tools fail on, by the real commands: is what comes out right?

A folder of such inputs with a table of commands and of what is right (``README.md``) enters; a line of JSON leaves,
with ``passed``, ``of``, and what each row that isn't as it should be gave.

    python -m benchmarks.public_faults FOLDER [--only NAME,NAME] [--quality fast|balanced|best]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import facemodel
from facemodel import FrameStatus, Track
from portrait.video import open_frames, read_image

FACE = (204, 123, 106)  # of the HDR clips' scene
ROWS: dict[str, Callable[[Bench], str | None]] = {}


@dataclass(frozen=True)
class Result:
    """Of a command."""

    code: int
    said: str  # stdout and stderr


class Bench:
    """Runs commands in a scratch folder, and keeps the tracks that several rows need."""

    def __init__(self, inputs: Path, work: Path, quality: str) -> None:
        self.inputs, self.work, self.quality, self._fitted = inputs.resolve(), work, quality, {}
        self.model = facemodel.load()

    def __call__(self, *arguments) -> Result:
        root = str(Path(__file__).parents[1])
        done = subprocess.run(
            [sys.executable, "-m", "portrait", *map(str, arguments)], cwd=self.work, capture_output=True, text=True,
            timeout=900, check=False, env={**os.environ, "PYTHONPATH": root, "COLUMNS": "200"},
        )  # fmt: skip
        return Result(done.returncode, done.stdout + done.stderr)

    def must(self, *arguments) -> Result:
        result = self(*arguments)
        if result.code:
            raise AssertionError(f"{' '.join(map(str, arguments))}: exit {result.code}: {last_line(result.said)}")
        return result

    def fit(self, name: str, *options) -> Track:
        """The track of one of the inputs, or of a path."""
        key = (name, *map(str, options))
        if key not in self._fitted:
            track = self.work / f"{re.sub('[^a-z0-9]+', '_', ' '.join(key).lower())}.track"
            path = Path(name) if Path(name).is_absolute() else self.inputs / name
            self.must("fit", path, "-o", track, "--quality", self.quality, *options)
            self._fitted[key] = track
        return Track.load(self._fitted[key])

    def folder(self, name: str, *options) -> Path:
        self.fit(name, *options)
        return self._fitted[(name, *map(str, options))]


def row(function):
    """A row: None where all is right, else what is wrong."""
    ROWS[function.__name__] = function
    return function


def last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else "nothing said"


def flags(track: Track, flag: FrameStatus) -> np.ndarray:
    return (track.status.numpy() & int(flag)) != 0


def jaw(track: Track) -> np.ndarray:
    return track.parameters.expanded().expression[:, track_names().index("jawOpen")].numpy()


def track_names() -> list[str]:
    return list(facemodel.load().expression_names)


def yaws(track: Track) -> np.ndarray:
    """Degrees."""
    from geometry.rotation import rotation_matrix

    turn = rotation_matrix(track.parameters.expanded().rotation)
    return np.degrees(np.arctan2(turn[:, 0, 2].numpy(), turn[:, 2, 2].numpy()))


def lid_gaps(track: Track, model) -> np.ndarray:
    """(F, 2) mm: the left eye's and the right's opening."""
    p = track.parameters.expanded()
    q = model.landmarks(model.vertices(p.identity, p.expression, p.gaze, p.joints), "ibug68").numpy()
    apart = lambda a, b: np.linalg.norm(q[:, a] - q[:, b], axis=-1)  # noqa: E731
    return np.stack([apart(43, 47) + apart(44, 46), apart(37, 41) + apart(38, 40)], 1) / 2


@row
def fades_and_dark_clips(b: Bench) -> str | None:
    for name in ("01_fade_in.mp4", "01_fade_out.mp4", "01_low_light.mp4"):
        if not b.fit(name).tracked.any():
            return f"{name}: no frame tracked"
    return None


@row
def shut_lids_arrive(b: Bench) -> str | None:
    source, target = b.folder("02_blink_source.mp4"), b.folder("02_wide_eyes_target.mp4")
    b.must("mix", "--source", source, "--target", target, "--take", "expression,gaze", "-o", "lids.track")
    gaps, own = (lid_gaps(Track.load(p), b.model) for p in (b.work / "lids.track", target))
    share = (gaps / np.median(own, 0)).min(0)
    return None if share.max() < 0.22 else f"lids stay {share[0]:.0%} and {share[1]:.0%} open, 17 % is shut"


@row
def shut_lids_in_a_csv(b: Bench) -> str | None:
    import csv

    b.must("edit", b.folder("02_blink_source.mp4"), "--neutral", "auto", "--to-csv", "lids.csv")
    with open(b.work / "lids.csv", newline="") as file:
        table = list(csv.DictReader(file))
    most = [max(float(line[f"EyeBlink{side}"]) for line in table) for side in ("Left", "Right")]
    return None if min(most) >= 0.9 else f"EyeBlink up to {most[0]:.2f}, {most[1]:.2f}"


def _found(name: str, size: float):
    def check(b: Bench) -> str | None:
        track = b.fit(name)
        points = track.landmarks[0].numpy()
        got = float((points.max(0) - points.min(0)).max())
        return None if size / 1.4 < got < size * 1.4 else f"a face of {got:.0f} px"

    return check


for _name, _size in (("03_uhd_100px.jpg", 100), ("03_uhd_60px.jpg", 60), ("03_fhd_40px.jpg", 40)):
    ROWS[f"small_face_{_name[3:-4]}"] = _found(_name, _size)


def _upright(name: str, width: int, height: int):
    def check(b: Bench) -> str | None:
        track = b.fit(name)
        return None if (track.width, track.height) == (width, height) else f"{track.width} x {track.height}"

    return check


for _name, *_shape in (
    ("04_phone_grid.heic", 910, 1137), ("04_phone_turned.heic", 480, 640), ("04_turned.webp", 320, 400),
    ("04_turned.tif", 240, 300),
):  # fmt: skip
    ROWS[_name[3:].replace(".", "_")] = _upright(_name, *_shape)


def _tone(name: str):
    def check(b: Bench) -> str | None:
        same = b.fit("05_sdr_same_scene.mp4")
        points = same.landmarks[0].numpy()
        reference = next(iter(open_frames(b.inputs / "05_sdr_same_scene.mp4")))[2]
        shown = next(iter(open_frames(b.inputs / name)))[2]
        # The patch of the scene that has the face's colour: wherever the SDR clip has it.
        near = np.abs(reference.astype(int) - FACE).max(-1) < 12
        x0, y0, x1, y1 = *points.min(0).astype(int), *points.max(0).astype(int)
        inside = np.zeros_like(near)
        inside[y0:y1, x0:x1] = True
        got = shown[near & inside].mean(0)
        noted = any("HDR" in w for w in b.fit(name).facts.get("warnings", []))
        off = float(np.abs(got - reference[near & inside].mean(0)).max())
        return None if off < 12 and noted else f"face {got.round()}, off by {off:.0f}; {'' if noted else 'not '}said"

    return check


ROWS["hdr_hlg"], ROWS["hdr_pq"] = _tone("05_hlg.mp4"), _tone("05_pq.mp4")


@row
def a_colon_in_a_name(b: Bench) -> str | None:
    shutil.copy(b.inputs / "colon_name.mp4", b.work / "take:1.mp4")
    b.must("fit", "take:1.mp4", "-o", "colon.track", "--quality", b.quality)
    return None if len(Track.load(b.work / "colon.track")) == 12 else "not 12 frames"


@row
def cut_by_the_frame_s_edge(b: Bench) -> str | None:
    trust = float(b.fit("08_cut_left.png").confidence[0])
    return None if trust > 0.4 else f"confidence {trust:.2f}"


@row
def a_passer_by(b: Bench) -> str | None:
    track = b.fit("10_passer_by.mp4")
    tracked = flags(track, FrameStatus.TRACKED)
    first = track.landmarks[0].numpy().mean(0)
    size = float((track.landmarks[0].max(0).values - track.landmarks[0].min(0).values).max())
    away = [np.linalg.norm(track.landmarks[k].numpy().mean(0) - first) > size for k in np.flatnonzero(tracked)]
    if any(away):
        return f"{sum(away)} frames of somebody else"
    if not tracked[:13].all() or not tracked[27:].all():
        return "the first person isn't followed where they are seen"
    return None if not tracked[17:23].any() else "tracked while hidden"


@row
def turned_first(b: Bench) -> str | None:
    source = b.folder("11_turned_first_source.mp4")
    b.must("mix", "--source", source, "--target", b.folder("02_wide_eyes_target.mp4"), "-o", "turned.track")
    got, own = yaws(Track.load(b.work / "turned.track")), yaws(Track.load(source))
    return (
        None if got.max() < own.max() + 12 and got.min() > own.min() - 12 else f"yaw {got.min():.0f} to {got.max():.0f}"
    )


@row
def wall_in_the_texture(b: Bench) -> str | None:
    """The wall is white: next to no skin is."""
    b.must("uv", b.inputs / "12_wall_in_texture.jpg", "-o", "uv", "--complete", "mirror", "--frontalize")
    texture = read_image(next((b.work / "uv").rglob("texture.png"))).astype(int)
    height, width = texture.shape[:2]
    face = texture[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
    white = ((face.min(-1) > 215) & (face.max(-1) - face.min(-1) < 22)).mean()
    return None if white < 0.004 else f"{white:.1%} of the face's texture is white"


@row
def a_mask(b: Bench) -> str | None:
    """Its colour is in no reflectance, and the mouth behind it isn't known."""
    model, track = b.model, b.fit("13_mask3.jpg")
    albedo = model.albedo(track.parameters.reflectance)
    albedo = albedo[model.region("skin")] if len(model.region("skin")) == len(albedo) else albedo
    red, _, blue = (float(v) for v in albedo.mean(0))
    names = track_names()
    wide = float(track.spread["expression"][0][names.index("jawOpen")])
    if blue > 0.9 * red:
        return f"a blue head: albedo {red:.2f} red, {blue:.2f} blue"
    if not bool(track.hidden("mouth")[0]):
        return "the mouth counts as seen"
    prior = float(model.blocks["expression"].std[names.index("jawOpen")])
    return None if wide > 0.6 * prior else f"jawOpen's spread {wide:.3f}, the prior's {prior:.3f}"


@row
def sunglasses(b: Bench) -> str | None:
    track = b.fit("13_sunglasses.jpg")
    if not (bool(track.hidden("left_eye")[0]) and bool(track.hidden("right_eye")[0])):
        return "the eyes count as seen"
    spread = float(track.spread["gaze"][0].mean())
    return None if np.degrees(spread) > 10 else f"gaze's spread {np.degrees(spread):.1f} degrees, as of seen eyes"


@row
def hidden_files(b: Bench) -> str | None:
    count = len(b.fit("apple"))
    return None if count == 6 else f"{count} frames"


@row
def pixels_that_are_not_square(b: Bench) -> str | None:
    wide, same = b.fit("15_anamorphic_64_45.mp4"), b.fit("15_same_square.mp4")
    if (wide.width, wide.height) != (same.width, same.height):
        return f"{wide.width} x {wide.height}"
    # Jaw over face height, of the fitted neutral heads.
    heads = [b.model.landmarks(b.model.vertices(t.parameters.identity), "ibug68").numpy() for t in (wide, same)]
    jaws = [np.linalg.norm(h[4] - h[12]) / np.linalg.norm(h[27] - h[8]) for h in heads]
    off = abs(jaws[0] / jaws[1] - 1)
    trust = [float(t.confidence.median()) for t in (wide, same)]
    good = off < 0.02 and abs(trust[0] - trust[1]) < 0.1
    return None if good else f"jaw off by {off:.1%}, confidence {trust[0]:.2f} and {trust[1]:.2f}"


def _alike(one: str, other: str):
    def check(b: Bench) -> str | None:
        a, c = (float(b.fit(name).confidence[0]) for name in (one, other))
        return None if abs(a - c) < 0.2 and min(a, c) > 0.4 else f"confidence {a:.2f} against {c:.2f}"

    return check


ROWS["grey"], ROWS["darkened"] = (
    _alike("16_grey.png", "16_colour.png"),
    _alike("17_darkened.png", "17_same_as_taken.png"),
)


SETTINGS = """
[data]
folder = "people"
[model]
backbone = "resnet20"
features = 32
width = 8
height = 56
width_px = 48
[loss]
head = "softmax"
[training]
iterations = 30
batch = 16
rate = 0.05
drops = [25]
seeds = [0]
workers = 0
checkpoint_every = 10
"""


def _weights(b: Bench) -> Path:
    """A folder of weights of `recognize train`, of few steps."""
    run = b.work / "run"
    if not run.is_dir():
        b.must("synthesize-dataset", "-o", "people", "--identities", 8, "--pictures", 6)
        (b.work / "run.toml").write_text(SETTINGS)
        b.must("recognize", "train", "run.toml", "-o", "run")
    return run


@row
def pairs_that_say_nothing(b: Bench) -> str | None:
    said = b.must("recognize", "evaluate", b.inputs / "18_lfw_dup.toml", _weights(b)).said.lower()
    return None if "itself" in said or "same picture" in said else "not said"


@row
def png_where_there_is_no_jpg(b: Bench) -> str | None:
    b.must("recognize", "evaluate", b.inputs / "18_lfw_png.toml", _weights(b))
    return None


@row
def curves_at_another_rate(b: Bench) -> str | None:
    b.must("edit", b.folder("19_60fps.mp4"), "--csv", b.inputs / "19_30fps_1s.csv", "-o", "curves.track")
    track = Track.load(b.work / "curves.track")
    times, open_ = track.times.numpy() - float(track.times[0]), jaw(track)
    got = [float(open_[np.abs(times - t).argmin()]) for t in (0.2, 0.4, 0.8)]
    return None if np.allclose(got, (0.2, 0.4, 0.8), atol=0.04) else f"jawOpen {got} at 0.2, 0.4, 0.8 s"


@row
def yaw_across_the_back(b: Bench) -> str | None:
    csv = b.inputs / "19_yaw_over_180.csv"
    b.must(
        "edit", b.folder("19_60fps.mp4"), "--csv", csv, "--csv-rate", 30, "--csv-head", "-o", "across.track"
    )  # fmt: skip
    turns = np.degrees(np.abs(np.diff(np.unwrap(np.radians(yaws(Track.load(b.work / "across.track")))))))
    return None if turns.max() < 20 else f"yaw jumps by {turns.max():.0f} degrees"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="names of rows, comma-separated")
    parser.add_argument("--quality", default="balanced")
    a = parser.parse_args()
    wanted = [name for name in ROWS if not a.only or name in a.only.split(",")]
    faults, seconds = {}, {}
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(a.folder, Path(work), a.quality)
        for name in wanted:
            began = time.perf_counter()
            try:
                fault = ROWS[name](bench)
            except Exception as error:  # a row that can't be checked isn't right
                fault = f"{type(error).__name__}: {last_line(str(error))}"
            seconds[name] = round(time.perf_counter() - began, 1)
            print(f"{name}: {'right' if fault is None else fault} ({seconds[name]} s)", file=sys.stderr, flush=True)
            if fault is not None:
                faults[name] = fault
    print(json.dumps({"passed": len(wanted) - len(faults), "of": len(wanted), "faults": faults, "seconds": seconds}))


if __name__ == "__main__":
    main()
