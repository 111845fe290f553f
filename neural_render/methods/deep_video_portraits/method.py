"""Deep Video Portraits (Kim et al., SIGGRAPH 2018): one network for one clip, fed with rendered maps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from facemodel.track import Track
from foundation.errors import PortraitError
from foundation.progress import ignore
from neural_render.losses.objective import LossOptions, check_losses
from neural_render.methods.base import Drive, Reenactor, Target, TrainingOptions, TrainingSummary
from neural_render.methods.deep_video_portraits import warping
from neural_render.methods.deep_video_portraits.conditioning import eye_colors, head_crop, mouth_colors
from neural_render.methods.deep_video_portraits.data import ClipCache, Progress
from neural_render.methods.deep_video_portraits.synthesis import synthesize
from neural_render.methods.deep_video_portraits.trainer import Settings, Trainer, bfloat16_helps
from neural_render.methods.deep_video_portraits.weights import Weights, WeightsHeader
from neural_render.training import make_fabric, resume, run

METHOD = "deep-video-portraits"


def check_trainable(track: Track, model, out: Path, options: TrainingOptions) -> None:
    """PortraitError for arguments that can't be trained with."""
    if options.size not in (64, 128, 256, 512):
        raise PortraitError(f"size: expected 64, 128, 256 or 512, got {options.size}")
    if options.minutes <= 0 or options.width < 4:
        raise PortraitError(
            f"minutes and width: expected more than 0 and at least 4, got {options.minutes} and {options.width}"
        )
    if options.batch is not None and options.batch < 1:
        raise PortraitError(f"batch: expected at least 1, got {options.batch}")
    if not 0 <= options.held_out < 1:
        raise PortraitError(f"held-out: expected a share of the frames from 0 to under 1, got {options.held_out}")
    if track.fingerprint != model.fingerprint:
        raise PortraitError(
            f"track: fitted with model '{track.model}' ({track.fingerprint}), but the model loaded is "
            f"'{model.name}' ({model.fingerprint}); fit the video again"
        )
    if out.is_dir():
        raise PortraitError(f"weights '{out}': expected a file to write to, found a folder; name a file in it")


class DeepVideoPortraits(Reenactor):
    """The method as ``neural_render.Reenactor``; ``settings`` for what ``TrainingOptions`` doesn't say."""

    name = METHOD
    clock = staticmethod(time.perf_counter)  # what minutes are measured with

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings

    def settings_for(self, options: TrainingOptions) -> Settings:
        """All settings of a training with these options."""
        o, device = options, options.device
        base = self.settings or Settings(bfloat16=bfloat16_helps(device), batch=2 if device == "cpu" else 8)
        return replace(
            base, size=o.size, width=o.width, seed=o.seed, batch=o.batch or base.batch, vgg=o.vgg or base.vgg,
            losses={**base.losses, **o.losses}, held_out=o.held_out or base.held_out,
        )  # fmt: skip

    def prepare(
        self, target: Target, work: Path, options: TrainingOptions, progress: Progress | None = None
    ) -> ClipCache:
        crop = head_crop(target.track, target.model)
        return ClipCache.build(
            work / "cache", target.track, target.frames, target.model, crop=crop, size=options.size, progress=progress
        )

    def prepare_warped(
        self, cache: ClipCache, target: Target, work: Path, progress: Progress | None = None
    ) -> warping.WarpedSamples:
        return warping.build(work / "warped", cache, target.track, target.frames, target.model, progress)

    def train(
        self,
        target: Target,
        out: str | os.PathLike,
        options: TrainingOptions,
        *,
        work: str | os.PathLike | None = None,
        progress: Progress | None = None,
    ) -> TrainingSummary:
        """See ``Reenactor``. Frames without a tracked face are left out."""
        track, model, out = target.track, target.model, Path(out)
        check_trainable(track, model, out, options)
        settings = self.settings_for(options)
        check_losses(settings.losses, LossOptions(settings.adversarial, settings.vgg))
        work = Path(work) if work is not None else out.with_name(out.name + ".work")
        fabric = make_fabric(options.device, bfloat16=settings.bfloat16)
        with fabric.rank_zero_first():
            cache = self.prepare(target, work, options, progress)
            warped = self.prepare_warped(cache, target, work, progress) if settings.warped_every else None
        excluded = int((~track.tracked).sum())
        if excluded and progress:
            progress(0, len(track), "training", f"{excluded} of {len(track)} frames have no tracked face, are left out")
        trainer = Trainer(
            settings, cache, options.device, mouth=mouth_colors(model), eyes=eye_colors(model), warped=warped,
            fabric=fabric,
        )  # fmt: skip
        checkpoint, identity = work / "checkpoint.safetensors", {"data": cache.name}
        if warped is not None:
            identity["warped"] = warped.name
        resume(trainer, checkpoint, identity)
        resumed_at = trainer.step
        report = ignore if progress is None else (lambda e: progress(e.done, e.total, e.stage, e.note))
        done = run(
            trainer, checkpoint, seconds=options.minutes * 60, steps=options.steps, identity=identity,
            report=report, logs=work, clock=self.clock,
        )  # fmt: skip
        score = min((s for _, s in trainer.scores), default=None)
        header = WeightsHeader(
            method=METHOD, model=model.name, fingerprint=model.fingerprint, width=settings.width, size=settings.size,
            window=settings.window, crop=cache.crop, frame_width=track.width, frame_height=track.height,
            norm=settings.norm, steps=trainer.step, seconds=round(trainer.seconds, 2),
            target={
                "source": track.facts.get("source"), "clip_frames": len(track), "frames": len(trainer.trained_on),
                "excluded": excluded, "seed": settings.seed, "held_out": len(trainer.held_out), "score": score,
            },
        )  # fmt: skip
        generator = trainer.final_generator().state_dict()
        if fabric.is_global_zero:
            Weights(header, generator, cache.head_region()).save(out)
        fabric.barrier()
        return TrainingSummary(
            out, done.steps, trainer.seconds, len(trainer.trained_on), excluded, resumed_at, done.losses, cache.crop,
            done.rollbacks, score,
        )  # fmt: skip

    def load(self, path: str | os.PathLike, model) -> Weights:
        return Weights.load(path, model=model)

    def reenact(self, weights: Weights, drive: Drive, target: Target, *, device: str = "cpu") -> Iterator[np.ndarray]:
        return synthesize(weights, drive.track, target.frames, model=target.model, device=device)


def train(
    track: Track,
    frames: Iterable,
    out: str | os.PathLike,
    *,
    model,
    settings: Settings | None = None,
    work: str | os.PathLike | None = None,
    progress: Progress | None = None,
    **options,
) -> TrainingSummary:
    """Trains a Deep Video Portraits network on one clip and writes its weights to the file ``out``.

    frames: re-iterable of (index, time, (H, W, 3) uint8), frame k being frame k of the track.
    options: those of ``TrainingOptions``. settings: for everything else; the options go first.
    work: folder for the checkpoint, the cache, curves and samples; ``out`` + ".work" by default. It may be deleted
    afterwards; kept, a later call with more minutes goes on from there.
    Frames without a tracked face are left out. Raises PortraitError for input that can't be trained on.
    """
    target = Target(track, frames, model)
    return DeepVideoPortraits(settings).train(target, out, TrainingOptions(**options), work=work, progress=progress)
