"""What methods that learn from many people's clips share: from clips to weights, and a target's pictures."""

from __future__ import annotations

import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from foundation.errors import PortraitError
from foundation.progress import Event, Report, ignore
from geometry.color import to_uint8
from neural_render.corpus import Faces, cropped, face_box, gather
from neural_render.images import Crop
from neural_render.losses.perceptual import available
from neural_render.methods.base import Method, TrainingBudget, TrainingSummary
from neural_render.methods.clip import Clip
from neural_render.methods.weights import save_weights
from neural_render.training import make_fabric, resume, run


class PeopleTrainer(Protocol):
    """A `BaseTrainer` of many people's faces, which says what is kept of it."""

    def weights(self) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
        """Tensors of the weights file, and the fields of the method's header that every header doesn't have."""
        ...


class PeopleMethod(Method):
    """A method that learns from many people's faces: it says by which settings and steps, `train_on_faces` does it."""

    @abstractmethod
    def settings(self, options: TrainingBudget, report: Report = ignore) -> Any:
        """All that decides a training with these options, ``size`` and ``bfloat16`` too; tells what is left out."""

    @abstractmethod
    def trainer(self, settings: Any, faces: Faces, fabric: Any, report: Report) -> PeopleTrainer: ...

    def wants_units(self, options: TrainingBudget) -> bool:
        """Whether faces come with action units."""
        return self.training.action_units

    def train(
        self,
        clips: Sequence[Clip],
        out: str | os.PathLike,
        options: TrainingBudget,
        *,
        work: str | os.PathLike | None = None,
        report: Report = ignore,
    ) -> TrainingSummary:
        settings = self.settings(options, report)
        return train_on_faces(
            self, lambda faces, fabric: self.trainer(settings, faces, fabric, report), clips, out, options,
            size=settings.size, work=work, bfloat16=settings.bfloat16, action_units=self.wants_units(options),
            report=report,
        )  # fmt: skip


def train_on_faces(
    method: Method,
    make: Callable[[Faces, Any], PeopleTrainer],  # of the faces and a Fabric
    clips: Sequence[Clip],
    out: str | os.PathLike,
    options: TrainingBudget,
    *,
    size: int,  # px of the crops
    work: str | os.PathLike | None = None,
    bfloat16: bool = False,
    frames_a_clip: int = 32,  # at most, evenly spread
    action_units: bool = False,
    facts: Mapping[str, Any] | None = None,  # what a checkpoint has to be of, beside settings and clips
    report: Report = ignore,
) -> TrainingSummary:
    """A method's ``train``: faces of the clips in ``work``, a training that goes on from there, weights in ``out``."""
    method.training.check(clips, "training")
    out = Path(out)
    if out.is_dir():
        raise PortraitError(f"weights '{out}': expected a file to write to, found a folder; name a file in it")
    work = Path(work) if work is not None else out.with_name(out.name + ".work")
    fabric = make_fabric(options.device, bfloat16=bfloat16)
    with fabric.rank_zero_first():
        faces = gather(
            clips, work / "faces", size, frames_a_clip=frames_a_clip, action_units=action_units, report=report
        )
    if faces.excluded:
        report(Event("faces", len(clips), len(clips), "clips", f"{faces.excluded} frames have no face, are left out"))
    trainer = make(faces, fabric)
    checkpoint, identity = work / "checkpoint.safetensors", {**corpus_facts(faces, clips), **(facts or {})}
    resume(trainer, checkpoint, identity)
    begun = trainer.step
    done = run(
        trainer, checkpoint, seconds=options.minutes * 60, steps=options.steps, identity=identity, report=report,
        logs=work, clock=method.clock,
    )  # fmt: skip
    with trainer.on_threads():
        tensors, own = trainer.weights()
    header = method.Header(
        method=method.name, steps=trainer.step, seconds=round(trainer.seconds, 2),
        sources=tuple(dict(clip.source) for clip in clips), **own,
    )  # fmt: skip
    if fabric.is_global_zero:
        save_weights(out, header, tensors)
    fabric.barrier()
    score = min((s for _, s in trainer.scores), default=None)
    return TrainingSummary(
        out, done.steps, trainer.seconds, len(faces), faces.excluded, begun, done.losses, done.rollbacks, score,
        done.note,
    )  # fmt: skip


def with_perceptual(losses: Mapping[str, float], weight: float, vgg: str | None, report: Report) -> dict[str, float]:
    """The losses, with the perceptual one of that weight where VGG-16's weights are there; where not, that is said."""
    return {**losses, "perceptual": weight} if vgg_there(vgg, "the perceptual loss", report) else dict(losses)


def vgg_there(vgg: str | None, loss: str, report: Report) -> bool:
    """Whether VGG-16's weights are there; where not, it is said that the loss is left out."""
    there = available(vgg)
    if not there:
        report(Event("faces", 0, 1, "clips", f"VGG-16's weights aren't there: {loss} is left out"))
    return there


def corpus_facts(faces: Faces, clips: Sequence[Clip]) -> dict[str, Any]:
    """What a checkpoint says of its data: counts, which a reader understands, and a digest of the rest."""
    told = [[dict(clip.source), clip.person, clip.performance, clip.weight] for clip in clips]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return {"people": len(faces.people), "clips": len(clips), "pictures": len(faces), "corpus": digest}


@dataclass(frozen=True)
class Sources:
    """Some frames of a target's face."""

    pictures: Tensor  # (K, 3, size, size) in [-1, 1]
    landmarks: np.ndarray  # (K, L, 2) in the crop
    frames: tuple[int, ...]  # which of the clip's
    crop: Crop


def sources(target: Clip, size: int, count: int, device: torch.device | str = "cpu") -> Sources:
    """Up to ``count`` frames of a target with a face, evenly spread. PortraitError where there is none."""
    points = target.landmarks.points
    crop, seen = face_box(points), np.flatnonzero(np.isfinite(points).all((1, 2)))
    chosen = seen[np.unique(np.linspace(0, len(seen) - 1, min(count, len(seen))).round().astype(int))].tolist()
    pictures, landmarks = [], []
    for index, picture, found in cropped(target, size, crop):
        if index in chosen:
            pictures.append(picture)
            landmarks.append(found)
        if index >= chosen[-1]:
            break
    return Sources(torch.stack(pictures).to(device), np.stack(landmarks), tuple(chosen), crop)


def to_pixels(picture: Tensor) -> np.ndarray:
    """(..., 3, H, W) in [-1, 1] -> (..., H, W, 3) uint8."""
    return np.ascontiguousarray(to_uint8((picture.float() + 1) / 2).movedim(-3, -1).cpu().numpy())
