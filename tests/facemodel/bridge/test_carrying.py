"""What is carried over to a head without eyes, expressions, colours, regions or an atlas, by what correspondence."""

import numpy as np
import pytest
import torch

import facemodel
from facemodel.arkit import ARKIT_NAMES
from facemodel.bridge.carrying import carry_over
from facemodel.bridge.lids import close_lids
from facemodel.bridge.surface import Surface
from facemodel.editing.contact import Contacts
from facemodel.formats.default import write_model
from facemodel.track import FrameStatus, Track
from tests.facemodel.bridge.heads import assert_found, other_head

SCALE = 0.94


@pytest.fixture(scope="module")
def heads():
    """The head before, after, and where the default's vertices are in it."""
    model, truth = other_head(scale=SCALE)
    return model, carry_over(facemodel.load(), model), truth


def test_the_face_is_where_it_is_known_to_be(heads):
    """To 0.6 mm, both ways, and the surfaces touch."""
    before, model, truth = heads
    default, found = facemodel.load(), model.correspondence
    assert_found(found, model, truth, 0.6)
    surface = Surface(before.mean.double().numpy(), before.triangles.numpy())
    skin = (default.region("face") & ~default.region("eyelids")).numpy()
    assert np.median(surface.nearest(found.registered.double().numpy()[skin]).distance) < 0.2


def test_its_own_is_left_as_it_is(heads):
    before, after, _ = heads
    count = len(before.mean)
    assert torch.equal(after.mean[:count], before.mean)
    assert torch.equal(after.identity_basis[: after.own_identities, :count], before.identity_basis)
    assert after.provenance.own_vertices == count and after.provenance.own_expressions == 0
    assert after.own_identities == len(before.identity_basis)


def test_it_has_everything_and_says_whose_it_is(heads, tmp_path):
    _, model, _ = heads
    assert model.capabilities == {"arkit", "atlas", "symmetric atlas", "eyes", "reflectance", "regions"}
    assert {"eyes", "reflectance", "atlas", "region lips", "jawOpen"} <= set(model.provenance.carried)
    assert set(model.arkit) == set(ARKIT_NAMES) - {"tongueOut"} and set(model.embeddings) == {"ibug68", "mediapipe478"}
    write_model(tmp_path / "x.model", model)
    again = facemodel.load(tmp_path / "x.model")
    assert again.provenance == model.provenance and torch.equal(again.expression_basis, model.expression_basis)
    assert again.correspondence.fingerprint == facemodel.load().fingerprint
    for name, value in model.correspondence.tensors().items():
        assert torch.equal(value, again.correspondence.tensors()[name])


def test_expressions_are_the_default_s_on_its_face(heads):
    _, model, _ = heads
    default = facemodel.load()
    count = model.provenance.own_vertices
    told = SCALE * model.correspondence.on_default.pick(default.expression_basis, default.triangles)[:, :count]
    face = model.region("face")[:count] & ~model.region("eyelids")[:count]
    for name in ("jawOpen", "mouthSmileLeft", "browInnerUp", "mouthPucker", "cheekPuff"):
        a, b = model.expression_basis[model.arkit[name], :count][face], told[default.expression_index(name)][face]
        cosine = float((a * b).sum() / a.norm() / b.norm())
        assert cosine > 0.95 and 0.85 < float(a.norm() / b.norm()) < 1.15, name


def test_regions_colours_and_atlas_are_where_they_belong(heads):
    _, model, truth = heads
    default = facemodel.load()
    lips = truth[default.region("lips")].mean(0)
    assert (model.mean[model.region("lips")].mean(0) - lips).norm() < 2
    assert (model.albedo()[model.region("lips"), 0] / model.albedo()[model.region("lips"), 1]).median() > 1.8
    atlas = model.atlas
    assert float(atlas.coordinates.min()) >= 0 and float(atlas.coordinates.max()) <= 1
    nose = model.landmarks(model.mean, "ibug68")[30]
    corners = model.mean[model.triangles]
    nearest = (corners.mean(1) - nose).norm(dim=-1).argmin()
    assert abs(float(atlas.coordinates[atlas.triangles[nearest], 0].mean()) - 0.5) < 0.02
    left = corners[:, :, 0].mean(1) > model.mean[:, 0].median() + 15
    skin = model.region("skin")[model.triangles].all(1)
    there = atlas.coordinates[atlas.triangles[left & skin], 0]
    assert ((there > 0.5).float().mean() - 0.5).abs() > 0.45  # all on one side


def test_eyes_are_in_their_openings_and_lids_close_over_them(heads):
    _, model, truth = heads
    default = facemodel.load()
    ahead = (default.mean[default.eyes.vertices[0]].mean(0) - default.eye_centers()[0])[2]  # of a ball's vertices
    balls = torch.stack([truth[index].mean(0) for index in default.eyes.vertices])
    balls[:, 2] -= SCALE * ahead
    assert (model.eye_centers() - balls).norm(dim=-1).max() < 2
    assert (model.eye_radius() / 12 - SCALE).abs().max() < 0.1
    contacts = Contacts.of(model, torch.zeros(model.count("identity")))
    shut = torch.zeros(1, model.count("expression"))
    shut[0, [model.arkit["eyeBlinkLeft"], model.arkit["eyeBlinkRight"]]] = 1
    openings = [contacts.opening(e, e[:, :0])[0, :2] for e in (0 * shut, shut)]
    assert (openings[0] > 5).all() and (openings[1] < 1.5).all()
    turned = model.vertices(None, None, torch.full((2, 2), 0.4))
    for index, center, radius in zip(model.eyes.vertices, model.eye_centers(), model.eye_radius()):
        assert ((turned[index] - center).norm(dim=-1) / radius).median() == pytest.approx(1, abs=0.05)
        assert (turned[index] - model.mean[index]).norm(dim=-1).max() > 3


def test_a_blink_that_came_far_too_short_is_lengthened(heads):
    _, model, _ = heads
    k, tensors = model.arkit["eyeBlinkLeft"], model.flatten()
    short = 0.3 * model.expression_basis[k]
    tensors["expression_basis"] = tensors["expression_basis"].clone()
    tensors["expression_basis"][k] = close_lids(facemodel.load(), model, model.correspondence, 0, short)
    again = model.rebuilt(tensors)
    shut = torch.zeros(1, model.count("expression"))
    shut[0, k] = 1
    contacts = Contacts.of(again, torch.zeros(model.count("identity")))
    assert contacts.opening(shut, shut[:, :0])[0, 0] < 1.5


def test_a_track_of_it_is_edited_by_arkit_s_names(heads):
    _, model, _ = heads
    neutral = facemodel.FaceParameters.neutral(model, (3,), focal=900.0, distance=700.0)
    status = torch.full((3,), int(FrameStatus.TRACKED))
    track = Track(model.name, model.fingerprint, 640, 480, neutral, torch.arange(3) / 25, status, torch.ones(3))
    wide = facemodel.edit(track, model, set={"jawOpen": 0.6}, gaze=(0.2, 0.0))
    assert wide.parameters.expression[0, model.arkit["jawOpen"]] == pytest.approx(0.6)
    marks = [model.landmarks(model.vertices(None, p.parameters.expression[0]), "ibug68") for p in (track, wide)]
    gaps = [float(m[62, 1] - m[66, 1]) for m in marks]
    assert gaps[1] - gaps[0] > 8
