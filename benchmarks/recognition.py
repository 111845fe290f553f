"""What completed textures are worth to face recognition at large yaw, on people who don't exist.

    python -m benchmarks.recognition --work recognition.work --pictures sheets [--weights uv.weights.safetensors]

People for training and for testing are different ones, and UV-GAN's training has others again. Every picture is fitted
by itself, with landmarks that are the true places with a standard deviation of 1 px; pose, light, expression and focal
length change from picture to picture. One network in one recipe is trained anew on each kind of picture:

- ``aligned``: SphereFace's crop of the photograph; ``dream-stitched``, ``dream`` with Cao et al.'s block on it;
- ``holes``: the texture as far as it is seen; ``mean`` to ``navier-stokes``: completed by the baselines of
  ``benchmarks.completion``; ``uv-gan``: by the network that is trained here, or given with ``--weights``;
- ``augmented``: aligned photographs, in training also renderings of them with completed textures, turned (UV-GAN's
  first use); ``pose-matched``: the same network, comparing renderings of both faces in the same poses (its second).

Pairs are a frontal picture and one turned into a bin of yaw, over ten folds of people (``recognition.poses``).
``accuracy_60`` is over pairs from 60 degrees on: accuracy by method, with ``ci``, half the 95 % interval over folds,
and the gains over ``aligned`` and ``holes`` in the same folds. ``losses`` is one network on UV-GAN's textures under
each loss: verification from 60 degrees on, and how embeddings of the test people lie. ``real`` asks dlib's embedding
whether real turned faces are nearer to themselves when frontalised (see ``benchmarks.recognition_real``).

A stopped run goes on from ``--work``. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from math import isnan
from pathlib import Path

import torch

import facemodel
from benchmarks.recognition_people import PICTURE, Photos, photograph
from benchmarks.recognition_real import compare_clips
from benchmarks.recognition_runs import ALL, BATCH, FAR, LIBRARY_RATE, NETWORK, RATE, Trainer, geometry, protocol
from benchmarks.recognition_views import (  # fmt: skip
    ALIGNED,
    AUGMENTED,
    FILLED,
    HOLES,
    POSES,
    Views,
    write_metadata,
    write_person,
)
from benchmarks.sheets import save_sheet
from foundation.atomic import write_file
from foundation.errors import PortraitError
from neural_render.uv_gan.weights import CompletionWeights
from portrait.services.setup import Setup
from portrait.services.uv_training import UVTrainingOptions, train_uv
from portrait.video.source import file_hash
from recognition.pictures import read_picture
from recognition.results import Comparison, compare
from recognition.settings import LossSettings

STRANGERS = 100_000  # number of the first person to test with
TEST_PICTURES = 12  # two frontal ones and two in each bin of yaw
OURS, BASES = "uv-gan", (ALIGNED, HOLES)
USUAL = LossSettings(head="softmax")
LOSSES = {
    "softmax": USUAL,
    "softmax + centre": LossSettings(head="softmax", center=0.008),
    "softmax + ring": LossSettings(head="softmax", ring=0.01),
    "a-softmax (SphereFace)": LossSettings(head="a-softmax"),
    "a-softmax + exclusive (RegularFace)": LossSettings(head="a-softmax", exclusive=2.0),
    "a-softmax + uniform (UniformFace)": LossSettings(head="a-softmax", uniform=1.0),
    "arcface": LossSettings(head="arcface"),
    "cosface": LossSettings(head="cosface"),
}
Runs = dict[str, dict]


def settle(folder: Path, facts: dict) -> None:
    """Notes what a folder is made with. PortraitError where it was made with something else."""
    path, wanted = folder / "settings.json", json.loads(json.dumps(facts))
    if path.is_file() and (found := json.loads(path.read_text(encoding="utf-8"))) != wanted:
        raise PortraitError(f"'{folder}': was made with {found}, not {wanted}; choose another --work")
    write_file(path, json.dumps(wanted))


def people_of(o: argparse.Namespace) -> list[tuple[int, bool]]:
    """Numbers of all people, and whether they are for testing."""
    return [(k, False) for k in range(o.people)] + [(STRANGERS + k, True) for k in range(o.test_people)]


def draw_people(o: argparse.Namespace) -> None:
    """Photographs and fits of all people, as far as they aren't there."""
    folder, everyone = o.work / "photos", people_of(o)
    settle(folder, {"pictures": o.pictures_each, "test_pictures": TEST_PICTURES})
    for done, (number, test) in enumerate(everyone, 1):
        path = photos_of(o, number)
        if not path.is_file():
            photograph(number, TEST_PICTURES if test else o.pictures_each, test=test).save(path, {"number": number})
        tell(done, len(everyone), "people drawn and fitted")


def show_to_methods(o: argparse.Namespace, weights: Path) -> None:
    """Every method's pictures of all people, as far as they aren't there."""
    model, root, everyone, known = facemodel.load(), o.work / "views", people_of(o), []
    settle(root, {"people": o.people, "test_people": o.test_people, "weights": file_hash(weights)})
    views = Views(model, CompletionWeights.load(weights, model).network())
    for done, (number, test) in enumerate(everyone, 1):
        name, photos = f"{number:06d}", Photos.load(photos_of(o, number))
        if not (root / ALIGNED / name).is_dir():
            write_person(root, name, views.of_person(photos, test=test, seed=number))
        known.append((name, test, photos.yaw))
        tell(done, len(everyone), "people unwrapped and completed")
    write_metadata(root, known)


def photos_of(o: argparse.Namespace, number: int) -> Path:
    return o.work / "photos" / f"{number:06d}.safetensors"


def tell(done: int, total: int, what: str) -> None:
    if done % 50 == 0 or done == total:
        print(f"  {done} of {total} {what}", flush=True)


def run_methods(trainer: Trainer) -> dict[str, Runs]:
    """Results of every method, by its name."""
    out, networks = {}, {}
    for view in (ALIGNED, HOLES, *FILLED, AUGMENTED):
        twice = 2 if view == AUGMENTED else 1  # it has twice the pictures: as many epochs as the others
        networks[view] = trainer.train(view, trainer.experiment(view, USUAL, times=twice))
        out[view] = trainer.results(view, networks[view], (view,))
    out["pose-matched"] = trainer.results("pose-matched", networks[AUGMENTED], POSES)
    stitched = {seed: trainer.stitched(e, ALIGNED, seed) for seed, e in networks[ALIGNED].items()}
    out["dream-stitched"] = trainer.results("dream-stitched", stitched, (ALIGNED,))
    whole = trainer.train("dream", trainer.experiment(ALIGNED, USUAL, replace(NETWORK, dream="end-to-end")))
    out["dream"] = trainer.results("dream", whole, (ALIGNED,))
    return out


def run_losses(trainer: Trainer) -> dict[str, dict[str, float]]:
    """Verification from 60 degrees on and geometry of the embeddings under each loss, the first seed's."""
    table, people = {}, trainer.people(OURS)
    for name, loss in LOSSES.items():
        run = OURS if loss == USUAL else f"loss {name}"
        rate = LIBRARY_RATE if loss.head in ("arcface", "cosface") else RATE
        embedders = trainer.train(run, trainer.experiment(OURS, loss, rate=rate))
        rows = compare({name: trainer.results(run, embedders, (OURS,))})
        far = next(r for r in rows if r.protocol == protocol(*FAR))
        own = trainer.embed(next(iter(embedders.values())), (OURS,))[:, : NETWORK.features]  # without the mirrored half
        table[name] = figures(far) | geometry(own, people.labels)
    return table


def figures(row: Comparison) -> dict[str, float | None]:
    """A row's numbers for JSON, which has no NaN: None where there are too few pairs for a TAR."""
    tar = row.tar[0.01]
    return {"accuracy": row.accuracy, "ci": row.interval, "eer": row.eer, "tar": None if isnan(tar) else tar}


def accuracy_60(rows: list[Comparison], against: dict[str, list[Comparison]]) -> dict[str, dict[str, float]]:
    """The figure that counts, by method. against: the same rows with other bases, by their names."""
    table = {}
    for k, row in enumerate(rows):
        entry = figures(row)
        for base, others in against.items():
            entry |= {f"gain_over_{base}": others[k].gain, f"gain_over_{base}_ci": others[k].gain_interval}
        table[row.run] = entry
    return table


def compared(results: dict[str, Runs], base: str) -> list[Comparison]:
    """Rows from 60 degrees on, in the order of ``results``, with gains over ``base``."""
    ordered = {base: results[base]} | results
    rows = {r.run: r for r in compare(ordered) if r.protocol == protocol(*FAR)}
    return [rows[name] for name in results]


def show(results: dict[str, Runs]) -> dict:
    """Prints accuracy, EER and TAR by yaw and method; returns them."""
    names = [protocol(*bounds) for bounds in ALL]
    rows = {(r.run, r.protocol): r for r in compare(results)}
    table: dict = {}
    for title, value in (
        ("accuracy, %", lambda r: r.accuracy), ("half of its 95 % interval", lambda r: r.interval),
        ("EER, %", lambda r: r.eer), ("TAR at FAR 0.01, %", lambda r: r.tar[0.01]),
    ):  # fmt: skip
        print(f"{title:26}" + "".join(f"{n:>9}" for n in names))
        for run in results:
            print(f"  {run:24}" + "".join(f"{100 * value(rows[run, n]):9.1f}" for n in names), flush=True)
    for (run, name), r in rows.items():
        table.setdefault(run, {})[name] = figures(r)
    return table


def sheets(o: argparse.Namespace) -> None:
    """Rows: photographs of test people, and what each method makes of them."""
    pictures, root = [], o.work / "views"
    views = [ALIGNED, HOLES, *FILLED, *POSES]
    for number in range(STRANGERS, STRANGERS + min(o.test_people, 2)):
        photos = Photos.load(photos_of(o, number))
        for k in (0, 2, 4, 5):  # frontal, 30 to 45, 60 to 75, 75 to 90 degrees
            left = (PICTURE - PICTURE * 48 // 56) // 2
            made = [read_picture(root / view / f"{number:06d}" / f"{k:03d}.png") for view in views]
            pictures += [photos.pictures[k][:, left : PICTURE - left], *made]
    path = save_sheet(o.pictures / "recognition.png", pictures, columns=len(views) + 1, height=112)
    print(f"{path}: photograph, {', '.join(views)}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("recognition.work"), help="folder for everything made")
    parser.add_argument("--pictures", type=Path, help="folder for contact sheets")
    parser.add_argument("--weights", type=Path, help="of 'portrait uv-train', in place of a training here")
    parser.add_argument("--uv-minutes", type=float, default=20.0, help="of UV-GAN's training")
    parser.add_argument("--uv-people", type=int, default=1200, help="that it is trained on")
    parser.add_argument("--people", type=int, default=160, help="to train recognition on")
    parser.add_argument("--pictures-each", type=int, default=8, help="of each of them")
    parser.add_argument("--test-people", type=int, default=60, help="others")
    parser.add_argument("--iterations", type=int, default=400, help="of each training")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each kind")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="for the check on real people, one a clip")
    return parser.parse_args()


def main() -> None:
    o = parse()
    torch.set_num_threads(1)
    draw_people(o)
    weights = o.weights or o.work / "uv.weights.safetensors"
    if o.weights is None and not weights.is_file():
        options = UVTrainingOptions(synthetic=o.uv_people, minutes=o.uv_minutes, size=64, width=24)
        train_uv(weights, options, setup=Setup(device="cpu"))
    show_to_methods(o, weights)
    trainer = Trainer(o.work / "views", o.work / "runs", o.iterations, tuple(range(o.seeds)))
    settle(trainer.runs, {"iterations": o.iterations, "batch": BATCH, "seeds": o.seeds})
    results = run_methods(trainer)
    by_yaw = show(results)
    far = accuracy_60(compared(results, ALIGNED), {base: compared(results, base) for base in BASES})
    losses = run_losses(trainer)
    for name, row in losses.items():
        print(f"  {name:36}" + ", ".join(f"{k} {v:.3f}" for k, v in row.items() if v is not None), flush=True)
    if o.pictures:
        sheets(o)
    real = compare_clips(o.clips, weights, o.pictures) if o.clips else None
    print(
        json.dumps(
            {"by_yaw": by_yaw, "losses": losses, "real": real, "people": o.people, "test_people": o.test_people,
             "iterations": o.iterations, "seeds": o.seeds, "accuracy_60": far}
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
