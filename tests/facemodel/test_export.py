"""Exported files, read back by another library, on the shipped model."""

import json

import numpy as np
import pytest
import torch
import trimesh

import facemodel
from facemodel import PortraitError, export_mesh
from facemodel.export import frame_mesh
from renderer.camera import Camera, opencv_extrinsics, project, to_camera

from .clips import make_track


@pytest.fixture(scope="module")
def model():
    return facemodel.load()


@pytest.fixture(scope="module")
def track(model):
    return make_track(model, 4, status=[1, 0, 1, 1])


@pytest.fixture(scope="module")
def texture():
    return np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)


def expected_vertices(track, model, frame):
    p = track.parameters.expanded()[frame]
    return model.vertices(p.identity, p.expression, p.gaze).numpy()


@pytest.mark.parametrize("name", ["face.obj", "face.ply", "face.glb"])
@pytest.mark.parametrize("textured", [True, False])
def test_meshes_read_back_in_millimetres(tmp_path, model, track, texture, name, textured):
    path = export_mesh(track, 2, model, tmp_path / name, texture if textured else None)
    mesh = trimesh.load(path, force="mesh", process=False)
    expected = expected_vertices(track, model, 2)
    np.testing.assert_allclose(mesh.bounds, [expected.min(0), expected.max(0)], atol=1e-3)
    corners = expected[model.triangles.numpy()]
    assert len(mesh.triangles) == len(corners)
    np.testing.assert_allclose(mesh.triangles, corners, atol=1e-3)  # the same triangles, wound the same way
    if textured and not name.endswith(".ply"):
        assert mesh.visual.kind == "texture"
        uv = model.uv.numpy()[model.uv_triangles.numpy()]
        np.testing.assert_allclose(mesh.visual.uv[mesh.faces], uv, atol=1e-4)
        material = mesh.visual.material
        image = material.baseColorTexture if name.endswith(".glb") else material.image
        np.testing.assert_array_equal(np.asarray(image)[..., :3], texture)
    else:
        colors = frame_mesh(track, 2, model).colors
        assert mesh.visual.kind == "vertex"
        np.testing.assert_allclose(mesh.visual.vertex_colors[mesh.faces][..., :3], colors[model.triangles], atol=2)
    assert not list(tmp_path.glob("*.partial"))


def test_obj_names_its_texture(tmp_path, model, track, texture):
    export_mesh(track, 0, model, tmp_path / "a.obj", texture)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.albedo.png", "a.landmarks.json", "a.mtl", "a.obj"]
    assert "mtllib a.mtl" in (tmp_path / "a.obj").read_text()
    assert "map_Kd a.albedo.png" in (tmp_path / "a.mtl").read_text()


def test_landmarks_and_camera_need_no_guessing(tmp_path, model, track):
    """The JSON alone, with x_camera = R x_model + t, gives the renderer's pixels."""
    export_mesh(track, 3, model, tmp_path / "face.glb")
    facts = json.loads((tmp_path / "face.landmarks.json").read_text())
    points = np.array(facts["landmarks"]["positions"])
    k, r, t = (np.array(facts["camera"][name]) for name in "KRt")
    image = (points @ r.T + t) @ k.T
    image = image[:, :2] / image[:, 2:]

    p = track.parameters.expanded()[3]
    vertices = model.vertices(p.identity, p.expression, p.gaze)
    camera = Camera(float(p.focal), track.width, track.height)
    pixels = project(to_camera(model.landmarks(vertices, "ibug68"), p.rotation, p.translation), camera)
    np.testing.assert_allclose(image, pixels.numpy(), atol=1e-2)
    np.testing.assert_allclose(facts["landmarks"]["pixels"], pixels.numpy(), atol=1e-2)
    rotation, translation = opencv_extrinsics(p.rotation, p.translation)
    np.testing.assert_allclose(r, rotation.numpy(), atol=1e-6)
    np.testing.assert_allclose(t, translation.numpy(), atol=1e-6)
    np.testing.assert_allclose(k, camera.intrinsics().numpy(), atol=1e-4)
    assert points.shape == (68, 3) and facts["units"] == "mm"
    assert facts["frame_size"] == {"width": 640, "height": 480} and facts["frame"] == 3
    assert points[8, 1] < points[27, 1] and points[0, 0] < points[16, 0]  # chin below; subject's right first


def test_clear_errors(tmp_path, model, track):
    for frame, name, message in [(9, "a.obj", "expected 0 to 3, got 9"), (1, "a.obj", "no face was found"),
                                 (0, "a.fbx", "expected a name ending in .obj, .ply, .glb")]:  # fmt: skip
        with pytest.raises(PortraitError, match=message):
            export_mesh(track, frame, model, tmp_path / name)
    from dataclasses import replace

    with pytest.raises(PortraitError, match="fitted with model"):
        export_mesh(replace(track, fingerprint="x"), 0, model, tmp_path / "a.obj")
    assert list(tmp_path.iterdir()) == []


def test_colours_are_srgb_of_the_albedo(model, track):
    from renderer import linear_to_srgb

    expected = linear_to_srgb(model.albedo(track.parameters.reflectance).clamp(0, 1))
    np.testing.assert_allclose(frame_mesh(track, 0, model).colors / 255, expected, atol=1 / 255)
    assert torch.isfinite(expected).all()
