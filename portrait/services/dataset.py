"""``portrait synthesize-dataset``: pictures of people who don't exist, in the layout of ``recognition.folder``."""

from __future__ import annotations

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
from foundation.atomic import partial_of, write_csv, write_file
from foundation.errors import write_error
from foundation.processes import leave_with_parent
from foundation.progress import Event, Report, ignore
from portrait.files import synthetic_note
from portrait.services.checks import MOST, check_folder, check_number
from portrait.services.setup import Setup
from synthetic import RandomShots, Shot, SkinAtlas, make_person, shoot

TEXELS = 256  # texels a side of a person's skin
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


@dataclass(frozen=True)
class DatasetOptions:
    """What is drawn."""

    identities: int = 1000
    pictures: int = 12  # of each
    seed: int = 0  # another one is other people
    max_yaw_deg: float = 90.0  # heads turn at most so far to either side
    yaws_deg: tuple[float, ...] = ()  # or these yaws, one after the other
    lights: bool = True  # a light a picture, or even light
    expressions: bool = True  # an expression a picture, or none
    test: float = 0.1  # share of the people in the split "test"
    size: int | None = None  # px of square pictures; None is SphereFace's crop
    processes: int | None = None  # None: one a core

    def check(self) -> None:
        """Raises PortraitError for a number out of its range."""
        check_number("identities", self.identities, 1, 99_999)
        check_number("pictures", self.pictures, 1, 999)
        check_number("seed", self.seed, 0, MOST)
        check_number("max-yaw", self.max_yaw_deg, 0, 120, unit=" degrees")
        check_number("test", self.test, 0, 1)
        check_number("size", self.size, 32, 1024, unit=" pixels")
        check_number("processes", self.processes, 1, 1024)
        for yaw in self.yaws_deg:
            check_number("yaws", yaw, -120, 120, unit=" degrees")

    @property
    def plan(self) -> Plan:
        """What decides every pixel."""
        scenes = RandomShots(yaw=self.max_yaw_deg, yaws=self.yaws_deg, lights=self.lights, expressions=self.expressions)
        return Plan(self.seed, self.pictures, self.size, self.test, scenes)


@dataclass(frozen=True)
class Dataset:
    """A folder of pictures of people who don't exist."""

    path: Path
    identities: int
    pictures: int  # of each
    drawn: int  # people that weren't there yet

    def lines(self) -> list[str]:
        """What there is to say of it."""
        return [
            f"{self.path}: {self.identities * self.pictures} pictures of {self.identities} people who don't exist "
            f"({self.drawn} drawn now); metadata.csv says yaw, pitch, split and seeds"
        ]


def synthesize_dataset(
    output: Path, options: DatasetOptions = DatasetOptions(), *, setup: Setup = Setup(), report: Report = ignore
) -> Dataset:
    """Draws what isn't there yet, then writes metadata.csv. PortraitError for a folder of other settings."""
    options.check()
    setup = setup.started()
    plan, identities = options.plan, options.identities
    settle_folder(output, plan, setup)
    names = {k: f"{k:05d}" for k in range(identities)}
    missing = [k for k, name in names.items() if not (output / name).is_dir()]
    count = min(options.processes or os.cpu_count() or 1, max(len(missing), 1))
    there = identities - len(missing)
    report(Event("people", there, identities, "people"))
    for done, _ in enumerate(draw_all(plan, setup, [(output / names[k], k) for k in missing], count), there + 1):
        report(Event("people", done, identities, "people"))
    write_metadata(output, plan, names)
    return Dataset(output, identities, options.pictures, len(missing))


def draw_all(plan: Plan, setup: Setup, people: list[tuple[Path, int]], processes: int):
    """Draws people into their folders, in several processes where asked for; yields as each is done."""
    if processes == 1 or len(people) < 2:
        for folder, identity in people:
            yield draw_person(plan, setup, folder, identity)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=begin_process) as pool:
        try:
            yield from pool.map(draw_person, [plan] * len(people), [setup] * len(people), *zip(*people), chunksize=4)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def draw_person(plan: Plan, setup: Setup, folder: Path, identity: int) -> Path:
    """All pictures of one person; the folder appears whole or not at all."""
    import cv2

    model, skin = _model_and_skin(setup)
    person = make_person(model, skin, plan.seed, identity)
    partial = partial_of(folder)
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
    from synthetic import frame_shot

    picture = shoot(model, person, shot, ALIGNED_FROM, FILL)
    p, camera = frame_shot(model, person, shot, ALIGNED_FROM, FILL)
    return align_face(picture, Face(p.landmarks(model, camera).double().numpy(), "mediapipe478", 1.0))


def settle_folder(output: Path, plan: Plan, setup: Setup) -> None:
    """Writes dataset.json, or checks that the one there says the same; clears what a stopped run left half done."""
    settings = asdict(plan) | ({} if setup.model is None else {"model": setup.face_model("cpu").fingerprint})
    wanted = json.loads(json.dumps({**settings, "note": synthetic_note("synthesize-dataset")}))
    path = output / "dataset.json"
    check_folder(output, path.name)
    if path.exists():
        try:
            found = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise PortraitError(f"'{path}': can't be read ({error}); choose another folder") from None
        other = [k for k in {**wanted, **found} if k != "note" and found.get(k) != wanted.get(k)]
        if other:
            raise PortraitError(
                f"data set '{output}': was drawn with other settings ({', '.join(other)}); choose another folder, "
                "or the settings in its dataset.json"
            )
    elif output.is_dir() and any(p != partial_of(path) for p in output.iterdir()):  # a run stopped at once leaves that
        raise PortraitError(f"data set '{output}': the folder isn't empty and has no dataset.json; choose another one")
    else:
        write_file(path, json.dumps(wanted, indent=1), "data set")
    for left in output.glob("*.partial"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def write_metadata(output: Path, plan: Plan, names: dict[int, str]) -> None:
    """A row a picture, in the order of the files; people beyond ``names`` that lie there have rows too."""
    there = {int(p.name): p.name for p in output.iterdir() if p.is_dir() and p.name.isdigit()}
    rows = [COLUMNS]
    for identity, name in sorted({**names, **there}.items()):
        for k, shot in enumerate(plan.shots(identity)):
            angles = f"{shot.yaw:.3f}", f"{shot.pitch:.3f}"
            rows.append([f"{name}/{k:03d}.png", name, *angles, plan.split(identity), shot.light, shot.expression])
    write_csv(output / "metadata.csv", rows, "data set")


@cache
def _model_and_skin(setup: Setup):  # once a process
    model = setup.started().face_model("cpu")
    return model, SkinAtlas.of(model, TEXELS)


def begin_process() -> None:
    """What a process that draws does first."""
    leave_with_parent()
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
