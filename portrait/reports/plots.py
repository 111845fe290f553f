"""Plots as SVG text, for pages in one file."""

from __future__ import annotations

import io
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure

COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#888888", "#e08030")
MAX_POINTS = 800  # of a curve, so that a long clip's page stays small
STYLE = {"svg.fonttype": "none", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
NOTHING = {name: None for name in ("Creator", "Date", "Format", "Type")}


def line_plot(
    times: np.ndarray, curves: Mapping[str, np.ndarray], *, unit: str = "", low=None, high=None, gaps=None
) -> str:
    """Curves over seconds; each value (F,), NaN leaves a gap.

    low, high: the axis' ends; None takes them from the data. gaps: (F,) bool, frames to shade (no face).
    """
    figure = Figure(figsize=(9.4, 1.9), layout="constrained")
    axes = figure.add_subplot()
    step = max(1, len(times) // MAX_POINTS)
    for k, (name, curve) in enumerate(curves.items()):
        axes.plot(times[::step], np.asarray(curve, float)[::step], color=COLORS[k % len(COLORS)], lw=1.1, label=name)
    if gaps is not None and np.any(gaps):
        axes.fill_between(times, 0, 1, where=gaps, step="mid", color="#cc5555", alpha=0.2, lw=0,
                          transform=axes.get_xaxis_transform())  # fmt: skip
    axes.set(xlabel="s", ylabel=unit, ylim=(low, high))
    axes.margins(x=0)
    axes.grid(alpha=0.2)
    legend = axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return svg(figure, legend)


def svg(figure: Figure, legend=None) -> str:
    """A figure as the text of an SVG element; names in its legend are taken as they are, without mathematics."""
    for text in legend.get_texts() if legend is not None else []:
        text.set_parse_math(False)
    written = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(written, format="svg", facecolor="white", metadata=NOTHING)
    text = written.getvalue()
    return text[text.index("<svg") :].strip()
