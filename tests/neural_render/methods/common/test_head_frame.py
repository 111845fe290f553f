"""Landmarks without the head's pose."""

from __future__ import annotations

import pytest
import torch

from neural_render.methods.common.contours import Contours
from neural_render.methods.common.head_frame import HeadFrame, HeadPose, as_large
from renderer import rotation_matrix

TURNS = torch.tensor([[0.1, 0.6, -0.2], [0.0, 0.0, 0.0], [-0.3, -0.4, 0.5]])


@pytest.mark.parametrize("whole", [False, True])
def test_a_mean_head_is_itself_in_any_pose(whole):
    frame = HeadFrame.of(Contours.of("mediapipe478"), whole=whole)
    pose = HeadPose(rotation_matrix(TURNS), torch.tensor([0.4, 0.5, 0.3]), torch.tensor([[0.1, 0.2], [0, 0], [-1, 0]]))
    points = frame.place(frame.shape.expand(3, -1, -1), pose)
    heads, found = frame.split(points)
    assert heads.shape == (3, 478 if whole else 134, 3)
    torch.testing.assert_close(found.rotation, pose.rotation, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.scale, pose.scale, atol=1e-4, rtol=0)
    torch.testing.assert_close(heads, frame.shape.expand_as(heads), atol=1e-4, rtol=0)


def test_what_is_taken_apart_is_as_it_was_and_looks_ahead():
    frame = HeadFrame.of(Contours.of("ibug68"))
    other = frame.shape + 0.05 * torch.randn(frame.shape.shape, generator=torch.Generator().manual_seed(0))
    pose = HeadPose(rotation_matrix(TURNS), torch.ones(3), torch.zeros(3, 2))
    points = frame.place(other.expand(3, -1, -1), pose)
    heads, found = frame.split(points)
    torch.testing.assert_close(frame.place(heads, found), points)
    assert (heads - other)[1, :, :2].abs().max() < 0.1  # without a turn but for what the noise is taken for
    assert (found.rotation @ pose.rotation.mT).diagonal(dim1=1, dim2=2).sum(1).min() > 2.98
    assert frame.shape[:17, 1].max() > 0.8 and frame.shape[27:31, 2].min() < -0.3  # the chin is below, the nose near


def test_a_face_is_brought_to_where_anothers_is():
    g = torch.Generator().manual_seed(0)
    points, own = torch.randn(5, 9, 2, generator=g), 0.3 * torch.randn(2, 9, 2, generator=g) + 0.1
    found = as_large(points, own)
    torch.testing.assert_close(as_large(3 * points - 1, own), found)
    low, high = found.amin(1), found.amax(1)
    wanted = (own.amin(1) + own.amax(1)).median(0).values / 2
    torch.testing.assert_close(((low + high) / 2).median(0).values, wanted)
    torch.testing.assert_close((high - low).amax(1).median(), (own.amax(1) - own.amin(1)).amax(1).median())
