"""Rotations: against SciPy, there and back, at zero and half turns, and their gradients."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from geometry.rotation import axis_angle, rotation_matrix

angles = st.tuples(*[st.floats(-6, 6) for _ in range(3)])


@settings(max_examples=60, deadline=None)
@given(angles)
def test_rotation_matrix_is_scipys(vector):
    ours = rotation_matrix(torch.tensor(vector, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(ours, Rotation.from_rotvec(vector).as_matrix(), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(angles)
def test_axis_angle_is_the_inverse(vector):
    matrix = rotation_matrix(torch.tensor(vector, dtype=torch.float64))
    again = axis_angle(matrix)
    assert float(again.norm()) <= np.pi + 1e-9
    np.testing.assert_allclose(rotation_matrix(again).numpy(), matrix.numpy(), atol=1e-8)


@pytest.mark.parametrize("axis", [[1.0, 0, 0], [0, -1, 0], [0, 0, 1], [0.6, 0, 0.8]])
@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 1e-3, 3.14159, np.pi])
def test_small_and_half_turns(axis, angle):
    vector = torch.tensor(axis, dtype=torch.float64) * angle
    again = axis_angle(rotation_matrix(vector))
    same = torch.minimum((again - vector).abs().max(), (again + vector).abs().max())  # at pi both signs are right
    assert float(same) < 1e-7


@pytest.mark.parametrize("angle", [0.0, 1e-4, 9e-4, 1.1e-3, 0.5, 3.0])
def test_gradients(angle):
    vector = (angle * torch.tensor([0.6, 0, -0.8], dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(rotation_matrix, vector)
    assert torch.autograd.gradcheck(lambda v: axis_angle(rotation_matrix(v)), vector)


@pytest.mark.parametrize("derivative", [torch.func.jacfwd, torch.func.jacrev])
def test_forward_and_backward_derivatives_at_zero(derivative):
    """They're the generators: a model's jaw starts there."""
    slopes = derivative(rotation_matrix)(torch.zeros(3))
    for k, axis in enumerate(torch.eye(3)):
        expected = torch.linalg.cross(axis.expand(3, 3), torch.eye(3)).T
        torch.testing.assert_close(slopes[..., k], expected)


@settings(max_examples=60, deadline=None)
@given(angles)
def test_both_ways_are_pytorch3ds(vector):
    from pytorch3d.transforms import axis_angle_to_matrix, matrix_to_axis_angle

    matrix = rotation_matrix(torch.tensor(vector, dtype=torch.float64))
    torch.testing.assert_close(matrix, axis_angle_to_matrix(torch.tensor(vector, dtype=torch.float64)))
    theirs = axis_angle_to_matrix(matrix_to_axis_angle(matrix))  # at half turns both signs are right
    torch.testing.assert_close(rotation_matrix(axis_angle(matrix)), theirs, atol=1e-7, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_types_stay(dtype):
    matrix = rotation_matrix(torch.ones(2, 4, 3, dtype=dtype))
    assert matrix.dtype == dtype and matrix.shape == (2, 4, 3, 3)
    assert axis_angle(matrix).dtype == dtype and axis_angle(matrix).shape == (2, 4, 3)


def test_importing_leaves_the_compiled_part_of_pytorch3d_alone():
    code = (
        "import sys, facemodel; print([m for m in sys.modules if m.startswith(('pytorch3d._C', 'pytorch3d.renderer'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@settings(max_examples=60, deadline=None)
@given(angles, st.sampled_from([1.0, 1e-2, 1e-4, 0.0]))
def test_one_rotation_without_gradients_has_the_same_bits(vector, scale):
    """By compiled code, where a video is tracked."""
    vector = scale * torch.tensor([vector])
    matrix = rotation_matrix(vector)
    back = axis_angle(matrix)
    with torch.inference_mode():
        assert torch.equal(rotation_matrix(vector), matrix)
        assert torch.equal(axis_angle(matrix), back)
