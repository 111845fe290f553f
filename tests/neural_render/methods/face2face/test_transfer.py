"""Deformation transfer against its closed form, on faces whose expressions are known."""

from __future__ import annotations

import pytest
import torch

from facemodel.editing.neutral import relative_expression
from neural_render.methods.face2face.transfer import DeformationTransfer, edges


def person(model, seed: int) -> torch.Tensor:
    return torch.randn(model.count("identity"), generator=torch.Generator().manual_seed(seed))


def expressions(model, count: int = 4, seed: int = 0) -> torch.Tensor:
    drawn = torch.rand(count, model.count("expression"), generator=torch.Generator().manual_seed(seed))
    return 0.6 * drawn * (drawn > 0.7)


@pytest.fixture
def same(model):
    """From a person to themselves."""
    who, rest = person(model, 1), torch.zeros(model.count("expression"))
    return DeformationTransfer.of(model, model.vertices(who, rest), who, rest)


def moving(model, transfer) -> torch.Tensor:
    """(E,) bool: the expressions that move those triangles, alone."""
    zero = torch.zeros(model.count("expression"))
    slopes = model.linearize(torch.zeros(model.count("identity")), zero, torch.zeros(0)).expression
    return edges(slopes, transfer.triangles).flatten(1).norm(dim=-1) > 20


def test_to_oneself_nothing_changes(model, same):
    wanted = expressions(model)
    found = same(model.vertices(person(model, 1), wanted))
    clear = moving(model, same)
    assert clear.sum() > 20
    torch.testing.assert_close(found[:, clear], wanted[:, clear], atol=0.02, rtol=0)


def test_a_larger_source_says_the_same(model):
    who, rest = person(model, 1), torch.zeros(model.count("expression"))
    transfer = DeformationTransfer.of(model, 1.3 * model.vertices(who, rest), who, rest)
    same = DeformationTransfer.of(model, model.vertices(who, rest), who, rest)
    shape = model.vertices(who, expressions(model))
    torch.testing.assert_close(transfer(1.3 * shape), same(shape), atol=1e-3, rtol=0)


def test_it_is_the_least_squares_solution(model):
    source, target, rest = person(model, 1), person(model, 2), torch.zeros(model.count("expression"))
    transfer = DeformationTransfer.of(model, model.vertices(source, rest), target, rest, damping=1e-9)
    deformed = model.vertices(source, expressions(model, 1)[0])
    wanted = (transfer.gradients(deformed) @ transfer.neutral - transfer.neutral).flatten().double()
    basis = edges(model.linearize(target, rest, torch.zeros(0)).expression, transfer.triangles).flatten(1).double()
    exact = torch.linalg.lstsq(basis.T, wanted[:, None], driver="gelsd").solution[:, 0]
    left = lambda solution: (basis.T @ solution - wanted).norm()  # noqa: E731
    assert left(transfer(deformed).double()) < 1.001 * left(exact)


def test_its_triangles_are_nearer_to_the_sources_than_copied_ones(model):
    """What it is for: beside relative copying, on pairs of different shape."""
    source, target, rest = person(model, 3), -person(model, 3), torch.zeros(model.count("expression"))
    transfer = DeformationTransfer.of(model, model.vertices(source, rest), target, rest)
    wanted = expressions(model, 6, seed=5)
    asked = transfer.gradients(model.vertices(source, wanted)) @ transfer.neutral
    error = lambda e: (edges(model.vertices(target, e), transfer.triangles) - asked).norm()  # noqa: E731
    assert error(transfer(model.vertices(source, wanted))) < 0.97 * error(
        relative_expression(wanted, rest, rest, model)
    )
