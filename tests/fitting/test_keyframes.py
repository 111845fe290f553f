"""Which frames are looked at, and which are chosen."""

import numpy as np
import pytest
import torch

from fitting.energy.temporal import TemporalPrior
from fitting.landmarks.base import Face
from fitting.policy.settings import Settings
from fitting.policy.weights import Priors
from fitting.tracking.keyframes import Candidate, choose, survey
from tests.fitting.test_priors import LAYOUT, UNKNOWNS, random_state

LOOKED_AT = Settings().looked_at


class OneFace:
    name, scheme = "fake", "ibug68"

    def detect(self, picture):
        return [face(30.0)]

    def refine(self, picture, centre, size):
        return face(30.0)


def face(size):
    return Face(np.array([[32, 32], [32 + size, 32 + size]], float), "ibug68", 1.0)


@pytest.mark.parametrize("count", [1, 5, LOOKED_AT * 2, LOOKED_AT * 7 + 3])
@pytest.mark.parametrize("known", [True, False])
def test_few_frames_of_any_clip_are_looked_at_evenly(count, known):
    picture = np.zeros((96, 96, 3), np.uint8)
    frames = ((k, k / 25, picture) for k in range(count))
    found = survey(frames, OneFace(), 16, count if known else None)
    at = [c.index for c in found.candidates]
    assert found.frames == count
    assert min(count, LOOKED_AT // 2) <= len(at) <= 2 * LOOKED_AT + 1
    assert len(set(np.diff(at))) <= 1, "not evenly spread"
    assert at[0] == 0


def test_bystanders_are_left_out():
    class Several(OneFace):
        def detect(self, picture):
            return [face(30.0), face(20.0), face(8.0)]

    found = survey([(0, 0.0, np.zeros((96, 96, 3), np.uint8))], Several(), 16, 1)
    assert [(c.face.size, c.rank) for c in found.candidates] == [(30.0, 0), (20.0, 1)]


def test_the_chosen_are_of_one_shot_and_far_apart():
    candidates = [Candidate(k, int(k >= 6), face(40.0 if k >= 6 else 20.0), None) for k in range(14)]
    features = np.zeros((14, 2))
    features[6:, 0] = [0, 0, 0, 5, 0, -5, 0, 0]
    chosen = choose(candidates, features, 3)
    assert {c.shot for c in chosen} == {1}
    assert {9, 11} <= {c.index for c in chosen}
    assert [c.index for c in chosen] == sorted(c.index for c in chosen)
    assert len(choose(candidates, features, 100)) == 8


def test_the_temporal_prior_is_tight_at_rest_and_gives_way_to_motion():
    layout, priors, before = LAYOUT, Priors(), random_state(0, 1)
    step = torch.zeros(1, layout.frame, dtype=torch.float64)
    step[0, 1] = 0.2  # a quick turn
    after = before.stepped(None, step, layout)
    still = [k for k in range(layout.frame) if k != 1]
    prior = TemporalPrior.of(before, 1 / 30, priors, UNKNOWNS)
    tight, slackened = prior.precision, prior.slackened(after, UNKNOWNS)
    loose, gradient = slackened.precision, slackened.at(after).gradient
    torch.testing.assert_close(loose[0, still], tight[0, still])
    assert loose[0, 1] < tight[0, 1] / 100
    torch.testing.assert_close(gradient[0, 1], loose[0, 1] * 0.2, rtol=1e-3, atol=0)
    assert (gradient[0, still].abs() < 1e-5).all()
