"""Exported files, read back by another library, on the shipped model."""

import json
import struct

import numpy as np
import pytest
import torch
import trimesh

from facemodel import PortraitError, export_mesh
from facemodel.export.mesh import EXPORTERS, frame_mesh
from geometry.camera import Camera, opencv_extrinsics, project, to_camera
from geometry.color import linear_to_srgb
from geometry.mesh import vertex_normals
from tests.facemodel.clips import make_track


@pytest.fixture(scope="module")
def track(model):
    return make_track(model, 4, status=[1, 0, 1, 1])


@pytest.fixture(scope="module")
def texture():
    return np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)


def expected_vertices(track, model, frame):
    p = track.parameters.expanded()[frame]
    return model.vertices(p.identity, p.expression, p.gaze).numpy()


class Glb:
    """A .glb file, read by the words of its specification."""

    def __init__(self, path):
        data = path.read_bytes()
        magic, version, length, size, kind = struct.unpack_from("<4sIII4s", data)
        assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON") and size % 4 == 0
        self.table = json.loads(data[20 : 20 + size])
        rest, kind = struct.unpack_from("<I4s", data, 20 + size)
        self.binary = data[28 + size :]
        assert kind == b"BIN\0" and rest == len(self.binary) == self.table["buffers"][0]["byteLength"]

    def _read(self, view, kind, count, width):
        view, dtype = self.table["bufferViews"][view], np.dtype({5126: "<f4", 5123: "<u2", 5125: "<u4"}[kind])
        assert view["byteOffset"] % 4 == 0 and view["byteLength"] == count * width * dtype.itemsize
        return np.frombuffer(self.binary, dtype, count * width, view["byteOffset"]).reshape(count, width)

    def array(self, index):
        a = self.table["accessors"][index]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[a["type"]]
        out = np.zeros((a["count"], width), np.float32)
        if "bufferView" in a:
            out = self._read(a["bufferView"], a["componentType"], a["count"], width)
        if sparse := a.get("sparse"):
            rows, values = sparse["indices"], sparse["values"]["bufferView"]
            rows = self._read(rows["bufferView"], rows["componentType"], sparse["count"], 1)[:, 0]
            assert (np.diff(rows.astype(int)) > 0).all()
            out[rows] = self._read(values, a["componentType"], sparse["count"], width)
        if "min" in a:
            np.testing.assert_allclose([out.min(0), out.max(0)], [a["min"], a["max"]], rtol=1e-6)
        return out

    @property
    def mesh(self):
        return self.table["meshes"][0]

    @property
    def primitive(self):
        return self.mesh["primitives"][0]

    def attribute(self, name, weights=None):
        """With the morph targets by these weights."""
        base = self.array(self.primitive["attributes"][name]).astype(float)
        targets = zip([] if weights is None else weights, self.primitive["targets"])
        return base + sum(w * self.array(t[name]).astype(float) for w, t in targets)

    @property
    def triangles(self):
        return self.array(self.primitive["indices"]).reshape(-1, 3)


@pytest.mark.parametrize("name", ["face.obj", "face.ply", "face.glb"])
@pytest.mark.parametrize("textured", [True, False])
def test_meshes_read_back_in_millimetres(tmp_path, model, track, texture, name, textured):
    path = export_mesh(track, 2, model, tmp_path / name, texture if textured else None)
    mesh = trimesh.load(path, force="mesh", process=False)
    expected = expected_vertices(track, model, 2)
    if name.endswith(".glb"):  # metres by its node, and trimesh knows nothing of morph targets
        mesh.apply_scale(1000)
        p = track.parameters.expanded()[2]
        expected = model.vertices(p.identity, None, p.gaze).numpy()
    np.testing.assert_allclose(mesh.bounds, [expected.min(0), expected.max(0)], atol=1e-3)
    corners = expected[model.triangles.numpy()]
    assert len(mesh.triangles) == len(corners)
    np.testing.assert_allclose(mesh.triangles, corners, atol=1e-3)  # the same triangles, wound the same way
    if textured and not name.endswith(".ply"):
        assert mesh.visual.kind == "texture"
        uv = model.atlas.coordinates.numpy()[model.atlas.triangles.numpy()]
        np.testing.assert_allclose(mesh.visual.uv[mesh.faces], uv, atol=1e-4)
        material = mesh.visual.material
        image = material.baseColorTexture if name.endswith(".glb") else material.image
        np.testing.assert_array_equal(np.asarray(image)[..., :3], texture)
    elif name.endswith(".glb"):  # linear; beside a material trimesh doesn't keep them
        linear = torch.from_numpy(Glb(path).attribute("COLOR_0")[:, :3] / 65535)
        colors = frame_mesh(track, 2, model).colors
        np.testing.assert_allclose(255 * linear_to_srgb(linear)[mesh.faces], colors[model.triangles], atol=0.5)
    else:
        colors = frame_mesh(track, 2, model).colors
        assert mesh.visual.kind == "vertex"
        np.testing.assert_allclose(mesh.visual.vertex_colors[mesh.faces][..., :3], colors[model.triangles], atol=2)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("textured", [True, False])
def test_a_glb_is_as_large_as_a_head_and_smiles_as_the_frame_does(tmp_path, model, track, texture, textured):
    path = export_mesh(track, 2, model, tmp_path / "face.glb", texture if textured else None)
    assert 0.2 < np.ptp(trimesh.load(path).bounds[:, 1]) < 0.35  # metres, with the node's scale
    glb, p = Glb(path), track.parameters.expanded()[2]
    assert glb.table["nodes"][0]["scale"] == [0.001] * 3 and glb.table["scenes"][0]["nodes"] == [0]
    assert glb.mesh["extras"]["targetNames"] == list(model.expression_names)
    np.testing.assert_allclose(glb.mesh["weights"], p.expression, atol=1e-7)
    assert max(glb.mesh["weights"]) > 0.1
    corners = glb.attribute("POSITION", glb.mesh["weights"])[glb.triangles]
    np.testing.assert_allclose(corners, expected_vertices(track, model, 2)[model.triangles], atol=1e-4)
    jaw = np.eye(52)[model.expression_index("jawOpen")]
    opened = model.vertices(p.identity, torch.from_numpy(jaw).float(), p.gaze)
    np.testing.assert_allclose(glb.attribute("POSITION", jaw)[glb.triangles], opened[model.triangles], atol=1e-4)


def test_a_glb_has_normals_at_rest_and_of_every_shape(tmp_path, model, track, texture):
    glb = Glb(export_mesh(track, 2, model, tmp_path / "face.glb", texture))
    p = track.parameters.expanded()[2]
    for shape in (None, "jawOpen", "eyeBlinkLeft"):
        weights = np.zeros(52) if shape is None else np.eye(52)[model.expression_index(shape)]
        vertices = model.vertices(p.identity, torch.from_numpy(weights).float(), p.gaze)
        expected = vertex_normals(vertices, model.triangles)[model.triangles].numpy()
        found = glb.attribute("NORMAL", weights)[glb.triangles]
        np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-4)
        assert (found * expected).sum(-1).min() > 0.999


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
                                 (0, "a.fbx", "expected a name ending in .glb, .obj, .ply")]:  # fmt: skip
        with pytest.raises(PortraitError, match=message):
            export_mesh(track, frame, model, tmp_path / name)
    from dataclasses import replace

    with pytest.raises(PortraitError, match="fitted with model"):
        export_mesh(replace(track, fingerprint="x"), 0, model, tmp_path / "a.obj")
    assert list(tmp_path.iterdir()) == []


def test_colours_are_srgb_of_the_albedo(model, track):
    expected = linear_to_srgb(model.albedo(track.parameters.reflectance).clamp(0, 1))
    np.testing.assert_allclose(frame_mesh(track, 0, model).colors / 255, expected, atol=1 / 255)
    assert torch.isfinite(expected).all()


def test_an_exporter_is_a_function_and_a_suffix(tmp_path, model, track):
    def points(mesh, texture, path, facts):
        return {path: "\n".join(" ".join(f"{c:.3f}" for c in v) for v in mesh.vertices).encode()}

    EXPORTERS.add(".xyz", points)
    try:
        export_mesh(track, 0, model, tmp_path / "face.xyz")
    finally:
        EXPORTERS.remove(".xyz")
    np.testing.assert_allclose(np.loadtxt(tmp_path / "face.xyz"), expected_vertices(track, model, 0), atol=1e-2)
