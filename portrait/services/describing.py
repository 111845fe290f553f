"""``portrait info``."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from facemodel import PortraitError, Track
from facemodel.export.glb import read_glb_table
from fitting import QUALITIES
from portrait.batch.clips import VIDEO_SUFFIXES
from portrait.progress import say
from portrait.reports.quality import quality_lines
from portrait.tracks import describe_track, is_track
from portrait.video import is_image, open_frames, read_comment
from portrait.video.lens import describe_camera


def describe(path: Path) -> None:
    """Prints what a file is. Raises PortraitError where there is none, or nothing is known about it."""
    if not path.exists():
        raise PortraitError(f"'{path}': no such file; check the name")
    kinds = {".safetensors": _tensors, ".onnx": _network, ".glb": _mesh}
    if is_track(path):
        _track(path)
    elif path.is_file() and path.suffix.lower() in kinds:
        kinds[path.suffix.lower()](path)
    else:
        _frames(path)


def _track(path: Path) -> None:
    track = Track.load(path)
    rate = f", {track.fps:.2f} a second" if len(track) > 1 else ""
    say(f"track of {describe_track(track)}")
    say(f"  frames      {track.width} x {track.height}{rate}")
    say(f"  model       {track.model} ({track.fingerprint})")
    say(f"  camera      {describe_camera(track)}")
    for topic, text in quality_lines(track).items():
        say(f"  {topic:<11} {text}")
    for name, value in track.facts.items():
        if name in ("camera", "frames") or value in (None, []):  # said above; nothing to say
            continue
        say(f"  {name:<11} {FACTS.get(name, as_words)(value)}")


def as_words(value) -> str:
    """JSON's values without its brackets; numbers by four digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_words(v)}" for name, v in value.items() if v not in (None, {}, []))
    if isinstance(value, list):
        return ", ".join(as_words(v) for v in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _settings(settings: dict) -> str:
    """Detector and quality, and of the figures behind a quality only those that are others now."""
    usual = QUALITIES.get(settings.get("quality"))
    usual = json.loads(json.dumps(asdict(usual))) if usual else {}
    other = {name: v for name, v in settings.get("fitting", {}).items() if v != usual.get(name)}
    given = {name: v for name, v in settings.items() if name != "fitting"}
    return as_words(given | other)


def _edits(edits: list[dict]) -> str:
    """``set jawOpen 0.6, gaze 15 -5 degrees; smooth 0.2 s``: one after the other."""
    texts = []
    for edit in edits:
        told = {name: as_words(value) for name, value in edit.items()}
        if "gaze" in edit:
            told["gaze"] = " ".join(f"{math.degrees(angle):.3g}" for angle in edit["gaze"]) + " degrees"
        if "smooth" in edit:
            told["smooth"] += " s"
        texts.append(", ".join(f"{name} {text}" for name, text in told.items()))
    return "; ".join(texts)


FACTS = {
    "settings": _settings,
    "edits": _edits,
    "timings": lambda seconds: ", ".join(f"{stage} {spent:.1f} s" for stage, spent in seconds.items()),
    "unexplained": lambda error: f"{error:.1%} of full brightness: colours that identity and light leave",
    "target_frames": lambda frames: f"{len(frames)} frames of the target, {min(frames)} to {max(frames)}",
}
"""How facts of a track are said; others are said ``as_words``."""


def _network(path: Path) -> None:
    from neural_render import OnnxWeights
    from neural_render.methods.deep_video_portraits.conditioning import CHANNELS

    h = OnnxWeights(path).header
    condition, image = f"(N, {h.window * CHANNELS}, {h.size}, {h.size})", f"(N, 3, {h.size}, {h.size})"
    say(f"network as ONNX: condition {condition} to image {image}, {path.stat().st_size / 1e6:.1f} MB")
    for name, value in h.to_json().items():
        say(f"  {name:<14} {as_words(value)}")


def _mesh(path: Path) -> None:
    try:
        table = read_glb_table(path.read_bytes())
        mesh, node = table["meshes"][0], next(n for n in table["nodes"] if "mesh" in n)
        primitive = mesh["primitives"][0]
        position = table["accessors"][primitive["attributes"]["POSITION"]]
        extent = [(b - a) * s for a, b, s in zip(position["min"], position["max"], node.get("scale", [1, 1, 1]))]
        corners = table["accessors"][primitive["indices"]]["count"]
    except (ValueError, KeyError, IndexError, TypeError, StopIteration):
        raise PortraitError(f"'{path}': can't be read as a .glb with a mesh in it; get a whole copy") from None
    asset = table["asset"]
    say(f"mesh as glTF {asset['version']}: {position['count']} vertices, {corners // 3} triangles")
    say(f"  size        {' x '.join(f'{e:.3f}' for e in extent)} m, without any shape")
    if names := (mesh.get("extras") or {}).get("targetNames"):
        active = [n for n, w in zip(names, mesh.get("weights", [])) if w > 0.05]
        say(f"  shapes      {len(names)}, of which active: {', '.join(active) or 'none'}")
    say(f"  colours     {'texture' if table.get('images') else 'of vertices, or none'}")
    say(f"  made by     {asset.get('generator', 'unknown')}")
    for name, value in (asset.get("extras") or {}).items():
        say(f"  {name:<11} {as_words(value)}")


def _tensors(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            count = len(list(file.keys()))
    except (SafetensorError, OSError) as error:
        raise PortraitError(f"'{path}': not a whole safetensors file ({error})") from None
    facts = {}
    for name, text in metadata.items():
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        facts |= value if isinstance(value, dict) else {name: value}
    say(f"{facts.get('kind') or facts.get('format') or 'tensors'}: {count} tensors, {path.stat().st_size / 1e6:.1f} MB")
    for name, value in facts.items():
        text = value if isinstance(value, str) else json.dumps(value)
        say(f"  {name:<14} {text if len(text) <= 200 else text[:200] + '...'}")


def _frames(path: Path) -> None:
    try:
        frames = open_frames(path)
    except PortraitError:
        if path.is_dir() or is_image(path) or path.suffix.lower() in VIDEO_SUFFIXES:
            raise
        raise PortraitError(
            f"'{path}': nothing is known about this kind of file; expected a video, an image, a folder of images, a "
            "track, weights or a model (.safetensors), .onnx or .glb"
        ) from None
    kind = "images" if path.is_dir() else "image" if is_image(path) else "video"
    say(f"{kind}: {frames.width} x {frames.height}, {frames.codec}, {frames.pixel_format}")
    if kind != "image":
        say(f"  frames      {frames.frame_count or 'unknown'}, {frames.fps:.2f} a second")
        say(f"  sound       {'yes' if frames.audio else 'no'}")
    if frames.pixel_aspect != 1:
        shape = f"{frames.pixel_aspect.numerator}:{frames.pixel_aspect.denominator}"
        say(f"  pixels      {shape}, stored as {frames.stored[0]} x {frames.stored[1]}")
    for said in frames.notes:
        say(f"  note        {said}")
    note = read_comment(frames.metadata)
    if note and note.get("synthetic"):
        say("  synthetic   yes: made by this project")
        for name, value in note.items():
            if name != "synthetic":
                say(f"    {name:<11} {value if isinstance(value, str) else json.dumps(value)}")
    else:
        say("  synthetic   not labelled")
