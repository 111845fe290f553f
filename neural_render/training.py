"""Training on one clip within a time budget, with checkpoints that a later run takes up."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from facemodel.errors import PortraitError
from facemodel.track import Track

from .checkpoint import FORMAT, VERSION, Weights, WeightsHeader, read, write_atomic
from .conditioning import Crop, head_crop
from .data import ClipCache, Progress
from .trainer import Settings, Trainer, bfloat16_helps

METHOD = "deep-video-portraits"
CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class TrainingSummary:
    """What a training did."""

    weights: Path
    steps: int  # in total, earlier runs included
    seconds: float  # spent in steps, earlier runs included
    frames: int  # trained on
    excluded: int  # frames of the clip without a tracked face
    resumed_at: int  # step of the checkpoint it began with; 0 for none
    losses: dict[str, float]  # of the last steps, averaged
    crop: Crop


@contextlib.contextmanager
def deferred_interrupt():
    """Ctrl-C sets the yielded event instead of breaking a step in the middle; a second one interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous = signal.getsignal(signal.SIGINT)

    def note(_signal, _frame):
        event.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)


def resume(trainer: Trainer, path: Path, identity: dict) -> None:
    """Loads a checkpoint into the trainer, if there is one.

    PortraitError where it is broken, of other settings, or of another clip (``identity``).
    """
    if not path.is_file():
        return
    tensors, header = read(path, "checkpoint", str(trainer.device))
    wanted = {**asdict(trainer.settings), **identity}
    found = {**header.get("settings", {}), **header.get("identity", {})}
    differs = [k for k in wanted if found.get(k) != wanted[k]]
    if differs:
        what = ", ".join(f"{k} {found.get(k)} instead of {wanted[k]}" for k in differs[:3])
        raise PortraitError(f"checkpoint '{path}': of another training ({what}); delete it or choose another output")
    try:
        trainer.load_state(tensors, header)
    except (KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PortraitError(f"checkpoint '{path}': incomplete ({reason}); delete it and train again") from None


def run(
    trainer: Trainer,
    checkpoint: Path,
    *,
    seconds: float,
    steps: int | None = None,
    identity: dict | None = None,
    progress: Progress | None = None,
    every: float = CHECKPOINT_SECONDS,
) -> dict[str, float]:
    """Steps until the trainer's total time reaches ``seconds`` or its total steps ``steps``; saves as it goes.

    Returns the losses, averaged over about the last 20 steps. On Ctrl-C the checkpoint is written first.
    """
    recent: dict[str, float] = {}

    def save() -> None:
        tensors, header = trainer.state()
        header |= {"format": FORMAT, "kind": "checkpoint", "version": VERSION, "identity": identity or {}}
        write_atomic(checkpoint, tensors, header)

    saved, start = trainer.seconds, trainer.step
    with deferred_interrupt() as interrupted:
        while trainer.seconds < seconds and (steps is None or trainer.step < steps):
            began = time.perf_counter()
            losses = trainer.advance()
            trainer.seconds += time.perf_counter() - began
            for k, v in losses.items():
                recent[k] = v if k not in recent else 0.95 * recent[k] + 0.05 * v
            if progress:
                text = ", ".join(f"{k} {v:.3f}" for k, v in recent.items())
                note = f"step {trainer.step}, {text}"
                if steps is None:
                    progress(min(trainer.seconds, seconds), seconds, "training", note)
                else:
                    progress(trainer.step, steps, "training", note)
            if interrupted.is_set() or trainer.seconds - saved >= every:
                save()
                saved = trainer.seconds
            if interrupted.is_set():
                raise KeyboardInterrupt
    if trainer.step > start:
        save()
    return recent


def train(
    track: Track,
    frames: Iterable,
    out: str | os.PathLike,
    *,
    model,
    size: int = 128,
    width: int = 32,
    minutes: float = 10.0,
    steps: int | None = None,
    batch: int | None = None,
    device: str = "cpu",
    seed: int = 0,
    settings: Settings | None = None,
    work: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> TrainingSummary:
    """Trains a Deep Video Portraits network on one clip and writes its weights to the file ``out``.

    frames: re-iterable of (index, time, (H, W, 3) uint8), frame k being frame k of the track.
    minutes: of training in total; a run that was stopped goes on with what is left of them. steps: stop there too.
    settings: for everything else; size, width, batch and seed given here go first.
    work: folder for the checkpoint and the cache; ``out`` + ".work" by default. It may be deleted afterwards;
    kept, a later call with more minutes goes on from there.
    Frames without a tracked face are left out. Raises PortraitError for input that can't be trained on.
    """
    if size not in (64, 128, 256, 512):
        raise PortraitError(f"size: expected 64, 128, 256 or 512, got {size}")
    if minutes <= 0 or width < 4:
        raise PortraitError(f"minutes and width: expected more than 0 and at least 4, got {minutes} and {width}")
    if batch is not None and batch < 1:
        raise PortraitError(f"batch: expected at least 1, got {batch}")
    if track.fingerprint != model.fingerprint:
        raise PortraitError(
            f"track: fitted with model '{track.model}' ({track.fingerprint}), but the model loaded is "
            f"'{model.name}' ({model.fingerprint}); fit the video again"
        )
    if settings is None:
        settings = Settings(bfloat16=bfloat16_helps(device), batch=2 if device == "cpu" else 8)
    settings = replace(settings, size=size, width=width, seed=seed, batch=batch or settings.batch)
    out = Path(out)
    if out.is_dir():
        raise PortraitError(f"weights '{out}': expected a file to write to, found a folder; name a file in it")
    work = Path(work) if work is not None else out.with_name(out.name + ".work")
    say = progress or (lambda *_: None)
    crop = head_crop(track, model)
    cache = ClipCache.build(work / "cache", track, frames, model, crop=crop, size=size, progress=progress)
    excluded = int((~track.tracked).sum())
    if excluded:
        say(
            0,
            len(track),
            "training",
            f"{excluded} of {len(track)} frames have no tracked face and are left out",
        )
    trainer = Trainer(settings, cache, device)
    checkpoint, identity = work / "checkpoint.safetensors", {"data": cache.name}
    resume(trainer, checkpoint, identity)
    resumed_at = trainer.step
    losses = run(trainer, checkpoint, seconds=minutes * 60, steps=steps, identity=identity, progress=progress)
    header = WeightsHeader(
        method=METHOD, model=model.name, fingerprint=model.fingerprint, width=width, size=size,
        window=settings.window, crop=crop, frame_width=track.width, frame_height=track.height, norm=settings.norm,
        steps=trainer.step, seconds=round(trainer.seconds, 2),
        target={
            "source": track.facts.get("source"), "clip_frames": len(track), "frames": len(cache),
            "excluded": excluded, "seed": seed,
        },
    )  # fmt: skip
    Weights(header, trainer.final_generator().state_dict(), cache.head_region()).save(out)
    return TrainingSummary(out, trainer.step, trainer.seconds, len(cache), excluded, resumed_at, losses, crop)
