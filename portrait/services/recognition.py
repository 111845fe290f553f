"""``portrait recognize``: experiments are trained, tested and compared; tables and pages come out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import isnan
from pathlib import Path

from facemodel import PortraitError
from foundation.atomic import write_csv, write_file
from foundation.progress import Report, ignore
from neural_render.training import make_fabric
from portrait.reports.recognition import comparison_html, notes_of, results_html
from portrait.services.checks import check_folder, check_page
from portrait.services.events import Finished, Notes, named
from portrait.services.setup import pick_device
from recognition.evaluation import evaluate
from recognition.model import load_embedder
from recognition.results import Comparison, compare, read_results, write_results
from recognition.settings import Experiment, read_experiment
from recognition.training import train, training_data


@dataclass(frozen=True)
class TrainingData:
    """What a run is trained on."""

    folder: Path
    pictures: int
    identities: int
    fewest: int  # pictures of an identity
    most: int
    alone: int  # identities with one picture

    def lines(self) -> list[str]:
        """What there is to say of it."""
        return [
            f"{self.folder}: {self.pictures} pictures of {self.identities} identities, "
            f"{self.fewest} to {self.most} each; {self.alone} identities have one"
        ]


@dataclass(frozen=True)
class Seed:
    """One seed's training."""

    weights: Path
    steps: int
    seconds: float
    resumed_at: int  # step; 0 for none
    losses: Mapping[str, float]

    def lines(self) -> list[str]:
        """What there is to say of it."""
        begun = f" (gone on at step {self.resumed_at})" if self.resumed_at else ""
        losses = ", ".join(f"{k} {v:.3f}" for k, v in self.losses.items())
        return [f"{self.weights}: {self.steps} steps in {self.seconds / 60:.1f} minutes{begun}; {losses}"]


@dataclass(frozen=True)
class TrainedRun:
    """A run: an experiment's training, once for each seed."""

    path: Path
    seeds: tuple[Seed, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class EvaluatedRun:
    """A run's results over its seeds."""

    table: Path
    page: Path
    rows: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        return [*map(_words, self.rows), f"{self.table}, {self.page}"]


@dataclass(frozen=True)
class ComparedRuns:
    """Several runs' results side by side."""

    page: Path
    table: Path
    rows: tuple[Comparison, ...]

    def lines(self) -> list[str]:
        """What there is to say of it."""
        return [*map(_words, self.rows), f"{self.page}, {self.table}"]


def _words(row: Comparison) -> str:
    parts = [f"EER {100 * row.eer:.2f} %"]
    if not isnan(row.accuracy):
        interval = "" if isnan(row.interval) else f" +- {100 * row.interval:.2f}"
        parts.insert(0, f"accuracy {100 * row.accuracy:.2f}{interval} %")
    if not isnan(row.tar[0.01]):
        parts.append(f"TAR {100 * row.tar[0.01]:.2f} % at FAR 0.01")
    return f"{row.run}, {row.protocol}: {', '.join(parts)}"


def train_run(settings: Path, output: Path, *, device: str = "auto", report: Report = ignore) -> TrainedRun:
    """Trains each seed of an experiment into ``output/seed-N``; what is there already goes on or stays.

    Reports the data and each seed as `portrait.services.events.Finished`.
    """
    experiment, device = read_experiment(settings), pick_device(device)
    check_folder(output, "seed-0/weights.safetensors")
    fabric = make_fabric(device, precision=experiment.training.precision, devices=experiment.training.devices)
    main = fabric.is_global_zero  # one process speaks for all
    report = report if main else ignore
    notes, seeds = Notes(report), []
    data = training_data(experiment, report)
    if main:
        report(Finished("data", 1, 1, result=_told(data)))
    if main and data.skipped:
        path = write_file(output / "skipped.csv", "file\n" + "".join(f"{name}\n" for name in data.skipped))
        notes.add(f"{len(data.skipped)} pictures can't be decoded and are left out: '{path}'")
    for seed in experiment.training.seeds:
        done = train(fabric, experiment, data, output / f"seed-{seed}", seed, named(report, f"seed {seed}"))
        if main:
            seeds.append(Seed(done.weights, done.steps, done.seconds, done.resumed_at, done.losses))
            report(Finished(f"seed {seed}", 1, 1, result=seeds[-1]))
    return TrainedRun(output, tuple(seeds), tuple(notes))


def _told(data) -> TrainingData:
    counts = data.folder.counts
    return TrainingData(
        data.folder.root, len(data.folder), len(counts), int(counts.min()), int(counts.max()), int((counts == 1).sum())
    )


def evaluate_run(settings: Path, run: Path, *, device: str = "auto", report: Report = ignore) -> EvaluatedRun:
    """Tests all seeds of a run; writes results.csv, curves.safetensors and results.html into it."""
    experiment, device = read_experiment(settings), pick_device(device)
    if not experiment.evaluate:
        raise PortraitError(f"settings '{settings}': no [[evaluate]] in it; docs/recognition.md has the protocols")
    results, notes = {}, Notes(report)
    for seed, weights in _weights(run).items():
        embedder, facts = load_embedder(weights, device)
        known = facts.get("identities", ())  # weights of earlier versions don't say
        rows = [evaluate(embedder, wanted, experiment.base, report, trained_on=known) for wanted in experiment.evaluate]
        results[seed] = [row for some in rows for row in some]
    table = write_results(run, results)
    rows = compare({run.name: results})
    page = write_file(run / "results.html", results_html(run.name, _facts(experiment), rows, {run.name: results}))
    for note in notes_of({run.name: results}):
        notes.add(note)
    left_out = sum(r.left_out for some in results.values() for r in some)
    unreadable = {name: None for some in results.values() for r in some for name in r.unreadable}
    if unreadable:
        path = write_file(run / "unreadable.csv", "file\n" + "".join(f"{name}\n" for name in unreadable))
        notes.add(
            f"{len(unreadable)} pictures can't be decoded, and {left_out} pairs with them were left out: '{path}'"
        )
    return EvaluatedRun(table, page, tuple(rows), tuple(notes))


def _weights(run: Path) -> dict[int, Path]:
    """The weights of each seed in a run's folder."""
    found = {}
    for path in run.glob("seed-*/weights.safetensors") if run.is_dir() else []:
        match = re.fullmatch(r"seed-(\d+)", path.parent.name)
        if match:
            found[int(match[1])] = path
    if not found:
        raise PortraitError(
            f"run '{run}': no seed-0/weights.safetensors or the like in it; make it with "
            f"'portrait recognize train SETTINGS -o {run}'"
        )
    return dict(sorted(found.items()))


def _facts(experiment: Experiment) -> dict[str, str]:
    """What a report says of the experiment."""
    sections = experiment.identity()
    return {name: ", ".join(f"{k} {v}" for k, v in values.items()) for name, values in sections.items()}


def compare_runs(runs: Sequence[Path], output: Path, *, report: Report = ignore) -> ComparedRuns:
    """Writes a comparison as HTML, and the same table as CSV beside it."""
    if len(runs) < 2:
        raise PortraitError("runs: expected two or more folders to compare, got one")
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run) for run in runs]
    check_page(output)
    results = {name: read_results(run) for name, run in zip(names, runs)}
    rows = compare(results)
    table = write_csv(output.with_suffix(".csv"), _table(rows))
    return ComparedRuns(write_file(output, comparison_html(rows, results)), table, tuple(rows))


def _table(rows: list[Comparison]) -> Iterator[tuple]:
    names = [f.name for f in fields(Comparison) if f.name != "tar"]
    yield *names, *(f"tar_{far:g}" for far in rows[0].tar)
    for row in rows:
        yield *(getattr(row, name) for name in names), *row.tar.values()
