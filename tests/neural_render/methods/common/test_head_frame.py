"""Landmarks without the head's pose."""

from __future__ import annotations

import pytest
import torch

from neural_render.corpus.crops import face_box, in_crop
from neural_render.methods.common.contours import Contours
from neural_render.methods.common.head_frame import HeadFrame, HeadPose, placed
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


def test_heads_are_placed_in_the_crop_that_their_clip_would_have():
    contours = Contours.of("mediapipe478")
    whole, drawn = HeadFrame.of(contours, whole=True), HeadFrame.of(contours)
    pose = HeadPose(
        rotation_matrix(TURNS), torch.tensor([40.0, 41, 42]), torch.tensor([[90.0, 80], [100, 90], [95, 85]])
    )
    wide = torch.tensor([1.1, 1.0, 1.0])
    points = whole.place((whole.shape * wide).expand(3, -1, -1), pose)  # px of some frame
    truth = torch.from_numpy(in_crop(points.numpy(), face_box(points.numpy())))
    heads, found = drawn.split(truth[:, list(contours.points)])
    made = placed(heads, HeadPose(found.rotation, 3 * found.scale, 3 * found.shift + 0.3), truth[1:2], contours)
    assert (made - truth[:, list(contours.points)]).abs().max() < 0.03  # a crop's pixels are whole ones
