"""The network that says where a person is, on a synthetic one whose place is known."""

from __future__ import annotations

import torch

from fitting.occlusion.foreground import ForegroundNet
from renderer import render
from synthetic.clips import make_scene


def test_the_head_is_foreground_and_the_corners_are_not(model):
    scene = make_scene(model, 3, 1, 160)
    head = render(model, scene.truth, scene.camera, maps=("mask",))["mask"][0, ..., 0] > 0.5
    with ForegroundNet() as network:
        found = torch.from_numpy(network(scene.pictures[0]))
    assert found.shape == (160, 160) and found.min() >= 0 and found.max() <= 1
    assert (found[head] > 0.5).float().mean() > 0.95
    assert found[:20, :20].max() < 0.5 and found[:20, -20:].max() < 0.5
