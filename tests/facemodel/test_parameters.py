import pytest
import torch

from facemodel import FaceParameters
from tests.facemodel.clips import small_model


def test_fields_check_their_shapes():
    p = FaceParameters.neutral(small_model())
    with pytest.raises(ValueError, match=r"gaze: expected shape \(\.\.\., 2, 2\), got \(2,\)"):
        p.replace(gaze=torch.zeros(2))


def test_frames_share_identity_and_are_indexed():
    p = FaceParameters.neutral(small_model(), (6,))
    p = p.replace(identity=torch.arange(5.0), focal=torch.tensor(700.0))
    assert p.batch_shape == (6,)
    assert p[2].identity.shape == (5,) and p[2].expression.shape == (52,) and p[1:3].batch_shape == (2,)
    assert p.expanded().identity.shape == (6, 5) and p.expanded()[4].focal == 700


def test_stacking_is_the_inverse_of_indexing():
    p = FaceParameters.neutral(small_model(), (3,)).expanded()
    p = p.replace(rotation=torch.randn(3, 3))
    stacked = FaceParameters.stack([p[k] for k in range(3)])
    assert torch.equal(stacked.rotation, p.rotation) and stacked.batch_shape == (3,)


def test_neutral_is_lit_evenly():
    light = FaceParameters.neutral(small_model()).illumination
    assert torch.allclose(0.282095 * light[0], torch.tensor(0.8)) and not light[1:].any()
