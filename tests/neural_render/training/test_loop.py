"""The loop over steps: averages, rates, divergence, held-out scores, logs."""

import csv
import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import PortraitError
from foundation.tensors import read_tensors, write_tensors
from foundation.threads import ThreadChoice, ThreadPolicy
from neural_render.training import RunPolicy, order, resume, run, split_held_out
from neural_render.training.loop import no_longer_improves
from tests.neural_render.training.toys import Line, ToySettings

SELDOM, ALWAYS = RunPolicy(save_seconds=1e9), RunPolicy(save_seconds=0)


def descended(rates, seed=0):
    """The weight after each step of momentum descent, in plain numbers."""
    w, velocity, data, ws = 1.0, 0.0, np.arange(1, 13) / 4, []
    for step, rate in enumerate(rates):
        x = data[order(step, 4, 12, seed)]
        velocity = 0.5 * velocity + 2 * (w - 2) * (x**2).mean()
        w -= rate * velocity
        ws.append(w)
    return ws


def test_steps_are_those_of_plain_descent(tmp_path):
    trainer = Line()
    run(trainer, tmp_path / "c", steps=6, policy=SELDOM)
    assert trainer.w == pytest.approx(descended([0.1] * 6)[-1], rel=1e-12)


def test_the_budget_is_counted_by_the_clock_that_is_given(tmp_path):
    trainer, ticks = Line(), itertools.count()
    run(trainer, tmp_path / "c", seconds=5, clock=lambda: float(next(ticks)))
    assert (trainer.step, trainer.seconds) == (5, 5)


def test_averaged_weights(tmp_path):
    trainer = Line()
    run(trainer, tmp_path / "c", steps=9, policy=SELDOM)
    average, ws = 1.0, descended([0.1] * 9)
    for step in range(0, 9, trainer.average_every):
        decay = min(0.9, (1 + step) / (10 + step)) ** trainer.average_every
        average = decay * average + (1 - decay) * ws[step]
    assert trainer.averages["line"][0].weight.item() == pytest.approx(average, rel=1e-12)


def test_gradients_are_clipped():
    trainer = Line(ToySettings(clip=0.01))
    trainer.advance()
    assert trainer.w == pytest.approx(1 + 0.1 * 0.01, rel=1e-4)


class NanAt(Line):
    """Gives a loss that isn't a number at one step, ``times`` times."""

    at, times = 5, 1

    def losses(self):
        losses = super().losses()
        return {"square": losses["square"] * float("nan")} if self._bad() else losses

    def _bad(self):
        return self.step == self.at and self.rollbacks < self.times


class BrokenWeights(NanAt):
    """Its loss is fine where its weights no longer are."""

    def losses(self):
        losses = Line.losses(self)
        if self._bad():
            self.modules["line"][0].weight.data.fill_(float("nan"))
        return losses


class Explodes(NanAt):
    at = 60

    def losses(self):
        losses = Line.losses(self)
        return {"square": losses["square"] + 1e6} if self._bad() else {"square": losses["square"] + 1}


@pytest.mark.parametrize("kind", [NanAt, BrokenWeights, Explodes])
def test_divergence_goes_back_to_the_last_checkpoint_with_half_the_rate(tmp_path, kind):
    trainer, steps = kind(), kind.at + 3
    seen = []
    outcome = run(trainer, tmp_path / "c", policy=ALWAYS, steps=steps, report=lambda e: seen.append(e.note))
    assert (outcome.rollbacks, outcome.steps, trainer.rollbacks) == (1, steps, 1)
    assert trainer.w == pytest.approx(descended([0.1] * kind.at + [0.05] * 3)[-1], rel=1e-9)
    assert "went back 1 times" in seen[-1]
    again = Line()
    resume(again, tmp_path / "c", {})
    assert (again.step, again.rollbacks, again.w) == (steps, 1, trainer.w)


def test_divergence_that_comes_again_is_reported_and_the_checkpoint_stays_good(tmp_path):
    trainer = NanAt()
    trainer.times = 9
    with pytest.raises(PortraitError, match="diverged at step 6 .*lower the rate"):
        run(trainer, tmp_path / "c", policy=ALWAYS, steps=50)
    tensors, header = read_tensors(tmp_path / "c", "checkpoint", 1, "")
    assert (header["step"], header["rollbacks"]) == (5, 3)
    assert all(t.isfinite().all() for t in tensors.values())


def test_weights_that_are_no_numbers_at_the_start(tmp_path):
    trainer = Line()
    trainer.modules["line"][0].weight.data.fill_(float("inf"))
    with pytest.raises(PortraitError, match="finite weights to begin with"):
        run(trainer, tmp_path / "c", steps=2, policy=SELDOM)


def test_best_state_is_kept_and_the_training_ends_early(tmp_path):
    trainer = Line()
    trainer.scripted = {2: 0.5, 4: 0.3, 6: 0.4, 8: 0.35, 10: 0.1}
    outcome = run(trainer, tmp_path / "c", steps=50, policy=replace(SELDOM, score_every=2, patience=2))
    assert (outcome.stopped_early, outcome.steps, trainer.step) == (True, 8, 4)
    assert trainer.w == pytest.approx(descended([0.1] * 4)[-1], rel=1e-12)
    resume(again := Line(), tmp_path / "c", {})
    assert (again.step, again.scores) == (8, [[2, 0.5], [4, 0.3], [6, 0.4], [8, 0.35]])


@given(st.lists(st.floats(0, 1), max_size=12), st.integers(1, 4))
def test_early_stop_means_as_many_scores_without_a_better_one(values, patience):
    scores = [[k, v] for k, v in enumerate(values)]
    expected = len(values) > patience and min(values[:-patience]) <= min(values[-patience:])
    assert no_longer_improves(scores, patience) is expected


@given(st.integers(1, 400), st.floats(0, 0.9))
def test_held_out_frames_are_whole_runs_of_about_the_share(count, share):
    trained, held = split_held_out(count, share)
    assert sorted([*trained, *held]) == list(range(count))
    assert len(trained) >= 1
    if share == 0:
        assert len(held) == 0
    if count * share >= 10:
        assert abs(len(held) - count * share) <= 6
        assert (np.diff(held) > 1).sum() <= 9


def test_curves_and_sheets(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(Line(), tmp_path / "c", steps=20, logs=tmp_path, policy=SELDOM)
    second = Line()
    resume(second, tmp_path / "c", {})
    second.scripted = {30: 0.25}
    run(second, tmp_path / "c", steps=30, logs=tmp_path, policy=replace(SELDOM, score_every=30))
    curves = EventAccumulator(str(tmp_path / "tensorboard"))
    curves.Reload()
    assert {"square", "rate/line", "held-out"} <= set(curves.Tags()["scalars"])
    assert [e.step for e in curves.Scalars("square")] == [10, 20, 30]
    assert curves.Scalars("held-out")[0].value == 0.25
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["10", "20", "30"]
    assert (rows[0]["held-out"], float(rows[2]["held-out"])) == ("", 0.25)
    assert float(rows[1]["square"]) == pytest.approx(curves.Scalars("square")[1].value, rel=1e-6)
    sheets = sorted(p.name for p in (tmp_path / "samples").iterdir())
    assert sheets == ["0000000.png", "0000020.png", "0000030.png"]
    picture = cv2.imread(str(tmp_path / "samples" / sheets[0]))
    assert picture[0, 0].tolist() == [0, 0, 255]  # red, as OpenCV orders it


def test_random_numbers_differ_by_step_and_by_rollback():
    trainer, drawn = Line(), []
    for step, rollbacks in ((0, 0), (1, 0), (0, 1)):
        trainer.rollbacks = rollbacks
        with trainer.random(step):
            drawn.append(torch.rand(1).item())
    assert len(set(drawn)) == 3


class Slow(Line):
    """Its steps take what ``cost`` says, of the number of threads and the step, on a clock of its own."""

    def __init__(self, cost, most=2):
        super().__init__()
        self.cost, self.now, self.counts = cost, 0.0, []
        self.threads = ThreadChoice(most, ThreadPolicy(begin=10, every=40))

    def losses(self):
        self.counts.append(torch.get_num_threads())
        self.now += self.cost(self.counts[-1], self.step)
        return super().losses()


def counts_of(trainer, path, steps):
    run(trainer, path, steps=steps, policy=SELDOM, clock=lambda: trainer.now)
    return trainer.counts


def test_threads_are_chosen_by_measuring_and_again_from_time_to_time(tmp_path):
    before = torch.get_num_threads()
    helps = counts_of(Slow(lambda n, _: 1 / n), tmp_path / "a", 56)
    assert helps == [1] * 10 + [2] * 40 + [1] * 4 + [2] * 2
    little = counts_of(Slow(lambda n, _: 1 / (1 + 0.2 * (n - 1))), tmp_path / "b", 56)
    assert little == [1] * 10 + [2] * 4 + [1] * 36 + [2] * 4 + [1] * 2
    assert counts_of(Slow(lambda n, _: 1 / n, most=1), tmp_path / "c", 20) == [1] * 20
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("stop", [8, 12, 30, 34])
def test_a_stopped_training_goes_on_with_the_threads_that_it_had(tmp_path, stop):
    cost = lambda n, step: n if 20 <= step < 45 else 1 / n  # noqa: E731
    whole = Slow(cost)
    counts_of(whole, tmp_path / "whole", 56)
    assert {1, 2} <= set(whole.counts[20:])
    counts_of(Slow(cost), tmp_path / "part", stop)
    resume(second := Slow(cost), tmp_path / "part", {})
    assert counts_of(second, tmp_path / "part", 56) == whole.counts[stop:]
    assert second.w == whole.w


def test_a_stopped_training_counts_its_progress_from_where_it_goes_on(tmp_path):
    ticks, seen = itertools.count(), []
    run(Line(), tmp_path / "c", seconds=6, clock=lambda: float(next(ticks)))
    resume(again := Line(), tmp_path / "c", {})
    run(again, tmp_path / "c", seconds=9, clock=lambda: float(next(ticks)), report=seen.append)
    assert [(e.begun, e.done, e.total, e.unit) for e in seen] == [(6, d, 9, "s") for d in (6, 7, 8, 9)]
    assert seen[0].left(0.0) is None
    assert seen[1].left(1.0) == 2
    steps = []
    run(again, tmp_path / "c", steps=11, report=steps.append)
    assert [(e.begun, e.done, e.total, e.unit) for e in steps] == [(9, d, 11, "steps") for d in (9, 10, 11)]


def test_a_budget_that_is_far_too_small_is_noted_with_what_goes_on(tmp_path):
    minutes = itertools.count(step=60)
    trainer = Line()
    trainer.steps_needed = 40
    done = run(trainer, tmp_path / "c", seconds=300, clock=lambda: float(next(minutes)))
    assert done.note == (
        "5 steps, where about 40 are needed for a good result; the same command with --minutes 40 goes on from here"
    )
    trainer.steps_needed = 6
    assert run(trainer, tmp_path / "c", seconds=300).note == ""  # nearly enough
    assert run(Line(), tmp_path / "d", seconds=300, clock=lambda: float(next(minutes))).note == ""


def test_a_checkpoint_of_an_earlier_version_is_read_or_refused_in_one_line(tmp_path):
    run(trainer := Line(), tmp_path / "c", steps=3)
    tensors, header = read_tensors(tmp_path / "c", "checkpoint", 1, "")
    for name in ("losses", "threads"):
        del header[name]
    write_tensors(tmp_path / "c", "checkpoint", 1, tensors, {"format": "video-portraits weights", **header})
    resume(again := Line(), tmp_path / "c", {})
    assert (again.step, again.w) == (3, trainer.w)
    write_tensors(tmp_path / "c", "checkpoint", 1, {"objective.w": torch.ones(1)}, {"step": 3, "settings": {}})
    with pytest.raises(PortraitError, match="written by an earlier version.*delete it") as error:
        resume(Line(), tmp_path / "c", {})
    assert "\n" not in str(error.value)
