"""``portrait info``: what a file is, how it was made and from what."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from facemodel import PortraitError, Track
from facemodel.export.gltf import read_glb_table
from facemodel.formats.default import FORMAT
from facemodel.registry import DEFAULT, FORMATS
from fitting import QUALITIES
from foundation.progress import Report, ignore
from portrait.batch.clips import VIDEO_SUFFIXES
from portrait.reports.quality import quality_lines
from portrait.services.methods import METHODS, describe_network, describe_weights
from portrait.services.models import describe_model
from portrait.tracks import describe_track, is_track
from portrait.video import is_image, open_frames, read_comment
from portrait.video.intrinsics import describe_camera

LONGEST = 200  # letters of a value that isn't told in words


@dataclass(frozen=True)
class Fact:
    """One thing that is known of a file."""

    name: str
    text: str
    level: int = 0  # 1: belongs to the one before of level 0


@dataclass(frozen=True)
class Description:
    """What a file is."""

    headline: str
    facts: tuple[Fact, ...]

    def lines(self) -> list[str]:
        """What there is to say of it."""
        return [self.headline, *(f"  {'  ' * fact.level}{fact.name:<11} {fact.text}" for fact in self.facts)]


def describe(path: Path, *, report: Report = ignore) -> Description:
    """What a file is. Raises PortraitError where there is none, or nothing is known about it."""
    if not path.exists():
        raise PortraitError(f"'{path}': no such file; check the name")
    kinds = {".safetensors": _tensors, ".onnx": _network, ".glb": _mesh}
    suffix = path.suffix.lower() if path.is_file() else ""
    if is_track(path):
        tell = _track
    elif suffix in kinds or suffix in VIDEO_SUFFIXES or is_image(path):
        tell = kinds.get(suffix, _frames)
    else:  # a model's file may have any name
        found = next((name for name in FORMATS if FORMATS[name].sniff(path)), None)
        tell = {None: _frames, DEFAULT: _tensors}.get(found, _face_model)
    try:
        headline, *facts = tell(path)
    except PortraitError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        # What a file says of itself is anybody's JSON: values of other kinds than this project writes.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise PortraitError(f"'{path}': what it says of itself can't be understood ({reason}); make it again") from None
    return Description(headline, tuple(Fact(*fact) for fact in facts))


def _track(path: Path) -> Iterator:
    track = Track.load(path)
    rate = f", {track.fps:.2f} a second" if len(track) > 1 else ""
    yield f"track of {describe_track(track)}"
    yield "frames", f"{track.width} x {track.height}{rate}"
    yield "model", f"{track.model} ({track.fingerprint})"
    yield "camera", describe_camera(track)
    yield from quality_lines(track).items()
    for name, value in track.facts.items():
        if name not in UNTOLD and value not in (None, []):
            yield name, FACTS.get(name, as_words)(value)


UNTOLD = ("camera", "frames", "priors")
"""Facts of a track that are told otherwise, or that are for programs."""


def as_words(value) -> str:
    """JSON's values without its brackets; numbers by four digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_words(v)}" for name, v in value.items() if v not in (None, {}, []))
    if isinstance(value, list | tuple):
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
"""How facts of a track are told; others are told ``as_words``."""


def _network(path: Path) -> Iterator:
    about, header = describe_network(path)
    yield f"network as ONNX: {about}, {path.stat().st_size / 1e6:.1f} MB"
    yield from ((name, as_words(value)) for name, value in header.items())


def _mesh(path: Path) -> Iterator:
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
    yield f"mesh as glTF {asset['version']}: {position['count']} vertices, {corners // 3} triangles"
    yield "size", f"{' x '.join(f'{e:.3f}' for e in extent)} m, without any shape"
    if names := (mesh.get("extras") or {}).get("targetNames"):
        active = [n for n, w in zip(names, mesh.get("weights", [])) if w > 0.05]
        yield "shapes", f"{len(names)}, of which active: {', '.join(active) or 'none'}"
    yield "colours", "texture" if table.get("images") else "of vertices, or none"
    yield "made by", asset.get("generator", "unknown")
    yield from ((name, as_words(value)) for name, value in (asset.get("extras") or {}).items())


def _face_model(path: Path) -> Iterator:
    """As ``portrait model info`` says it."""
    headline, *rows = describe_model(str(path)).lines()
    yield headline
    yield from (row.split(maxsplit=1) for row in rows)


def _tensors(path: Path) -> Iterator:
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
    if facts.get("kind") == "weights" and facts.get("method") in METHODS:
        facts = {"kind": "weights"} | describe_weights(path)
    if facts.get("format") == FORMAT:
        yield from _face_model(path)
        return
    kind = facts.get("kind") or facts.get("format") or "tensors"
    yield f"{kind}: {count} tensors, {path.stat().st_size / 1e6:.1f} MB"
    for name, value in facts.items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield name, text if len(text) <= LONGEST else text[:LONGEST] + "..."


def _frames(path: Path) -> Iterator:
    try:
        frames = open_frames(path)
        if is_image(path):  # half a picture may still say its size
            next(iter(frames))
    except PortraitError:
        if path.is_dir() or is_image(path) or path.suffix.lower() in VIDEO_SUFFIXES:
            raise
        raise PortraitError(
            f"'{path}': nothing is known about this kind of file; expected a video, an image, a folder of images, a "
            "track, a face model, weights (.safetensors), .onnx or .glb"
        ) from None
    kind = "images" if path.is_dir() else "image" if is_image(path) else "video"
    yield f"{kind}: {frames.width} x {frames.height}, {frames.codec}, {frames.pixel_format}"
    if kind != "image":
        yield "frames", f"{frames.frame_count or 'unknown'}, {frames.fps:.2f} a second"
        yield "sound", "yes" if frames.audio else "no"
    if frames.pixel_aspect != 1:
        shape = f"{frames.pixel_aspect.numerator}:{frames.pixel_aspect.denominator}"
        yield "pixels", f"{shape}, stored as {frames.stored[0]} x {frames.stored[1]}"
    yield from (("note", said) for said in frames.notes)
    note = read_comment(frames.metadata)
    if not (note and note.get("synthetic")):
        yield "synthetic", "not labelled"
        return
    yield "synthetic", "yes: made by this project"
    for name, value in note.items():
        if name != "synthetic":
            yield name, value if isinstance(value, str) else json.dumps(value), 1
