import numpy as np
import pytest
import torch

from facemodel import PortraitError, build_tucker


def tensor_of_rank(ranks=(3, 4, 6), shape=(8, 10, 40), seed=0):
    """(identities, expressions, V, 3) with exactly these multilinear ranks."""
    random = np.random.default_rng(seed)
    core = random.normal(size=ranks)
    factors = [random.normal(size=(n, r)) for n, r in zip((shape[0], shape[1], 3 * shape[2]), ranks)]
    flat = np.einsum("ijk,ai,bj,ck->abc", core, *factors)
    return torch.from_numpy(flat.reshape(*shape, 3))


def reference(tensor, ranks):
    """The N-mode SVD by eigenvectors of each unfolding's Gram matrix, in plain numpy."""
    flat = tensor.numpy().reshape(*tensor.shape[:2], -1)
    factors = []
    for mode, rank in enumerate(ranks):
        unfolded = np.moveaxis(flat, mode, 0).reshape(flat.shape[mode], -1)
        values, vectors = np.linalg.eigh(unfolded @ unfolded.T)
        factors.append(vectors[:, np.argsort(-values)[:rank]])
    core = np.einsum("abc,ai,bj,ck->ijk", flat, *factors)
    return np.einsum("ijk,ai,bj,ck->abc", core, *factors).reshape(tensor.shape)


def test_known_rank_is_found_and_reproduced():
    tensor = tensor_of_rank()
    model = build_tucker(tensor)
    assert model.ranks == (3, 4, 6)
    assert torch.allclose(model.reconstruct(), tensor, atol=1e-9)
    for factor in (model.identity_factor, model.expression_factor, model.vertex_factor):
        assert torch.allclose(factor.T @ factor, torch.eye(factor.shape[1], dtype=factor.dtype), atol=1e-9)


def test_core_is_all_orthogonal_with_falling_energy():
    core = build_tucker(tensor_of_rank()).core
    for mode in range(3):
        unfolded = core.movedim(mode, 0).flatten(1)
        gram = unfolded @ unfolded.T
        assert torch.allclose(gram, torch.diag(gram.diagonal()), atol=1e-7 * float(gram.max()))
        assert (gram.diagonal().diff() <= 1e-9).all()


@pytest.mark.parametrize("ranks", [(2, 4, 6), (3, 2, 5), (1, 1, 1)])
def test_truncation_agrees_with_a_reference(ranks):
    tensor = tensor_of_rank()
    expected = torch.from_numpy(reference(tensor, ranks))
    assert torch.allclose(build_tucker(tensor).truncate(ranks).reconstruct(), expected, atol=1e-8)
    assert torch.allclose(build_tucker(tensor, ranks).reconstruct(), expected, atol=1e-8)


def test_evaluation_is_the_tensor_and_linear_between():
    tensor = tensor_of_rank()
    model = build_tucker(tensor)
    eye = torch.eye(8, dtype=tensor.dtype), torch.eye(10, dtype=tensor.dtype)
    assert torch.allclose(model.evaluate(eye[0][2], eye[1][7]), tensor[2, 7], atol=1e-9)
    all_faces = model.evaluate(eye[0][:, None], eye[1])
    assert torch.allclose(all_faces, tensor, atol=1e-9)
    blend = 0.3 * eye[0][1] + 0.7 * eye[0][5]
    assert torch.allclose(model.evaluate(blend, eye[1][0]), 0.3 * tensor[1, 0] + 0.7 * tensor[5, 0], atol=1e-9)


@pytest.mark.parametrize("neutral", [0, 3])
def test_collapse_is_the_linear_model_of_that_identity(neutral):
    model = build_tucker(tensor_of_rank())
    random = torch.Generator().manual_seed(1)
    identity = torch.rand(8, generator=random, dtype=torch.float64)
    mean, basis = model.collapse(identity, neutral)
    assert mean.shape == (40, 3) and basis.shape == (9, 40, 3)
    weights = 0.1 * torch.rand(9, generator=random, dtype=torch.float64)
    full = torch.cat([weights[:neutral], 1 - weights.sum()[None], weights[neutral:]])
    linear = mean + torch.einsum("e,evc->vc", weights, basis)
    assert torch.allclose(linear, model.evaluate(identity, full), atol=1e-9)


def test_clear_errors():
    tensor = tensor_of_rank()
    model = build_tucker(tensor)
    with pytest.raises(PortraitError, match="expected shape"):
        build_tucker(tensor[0])
    with pytest.raises(PortraitError, match="finite"):
        build_tucker(tensor.index_fill(0, torch.tensor([1]), float("nan")))
    with pytest.raises(PortraitError, match="rank of expression: expected 1 to 4, got 5"):
        model.truncate((3, 5, 6))
    with pytest.raises(PortraitError, match="identity: expected shape"):
        model.evaluate(torch.ones(3), torch.ones(10))
    with pytest.raises(PortraitError, match="neutral expression"):
        model.collapse(torch.ones(8, dtype=torch.float64), 10)
