"""Results on disk (results.csv for spreadsheets, curves.safetensors for plots), and runs compared."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from foundation.atomic import write_file
from foundation.errors import PortraitError
from foundation.tensors import read_tensors, write_tensors
from recognition.evaluation import Result
from recognition.verification import RATES, confidence

MAKE = "portrait recognize evaluate SETTINGS FOLDER"
BETWEEN = " | "  # two notes of a row
COLUMNS = (
    "protocol", "seed", "pairs", "left_out", "accuracy", "interval", "std", "eer", "auc",
    *(f"tar_{far:g}" for far in RATES), "rank_one", "folds", "notes",
)  # fmt: skip


def write_results(folder: Path, results: dict[int, list[Result]]) -> Path:
    """Writes the rows of all seeds; the path of the table."""
    table, curves = io.StringIO(), {}
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for seed, rows in results.items():
        for r in rows:
            numbers = {"accuracy": r.accuracy, "interval": r.interval, "std": r.std, "eer": r.eer}
            numbers |= {"auc": r.auc, "rank_one": r.rank_one} | {f"tar_{far:g}": v for far, v in r.tar.items()}
            writer.writerow(
                {"protocol": r.protocol, "seed": seed, "pairs": r.pairs, "left_out": r.left_out}
                | {k: "" if np.isnan(v) else f"{v:.6f}" for k, v in numbers.items()}
                | {"folds": " ".join(f"{a:.6f}" for a in r.accuracies), "notes": BETWEEN.join(r.notes)}
            )
            curves[f"{seed}/{r.protocol}"] = torch.from_numpy(r.curve)
    write_tensors(folder / "curves.safetensors", "curves", 1, curves, {})
    write_file(folder / "results.csv", table.getvalue(), "results")
    return folder / "results.csv"


def read_results(folder: Path) -> dict[int, list[Result]]:
    """What ``write_results`` wrote: a list of results a seed."""
    path = folder / "results.csv"
    if not path.is_file():
        raise PortraitError(f"results '{path}': no such file; make it with '{MAKE}'")
    curves, _ = read_tensors(folder / "curves.safetensors", "curves", 1, MAKE)
    results: dict[int, list[Result]] = {}
    number = lambda text: float(text) if text else float("nan")  # noqa: E731
    try:
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                result = Result(
                    row["protocol"], int(row["pairs"]), int(row["left_out"]),
                    tuple(float(v) for v in row["folds"].split()), number(row["eer"]), number(row["auc"]),
                    {far: number(row[f"tar_{far:g}"]) for far in RATES}, number(row["rank_one"]),
                    curves[f"{row['seed']}/{row['protocol']}"].numpy(),
                    notes=tuple(n for n in (row.get("notes") or "").split(BETWEEN) if n),
                )  # fmt: skip
                results.setdefault(int(row["seed"]), []).append(result)
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise PortraitError(f"results '{path}': can't be used ({error}); make them again with '{MAKE}'") from None
    return results


@dataclass(frozen=True)
class Comparison:
    """One run on one protocol, its seeds averaged, beside the first run."""

    run: str
    protocol: str
    seeds: int
    accuracy: float
    interval: float  # half the 95 % confidence interval over folds
    over_seeds: float  # standard deviation of the seeds' accuracies; NaN for one
    eer: float
    tar: dict[float, float]
    rank_one: float
    gain: float  # accuracy above the first run's, in the same folds
    gain_interval: float  # half of its 95 % confidence interval; NaN where the folds aren't the same


def compare(runs: dict[str, dict[int, list[Result]]]) -> list[Comparison]:
    """Rows by protocol, then by run; protocols that only some runs have are kept, with what there is."""
    protocols = list(dict.fromkeys(r.protocol for run in runs.values() for rows in run.values() for r in rows))
    table = []
    for protocol in protocols:
        base = None
        for name, seeds in runs.items():
            found = [r for rows in seeds.values() for r in rows if r.protocol == protocol]
            if found:
                folds = _mean_folds(found)
                base = folds if base is None else base
                table.append(_compared(name, protocol, found, folds, base))
    return table


def _compared(name: str, protocol: str, found: list[Result], folds: np.ndarray, base: np.ndarray) -> Comparison:
    accuracies = [r.accuracy for r in found]
    paired = folds - base if len(folds) == len(base) and len(folds) else np.array([np.nan])
    return Comparison(
        run=name,
        protocol=protocol,
        seeds=len(found),
        accuracy=float(np.mean(accuracies)),
        interval=confidence(folds),
        over_seeds=float(np.std(accuracies, ddof=1)) if len(found) > 1 else float("nan"),
        eer=float(np.mean([r.eer for r in found])),
        tar={far: float(np.mean([r.tar.get(far, np.nan) for r in found])) for far in RATES},
        rank_one=float(np.mean([r.rank_one for r in found])),
        gain=float(paired.mean()),
        gain_interval=confidence(paired),
    )


def _mean_folds(found: list[Result]) -> np.ndarray:
    """(K,) accuracy of each fold, the mean over seeds; empty without folds."""
    if len({len(r.accuracies) for r in found}) > 1:
        return np.empty(0)
    return np.array([r.accuracies for r in found]).mean(0)
