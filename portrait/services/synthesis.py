"""``portrait train`` and ``portrait synthesize``."""

from __future__ import annotations

from pathlib import Path

from facemodel import PortraitError, Track
from facemodel.editing.mixing import is_mixed
from neural_render import Drive, OnnxWeights, Target, TrainingOptions, TrainingSummary, Weights, find_method, method_of
from neural_render.methods.base import DEFAULT
from neural_render.training import is_main_process
from portrait.files import file_hash, find_file, synthetic_note, track_facts
from portrait.progress import Progress, say
from portrait.services.rendering import write_video
from portrait.tracks import (
    altered,
    check_video,
    default_model,
    is_other_file,
    load_track,
    note_other_file,
    pick_device,
    pixel_aspect,
)
from portrait.video import has_sound, open_frames
from portrait.video.writer import check_writable, padding_note


def train_file(
    path: Path,
    video: Path,
    output: Path,
    *,
    minutes: float,
    size: int,
    width: int,
    device: str,
    model=None,
    method: str = DEFAULT,
    losses: dict[str, float] | None = None,
    vgg: Path | None = None,
    held_out: float = 0.0,
) -> TrainingSummary | None:
    """Trains on a clip and writes the weights; goes on from what an earlier run left beside them.

    Under torchrun every process comes here, and one of them writes and speaks.
    """
    reenactor = find_method(method)
    if output.is_dir():
        raise PortraitError(f"weights '{output}': expected a file name, found a folder; give a name inside it")
    check_writable(output, video)
    device = pick_device(device)
    model = model or default_model(device)
    track = load_track(path, model)
    if (how := altered(track)) is not None:
        raise PortraitError(f"track '{path}': was {how}; train with the target's own track, which 'portrait fit' wrote")
    frames = check_video(video, track)
    if is_main_process():
        note_other_file("the track was fitted to", track.facts.get("source"), video, file_hash(video))
    options = TrainingOptions(
        minutes=minutes, size=size, width=width, device=device, losses=losses or {},
        vgg=None if vgg is None else str(vgg), held_out=held_out,
    )  # fmt: skip
    with Progress() as progress:

        def show(done: float, total: float, stage: str, note: str) -> None:
            progress.update(done, total, f"{output.name}: {stage}", note)

        summary = reenactor.train(Target(track, frames, model), output, options, progress=show)
    if is_main_process():
        _say_summary(summary, len(track), size)
    return summary


def _say_summary(summary: TrainingSummary, frames: int, size: int) -> None:
    begun = f" (gone on at step {summary.resumed_at})" if summary.resumed_at else ""
    say(
        f"{summary.weights}: {summary.steps} steps in {summary.seconds / 60:.1f} minutes{begun}, "
        f"{summary.frames} frames, {size} px; " + ", ".join(f"{k} {v:.3f}" for k, v in summary.losses.items())
    )
    if summary.excluded:
        say(f"  note: {summary.excluded} of {frames} frames have no tracked face and were left out")
    if summary.rollbacks:
        say(f"  note: it diverged {summary.rollbacks} times and went back to its last checkpoint, at half the rates")
    if summary.score is not None:
        say(f"  held-out frames: L1 {summary.score:.4f}, where pictures are in -1 to 1; the best state was kept")


def synthesize_file(
    weights: Path,
    path: Path,
    video: Path,
    output: Path,
    *,
    sound: str | None,
    device: str,
    source: Path | None = None,
    model=None,
) -> None:
    """Writes the target's video with the track's performance, at its own size.

    weights: that 'portrait train' wrote, or an ONNX file that 'portrait export' wrote.
    sound, source: see ``sound_file``.
    """
    device = pick_device(device)
    model = model or default_model(device)
    check_writable(output, video, weights)
    track = load_track(path, model)
    loaded = load_weights(weights, model)
    frames = check_video(video, track)
    digest = file_hash(video)
    note_strangers(track, loaded, video, digest)
    note = synthetic_note(
        "synthesize",
        target={"file": video.name, "sha256": digest},
        track=track_facts(path, track),
        weights=weights_facts(weights, loaded),
    )
    audio = sound_file(sound, track, video, source, path)
    driver = None if source is None else open_frames(source)
    pictures = find_method(loaded.header.method).reenact(
        loaded, Drive(track, driver), Target(track, frames, model), device=device
    )
    with Progress() as progress:
        shown = progress.over(pictures, len(track), f"synthesize {output.name}")
        write_video(output, shown, track, audio_from=audio, note=note)
    size = f"{track.width} x {track.height}{padding_note(track.width, track.height, pixel_aspect(track))}"
    say(f"{output}: {len(track)} frames, {size}; labelled as synthetic in its metadata")


def load_weights(path: Path, model) -> Weights | OnnxWeights:
    """What 'portrait train' wrote, as its method reads it, or an ONNX file of 'portrait export'."""
    if path.suffix.lower() == ".onnx":
        return OnnxWeights(path, model=model)
    return find_method(method_of(path)).load(path, model)


def weights_facts(path: Path, weights: Weights) -> dict:
    """What a result's label says of the network that made it."""
    h = weights.header
    return {
        "file": path.name,
        "sha256": file_hash(path),
        "method": h.method,
        "model": f"{h.model} ({h.fingerprint})",
        "trained": {"steps": h.steps, "seconds": h.seconds, "size": h.size, "width": h.width, "on": h.target},
    }


def sound_file(sound: str | None, track: Track, target: Path, source: Path | None, *beside: Path) -> Path | None:
    """The file whose sound goes with the output; None for silence, which is said where there was to be sound.

    sound: "source", "target", "none", or a file; None is the target's where its frames are in their own order, else
    the source's. source: the driver's video; None looks for it in the folders of ``target`` and of ``beside``.
    Raises PortraitError for a file that isn't there, and for "source" where it isn't found.
    """
    chosen = sound or ("target" if in_order(track) else "source")
    if chosen == "none":
        return None
    if chosen == "target":
        file = target
    elif chosen == "source":
        file = source or find_file(driver_of(track), target, *beside)
        if file is None and sound is not None:
            raise PortraitError(f"--sound source: {_no_source(track)}; give a file, target or none")
        if file is None:
            say(f"  note: no sound, since the track is longer than {target.name}, and {_no_source(track)}")
            return None
    elif not (file := Path(sound)).is_file():
        raise PortraitError(f"--sound '{sound}': expected source, target, none or a file, found no such file")
    if has_sound(file):
        return file
    if sound is not None or chosen == "source":
        say(f"  note: no sound, since {file.name} has none")
    return None


def driver_of(track: Track) -> dict | None:
    """Facts of the file whose performance a mixed track has."""
    return (track.facts.get("mixed") or {}).get("source")


def _no_source(track: Track) -> str:
    if not is_mixed(track):
        return "the track wasn't mixed, so it has no source"
    name = (driver_of(track) or {}).get("file", "an unknown file")
    return f"its source, {name}, isn't beside the track or the video, with the bytes that were fitted"


def note_strangers(track: Track, weights: Weights, video: Path, digest: str) -> None:
    """Says so where track, weights and video (whose hash is ``digest``) aren't known to be of one clip."""
    of_track, of_weights = track.facts.get("source") or {}, weights.header.target.get("source") or {}
    if not note_other_file("the track was fitted to", of_track, video, digest):
        note_other_file("the weights were trained on", of_weights, video, digest)
    if not is_mixed(track) and is_other_file(of_track, of_weights.get("sha256")):
        say(
            f"  note: the track is of '{of_track.get('file')}', the weights of '{of_weights.get('file')}'; "
            "if these are two people, mix their tracks first with 'portrait mix'"
        )


def in_order(track: Track) -> bool:
    """Whether the target's frames follow each other as in its video."""
    order = track.facts.get("target_frames") or []
    return all(b >= a for a, b in zip(order, order[1:]))
