import dataclasses
import os
import signal

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from foundation.tensors import read_tensors
from foundation.threads import threads
from neural_render.losses.terms import l1
from neural_render.methods.deep_video_portraits.conditioning import condition, eye_colors, mouth_colors, to_network
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.trainer import Trainer
from neural_render.training import bfloat16_helps, order, resume, run
from renderer import correspondence_colors
from tests.neural_render.arrays import moving_disc

SMALL = Settings(size=64, width=4, batch=2, adversarial_after=1, seed=3)


def tensors(trainer):
    return trainer.state()[0]


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    assert [k for k in a if not torch.equal(a[k], b[k])] == []


@pytest.mark.parametrize("bfloat16", [False, True])
def test_resumed_training_equals_uninterrupted_bit_for_bit(tmp_path, bfloat16):
    settings, data = dataclasses.replace(SMALL, bfloat16=bfloat16), moving_disc()
    whole = Trainer(settings, data)
    run(whole, tmp_path / "whole", seconds=1e6, steps=6)
    run(Trainer(settings, data), tmp_path / "part", seconds=1e6, steps=3)
    torch.manual_seed(99)  # the caller's random numbers don't matter
    second = Trainer(settings, data)
    resume(second, tmp_path / "part", {})
    assert second.step == 3
    run(second, tmp_path / "part", seconds=1e6, steps=6)
    assert_same_bits(tensors(whole), tensors(second))
    assert_same_bits(
        *(read_tensors(tmp_path / name, "checkpoint", 1, "portrait train")[0] for name in ("whole", "part"))
    )
    assert_same_bits(whole.final_generator().state_dict(), second.final_generator().state_dict())


def test_seed_decides_and_callers_random_numbers_stay():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    a = Trainer(SMALL, moving_disc())
    a.advance()
    assert torch.rand(1) == expected
    b = Trainer(dataclasses.replace(SMALL, seed=4), moving_disc())
    assert not torch.equal(next(a.generator.parameters()), next(b.generator.parameters()))


def test_order_visits_every_sample_once_an_epoch():
    seen = np.concatenate([order(step, 4, 10, 1) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert not np.array_equal(seen[:10], seen[10:])


def test_budget_counts_earlier_runs(tmp_path):
    trainer = Trainer(SMALL, moving_disc())
    run(trainer, tmp_path / "c", seconds=1e6, steps=2)
    assert trainer.seconds > 0
    again = Trainer(SMALL, moving_disc())
    resume(again, tmp_path / "c", {})
    run(again, tmp_path / "c", seconds=trainer.seconds / 2)
    assert again.step == 2


def test_checkpoint_of_another_training_is_refused(tmp_path):
    data = moving_disc()
    run(Trainer(SMALL, data), tmp_path / "c", seconds=1e6, steps=1, identity={"data": "a"})
    with pytest.raises(PortraitError, match="width 4 instead of 8"):
        resume(Trainer(dataclasses.replace(SMALL, width=8), data), tmp_path / "c", {"data": "a"})
    with pytest.raises(PortraitError, match="data a instead of b"):
        resume(Trainer(SMALL, data), tmp_path / "c", {"data": "b"})


def test_interrupt_saves_a_whole_step(tmp_path):
    trainer, data = Trainer(SMALL, moving_disc()), moving_disc()

    def interrupt(*_):
        if trainer.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(trainer, tmp_path / "c", report=interrupt)
    again, whole = Trainer(SMALL, data), Trainer(SMALL, data)
    resume(again, tmp_path / "c", {})
    with threads(1):  # a training begins with one, and another number gives other bits
        whole.advance(), whole.advance()
    assert_same_bits(tensors(again), tensors(whole))


def test_discriminator_is_trained_by_its_own_loss_alone():
    """The shared pass gives the same gradients as the two losses taken one by one."""
    data = moving_disc()
    settings = dataclasses.replace(SMALL, adversarial_after=0, dropout=0.0, face_weight=0.0, eye_weight=0.0)
    trainer, plain = Trainer(settings, data), Trainer(settings, data)
    trainer.advance()
    maps, images = data.batch(order(0, 2, len(data), 3), 11)
    x, y = condition(maps), to_network(images)
    plain.generator.train()
    fake = plain.generator(x)
    d = plain.discriminator
    on_fake = d(d.embed(x), fake)
    g_loss = 100 * l1(fake, y) + plain.adversarial.generator(on_fake)
    g_grads = torch.autograd.grad(g_loss, list(plain.generator.parameters()), retain_graph=True)
    # the generator's pass above has already moved nothing in the discriminator
    d_loss = plain.adversarial.discriminator(d(d.embed(x), y), d(d.embed(x), fake.detach()))
    d_grads = torch.autograd.grad(d_loss, list(d.parameters()))
    for net, grads in (("generator", g_grads), ("discriminator", d_grads)):
        for p, g in zip(getattr(trainer, net).parameters(), grads):
            torch.testing.assert_close(p.grad, g, rtol=1e-3, atol=1e-5)


def test_weight_of_face_eyes_and_mouth():
    settings = dataclasses.replace(SMALL, face_weight=2.0, eye_weight=4.0, mouth_weight=8.0)
    mouth = torch.tensor([[[0.2, 0.2, 0.2], [0.4, 0.4, 0.4]], [[0.9, 0.9, 0.9], [1, 1, 1]]])
    trainer = Trainer(settings, moving_disc(), mouth=mouth)
    maps = torch.zeros(1, 11, 4, 4, 9, dtype=torch.uint8)
    maps[:, -1, :2, :, 3:6] = 7  # the head's upper half, of the current frame alone
    maps[:, -1, 0, 0, 6:] = 7
    maps[:, -1, 1, 1, 3:6] = 80  # within the mouth's colours
    maps[:, -1, 1, 2, 3:5] = 80  # in two of three
    maps[:, -1, 1, 3, 3:6] = 240  # within those of its other part
    maps[:, :-1, 3, :, 3:] = 7
    weight = trainer.weight(condition(maps))
    assert weight.shape == (1, 1, 4, 4)
    assert weight[0, 0, :, 0].tolist() == [7, 3, 1, 1]
    assert weight[0, 0, 1].tolist() == [3, 11, 3, 11]
    with_lids = Trainer(settings, moving_disc(), mouth=mouth, eyes=mouth[:1]).weight(condition(maps))
    assert with_lids[0, 0, 1].tolist() == [3, 15, 3, 11] and with_lids[0, 0, 0, 0] == 7
    with pytest.raises(PortraitError, match="mouth_weight"):
        Trainer(settings, moving_disc())


def shares_inside(model, boxes, names):
    """Of each region's vertices, how many have a colour in one of the boxes."""
    colors = correspondence_colors(model)[:, None]
    inside = ((colors >= boxes[:, 0]) & (colors <= boxes[:, 1])).all(2).any(1)
    return {name: float(inside[model.regions[name]].float().mean()) for name in names}


def test_eye_colours_cover_eyes_lids_and_brows_and_neither_nose_nor_mouth(model):
    names = ("eyelids", "brows", "iris", "lips", "nose", "ears", "teeth", "neck")
    share = shares_inside(model, eye_colors(model), names)
    assert min(share[name] for name in names[:3]) > 0.9 and max(share[name] for name in names[3:]) == 0, share


def test_mouth_colours_cover_lips_and_teeth_and_neither_nose_nor_neck(model):
    names = ("lips", "teeth", "tongue", "nose", "eyelids", "ears", "scalp", "neck", "skin")
    share = shares_inside(model, mouth_colors(model), names)
    assert share["lips"] == share["teeth"] == share["tongue"] == 1
    assert max(share[name] for name in names[3:-1]) < 0.02 and share["skin"] < 0.2, share


def test_held_out_frames_are_never_trained_on():
    class Noting:
        def __init__(self):
            self.data, self.seen = moving_disc(), set()

        def __len__(self):
            return len(self.data)

        def batch(self, samples, window):
            self.seen |= set(samples.tolist())
            return self.data.batch(samples, window)

    samples = Noting()
    trainer = Trainer(dataclasses.replace(SMALL, held_out=0.25), samples)
    for _ in range(4):
        trainer.advance()
    assert samples.seen == set(trainer.trained_on.tolist())
    samples.seen.clear()
    assert trainer.score() > 0
    assert set(trainer.held_out.tolist()) <= samples.seen
    assert trainer.sheet().shape == (3 * 64, 2 * 64, 3)


def test_overfits_a_small_clip():
    settings = Settings(size=64, width=8, batch=2, rate=1e-3, adversarial_after=10**6, seed=1)
    trainer = Trainer(settings, moving_disc())
    losses = [trainer.advance()["l1"] for _ in range(60)]
    assert np.mean(losses[-5:]) < 0.35 * np.mean(losses[:3])


def test_bfloat16_choice_is_a_bool():
    assert bfloat16_helps("cpu") in (True, False)
