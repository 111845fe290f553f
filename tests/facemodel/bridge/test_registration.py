"""The default model registered to a head in another mesh that says nothing of landmarks."""

import facemodel
from facemodel.bridge.registration import register
from tests.facemodel.bridge.heads import other_head


def test_without_landmarks_the_face_is_found_less_exactly():
    """To 1.5 mm, both ways; with landmarks, see ``test_carrying``."""
    default, (model, truth) = facemodel.load(), other_head(landmarks=False)
    found = register(default, model)
    face = default.region("face") & ~default.region("neck")
    assert (found.registered - truth).norm(dim=-1)[face].median() < 1.5
    there = found.on_model.pick(model.mean, model.triangles)
    matched = face & (found.on_model.weights > 0.5)
    assert matched[face].float().mean() > 0.95
    assert (there - truth).norm(dim=-1)[matched].median() < 1.5
    back = found.on_default.pick(truth, default.triangles)
    assert (back - model.mean).norm(dim=-1)[found.matched()].median() < 1.5
    neck = default.region("neck") & ~default.region("scalp")
    assert found.on_model.weights[neck].median() == 0
