"""What a picture costs: the first one, and what has no face, are counted as they should be."""

import numpy as np

import fitting
from benchmarks import batch


def test_a_picture_s_cost(model, scene, monkeypatch):
    clock = iter(range(10))
    monkeypatch.setattr(batch.time, "process_time", lambda: float(next(clock)))
    shown = [scene.pictures[0], np.zeros((64, 64, 3), np.uint8)]
    line = batch.measure(model, shown, 2, fitting.QUALITIES["fast"])
    assert line["pictures"] == 2 and line["with_a_face"] == 1
    assert line["seconds"] == 0.5, "a second between the two readings, of two pictures"
