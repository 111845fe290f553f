"""``portrait recognize``: train, evaluate, compare."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import fields
from math import isnan
from pathlib import Path

from facemodel import PortraitError
from foundation.atomic import write_file
from foundation.progress import Event, ignore
from neural_render.training import make_fabric
from portrait.progress import Progress, say
from portrait.reports.recognition import comparison_html, notes_of, results_html
from portrait.tracks import pick_device
from portrait.video.writer import check_writable
from recognition.evaluation import evaluate
from recognition.model import load_embedder
from recognition.results import Comparison, compare, read_results, write_results
from recognition.settings import Experiment, read_experiment
from recognition.training import TrainingData, train, training_data


def train_run(settings: Path, output: Path, *, device: str) -> None:
    """Trains each seed of an experiment into ``output/seed-N``; what is there already goes on or stays."""
    experiment, device = read_experiment(settings), pick_device(device)
    _check_folder(output)
    settings = experiment.training
    fabric = make_fabric(device, precision=settings.precision, devices=settings.devices)
    with Progress() as progress:
        report = _shown(progress) if fabric.is_global_zero else ignore  # one process speaks for all
        data = training_data(experiment, report)
        if fabric.is_global_zero:
            _tell_data(data, output)
        for seed in experiment.training.seeds:
            report = _shown(progress, f"seed {seed}: ") if fabric.is_global_zero else ignore
            done = train(fabric, experiment, data, output / f"seed-{seed}", seed, report)
            if fabric.is_global_zero:
                begun = f" (gone on at step {done.resumed_at})" if done.resumed_at else ""
                losses = ", ".join(f"{k} {v:.3f}" for k, v in done.losses.items())
                say(f"{done.weights}: {done.steps} steps in {done.seconds / 60:.1f} minutes{begun}; {losses}")


def _shown(progress: Progress, title: str = ""):
    def report(event: Event) -> None:
        progress.update(event.done, event.total, title + event.stage, event.note)

    return report


def _check_folder(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise PortraitError(f"output '{output}': expected a folder, found a file; choose another name")
    check_writable(output / "seed-0" / "weights.safetensors")


def _tell_data(data: TrainingData, output: Path) -> None:
    counts = data.folder.counts
    say(
        f"{data.folder.root}: {len(data.folder)} pictures of {len(counts)} identities, {counts.min()} to "
        f"{counts.max()} each; {int((counts == 1).sum())} identities have one"
    )
    if data.skipped:
        write_file(output / "skipped.csv", "file\n" + "".join(f"{name}\n" for name in data.skipped))
        say(f"  note: {len(data.skipped)} pictures can't be decoded and are left out: '{output / 'skipped.csv'}'")


def evaluate_run(settings: Path, run: Path, *, device: str) -> None:
    """Tests all seeds of a run; writes results.csv, curves.safetensors and results.html into it."""
    experiment, device = read_experiment(settings), pick_device(device)
    if not experiment.evaluate:
        raise PortraitError(f"settings '{settings}': no [[evaluate]] in it; docs/recognition.md has the protocols")
    results = {}
    with Progress() as progress:
        for seed, weights in _weights(run).items():
            embedder, facts = load_embedder(weights, device)
            known = facts.get("identities", ())  # weights of earlier versions don't say
            rows = [
                evaluate(embedder, wanted, experiment.base, _shown(progress), trained_on=known)
                for wanted in experiment.evaluate
            ]
            results[seed] = [row for some in rows for row in some]
    table = write_results(run, results)
    rows = compare({run.name: results})
    write_file(run / "results.html", results_html(run.name, _facts(experiment), rows, {run.name: results}))
    for row in rows:
        say(_line(row))
    for note in notes_of({run.name: results}):
        say(f"  note: {note}")
    left_out = sum(r.left_out for some in results.values() for r in some)
    unreadable = {name: None for some in results.values() for r in some for name in r.unreadable}
    if unreadable:
        write_file(run / "unreadable.csv", "file\n" + "".join(f"{name}\n" for name in unreadable))
        say(
            f"  note: {len(unreadable)} pictures can't be decoded, and {left_out} pairs with them were left out: "
            f"'{run / 'unreadable.csv'}'"
        )
    say(f"{table}, {run / 'results.html'}")


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


def compare_runs(runs: list[Path], output: Path) -> None:
    """Writes a comparison as HTML, and the same table as CSV beside it."""
    if len(runs) < 2:
        raise PortraitError("runs: expected two or more folders to compare, got one")
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run) for run in runs]
    check_writable(output)
    results = {name: read_results(run) for name, run in zip(names, runs)}
    rows = compare(results)
    write_file(output.with_suffix(".csv"), _csv(rows))
    write_file(output, comparison_html(rows, results))
    for row in rows:
        say(_line(row))
    say(f"{output}, {output.with_suffix('.csv')}")


def _csv(rows: list[Comparison]) -> str:
    text = io.StringIO()
    names = [f.name for f in fields(Comparison) if f.name != "tar"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *(f"tar_{far:g}" for far in rows[0].tar)])
    for row in rows:
        writer.writerow([*(getattr(row, name) for name in names), *row.tar.values()])
    return text.getvalue()


def _line(row: Comparison) -> str:
    """What the terminal says of a row."""
    parts = [f"EER {100 * row.eer:.2f} %"]
    if not isnan(row.accuracy):
        interval = "" if isnan(row.interval) else f" +- {100 * row.interval:.2f}"
        parts.insert(0, f"accuracy {100 * row.accuracy:.2f}{interval} %")
    if not isnan(row.tar[0.01]):
        parts.append(f"TAR {100 * row.tar[0.01]:.2f} % at FAR 0.01")
    return f"{row.run}, {row.protocol}: {', '.join(parts)}"
