"""``portrait train``, ``adapt``: a method of reenactment learns from clips; weights come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foundation.errors import PortraitError
from foundation.progress import Report, ignore
from neural_render.methods.base import DEFAULT, Method, TrainingBudget, TrainingSummary, header_of
from neural_render.methods.clip import Clip
from neural_render.methods.weights import Weights
from neural_render.training import is_main_process
from portrait.services.checks import check_number, check_output
from portrait.services.corpora import corpus_clips
from portrait.services.events import Notes, named
from portrait.services.fitting import FitOptions, work_folder
from portrait.services.methods import LONGEST, clip_of, find, footage, has_track, make_options
from portrait.services.setup import Setup


@dataclass(frozen=True)
class MethodOptions:
    """A method, and what a user decides about it."""

    name: str = DEFAULT
    values: Mapping[str, object] = field(default_factory=dict)  # its own options, by name; text is read by their types

    def made(self, device: str = "cpu") -> TrainingBudget:
        """As the method has them. Raises PortraitError for an unknown method or option."""
        return make_options(self.name, self.values, device)


@dataclass(frozen=True)
class Trained:
    """Weights, and how they came to be."""

    summary: TrainingSummary
    options: TrainingBudget
    frames: int | None  # of all clips; None where that isn't known
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        s = self.summary
        begun = f" (gone on at step {s.resumed_at})" if s.resumed_at else ""
        size = f", {self.options.size} px" if hasattr(self.options, "size") else ""
        losses = ", ".join(f"{k} {v:.3f}" for k, v in s.losses.items())
        spent = f"{s.steps} steps in {s.seconds / 60:.1f} minutes{begun}"
        out = [f"{s.weights}: {spent}, {s.frames} frames{size}; {losses}"]
        if s.excluded:
            of = f" of {self.frames}" if self.frames else ""
            out.append(f"  note: {s.excluded}{of} frames have no tracked face and were left out")
        if s.rollbacks:
            went = "went back to its last checkpoint, at half the rates"
            out.append(f"  note: it diverged {s.rollbacks} times and {went}")
        if s.score is not None:
            out.append(f"  held-out frames: L1 {s.score:.4f}, where pictures are in -1 to 1; the best state was kept")
        return [*out, *([f"  note: {s.note}"] if getattr(s, "note", "") else [])]


def train(
    inputs: Sequence[Path],
    output: Path,
    method: MethodOptions = MethodOptions(),
    *,
    corpora: Sequence[str] = (),
    fit: FitOptions = FitOptions(),
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Trained:
    """Trains on clips and writes the weights; goes on from what an earlier run left beside them.

    Under torchrun every process comes here, and one of them writes and tells.

    Args:
        inputs: ``TRACK VIDEO``, or clips, whose tracks are fitted where the method asks for them.
        corpora: ``PATH`` or ``PATH:WEIGHT``, whose clips are trained on too; see `portrait.services.corpora`.

    Raises:
        PortraitError: clips or options that the method can't be trained with.
    """
    method.made()
    fit.check()
    check_output(output, *inputs)
    given = footage(inputs) if inputs or not corpora else ()
    setup = setup.started()
    options, work, chosen = method.made(setup.device), work_folder(output), find(method.name)
    report = report if is_main_process() else ignore
    notes = Notes(report)
    clips = [clip_of(one, work, setup=setup, fit=fit, notes=notes, report=report) for one in given]
    clips += corpus_clips(corpora, setup=setup, detector=fit.detector, report=report)
    return train_on(chosen, clips, output, options, notes=notes, report=report)


def adapt(
    weights: Path,
    inputs: Sequence[Path],
    output: Path,
    values: Mapping[str, object] | None = None,
    *,
    fit: FitOptions = FitOptions(),
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Trained:
    """Makes weights of many people those of one, whose clips these are; goes on from what an earlier run left.

    Args:
        weights: of a method that adapts; which one is in their header.
        inputs: as ``train`` takes them.
        values: the method's options, by name.

    Raises:
        PortraitError: weights, clips or options that can't be adapted to, with or by.
    """
    check_number("minutes", (values or {}).get("minutes"), 0, LONGEST, above=True)  # whatever the method is
    fit.check()
    check_output(output, weights, *inputs)
    method = MethodOptions(header_of(weights)["method"], values or {})
    method.made()
    chosen = find(method.name)
    if not chosen.can("adapt"):
        raise PortraitError(f"weights: those of '{chosen.name}', which doesn't adapt to a person; use them as they are")
    given, setup, work = footage(inputs), setup.started(), work_folder(output)
    report = report if is_main_process() else ignore
    notes = Notes(report)
    clips = [clip_of(one, work, setup=setup, fit=fit, notes=notes, report=report) for one in given]
    return train_on(
        chosen, clips, output, method.made(setup.device), weights=chosen.load(weights, clips[0].model), notes=notes,
        report=report,
    )  # fmt: skip


def train_on(
    method: Method,
    clips: Sequence[Clip],
    output: Path,
    options: TrainingBudget,
    *,
    weights: Weights | None = None,
    notes: Notes | None = None,
    report: Report = ignore,
) -> Trained:
    """Trains a method on clips that are there, or adapts these weights to them."""
    report, work = named(report, output.name), work_folder(output)
    if weights is None:
        summary = method.train(clips, output, options, work=work, report=report)
    else:
        summary = method.adapt(weights, clips, output, options, work=work, report=report)
    counts = [len(clip.track) if has_track(clip) else clip.count for clip in clips]
    return Trained(summary, options, None if None in counts else sum(counts), tuple(notes or ()))
