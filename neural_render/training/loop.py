"""The loop over steps, within a budget: checkpoints, held-out scores, divergence, interruption, threads.

`run` takes a trainer (`BaseTrainer`), whatever it trains; methods and commands call it.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from foundation.errors import PortraitError
from foundation.progress import Event, Report, ignore
from neural_render.training.base import BaseTrainer
from neural_render.training.checkpoints import resume, save
from neural_render.training.logs import Log


@dataclass(frozen=True)
class RunPolicy:
    """What a run does beside its steps, and when."""

    save_seconds: float = 60.0  # between two checkpoints
    save_steps: int | None = None  # as well, where it's given
    log_every: int = 10  # steps between two points of a curve
    score_every: int = 250  # steps between two held-out scores
    patience: int = 8  # scores in a row without a better one, after which a training stops
    rollbacks: int = 3  # how often a training that diverges is taken back before it is given up
    explosion: float = 30.0  # a watched loss so many times its recent average has diverged
    warm_up: int = 50  # steps at the start of a run in which it may be
    enough: float = 0.8  # share of the steps that a training needs; fewer are noted


@dataclass
class Outcome:
    """What a run did."""

    losses: dict[str, float]  # averaged over about the last 20 steps
    rollbacks: int = 0  # in this run
    steps: int = 0  # that the training came to
    stopped_early: bool = False  # held-out scores no longer improved
    note: str = ""  # where the budget ended it with far fewer steps than the method needs: how to go on


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


def diverged(losses: dict[str, float], recent: dict[str, float], watched: tuple[str, ...], explosion: float) -> bool:
    """Whether a loss isn't a number, or a watched one is ``explosion`` times its recent average."""
    if not all(math.isfinite(v) for v in losses.values()):
        return True
    return any(losses[k] > explosion * recent[k] for k in watched if k in losses and k in recent)


def no_longer_improves(scores: list[list[float]], patience: int) -> bool:
    """Whether the best score is at least ``patience`` scores old."""
    values = [score for _, score in scores]
    return len(values) > patience and values.index(min(values)) < len(values) - patience


def run(
    trainer: BaseTrainer,
    checkpoint: Path,
    *,
    seconds: float = math.inf,
    steps: int | None = None,
    identity: dict | None = None,
    report: Report = ignore,
    policy: RunPolicy = RunPolicy(),
    logs: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Steps until the trainer's total time reaches ``seconds`` or its total steps ``steps``; saves as it goes.

    On Ctrl-C the checkpoint is written first. Where the trainer gives a held-out score, the state with the best one is
    kept beside the checkpoint ("best.safetensors"), the run ends early where scores no longer improve, and the trainer
    is left in the best state. A training that diverges goes back to its last checkpoint with half the rates.

    Args:
        identity: what the data is, for JSON: a checkpoint of other data is refused.
        logs: folder for curves and sheets.
        clock: tells seconds; wall-clock time, or the processor's.

    Raises:
        PortraitError: the weights aren't finite to begin with, or it diverged more than ``policy.rollbacks`` times.
    """
    main = trainer.fabric.is_global_zero
    report = report if main else ignore
    start, outcome = trainer.step, Outcome(trainer.recent)
    event = Event("training", *((start, steps, "steps") if steps is not None else (trainer.seconds, seconds, "s")))
    event = replace(event, begun=event.done)
    with deferred_interrupt() as interrupted, Log(logs if main else None, start) as log, trainer.on_threads():
        keeper = _Keeper(trainer, checkpoint, identity or {}, log, outcome, policy, trainer.seconds)
        if not checkpoint.is_file() and not keeper.save():
            raise PortraitError("training: expected finite weights to begin with, found others; check the data")
        report(replace(event, note=_note(trainer)))
        while trainer.seconds < seconds and (steps is None or trainer.step < steps) and not outcome.stopped_early:
            losses = _timed_step(trainer, clock)
            if not keeper.accept(losses, start):
                keeper.go_back(losses)
                continue
            if trainer.step % policy.score_every == 0:
                keeper.score()
            done = trainer.step if steps is not None else min(trainer.seconds, seconds)
            report(replace(event, done=done, note=_note(trainer)))
            stop = trainer.together([float(interrupted.is_set())])[0] > 0  # all processes stop where one is to
            if (stop or keeper.due()) and not keeper.save():
                keeper.go_back(losses)
            if stop:
                raise KeyboardInterrupt
        if trainer.step > start:
            if trainer.step % policy.score_every:
                keeper.score()
            if not keeper.save():
                keeper.go_back(outcome.losses)
        outcome.steps, outcome.losses = trainer.step, dict(trainer.recent)
        if trainer.seconds >= seconds:
            outcome.note = short_of_steps(trainer, policy.enough)
        keeper.take_best()
    return outcome


def _timed_step(trainer: BaseTrainer, clock: Callable[[], float]) -> dict[str, float]:
    """One step, its time spent and learnt from."""
    step, began = trainer.step, clock()
    if trainer.device.type == "cpu":
        torch.set_num_threads(trainer.threads.count(step))
    losses = trainer.advance()
    spent = trainer.together([clock() - began])[0]
    trainer.seconds += spent
    trainer.threads.learn(step, spent)
    return losses


def short_of_steps(trainer: BaseTrainer, enough: float) -> str:
    """Says that a training has less than ``enough`` of the steps it needs, and what goes on with it; "" for none."""
    needed = trainer.steps_needed
    if needed is None or trainer.step >= enough * needed:
        return ""
    minutes = math.ceil(trainer.seconds / 60 * needed / max(trainer.step, 1))
    return (
        f"{trainer.step} steps, where about {needed} are needed for a good result; the same command with "
        f"--minutes {minutes} goes on from here"
    )


@dataclass
class _Keeper:
    """What is kept of a training beside its steps: checkpoints, the best state, curves, running averages."""

    trainer: BaseTrainer
    checkpoint: Path
    identity: dict
    log: Log
    outcome: Outcome
    policy: RunPolicy
    saved: float = 0.0  # seconds of training that the last checkpoint has

    @property
    def best(self) -> Path:
        return self.checkpoint.with_name("best.safetensors")

    def due(self) -> bool:
        """Whether it's time for a checkpoint."""
        p, trainer = self.policy, self.trainer
        by_steps = p.save_steps is not None and trainer.step % p.save_steps == 0
        return by_steps or trainer.seconds - self.saved >= p.save_seconds

    def save(self) -> bool:
        """Writes the checkpoint, unless the state isn't worth it."""
        self.saved = self.trainer.seconds
        if not self.trainer.finite():
            return False
        save(self.trainer, self.checkpoint, self.identity)
        self.log.sheet(self.trainer.step, self.trainer.sheet())
        self.log.write()
        return True

    def accept(self, losses: dict[str, float], start: int) -> bool:
        """Adds a step's losses to the averages and curves; False where they have diverged."""
        trainer, recent = self.trainer, self.trainer.recent
        settled = recent if trainer.step - start > self.policy.warm_up else {}
        if diverged(losses, settled, trainer.watched, self.policy.explosion):
            return False
        for k, v in losses.items():
            recent[k] = v if k not in recent else 0.95 * recent[k] + 0.05 * v
        if trainer.step % self.policy.log_every == 0:
            rates = {f"rate/{name}": optimizer.param_groups[0]["lr"] for name, optimizer in trainer.optimizers.items()}
            self.log.values(trainer.step, {**recent, **rates})
        return True

    def score(self) -> None:
        """Scores the training on what was kept out, if anything was; keeps the best state."""
        trainer = self.trainer
        value = trainer.score()
        if value is None:
            return
        trainer.scores.append([trainer.step, value])
        self.log.values(trainer.step, {"held-out": value})
        if value <= min(s for _, s in trainer.scores):
            save(trainer, self.best, self.identity)
        self.outcome.stopped_early = no_longer_improves(trainer.scores, self.policy.patience)

    def take_best(self) -> None:
        """Leaves the trainer in the state with the best score, if it was scored."""
        if self.trainer.scores:
            resume(self.trainer, self.best, self.identity)

    def go_back(self, losses: dict[str, float]) -> None:
        """The last checkpoint's state, half the rates and other random numbers; the time spent stays spent."""
        trainer, most = self.trainer, self.policy.rollbacks
        step, seconds, rollbacks = trainer.step, trainer.seconds, trainer.rollbacks + 1
        shown = ", ".join(f"{k} {v:.3g}" for k, v in losses.items())
        if rollbacks > most:
            raise PortraitError(
                f"training diverged at step {step} ({shown}), as it had {most} times before; '{self.checkpoint}' "
                "is from before; lower the rate or change the seed"
            )
        resume(trainer, self.checkpoint, self.identity)
        trainer.seconds, trainer.rollbacks = seconds, rollbacks
        save(trainer, self.checkpoint, self.identity)
        self.outcome.rollbacks += 1
        self.log.event(trainer.step, f"diverged at step {step} ({shown}); went back to step {trainer.step}")


def _note(trainer: BaseTrainer) -> str:
    parts = [f"step {trainer.step}", *(f"{k} {v:.3f}" for k, v in trainer.recent.items())]
    if trainer.scores:
        parts.append(f"held-out {trainer.scores[-1][1]:.4f}")
    if trainer.rollbacks:
        parts.append(f"diverged and went back {trainer.rollbacks} times")
    return ", ".join(parts)
