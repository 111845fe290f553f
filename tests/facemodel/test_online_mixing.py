"""Mixing frame by frame gives what mixing of whole clips gives, from the same references."""

import pytest
import torch

from facemodel.editing.mixing import mix
from facemodel.editing.online_mixing import OnlineMixer, Reference, steady_face
from facemodel.editing.poses import PoseReference
from foundation.errors import PortraitError
from tests.facemodel.clips import make_track, small_model


@pytest.fixture
def model():
    return small_model()


@pytest.mark.parametrize("jaw", (None, 0.7), ids=("as it is", "a mouth that is open in all of the target"))
def test_as_mix_does_it(model, jaw):
    source, target = make_track(model, frames=9, seed=1), make_track(model, frames=7, seed=2)
    if jaw is not None:
        target.parameters.expression[:, model.arkit["jawOpen"]] = jaw
    whole = mix(source, target, model).parameters
    mixer = OnlineMixer(
        Reference.of_track(source, model),
        Reference.of_track(target, model),
        steady_face(target),
        model,
    )
    assert whole.expression.std() > 0.01 and whole.rotation.std() > 0.01
    for k in range(len(source)):
        frame = mixer(source.parameters.expanded()[k])
        for name in ("expression", "rotation", "translation", "gaze"):
            assert torch.allclose(getattr(frame, name), getattr(whole, name)[k], atol=1e-4), name
        assert torch.equal(frame.identity, target.parameters.identity)
        assert torch.equal(frame.focal, target.parameters.focal)


def test_reference_of_the_first_frames(model):
    p = make_track(model, frames=6, seed=3).parameters.expanded()
    expression = p.expression.clone()
    expression[1] = 1.0  # one wild frame doesn't change what is neutral
    first = Reference.of_frames(p.replace(expression=expression), model)
    assert first.expression.max() < 1
    turned = PoseReference.of_frames(p)
    assert torch.equal(first.pose.rotation, turned.rotation) and torch.isinf(first.pose.highest).all()
    assert torch.equal(first.gaze, p.gaze.median(0).values)


def test_a_target_without_a_face_is_refused(model):
    track = make_track(model, frames=3, seed=0)
    track.status[:] = 0
    with pytest.raises(PortraitError, match="no face"):
        Reference.of_track(track, model)
