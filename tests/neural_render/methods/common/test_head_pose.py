"""A head's angles from landmarks against the rotation that they were projected with."""

import numpy as np
import torch

from facemodel.editing.poses import head_rotation
from neural_render.methods.common.head_pose import landmark_angles
from renderer import rotation_matrix


def test_angles_are_those_of_the_rotation(model):
    angles = np.radians([[30, 10, 0], [-20, 0, 15], [0, -15, -5]])
    points = model.landmarks(model.mean, "mediapipe478").double()
    turned = torch.einsum("nij,lj->nli", rotation_matrix(head_rotation(angles)), points)
    seen = turned[..., :2].numpy() * (1, -1) * 0.3 + 40  # orthographic, y down, any unit
    np.testing.assert_allclose(landmark_angles(seen, "mediapipe478", model), angles, atol=1e-3)
