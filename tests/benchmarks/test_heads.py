"""The score on other people's heads: alignment, distances, and the command on heads whose geometry is known."""

import json
import sys

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from benchmarks import heads
from benchmarks.heads import INNER, Person, closest_points, distances, summary
from benchmarks.heads_neutral import Expressions, in_order
from benchmarks.heads_pictures import GAP, PIXEL, colours, error_map
from foundation.errors import PortraitError

OPTIONS = ("--quality", "fast", "--chosen-on", "0", "0")


@pytest.fixture(scope="module")
def head(model):
    """Vertices, triangles, 51 inner landmarks, and 3,000 points on the face with their normals; mm."""
    vertices, triangles = model.mean.double().numpy(), model.triangles.numpy()
    face = model.regions["face"].numpy()
    g = np.random.default_rng(0)
    chosen = g.choice(np.flatnonzero(face[triangles].all(1)), 3000)
    corners = vertices[triangles[chosen]]
    points = (g.dirichlet((1, 1, 1), 3000)[..., None] * corners).sum(1)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inner = model.landmarks(model.mean, "ibug68").double().numpy()[INNER]
    return vertices, triangles, inner, points, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def test_closest_points_against_a_dense_cloud(head):
    """Nothing of the mesh is nearer than the points that are found, and they are on it."""
    vertices, triangles, _, points, normals = head
    g = np.random.default_rng(1)
    asked = points[:300] + g.uniform(-4, 4, (300, 1)) * normals[:300]
    on, normal = closest_points(asked, vertices, triangles)
    grid = np.array([(i, j, 12 - i - j) for i in range(13) for j in range(13 - i)]) / 12
    cloud = np.einsum("ck,tkx->tcx", grid, vertices[triangles]).reshape(-1, 3)
    found = np.linalg.norm(asked - on, axis=1)
    nearest, _ = cKDTree(cloud).query(asked)
    assert (found <= nearest + 1e-9).all()
    assert (nearest - found).max() < 0.6  # half of the cloud's widest gap
    assert cKDTree(cloud).query(on)[0].max() < 0.6
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1)


def test_size_place_and_a_tenth_of_outliers_do_not_count(head):
    vertices, triangles, inner, points, normals = head
    g = np.random.default_rng(2)
    turn, size, shift = Rotation.from_rotvec([0.2, 2.0, -0.4]).as_matrix(), 1.3, np.array([30.0, -5, 400])
    scan = points.copy()
    off = g.random(len(points)) < 0.07
    scan[off] += 6 * normals[off]
    marks = np.zeros((68, 3))
    marks[INNER] = inner + g.normal(0, 1.5, inner.shape)  # two people's landmarks aren't at the same places
    truth = {name: size * x @ turn.T + shift for name, x in (("scan", scan), ("landmarks", marks))}
    found = distances(vertices, triangles, inner, truth)
    assert found[~off].max() < 0.02
    assert np.median(found[off]) == pytest.approx(6 * size, rel=0.02)


def test_summary_pools_the_points_of_all_heads():
    people = [
        Person([], [np.full(10, 1.0)], [np.full(10, 4.0)]),
        Person([], [np.full(30, 2.0)], [np.full(30, 2.0)]),
    ]
    line = summary({kind: people for kind in ("single", "views")})
    assert line["single_fitted_median"] == line["views_fitted_median"] == line["single_mean_median"] == 2
    assert (line["single_fitted_90"], line["views_mean_90"]) == (2, 4)
    assert line["single_ratio"] == line["views_ratio"] == line["single_worst"] == 1
    assert line["single_ratio_interval"] == [0.25, 1], "both people drawn alike at either end"


def test_errors_are_drawn_where_they_are():
    """A square of 40 mm that is off by 4 mm in its upper right quarter."""
    x, y = (c.ravel() for c in np.meshgrid(np.arange(41.0), np.arange(41.0)))
    picture = error_map(np.stack([x, y, 0 * x], -1), np.where((x > 20) & (y > 20), 4.0, 0.0))
    at = lambda px, py: picture[int((40 - py + GAP) / PIXEL), int((px + GAP) / PIXEL)]  # noqa: E731
    none, far = colours(np.array([[0.0, 9.0]]))[0]
    assert (at(30, 30) == far).all() and (at(10, 30) == none).all() and (at(30, 10) == none).all()
    assert none[2] > none[0] and far[0] > far[2]
    assert (picture[0, 0] == 255).all(), "beyond the scan's corner"


def test_the_command_on_heads_drawn_from_the_model(model, scene, tmp_path, monkeypatch, capsys):
    """Two views of one person, and one of them alone; the truth is the model's own shape with that expression."""
    face = model.regions["face"]
    for k in range(2):
        p = scene.truth[k]
        vertices = model.vertices(p.identity, p.expression)
        marks = model.landmarks(vertices, "ibug68")
        names = [f"views/a_view{k}", "single/a"][: 2 - k]
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / f"{name}.png"), scene.pictures[k][..., ::-1])
            np.savez(tmp_path / f"{name}.npz", scan=vertices[face].numpy(), landmarks=marks.double().numpy())
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["heads", str(tmp_path), *OPTIONS, "--pictures", str(out)])
    heads.main()
    said = capsys.readouterr().out
    line = json.loads(said.splitlines()[-1])
    assert 0 < line["single_fitted_median"] < 8 and 0 < line["views_fitted_median"] < 8
    expected = [heads.score(model, None, None, np.load(tmp_path / "views" / f"a_view{k}.npz")) for k in range(2)]
    assert line["single_mean_median"] == pytest.approx(np.median(expected[0]), abs=1e-4)
    assert line["views_mean_90"] == pytest.approx(np.quantile(np.concatenate(expected), 0.9), abs=1e-4)
    rows = [round(cv2.imread(str(out / f"{kind}_judging.png")).shape[0] / 256) for kind in ("single", "views")]
    assert rows == [1, 1]
    with pytest.raises(SystemExit):
        monkeypatch.setattr(sys, "argv", ["heads", str(out)])
        heads.main()
    assert "expected single/*.png" in capsys.readouterr().err


def test_a_scan_at_rest_is_found_whatever_points_it_lacks(tmp_path):
    """Heads of five identities of which the reader knows three; expressions move points by more than they are apart."""
    g = np.random.default_rng(3)
    x, y = (c.ravel() for c in np.meshgrid(np.arange(20.0), np.arange(20.0)))
    neutral = np.stack([x, y, 0.1 * x * y], -1) * 2
    smooth = lambda n, size: size * g.normal(0, 1, (n, 1, 3)) * np.sin(0.1 * x + 0.2 * y)[:, None]  # noqa: E731
    identities, moves = smooth(5, 2.0), smooth(4, 9.0)
    marks, kept = np.arange(0, 340, 5), np.sort(g.choice(len(x), 350, replace=False))
    known = Expressions(neutral, identities[:3], moves, marks, face=len(x))
    rest = neutral + np.tensordot([1.0, -0.5, 0.7, 0.1, -0.1], identities, 1)
    weights = np.array([0.5, 0.0, 0.9, 0.3])
    posed = rest + np.tensordot(weights, moves, 1)
    found = known.neutralised({"scan": posed[kept], "landmarks": posed[marks], "expression": weights})
    np.testing.assert_allclose(found["scan"], rest[kept], atol=1e-9)
    np.testing.assert_allclose(found["landmarks"], rest[marks], atol=1e-9)
    nearest = known.identity({"scan": posed[kept], "landmarks": posed[marks], "expression": weights})
    np.testing.assert_allclose(neutral + np.tensordot(nearest, identities[:3], 1), rest, atol=1e-6)
    with pytest.raises(PortraitError, match="at most 400 points"):
        known.neutralised({"scan": np.zeros((401, 3)), "landmarks": posed[marks], "expression": weights})


def test_points_keep_their_order_where_another_vertex_is_nearer():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0.9, 0, 0], [2, 0, 0]])
    points = np.array([[0.0, 0, 0], [0.96, 0, 0], [0.9, 0, 0], [2, 0, 0]])
    assert in_order(points, vertices).tolist() == [0, 1, 2, 3]
    assert in_order(points[[0, 2, 3]], vertices).tolist() == [0, 2, 3]


def test_heads_at_rest_and_with_their_true_expression_have_ratios_of_their_own():
    rest = Person([], [np.full(10, 1.0)], [np.full(10, 2.0)])
    told = Person([], [np.full(10, 2.0)], [np.full(10, 3.0)])
    people = [Person([], [np.full(10, 3.0)], [np.full(10, 3.0)], rest, told)]
    line = summary({"single": people, "views": people})
    assert (line["single_ratio"], line["neutral_single_ratio"], line["neutral_views_worst"]) == (1, 0.5, 0.5)
    assert line["told_views_ratio"] == 0.6667


def test_a_folder_that_is_not_icts_is_told(tmp_path):
    with pytest.raises(PortraitError, match="expected ICT-FaceKit's folder"):
        Expressions.read(tmp_path)
