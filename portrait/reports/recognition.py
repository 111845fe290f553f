"""HTML of recognition results: tables and ROC curves in one file, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.figure import Figure

from portrait.files import VERSION
from portrait.reports.page import page
from portrait.reports.plots import svg
from recognition.evaluation import Result
from recognition.results import Comparison

Runs = dict[str, dict[int, list[Result]]]
INTERVALS = (
    "Accuracy: the threshold comes from the other folds; +- is half of the 95 % confidence interval over folds "
    "(Student's t); folds share training data, so the truth is somewhat wider. A dash: the protocol doesn't have it, "
    "or has too few pairs of different people for that rate."
)


def results_html(name: str, facts: dict[str, str], rows: Sequence[Comparison], runs: Runs) -> str:
    """The report of one run."""
    settings = "".join(f"<tr><th>{escape(k)}<td>{escape(v)}" for k, v in facts.items())
    seeds = "".join(
        f"<tr><td>{seed}<td>{escape(r.protocol)}<td>{_percent(r.accuracy, r.interval)}<td>{_percent(r.std)}"
        f"<td>{r.pairs}<td>{r.left_out}"
        for some in runs.values()
        for seed, results in some.items()
        for r in results
    )
    return _page(
        f"Recognition: {name}",
        _table(rows, compared=False),
        _notes(runs),
        "<h2>Each seed</h2><table><tr><th>seed<th>protocol<th>accuracy<th>std of folds<th>pairs<th>left out"
        f"{seeds}</table>",
        "<h2>ROC</h2>" + _curves(runs),
        f"<h2>Settings</h2><table>{settings}</table>",
    )


def comparison_html(rows: Sequence[Comparison], runs: Runs) -> str:
    """The report of several runs side by side."""
    return _page(
        "Recognition: " + " against ".join(runs), _table(rows, compared=True), _notes(runs),
        "<h2>ROC</h2>" + _curves(runs),
    )  # fmt: skip


def notes_of(runs: Runs) -> list[str]:
    """What is to be said of the protocols' lists, each once."""
    protocols: dict[str, dict[str, None]] = {}
    for result in (r for some in runs.values() for rows in some.values() for r in rows):
        for note in result.notes:
            protocols.setdefault(note, {})[result.protocol] = None
    return [f"{', '.join(names)}: {note}" for note, names in protocols.items()]


def _notes(runs: Runs) -> str:
    return "".join(f"<p class=note>Note: {escape(note)}.</p>" for note in notes_of(runs))


def _page(title: str, *sections: str) -> str:
    note = f"<p class=note>video-portraits {VERSION}. {escape(INTERVALS)}</p>"
    return page(title, [f"<h1>{escape(title)}</h1>", *sections, note])


def _table(rows: Sequence[Comparison], *, compared: bool) -> str:
    fars = list(rows[0].tar) if rows else []
    head = ["protocol", "run", "seeds", "accuracy", "over seeds", "EER", *(f"TAR at {f:g}" for f in fars), "rank-1"]
    lines = []
    for r in rows:
        cells = [escape(r.protocol), escape(r.run), str(r.seeds), _percent(r.accuracy, r.interval)]
        cells += [_percent(v) for v in (r.over_seeds, r.eer, *r.tar.values(), r.rank_one)]
        if compared:
            cells.append(_percent(r.gain, r.gain_interval, sign=True))
        lines.append("<tr><td>" + "<td>".join(cells))
    head += ["gain over the first run"] if compared else []
    return f"<table><tr><th>{'<th>'.join(head)}{''.join(lines)}</table>"


def _percent(value: float, interval: float = np.nan, sign: bool = False) -> str:
    if np.isnan(value):
        return "-"
    text = f"{100 * value:{'+' if sign else ''}.2f} %"
    return text if np.isnan(interval) else f"{text} &plusmn; {100 * interval:.2f}"


def _curves(runs: Runs) -> str:
    protocols = dict.fromkeys(r.protocol for some in runs.values() for rows in some.values() for r in rows)
    return "".join(f"<figure>{_plot(p, runs)}<figcaption>{escape(p)}</figcaption></figure>" for p in protocols)


def _plot(protocol: str, runs: Runs) -> str:
    """A ROC of every seed as SVG; false accept rates on a logarithmic axis."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, seeds) in enumerate(runs.items()):
        label = name
        for rows in seeds.values():
            for r in (r for r in rows if r.protocol == protocol):
                false, true = r.curve
                axes.step(np.maximum(false, 1e-7), true, where="post", color=f"C{number}", lw=1.2, label=label)
                label = None
    lowest = min((f[f > 0].min(initial=1) for f in _false_rates(protocol, runs)), default=1e-3)
    axes.set(xscale="log", xlim=(min(lowest, 0.1), 1), ylim=(0, 1.01))
    axes.set(xlabel="false accept rate", ylabel="true accept rate")
    axes.grid(alpha=0.3)
    return svg(figure, axes.legend(loc="lower right"))


def _false_rates(protocol: str, runs: Runs) -> list[np.ndarray]:
    found = [r for some in runs.values() for rows in some.values() for r in rows]
    return [r.curve[0] for r in found if r.protocol == protocol]
