"""``portrait fit``."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path

import facemodel
from facemodel import PortraitError, Track
from fitting import Settings, fit_video

from ..files import VERSION, source_facts
from ..progress import Progress, say
from ..quiet import quiet_native_stderr
from ..tracks import check_new_folder, describe_track, is_track, pick_device
from ..video import open_frames


def fit_file(
    input: Path,
    output: Path,
    *,
    detector: str = "mediapipe",
    focal: float | None = None,
    device: str = "auto",
    model=None,
    title: str = "",
) -> Track:
    """Fits a video, an image or a folder of images and writes the track.

    A complete track of the same input, settings and model is kept; an unfinished one is gone on with.
    Raises PortraitError for input that can't be used.
    """
    frames = open_frames(input)
    check_new_folder(output)
    if output.is_dir() and input.is_dir() and output.samefile(input):
        raise PortraitError(f"track '{output}': is the input folder too; choose another name")
    model = model or facemodel.load()
    source = source_facts(frames)
    frames.signature = source["sha256"]
    settings = {"detector": detector, "focal": focal, "fitting": asdict(Settings()), "version": VERSION}
    settings = {k: _plain(v) for k, v in settings.items()}
    if (done := complete_track(output, model, source, settings)) is not None:
        say(f"{output}: already there for this input and these settings, kept ({describe_track(done)})")
        return done

    device = pick_device(device)
    work = output.with_name(output.name + ".work")
    began = time.perf_counter()
    try:
        with quiet_native_stderr(), Progress() as progress:
            track = fit_video(
                frames,
                model=model,
                detector=detector,
                device=device,
                focal=focal,
                checkpoint=work,
                progress=lambda done, total, stage: progress.update(done, total, f"{title or input.name}: {stage}"),
            )
    except PortraitError as error:
        message = str(error)
        raise PortraitError(message.replace("video:", f"'{input}':", 1)) from None
    finally:
        if work.is_dir() and not any(work.iterdir()):
            work.rmdir()
    facts = {"source": source, "settings": settings, "device": device}
    track = track.with_parameters(track.parameters, **facts)
    if source["pixel_aspect"][0] != source["pixel_aspect"][1]:
        shape = ":".join(map(str, source["pixel_aspect"]))
        warning = f"pixels aren't square ({shape}): the face is fitted as stored, not as played"
        track.facts.setdefault("warnings", []).append(warning)
    track.save(output)
    shutil.rmtree(work, ignore_errors=True)
    seconds = time.perf_counter() - began
    say(f"{output}: {describe_track(track)}; {seconds:.1f} s, {len(track) / seconds:.1f} frames a second")
    for warning in track.facts.get("warnings", []):
        say(f"  note: {warning}")
    return track


def complete_track(folder: Path, model, source: dict, settings: dict) -> Track | None:
    """The track in a folder, where it is whole and of this input, settings and model."""
    if not is_track(folder):
        return None
    try:
        track = Track.load(folder, model)
    except PortraitError:
        return None
    same = track.facts.get("source") == source and track.facts.get("settings") == settings
    return track if same else None


def _plain(value):
    """As JSON gives it back."""
    import json

    return json.loads(json.dumps(value))
