"""A spoilt checkpoint of a fit is none: the fit begins again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fitting.solver.state import FitState
from fitting.tracking.checkpoint import Checkpoint, FitProgress, Rows, Shared
from fitting.tracking.follow import FollowerState
from fitting.tracking.people import Memory
from fitting.tracking.plan import ClipPlan, SharedSpread
from tests.garbled import spoil_tensors, tensors_header, with_header

NUMBERS = (1, 2, 3, 4, 5)  # of the identity, reflectance, samples, brows and expressions


@pytest.fixture
def state() -> FitState:
    """One frame's."""
    i, a, n, b, e = NUMBERS
    own = {"expression": torch.rand(1, e), "gaze": torch.rand(1, 2, 2), "light": torch.rand(1, 9, 3)}
    return FitState(
        torch.rand(i), torch.rand(a), torch.rand(n, 3), torch.rand(b), torch.tensor(6.0), torch.eye(3)[None],
        torch.rand(1, 3), **own, joints=torch.zeros(1, 0),
    )  # fmt: skip


@pytest.fixture
def store(state, tmp_path) -> Checkpoint:
    """Two frames, one of them with a face."""
    values = {"rotation": torch.zeros(3), "translation": state.translation[0], "expression": state.expression[0]}
    values |= {"joints": torch.zeros(0), "illumination": state.light[0], "gaze": state.gaze[0], "spread": torch.rand(9)}
    points, look = np.zeros((4, 2), np.float32), np.zeros((16, 16, 3), np.uint8)
    rows = Rows([0.0, 0.04], [1, 0], [0.9, 0.0], [points, None], [{"landmarks": 0.1}, {}], [values, None])
    follower = FollowerState((3.0, 4.0), 20.0, thumbnail=np.zeros((32, 48, 3), np.uint8), look=look)
    shared = Shared(state, SharedSpread([1.0], [1.0, 1.0], 3.0), ClipPlan(2, (0,), 1.0, False, 1, 0.0, 0.02))
    checkpoint = Checkpoint(tmp_path, 1, {"of": "a.mp4"})
    checkpoint.save(FitProgress(rows, shared, follower, state, Memory([look])))
    return checkpoint


def test_a_spoilt_checkpoint_is_none(store):
    found = store.load("cpu")
    assert len(found.rows) == 2 and found.shared.plan.frames == 2 and found.rows.values[1] is None
    spoil_tensors(store.path, lambda: store.load("cpu"))
    header, whole = tensors_header(store.path)
    for name, value in (("known", None), ("plan", {}), ("memory", [""]), ("memory", ["bm9uZQ=="]), ("follower", [])):
        store.path.write_bytes(with_header(whole, header | {name: value}))
        found = store.load("cpu")
        assert len(found.rows) == 0 and found.shared is None
