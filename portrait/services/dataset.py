"""``portrait synthesize-dataset``: pictures of people who don't exist, in the layout of ``recognition.folder``."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from facemodel import PortraitError
from foundation.atomic import write_file
from foundation.errors import write_error
from portrait.files import synthetic_note
from portrait.progress import Progress, say
from portrait.tracks import default_model
from portrait.video.writer import check_writable
from synthetic import RandomShots, Shot, SkinAtlas, make_person, shoot

CHART = 256  # texels a side of a person's skin
ALIGNED_FROM, FILL = 240, 0.6  # px of the picture that SphereFace's crop is cut from, and what the head fills of it
COLUMNS = ("file", "identity", "yaw", "pitch", "split", "light", "expression")


@dataclass(frozen=True)
class Plan:
    """What decides every pixel of a data set, but for how many people there are."""

    seed: int
    pictures: int
    size: int | None  # px of square pictures; None is SphereFace's crop
    test: float  # share of the people in the split "test"
    scenes: RandomShots

    def shots(self, identity: int) -> list[Shot]:
        draw = np.random.default_rng([self.seed, identity, 5])
        return [self.scenes.shot(draw, k) for k in range(self.pictures)]

    def split(self, identity: int) -> str:
        """A function of the person alone, so that it stays when people are added."""
        chance = np.random.default_rng([self.seed, identity, 6]).random()
        return "test" if chance < self.test else "train"


def synthesize_dataset(
    output: Path, *, identities: int, pictures: int, seed: int, max_yaw: float, yaws: str | None, lights: bool,
    expressions: bool, test: float, size: int | None, processes: int | None,
) -> None:  # fmt: skip
    """Draws what isn't there yet, then writes metadata.csv. PortraitError for a folder of other settings."""
    check_numbers(identities, pictures, seed, max_yaw, test, size, processes)
    scenes = RandomShots(yaw=max_yaw, yaws=parse_yaws(yaws), lights=lights, expressions=expressions)
    plan = Plan(seed, pictures, size, test, scenes)
    settle_folder(output, plan)
    names = {k: f"{k:05d}" for k in range(identities)}
    missing = [k for k, name in names.items() if not (output / name).is_dir()]
    count = min(processes or os.cpu_count() or 1, max(len(missing), 1))
    with Progress() as progress:
        done = identities - len(missing)
        progress.update(done, identities, "people")
        for _ in draw_all(plan, [(output / names[k], k) for k in missing], count):
            done += 1
            progress.update(done, identities, "people")
    write_metadata(output, plan, names)
    say(
        f"{output}: {identities * pictures} pictures of {identities} people who don't exist "
        f"({len(missing)} drawn now); metadata.csv says yaw, pitch, split and seeds"
    )


def draw_all(plan: Plan, people: list[tuple[Path, int]], processes: int):
    """Draws people into their folders, in several processes where asked for; yields as each is done."""
    if processes == 1 or len(people) < 2:
        for folder, identity in people:
            yield draw_person(plan, folder, identity)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        try:
            yield from pool.map(draw_person, [plan] * len(people), *zip(*people), chunksize=4)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def draw_person(plan: Plan, folder: Path, identity: int) -> Path:
    """All pictures of one person; the folder appears whole or not at all."""
    import cv2

    model, chart = _model_and_chart()
    person = make_person(model, chart, plan.seed, identity)
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for k, shot in enumerate(plan.shots(identity)):
            picture = shoot(model, person, shot, plan.size) if plan.size else aligned(model, person, shot)
            encoded = cv2.imencode(".png", picture[..., ::-1])[1]
            (partial / f"{k:03d}.png").write_bytes(encoded.tobytes())
        os.replace(partial, folder)
    except OSError as error:
        raise write_error("data set", folder, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def aligned(model, person, shot: Shot) -> np.ndarray:
    """SphereFace's crop by the true places of the five points, as ``portrait recognize align`` cuts it."""
    from fitting.landmarks.base import Face
    from recognition.alignment import align_face
    from renderer import project, to_camera
    from synthetic import frame_shot

    picture = shoot(model, person, shot, ALIGNED_FROM, FILL)
    p, camera = frame_shot(model, person, shot, ALIGNED_FROM, FILL)
    marks = model.landmarks(model.vertices(p.identity, p.expression, p.gaze), "mediapipe478")
    points = project(to_camera(marks, p.rotation, p.translation), camera).double().numpy()
    return align_face(picture, Face(points, "mediapipe478", 1.0))


def settle_folder(output: Path, plan: Plan) -> None:
    """Writes dataset.json, or checks that the one there says the same; clears what a stopped run left half done."""
    wanted = json.loads(json.dumps({**asdict(plan), "note": synthetic_note("synthesize-dataset")}))
    path = output / "dataset.json"
    check_writable(path)
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PortraitError(f"'{path}': can't be read ({error}); choose another folder") from None
        other = [k for k in wanted if k != "note" and found.get(k) != wanted[k]]
        if other:
            raise PortraitError(
                f"data set '{output}': was drawn with other settings ({', '.join(other)}); choose another folder, "
                "or the settings in its dataset.json"
            )
    elif output.is_dir() and any(output.iterdir()):
        raise PortraitError(f"data set '{output}': the folder isn't empty and has no dataset.json; choose another one")
    else:
        write_file(path, json.dumps(wanted, indent=1))
    for left in output.glob("*.partial"):
        shutil.rmtree(left, ignore_errors=True)


def write_metadata(output: Path, plan: Plan, names: dict[int, str]) -> None:
    """A row a picture, in the order of the files; people beyond ``names`` that lie there have rows too."""
    there = {int(p.name): p.name for p in output.iterdir() if p.is_dir() and p.name.isdigit()}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for identity, name in sorted({**names, **there}.items()):
        for k, shot in enumerate(plan.shots(identity)):
            angles = f"{shot.yaw:.3f}", f"{shot.pitch:.3f}"
            table.writerow([f"{name}/{k:03d}.png", name, *angles, plan.split(identity), shot.light, shot.expression])
    write_file(output / "metadata.csv", text.getvalue())


def check_numbers(
    identities: int, pictures: int, seed: int, max_yaw: float, test: float, size: int | None, processes: int | None
) -> None:
    """PortraitError for a number out of its range."""
    for name, value, low, high in (
        ("identities", identities, 1, 99_999),
        ("pictures", pictures, 1, 999),
        ("seed", seed, 0, 2**31),
        ("max-yaw", max_yaw, 0, 120),
        ("test", test, 0, 1),
        ("size", size, 32, 1024),
        ("processes", processes, 1, 1024),
    ):
        if value is not None and not low <= value <= high:
            raise PortraitError(f"--{name}: expected {low} to {high}, got {value}")


def parse_yaws(text: str | None) -> tuple[float, ...]:
    """``0,45,-90`` as numbers."""
    try:
        yaws = tuple(float(part) for part in text.split(",")) if text is not None else ()
    except ValueError:
        yaws = (float("nan"),)
    if not all(-120 <= yaw <= 120 for yaw in yaws):
        raise PortraitError(f"--yaws '{text}': expected degrees from -120 to 120 with commas between, such as 0,45,-90")
    return yaws


@cache
def _model_and_chart():  # once a process
    model = default_model()
    return model, SkinAtlas.of(model, CHART)


def _one_thread() -> None:
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
