"""Cutting a surface open, pushing a part of it in, adding a part."""

import numpy as np
import pytest
import torch
from scipy import sparse

import facemodel
from benchmarks.model_files import make_head, write_facewarehouse, write_flame
from facemodel.base import UVAtlas
from facemodel.bridge.carrying import with_expressions
from facemodel.bridge.expressions import gradient, stretches
from facemodel.bridge.eyes import free_square
from facemodel.bridge.meshes import Part, inside_by, pushed_in, remeshed, with_part
from facemodel.formats.default import write_model
from facemodel.importing import import_model
from facemodel.linear import LinearModel


def plate(side: int = 9) -> LinearModel:
    """A square of 8 x 8 in the plane z = 0, with texture coordinates and a landmark in its middle."""
    grid = torch.arange(side, dtype=torch.float32)
    x, y = torch.meshgrid(grid, grid, indexing="xy")
    mean = torch.stack([x, y, 0 * x], -1).reshape(-1, 3)
    a = (torch.arange(side - 1)[:, None] * side + torch.arange(side - 1)).flatten()
    triangles = torch.cat([torch.stack([a, a + 1, a + side + 1], 1), torch.stack([a, a + side + 1, a + side], 1)])
    tensors = {
        "mean": mean, "triangles": triangles, "identity_basis": mean[None].clone(),
        "expression_basis": mean[None] * torch.tensor([0, 0, 1.0]), "uv": mean[:, :2] / 8, "uv_triangles": triangles,
        "landmark_triangles_ibug68": torch.zeros(68, dtype=torch.int64),
        "landmark_barycentric_ibug68": torch.full((68, 3), 1 / 3), "landmark_weights_ibug68": torch.ones(68),
    }  # fmt: skip
    block = facemodel.Block.activations(("up",))
    return LinearModel(tensors, name="plate", fingerprint="0", expression=block)


def area(vertices: torch.Tensor, triangles: torch.Tensor) -> float:
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return float(torch.linalg.cross(b - a, c - a)[:, 2].sum() / 2)


def test_inside_by_is_the_distance_to_the_edge():
    square = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])
    points = np.array([[1.0, 2], [2, 2], [5, 2], [7, 8], [3.5, 3]])
    assert np.allclose(inside_by(points, square), [1, 2, -1, -5, 0.5])


def test_what_is_inside_is_pushed_in_and_the_rest_stays():
    model = plate()
    polygon = np.array([[2.3, 2.4], [5.6, 2.7], [5.2, 5.7], [2.6, 5.4]])
    near = np.ones(len(model.triangles), dtype=bool)
    new, pocket = pushed_in(model, polygon, near, lambda points: np.full(len(points), -3.0))
    made = remeshed(model, new)
    assert torch.equal(made.mean[: len(model.mean)], model.mean)
    flat = made.mean * torch.tensor([1.0, 1, 0])
    assert np.isclose(area(flat, made.triangles), 64, atol=1e-4)
    pushed = torch.from_numpy(pocket)
    assert 0 < pushed.sum() < len(pocket) and (made.mean[pushed, 2] == -3).all() and (made.mean[~pushed, 2] == 0).all()
    inside = inside_by(made.mean[pushed][:, :2].double().numpy(), polygon)
    assert (inside > 0).all()
    # What is left of the plate has a hole as large as the polygon, but for its corners.
    outer = made.triangles[~pushed[made.triangles].any(1)]
    shoelace = 0.5 * abs(np.cross(polygon, np.roll(polygon, -1, 0)).sum())
    assert 64 - shoelace - 1.5 < area(flat, outer) < 64 - shoelace + 6
    # New vertices move as what they are made of, and keep their places in the texture.
    assert torch.allclose(made.identity_basis[0, :, :2], made.mean[:, :2], atol=1e-5)
    corners = made.uv[made.uv_triangles] * 8
    assert torch.allclose(corners, made.mean[made.triangles][..., :2], atol=1e-4)


def test_gradients_of_linear_fields_are_exact():
    rng = np.random.default_rng(0)
    vertices, triangles = rng.normal(size=(12, 3)), np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]])
    slope = np.array([1.0, -2.0, 0.5])
    operator, areas = gradient(vertices, triangles)
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    assert np.allclose(areas, np.linalg.norm(normal, axis=1) / 2)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    found = (operator @ (vertices @ slope)).reshape(-1, 3)
    assert np.allclose(found, slope - (normal @ slope)[:, None] * normal)


def test_a_turned_model_is_stretched_by_its_turn():
    default = facemodel.load()
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    mean = default.mean.double().numpy()
    found = stretches(default, (mean @ turn.T - mean)[None])[0]
    assert np.allclose(found[::50], (turn - np.eye(3)).T, atol=1e-5)


@pytest.mark.parametrize("write", [write_facewarehouse, write_flame], ids=["bilinear", "jointed"])
def test_models_of_every_kind_take_a_part_and_more_expressions(write, tmp_path):
    written = write(tmp_path, make_head())
    before = import_model(written.path, written.extras, force=True)
    count, people = len(before.mean), before.count("identity")
    corners = torch.tensor([[0.0, 0, 90], [9, 0, 90], [0, 9, 90]])
    moves = torch.full((people, 3, 3), 0.5)
    more = {"uv": torch.zeros(1, 3, 2)} if before.atlas is not None else {}
    made, added = with_part(before, Part(corners, moves, torch.tensor([[0, 1, 2]]), **more))
    assert added.tolist() == [count, count + 1, count + 2]
    lift = torch.zeros(1, count + 3, 3)
    lift[0, :5, 1] = 2.0
    made = with_expressions(made, facemodel.Block.activations(("jawOpen",)), ["jawOpen"], lift)
    generator = torch.Generator().manual_seed(0)
    identity = torch.randn(people, generator=generator)
    expression = 0.3 * torch.rand(before.count("expression"), generator=generator)
    whole = torch.cat([expression, torch.tensor([0.5])])
    there, then = made.vertices(identity, whole), before.vertices(identity, expression)
    moved = torch.zeros(count, 3)
    moved[:5, 1] = 1.0
    assert torch.allclose(there[:count], then + moved, atol=1e-3)
    assert torch.allclose(there[count:], corners + 0.5 * identity.sum(), atol=1e-3)
    state = identity, whole, made.mean.new_zeros(made.count("joints"))
    exact, closed = super(LinearModel, made).linearize(*state), made.linearize(*state)
    for name in ("vertices", "identity", "expression"):
        assert torch.allclose(getattr(exact, name), getattr(closed, name), atol=2e-3), name
    rows = sparse.csr_matrix(np.random.default_rng(0).normal(size=(4, count + 3)))
    seen = made.combinations(rows)
    assert torch.allclose(seen.positions(*state).double(), torch.from_numpy(rows @ there.double().numpy()), atol=1e-2)
    wanted = torch.from_numpy(np.einsum("nv,kvc->nck", rows.toarray(), exact.expression.double().numpy()))
    assert torch.allclose(seen.by_motion(*state)[..., : len(whole)].double(), wanted, atol=1e-2)
    wanted = torch.from_numpy(np.einsum("nv,kvc->nck", rows.toarray(), exact.identity.double().numpy()))
    assert torch.allclose(seen.by_identity(*state).double(), wanted, atol=1e-2)
    write_model(tmp_path / "again.model", made)
    assert torch.allclose(facemodel.load(tmp_path / "again.model").vertices(identity, whole), there, atol=1e-3)


def test_the_free_square_of_an_atlas_is_the_largest():
    coordinates = torch.tensor([[0.0, 0.0], [0.4, 0.0], [0.4, 0.9], [0.9, 0.2]])
    left, bottom, side = free_square(UVAtlas(coordinates, torch.tensor([[0, 1, 2]]), False))
    assert left >= 0.4 and side == pytest.approx(1 - left) and side > 0.55 and bottom + side <= 1
    full = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert free_square(UVAtlas(full, torch.tensor([[0, 1, 2], [0, 2, 3]]), False))[2] == 0
