"""A face model that shares nothing with the default one is edited, mixed, exported, saved and loaded all the same."""

from __future__ import annotations

import csv
import json
import struct

import numpy as np
import pytest
import torch
import trimesh

import facemodel
from facemodel import PortraitError, Track, apply_curves, edit, export_mesh, mix, read_curves, write_curves
from facemodel.editing.online_mixing import OnlineMixer, Reference, steady_face
from facemodel.export.gltf import read_glb_table
from facemodel.parameters import FaceParameters
from tests.extension import toy_model
from tests.facemodel.clips import make_track


@pytest.fixture(scope="module", autouse=True)
def registered():
    toy_model.register()
    yield
    toy_model.unregister()


@pytest.fixture(scope="module")
def model(registered):
    return facemodel.load("toy")


@pytest.fixture(scope="module")
def track(model):
    return make_track(model, 12, seed=1)


def test_it_is_what_it_says(model):
    assert model.capabilities == {"joints"} and not model.linear and model.regions == {}
    assert 300 < len(model.mean) < 1000 and model.arkit == {}
    torch.testing.assert_close(model.vertices(torch.zeros(4), torch.zeros(3), None, torch.zeros(1)), model.mean)
    box = trimesh.Trimesh(model.mean.numpy(), model.triangles.numpy(), process=False)
    assert box.is_watertight and box.volume > 0  # wound counter-clockwise from outside
    marks = model.landmarks(model.mean, "toy20")
    assert len({tuple(m) for m in marks.tolist()}) == 20, "each landmark has a vertex of its own"
    opened = model.landmarks(model.vertices(joints=torch.tensor([0.4])), "toy20") - marks
    assert opened[16, 1] < -10 and opened[17, 1] < -10 and opened[[12, 15]].abs().max() < 1
    with pytest.raises(PortraitError, match="no landmarks of scheme 'ibug68' \\(it has toy20\\)"):
        model.landmarks(model.mean)
    with pytest.raises(PortraitError, match="unwrapping needs a UV atlas, which this model doesn't have"):
        model.require("atlas", "unwrapping")
    assert model.albedo(torch.zeros(2, 0)).shape == (2, len(model.mean), 3)


def test_its_linearisation_is_right(model):
    identity, expression, joints = torch.randn(4), 0.3 * torch.randn(3), torch.tensor([0.2])
    slopes = model.linearize(identity, expression, joints)
    step = 1e-2
    for name, values in (("identity", identity), ("expression", expression), ("joints", joints)):
        for k in range(len(values)):
            moved = [values.clone(), values.clone()]
            moved[0][k] += step
            moved[1][k] -= step
            state = {"identity": identity, "expression": expression, "joints": joints}
            a, b = (model.vertices(**state | {name: m}) for m in moved)
            torch.testing.assert_close(getattr(slopes, name)[k], (a - b) / (2 * step), atol=2e-2, rtol=0)
    with torch.inference_mode():  # as fits run in
        state = [t.clone() for t in (identity, expression, joints)]
        torch.testing.assert_close(model.linearize(*state).joints, slopes.joints)


def test_a_track_keeps_its_joints(model, track, tmp_path):
    loaded = Track.load(track.save(tmp_path / "t"), model)
    assert torch.equal(loaded.parameters.joints, track.parameters.joints) and loaded.parameters.joints.std() > 0.01
    assert loaded.parameters.reflectance.shape == (0,)
    with pytest.raises(PortraitError, match="fitted with model 'toy' .* but the model loaded is 'default'"):
        Track.load(tmp_path / "t", facemodel.load())


def test_expressions_and_joints_are_edited_by_name(model, track):
    edited = edit(track, model, set={"Jaw": 0.2, "grin": -1.2}, add={"brow": 0.3}, scale={"pout": 2})
    p, before = edited.parameters, track.parameters
    assert (p.joints == 0.2).all() and (p.expression[:, 0] == -1.2).all()  # signed values stay signed
    torch.testing.assert_close(p.expression[:, 1], (before.expression[:, 1] + 0.3).clamp(-1, 1))
    torch.testing.assert_close(p.expression[:, 2], (before.expression[:, 2] * 2).clamp(-0.5, 2))
    assert float(edit(track, model, set={"jaw": 9}).parameters.joints.max()) == 0.5
    with pytest.raises(PortraitError, match="unknown expression 'grim': did you mean 'grin'"):
        edit(track, model, set={"grim": 1})
    with pytest.raises(PortraitError, match="model 'toy': gaze needs eyeballs that turn"):
        edit(track, model, gaze=(0.1, 0.0))


def test_it_is_counted_from_rest_and_smoothed(model, track):
    rested = edit(track, model, neutral=4, smooth=0.3)
    smooth = edit(track, model, smooth=0.3)
    from facemodel.editing.neutral import neutral_expression, neutral_joints

    wanted = smooth.parameters.expression - neutral_expression(smooth, 4)
    torch.testing.assert_close(rested.parameters.expression, model.blocks["expression"].clamp(wanted))
    wanted = smooth.parameters.joints - neutral_joints(smooth, 4)
    torch.testing.assert_close(rested.parameters.joints, model.blocks["joints"].clamp(wanted))
    assert rested.parameters.expression.min() < -0.05
    assert smooth.parameters.joints.diff(dim=0).abs().mean() < track.parameters.joints.diff(dim=0).abs().mean()


def test_mixing_counts_joints_and_signed_expressions_from_rest(model, track):
    target = make_track(model, 7, seed=2)
    mixed = mix(track, target, model, source_neutral=5, target_neutral=3)
    from facemodel.editing.neutral import neutral_expression, neutral_joints

    s = track.parameters
    for name, of in (("expression", neutral_expression), ("joints", neutral_joints)):
        wanted = of(target, 3) + getattr(s, name) - of(track, 5)
        torch.testing.assert_close(getattr(mixed.parameters, name), model.blocks[name].clamp(wanted))
    assert mixed.parameters.expression.min() < -0.2
    itself = mix(track, track, model)
    torch.testing.assert_close(itself.parameters.joints, s.joints)
    torch.testing.assert_close(itself.parameters.expression, s.expression)
    references = (Reference.of_track(t, model) for t in (track, target))
    mixer, whole = OnlineMixer(*references, steady_face(target), model), mix(track, target, model).parameters
    frame = mixer(s.expanded()[6])
    for name in ("expression", "joints", "rotation", "translation"):
        torch.testing.assert_close(getattr(frame, name), getattr(whole, name)[6], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("suffix", ["obj", "ply", "glb"])
def test_meshes_have_the_frame_s_jaw_and_the_model_s_names(model, track, tmp_path, suffix):
    track = edit(track, model, set={"jaw": 0.4})
    path = export_mesh(track, 3, model, tmp_path / f"face.{suffix}")
    p = track.parameters.expanded()[3]
    shown = p.expression if suffix != "glb" else torch.zeros(3)  # a .glb opens at rest, for those who can't morph
    expected = model.vertices(p.identity, shown, None, p.joints).numpy()
    mesh = trimesh.load(path, force="mesh", process=False)
    if suffix == "glb":
        mesh.apply_scale(1000)
    np.testing.assert_allclose(mesh.triangles, expected[model.triangles.numpy()], atol=1e-3)
    landmarks = json.loads((tmp_path / "face.landmarks.json").read_text())["landmarks"]
    marks = model.landmarks(model.vertices(p.identity, p.expression, None, p.joints), "toy20")
    assert landmarks["scheme"] == "toy20"
    np.testing.assert_allclose(landmarks["positions"], marks, atol=1e-3)
    with pytest.raises(PortraitError, match="a texture on the mesh needs a UV atlas"):
        export_mesh(track, 3, model, tmp_path / f"b.{suffix}", np.zeros((8, 8, 3), np.uint8))


def test_a_glb_s_shapes_add_up_to_the_frame(model, track, tmp_path):
    path = export_mesh(track, 3, model, tmp_path / "face.glb")
    data = path.read_bytes()
    table = read_glb_table(data)
    mesh, start = table["meshes"][0], 28 + struct.unpack_from("<I", data, 12)[0]
    assert mesh["extras"]["targetNames"] == ["grin", "brow", "pout"]
    p = track.parameters.expanded()[3]
    np.testing.assert_allclose(mesh["weights"], p.expression, atol=1e-6)

    def array(index):
        a = table["accessors"][index]
        view = lambda k, dtype, n: np.frombuffer(data, dtype, n, start + table["bufferViews"][k]["byteOffset"])  # noqa: E731
        if "bufferView" in a:
            return view(a["bufferView"], "<f4", a["count"] * 3).reshape(-1, 3)
        out, sparse = np.zeros((a["count"], 3)), a["sparse"]
        rows = view(sparse["indices"]["bufferView"], "<u4", sparse["count"])
        out[rows] = view(sparse["values"]["bufferView"], "<f4", 3 * sparse["count"]).reshape(-1, 3)
        return out

    primitive = mesh["primitives"][0]
    moved = sum(w * array(t["POSITION"]) for w, t in zip(mesh["weights"], primitive["targets"]))
    # The jaw turns what expressions moved: linear at the frame's jaw.
    expected = model.vertices(p.identity, p.expression, None, p.joints).numpy()
    np.testing.assert_allclose(array(primitive["attributes"]["POSITION"]) + moved, expected, atol=2e-3)


def test_curves_have_its_own_names(model, track, tmp_path):
    path = write_curves(track, model, tmp_path / "c.csv")
    header = next(csv.reader(path.open()))
    assert header[-4:] == ["grin", "brow", "pout", "jaw"]
    curves = read_curves(path, default_rate=25)
    other = make_track(model, 12, seed=9)
    copy = apply_curves(other, model, curves, head=True).parameters
    for name in ("expression", "joints", "rotation"):
        torch.testing.assert_close(getattr(copy, name), getattr(track.parameters, name), atol=1e-5, rtol=0)
    assert "jawOpen" in curves.unused(model) and "grin" not in curves.unused(model)
    app = tmp_path / "app.csv"
    app.write_text("Timecode,BlendShapeCount,JawOpen\n00:00:00:00.000,1,0.5\n")
    same = apply_curves(track, model, read_curves(app)).parameters
    assert torch.equal(same.expression, track.parameters.expression)


def test_neutral_parameters(model):
    p = FaceParameters.neutral(model, (2,))
    assert p.joints.shape == (2, 1) and p.reflectance.shape == (2, 0) and p.expression.shape == (2, 3)
    assert p.replace(identity=torch.zeros(4)).expanded()[1].joints.shape == (1,)
