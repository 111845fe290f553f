"""The comparison of ways to express expressions and persons, on ways of which is known what they hold."""

import numpy as np

from benchmarks.disentangling import draw, score
from benchmarks.disentangling_people import VERSIONS, Shown
from benchmarks.disentangling_ways import Way, of_clips

PEOPLE, CLIPS, FRAMES = 8, 4, 5


def shown(change: float) -> Shown:
    """Pictures of one pixel, which shows the light and nothing else."""
    count = PEOPLE * CLIPS * FRAMES
    g, clip = np.random.default_rng(0), np.arange(count) // FRAMES
    return Shown(
        FRAMES, np.full((count, 1, 1, 3), change), g.normal(size=(count, 4, 2)), clip // CLIPS, clip,
        g.normal(size=(count, 5)), g.normal(size=(count, 3)) + 9 * (change == 2),
    )  # fmt: skip


def test_each_column_says_what_a_way_holds():
    versions = {name: shown(float(k)) for k, name in enumerate(VERSIONS)}
    ways = {
        "expression": Way("expression", "expression", lambda s: s.expression),
        "person": Way("person", "identity", lambda s: of_clips(s, np.eye(PEOPLE)[s.person])),
        "light": Way("light", "identity", lambda s: s.pictures[:, 0, 0] + 1e-3 * s.expression[:, :3]),
        "pose": Way("pose", "expression", lambda s: s.pose),
    }
    found = {name: score(way, versions, CLIPS) for name, way in ways.items()}
    assert found["expression"]["expression_r2"] > 0.99 and found["expression"]["person"] < 0.3
    assert found["person"]["person"] == 1 and found["person"]["expression_r2"] < 0.1
    assert found["pose"]["pose_r2"] > 0.99 and found["pose"]["expression_r2"] < 0.1
    assert (found["person"]["numbers"], found["pose"]["numbers"]) == (PEOPLE, 3)
    assert found["expression"]["light"] == found["pose"]["light"] == found["person"]["turned"] == 1
    assert found["light"]["light"] < 0.1 and found["pose"]["turned"] < 0.5
    picture = draw(found, {name: way.holds for name, way in ways.items()})
    assert picture.shape == (640, 840, 3) and (picture != 255).any()
