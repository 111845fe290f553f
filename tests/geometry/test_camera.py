"""The camera's conventions and gradients."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from geometry.camera import Camera, opencv_extrinsics, project, to_camera


def test_axes_of_the_model_in_the_picture():
    camera = Camera(1000.0, 640, 480)
    model_points = torch.tensor([[0.0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]])
    points = to_camera(model_points, torch.zeros(3), torch.tensor([0.0, 0, 800]))
    u, v = project(points, camera).unbind(-1)
    assert (u[0], v[0]) == (320, 240)
    assert u[1] == 320 + 12.5 and v[1] == 240  # the subject's left is the picture's right
    assert v[2] == 240 - 12.5  # up is a smaller row
    assert points[3, 2] == 790  # towards the viewer is nearer


def test_positive_yaw_turns_the_nose_to_the_right_of_the_picture():
    nose = torch.tensor([[0.0, 0, 100]])
    points = to_camera(nose, torch.tensor([0.0, 0.3, 0]), torch.tensor([0.0, 0, 800]))
    assert project(points, Camera(1000.0, 100, 100))[0, 0] > 50


def test_extrinsics_and_intrinsics_are_opencvs():
    generator = torch.Generator().manual_seed(1)
    vertices = 100 * torch.randn(20, 3, generator=generator, dtype=torch.float64)
    rotation, translation = torch.tensor([0.2, -0.4, 0.1]).double(), torch.tensor([5.0, -7, 900]).double()
    camera = Camera(1234.0, 641, 480, cx=300.25, focal_y=1200.0)
    matrix, offset = opencv_extrinsics(rotation, translation)
    assert torch.linalg.det(matrix) == pytest.approx(1)
    rvec = cv2.Rodrigues(matrix.numpy())[0]
    theirs, _ = cv2.projectPoints(vertices.numpy(), rvec, offset.numpy(), camera.intrinsics().double().numpy(), None)
    ours = project(to_camera(vertices, rotation, translation), camera)
    np.testing.assert_allclose(ours.numpy(), theirs[:, 0], atol=1e-4)


def test_crop_and_resize_see_the_same_points():
    camera = Camera(1000.0, 640, 480)
    points = torch.tensor([[12.0, -30, 700], [80, 40, 900]], dtype=torch.float64)
    whole = project(points, camera)
    crop = project(points, camera.cropped(100.5, -20, 256))
    torch.testing.assert_close(crop, whole - torch.tensor([100.5, -20], dtype=torch.float64))
    small = project(points, camera.cropped(100.5, -20, 256, 200).resized(128, 150))
    torch.testing.assert_close(small, crop * torch.tensor([0.5, 0.75], dtype=torch.float64))
    assert camera.resized(320, 240) == Camera(500.0, 320, 240)


def test_batched_focal_length():
    focal = torch.tensor([500.0, 1000.0], requires_grad=True)
    camera = Camera(focal, 100, 100)
    u = project(torch.tensor([[[10.0, 0, 100]], [[10.0, 0, 100]]]), camera)[:, 0, 0]
    assert u.tolist() == [100, 150]
    u.sum().backward()
    assert focal.grad.tolist() == pytest.approx([0.1, 0.1])
    assert camera.intrinsics().shape == (2, 3, 3)
    assert camera.of_pictures(slice(1, 2)).focal.tolist() == [1000.0]


@pytest.mark.parametrize(
    "bad", [{"focal": 0.0}, {"focal": float("nan")}, {"width": 0}, {"height": -3}, {"width": 10.5}, {"focal_y": -1.0}]
)
def test_impossible_cameras(bad):
    with pytest.raises(PortraitError, match=next(iter(bad))):
        Camera(**({"focal": 100.0, "width": 10, "height": 10} | bad))
