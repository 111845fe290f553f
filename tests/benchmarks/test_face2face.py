"""What the costs of a frame are taken of."""

import time

import numpy as np
import torch

from benchmarks.face2face import WARM, backwards, smaller, spent
from tests.facemodel.clips import make_track, small_model


def test_a_smaller_clip_looks_the_same():
    track = make_track(small_model(), 3)
    frames = [np.full((track.height, track.width, 3), 9 * k, np.uint8) for k in range(3)]
    small, pictures = smaller(track, frames, track.width // 2)
    assert (small.width, small.height) == (track.width // 2, track.height // 2)
    assert torch.isclose(small.parameters.focal / small.width, track.parameters.focal / track.width)
    assert [p.shape[:2] for _, _, p in pictures] == [(small.height, small.width)] * 3 and pictures[2][2].mean() == 18
    assert smaller(track, frames, 10**6)[0].width == track.width


def test_backwards_is_mixed_and_keeps_the_rest():
    track = make_track(small_model(), 4)
    turned = backwards(track, "rotation")
    assert torch.equal(turned.parameters.rotation, track.parameters.rotation.flip(0))
    assert torch.equal(turned.parameters.translation, track.parameters.translation)
    assert turned.facts["target_frames"] == [0, 1, 2, 3]


def test_time_is_that_of_frames_after_the_first():
    def frames():
        for k in range(WARM + 3):
            until = time.thread_time() + (0.1 if k < WARM else 0.02)
            while time.thread_time() < until:
                pass
            yield k

    found = spent(frames())
    assert 15 < found["median"] < 60 and 15 < found["mean"] < 60
