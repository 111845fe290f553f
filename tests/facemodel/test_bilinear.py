"""Bilinear models: exact against the tensor, derivatives, and in standard deviations."""

import numpy as np
import pytest
import torch

from benchmarks.model_files import make_head, people_faces, write_facescape, write_facewarehouse
from facemodel.base import FaceModel
from facemodel.importing import import_model
from foundation.errors import PortraitError


@pytest.fixture(scope="module")
def head():
    return make_head(5, 6)


@pytest.fixture(scope="module", params=["facewarehouse", "facescape"])
def model(request, head, tmp_path_factory):
    write = write_facewarehouse if request.param == "facewarehouse" else write_facescape
    written = write(tmp_path_factory.mktemp("bilinear"), head)
    return import_model(written.path, written.extras, force=True).double()


def test_linearize_equals_automatic_derivatives(model):
    identity = torch.randn(model.count("identity"), dtype=torch.float64)
    expression = torch.rand(model.count("expression"), dtype=torch.float64)
    at = identity, expression, identity.new_zeros(0)
    ours, theirs = model.linearize(*at), FaceModel.linearize(model, *at)
    for part in ("vertices", "identity", "expression"):
        torch.testing.assert_close(getattr(ours, part), getattr(theirs, part), atol=1e-8, rtol=1e-8)


def test_expressions_depend_on_whose_face_it_is(model):
    expression = torch.zeros(model.count("expression"), dtype=torch.float64)
    expression[3] = 1
    identity = 2 * torch.ones(model.count("identity"), dtype=torch.float64)
    here = model.vertices(None, expression) - model.vertices()
    there = model.vertices(identity, expression) - model.vertices(identity)
    assert float((here - there).norm(dim=-1).max()) > 0.3


@pytest.mark.parametrize("batch", [(2,), (3, 1, 2)])
def test_leading_dimensions(model, batch):
    identity = torch.randn(*batch, model.count("identity"), dtype=torch.float64)
    expression = torch.rand(model.count("expression"), dtype=torch.float64)
    assert model.vertices(identity, expression).shape == (*batch, len(model.mean), 3)


def test_the_people_themselves_are_in_the_space(head, tmp_path):
    """Every person of FaceWarehouse is reached, with all of its expressions, by coefficients of std about 1."""
    written = write_facewarehouse(tmp_path, head)
    model = import_model(written.path, written.extras, force=True).double()
    faces = torch.tensor(people_faces(head, 12, 47), dtype=torch.float64)
    basis = model.identity_basis.flatten(1).T
    wide = torch.stack([model.linearize(*zero(model, e)).identity.flatten(1).T for e in range(46)])
    matrix = torch.cat([basis, *wide])
    rest = torch.cat([model.mean.flatten(), *(model.vertices(None, one(46, e)).flatten() for e in range(46))])
    coefficients = []
    for person in faces:
        found = torch.linalg.lstsq(matrix, person.flatten() - rest).solution
        coefficients.append(found)
        again = torch.stack([model.vertices(found, one(46, e)) for e in range(46)])
        torch.testing.assert_close(again, person[1:], atol=2e-3, rtol=0)
    spread = torch.stack(coefficients)
    torch.testing.assert_close(spread.std(0), torch.ones(11, dtype=torch.float64), atol=1e-3, rtol=0)
    torch.testing.assert_close(spread.mean(0), torch.zeros(11, dtype=torch.float64), atol=1e-3, rtol=0)


def one(count, k):
    return torch.eye(count, dtype=torch.float64)[k]


def zero(model, e):
    return torch.zeros(model.count("identity"), dtype=torch.float64), one(46, e), torch.zeros(0, dtype=torch.float64)


def test_wrong_sizes_are_refused(model):
    with pytest.raises(PortraitError, match="identity: expected"):
        model.vertices(torch.zeros(3, dtype=torch.float64))
    with pytest.raises(PortraitError, match="expression: expected"):
        model.vertices(None, torch.zeros(3, dtype=torch.float64))


def test_expressions_go_from_0_to_1(model):
    block = model.blocks["expression"]
    assert float(block.lower.min()) == 0 and float(block.upper.max()) == 1
    assert np.isclose(float(block.mean.abs().max()), 0)
