"""The report of a reenactment: one file that shows what was done and how well; no scripts, nothing fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from facemodel import FrameStatus, Track
from facemodel.editing.mixing import target_frames
from portrait.files import VERSION
from portrait.pictures import fit_height, labelled
from portrait.reports.doubtful import doubtful_section
from portrait.reports.page import around, figure, with_model, write_page
from portrait.reports.plots import line_plot
from portrait.video import open_frames

SHEET = 8  # pictures in a row of the contact sheets
THUMB = 150  # px, their height
UNITS = {"landmarks": "share of the face's size", "photometric": "of 255", "visible": "share of the face", "energy": ""}


@dataclass(frozen=True)
class Reenactment:
    """What a report tells of."""

    title: str
    target_video: Path
    result_video: Path
    source: Track | None  # the driver's; tracks are None for methods without
    target: Track | None
    mixed: Track | None
    timings: Mapping[str, float]  # seconds by stage
    trained: object = None  # `portrait.services.training.Trained`
    choice: object = None  # `portrait.services.choosing.Choice`
    notes: tuple[str, ...] = ()  # what else there is to know of the result


def write_report(path: Path, facts: Reenactment, driver: Callable[[], Iterator[np.ndarray]], model) -> Path:
    """Writes the report of a reenactment. driver: gives the driver's frames in order."""
    sections = [
        f"<h1>{escape(facts.title)}</h1>",
        f"<p class=note>video-portraits {VERSION}. The result is synthetic: its file says so in its metadata.</p>",
    ]
    pairs = "Above the driver, below the result, at the same times."
    result = "<h2>Result</h2>" + figure(result_sheet(driver(), facts.result_video, facts.mixed), pairs)
    result += _choice(facts.choice) if facts.choice is not None else ""
    result += "".join(f"<p class=warn>{escape(note)}</p>" for note in facts.notes)
    if facts.mixed is None:
        sections += [result]
    else:
        tracks = {"driver": facts.source, "target": facts.target, "result": facts.mixed}
        fitted = {name: tracks[name] for name in ("driver", "target")}
        overlays = overlay_sheet(model, facts.target, facts.target_video)
        curves = "".join(f"<h3>{name}</h3>{expression(t, model)}" for name, t in tracks.items())
        sections += [
            warnings(fitted),
            "<h2>Clips</h2>" + clips(tracks),
            "<h2>Overlays</h2>" + figure(overlays, "The target with the fitted model over it."),
            result,
            "<h2>Doubtful frames of the target</h2>" + doubtful_section(model, facts.target, facts.target_video),
            "<h2>How well the frames fit</h2>" + "".join(energies(name, t) for name, t in fitted.items()),
            "<h2>Expression</h2>" + curves,
            "<h2>Pose and gaze of the result</h2>" + _pose(facts.mixed),
        ]
    return write_page(path, facts.title, [*sections, "<h2>Time</h2>" + _timings(facts)])


def overlay_sheet(model, track: Track, video: Path) -> np.ndarray:
    """A row of the clip's frames with the shaded model over the lower one of each pair."""
    chosen = set(spread(len(track), SHEET))
    columns = []
    for index, _, frame in open_frames(video):
        if index not in chosen or index >= len(track):
            continue
        drawn = with_model(model, track, index, frame)
        cropped = [fit_height(around(p, track, index), THUMB) for p in (frame, drawn)]
        columns.append(labelled(np.vstack(cropped), f"{index}: {_label(track, index)}"))
    return np.hstack(columns)


def result_sheet(driver: Iterator[np.ndarray], result: Path, mixed: Track | None) -> np.ndarray:
    """Pairs of the driver's and the result's frames at the same times. mixed: says where the head is."""
    frames = open_frames(result)
    chosen = set(spread(len(mixed) if mixed is not None else frames.frame_count or 1, SHEET))
    pairs = []
    for k, (theirs, (_, time, ours)) in enumerate(zip(driver, frames)):
        if k in chosen:
            near = _square(ours) if mixed is None else around(ours, mixed, k)
            column = [fit_height(p, THUMB) for p in (_square(theirs), near)]
            pairs.append(labelled(np.vstack(column), f"{time:.1f} s"))
    return np.hstack(pairs)


def spread(count: int, wanted: int) -> list[int]:
    """Indices spread evenly over ``count`` frames."""
    return sorted({int(k) for k in np.linspace(0, count - 1, min(wanted, count)).round()})


def _square(frame: np.ndarray) -> np.ndarray:
    side = min(frame.shape[:2])
    y, x = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
    return frame[y : y + side, x : x + side]


def _label(track: Track, index: int) -> str:
    return FrameStatus(int(track.status[index])).label.removeprefix("tracked+").replace("_", " ")


def warnings(tracks: dict[str, Track]) -> str:
    lines = [f"{name}: {text}" for name, t in tracks.items() for text in t.facts.get("warnings", [])]
    for name, t in tracks.items():
        doubtful = int(t.where(FrameStatus.UNCERTAIN).sum())
        if doubtful:
            lines.append(f"{name}: {doubtful} of {len(t)} frames are fitted doubtfully")
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<div class=warn><ul>{items}</ul></div>" if lines else "<p>No warnings.</p>"


def clips(tracks: dict[str, Track]) -> str:
    rows = ["<tr><th><th>file<th>size<th>frames<th>rate<th>with a face<th>uncertain<th>cuts<th>mean confidence"]
    for name, t in tracks.items():
        count = lambda flag, t=t: int(t.where(flag).sum())  # noqa: E731
        cells = [
            name, escape(str((t.facts.get("source") or {}).get("file", ""))), f"{t.width} x {t.height}", len(t),
            f"{t.fps:.2f}", count(FrameStatus.TRACKED), count(FrameStatus.UNCERTAIN), count(FrameStatus.CUT),
            f"{float(t.confidence.float().mean()):.2f}",
        ]  # fmt: skip
        rows.append("<tr>" + "".join(f"<td>{c}" for c in cells))
    order = target_frames(tracks["result"])
    note = (
        f"<p class=note>Behind the result are the target's frames {min(order)} to {max(order)}, forwards and backwards."
    )
    return f"<table>{''.join(rows)}</table>{note}</p>"


def energies(name: str, track: Track) -> str:
    """Curves of the confidence and of what it comes from."""
    if not track.energies:
        return f"<p class=note>{name}: wasn't fitted to a video.</p>"
    times, gaps = track.seconds.numpy(), (~track.tracked).numpy()
    plots = [line_plot(times, {"confidence": track.confidence.numpy()}, unit="0 to 1", low=0.0, high=1.0, gaps=gaps)]
    plots += [
        line_plot(times, {term: track.energies[term].numpy()}, unit=unit, low=0.0, gaps=gaps)
        for term, unit in UNITS.items()
        if term in track.energies
    ]
    return f"<h3>{name}</h3>" + "".join(plots)


def expression(track: Track, model, top: int = 8) -> str:
    """The shapes that move most."""
    block = model.blocks["expression"]
    values = track.parameters.expanded().expression.numpy()
    times = track.seconds.numpy()
    moving = np.argsort(-values.std(0))[:top]
    curves = {block.names[k]: values[:, k] for k in sorted(moving)}
    unit = bool((block.lower == 0).all() and (block.upper == 1).all())
    limits = {"low": 0.0, "high": 1.0} if unit else {}
    return line_plot(times, curves, unit="activation", gaps=(~track.tracked).numpy(), **limits)


def _pose(track: Track) -> str:
    p = track.parameters.expanded()
    times = track.seconds.numpy()
    turn = np.degrees(p.rotation.numpy())
    gaze = np.degrees(p.gaze.numpy())
    gaps = (~track.tracked).numpy()
    rotation = {"nod (down +)": turn[:, 0], "turn (subject's left +)": turn[:, 1], "tilt": turn[:, 2]}
    eyes = {"left eye yaw": gaze[:, 0, 0], "left eye pitch": gaze[:, 0, 1], "right eye yaw": gaze[:, 1, 0],
            "right eye pitch": gaze[:, 1, 1]}  # fmt: skip
    return line_plot(times, rotation, unit="degrees", gaps=gaps) + line_plot(times, eyes, unit="degrees", gaps=gaps)


def _choice(choice) -> str:
    """Why the result is whose it is."""
    rows = "".join(
        f"<tr><td>{escape(one.name)}<td>{one.ssim:.3f}<td>{one.sharpness:.2f}"
        for one in (choice.trained, choice.untrained)
    )
    line = escape(choice.line())
    head = "<tr><th>frames that neither had seen<th>SSIM of the face<th>its sharpness, of the real frames'"
    return f"<p>{line[0].upper()}{line[1:]}.</p><table>{head}{rows}</table>"


def _timings(facts: Reenactment) -> str:
    rows = "".join(f"<tr><td>{escape(stage)}<td>{seconds:.1f} s" for stage, seconds in facts.timings.items())
    rows += f"<tr><th>all<th>{sum(facts.timings.values()):.1f} s"
    note = ""
    if facts.trained is not None:
        done = facts.trained.summary
        losses = ", ".join(f"{k} {v:.3f}" for k, v in done.losses.items())
        note = f"<p>Training: {done.steps} steps in {done.seconds / 60:.1f} minutes; {escape(losses)}.</p>"
        if few := getattr(done, "note", ""):
            note += f"<p class=warn>{escape(few)}</p>"
    return f"<table>{rows}</table>{note}"
