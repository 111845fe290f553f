import numpy as np
import pytest
import torch

from facemodel import PortraitError
from facemodel.multilinear import build_tucker


def tensor_of_rank(ranks=(3, 4, 6), shape=(8, 10, 40), seed=0):
    """(identities, expressions, V, 3) with exactly these multilinear ranks."""
    random = np.random.default_rng(seed)
    core = random.normal(size=ranks)
    factors = [random.normal(size=(n, r)) for n, r in zip((shape[0], shape[1], 3 * shape[2]), ranks)]
    flat = np.einsum("ijk,ai,bj,ck->abc", core, *factors)
    return torch.from_numpy(flat.reshape(*shape, 3))


def product(model):
    """The tensor that a model stands for."""
    factors = model.core, model.identity_factor, model.expression_factor, model.vertex_factor
    return torch.einsum("ijk,ai,bj,ck->abc", *factors).unflatten(-1, (-1, 3))


def reference(tensor, ranks):
    """The N-mode SVD by eigenvectors of each unfolding's Gram matrix, in plain numpy."""
    flat = tensor.numpy().reshape(*tensor.shape[:2], -1)
    factors = []
    for mode, rank in enumerate(ranks):
        unfolded = np.moveaxis(flat, mode, 0).reshape(flat.shape[mode], -1)
        values, vectors = np.linalg.eigh(unfolded @ unfolded.T)
        factors.append(vectors[:, np.argsort(-values)[:rank]])
    core = np.einsum("abc,ai,bj,ck->ijk", flat, *factors)
    return torch.from_numpy(np.einsum("ijk,ai,bj,ck->abc", core, *factors).reshape(tensor.shape))


def test_known_rank_is_found_and_reproduced():
    tensor = tensor_of_rank()
    model = build_tucker(tensor)
    assert model.core.shape == (3, 4, 6)
    assert torch.allclose(product(model), tensor, atol=1e-9)
    for factor in (model.identity_factor, model.expression_factor, model.vertex_factor):
        assert torch.allclose(factor.T @ factor, torch.eye(factor.shape[1], dtype=factor.dtype), atol=1e-9)


def test_core_is_all_orthogonal_with_falling_energy():
    core = build_tucker(tensor_of_rank()).core
    for mode in range(3):
        unfolded = core.movedim(mode, 0).flatten(1)
        gram = unfolded @ unfolded.T
        assert torch.allclose(gram, torch.diag(gram.diagonal()), atol=1e-7 * float(gram.max()))
        assert (gram.diagonal().diff() <= 1e-9).all()


def test_a_coarser_tolerance_keeps_what_a_reference_keeps():
    tensor = tensor_of_rank()
    model = build_tucker(tensor, tolerance=0.6)
    assert all(1 <= kept < rank for kept, rank in zip(model.core.shape[1:], (4, 6)))
    assert torch.allclose(product(model), reference(tensor, model.core.shape), atol=1e-8)


def test_clear_errors():
    tensor = tensor_of_rank()
    with pytest.raises(PortraitError, match="expected shape"):
        build_tucker(tensor[0])
    with pytest.raises(PortraitError, match="finite"):
        build_tucker(tensor.index_fill(0, torch.tensor([1]), float("nan")))
