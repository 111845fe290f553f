"""Measures behind the claims of the methods that embed a face."""

import numpy as np
import pytest
import torch

from benchmarks.claims import disentangling, x2face
from benchmarks.claims.disentangling import within_over_between
from benchmarks.claims.rows import spread_rows
from neural_render.corpus import gather
from neural_render.methods.disentangling.networks import DisentanglingNetworks
from neural_render.methods.weights import Weights
from neural_render.methods.x2face.method import Header
from neural_render.methods.x2face.network import X2Face
from tests.neural_render.methods.drawn import people


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return gather(people(3), tmp_path_factory.mktemp("faces"), 64)


def test_within_over_between_is_what_it_says():
    first = torch.tensor([0.0, 10.0])[:, None]
    second = torch.tensor([1.0, 12.0])[:, None]
    assert within_over_between(first, second) == pytest.approx(np.mean([1, 2]) / np.mean([12, 9]))


def test_rows_are_spread_over_a_clip(faces):
    rows = spread_rows(faces, 2, 3)
    assert (faces.clip[rows] == 2).all() and len(rows) == 3
    assert (faces.frame[rows[0]], faces.frame[rows[-1]]) == (0, 5)
    assert len(spread_rows(faces, 2, 99)) == 6


def test_claims_of_networks_that_have_learnt_nothing(faces):
    """A new embedder gives the pictures' mean: nearer to another clip's than to another person's, and blurred."""
    torch.manual_seed(0)
    tensors = {f"networks.{k}": v for k, v in DisentanglingNetworks(64, 4).state_dict().items()}
    header = Header(method="disentangling", size=64, width=4, codes=())
    found = disentangling.claims(Weights(header, tensors), faces)
    assert 0.01 < found["disentangling.within_over_between"] < 0.9
    tensors = {f"networks.{k}": v for k, v in X2Face(64, 4).state_dict().items()}
    gained = x2face.claims(Weights(header, tensors), faces)
    assert -3 < gained["x2face.psnr_gain_of_4"] < 6
