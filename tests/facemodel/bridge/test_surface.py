import numpy as np

import facemodel
from facemodel.bridge.surface import Surface, boundary, laplacian


def test_nearest_points_are_no_further_than_any_sampled_point_of_the_surface():
    rng = np.random.default_rng(0)
    vertices, triangles = rng.normal(size=(30, 3)), rng.integers(0, 30, (20, 3))
    triangles = triangles[[len(set(t)) == 3 for t in triangles.tolist()]]
    points = 1.5 * rng.normal(size=(50, 3))
    found = Surface(vertices, triangles).nearest(points)
    assert np.allclose(found.barycentric.sum(1), 1) and found.barycentric.min() >= -1e-12
    at = (vertices[triangles[found.triangles]] * found.barycentric[..., None]).sum(1)
    assert np.allclose(at, found.positions) and np.allclose(np.linalg.norm(at - points, axis=1), found.distance)
    shares = rng.dirichlet(np.ones(3), 4000)
    sampled = np.einsum("sk,tkc->tsc", shares, vertices[triangles]).reshape(-1, 3)
    least = np.linalg.norm(sampled[None] - points[:, None], axis=-1).min(1)
    assert (found.distance <= least + 1e-9).all() and (found.distance >= least - 0.15).all()


def test_a_normal_that_is_asked_for_chooses_the_side_of_a_thin_wall():
    square = np.array([[0.0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 0]])
    vertices = np.concatenate([square, square + [0, 0, 1]])
    triangles = np.array([[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7]])  # the lower looks down, the upper up
    point, up = np.array([[4.0, 4.0, 0.1]]), np.array([[0.0, 0.0, 1.0]])
    assert Surface(vertices, triangles).nearest(point).positions[0, 2] == 0
    assert Surface(vertices, triangles).nearest(point, up).positions[0, 2] == 1
    assert Surface(vertices, triangles).nearest(point, -up).positions[0, 2] == 0


def test_edges_and_the_laplacian_of_a_strip():
    triangles = np.array([[0, 1, 2], [1, 3, 2], [0, 4, 1]])
    assert boundary(triangles, 6).tolist() == [True] * 5 + [False]
    smooth = laplacian(triangles, 6).toarray()
    assert np.allclose(smooth.sum(1), 0) and not smooth[5].any()
    assert np.allclose(smooth[4], [-0.5, -0.5, 0, 0, 1, 0])


def test_a_model_s_mean_lies_on_itself():
    model = facemodel.load()
    vertices, triangles = model.mean.double().numpy(), model.triangles.numpy()
    face = np.flatnonzero(model.region("face"))
    found = Surface(vertices, triangles).nearest(vertices[face])
    assert found.distance.max() < 0.5 and (found.distance > 1e-6).mean() < 0.01  # big triangles beside small ones
    assert (triangles[found.triangles, found.barycentric.argmax(1)] == face).mean() > 0.99
