"""What goes wrong when others' models are read, each on a file of six vertices whose answer is known.

An octahedron of 100 mm, and one component that at one standard deviation moves vertex 2 by 3 mm along x.
"""

import struct
from pickle import dumps

import h5py
import numpy as np
import pytest
import scipy.io
import torch

import facemodel
from facemodel.formats._assemble import CHIN, MEDIAPIPE
from facemodel.importing import import_model
from foundation.errors import PortraitError
from geometry.color import srgb_to_linear

SOLID = 100.0 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
FACES = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])
UNIT = np.zeros((18, 1))
UNIT[6] = 1.0  # vertex 2, x
MOVED = 3.0  # mm
TEX = np.tile([200.0, 100.0, 50.0], 6)  # red, green, blue of 255


def volume(model) -> float:
    a, b, c = (model.mean[model.triangles[:, k]] for k in range(3))
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def eigen(matrix) -> bytes:
    matrix = np.atleast_2d(matrix).astype("<f4")
    return struct.pack("<ii", *matrix.shape) + matrix.T.tobytes()


def bfm2009(folder):
    """Micrometres; "EV" is a std; from 1, the other way around."""
    scipy.io.savemat(folder / "m.mat", {
        "shapeMU": 1000 * SOLID.reshape(-1, 1), "shapePC": UNIT, "shapeEV": [[3000.0]], "tl": FACES[:, [0, 2, 1]] + 1,
        "texMU": TEX[:, None], "texPC": UNIT, "texEV": [[51.0]], "segbin": np.eye(6, 4),
    })  # fmt: skip
    return folder / "m.mat", ()


def bfm_front(folder):
    """Tenths of a metre; the basis is times std; from 1."""
    nothing = np.zeros((18, 1))
    scipy.io.savemat(folder / "m.mat", {
        "meanshape": SOLID.reshape(1, -1) / 100, "meantex": TEX[None], "idBase": 0.03 * UNIT, "exBase": nothing,
        "texBase": 51 * UNIT, "tri": FACES + 1, "keypoints": np.full((1, 68), 3.0),
    })  # fmt: skip
    return folder / "m.mat", ()


def statismo(folder, minor=9):
    """Variances; 0.8's columns are times std already."""
    with h5py.File(folder / "m.h5", "w") as file:
        file["version/majorVersion"], file["version/minorVersion"] = 0, minor
        for part, mean in (("shape", SOLID), ("expression", np.full((6, 3), 7.0)), ("color", TEX.reshape(6, 3) / 255)):
            file[f"{part}/model/mean"] = mean.ravel()
            scale, variance = (0.2, 0.04) if part == "color" else (3.0, 9.0)
            file[f"{part}/model/pcaBasis"] = UNIT if minor == 9 else scale * UNIT
            file[f"{part}/model/pcaVariance"] = [variance]
        file["shape/representer/cells"] = FACES.T
        file["shape/representer/points"] = -SOLID.T
    return folder / "m.h5", ()


def sfm(folder):
    """Eigenvalues; texture coordinates have v down."""

    def pca(mean, variance):
        return (
            eigen(mean.reshape(-1, 1))
            + eigen(UNIT)
            + eigen([[variance]])
            + struct.pack("<Q", 8)
            + FACES.astype("<i4").tobytes()
        )

    uv = np.array([[0.1 * k, 0.25] for k in range(6)])
    data = struct.pack("<I", 1) + pca(SOLID, 9.0) + pca(TEX / 255, 0.04)
    (folder / "m.bin").write_bytes(data + struct.pack("<Q", 6) + uv.astype("<f8").tobytes())
    return folder / "m.bin", ()


def lsfm(folder):
    scipy.io.savemat(folder / "m.mat", {
        "mean": SOLID.reshape(-1, 1), "components": UNIT, "eigenvalues": [[9.0]], "trilist": FACES,
    })  # fmt: skip
    return folder / "m.mat", ()


def lyhm(folder):
    scipy.io.savemat(folder / "m.mat", {
        "tri": {"faces": FACES[:, [0, 2, 1]] + 1},
        "shp": {"mu": SOLID.reshape(1, -1), "eigVec": UNIT, "eigVal": [[9.0]]},
        "tex": {"mu": TEX[None] / 255, "eigVec": UNIT, "eigVal": [[0.04]]},
    })  # fmt: skip
    return folder / "m.mat", ()


def three_ddfa(folder):
    """Micrometres, from 0 but transposed; coefficients in units of the basis, whose std lie apart."""
    (folder / "m.pkl").write_bytes(dumps({
        "u": 1000 * SOLID.reshape(-1, 1), "w_shp": UNIT, "w_exp": UNIT, "keypoints": np.repeat([6], 204),
        "tri": FACES[:, [0, 2, 1]].T.astype(np.int32),
    }))  # fmt: skip
    spread = np.concatenate([np.ones(12), [3000.0], [3000.0]])
    (folder / "s.pkl").write_bytes(dumps({"mean": np.zeros(14), "std": spread}))
    return folder / "m.pkl", [folder / "s.pkl"]


FORMS = {
    "bfm2009": bfm2009, "bfm-front": bfm_front, "statismo": statismo, "statismo 0.8": lambda f: statismo(f, 8),
    "sfm": sfm,
    "lsfm": lsfm, "lyhm": lyhm, "3ddfa": three_ddfa,
}  # fmt: skip


@pytest.fixture(params=FORMS)
def model(request, tmp_path):
    path, extras = FORMS[request.param](tmp_path)
    return import_model(path, extras, force=True)


def test_a_standard_deviation_is_one(model):
    moved = model.vertices(torch.ones(1)) - model.mean
    expected = torch.zeros(6, 3)
    expected[2, 0] = MOVED
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=0)


def test_millimetres(model):
    extent = model.mean.amax(0) - model.mean.amin(0)
    torch.testing.assert_close(extent, torch.full((3,), 200.0), atol=1e-3, rtol=0)


def test_triangles_begin_at_0_and_go_around_outwards(model):
    assert {tuple(sorted(t)) for t in model.triangles.tolist()} == {tuple(sorted(t)) for t in FACES.tolist()}
    assert volume(model) == pytest.approx(200**3 / 6, rel=1e-5)


def test_colours_are_red_green_blue_and_linear(model):
    if model.reflectance is None:
        pytest.skip("the form has no colours")
    expected = srgb_to_linear(torch.tensor(TEX / 255).reshape(6, 3)).float()
    torch.testing.assert_close(model.albedo(), expected, atol=1e-5, rtol=0)
    # A little along the one component: 0.2 of sRGB's red of vertex 2 a std, as the file has it.
    little = srgb_to_linear(torch.tensor(200 / 255 + 0.2 * 0.01)) - srgb_to_linear(torch.tensor(200 / 255))
    step = model.albedo(torch.tensor([0.01])) - model.albedo()
    assert float(step[2, 0]) == pytest.approx(float(little), rel=1e-2)
    assert float(step.abs().sum()) == pytest.approx(float(step[2, 0].abs()))


def test_expressions_mean_that_isn_t_zero(tmp_path):
    model = import_model(statismo(tmp_path)[0], force=True)
    torch.testing.assert_close(model.mean, torch.tensor(SOLID + 7).float())
    assert any("own mean" in note for note in model.provenance.notes)


def test_the_representer_s_points_aren_t_the_mean(tmp_path):
    model = import_model(statismo(tmp_path)[0], force=True)
    assert float(model.mean[0, 0]) == 107.0


def test_length_unit_of_a_statismo_file(tmp_path):
    path, _ = statismo(tmp_path)
    with h5py.File(path, "a") as file:
        file["shape/representer/length-unit"] = np.float32(0.01)  # a unit is a centimetre
    model = import_model(path, force=True)
    assert float(model.mean[0, 0] - model.mean[1, 0]) == pytest.approx(2000.0)


def test_index_tables_that_count_from_1(tmp_path):
    """Deep3DFaceReconstruction's key points: 3 is the third vertex."""
    path, _ = bfm_front(tmp_path)
    model = import_model(path, force=True)
    torch.testing.assert_close(model.landmarks(model.mean)[30], torch.tensor([0.0, 100.0, 0.0]), atol=1e-4, rtol=0)


def test_mediapipe_s_landmarks_are_those_that_ibug_s_know(tmp_path):
    """The tip of the nose, which this file has on its third vertex; a cheek, which iBUG doesn't know."""
    model = import_model(bfm_front(tmp_path)[0], force=True)
    embedding = model.embedding("mediapipe478")
    assert int((embedding.weights > 0).sum()) == 52
    torch.testing.assert_close(model.landmarks(model.mean, "mediapipe478")[4], torch.tensor([0.0, 100.0, 0.0]))
    assert float(embedding.weights[50]) == 0 and float(embedding.weights[4]) == float(
        model.embedding("ibug68").weights[30]
    )


def test_the_two_schemes_agree_on_the_default_model():
    model = facemodel.load()
    ours, theirs = model.landmarks(model.mean)[[CHIN, *range(17, 68)]], model.landmarks(model.mean, "mediapipe478")
    torch.testing.assert_close(ours, theirs[[152, *MEDIAPIPE]], atol=0.1, rtol=0)


def test_index_tables_of_rows(tmp_path):
    """3DDFA's key points are rows of x, y and z, from 0: row 6 is the third vertex."""
    path, extras = three_ddfa(tmp_path)
    model = import_model(path, extras, force=True)
    torch.testing.assert_close(model.landmarks(model.mean)[30], torch.tensor([0.0, 100.0, 0.0]), atol=1e-4, rtol=0)


def test_3ddfa_identity_lies_around_its_training_faces(tmp_path):
    path, extras = three_ddfa(tmp_path)
    mean = np.zeros(14)
    mean[12], mean[13] = 5000.0, 9000.0
    extras[0].write_bytes(dumps({"mean": mean, "std": np.full(14, 3000.0)}))
    model = import_model(path, extras, force=True)
    assert float(model.mean[2, 0]) == pytest.approx(5.0)  # the expression's rest is 0, whatever its mean in training


def test_texture_coordinates_with_v_down(tmp_path):
    model = import_model(sfm(tmp_path)[0], force=True)
    torch.testing.assert_close(model.atlas.coordinates[:, 1], torch.full((6,), 0.75))


def test_inverted_triangles_are_turned_and_said(tmp_path):
    scipy.io.savemat(tmp_path / "m.mat", {
        "mean": SOLID.reshape(-1, 1), "components": UNIT, "eigenvalues": [[9.0]], "trilist": FACES[:, [0, 2, 1]],
    })  # fmt: skip
    model = import_model(tmp_path / "m.mat", force=True)
    assert volume(model) > 0
    assert any("faced inwards" in note for note in model.provenance.notes)


def test_basel_2009_with_borrowed_expressions(tmp_path):
    """On the vertices that those know, by a table that counts from 1, times std, without their mean."""
    path, _ = bfm2009(tmp_path)
    mean, basis = np.full((5, 3), 500.0, "<f4"), np.zeros((20, 5, 3), "<f4")
    basis[0, 1, 1] = 1000.0  # the second vertex that is kept: a millimetre up
    (tmp_path / "e.bin").write_bytes(np.int32(20).tobytes() + mean.tobytes() + basis.tobytes())
    (tmp_path / "s.txt").write_text("3.0\n" + "1.0\n" * 19)
    scipy.io.savemat(tmp_path / "i.mat", {"trimIndex": np.arange(1.0, 6.0)[:, None]})
    extras = [tmp_path / n for n in ("s.txt", "e.bin", "i.mat")]
    model = import_model(path, extras, force=True)
    assert len(model.mean) == 5 and len(model.triangles) == 4 and model.count("expression") == 20
    moved = model.vertices(None, torch.eye(20)[0]) - model.mean
    torch.testing.assert_close(moved[1], torch.tensor([0.0, 3.0, 0.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(model.mean, torch.tensor(SOLID[:5]).float(), atol=1e-3, rtol=0)
    with pytest.raises(PortraitError, match="needs BFM_exp_idx.mat and std_exp.txt"):
        import_model(path, extras[:2], force=True)
