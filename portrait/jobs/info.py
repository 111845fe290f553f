"""``portrait info``."""

from __future__ import annotations

import json
from pathlib import Path

from facemodel import PortraitError, Track

from ..lens import describe_camera
from ..progress import say
from ..quality import quality_lines
from ..tracks import describe_track, is_track
from ..video import open_frames, read_comment


def describe(path: Path) -> None:
    """Prints what a file is. Raises PortraitError where there is none, or nothing is known about it."""
    if not path.exists():
        raise PortraitError(f"'{path}': no such file; check the name")
    if is_track(path):
        _track(path)
    elif path.suffix == ".safetensors":
        _tensors(path)
    else:
        _frames(path)


def _track(path: Path) -> None:
    track = Track.load(path)
    say(f"track of {describe_track(track)}")
    say(f"  frames      {track.width} x {track.height}, {track.fps:.2f} a second")
    say(f"  model       {track.model} ({track.fingerprint})")
    say(f"  camera      {describe_camera(track)}")
    for topic, text in quality_lines(track).items():
        say(f"  {topic:<11} {text}")
    for name, value in track.facts.items():
        if name in ("camera", "frames"):  # said above
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        if name == "target_frames":
            text = f"{len(value)} frames of the target, {min(value)} to {max(value)}"
        if name == "timings":
            text = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in value.items())
        say(f"  {name:<11} {text}")


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
    frames = open_frames(path)
    kind = "images" if path.is_dir() else "video" if frames.codec not in ("png", "jpg", "jpeg") else "image"
    say(f"{kind}: {frames.width} x {frames.height}, {frames.codec}, {frames.pixel_format}")
    say(f"  frames      {frames.frame_count or 'unknown'}, {frames.fps:.2f} a second")
    say(f"  sound       {'yes' if frames.audio else 'no'}")
    if frames.pixel_aspect != 1:
        say(f"  pixels      {frames.pixel_aspect.numerator}:{frames.pixel_aspect.denominator}")
    note = read_comment(frames.metadata)
    if note and note.get("synthetic"):
        say("  synthetic   yes: made by this project")
        for name, value in note.items():
            if name != "synthetic":
                say(f"    {name:<11} {value if isinstance(value, str) else json.dumps(value)}")
    else:
        say("  synthetic   not labelled")
