"""``portrait train`` and ``portrait synthesize``."""

from __future__ import annotations

from pathlib import Path

from facemodel import PortraitError, Track
from facemodel.mixing import is_mixed
from neural_render import (
    Drive,
    OnnxWeights,
    Target,
    TrainingOptions,
    TrainingSummary,
    Weights,
    find_method,
    method_of,
)
from neural_render.reenactor import DEFAULT
from neural_render.training import is_main_process

from ..files import file_hash, synthetic_note, track_facts
from ..progress import Progress, say
from ..tracks import default_model, load_track, open_video_of, pick_device
from ..video import open_frames
from ..video_writer import check_writable, padding_note
from .rendering import write_video


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
    if is_mixed(track):
        raise PortraitError(f"track '{path}': was mixed; train with the target's own track, which 'portrait fit' wrote")
    frames = check_video(video, track)
    if is_main_process():
        warn_other_file(video, track)
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
    sound: None is the target's, where its frames are in their own order; "source" needs ``source``.
    """
    device = pick_device(device)
    model = model or default_model(device)
    check_writable(output, video, weights)
    track = load_track(path, model)
    loaded = load_weights(weights, model)
    frames = check_video(video, track)
    note = synthetic_note(
        "synthesize",
        target={"file": video.name, "sha256": file_hash(video)},
        track=track_facts(path, track),
        weights=weights_facts(weights, loaded),
    )
    driver = None if source is None else open_frames(source)
    pictures = find_method(loaded.header.method).reenact(
        loaded, Drive(track, driver), Target(track, frames, model), device=device
    )
    with Progress() as progress:
        shown = progress.over(pictures, len(track), f"synthesize {output.name}")
        write_video(output, shown, track, audio_from=sound_file(sound, track, video, source), note=note)
    size = f"{track.width} x {track.height}{padding_note(track.width, track.height)}"
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


def sound_file(sound: str | None, track: Track, target: Path, source: Path | None = None) -> Path | None:
    """The file whose sound goes with the output; None for silence.

    "source" and "target" are silent where that isn't a video with sound; another name is a file of its own.
    """
    if sound is None:
        sound = "target" if not is_mixed(track) or _in_order(track) else "source"
    if sound == "none":
        return None
    if sound in ("source", "target"):
        path = source if sound == "source" else target
        return path if path is not None and path.is_file() and open_frames(path).audio else None
    if not Path(sound).is_file():
        raise PortraitError(f"--sound '{sound}': expected source, target, none or a file, found no such file")
    return Path(sound)


def check_video(video: Path, track: Track):
    """The reader of a track's video. Raises PortraitError where it has another size or fewer frames."""
    frames = open_video_of(track, video)
    needed = max(track.facts.get("target_frames") or [len(track) - 1]) + 1
    if frames.frame_count is not None and frames.frame_count < needed:
        raise PortraitError(
            f"video '{video}': expected at least {needed} frames for this track, it has {frames.frame_count}; "
            "give the video that the track belongs to"
        )
    return frames


def warn_other_file(video: Path, track: Track) -> None:
    """Says so where a track was fitted to a file with other bytes: a new encoding is fine, another clip isn't."""
    known = (track.facts.get("source") or {}).get("sha256")
    if known is not None and known != file_hash(video):
        say(f"  note: the track was fitted to another file than {video.name}; their frames must be the same")


def _in_order(track: Track) -> bool:
    order = track.facts.get("target_frames") or []
    return all(b >= a for a, b in zip(order, order[1:]))
