"""Identity-invariant motion: shapes, who drives whom, its losses, and the method from clips to frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render.corpus import gather
from neural_render.methods.base import METHODS
from neural_render.methods.clip import Clip
from neural_render.methods.common.contours import followed
from neural_render.methods.invariant_motion.networks import REACH, Judges, MotionEncoder, MotionNetworks
from neural_render.methods.invariant_motion.sampling import sequences
from neural_render.methods.invariant_motion.settings import Settings
from neural_render.methods.invariant_motion.trainer import Trainer, anonymity, told_apart
from neural_render.training import make_fabric
from tests.neural_render.methods.drawn import clip_of, people

SMALL = dict(width=4, batch=2, motion=4, frames=3)


def test_any_number_of_frames_goes_through():
    networks = MotionNetworks(5, 4, 6)
    made, there, codes = networks(
        torch.zeros(2, 3, 64, 64), torch.rand(2, 5, 2), torch.randn(2, 3, 5, 2), torch.randn(4, 2, 3, 5, 2),
        stills := torch.rand(4, 5, 2),
    )  # fmt: skip
    assert (made.shape, codes.shape) == ((2, 3, 3, 64, 64), (4, 2, 3, 6))
    torch.testing.assert_close(there, stills[:, None, None].expand(4, 2, 3, 5, 2))  # nothing moves before it is learnt
    torch.testing.assert_close(codes.square().mean(-1), torch.ones(4, 2, 3))
    encoder = MotionEncoder(5, 6)
    still = torch.randn(1, 1, 5, 2)
    torch.testing.assert_close(encoder(still.expand(-1, 7, -1, -1)), encoder(still).expand(-1, 7, -1))


def unpainted(networks: MotionNetworks) -> MotionNetworks:
    """Pictures come from where landmarks lead, and nothing is put over them."""
    torch.nn.init.zeros_(networks.generator.to_flow.weight)
    networks.generator.to_picture.register_forward_hook(
        lambda m, i, out: torch.cat([out[:, :3], torch.full_like(out[:, 3:], -100.0)], 1)
    )
    return networks


def test_a_generator_without_flow_and_paint_gives_the_target():
    networks, picture = unpainted(MotionNetworks(5, 4, 6)), torch.rand(1, 3, 64, 64) * 2 - 1
    made = networks.drawn(picture, torch.rand(1, 5, 2) - 0.5, torch.randn(1, 6), torch.randn(1, 2, 6))
    torch.testing.assert_close(made[0, 1], picture[0])


def test_pixels_go_with_the_landmarks():
    networks, picture = unpainted(MotionNetworks(5, 4, 6)), torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():  # all of them an eighth of the width to the right
        networks.mover.to_offsets.bias.copy_(torch.tensor([0.25, 0.0]).repeat(5) / REACH)
    points = torch.rand(1, 5, 2) - 0.5
    there = networks.placed(points, torch.randn(1, 6), torch.randn(1, 2, 6))
    torch.testing.assert_close(there[0, 1], points[0] + torch.tensor([0.25, 0.0]))
    made = networks.drawn(picture, points, torch.randn(1, 6), torch.randn(1, 2, 6))
    torch.testing.assert_close(made[0, 1, ..., 8:], picture[0, ..., :-8], atol=1e-4, rtol=0)


def test_judges_see_pictures_pairs_and_the_changes_of_sequences():
    made, real, one = torch.rand(2, 3, 3, 64, 64), torch.rand(2, 3, 3, 64, 64), torch.rand(2, 3, 64, 64)
    judges = Judges(3, 4, temporal=True)
    found, (of_made, of_real) = judges.compare(made, real, one, one, one)
    shapes = {name: [tuple(t.shape) for t in of] for name, of in found.items()}
    assert shapes["picture"] == [(6, 1, 8, 8)] * 3 and shapes["sequence"] == [(2, 1, 8, 8)] * 3
    assert shapes["who"] == [(2, 1, 8, 8), (4, 1, 8, 8), (2, 1, 8, 8)]
    assert [tuple(f.shape) for f in of_real] == [(2, 4, 32, 32), (2, 8, 16, 16), (2, 16, 8, 8)]
    _, (brighter, _) = judges.compare(made + 0.5, real, one, one, one)  # in all frames: nothing else changes
    for a, b in zip(brighter, of_made):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    assert "sequence" not in Judges(3, 4, temporal=False).compare(made, real, one, one, one)[0]


def test_losses_of_who_it_is_and_of_what_is_done():
    assert anonymity(torch.zeros(5, 8)).item() == pytest.approx(0, abs=1e-6)
    assert anonymity(torch.tensor([[4.0, 0.0, 0.0]])) > 1
    a = torch.eye(4)
    expected = -np.log(np.exp(2) / (np.exp(2) + 3))
    assert told_apart(a, 5 * a, 0.5).item() == pytest.approx(expected, rel=1e-5)
    assert told_apart(a, a.roll(1, 0), 0.5) > 2


def test_the_truth_is_the_targets_person_in_the_drivers_moment(tmp_path):
    faces = gather([*people(3), clip_of(7, 5)], tmp_path, 16)
    found = [sequences(faces, step, 6, 3, 0) for step in range(20)]
    driver, shown, known, target, same = (np.concatenate([getattr(f, k) for f in found]) for k in vars(found[0]))
    other = faces.person[driver[:, 0]] != faces.person[shown[:, 0]]
    assert other.mean() > 0.3 and (known | (np.arange(120) % 2 == 1)).all() and not known.all()
    for rows in (driver, shown):
        assert (np.diff(faces.frame[rows], axis=1) == 1).all()
    assert (faces.performance[driver] == faces.performance[shown]).all()
    assert (faces.frame[driver] == faces.frame[shown]).all()
    assert (faces.clip[target] == faces.clip[same]).all() and (target != same).all()
    assert (faces.clip[target] == faces.clip[shown[:, 0]])[known].all()
    strangers = faces.performance[driver[:, 0]] == faces.performance[faces.person == 3][0]
    assert strangers.any() and (known[strangers] == (np.arange(120) % 2 == 0)[strangers]).all()


def test_it_learns_which_moments_are_the_same(tmp_path):
    faces = gather(people(4), tmp_path, 64)
    settings = Settings(**SMALL, wide=12, adversarial_after=24)
    trainer = Trainer(settings, faces, make_fabric("cpu"))
    history = [trainer.advance() for _ in range(26)]
    alike = [h["alike"] for h in history]
    assert np.median(alike[8:24]) < 0.8 * np.mean(alike[:3])
    moved = [h["landmarks"] for h in history]
    assert np.mean(moved[-3:]) < 0.8 * np.mean(moved[:3])
    assert set(history[-1]) == {
        "l1", "pyramid", "landmarks", "people", "anonymous", "alike", "picture", "who", "sequence", "changes", "judges",
    }  # fmt: skip
    assert trainer.sheet().shape == (3 * 64, 6 * 64, 3)


def test_who_is_moved_is_the_one_whose_landmarks_are_wanted(tmp_path):
    faces = gather(people(4), tmp_path, 64)
    trainer = Trainer(Settings(**SMALL, wide=12), faces, make_fabric("cpu"))
    _, wide, _, still = trainer.batch()
    assert (faces.clip[still] == faces.clip[wide[:, 0]]).all() and len(set(still.tolist())) > 4
    own, wanted = faces.landmarks[still][:, None], faces.landmarks[wide[:, :3]]
    assert trainer.advance()["landmarks"] == pytest.approx(np.abs(own - wanted).mean(), rel=1e-4)  # none has moved yet


def test_a_share_of_which_nothing_is_known(tmp_path, monkeypatch):
    """The second of two processes gets strangers' sequences alone, of which nobody knows how they would look."""
    trainer = Trainer(
        Settings(**(SMALL | {"batch": 4})),
        gather([clip_of(person, person) for person in range(3)], tmp_path, 64),
        make_fabric("cpu"),
    )
    monkeypatch.setattr(trainer, "share", lambda samples: samples[1::2])
    trainer.step = trainer.settings.adversarial_after
    found = trainer.advance()
    assert np.isfinite(list(found.values())).all() and found["l1"] == found["changes"] == found["alike"] == 0
    assert found["picture"] > 0 and trainer.finite()


def test_from_clips_to_frames(tmp_path):
    method, out, whole = METHODS["invariant-motion"](), tmp_path / "w", tmp_path / "whole"
    clips = people(2)
    method.train(clips, out, method.options(steps=2, **SMALL))
    assert method.train(clips, out, method.options(steps=3, **SMALL)).resumed_at == 2
    method.train(clips, whole, method.options(steps=3, **SMALL))
    a, b = method.load(out).tensors, method.load(whole).tensors
    assert all(torch.equal(a[k], b[k]) for k in a) and a.keys() == b.keys()
    weights, target = method.load(out), clip_of(8, frames=1)
    driver = clip_of(9, 1, frames=4, missing=(2,))
    driver = Clip(None, driver.width, driver.height, find_landmarks=driver.find_landmarks)
    made = np.stack(list(method.animate(weights, target, driver)))
    assert made.shape == (4, 64, 64, 3) and np.array_equal(followed(driver)[1], followed(driver)[2])


def test_bad_input(tmp_path):
    method = METHODS["invariant-motion"]()
    with pytest.raises(PortraitError, match="expected at least one of 4 frames with a face"):
        method.train([clip_of(0, frames=3)], tmp_path / "w", method.options(steps=1, width=4))
    with pytest.raises(PortraitError, match="frames: expected at least 2"):
        method.options(frames=1)
