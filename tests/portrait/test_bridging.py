"""An import's last step with the detector itself, of a head that says nothing of its landmarks."""

import pytest
import torch

import facemodel
from portrait.services.bridging import bridge
from tests.facemodel.bridge.heads import other_head


@pytest.mark.slow
def test_a_head_without_landmarks_gets_them_from_the_detector():
    default = facemodel.load()
    model, truth = other_head(landmarks=False)
    whole = bridge(model)
    assert "landmarks mediapipe478 (found by the detector)" in whole.provenance.carried
    marks = whole.landmarks(whole.mean, "mediapipe478")
    inner = default.embeddings["mediapipe478"].weights > 0.6
    away = (marks - default.landmarks(truth, "mediapipe478")).norm(dim=-1)[inner]
    assert away.median() < 2.5  # drawn without eyes at first
    face = default.region("face")
    assert (whole.correspondence.registered - truth).norm(dim=-1)[face].median() < 2.0
    assert torch.equal(whole.mean[: len(model.mean)], model.mean)
