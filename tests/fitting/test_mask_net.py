"""The network's parts of a face, against where a hand and a shadow were drawn."""

import numpy as np
import pytest
import torch

from benchmarks.scenes import make_scene
from fitting.landmarks import Face
from fitting.mask_net import PARTS, SIZE, load_mask_net, shown_skin, visible_parts
from fitting.observation import observe
from tools.train_mask.faults import measure, spoiled

PEOPLE = range(40, 46)


@pytest.fixture(scope="module")
def measured(model):
    return measure(model, load_mask_net(), PEOPLE, 256)


def test_finds_a_hand_and_a_shadow_where_they_were_drawn(measured):
    assert measured["occluder"] > 0.7
    assert measured["shadow"] > 0.7


def test_clean_faces_stay_clean(measured):
    assert measured["false occluder"] < 0.08
    assert measured["false shadow"] < 0.08


def test_probabilities_of_each_pixel(model):
    """A face amid its square, something else about it."""
    shown = [spoiled(model, k, None, 256) for k in PEOPLE]
    parts = visible_parts(torch.stack([s.picture for s in shown]))
    assert parts.shape == (len(PEOPLE), SIZE, SIZE, len(PARTS))
    torch.testing.assert_close(parts.sum(-1), torch.ones(parts.shape[:-1]))
    other = parts[..., PARTS.index("other")]
    assert other[:, [0, 0, -1, -1], [0, -1, 0, -1]].median() > 0.9
    assert other[:, SIZE // 2, SIZE // 2].median() < 0.1


def test_a_picture_that_is_not_understood_counts_as_a_whole(model):
    """A face is shown by its middle alone; a square without one can't be masked."""
    scene = make_scene(model, PEOPLE[0], 1, 256)
    face = Face(scene.landmarks[0], "mediapipe478", 1.0)
    shown = shown_skin(observe(scene.pictures[0], face, (SIZE,)))
    assert shown.shape == (1, SIZE, SIZE)
    assert shown[0, SIZE // 2, SIZE // 2] == 1 and not shown[0, [0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert shown_skin(observe(np.zeros_like(scene.pictures[0]), face, (SIZE,))).all()
