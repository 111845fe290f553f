"""FLAME parameters as VHAP has them: skinned again from the npz alone, they lie where the track has the face."""

import numpy as np
import pytest
import torch

from benchmarks.model_files import flame_arrays, make_head, write_flame
from facemodel.export.flame_parameters import write_flame_parameters
from facemodel.importing import import_model
from foundation.errors import PortraitError
from renderer import to_camera
from tests.fitting.test_conversion import performance


def exp(r):
    """The rotation about r by its length."""
    k = np.array([[0, -r[2], r[1]], [r[2], 0, -r[0]], [-r[1], r[0], 0]])
    angle = np.linalg.norm(r)
    if angle < 1e-9:
        return np.eye(3)
    k = k / angle
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def skinned(arrays, file, frame):
    """FLAME's vertices (V, 3) m of a frame of the npz, by its five joints from the root on, as VHAP's code does it."""
    poses = [file["rotation"], file["neck_pose"], file["jaw_pose"], *np.split(file["eyes_pose"], 2, axis=1)]
    turns = [exp(p[frame].astype(float)) for p in poses]
    shaped = arrays["v_template"] + arrays["shapedirs"] @ np.concatenate([file["shape"], file["expr"][frame]])
    at = arrays["J_regressor"] @ shaped
    shaped = shaped + arrays["posedirs"] @ np.concatenate([(t - np.eye(3)).ravel() for t in turns[1:]])
    world, place = [turns[0]], [at[0]]
    for k, parent in enumerate([0, 1, 1, 1], start=1):
        world.append(world[parent] @ turns[k])
        place.append(place[parent] + world[parent] @ (at[k] - at[parent]))
    moved = [shaped @ w.T + p - w @ a for w, p, a in zip(world, place, at)]
    return sum(arrays["weights"][:, [k]] * m for k, m in enumerate(moved)) + file["translation"][frame]


@pytest.fixture(scope="module")
def head():
    return make_head(8, 10)


def test_they_give_the_same_vertices_in_the_same_camera(head, tmp_path):
    model = import_model(write_flame(tmp_path, head).path)
    track = performance(model, 3)
    file = dict(np.load(write_flame_parameters(tmp_path / "flame.npz", track, model)))
    p = track.parameters.expanded()
    vertices = model.vertices(p.identity, p.expression, p.gaze, p.joints)
    ours = to_camera(vertices, p.rotation, p.translation).numpy() / 1000
    arrays = flame_arrays(head)
    for k in range(3):
        theirs = skinned(arrays, file, k) - [0, 0, 1]  # of the camera
        np.testing.assert_allclose(theirs * [1, -1, -1], ours[k], atol=2e-6)
    # the camera: focal length over the longer side, in the middle of the picture
    x, y, z = (skinned(arrays, file, 0) - [0, 0, 1]).T
    focal = file["focal_length"][0] * max(file["image_size"])
    u = file["image_size"][1] / 2 + focal * x / -z
    wanted = track.camera.focal * ours[0, :, 0] / ours[0, :, 2] + track.width / 2
    np.testing.assert_allclose(u, wanted, atol=1e-2)


def test_names_shapes_types(head, tmp_path):
    model = import_model(write_flame(tmp_path, head).path)
    with np.load(write_flame_parameters(tmp_path / "flame.npz", performance(model, 3), model)) as file:
        shapes = {name: file[name].shape for name in file.files}
        kinds = {name: file[name].dtype.kind for name in file.files}
        assert file["timestep_id"].tolist() == ["00000", "00001", "00002"]
        assert file["image_size"].tolist() == [480, 640]
    wanted = {
        "rotation": (3, 3), "translation": (3, 3), "neck_pose": (3, 3), "jaw_pose": (3, 3), "eyes_pose": (3, 6),
        "shape": (300,), "expr": (3, 100), "lights": (9, 3), "focal_length": (1,),
        "static_offset": (1, len(head.vertices), 3),
    }  # fmt: skip
    assert {n: shapes[n] for n in wanted} == wanted
    assert all(kinds[n] == "f" for n in wanted) and "eyelids" not in shapes


def test_lids_have_a_name_of_their_own(head, tmp_path):
    written = write_flame(tmp_path, head, lids=True)
    model = import_model(written.path, written.extras)
    track = performance(model, 2)
    with np.load(write_flame_parameters(tmp_path / "flame.npz", track, model)) as file:
        assert torch.equal(torch.from_numpy(file["eyelids"]), track.parameters.expression[:, 100:])


def test_other_models_are_refused(tmp_path):
    import facemodel

    model = facemodel.load()
    with pytest.raises(PortraitError, match="need a FLAME model, 'default'"):
        write_flame_parameters(tmp_path / "x.npz", performance(model, 2), model)
    assert not (tmp_path / "x.npz").exists()
