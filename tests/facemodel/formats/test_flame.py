"""FLAME's extra files: landmarks, masks, texture coordinates, eyelids, textures; and its real topology."""

from pickle import dumps

import numpy as np
import pytest
import torch

from benchmarks.model_files import Head, flame_arrays, make_head, write_flame, write_obj
from facemodel.formats._containers import read_obj
from facemodel.importing import import_model
from foundation.errors import PortraitError
from geometry.color import srgb_to_linear
from tests.facemodel.formats.real import MODELS, needs_real


@pytest.fixture(scope="module")
def head():
    return make_head()


@pytest.fixture
def flame(tmp_path, head):
    return write_flame(tmp_path, head, chumpy=False)


def turned_left(points, radians):
    """About +y, towards the subject's left."""
    c, s = np.cos(radians), np.sin(radians)
    return points @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T


def test_gaze_turns_the_eyes_and_nothing_else(flame, head):
    arrays = flame_arrays(head)
    model = import_model(flame.path)
    gaze = torch.tensor([[0.3, 0.0], [0.0, 0.0]])
    moved = (model.vertices(gaze=gaze) - model.mean).norm(dim=-1).numpy()
    correctives = np.abs(arrays["posedirs"]).max() * 1000
    assert moved[head.eyes[0]].max() > 3
    others = np.ones(len(moved), bool)
    others[head.eyes[0]] = False
    assert moved[others].max() < correctives  # what bends with the joint's rotation, and no more
    ball = head.vertices[head.eyes[0]]
    center = ball.mean(0)
    rest = ball + (arrays["posedirs"] @ correction(0.3)).reshape(-1, 3)[head.eyes[0]] * 1000
    expected = center + turned_left(rest - center, 0.3)
    np.testing.assert_allclose(model.vertices(gaze=gaze)[head.eyes[0]].numpy(), expected, atol=1e-3)


def correction(yaw):
    c, s = np.cos(yaw), np.sin(yaw)
    feature = np.zeros(36)
    feature[18:27] = (np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) - np.eye(3)).ravel()
    return feature


def test_the_eyes_capability_is_the_file_s_own(flame, head):
    model = import_model(flame.path)
    np.testing.assert_allclose(model.eye_centers().numpy(), head.centers, atol=1e-3)
    np.testing.assert_allclose(model.eye_radius().numpy(), [12, 12], atol=1e-3)
    identity = torch.randn(300, generator=torch.Generator().manual_seed(1))
    points = model.vertices(identity)
    for e, index in enumerate(head.eyes):
        torch.testing.assert_close(points[index].mean(0), model.eye_centers(identity)[e], atol=1e-3, rtol=0)


def test_joints_are_neck_and_jaw(flame):
    block = import_model(flame.path).blocks["joints"]
    assert block.names == tuple(f"{joint} {axis}" for joint in ("neck", "jaw") for axis in "xyz")
    assert float(block.upper[3]) > 0.5 and 0 < -float(block.lower[3]) < 0.1


def test_eyelids_are_expressions_from_0_to_1_by_side(tmp_path, head):
    written = write_flame(tmp_path, head, lids=True)
    model = import_model(written.path, written.extras[::-1])
    assert set(model.arkit) == {"eyeBlinkLeft", "eyeBlinkRight"}
    for name, side in (("eyeBlinkLeft", 1), ("eyeBlinkRight", -1)):
        k = model.arkit[name]
        moved = model.expression_basis[k].norm(dim=-1) > 0
        assert (model.mean[moved, 0] * side > 0).all() and moved.any()
        assert float(model.blocks["expression"].lower[k]) == 0 and float(model.blocks["expression"].upper[k]) == 1
    assert not any("no eyelids" in n for n in model.provenance.notes)


def test_without_eyelids_it_says_so(flame):
    assert any("no eyelids" in n for n in import_model(flame.path).provenance.notes)


@pytest.mark.parametrize("name", ["static", "full", "mediapipe"])
def test_landmark_embeddings(flame, head, tmp_path, name):
    rng = np.random.default_rng(1)
    count = {"static": 51, "full": 68, "mediapipe": 105}[name]
    faces, bary = rng.integers(0, len(head.triangles), count), rng.dirichlet(np.ones(3), count)
    which = {"static": np.arange(17, 68), "full": np.arange(68), "mediapipe": np.sort(rng.permutation(468)[:105])}[name]
    path = tmp_path / "marks"
    if name == "static":
        path.write_bytes(dumps({"lmk_face_idx": faces, "lmk_b_coords": bary}, protocol=0))
    elif name == "full":
        held = {
            "full_lmk_faces_idx": faces[None],
            "full_lmk_bary_coords": bary[None],
            "static_lmk_faces_idx": faces[:51],
        }
        np.save(path.with_suffix(".npy"), np.array(held, dtype=object))
        path = path.with_suffix(".npy")
    else:
        path = path.with_suffix(".npz")
        np.savez(path, lmk_face_idx=faces, lmk_b_coords=bary, landmark_indices=which)
    model = import_model(flame.path, [path], force=True)  # random landmarks are no face's
    scheme = "mediapipe478" if name == "mediapipe" else "ibug68"
    embedding = model.embedding(scheme)
    assert sorted(torch.nonzero(embedding.weights).ravel().tolist()) == sorted(which.tolist())
    expected = (head.vertices[head.triangles[faces]] * bary[..., None]).sum(1)
    np.testing.assert_allclose(model.landmarks(model.mean, scheme)[which].numpy(), expected, atol=1e-3)


def test_embeddings_and_masks_of_another_topology(flame, head, tmp_path):
    path = tmp_path / "m.pkl"
    path.write_bytes(dumps({"lmk_face_idx": np.full(51, 9000), "lmk_b_coords": np.full((51, 3), 1 / 3)}))
    with pytest.raises(PortraitError, match="landmarks of another topology.*triangle 9000"):
        import_model(flame.path, [path])
    path.write_bytes(dumps({k: np.array([0, 4000]) for k in ("face", "neck", "scalp", "lips")}))
    with pytest.raises(PortraitError, match="masks of another topology .they reach vertex 4000, the model has 252"):
        import_model(flame.path, [path])


def test_masks(flame, head, tmp_path):
    groups = {k: np.array([n, n + 5]) for n, k in enumerate(("face", "neck", "scalp", "lips", "left_ear", "right_ear"))}
    (tmp_path / "m.pkl").write_bytes(dumps(groups, protocol=0))
    model = import_model(flame.path, [tmp_path / "m.pkl"])
    assert torch.nonzero(model.region("neck")).ravel().tolist() == [1, 6]
    assert torch.nonzero(model.region("ears")).ravel().tolist() == [4, 5, 9, 10]
    assert torch.nonzero(model.region("eyes")).ravel().tolist() == sorted(np.concatenate(head.eyes).tolist())


def write_textured(path, head, order):
    """An OBJ with a texture coordinate of its own for each corner: (vertex / 1000, corner / 10)."""
    lines = ["v {} {} {}".format(*v) for v in head.vertices]
    corners, faces = [], []
    for t in head.triangles[order]:
        t = np.roll(t, 1)  # noqa: PLW2901 (the same triangle, begun elsewhere)
        start = len(corners) + 1
        corners += [f"vt {v / 1000} 0.5" for v in t]
        faces.append("f " + " ".join(f"{v + 1}/{start + k}" for k, v in enumerate(t)))
    path.write_text("\n".join(lines + corners + faces) + "\n")
    return path


def test_texture_coordinates_whatever_the_order_of_triangles(flame, head, tmp_path):
    order = np.random.default_rng(1).permutation(len(head.triangles))
    model = import_model(flame.path, [write_textured(tmp_path / "t.obj", head, order)])
    u = model.atlas.coordinates[model.atlas.triangles][..., 0]
    torch.testing.assert_close(u, model.triangles / 1000.0)


def test_a_mesh_of_another_topology_is_refused(flame, head, tmp_path):
    other = Head(head.vertices, head.triangles[:, [1, 0, 2]], head.eyes, head.centers, head.marks)
    path = write_textured(tmp_path / "t.obj", other, np.arange(len(head.triangles)))
    with pytest.raises(PortraitError, match="a mesh of another topology"):
        import_model(flame.path, [path])
    with pytest.raises(PortraitError, match="no texture coordinates"):
        import_model(flame.path, [write_obj(tmp_path / "o.obj", head)])


@pytest.mark.parametrize("form", ["mpi", "bfm"])
def test_textures_are_bgr_with_rows_from_the_top(flame, head, tmp_path, form):
    side = 9
    mean = np.zeros((side, side, 3))
    mean[..., 0], mean[..., 2] = 30, 200  # blue first
    mean[0, :, 1] = 90  # the upper row, v = 1: more green
    basis = np.zeros((side, side, 3, 2))
    basis[..., 2, 0] = 10  # the first component is red
    uv = np.stack([np.linspace(0, 1, len(head.vertices)), np.arange(len(head.vertices)) % 2], -1)
    path = tmp_path / "texture.npz"
    full = 1 if form == "bfm" else 255
    if form == "mpi":
        np.savez(path, mean=mean, tex_dir=basis, vt=uv, ft=head.triangles)
    else:
        np.savez(path, MU=(mean / 255).reshape(-1, 1), PC=(basis / 255).reshape(-1, 2), vt=uv, ft=head.triangles)
    model = import_model(flame.path, [path])
    assert full in (1, 255)
    for vertex, green in ((2, 0.0), (3, 90.0)):
        expected = srgb_to_linear(torch.tensor([200.0, green, 30.0]) / 255)
        torch.testing.assert_close(model.albedo()[vertex], expected, atol=1e-4, rtol=0)
    step = model.albedo(torch.tensor([1.0, 0.0])) - model.albedo()
    assert float(step[2, 0]) > 0.02 and float(step[2, 1:].abs().max()) == 0


@pytest.mark.parametrize(
    "old", [{"v_template": "default_v", "posedirs": "blendshapes"}, {"J_regressor": "joint_regressor"}]
)
def test_older_names(tmp_path, head, old):
    arrays = {old.get(k, k): v for k, v in flame_arrays(head).items()}
    (tmp_path / "m.pkl").write_bytes(dumps(arrays, protocol=2))
    model = import_model(tmp_path / "m.pkl")
    np.testing.assert_allclose(model.mean.numpy(), head.vertices, atol=1e-4)


def test_arrays_as_npz(tmp_path, head):
    np.savez(tmp_path / "m.npz", **flame_arrays(head))
    assert import_model(tmp_path / "m.npz").provenance.format == "FLAME"


def real_topology() -> Head:
    """A head of FLAME's own vertices and triangles, placed at the origin; the rest of it is made up."""
    mesh = read_obj(MODELS / "flame" / "head_template.obj")
    vertices = 1000 * (mesh.vertices - [0, 1.47, 0])
    eyes = []
    for side in (1, -1):  # an eyeball is a part that nothing else is connected to
        eyes.append(eyeball(mesh.triangles, len(vertices), vertices, side))
    centers = np.stack([vertices[e].mean(0) for e in eyes])
    return Head(vertices, mesh.triangles, tuple(eyes), centers, np.zeros(68, int))


def eyeball(triangles, count, vertices, side):
    import scipy.sparse.csgraph as graphs
    from scipy.sparse import coo_matrix

    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    _, parts = graphs.connected_components(coo_matrix((np.ones(len(pairs)), pairs.T), (count, count)), directed=False)
    sizes = np.bincount(parts)
    balls = [np.flatnonzero(parts == k) for k in np.flatnonzero(sizes == 546)]
    return next(b for b in balls if side * vertices[b, 0].mean() > 0)


@needs_real
def test_real_topology_with_all_of_its_real_extra_files(tmp_path):
    head = real_topology()
    written = write_flame(tmp_path, head)
    folder = MODELS / "flame"
    names = ("l_eyelid.npy", "r_eyelid.npy", "FLAME_masks.pkl", "head_template.obj", "landmark_embedding.npy",
             "mediapipe_landmark_embedding.npz")  # fmt: skip
    model = import_model(written.path, [folder / n for n in names])
    assert len(model.mean) == 5023 and len(model.triangles) == 9976
    assert set(model.arkit) == {"eyeBlinkLeft", "eyeBlinkRight"} and set(model.embeddings) == {"ibug68", "mediapipe478"}
    marks = model.landmarks(model.mean)
    assert float(marks[30, 2]) > float(marks[36:48, 2].max())  # the nose in front of the eyes
    assert (
        float(marks[8, 1]) < float(marks[57, 1]) < float(marks[30, 1]) < float(marks[27, 1])
    )  # chin, lip, nose, bridge
    assert float(marks[36, 0]) < 0 < float(marks[45, 0])
    face = model.region("face")
    corners = model.triangles[model.embedding("ibug68").triangles[17:]]
    assert face[corners].float().mean() > 0.95
    used = model.embedding("mediapipe478").weights > 0
    assert used.sum() == 105
    assert model.atlas.triangles.shape == (9976, 3)
    lids = model.expression_basis[model.arkit["eyeBlinkLeft"]].norm(dim=-1)
    assert 400 < int((lids > 0).sum()) < 460 and float(lids.max()) > 8
    torch.testing.assert_close(model.eye_radius(), torch.full((2,), float(model.eye_radius()[0])), rtol=0.02, atol=0)
