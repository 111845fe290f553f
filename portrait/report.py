"""``report.html``: one file that shows what was done and how well; no scripts, nothing fetched."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

import numpy as np
import torch

from facemodel import FrameStatus, Track
from facemodel.errors import write_error
from facemodel.mixing import target_frames

from .comparison import fit_height, labelled
from .files import VERSION
from .plots import line_plot
from .video import open_frames

SHEET = 8  # pictures in a row of the contact sheets
THUMB = 150  # px, their height
STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse}td,th{padding:.15em 1em .15em 0;
text-align:left;vertical-align:top}svg{width:100%;height:auto;font:11px system-ui;fill:currentColor}img{max-width:100%}
.grid{stroke:currentColor;opacity:.18}.gap{fill:#c55;opacity:.2}.unit{opacity:.65}.note{opacity:.75}
.warn{background:#fc36;padding:.4em .8em;border-radius:4px}figure{margin:1em 0}figcaption{opacity:.75}
"""


def write_report(
    path: Path,
    *,
    title: str,
    source: Track,
    target: Track,
    mixed: Track,
    target_video: Path,
    result_video: Path,
    driver: Callable[[], Iterator[np.ndarray]],
    model,
    timings: dict[str, float],
    training=None,
) -> Path:
    """Writes the report of a reenactment. driver: gives the driver's frames in order."""
    names = model.expression_names
    tracks = {"driver": source, "target": target, "result": mixed}
    fitted = {name: tracks[name] for name in ("driver", "target")}
    overlays, pairs = overlay_sheet(model, target, target_video), result_sheet(driver(), result_video, mixed)
    curves = "".join(f"<h3>{name}</h3>{_expression(t, names)}" for name, t in tracks.items())
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p class=note>video-portraits {VERSION}. The result is synthetic: its file says so in its metadata.</p>",
        _warnings(fitted),
        "<h2>Clips</h2>" + _clips(tracks),
        "<h2>Overlays</h2>" + _figure(overlays, "The target with the fitted model over it."),
        "<h2>Result</h2>" + _figure(pairs, "Above the driver, below the result, at the same times."),
        "<h2>Energy of the fit</h2>" + "".join(_energies(name, t) for name, t in fitted.items()),
        "<h2>Expression</h2>" + curves,
        "<h2>Pose and gaze of the result</h2>" + _pose(mixed),
        "<h2>Time</h2>" + _timings(timings, training),
    ]
    html = f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>"
    return _write(path, html + "\n".join(sections) + "</html>\n")


def overlay_sheet(model, track: Track, video: Path) -> np.ndarray:
    """A row of the clip's frames with the shaded model over the lower one of each pair."""
    from renderer import overlay, render

    from .jobs.rendering import camera_of

    chosen = set(spread(len(track), SHEET))
    columns = []
    for index, _, frame in open_frames(video):
        if index not in chosen or index >= len(track):
            continue
        drawn = frame
        if track.tracked[index]:
            with torch.inference_mode():
                p = track.parameters[index].to(model.mean.device)
                maps = render(model, p, camera_of(track), maps=["diffuse", "mask"])
            drawn = overlay(torch.from_numpy(frame), maps["diffuse"][0].cpu(), maps["mask"][0].cpu(), 0.75).numpy()
        cropped = [fit_height(_around(p, track, index), THUMB) for p in (frame, drawn)]
        columns.append(labelled(np.vstack(cropped), f"{index}: {_label(track, index)}"))
    return np.hstack(columns)


def result_sheet(driver: Iterator[np.ndarray], result: Path, mixed: Track) -> np.ndarray:
    """Pairs of the driver's and the result's frames at the same times."""
    chosen = set(spread(len(mixed), SHEET))
    pairs = []
    for k, (theirs, (_, _, ours)) in enumerate(zip(driver, open_frames(result))):
        if k in chosen:
            width = THUMB
            column = [fit_height(_square(p), width) for p in (theirs, _around(ours, mixed, k))]
            pairs.append(labelled(np.vstack(column), f"{float(mixed.times[k]):.1f} s"))
    return np.hstack(pairs)


def spread(count: int, wanted: int) -> list[int]:
    """Indices spread evenly over ``count`` frames."""
    return sorted({int(k) for k in np.linspace(0, count - 1, min(wanted, count)).round()})


def _around(frame: np.ndarray, track: Track, index: int) -> np.ndarray:
    """A square about the head, inside the frame."""
    p = track.parameters.expanded()[index]
    scale = float(p.focal) / float(p.translation[2])
    side = int(min(frame.shape[0], frame.shape[1], max(32, 280 * scale)))
    x = float(p.focal) * float(p.translation[0] / p.translation[2]) + track.width / 2 - side / 2
    y = float(p.focal) * float(p.translation[1] / p.translation[2]) + track.height / 2 - side / 2
    x, y = (int(np.clip(v, 0, limit - side)) for v, limit in ((x, frame.shape[1]), (y, frame.shape[0])))
    return frame[y : y + side, x : x + side]


def _square(frame: np.ndarray) -> np.ndarray:
    side = min(frame.shape[:2])
    y, x = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
    return frame[y : y + side, x : x + side]


def _label(track: Track, index: int) -> str:
    return FrameStatus(int(track.status[index])).label.replace("_", " ")


def _warnings(tracks: dict[str, Track]) -> str:
    lines = [f"{name}: {text}" for name, t in tracks.items() for text in t.facts.get("warnings", [])]
    for name, t in tracks.items():
        doubtful = int(((t.status & int(FrameStatus.UNCERTAIN)) != 0).sum())
        if doubtful:
            lines.append(f"{name}: {doubtful} of {len(t)} frames are fitted doubtfully")
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<div class=warn><ul>{items}</ul></div>" if lines else "<p>No warnings.</p>"


def _clips(tracks: dict[str, Track]) -> str:
    rows = ["<tr><th><th>file<th>size<th>frames<th>rate<th>with a face<th>uncertain<th>cuts<th>mean confidence"]
    for name, t in tracks.items():
        count = lambda flag, t=t: int(((t.status & int(flag)) != 0).sum())  # noqa: E731
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


def _energies(name: str, track: Track) -> str:
    if not track.energies:
        return f"<p class=note>{name}: wasn't fitted to a video.</p>"
    times = (track.times - track.times[0]).numpy()
    plots = [
        line_plot(times, {term: values.numpy()}, unit=term, low=0.0, gaps=(~track.tracked).numpy())
        for term, values in track.energies.items()
    ]
    return f"<h3>{name}</h3>" + "".join(plots)


def _expression(track: Track, names: tuple[str, ...], top: int = 8) -> str:
    """The shapes that move most."""
    values = track.parameters.expanded().expression.numpy()
    times = (track.times - track.times[0]).numpy()
    moving = np.argsort(-values.std(0))[:top]
    curves = {names[k]: values[:, k] for k in sorted(moving)}
    return line_plot(times, curves, unit="activation", low=0.0, high=1.0, gaps=(~track.tracked).numpy())


def _pose(track: Track) -> str:
    p = track.parameters.expanded()
    times = (track.times - track.times[0]).numpy()
    turn = np.degrees(p.rotation.numpy())
    gaze = np.degrees(p.gaze.numpy())
    gaps = (~track.tracked).numpy()
    rotation = {"nod (down +)": turn[:, 0], "turn (subject's left +)": turn[:, 1], "tilt": turn[:, 2]}
    eyes = {"left eye yaw": gaze[:, 0, 0], "left eye pitch": gaze[:, 0, 1], "right eye yaw": gaze[:, 1, 0],
            "right eye pitch": gaze[:, 1, 1]}  # fmt: skip
    return line_plot(times, rotation, unit="degrees", gaps=gaps) + line_plot(times, eyes, unit="degrees", gaps=gaps)


def _timings(timings: dict[str, float], training) -> str:
    rows = "".join(f"<tr><td>{escape(stage)}<td>{seconds:.1f} s" for stage, seconds in timings.items())
    rows += f"<tr><th>all<th>{sum(timings.values()):.1f} s"
    note = ""
    if training is not None:
        losses = ", ".join(f"{k} {v:.3f}" for k, v in training.losses.items())
        note = f"<p>Training: {training.steps} steps in {training.seconds / 60:.1f} minutes; {escape(losses)}.</p>"
    return f"<table>{rows}</table>{note}"


def _figure(picture: np.ndarray, caption: str) -> str:
    import cv2

    data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
    encoded = base64.b64encode(data).decode()
    image = f'<img alt="{escape(caption)}" src="data:image/jpeg;base64,{encoded}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _write(path: Path, text: str) -> Path:
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise write_error("report", path, error) from None
    return path
