"""The gate at import: each thing that goes wrong is found, and guessed right."""

import dataclasses

import pytest
import torch

import facemodel
from benchmarks.model_files import make_head, write_bfm_front, write_gnm
from facemodel import gate
from facemodel.importing import import_model
from foundation.errors import PortraitError


@pytest.fixture
def model(tmp_path):
    return import_model(write_bfm_front(tmp_path, make_head()).path)


def failed(model) -> dict[str, gate.Check]:
    return {c.name: c for c in gate.inspect(model) if c.passed is False}


def test_the_default_model_and_a_made_up_one_pass(model):
    assert not failed(facemodel.load()) and not failed(model)
    assert all(c.passed for c in gate.inspect(facemodel.load()))


@pytest.mark.parametrize(
    ("factor", "guess"), [(1e-3, "metres"), (0.1, "centimetres"), (0.01, "tenths of a metre"), (1e3, "micrometres")]
)
def test_another_unit(model, factor, guess):
    for name in ("mean", "identity_basis", "expression_basis"):
        getattr(model, name).mul_(factor)
    found = failed(model)
    assert guess in found["size"].guess and guess in found["distance of the eyes"].guess
    with pytest.raises(PortraitError, match=f"size: .*{guess} taken for millimetres.*--force"):
        gate.require(model, "m.mat")


def test_triangles_that_go_around_the_other_way(model):
    model.triangles.copy_(model.triangles[:, [0, 2, 1]])
    assert failed(model)["surface"].guess == "its triangles go around the other way"


def test_triangles_of_another_mesh(model):
    generator = torch.Generator().manual_seed(1)
    model.triangles.copy_(torch.randint(0, len(model.mean), model.triangles.shape, generator=generator))
    assert "surface" in failed(model)


@pytest.mark.parametrize("block", ["identity", "expression"])
def test_variances_for_standard_deviations(model, block):
    basis = getattr(model, f"{block}_basis")
    sizes = basis.flatten(1).norm(dim=1)
    basis.mul_(sizes[:, None, None])
    assert "variances" in failed(model)[f"{block} components"].guess


def test_a_basis_without_standard_deviations(model):
    basis = model.identity_basis
    basis.div_(basis.flatten(1).norm(dim=1)[:, None, None])
    assert "standard deviations are missing" in failed(model)["identity components"].guess


@pytest.mark.parametrize(("axes", "what"), [((0, 2, 1), "above|behind"), ((2, 1, 0), "swapped|behind")])
def test_axes(model, axes, what):
    model.mean.copy_(model.mean[:, list(axes)])
    check = failed(model)["axes"]
    assert any(w in check.found for w in what.split("|"))


def test_left_and_right_swapped(model):
    model.mean[:, 0].neg_()
    assert "left and right" in failed(model)["axes"].found


def test_nan(model):
    model.mean[3, 1] = float("nan")
    assert "numbers" in failed(model)
    with pytest.raises(PortraitError, match="aren't finite"):
        gate.require(model, "m.mat")


def test_eyeballs_are_asked_before_landmarks(tmp_path):
    model = import_model(write_gnm(tmp_path, make_head()).path)
    places = gate.eye_places(model)
    torch.testing.assert_close(places, model.eye_centers())


def test_what_can_t_be_checked_says_so(model):
    model._schemes = ()
    checks = {c.name: c for c in gate.inspect(model)}
    assert checks["distance of the eyes"].passed is None and "not checked" in checks["axes"].found


def test_limits_are_a_policy(model):
    strict = dataclasses.replace(gate.LIMITS, height=(300.0, 400.0))
    with pytest.raises(PortraitError, match="expected 300 to 400 mm"):
        gate.require(model, "m.mat", strict)
