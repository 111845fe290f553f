"""GANimation: its networks' shapes, its losses, and the method from clips to an edited photograph."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render.corpus import gather
from neural_render.losses.terms import total_variation
from neural_render.losses.wasserstein import between, gradient_penalty
from neural_render.methods.base import METHODS
from neural_render.methods.clip import ActionUnits, Clip
from neural_render.methods.ganimation.alignment import composed, cut, inverse, mean_face, places, put_back, rim
from neural_render.methods.ganimation.disguise import disguised
from neural_render.methods.ganimation.editing import Editor, pasted
from neural_render.methods.ganimation.networks import Edit, EditGenerator, Judge, UnitBlock, UnitCritic
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
        generator, reader, judge = EditGenerator(17), UnitCritic(17), Judge()
        made = generator(torch.empty(2, 3, 128, 128), torch.empty(2, 17))
        scores, units = judge(torch.empty(2, 3, 128, 128)), reader(torch.empty(2, 3, 128, 128))
    assert (made.picture.shape, made.kept.shape, made.colours.shape) == (
        (2, 3, 128, 128),
        (2, 1, 128, 128),
        (2, 3, 128, 128),
    )
    assert (scores.shape, units.shape) == ((2, 1, 2, 2), (2, 17))
    for network in (reader, judge):
        widths = [m.out_channels for m in network.body if isinstance(m, torch.nn.Conv2d)]
        assert widths == [64, 128, 256, 512, 1024, 2048]
    assert generator.from_units.in_features == 17
    assert len(generator.blocks) == 6 and generator.blocks[0].one.weight.shape == (256, 256, 3, 3)


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
    one, other = (generator.features(picture, u) for u in torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]]))
    change = (one - other).abs().mean(1)[0]
    assert change[24:40, 24:40].mean() > 0.5 * change.mean() > 0
    torch.nn.init.zeros_(generator.from_units.weight)  # and by way of the residual blocks alone
    one, other = (generator.features(picture, u) for u in torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]]))
    assert (one - other).abs().mean() > 0.01 * one.abs().mean()


def test_a_block_begins_at_its_shortcut():
    block, x = UnitBlock(4, 2), torch.rand(1, 4, 8, 8)
    torch.nn.init.zeros_(block.after_two.to_modulation.weight)
    torch.nn.init.zeros_(block.two.weight)
    torch.testing.assert_close(block(x, torch.ones(1, 2)), x)


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


def faces_of(points: int = 6) -> torch.Tensor:
    torch.manual_seed(1)
    mean = torch.randn(points, 2) * 0.3
    turns = torch.eye(2) + 0.2 * torch.randn(3, 2, 2)
    return mean @ turns.mT + 0.2 * torch.randn(3, 1, 2)


def test_patches_come_back_to_where_they_were_cut():
    points = faces_of()
    found = places(mean_face(points), points)
    torch.testing.assert_close(composed(found, inverse(found)), torch.eye(2, 3).expand(3, 2, 3), atol=1e-5, rtol=0)
    smooth = torch.nn.functional.interpolate(torch.rand(3, 3, 4, 4), size=64, mode="bicubic")
    patches = cut(smooth, found)
    back = put_back(patches * rim(64), found, 64)
    whole = put_back(rim(64).expand(3, 1, 64, 64), found, 64) > 0.999
    assert whole.float().mean() > 0.05
    assert (back - smooth)[whole.expand_as(back)].abs().max() < 0.03
    inside = cut(torch.ones(3, 1, 64, 64), found)
    beyond = put_back(inside, found, 64)[:, :, 0, 0]
    torch.testing.assert_close(beyond, torch.zeros_like(beyond), atol=1e-6, rtol=0)


def test_a_disguise_keeps_shapes_and_no_colours():
    torch.manual_seed(0)
    edge = torch.full((64, 3, 32, 32), -0.3)
    edge[..., 16:] = 0.3
    seen = disguised(edge)
    step = seen[..., 18:].mean((1, 2, 3)) - seen[..., :14].mean((1, 2, 3))
    assert (step > 0.1).all()
    assert seen.mean((2, 3)).std() > 0.1
    assert (seen.mean((2, 3)).amax(1) - seen.mean((2, 3)).amin(1)).mean() > 0.05


def test_fine_stripes_and_colours_say_little():
    torch.manual_seed(0)
    stripes = (2 * (torch.arange(32) % 2) - 1.0).expand(64, 3, 32, 32)
    seen = disguised(0.5 * stripes)
    assert (seen * stripes).mean() < 0.5 * 0.5
    halves = torch.zeros(64, 3, 32, 32)
    halves[:, 0, :, :16], halves[:, 2, :, 16:] = 0.5, 0.5
    redder = (disguised(halves)[:, 0] - disguised(halves)[:, 2]).mean(1)
    assert (redder[:, :14] - redder[:, 18:]).mean() < 0.75 * (0.5 + 0.5)


def test_all_is_kept_at_a_patchs_edge_and_beyond():
    points = faces_of()
    place = places(mean_face(points), points)
    patch = torch.zeros(3, 3, 64, 64)
    whole = Edit(patch, torch.zeros(3, 1, 64, 64), torch.ones(3, 3, 64, 64))
    kept, added = pasted(whole, patch, place, 64)
    seen = cut(kept, place)
    assert seen[:, :, 32, 32].max() < 0.02 and seen[:, :, 0].min() > 0.6
    inside = cut(added, place)[:, :, 20:44, 20:44]
    torch.testing.assert_close(inside, torch.ones_like(inside), atol=0.02, rtol=0)
    assert (kept[:, :, 0, 0] == 1).all()


def test_the_reader_is_shown_faces_a_little_elsewhere(tmp_path):
    trainer = Trainer(Settings(width=4, critic=4), gather(people(2), tmp_path, 64, action_units=True), make_fabric())
    rows = np.arange(3)
    torch.manual_seed(0)
    still = trainer.patches(rows)
    torch.manual_seed(0)
    moved = trainer.patches(rows, moved=True)
    assert ((still - moved).abs().mean((1, 2, 3)) > 0.01).all()


def test_the_judge_learns_to_score_real_ones_higher():
    torch.manual_seed(0)
    faces = SimpleNamespace(networks={"judge": Judge(16, 4)}, settings=Settings(penalty=1.0))
    optimiser = torch.optim.Adam(faces.networks["judge"].parameters(), 1e-2)

    def update(name, loss):
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    faces.update = update
    real, made = torch.full((4, 3, 16, 16), 0.5), torch.full((4, 3, 16, 16), -0.5)
    found = [float(Trainer._judge(faces, made, real)["distance"]) for _ in range(30)]
    assert found[-1] > found[0] + 0.2 and found[-1] > 0


def test_what_the_generator_is_told(tmp_path):
    """Whatever costs is added, each by its weight."""
    settings = Settings(width=4, critic=4)
    trainer = Trainer(settings, gather(people(2), tmp_path, 64, action_units=True), make_fabric())
    told = {}
    trainer.update = lambda name, loss: told.update({name: loss})
    rows = np.arange(2)
    real, own, wanted = trainer.patches(rows), trainer.units[rows], trainer.units[rows + 1]
    there, back = trainer.networks["generator"].there_and_back(real, wanted, own)
    found = trainer._edit(real, wanted, there, back)
    s, weight = settings, {"units-made": "units", "score": "score", "cycle": "cycle", "smooth": "smooth"}
    expected = sum(getattr(s, name) * found[key] for key, name in weight.items()) + 2 * s.open * found["open"]
    torch.testing.assert_close(told["generator"], expected)
    torch.testing.assert_close(found["score"], -trainer.networks["judge"](there.picture).mean())
    assert float(found["open"]) == pytest.approx(1 - float(there.kept.mean() + back.kept.mean()) / 2, abs=1e-6)


def test_wanted_units_are_somebody_elses_or_some_of_them(tmp_path):
    faces = gather(people(2), tmp_path, 64, action_units=True)
    trainer = Trainer(Settings(width=4, critic=4), faces, make_fabric("cpu"))
    torch.manual_seed(0)
    own, others = torch.zeros(400, 2), torch.ones(400, 2)
    wanted = trainer.wanted(own, others)
    changed = wanted != 0
    assert ((wanted[changed] - 1).abs() <= 0.1).all()
    whole = changed.all(1).float().mean()
    assert 0.5 < whole < 0.65 and (changed.any(1) & ~changed.all(1)).float().mean() > 0.05


def test_the_reader_learns_units_and_the_generator_joins_later(tmp_path):
    faces = gather(people(4), tmp_path, 64, action_units=True)
    trainer = Trainer(
        Settings(width=4, critic=8, batch=4, more=16, reader_rate=3e-3, units_first=15, units_every=2, critic_steps=3),
        faces,
        make_fabric("cpu"),
    )
    history = [trainer.advance() for _ in range(18)]
    assert set(history[0]) == {"units-real"} and "units-real" in history[16] and "units-real" not in history[15]
    assert "penalty" in history[15] and "cycle" in history[17] and "cycle" not in history[16]
    read = [h["units-real"] for h in history if "units-real" in h]
    assert np.mean(read[-6:]) < 0.9 * read[0]
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
    weights = method.load(out)
    torch.manual_seed(0)
    weights.tensors["generator.to_colours.weight"].normal_()  # three steps are the reader's: nothing is painted yet
    return method, weights


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


def test_a_photograph_that_is_kept_comes_back(trained):
    _, weights = trained
    editor = Editor(weights, clip_of(9, frames=1))
    edit = editor.edit(editor.own)
    whole = edit._replace(kept=torch.ones_like(edit.kept), colours=torch.ones_like(edit.colours))
    np.testing.assert_array_equal(editor.paste(whole), editor.photograph)
    half = whole._replace(kept=0.5 * whole.kept)
    assert editor.paste(half).mean() > editor.photograph.mean() + 1


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
