"""The network's parts of a face, against where a hand and a shadow were drawn."""

import pytest
import torch

from fitting.occlusion.network import PARTS, SIZE, load_mask_net, visible_parts
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
