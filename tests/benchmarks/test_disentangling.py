"""The comparison of ways to express expressions and persons, on ways of which is known what they hold."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.disentangling import Kept, draw, score
from benchmarks.disentangling_people import VERSIONS, Shown
from benchmarks.disentangling_ways import OF_METHODS, Way, of_clips
from neural_render.methods.common.contours import Contours
from neural_render.methods.disentangling.networks import DisentanglingNetworks
from neural_render.methods.ganimation.networks import EditGenerator
from neural_render.methods.invariant_motion.networks import MotionNetworks
from neural_render.methods.latent_pose.networks import LatentPoseNetworks
from neural_render.methods.reenactgan.networks import BoundaryEncoder
from neural_render.methods.reenactgan.settings import Settings
from neural_render.methods.weights import Weights
from neural_render.methods.x2face.network import X2Face

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
    assert picture.shape == (640, 2 * 840, 3) and (picture != 255).any()


def test_what_was_measured_is_kept_for_its_people_and_weights(tmp_path):
    ways = [Way("a", "expression", lambda s: s.pose), Way("b", "expression", lambda s: s.pose, of="1")]
    kept = Kept(tmp_path / "ways.json", {"people": 8})
    assert kept.read(ways) == {}
    kept.write(ways, {"a": {"pose_r2": 1.0}, "b": {"pose_r2": 0.5}})
    assert kept.read(ways) == {"a": {"pose_r2": 1.0}, "b": {"pose_r2": 0.5}}
    assert kept.read([ways[0], replace(ways[1], of="2")]) == {"a": {"pose_r2": 1.0}}
    assert Kept(kept.path, {"people": 9}).read(ways) == {}


def untrained(name: str) -> tuple[SimpleNamespace, torch.nn.Module, str]:
    """A narrow network of a method as it begins, its header, and what its tensors are called."""
    header = SimpleNamespace(
        size=64, width=4, codes=(), pose=8, motion=8, points=478, scheme="mediapipe478", units=("AU01", "AU12")
    )
    lines = len(Contours.of(header.scheme).lines)
    network, start = {
        "x2face": lambda: (X2Face(64, 4), "networks"),
        "disentangling": lambda: (DisentanglingNetworks(64, 4), "networks"),
        "latent-pose": lambda: (LatentPoseNetworks(64, 4, 8), "networks"),
        "invariant-motion": lambda: (MotionNetworks(478, 4, 8), "networks"),
        "ganimation": lambda: (EditGenerator(2, 4), "generator"),
        "reenactgan": lambda: (BoundaryEncoder(lines, 64, Settings(size=64).side, 4), "encoder"),
    }[name]()
    return header, network, start


@pytest.mark.parametrize("name", OF_METHODS)
def test_ways_of_methods_give_each_picture_a_code(name):
    torch.manual_seed(0)
    g, (header, network, start) = np.random.default_rng(0), untrained(name)
    tensors = {f"{start}.{k}": v for k, v in network.state_dict().items()}
    people = Shown(
        2, g.integers(0, 255, (4, 48, 48, 3), np.uint8), g.uniform(10, 38, (4, 478, 2)), np.array([0, 0, 1, 1]),
        np.array([0, 0, 1, 1]), g.normal(size=(4, 5)), g.normal(size=(4, 3)),
    )  # fmt: skip
    ways = OF_METHODS[name](Weights(header, tensors))
    assert ways and {way.holds for way in ways} <= {"expression", "identity"}
    for way in ways:
        codes = way.codes(people)
        assert len(codes) == 4 and codes.ndim == 2 and np.isfinite(codes).all()
        if way.holds == "identity":  # a clip's, in each of its pictures
            np.testing.assert_array_equal(codes[0], codes[1])
            assert (codes[1] != codes[2]).any()
        else:
            assert (codes[0] != codes[1]).any()
