"""The morphable model: its methods and its file."""

import json
import struct

import pytest
import torch

import facemodel
from facemodel import PortraitError
from facemodel.arkit import ARKIT_NAMES
from facemodel.formats.default import DEFAULT_MODEL, read_model_file, write_model_file
from facemodel.gaze import eye_look_to_gaze, gaze_direction, gaze_rotation, gaze_rotation_and_slopes, gaze_to_eye_look
from facemodel.landmark_schemes import SCHEMES


class TestShapes:
    def test_sizes(self, model):
        count = len(model.mean)
        assert 4000 < count < 6500
        assert model.identity_basis.shape == (80, count, 3)
        assert model.reflectance.basis.shape == (80, count, 3)
        assert model.expression_basis.shape == (52, count, 3)
        assert model.expression_names == ARKIT_NAMES
        assert len(model.triangles) == len(model.atlas.triangles)
        assert model.name == "default" and len(model.fingerprint) == 16

    @pytest.mark.parametrize("batch", [(), (2,), (3, 1, 2)])
    def test_leading_dimensions(self, model, batch):
        count = len(model.mean)
        vertices = model.vertices(torch.randn(*batch, 80), torch.rand(*batch, 52), 0.2 * torch.randn(*batch, 2, 2))
        assert vertices.shape == (*batch, count, 3)
        assert model.albedo(torch.randn(*batch, 80)).shape == (*batch, count, 3)
        for scheme in model.embeddings:
            assert model.landmarks(vertices, scheme).shape == (*batch, SCHEMES[scheme].count, 3)
        assert model.eye_centers(torch.randn(*batch, 80)).shape == (*batch, 2, 3)
        assert model.eye_radius(torch.randn(*batch, 80)).shape == (*batch, 2)
        assert facemodel.vertex_normals(vertices, model.triangles).shape == vertices.shape

    def test_leading_dimensions_broadcast(self, model):
        identity, expression, gaze = torch.randn(80), torch.rand(4, 52), 0.2 * torch.randn(3, 1, 2, 2)
        together = model.vertices(identity, expression, gaze)
        assert together.shape[:2] == (3, 4)
        torch.testing.assert_close(together[2, 1], model.vertices(identity, expression[1], gaze[2, 0]))

    def test_none_is_the_mean(self, model):
        assert torch.equal(model.vertices(), model.mean)
        assert torch.equal(model.albedo(), model.reflectance.mean)
        torch.testing.assert_close(model.vertices(torch.zeros(80), torch.zeros(52), torch.zeros(2, 2)), model.mean)

    def test_linear_and_independent(self, model):
        identity, expression = torch.randn(80), torch.rand(52)
        apart = model.vertices(identity) + model.vertices(None, expression) - model.mean
        torch.testing.assert_close(model.vertices(identity, expression), apart, atol=1e-3, rtol=0)

    def test_wrong_sizes_are_refused(self, model):
        with pytest.raises(PortraitError, match="identity: expected 80"):
            model.vertices(torch.zeros(79))
        with pytest.raises(PortraitError, match="reflectance: expected 80"):
            model.albedo(torch.zeros(3))
        with pytest.raises(PortraitError, match="gaze: expected shape"):
            model.vertices(gaze=torch.zeros(2))
        with pytest.raises(PortraitError, match="no landmarks of scheme 'ibug86' \\(it has ibug68, mediapipe478\\)"):
            model.landmarks(model.mean, "ibug86")

    def test_unknown_expression_suggests_the_nearest(self, model):
        assert model.expression_names[model.expression_index("jawOpen")] == "jawOpen"
        with pytest.raises(PortraitError, match="did you mean 'mouthSmileLeft'"):
            model.expression_index("mouthSmilleft")


def test_gradients_equal_finite_differences(model):
    model = facemodel.load().double()
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(68, 3, generator=generator, dtype=torch.float64)

    def value(identity, expression, gaze):
        vertices = model.vertices(identity, expression, gaze)
        normals = facemodel.vertex_normals(vertices, model.triangles)
        iris = model.landmarks(vertices, "mediapipe478")[468:].square().sum()
        return (model.landmarks(vertices) * weights).sum() + 10 * normals[:50].sum() + 1e-3 * iris

    at = [torch.randn(80, dtype=torch.float64), torch.rand(52, dtype=torch.float64), torch.full((2, 2), 0.1).double()]
    at = [a.requires_grad_() for a in at]
    slopes = torch.autograd.grad(value(*at), at)
    for k, (a, slope) in enumerate(zip(at, slopes)):
        direction = torch.randn(a.shape, generator=generator, dtype=torch.float64)
        moved = [[b + (s * 1e-5 * direction if j == k else 0) for j, b in enumerate(at)] for s in (1, -1)]
        numeric = (value(*moved[0]) - value(*moved[1])) / 2e-5
        torch.testing.assert_close((slope * direction).sum(), numeric, rtol=1e-5, atol=1e-5)


class TestGaze:
    def test_round_trip(self):
        gaze = torch.tensor([[[0.3, -0.2], [0.1, 0.4]], [[-0.5, 0.0], [0.0, -0.5]]])
        values = gaze_to_eye_look(gaze)
        assert len(values) == 8 and all(((v >= 0) & (v <= 1)).all() for v in values.values())
        torch.testing.assert_close(eye_look_to_gaze(values), gaze)

    def test_from_an_expression(self, model):
        expression = torch.zeros(len(model.expression_names))
        expression[[model.expression_index(name) for name in ("eyeLookOutLeft", "eyeLookInRight")]] = 1.0
        gaze = eye_look_to_gaze(expression, model.expression_names)
        assert gaze[0, 0] > 0.5 and gaze[1, 0] > 0.5, "both look to the subject's left"
        with pytest.raises(PortraitError, match="expected 52 coefficients"):
            eye_look_to_gaze(torch.zeros(3))
        with pytest.raises(PortraitError, match="eyeLook.* is missing"):
            eye_look_to_gaze({"eyeLookInLeft": torch.tensor(1.0)})

    def test_rotation_agrees_with_direction(self):
        gaze = torch.randn(5, 2)
        torch.testing.assert_close(gaze_rotation(gaze)[..., 2], gaze_direction(gaze))

    def test_slopes_of_the_rotation_are_autograd_s(self):
        gaze = torch.randn(4, 2, dtype=torch.float64)
        expected = torch.func.vmap(torch.func.jacrev(gaze_rotation))(gaze).movedim(-1, 1)
        torch.testing.assert_close(gaze_rotation_and_slopes(gaze)[..., 1:, :, :], expected)


class TestFile:
    def test_loads_quickly_and_knows_itself(self, model):
        assert model.fingerprint == "bc945b65d6b874f8", "tracks and weights carry it"
        assert facemodel.load().fingerprint == facemodel.load(DEFAULT_MODEL).fingerprint
        assert DEFAULT_MODEL.stat().st_size < 10e6

    def test_writing_is_deterministic(self, tmp_path):
        tensors, facts, fingerprint = read_model_file(DEFAULT_MODEL)
        facts = {k: v for k, v in facts.items() if k not in ("format", "version")}
        assert write_model_file(tmp_path / "a.safetensors", tensors, facts) == fingerprint
        assert (tmp_path / "a.safetensors").read_bytes() == DEFAULT_MODEL.read_bytes()

    def test_missing(self, tmp_path):
        with pytest.raises(PortraitError, match="neither a file nor a model that is known by name"):
            facemodel.load(tmp_path / "none.safetensors")

    @pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.9])
    def test_truncated(self, tmp_path, share):
        data = DEFAULT_MODEL.read_bytes()
        path = tmp_path / "short.safetensors"
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(PortraitError, match="short.safetensors.*(truncated|another kind)"):
            facemodel.load(path)

    def test_pickle_is_refused(self, tmp_path):
        path = tmp_path / "model.pt"
        torch.save({"mean": torch.zeros(3)}, path)
        with pytest.raises(PortraitError, match="never loaded"):
            facemodel.load(path)

    def test_other_files(self, tmp_path):
        path = tmp_path / "model.safetensors"
        path.write_text("some text that is no model at all, but long enough to have a header")
        with pytest.raises(PortraitError, match="another kind of file"):
            facemodel.load(path)
        header = json.dumps({"__metadata__": {"facts": json.dumps({"format": "else", "version": 7})}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        with pytest.raises(PortraitError, match="found 'else' version 7"):
            facemodel.load(path)

    def test_wrong_contents(self, tmp_path):
        tensors, facts, _ = read_model_file(DEFAULT_MODEL)
        facts = {k: v for k, v in facts.items() if k not in ("format", "version")}
        broken = {
            "'mean' is missing": {k: v for k, v in tensors.items() if k != "mean"},
            "'mean' has shape": tensors | {"mean": tensors["mean"][:, :2].contiguous()},
            "aren't finite": tensors | {"mean": tensors["mean"] * float("nan")},
            "isn't a table of indices": tensors | {"triangles": tensors["triangles"] + 5000},
            "isn't part of the format": tensors | {"extra": torch.zeros(1)},
        }
        for reason, contents in broken.items():
            with pytest.raises(PortraitError, match=reason):
                write_model_file(tmp_path / "x.safetensors", contents, facts)
        assert not list(tmp_path.iterdir())


def test_normals_point_outwards(model):
    normals = facemodel.vertex_normals(model.mean, model.triangles)
    torch.testing.assert_close(normals.norm(dim=-1), torch.ones(len(normals)), atol=1e-4, rtol=0)
    nose = model.landmarks(normals)[30]
    assert nose[2] > 0.5
    for eye, index in enumerate(model.eyes.vertices):
        outward = torch.nn.functional.normalize(model.mean[index] - model.eye_centers()[eye], dim=-1)
        assert (normals[index] * outward).sum(-1).min() > 0.9


def test_a_model_elsewhere_is_a_copy(model):
    assert model.on("cpu") is model
    there = model.on("meta")
    assert there.mean.device.type == there.region_masks.device.type == "meta" and model.mean.device.type == "cpu"
    assert (there.name, there.fingerprint, there.expression_names) == (
        model.name, model.fingerprint, model.expression_names
    )  # fmt: skip
