"""All methods of reenactment on the same unseen people, after the same time to learn: what works, and how well.

    python -m benchmarks.methods --minutes M [--size 64] [--only NAME ...] [--parts 4] [--corpus FOLDER]
        [--work FOLDER] [--real VIDEO ...] [--write]

Methods that learn from many are trained on the people of the corpus' split "train" (200 of 240) for M minutes of the
processor's time, one core, and tried on the other 40: everybody is driven by another clip of their own ("same") and by
one of the next person ("across"), in performances that nobody has seen, and every picture is compared with the true
one; see `methods_measures`. Beside them are ``still``, the target's picture unmoved, ``face2face``, which learns
nothing and is given the true tracks, and ``truth``, which is what the measures say of the true picture. A method that
shows only whom it was adapted to is adapted to four of the test people, in M minutes together; and one that learns a
single person from a clip, Deep Video Portraits, is trained on the same four in as much time, with their true tracks.
With --real those who learnt from many, and ``face2face``, are tried on videos of one person each and without cuts, too:
somebody is driven by a later stretch of their own video (`methods_real`). Each paper's claims are in
``benchmarks/claims``. With --parts each training is also measured after so many equal parts
of its time, on a few pairs; and one that goes on for longer than it was measured after keeps those figures as well.

The corpus is drawn where it isn't there. Trainings are kept in --work, a folder a method, and gone on with after a
stop; a method that is measured is not measured again for the same weights. --write puts the figures where `portrait
methods` shows them, beside those of other runs on as many people, and tables and strips of pictures into
docs/methods.md; those of real people stay in --work. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console

from benchmarks.methods_bench import Bench, Pictures
from benchmarks.methods_people import SEEN
from benchmarks.methods_real import REAL
from benchmarks.methods_report import contact_sheet, markdown, put_into, strips, write_figures, write_strip
from benchmarks.methods_training import learns_from_many, shows_one, train, weights_path
from foundation.atomic import write_file
from foundation.progress import Report
from neural_render.methods.base import METHODS, Method
from neural_render.methods.common.people import PeopleMethod, to_pixels
from portrait.commands.progress import Progress
from portrait.services.catalogue import FIGURES
from portrait.services.clips_dataset import ClipOptions, synthesize_clips
from portrait.video.source import file_hash

CORPUS = ClipOptions(
    identities=240, clips=8, performances=64, frames=24, fps=8.0, seed=20, test=1 / 6, size=96, processes=2
)
BASELINES = ("truth", "still", "face2face", "deep-video-portraits")
SHOWN = 4  # pairs of each kind on the contact sheet
PAGE, STRIPS = Path("docs/methods.md"), Path("docs/images/methods")


def measured(bench: Bench, name: str, minutes: float, parts: int, report: Report) -> tuple[dict, dict[str, Pictures]]:
    """A method's figures, and the pictures by kind; both are kept for its weights."""
    if name in ("truth", "still"):
        made = {kind: bench.baseline(name, kind) for kind in bench.pairs}
        return bench.figures(made), made
    method, weights, path, facts = METHODS[name](), None, None, {}
    if learns_from_many(name):
        curve = bench.curve(name, minutes, parts, report) if parts > 1 and method.target.pictures else []
        path = train(method, bench.clips, bench.work, bench.size, minutes, report=report)
        weights = method.load(path)
        facts = {"steps": weights.header.steps, "minutes": round(weights.header.seconds / 60, 2)}
        facts |= {"curve": curve} if curve else {}
    elif shows_one(method):
        facts = {"minutes": minutes}

    def figures(made: dict[str, Pictures]) -> dict:
        claims = {} if weights is None else {"claims": bench.claims(name, weights, minutes, report)}
        return facts | bench.figures(made) | claims

    return kept(bench, name, method, weights, {"weights": file_hash(path) if path else facts}, minutes, figures, report)


def on_videos(real: Bench, name: str, report: Report) -> tuple[dict, dict[str, Pictures]] | None:
    """The same on real clips, of a method whose weights are there; None for one that shows a single person."""
    if name in ("truth", "still"):
        made = {REAL: real.baseline(name, REAL)}
        return real.figures(made), made
    method, weights, path = METHODS[name](), None, None
    if shows_one(method):
        return None
    if learns_from_many(name):
        path = weights_path(method, real.work)
        weights = method.load(path)
    videos = dict.fromkeys(clip.source["digest"] for clip in real.unseen.clips)
    digest = {"weights": file_hash(path) if path else "", "videos": list(videos)}
    return kept(real, name, method, weights, digest, 0, real.figures, report)


def kept(
    bench: Bench, name: str, method: Method, weights, digest: dict, minutes: float,
    figures: Callable[[dict[str, Pictures]], dict], report: Report,
) -> tuple[dict, dict[str, Pictures]]:  # fmt: skip
    """What a method makes of the pairs, and its figures; from the method's folder where that is of the same digest."""
    digest |= {
        "people": len(bench.unseen.faces.people),
        "seen": list(SEEN),
        "settings": trained_with(method, bench.size),
    }
    stem = "-".join(bench.pairs)
    told, shown = bench.work / name / f"figures-{stem}.json", bench.work / name / f"pictures-{stem}.npz"
    known = json.loads(told.read_text()) if told.is_file() else {"of": {}}
    if known["of"] == digest:
        with np.load(shown) as file:
            return known["figures"], {kind: [list(pair) for pair in file[kind]] for kind in bench.pairs}
    made = {kind: bench.made_pictures(method, weights, kind, minutes, report) for kind in bench.pairs}
    found = figures(made)
    if known["of"] and {**known["of"], "weights": digest["weights"]} == digest:
        found = gone_on(known["figures"], found)
    told.parent.mkdir(parents=True, exist_ok=True)
    np.savez(shown, **{kind: np.array(pictures) for kind, pictures in made.items()})
    write_file(told, json.dumps({"of": digest, "figures": found}, indent=1), "figures")
    return found, made


def trained_with(method: Method, size: int) -> str:
    """All that decides a training beside its length, in words; "" of a method that doesn't learn from many."""
    return str(method.settings(method.options(size=size))) if isinstance(method, PeopleMethod) else ""


def gone_on(before: Mapping, now: dict) -> dict:
    """Figures with those of the same training when it was shorter on their curve."""
    if before.get("steps", 0) >= now.get("steps", 0):
        return now
    point = {"minutes": before["minutes"], "steps": before["steps"], **before["over_still"]}
    point |= {"claims": before["claims"]} if "claims" in before else {}
    points = {p["steps"]: p for p in (*before.get("curve", ()), point, *now.get("curve", ()))}
    return now | {"curve": [points[steps] for steps in sorted(points)]}


def columns(bench: Bench) -> list[tuple[str, int]]:
    """Kind and number of the pairs on a contact sheet."""
    return [(kind, k) for kind, pairs in bench.pairs.items() for k in range(min(SHOWN, len(pairs)))]


def headings(bench: Bench) -> list[str]:
    return [f"{kind} {k + 1}" for kind, k in columns(bench)]


def rows_of(bench: Bench, made: dict[str, dict[str, Pictures]]) -> dict[str, list[np.ndarray]]:
    """Of a contact sheet, by name: who drives, who is driven, the truth, and what each method makes."""
    pairs, pictures = columns(bench), bench.unseen.faces.pictures
    drivers = [to_pixels(pictures(bench.pairs[kind][k].driven[-1:]))[0] for kind, k in pairs]
    names = sorted(made, key=lambda name: (name != "still", name != "truth"))
    shown = {name: [made[name][kind][k][-1] for kind, k in pairs if k < len(made[name][kind])] for name in names}
    return {"driver": drivers} | {"target" if name == "still" else name: row for name, row in shown.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--people", type=int, default=40, help="of the test people, so many")
    parser.add_argument("--work", type=Path, default=Path("bench.methods"))
    parser.add_argument("--corpus", type=Path, help="default: people240 in --work")
    parser.add_argument("--real", type=Path, nargs="+", default=[], metavar="VIDEO", help="of one person, without cuts")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    names = args.only or [*BASELINES, *(name for name in METHODS if learns_from_many(name))]
    with Progress() as report:
        folder = args.corpus or args.work / "people240"
        synthesize_clips(folder, CORPUS, report=report)
        bench = Bench.of(folder, args.work, args.size, args.people, report)
        real = Bench.of_videos(args.real, args.work, args.size, report) if args.real else None
        found, made, made_real = {}, {}, {}
        for name in names:
            found[name], made[name] = measured(bench, name, args.minutes, args.parts, report)
            if real is not None and (told := on_videos(real, name, report)) is not None:
                found[name][REAL], made_real[name] = told
            print(json.dumps({name: found[name]}), flush=True)
    settings = {
        "size": args.size, "people": len(bench.unseen.faces.people), "learnt_from": len(bench.trained.people),
    }  # fmt: skip
    Console().print(markdown(settings, found))
    sheets = {"sheet.jpg": (bench, made)} | ({} if real is None else {"sheet-real.jpg": (real, made_real)})
    for name, (tried, pictures) in sheets.items():
        contact_sheet(args.work / name, rows_of(tried, pictures), headings(tried))
    if args.write:
        write_figures(FIGURES, settings, found)
        told = json.loads(FIGURES.read_text())["methods"]
        for name, pictures in rows_of(bench, made).items():
            write_strip(STRIPS / f"{name}.jpg", pictures)
        put_into(PAGE, "\n".join([markdown(settings, told), *strips(list(told), STRIPS, PAGE, headings(bench))]))
    print(json.dumps({"settings": settings, "methods": found}))


if __name__ == "__main__":
    main()
