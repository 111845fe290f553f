"""The report of ``portrait fit``: how well a clip was fitted, where it wasn't, and why."""

from __future__ import annotations

from html import escape
from pathlib import Path

from facemodel import Track
from portrait.files import VERSION
from portrait.reports.doubtful import doubtful_section
from portrait.reports.page import figure, write_page
from portrait.reports.quality import quality_lines
from portrait.reports.reenactment import energies, expression, overlay_sheet, warnings
from portrait.tracks import describe_track


def write_fit_report(path: Path, track: Track, video: Path, model) -> Path:
    """Writes the report of a track that was fitted to ``video``."""
    title = video.name
    overlays = figure(overlay_sheet(model, track, video), "Frames of the clip, below them the fitted model over it.")
    facts = "".join(f"<tr><td>{name}<td>{escape(text)}" for name, text in quality_lines(track).items())
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p class=note>video-portraits {VERSION}</p>",
        warnings({title: track}),
        f"<p>{escape(describe_track(track))}</p><table>{facts}</table>",
        "<h2>Doubtful frames</h2>" + doubtful_section(model, track, video),
        "<h2>Overlays</h2>" + overlays,
        "<h2>How well the frames fit</h2>" + energies("", track),
        "<h2>Expression</h2>" + expression(track, model),
    ]
    return write_page(path, title, sections)
