"""Real files: ICT-FaceKit, the Surrey Face Model, statismo's, the 2009 family's topology."""

import numpy as np
import pytest
import scipy.io
import torch

from benchmarks.models import real_files, sfm, vertex_error
from facemodel import gate
from facemodel.arkit import ARKIT_NAMES
from facemodel.formats._assemble import corners, outwardness
from facemodel.formats._pickles import read_pickle
from facemodel.importing import import_model
from tests.facemodel.formats.real import MODELS, needs_real

pytestmark = needs_real


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return real_files(MODELS, tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def facekit(files):
    return import_model(files["ICT-FaceKit"].path)


@pytest.mark.slow
def test_every_real_file_has_its_authors_vertices(files, facekit):
    assert len(files) == 4
    for name, written in files.items():
        model = facekit if name == "ICT-FaceKit" else import_model(written.path, written.extras, force=True)
        assert vertex_error(model, written) < 1e-3, name


@pytest.mark.slow
class TestIct:
    def test_it_is_a_face(self, facekit):
        assert all(c.passed for c in gate.inspect(facekit))

    def test_its_names_are_arkit_s(self, facekit):
        assert set(facekit.expression_names) == set(ARKIT_NAMES) - {"tongueOut"} and len(facekit.arkit) == 51

    def test_eyes_are_spheres_that_turn(self, facekit):
        points = facekit.vertices(gaze=torch.tensor([[0.4, 0.0], [0.4, 0.0]]))
        moved = (points - facekit.mean).norm(dim=-1) > 0.01
        assert moved.any() and facekit.region("eyes")[moved].all()
        assert float((facekit.eye_centers()[0] - facekit.eye_centers()[1]).norm()) == pytest.approx(62.3, abs=0.5)
        look = facekit.expression_basis[facekit.arkit["eyeLookInLeft"]]
        assert float(look[facekit.region("eyes")].abs().max()) == 0

    def test_blinks_close_and_the_jaw_opens(self, facekit):
        marks = facekit.landmarks(facekit.mean)
        activations = torch.zeros(51)
        activations[[facekit.arkit[n] for n in ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen")]] = 1
        moved = facekit.landmarks(facekit.vertices(None, activations))
        for upper, lower in ((37, 41), (44, 46)):
            assert (moved[upper] - moved[lower]).norm() < 0.4 * (marks[upper] - marks[lower]).norm()
        assert (moved[62] - moved[66]).norm() > 15 + (marks[62] - marks[66]).norm()

    def test_its_atlas_doesn_t_overlap(self, facekit):
        uv, triangles = facekit.atlas.coordinates, facekit.atlas.triangles
        a, b, c = (uv[triangles[:, k]] for k in range(3))
        u, v = b - a, c - a
        area = float((u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).abs().sum() / 2)
        points = (torch.stack([a, b, c], 1).mean(1) * 511).long()
        owner = {}
        eyes = facekit.region("eyes")[facekit.triangles].all(-1)
        for (x, y), eye in zip(points.tolist(), eyes.tolist()):
            owner.setdefault((x, y), set()).add(eye)
        assert area < 1 and sum(len(s) > 1 for s in owner.values()) == 0

    def test_the_folder_above_is_as_good(self, files, facekit):
        assert import_model(files["ICT-FaceKit"].path.parent).fingerprint == facekit.fingerprint


class TestSfm:
    def test_landmarks_and_expressions(self):
        written = sfm(MODELS / "sfm")
        model = import_model(written.path, written.extras)
        assert model.expression_names == ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
        marks = model.landmarks(model.mean)
        assert 55 < float((marks[[36, 39]].mean(0) - marks[[42, 45]].mean(0)).norm()) < 75
        assert int((model.embedding("ibug68").weights > 0).sum()) == 50
        assert float(model.expression_basis.abs().max()) == pytest.approx(29, abs=1)

    def test_alone_it_says_what_is_missing(self):
        model = import_model(MODELS / "sfm" / "sfm_shape_3448.bin")
        assert model.count("expression") == 0 and any("expression_blendshapes" in n for n in model.provenance.notes)


class TestBasel:
    def test_2009_index_tables_compose(self):
        """The front set in the full one, directly and by way of the 53,215: all count from 1."""
        load = lambda name, key: scipy.io.loadmat(MODELS / "bfm09" / f"{name}.mat")[key].ravel().astype(int)  # noqa: E731
        front, trim = load("BFM_front_idx", "idx"), load("BFM_exp_idx", "trimIndex")
        select = load("select_vertex_id", "select_id")
        np.testing.assert_array_equal(trim[front - 1], select)

    def test_which_way_real_triangles_go(self):
        """By positions in 3DDFA's code of normalised coordinates, which keep their order along each axis."""
        places = np.load(MODELS / "bfm09" / "ncc_code.npy").T * (150, 200, 120)
        table = read_pickle((MODELS / "bfm09" / "tri.pkl").read_bytes())
        assert outwardness(places, corners(table, 0, swap=True)) > 0.3
        without_neck = np.load(MODELS / "bfm09" / "indices.npy")
        front = scipy.io.loadmat(MODELS / "bfm09" / "BFM_front_idx.mat")["idx"].ravel().astype(int) - 1
        at = np.searchsorted(without_neck, front)
        info = scipy.io.loadmat(MODELS / "bfm09" / "facemodel_info.mat")
        assert outwardness(places[at], corners(info["tri"], 1)) > 0.3

    def test_2009_landmarks_are_where_the_front_model_has_them(self):
        """facemodel_info's key points, from 1, on those positions, against the same project's aligned landmarks."""
        places = np.load(MODELS / "bfm09" / "ncc_code.npy").T
        without_neck = np.load(MODELS / "bfm09" / "indices.npy")
        front = scipy.io.loadmat(MODELS / "bfm09" / "BFM_front_idx.mat")["idx"].ravel().astype(int) - 1
        points = places[np.searchsorted(without_neck, front)]
        keys = scipy.io.loadmat(MODELS / "bfm09" / "facemodel_info.mat")["keypoints"].ravel().astype(int) - 1
        theirs = scipy.io.loadmat(MODELS / "bfm09" / "similarity_Lm3D_all.mat")["lm"]
        for axis in range(3):
            assert np.corrcoef(points[keys, axis], theirs[:, axis])[0, 1] > 0.99

    def test_random_l4_has_landmarks_and_colours(self):
        model = import_model(MODELS / "bfm17" / "random-l4.h5")
        marks = model.landmarks(model.mean)
        named = model.embedding("ibug68").weights > 0
        assert int(named.sum()) == 12
        torch.testing.assert_close(marks[30], torch.tensor([0.2, 1.0, 131.8]), atol=3.0, rtol=0)
        assert model.reflectance is not None and 0 < float(model.albedo().mean()) < 1
