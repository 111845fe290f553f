"""Tracks in another model's coefficients: exact where the other model can be the same, and honest where it can't."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import facemodel
from benchmarks.model_files import make_head, write_flame
from facemodel.base import Block
from facemodel.bridge.pairs import pair
from facemodel.correspondence import Correspondence, Placement
from facemodel.importing import import_model
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from fitting.conversion import ConversionPolicy, convert_track
from foundation.errors import PortraitError
from geometry.rotation import rotation_matrix
from renderer import to_camera

FRAMES = 6
MOVED = torch.tensor([3.0, -40.0, 25.0])  # mm, of the other model's origin


@pytest.fixture(scope="module")
def default():
    return facemodel.load()


def shuffled(default, seed=0):
    """The default model as another one: its vertices in another order, its origin elsewhere, turned; registered."""
    order = torch.randperm(len(default.mean), generator=torch.Generator().manual_seed(seed))
    back = order.argsort()
    turn = rotation_matrix(torch.tensor([0.2, 0.1, -0.05]))
    tensors = {"mean": default.mean[order] @ turn.T + MOVED, "triangles": back[default.triangles]}
    for name in ("identity_basis", "expression_basis"):
        tensors[name] = getattr(default, name)[:, order] @ turn.T
    tensors |= {"albedo_mean": default.albedo_mean[order], "albedo_basis": default.albedo_basis[:, order]}
    corners = default.triangles.flatten()
    first = torch.zeros(len(default.mean), dtype=torch.long)
    first[corners.flip(0)] = torch.arange(len(corners)).flip(0)  # the same corner of the same triangle in both
    used = torch.zeros(len(default.mean))
    used[corners] = 1.0
    on_model = Placement(first // 3, torch.nn.functional.one_hot(first % 3, 3).float(), used)
    on_default = Placement(on_model.triangles[order], on_model.barycentric[order], used[order])
    found = Correspondence(default.fingerprint, on_default, on_model, tensors["mean"][back])
    names = tuple(f"shape {k}" for k in range(default.count("expression")))
    like = default.blocks["expression"]
    block = Block(names, like.lower, like.upper, like.mean, like.std)
    about = {"name": "shuffled", "fingerprint": "other", "registered": found.fingerprint, "expression": block}
    return default.rebuilt(tensors | found.tensors(), **about, region_names=())


def performance(model, frames=FRAMES, seed=3):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    p = FaceParameters.neutral(model, (frames,), focal=700.0)
    block = model.blocks["expression"]
    expression = block.clamp(0.4 * block.std * draw(frames, len(block)))
    joints = 0.15 * draw(frames, model.count("joints")) if model.count("joints") else p.joints
    p = p.replace(
        identity=0.7 * draw(model.count("identity")), reflectance=0.5 * draw(model.count("reflectance")),
        expression=expression, rotation=0.2 * draw(frames, 3), gaze=0.2 * draw(frames, 2, 2), joints=joints,
        translation=torch.tensor([10.0, 20.0, 700.0]) + 20 * draw(frames, 3), focal=torch.tensor(700.0),
    )  # fmt: skip
    ones = torch.ones(frames)
    times = torch.arange(frames).double() / 25
    return Track(model.name, model.fingerprint, 640, 480, p, times, ones.long(), ones.double(), facts={"source": {}})


def surface(track, model):
    """(F, V, 3) mm, camera frame, with the eyes straight ahead."""
    p = track.parameters.expanded()
    joints = p.joints if model.count("joints") else None
    return to_camera(model.vertices(p.identity, p.expression, None, joints), p.rotation, p.translation)


def test_a_model_that_can_be_the_same_is_the_same(default):
    other = shuffled(default)
    track = performance(default)
    made = convert_track(track, default, other, pair(default, other, default))
    assert (made.track.model, made.track.fingerprint) == ("shuffled", "other")
    assert made.surface.median < 0.2 and made.motion.most < 0.05  # the prior draws a shape in a little
    order = other.correspondence.on_default
    there = default.triangles[order.triangles][torch.arange(len(other.mean)), order.barycentric.argmax(1)]
    face = default.region("face")[there]
    off = (surface(made.track, other) - surface(track, default)[:, there]).norm(dim=-1)[:, face]
    assert float(off.median()) < 0.2 and float(off.quantile(0.99)) < 0.6
    assert not torch.equal(made.track.parameters.rotation, track.parameters.rotation), "its axes are others"
    colours = default.albedo(track.parameters.reflectance)[there] - other.albedo(made.track.parameters.reflectance)
    assert float(colours.abs().mean()) < 0.01
    assert torch.equal(made.track.parameters.illumination, track.parameters.expanded().illumination)
    assert torch.equal(made.track.times, track.times)
    said = made.track.facts["converted"]
    assert said["from"] == "default" and said["surface_mm"]["median"] == made.surface.median


def test_gaze_keeps_its_direction(default):
    from facemodel.gaze import gaze_direction

    other, track = shuffled(default), performance(default)
    made = convert_track(track, default, other, pair(default, other, default)).track
    ways = [rotation_matrix(t.parameters.rotation)[:, None] @ gaze_direction(t.parameters.gaze)[..., None]
            for t in (track, made)]  # fmt: skip
    torch.testing.assert_close(*ways, atol=5e-3, rtol=0)


def test_there_and_back(default):
    """Of a model with the same shapes under other coefficients, where priors have little to say."""
    other, track, policy = shuffled(default), performance(default), ConversionPolicy(shape=0.1)
    there = convert_track(track, default, other, pair(default, other, default), policy=policy).track
    back = convert_track(there, other, default, pair(other, default, default), policy=policy).track
    face = default.region("face")
    off = (surface(back, default) - surface(track, default)).norm(dim=-1)[:, face]
    assert float(off.median()) < 0.1


def test_the_same_names_keep_their_values(default):
    other = shuffled(default)
    named = other.rebuilt(other.flatten(), expression=default.blocks["expression"])
    track = performance(default)
    made = convert_track(track, default, named, pair(default, named, default)).track
    wanted = default.blocks["expression"].clamp(track.parameters.expression)
    assert float((made.parameters.expression - wanted).abs().mean()) < 0.02


@pytest.fixture(scope="module")
def generations(tmp_path_factory):
    """Two generations of FLAME: one topology, coefficients that don't agree."""
    import pickle

    folder = tmp_path_factory.mktemp("generations")
    old = import_model(write_flame(folder, make_head(8, 10), chumpy=False).path)
    raw = pickle.loads((folder / "flame_open.pkl").read_bytes())
    rng = np.random.default_rng(0)
    for part, size in ((slice(0, 300), 300), (slice(300, 400), 100)):
        mixed, _ = np.linalg.qr(rng.normal(size=(size, size)))
        raw["shapedirs"][..., part] = raw["shapedirs"][..., part] @ mixed
    (folder / "new.pkl").write_bytes(pickle.dumps(raw))
    return old, import_model(folder / "new.pkl")


def test_between_generations_of_one_topology(generations):
    """With neck and jaw; vertex by vertex, though neither was registered."""
    old, new = generations
    track = performance(old, 4)
    track = track.with_parameters(track.parameters.replace(
        identity=0.3 * track.parameters.identity, expression=0.5 * track.parameters.expression))  # fmt: skip
    made = convert_track(track, old, new, pair(old, new, facemodel.load()))
    skin = torch.ones(len(old.mean), dtype=torch.bool)
    skin[torch.cat(old.eyes.vertices)] = False
    off = (surface(made.track, new) - surface(track, old)).norm(dim=-1)[:, skin]
    assert float(off.median()) < 0.3 and made.motion.median < 0.3
    assert made.track.parameters.joints.shape == (4, 6)
    assert (made.track.parameters.expression.abs() <= new.blocks["expression"].upper).all()


def test_models_that_were_not_registered_are_refused(generations, default):
    with pytest.raises(PortraitError, match="isn't registered .*portrait model import"):
        pair(default, generations[0], default)


def test_frames_without_a_face_and_one_frame(default):
    other = shuffled(default)
    track = performance(default, 1)
    track = replace(track, status=torch.zeros(1, dtype=torch.int64))
    made = convert_track(track, default, other, pair(default, other, default))
    assert len(made.track) == 1 and made.track.parameters.expression.isfinite().all()
