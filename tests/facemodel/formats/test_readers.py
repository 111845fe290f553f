"""Every format, on a file in its exact form, against its authors' formula in numpy."""

import json

import numpy as np
import pytest
import torch

import facemodel
from benchmarks.model_files import WRITERS, Written, make_head, write_gnm, write_obj
from benchmarks.models import coefficients, vertex_error
from facemodel import gate
from facemodel.formats.default import write_model
from facemodel.importing import import_model
from facemodel.registry import FORMATS, find_format
from foundation.errors import PortraitError

FORMAT_OF = {
    "FLAME, chumpy": "flame", "FLAME, open": "flame", "GNM": "gnm", "BFM 2009": "bfm2009",
    "BFM 2009 front": "bfm-front",
    "face3d": "face3d", "3DDFA": "3ddfa", "3DDFA V2": "3ddfa", "statismo 0.9": "statismo", "statismo 0.8": "statismo",
    "eos version 1": "sfm", "eos version 4": "sfm", "LSFM": "lsfm", "LYHM": "lyhm", "FaceWarehouse": "facewarehouse",
    "FaceScape 1.6": "facescape", "FaceScape 1.0": "facescape",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Written]:
    head = make_head()
    return {name: write(tmp_path_factory.mktemp("form"), head) for name, write in WRITERS.items()}


@pytest.fixture(scope="module")
def models(written):
    return {name: import_model(w.path, w.extras) for name, w in written.items()}


@pytest.mark.parametrize("name", WRITERS)
class TestForm:
    def test_vertices_are_the_authors_own(self, name, written, models):
        assert vertex_error(models[name], written[name]) < 1e-3

    def test_counts(self, name, written, models):
        blocks = {k: len(b) for k, b in models[name].blocks.items() if k != "reflectance"}
        assert blocks == written[name].counts

    def test_triangles_are_the_same_and_outwards(self, name, written, models):
        ours, theirs = models[name].triangles.numpy(), written[name].triangles
        np.testing.assert_array_equal(np.sort(ours, 1), np.sort(theirs, 1))
        rolled = [np.roll(t, -int(np.argmin(t))) for t in theirs]
        assert all((np.roll(t, -int(np.argmin(t))) == r).all() for t, r in zip(ours, rolled))

    def test_the_format_is_found_by_content_alone(self, name, written, tmp_path):
        path = written[name].path
        other = tmp_path / "weights.bin"
        other.symlink_to(path)
        assert find_format(path) == find_format(other) == FORMAT_OF[name]
        assert [f for f in FORMATS if FORMATS[f].sniff(path)] == [FORMAT_OF[name]]

    def test_another_format_asked_for_says_what_it_is(self, name, written):
        asked = "gnm" if FORMAT_OF[name] != "gnm" else "flame"
        title = FORMATS[FORMAT_OF[name]].title.split(" (")[0]
        with pytest.raises(PortraitError, match=f"asked for as {asked}, but this is a model of {title}"):
            import_model(written[name].path, written[name].extras, format=asked)

    def test_kept_in_a_file_of_our_own(self, name, written, models, tmp_path):
        model = models[name]
        fingerprint = write_model(tmp_path / "x.model", model)
        again = facemodel.load(tmp_path / "x.model")
        assert type(again) is type(model) and again.fingerprint == fingerprint and again.provenance == model.provenance
        assert again.license == model.license and again.capabilities == model.capabilities
        for block, values in model.blocks.items():
            assert again.blocks[block].names == values.names
            for part in ("lower", "upper", "mean", "std"):
                assert torch.equal(getattr(again.blocks[block], part), getattr(values, part))
        for state in coefficients(model, 2, seed=3):
            assert torch.equal(again.vertices(**state), model.vertices(**state))

    def test_it_is_a_face(self, name, written, models):
        failed = [c for c in gate.inspect(models[name]) if c.passed is False]
        assert not failed

    def test_landmarks_are_where_they_were_put(self, name, written, models):
        model, head = models[name], make_head()
        if "ibug68" not in model.embeddings:
            pytest.skip("the form has no landmarks")
        weights = model.embedding("ibug68").weights
        marks = model.landmarks(model.mean)[weights > 0].numpy()
        there = model.mean.numpy()[head.marks][weights.numpy() > 0]
        np.testing.assert_allclose(marks, there, atol=1e-4)
        assert (weights > 0).sum() >= 8


def test_every_format_has_a_form_here_or_real_files():
    assert set(FORMATS) - {"default", "ict-facekit"} == set(FORMAT_OF.values())


def test_header_of_a_jointed_file_is_checked(models, tmp_path):
    path = tmp_path / "x.model"
    write_model(path, models["GNM"])
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    facts = json.loads(header["__metadata__"]["facts"])
    for change in (
        {"kind": "linear"},
        {"kind": "else"},
        {"joints": {}},
        {"skeleton": {**facts["skeleton"], "parents": [2, 1, 0, 0]}},
    ):
        header["__metadata__"]["facts"] = json.dumps(facts | change)
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
        with pytest.raises(PortraitError, match="garbled header"):
            facemodel.load(path)


def test_extra_files_that_don_t_belong(written, tmp_path):
    mesh = write_obj(tmp_path / "mesh.obj", make_head())
    with pytest.raises(
        PortraitError, match="a mesh without statistics.*a model of Large Scale Facial Model has no use"
    ):
        import_model(written["LSFM"].path, [mesh])
    with pytest.raises(PortraitError, match="extra file '.*none.npy': no such file"):
        import_model(written["LSFM"].path, [tmp_path / "none.npy"])


def spread(model) -> tuple[float, float]:
    """Area of the atlas that is covered, and its triangles' in sum: the same if nothing lies over anything."""
    corners = model.atlas.coordinates[model.atlas.triangles]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    total = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).abs().sum() / 2)
    steps = 40
    weights = torch.tensor([(i, j, steps - i - j) for i in range(1, steps) for j in range(1, steps - i)]) / steps
    points = torch.einsum("sk,tka->tsa", weights.to(corners), corners).reshape(-1, 2)
    side = 256
    return len(torch.unique((points * side).long() @ torch.tensor([side, 1]))) / side**2, total


def test_textures_that_lie_over_each_other_get_places_of_their_own(tmp_path):
    """GNM's regions share the unit square: here a head and two eyes, each over the whole of it."""
    head = make_head()
    path = write_gnm(tmp_path, head).path
    arrays = dict(np.load(path))
    flat = np.zeros((len(head.vertices), 2))
    for part in (np.arange(head.eyes[0][0]), *head.eyes):
        offset = head.vertices[part] - head.vertices[part].mean(0)
        flat[part] = 0.5 + 0.49 * offset[:, :2] / np.abs(offset[:, :2]).max()
    uv = flat[head.triangles]
    a, b, c = (head.vertices[head.triangles[:, k]] for k in range(3))
    uv[np.cross(b - a, c - a)[:, 2] <= 1e-9] = 0.5  # seen from the front alone
    arrays["triangle_uvs"] = uv
    np.savez(path, **arrays)
    model = import_model(path)
    covered, total = spread(model)
    assert covered == pytest.approx(total, rel=0.15)
    assert any("lie side by side" in n for n in model.provenance.notes)
    eye = model.region("eyes")[model.triangles].all(1)
    tops = model.atlas.coordinates[model.atlas.triangles[eye]].flatten(0, 1).amax(0)
    assert float(tops[1]) <= 0.2 + 1e-6


def test_tiles_beyond_1_come_into_the_atlas(tmp_path):
    head = make_head()
    path = write_gnm(tmp_path, head).path
    arrays = dict(np.load(path))
    arrays["triangle_uvs"] = arrays["triangle_uvs"] * 0.01 + np.array([3.0, 0.0])
    np.savez(path, **arrays)
    coordinates = import_model(path).atlas.coordinates
    assert float(coordinates.min()) >= 0 and float(coordinates.max()) <= 1


@pytest.mark.parametrize("count", [68, 468])
def test_landmarks_of_gnm_in_a_table(tmp_path, count):
    head = make_head()
    path = write_gnm(tmp_path, head).path
    rng = np.random.default_rng(1)
    triangles = head.triangles[rng.permutation(400)[:count] if count < 400 else np.arange(count)]
    shares = rng.dirichlet(np.ones(3), count)
    rows = [" ".join(f"{v} {s:.9f}" for v, s in zip(*row)) for row in zip(triangles, shares)]
    (tmp_path / "marks.txt").write_text("\n".join(rows) + "\n")
    model = import_model(path, [tmp_path / "marks.txt"], force=True)
    there = (head.vertices[triangles] * shares[..., None]).sum(1)
    marks = model.landmarks(model.mean, "ibug68" if count == 68 else "mediapipe478").numpy()
    if count == 68:  # along the jaw, from the subject's right to the left, whatever the table's order
        there[:17] = there[:17][np.argsort(there[:17, 0])]
    np.testing.assert_allclose(marks[:count], there, atol=1e-3)
    (tmp_path / "marks.txt").write_text("\n".join(r.replace(r.split()[0], "99999", 1) for r in rows))
    with pytest.raises(PortraitError, match="landmarks of another topology"):
        import_model(path, [tmp_path / "marks.txt"], force=True)
