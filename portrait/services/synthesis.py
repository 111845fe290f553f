"""``portrait synthesize``: a target's video made again, doing what a driver does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np

from facemodel import PortraitError, Track
from facemodel.editing.mixing import is_mixed
from foundation.progress import Report, counted, ignore
from neural_render.methods.base import Method, header_of, method_of
from neural_render.methods.clip import Clip
from neural_render.methods.finding import detected, fitted
from neural_render.methods.weights import WeightsHeader
from portrait.files import find_file, synthetic_note, track_facts
from portrait.services.checks import check_output, check_video_output
from portrait.services.events import Notes
from portrait.services.methods import find, times_of
from portrait.services.setup import Setup
from portrait.tracks import check_video, is_other_file, is_track, load_track, other_file_note, pixel_aspect
from portrait.video import VideoWriter, has_sound, open_frames
from portrait.video.png import SUFFIX, write_picture
from portrait.video.source import file_hash
from portrait.video.writer import padding_note

LISTED = 8  # clips that a label names of those that weights were trained on; the rest is counted


@dataclass(frozen=True)
class Synthesized:
    """A video that was made."""

    path: Path
    frames: int
    width: int  # px of a frame; H.264 stores even sizes
    height: int
    pixel_aspect: Fraction = Fraction(1)  # of the file
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        size = f"{self.width} x {self.height}{padding_note(self.width, self.height, self.pixel_aspect)}"
        return [f"{self.path}: {self.frames} frames, {size}; labelled as synthetic in its metadata"]


def synthesize(
    weights: Path | None,
    driver: Path,
    video: Path,
    output: Path,
    *,
    method: str | None = None,
    sound: str | Path | None = None,
    source: Path | None = None,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Synthesized:
    """Writes the target's video with the driver's performance, with sound, labelled as synthetic.

    Args:
        weights: what 'portrait train' or 'portrait export' wrote; None for a method that has none, then ``method``.
        driver: a mixed or edited track, or a video for methods that look at the driver's pictures.
        video: the target's.
        sound, source: see `sound_file`.

    Raises:
        PortraitError: files that can't be used, or that don't belong together.
    """
    if is_picture(output):
        check_picture_output(output, video, driver, weights, source, frames=frames_in(driver))
    else:
        check_video_output(output, video, driver, weights, source)
    check_sound(sound)
    if weights is None and method is None:
        raise PortraitError("weights: expected a file that 'portrait train' wrote, got none")
    chosen = find(method) if weights is None else method_of(weights)
    if weights is None and chosen.training is not None:
        raise PortraitError(f"method '{chosen.name}': needs weights; train them with 'portrait train'")
    setup, notes = setup.started(), Notes(report)
    model = setup.face_model()
    loaded = None if weights is None else chosen.load(weights, model)
    note = {"method": chosen.name} if loaded is None else {"weights": weights_facts(weights, loaded.header)}
    digest = file_hash(video)
    note["target"] = {"file": video.name, "sha256": digest}
    if is_track(driver) or chosen.driver.track:
        track = load_track(driver, model)
        frames = check_video(video, track)
        header = None if loaded is None else loaded.header
        for text in stranger_notes(track, header, video, digest):
            notes.add(text)
        note["track"] = track_facts(driver, track)
        audio = sound_file(sound, track, video, source, notes, driver)
        source = source or (find_file(driver_of(track), video, driver) if chosen.driver.pictures else None)
        pictures = None if source is None else open_frames(source)
        target, drive = (Clip.of_track(track, f, model) for f in (frames, pictures))
    else:
        target, drive = (_pictures(path, model, setup.device) for path in (video, driver))
        note["driver"] = {"file": driver.name, "sha256": file_hash(driver)}
        audio = sound_of_pictures(sound, video, driver, notes)
    made = write_result(
        output, chosen, loaded, target, drive, audio=audio, note=synthetic_note("synthesize", **note), setup=setup,
        report=report,
    )  # fmt: skip
    for text in chosen.notes():
        notes.add(text)
    return Synthesized(output, *made, notes=tuple(notes))


def _pictures(path: Path, model, device: str) -> Clip:
    """A video of which landmarks, or a track for action units, are found when a method asks for them."""
    frames = open_frames(path)
    return Clip(
        frames, frames.width, frames.height, frames.fps, path.stem, frames.source, model,
        fitted(device=device), detected(device=device),
    )  # fmt: skip


def write_result(
    output: Path, method: Method, weights, target: Clip, driver: Clip, *, audio: Path | None, note: dict, setup: Setup,
    report: Report = ignore,
) -> tuple[int, int, int, Fraction]:  # fmt: skip
    """Writes what a method makes; frames, width, height and the shape of the file's pixels."""
    method.target.check([target], "target")
    method.driver.check([driver], "driver")
    pictures = method.animate(weights, target, driver, device=setup.device)
    times = times_of(driver)
    aspect = pixel_aspect(target.track) if "track" in target.__dict__ else Fraction(target.frames.pixel_aspect)
    shown = counted(pictures, report, f"synthesize {output.name}", len(times))
    return *write_frames(output, shown, times, driver.fps, aspect, audio=audio, note=note), aspect


def write_frames(
    path: Path, frames: Iterable[np.ndarray], times: Sequence[float], fps: float, aspect: Fraction, *,
    audio: Path | None, note: dict,
) -> tuple[int, int, int]:  # fmt: skip
    """Frames at these seconds to a video, or the first to a picture; how many, their width and height."""
    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    if is_picture(path):
        write_picture(path, first, note)
        return 1, width, height
    with VideoWriter(path, width, height, fps, audio_from=audio, metadata=note, pixel_aspect=aspect) as writer:
        for time, frame in zip(times, chain([first], frames)):
            writer.write(frame, time)
    return writer.frame_count, width, height


def frames_in(path: Path) -> int | None:
    """Of a clip or a track; None where that isn't known before it's read."""
    return len(load_track(path)) if is_track(path) else open_frames(path).frame_count


def is_picture(path: Path) -> bool:
    """Whether an output is a picture: a PNG, which says of itself that it's synthetic."""
    return path.suffix.lower() == SUFFIX


def check_picture_output(path: Path, *inputs: Path | None, frames: int | None = 1) -> None:
    """Where a picture goes. PortraitError where there are more frames than it holds."""
    if frames != 1:
        raise PortraitError(f"output '{path}': a picture holds one frame, the driver has more; name a video")
    check_output(path, *inputs)


def weights_facts(path: Path, header: WeightsHeader) -> dict:
    """What a result's label says of the network that made it."""
    told = header_of(path)
    trained = {name: told[name] for name in ("steps", "seconds", "size", "width") if name in told}
    listed, count = list(header.sources[:LISTED]), len(header.sources)
    trained["on"] = {"sources": listed} | ({"clips": count} if count > LISTED else {}) | told.get("target", {})
    facts = {"file": path.name, "sha256": file_hash(path), "method": header.method}
    return facts | ({"model": f"{header.model} ({header.fingerprint})"} if header.model else {}) | {"trained": trained}


def check_sound(sound: str | Path | None) -> None:
    """PortraitError for a ``sound`` that is neither one of the words of `sound_file` nor a file that has sound."""
    if sound in (None, "source", "target", "none"):
        return
    if not str(sound).strip() or not Path(sound).is_file():
        raise PortraitError(f"--sound '{sound}': expected source, target, none or a file, found no such file")
    if not has_sound(Path(sound)):
        raise PortraitError(f"--sound '{sound}': holds no sound that can be read; give another file, or none")


def sound_file(
    sound: str | Path | None, track: Track, target: Path, source: Path | None, notes: Notes, *beside: Path
) -> Path | None:
    """The file whose sound goes with the output; None for silence, which is noted where there was to be sound.

    sound: "source", "target", "none", or a file; None is the target's where its frames are in their own order, else
    the source's. source: the driver's video; None looks for it in the folders of ``target`` and of ``beside``.
    Raises PortraitError for "source" where it isn't found.
    """
    chosen = sound or ("target" if in_order(track) else "source")
    if chosen == "source":
        file = source or find_file(driver_of(track), target, *beside)
        if file is None and sound is not None:
            raise PortraitError(f"--sound source: {_no_source(track)}; give a file, target or none")
        if file is None:
            notes.add(f"no sound, since the track is longer than {target.name}, and {_no_source(track)}")
            return None
        source = file
    return _chosen_sound(chosen, target, source, notes, wanted=sound is not None or chosen == "source")


def sound_of_pictures(sound: str | Path | None, target: Path, driver: Path, notes: Notes) -> Path | None:
    """As `sound_file`, where the driver is a video: None is its own."""
    return _chosen_sound(sound or "source", target, driver, notes, wanted=sound is not None)


def _chosen_sound(chosen: str | Path, target: Path, source: Path | None, notes: Notes, wanted: bool) -> Path | None:
    if chosen == "none":
        return None
    file = {"target": target, "source": source}.get(chosen) or Path(chosen)
    if has_sound(file):
        return file
    if wanted:
        notes.add(f"no sound, since {file.name} has none")
    return None


def driver_of(track: Track) -> dict | None:
    """Facts of the file whose performance a mixed track has."""
    return (track.facts.get("mixed") or {}).get("source")


def _no_source(track: Track) -> str:
    if not is_mixed(track):
        return "the track wasn't mixed, so it has no source"
    name = (driver_of(track) or {}).get("file", "an unknown file")
    return f"its source, {name}, isn't beside the track or the video, with the bytes that were fitted"


def stranger_notes(track: Track, header: WeightsHeader | None, video: Path, digest: str) -> Iterator[str]:
    """Where track, weights and video (whose hash is ``digest``) aren't known to be of one clip.

    header: None where a method has no weights. Those of many clips belong to none.
    """
    of_track = track.facts.get("source") or {}
    of_weights = header.sources[0] if header is not None and len(header.sources) == 1 else {}
    of_both = (("the track was fitted to", of_track), ("the weights were trained on", of_weights))
    yield from [note for what, source in of_both if (note := other_file_note(what, source, video, digest))][:1]
    if not is_mixed(track) and is_other_file(of_track, of_weights.get("sha256")):
        yield (
            f"the track is of '{of_track.get('file')}', the weights of '{of_weights.get('file')}'; "
            "if these are two people, mix their tracks first with 'portrait mix'"
        )


def in_order(track: Track) -> bool:
    """Whether the target's frames follow each other as in its video."""
    order = track.facts.get("target_frames") or []
    return all(b >= a for a, b in zip(order, order[1:]))
