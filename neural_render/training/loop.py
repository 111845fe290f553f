"""The loop over steps, within a time budget: checkpoints, held-out scores, divergence, interruption."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import PortraitError
from neural_render.training.base import BaseTrainer
from neural_render.training.checkpoints import resume, save
from neural_render.training.logs import EVERY, Log

CHECKPOINT_SECONDS = 60.0
SCORE_EVERY = 250
"""Steps between two held-out scores."""
PATIENCE = 8
"""Scores in a row without a better one, after which a training stops."""
ROLLBACKS = 3
"""How often a training that diverges is taken back before it is given up."""
EXPLOSION = 30.0
"""A watched loss so many times its recent average has diverged."""
WARM_UP = 50
"""Steps at the start of a run in which it may be."""

Progress = Callable[[float, float, str, str], None]
"""Called with what is done, the total it counts towards, the stage's name and a note."""


@dataclass
class Outcome:
    """What a run did."""

    losses: dict[str, float]  # averaged over about the last 20 steps
    rollbacks: int = 0  # in this run
    steps: int = 0  # that the training came to
    stopped_early: bool = False  # held-out scores no longer improved


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


def diverged(losses: dict[str, float], recent: dict[str, float], watched: tuple[str, ...]) -> bool:
    """Whether a loss isn't a number, or a watched one has multiplied against its recent average."""
    if not all(math.isfinite(v) for v in losses.values()):
        return True
    return any(losses[k] > EXPLOSION * recent[k] for k in watched if k in losses and k in recent)


def no_longer_improves(scores: list[list[float]], patience: int) -> bool:
    """Whether the best score is at least ``patience`` scores old."""
    values = [score for _, score in scores]
    return len(values) > patience and values.index(min(values)) < len(values) - patience


def run(
    trainer: BaseTrainer,
    checkpoint: Path,
    *,
    seconds: float,
    steps: int | None = None,
    identity: dict | None = None,
    progress: Progress | None = None,
    every: float = CHECKPOINT_SECONDS,
    score_every: int = SCORE_EVERY,
    patience: int = PATIENCE,
    logs: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Steps until the trainer's total time reaches ``seconds`` or its total steps ``steps``; saves as it goes.

    every: seconds between checkpoints. On Ctrl-C the checkpoint is written first. Where the trainer gives a held-out
    score, the state with the best one is kept beside the checkpoint ("best.safetensors"), the run ends early after
    ``patience`` scores without a better one, and the trainer is left in the best state.
    logs: folder for curves and sheets. clock: tells seconds; wall-clock time, or the processor's. A training that
    diverges goes back to its last checkpoint with half the rates; PortraitError after ``ROLLBACKS`` times.
    """
    main = trainer.fabric.is_global_zero
    start, outcome = trainer.step, Outcome({})
    with deferred_interrupt() as interrupted, Log(logs if main else None, start) as log:
        keeper = _Keeper(trainer, checkpoint, identity or {}, log, outcome)
        if not checkpoint.is_file() and not keeper.save():
            raise PortraitError("training: expected finite weights to begin with, found others; check the data")
        saved = trainer.seconds
        while trainer.seconds < seconds and (steps is None or trainer.step < steps) and not outcome.stopped_early:
            began = clock()
            losses = trainer.advance()
            trainer.seconds += trainer.together([clock() - began])[0]
            if not keeper.accept(losses, start):
                keeper.go_back(losses)
                continue
            if trainer.step % score_every == 0:
                keeper.score(patience)
            if progress and main:
                timed = (min(trainer.seconds, seconds), seconds) if steps is None else (trainer.step, steps)
                progress(*timed, "training", _note(trainer, outcome.losses))
            stop = trainer.together([float(interrupted.is_set())])[0] > 0  # all processes stop where one is to
            if stop or trainer.seconds - saved >= every:
                saved = trainer.seconds
                if not keeper.save():
                    keeper.go_back(losses)
            if stop:
                raise KeyboardInterrupt
        if trainer.step > start:
            if trainer.step % score_every:
                keeper.score(patience)
            if not keeper.save():
                keeper.go_back(outcome.losses)
        outcome.steps = trainer.step
        keeper.take_best()
    return outcome


@dataclass
class _Keeper:
    """What is kept of a training beside its steps: checkpoints, the best state, curves, running averages."""

    trainer: BaseTrainer
    checkpoint: Path
    identity: dict
    log: Log
    outcome: Outcome

    @property
    def best(self) -> Path:
        return self.checkpoint.with_name("best.safetensors")

    def save(self) -> bool:
        """Writes the checkpoint, unless the state isn't worth it."""
        if not self.trainer.finite():
            return False
        save(self.trainer, self.checkpoint, self.identity)
        self.log.sheet(self.trainer.step, self.trainer.sheet())
        return True

    def accept(self, losses: dict[str, float], start: int) -> bool:
        """Adds a step's losses to the averages and curves; False where they have diverged."""
        trainer, recent = self.trainer, self.outcome.losses
        if diverged(losses, recent if trainer.step - start > WARM_UP else {}, trainer.watched):
            return False
        for k, v in losses.items():
            recent[k] = v if k not in recent else 0.95 * recent[k] + 0.05 * v
        if trainer.step % EVERY == 0:
            rates = {f"rate/{name}": optimizer.param_groups[0]["lr"] for name, optimizer in trainer.optimizers.items()}
            self.log.values(trainer.step, {**recent, **rates})
        return True

    def score(self, patience: int) -> None:
        """Scores the training on what was kept out, if anything was; keeps the best state."""
        trainer = self.trainer
        value = trainer.score()
        if value is None:
            return
        trainer.scores.append([trainer.step, value])
        self.log.values(trainer.step, {"held-out": value})
        if value <= min(s for _, s in trainer.scores):
            save(trainer, self.best, self.identity)
        self.outcome.stopped_early = no_longer_improves(trainer.scores, patience)

    def take_best(self) -> None:
        """Leaves the trainer in the state with the best score, if it was scored."""
        if self.trainer.scores:
            resume(self.trainer, self.best, self.identity)

    def go_back(self, losses: dict[str, float]) -> None:
        """The last checkpoint's state, half the rates and other random numbers; the time spent stays spent."""
        trainer = self.trainer
        step, seconds, rollbacks = trainer.step, trainer.seconds, trainer.rollbacks + 1
        shown = ", ".join(f"{k} {v:.3g}" for k, v in losses.items())
        if rollbacks > ROLLBACKS:
            raise PortraitError(
                f"training diverged at step {step} ({shown}), as it had {ROLLBACKS} times before; '{self.checkpoint}' "
                "is from before; lower the rate or change the seed"
            )
        resume(trainer, self.checkpoint, self.identity)
        trainer.seconds, trainer.rollbacks = seconds, rollbacks
        save(trainer, self.checkpoint, self.identity)
        self.outcome.rollbacks += 1
        self.outcome.losses.clear()
        self.log.event(trainer.step, f"diverged at step {step} ({shown}); went back to step {trainer.step}")


def _note(trainer: BaseTrainer, recent: dict[str, float]) -> str:
    parts = [f"step {trainer.step}", *(f"{k} {v:.3f}" for k, v in recent.items())]
    if trainer.scores:
        parts.append(f"held-out {trainer.scores[-1][1]:.4f}")
    if trainer.rollbacks:
        parts.append(f"diverged and went back {trainer.rollbacks} times")
    return ", ".join(parts)
