"""One thread or all, by what they were measured to bring; how they wait."""

import os
import subprocess
import sys

import pytest
import torch

from foundation.threads import ThreadChoice, ThreadPolicy, threads, usable_threads, wait_passively

POLICY = ThreadPolicy(begin=6, every=20, steps=4, usual=4)


def counts(choice, cost, first, last):
    """What is chosen for steps that take what ``cost`` says of threads and step."""
    chosen = []
    for step in range(first, last):
        chosen.append(choice.count(step))
        choice.learn(step, cost(chosen[-1], step))
    return chosen


def test_all_threads_are_taken_where_they_bring_enough():
    assert counts(ThreadChoice(8, POLICY), lambda n, _: 1 / n, 0, 32) == [1] * 6 + [8] * 20 + [1] * 4 + [8] * 2
    assert counts(ThreadChoice(8, POLICY), lambda n, _: 1 / n**0.1, 0, 29) == [1] * 6 + [8] * 4 + [1] * 16 + [8] * 3


def test_one_slow_step_decides_nothing():
    hiccup = lambda n, step: 2.0 if step in (4, 7) else 1 / n  # noqa: E731
    assert counts(ThreadChoice(2, POLICY), hiccup, 0, 12)[-1] == 2


def test_a_hopeless_comparison_ends_soon():
    assert (
        counts(ThreadChoice(2, POLICY), lambda n, _: n * n, 0, 30) == [1] * 6 + [2] * 2 + [1] * 18 + [2] * 2 + [1] * 2
    )


def test_a_machine_that_gets_busy_is_left_for_one_thread_at_once():
    cost = lambda n, step: 3 * n if step >= 12 else 1 / n  # noqa: E731
    assert counts(ThreadChoice(2, POLICY), cost, 0, 20) == [1] * 6 + [2] * 8 + [1] * 6


@pytest.mark.parametrize("stop", range(1, 32, 3))
def test_a_choice_that_is_kept_goes_on_as_if_it_had_not_stopped(stop):
    cost = lambda n, step: 3 * n if 14 <= step < 24 else 1 / n  # noqa: E731
    whole = counts(ThreadChoice(2, POLICY), cost, 0, 32)
    first, second = ThreadChoice(2, POLICY), ThreadChoice(2, POLICY)
    begun = counts(first, cost, 0, stop)
    second.load(first.state())
    assert begun + counts(second, cost, stop, 32) == whole


def test_a_single_core_chooses_nothing_and_more_than_there_are_are_not_taken():
    assert set(counts(ThreadChoice(1, POLICY), lambda n, _: 1.0, 0, 40)) == {1}
    fewer = ThreadChoice(2, POLICY)
    fewer.load({"chosen": 16})
    assert fewer.count(0) == 2


def test_threads_are_as_many_as_before_afterwards():
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
        assert usable_threads() == 1
    with pytest.raises(KeyError), threads():
        torch.set_num_threads(1)
        raise KeyError
    assert torch.get_num_threads() == before


def test_waiting_is_passive_unless_the_user_says_otherwise(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    wait_passively()
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("PASSIVE", "7")


def test_the_command_line_says_so_before_torch_is_there():
    code = "import portrait.cli, os, sys; assert 'torch' not in sys.modules; print(os.environ['OMP_WAIT_POLICY'])"
    bare = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "PASSIVE"
