"""Small line plots as SVG text, for the report."""

from __future__ import annotations

from html import escape

import numpy as np

COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#888888", "#e08030")
WIDTH, HEIGHT = 900, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 190, 14, 26
MAX_POINTS = 800  # of a curve, so that a long clip's report stays small


def line_plot(
    times: np.ndarray, curves: dict[str, np.ndarray], *, unit: str = "", low=None, high=None, gaps=None
) -> str:
    """An SVG of curves over seconds; each value (F,), NaN leaves a gap.

    low, high: the axis' ends; None takes them from the data. gaps: (F,) bool, frames to shade (no face).
    """
    values = np.concatenate([np.asarray(c, float) for c in curves.values()]) if curves else np.zeros(1)
    finite = values[np.isfinite(values)]
    low = float(finite.min()) if low is None and len(finite) else (low or 0.0)
    high = float(finite.max()) if high is None and len(finite) else (1.0 if high is None else high)
    high = high if high > low else low + 1.0
    span = max(float(times[-1] - times[0]), 1e-9)
    x = lambda t: LEFT + (np.asarray(t) - times[0]) / span * (WIDTH - LEFT - RIGHT)  # noqa: E731
    y = lambda v: TOP + (high - np.asarray(v)) / (high - low) * (HEIGHT - TOP - BOTTOM)  # noqa: E731
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">']
    if gaps is not None:
        width = max(float(x(times[0] + span / max(len(times) - 1, 1))) - LEFT, 1.0)
        parts += [
            f'<rect class="gap" x="{x(times[k]) - width / 2:.1f}" y="{TOP}" width="{width:.1f}" '
            f'height="{HEIGHT - TOP - BOTTOM}"/>'
            for k in np.flatnonzero(gaps)
        ]
    for value in np.linspace(low, high, 3):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for time in np.linspace(times[0], times[-1], 5):
        parts.append(f'<text x="{x(time):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{time:.1f} s</text>')
    step = max(1, len(times) // MAX_POINTS)
    for k, (name, curve) in enumerate(curves.items()):
        color = COLORS[k % len(COLORS)]
        parts += [_polyline(x(times[::step]), y(np.asarray(curve, float)[::step]), color)]
        row = TOP + 10 + 15 * k
        parts.append(f'<rect x="{WIDTH - RIGHT + 12}" y="{row - 8}" width="10" height="10" fill="{color}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 27}" y="{row + 1}">{escape(name)}</text>')
    if unit:
        parts.append(f'<text x="{LEFT + 4}" y="{TOP + 9}" class="unit">{escape(unit)}</text>')
    return "".join(parts) + "</svg>"


def _polyline(x: np.ndarray, y: np.ndarray, color: str) -> str:
    """A path that is lifted where there is no value."""
    text, down = [], False
    for a, b in zip(x, y):
        if np.isfinite(b):
            text.append(f"{'L' if down else 'M'}{a:.1f} {b:.1f}")
        down = bool(np.isfinite(b))
    return f'<path d="{"".join(text)}" fill="none" stroke="{color}" stroke-width="1.4"/>'
