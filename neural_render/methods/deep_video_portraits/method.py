"""Deep Video Portraits as a method: one clip's track and pictures become weights, and with a mixed track frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facemodel.base import check_same_model
from foundation.errors import PortraitError
from foundation.progress import Event, Report, ignore
from neural_render.losses.objective import check_losses
from neural_render.methods.base import Method, Needs, TrainingBudget, TrainingSummary, option
from neural_render.methods.clip import Clip
from neural_render.methods.common.texture import kept_texture
from neural_render.methods.deep_video_portraits import warping
from neural_render.methods.deep_video_portraits.conditioning import CONDITIONS, eye_colors, head_crop, mouth_colors
from neural_render.methods.deep_video_portraits.data import ClipCache
from neural_render.methods.deep_video_portraits.live import LiveSynthesizer
from neural_render.methods.deep_video_portraits.onnx_network import OnnxWeights, export_onnx
from neural_render.methods.deep_video_portraits.panels import map_panels
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.synthesis import synthesize
from neural_render.methods.deep_video_portraits.trainer import Trainer
from neural_render.methods.deep_video_portraits.weights import Header, Weights, own_track
from neural_render.training import bfloat16_helps, make_fabric, resume, run

TEXTURED_NEEDS = ("atlas", "reflectance")
"""Capabilities of a face model without which the three maps have to do, and without Face2Face's share."""


@dataclass(frozen=True)
class Options(TrainingBudget):
    """What a user decides about a training; `trainer.Settings` has the rest."""

    size: int = option(128, "px of the network's pictures: 64, 128, 256 or 512")
    width: int = option(32, "channels of its first layer; the paper's has 64")
    losses: Mapping[str, float] = option({}, "weights of losses by name, in place of the method's own")
    vgg: str | None = option(None, "file of VGG-16's weights, for the loss 'perceptual'; none is torchvision's cache")
    textured: bool = option(True, "the person's texture as a fourth map")
    held_out: float = option(0.0, "share of the frames that scores the training and ends it early; 0 trains on all")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in (64, 128, 256, 512):
            raise PortraitError(f"size: expected 64, 128, 256 or 512, got {self.size}")
        if self.width < 4:
            raise PortraitError(f"width: expected at least 4, got {self.width}")
        if not 0 <= self.held_out < 1:
            raise PortraitError(f"held-out: expected a share of the frames from 0 to under 1, got {self.held_out}")
        check_losses(self.losses, {"vgg": self.vgg})


class DeepVideoPortraits(Method):
    """``settings`` for what ``Options`` don't say."""

    name = "deep-video-portraits"
    title = "Deep Video Portraits (Kim et al., SIGGRAPH 2018)"
    expression, identity = "face model's parameters, rendered", "the weights, trained on one clip"
    training = Needs(track=True)
    target = Needs(track=True)
    driver = Needs(pictures=False, track=True)
    Options = Options
    Header = Header

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings

    def settings_for(self, options: Options) -> Settings:
        """All settings of a training with these options."""
        o, device = options, options.device
        base = self.settings or Settings(bfloat16=bfloat16_helps(device), batch=2 if device == "cpu" else 8)
        return replace(
            base, size=o.size, width=o.width, textured=o.textured, seed=o.seed, batch=o.batch or base.batch,
            vgg=o.vgg or base.vgg, losses={**base.losses, **o.losses}, held_out=o.held_out or base.held_out,
        )  # fmt: skip

    def prepare(self, clip: Clip, work: Path, options: Options, report: Report = ignore) -> ClipCache:
        """Maps and crops of the clip in a folder, made if they aren't there."""
        crop, texture = head_crop(clip.track, clip.model), None
        if options.textured:
            s = self.settings_for(options)
            texture = kept_texture(work / "texture.safetensors", clip, s.texels * s.size, s.textures, report)
        return ClipCache.build(
            work / "cache", clip.track, clip.frames, clip.model, crop=crop, size=options.size, texture=texture,
            report=report,
        )  # fmt: skip

    def prepare_warped(
        self, cache: ClipCache, clip: Clip, work: Path, report: Report = ignore
    ) -> warping.WarpedSamples:
        """The same of the clip with other expressions."""
        return warping.build(work / "warped", cache, clip.track, clip.frames, clip.model, report)

    def train(
        self,
        clips: Sequence[Clip],
        out: str | os.PathLike,
        options: Options,
        *,
        work: str | os.PathLike | None = None,
        report: Report = ignore,
    ) -> TrainingSummary:
        """See ``Method``. Frames without a tracked face are left out."""
        self.training.check(clips, "training")
        clip, out = clips[0], Path(out)
        track, model = clip.track, clip.model
        check_same_model("track: fitted", track, model)
        if out.is_dir():
            raise PortraitError(f"weights '{out}': expected a file to write to, found a folder; name a file in it")
        settings = self.settings_for(options)
        notes = []
        if options.textured and (lacking := [c for c in TEXTURED_NEEDS if c not in model.capabilities]):
            notes.append(f"model '{model.name}' has no {' and no '.join(lacking)}: the person's texture isn't a map")
            options = replace(options, textured=False)
            settings = replace(settings, textured=False)
        if settings.mouth_weight:
            model.require("regions", "a weight of the mouth")
        check_losses(settings.losses, settings.loss_options)
        work = Path(work) if work is not None else out.with_name(out.name + ".work")
        fabric = make_fabric(options.device, bfloat16=settings.bfloat16)
        with fabric.rank_zero_first():
            cache = self.prepare(clip, work, options, report)
            warped = None
            if settings.warped_every and model.arkit:
                warped = self.prepare_warped(cache, clip, work, report)
        excluded = int((~track.tracked).sum())
        if excluded:
            notes.append(f"{excluded} of {len(track)} frames have no tracked face, are left out")
        if settings.warped_every and warped is None:
            notes.append(f"model '{model.name}' has no ARKit names: the clip's own expressions alone are learnt")
        for note in notes:
            report(Event("frames", 0, len(track), "frames", note))
        trainer = Trainer(
            settings, cache, options.device, mouth=mouth_colors(model), eyes=eye_colors(model), warped=warped,
            fabric=fabric,
        )  # fmt: skip
        checkpoint, identity = work / "checkpoint.safetensors", {"data": cache.name}
        if warped is not None:
            identity["warped"] = warped.name
        resume(trainer, checkpoint, identity)
        resumed_at = trainer.step
        done = run(
            trainer, checkpoint, seconds=options.minutes * 60, steps=options.steps, identity=identity,
            report=report, logs=work, clock=self.clock,
        )  # fmt: skip
        score = min((s for _, s in trainer.scores), default=None)
        header = Header(
            method=self.name, model=model.name, fingerprint=model.fingerprint, width=settings.width,
            size=settings.size, window=settings.window, crop=cache.crop, frame_width=track.width,
            frame_height=track.height, conditions=CONDITIONS, norm=settings.norm,
            textured=settings.textured, steps=trainer.step,
            seconds=round(trainer.seconds, 2), sources=(dict(clip.source),),
            target={
                "clip_frames": len(track), "frames": len(trainer.trained_on),
                "excluded": excluded, "seed": settings.seed, "held_out": len(trainer.held_out), "score": score,
            },
        )  # fmt: skip
        with trainer.on_threads():
            generator = trainer.final_generator().state_dict()
        if fabric.is_global_zero:
            own = own_track(track) if all(c in model.capabilities for c in TEXTURED_NEEDS) else None
            Weights(header, generator, cache.head_region(), cache.texture, own).save(out)
        fabric.barrier()
        return TrainingSummary(
            out, done.steps, trainer.seconds, len(trainer.trained_on), excluded, resumed_at, done.losses,
            done.rollbacks, score, done.note,
        )  # fmt: skip

    def load(self, path: str | os.PathLike, model=None) -> Weights:
        kind = OnnxWeights if Path(path).suffix.lower() == ".onnx" else Weights.load
        return kind(path, model=model)

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        self.target.check([target], "target")
        return synthesize(weights, driver.track, target.frames, model=target.model, device=device)

    def live(self, weights: Weights, target: Clip, *, device: str = "cpu") -> LiveSynthesizer:
        return LiveSynthesizer(weights, target.track, model=target.model, device=device)

    def export(self, weights: Weights, path: str | os.PathLike) -> str:
        return export_onnx(weights, path)

    def panels(
        self, weights: Weights, target: Clip, driver: Clip, results: Iterator[np.ndarray], height: int
    ) -> Iterator[Mapping[str, np.ndarray]]:
        return map_panels(weights, driver.track, target.model, results, height)
