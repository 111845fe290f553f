"""What is timed beside ours does the same work: steps of the same losses, frames of the same shape."""

import torch

from benchmarks.synthesis import BATCH, PlainTrainer, PlainUNet, RandomSamples, moving_track, stages
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.trainer import Trainer

SETTINGS = Settings(size=64, width=4, batch=2, adversarial_after=0, dropout=0.0, face_weight=0.0, eye_weight=0.0)


def test_the_plain_trainer_takes_the_same_steps():
    plain, ours = PlainTrainer(SETTINGS, RandomSamples(64)), Trainer(SETTINGS, RandomSamples(64))
    first = plain.advance()["l1"], ours.advance()["l1"]
    assert abs(first[0] - first[1]) < 1e-3 * first[1]
    before = [p.clone() for p in plain.discriminator.parameters()]
    plain.advance()
    assert plain.step == 2 and any(not torch.equal(a, b) for a, b in zip(before, plain.discriminator.parameters()))


def test_stages_and_the_plain_network(model):
    spent = stages(model, moving_track(model, BATCH), 64, 4, 1)
    assert set(spent) == {"maps", "network", "compositing"}
    with torch.inference_mode():
        assert PlainUNet(9, 6, 4).eval()(torch.zeros(1, 9, 64, 64)).shape == (1, 3, 64, 64)
