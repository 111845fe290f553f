"""GANimation: its networks' shapes, its losses, and the method from clips to an edited photograph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render.corpus import gather
from neural_render.losses.terms import total_variation
from neural_render.losses.wasserstein import between, gradient_penalty
from neural_render.methods.base import METHODS
from neural_render.methods.clip import ActionUnits, Clip
from neural_render.methods.ganimation.networks import EditGenerator, UnitCritic
from neural_render.methods.ganimation.settings import Settings
from neural_render.methods.ganimation.trainer import Trainer
from neural_render.training import make_fabric, resume, run
from tests.neural_render.methods.drawn import SIDE, clip_of, people


def asking(names=("AU26",), values=((5.0,),)) -> Clip:
    """Units without pictures."""
    values = np.array(values, np.float32)
    return Clip(None, 0, 0, find_action_units=lambda _: ActionUnits(tuple(names), values))


def test_networks_are_the_papers():
    with torch.device("meta"):
        generator, critic = EditGenerator(17), UnitCritic(17)
        made = generator(torch.empty(2, 3, 128, 128), torch.empty(2, 17))
        scores, units = critic(torch.empty(2, 3, 128, 128))
    assert (made.picture.shape, made.kept.shape, made.colours.shape) == (
        (2, 3, 128, 128),
        (2, 1, 128, 128),
        (2, 3, 128, 128),
    )
    assert (scores.shape, units.shape) == ((2, 1, 2, 2), (2, 17))
    widths = [m.out_channels for m in critic.body if isinstance(m, torch.nn.Conv2d)]
    assert widths == [64, 128, 256, 512, 1024, 2048]
    assert generator.from_units.in_features == 17
    assert sum(type(m).__name__ == "ResidualBlock" for m in generator.body) == 6


def test_what_is_kept_is_the_picture_itself():
    generator, picture = EditGenerator(2, 4), torch.rand(1, 3, 64, 64) * 2 - 1
    made = generator(picture, torch.zeros(1, 2))
    torch.testing.assert_close(made.picture, made.kept * picture + (1 - made.kept) * made.colours)
    keep_all = lambda m, i, out: torch.full_like(out, 100.0)  # noqa: E731
    generator.to_kept.register_forward_hook(keep_all)
    torch.testing.assert_close(generator(picture, torch.ones(1, 2)).picture, picture)


def test_units_reach_the_middle_of_the_picture():
    """What is the same at every pixel isn't normalised away."""
    torch.manual_seed(0)
    generator, picture = EditGenerator(2, 4), torch.rand(1, 3, 64, 64) * 2 - 1
    one, other = (
        generator.body(generator.from_picture(picture) + generator.from_units(u)[..., None, None])
        for u in torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]])
    )
    change = (one - other).abs().mean(1)[0]
    assert change[24:40, 24:40].mean() > 0.5 * change.mean() > 0


def test_penalty_of_a_linear_critic_is_its_slopes_distance_from_one():
    real, made = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8)
    mixed = between(real, made)
    assert ((mixed - real) * (mixed - made) <= 1e-6).all()
    weight = torch.full((3, 8, 8), 0.5, requires_grad=True)
    penalty = gradient_penalty((mixed * weight).sum((1, 2, 3)), mixed)
    slope = 0.5 * (3 * 8 * 8) ** 0.5
    assert penalty.item() == pytest.approx((slope - 1) ** 2, rel=1e-5)
    penalty.backward()
    assert weight.grad.norm() > 0


def test_total_variation_of_a_step():
    maps = torch.zeros(2, 1, 4, 6)
    maps[0, :, :, 3:] = 1
    assert total_variation(maps).item() == pytest.approx(4 / 2)


def test_the_critic_learns_to_read_units(tmp_path):
    faces = gather(people(4), tmp_path, 64, action_units=True)
    trainer = Trainer(
        Settings(width=4, critic=8, batch=4, more=12, critic_rate=3e-3, units_first=15, critic_steps=3),
        faces,
        make_fabric("cpu"),
    )
    history = [trainer.advance() for _ in range(18)]
    assert set(history[0]) == {"units-real"} < history[15].keys() < history[17].keys()
    assert "penalty" in history[15] and "cycle" in history[17]
    assert np.mean([h["units-real"] for h in history[-8:]]) < 0.9 * history[0]["units-real"]
    assert trainer.sheet().shape == (3 * 64, 6 * 64, 3)


def test_a_training_goes_on_to_the_same_bits(tmp_path):
    faces = gather(people(2), tmp_path, 64, action_units=True)
    settings = Settings(width=4, critic=4, batch=2, more=2, units_first=1, critic_steps=2)
    make = lambda: Trainer(settings, faces, make_fabric("cpu"))  # noqa: E731
    run(whole := make(), tmp_path / "whole", steps=4)
    run(make(), tmp_path / "part", steps=2)
    resume(again := make(), tmp_path / "part", {})
    run(again, tmp_path / "part", steps=4)
    a, b = whole.state()[0], again.state()[0]
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    method, out = METHODS["ganimation"](), tmp_path_factory.mktemp("ganimation") / "w"
    clips = people(2)
    options = dict(size=64, width=4, critic=4, batch=2)
    method.train(clips, out, method.options(steps=2, **options))
    assert method.train(clips, out, method.options(steps=3, **options)).resumed_at == 2
    return method, method.load(out)


def test_a_photograph_is_edited_inside_its_face_alone(trained):
    method, weights = trained
    assert weights.header.units == ("AU01", "AU26")
    target = clip_of(9, frames=1)
    photograph = next(iter(target.frames))[2]
    made = np.stack(list(method.animate(weights, target, asking(values=((0.0,), (5.0,), (np.nan,))))))
    assert made.shape == (3, SIDE, SIDE, 3) and made.dtype == np.uint8
    changed = (made != photograph).any(-1)
    assert changed.any() and not changed[:, 0].any() and not changed[:, :, 0].any()
    panels = list(method.panels(weights, target, asking(), iter(made[:1]), 40))
    assert {k: v.shape for k, v in panels[0].items()} == {"attention": (40, 40, 3), "colours": (40, 40, 3)}


def test_bad_input(trained, tmp_path):
    method, weights = trained
    target = clip_of(9, frames=1)
    with pytest.raises(PortraitError, match="unknown action unit of these weights 'AU62': did you mean 'AU26'"):
        method.animate(weights, target, asking(("AU62",)))
    with pytest.raises(PortraitError, match="driver: expected action units"):
        method.animate(weights, target, Clip(None, 0, 0))
    with pytest.raises(PortraitError, match="size: expected 64, 128, 256, got 65"):
        method.options(size=65)
    still = [clip_of(k, frames=1) for k in range(2)]
    with pytest.raises(PortraitError, match="expected action units that change"):
        method.train(still, tmp_path / "w", method.options(steps=1))
