"""``portrait train`` and ``portrait synthesize``."""

from __future__ import annotations

from pathlib import Path

from facemodel import PortraitError, Track
from facemodel.mixing import is_mixed
from neural_render import OnnxWeights, TrainingSummary, Weights, synthesize, train

from ..files import file_hash, synthetic_note
from ..progress import Progress, say
from ..tracks import default_model, load_track, pick_device
from ..video import open_frames
from ..video_writer import check_writable
from .rendering import write_video


def train_file(
    path: Path, video: Path, output: Path, *, minutes: float, size: int, width: int, device: str, model=None
) -> TrainingSummary | None:
    """Trains on a clip and writes the weights; goes on from what an earlier run left beside them."""
    if output.is_dir():
        raise PortraitError(f"weights '{output}': expected a file name, found a folder; give a name inside it")
    check_writable(output, video)
    device = pick_device(device)
    model = model or default_model(device)
    track = load_track(path, model)
    if is_mixed(track):
        raise PortraitError(f"track '{path}': was mixed; train with the target's own track, which 'portrait fit' wrote")
    frames = check_video(video, track)
    warn_other_file(video, track)
    with Progress() as progress:
        summary = train(
            track,
            frames,
            output,
            model=model,
            size=size,
            width=width,
            minutes=minutes,
            device=device,
            progress=lambda done, total, stage, note: progress.update(done, total, f"{output.name}: {stage}", note),
        )
    begun = f" (gone on at step {summary.resumed_at})" if summary.resumed_at else ""
    say(
        f"{output}: {summary.steps} steps in {summary.seconds / 60:.1f} minutes{begun}, {summary.frames} frames, "
        f"{size} px; " + ", ".join(f"{k} {v:.3f}" for k, v in summary.losses.items())
    )
    if summary.excluded:
        say(f"  note: {summary.excluded} of {len(track)} frames have no tracked face and were left out")
    return summary


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
    loaded = (OnnxWeights if weights.suffix.lower() == ".onnx" else Weights.load)(weights, model=model)
    frames = check_video(video, track)
    note = synthetic_note(
        "synthesize",
        target={"file": video.name, "sha256": file_hash(video)},
        track={
            "edits": track.facts.get("edits"),
            "curves": track.facts.get("curves"),
            "mixed": track.facts.get("mixed"),
        },
        weights={"file": weights.name, "sha256": file_hash(weights)},
    )
    pictures = synthesize(loaded, track, frames, model=model, device=device)
    with Progress() as progress:
        shown = progress.over(pictures, len(track), f"synthesize {output.name}")
        write_video(output, shown, track, audio_from=sound_file(sound, track, video, source), note=note)
    say(f"{output}: {len(track)} frames, {track.width} x {track.height}; labelled as synthetic in its metadata")


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
    frames = open_frames(video)
    if (frames.width, frames.height) != (track.width, track.height):
        raise PortraitError(
            f"video '{video}': expected {track.width} x {track.height} as the track has it, "
            f"got {frames.width} x {frames.height}; give the video that the track belongs to"
        )
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
