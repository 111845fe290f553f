"""Training on the GPU, and its weights on either device."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch


def methods() -> list[str]:
    from neural_render.methods.base import METHODS

    return sorted(METHODS)


@pytest.fixture(scope="module", params=methods())
def trained(request, gpu_model, clip, track, device, tmp_path_factory):
    """A method's summary and target after a few steps."""
    from neural_render import METHODS, Clip
    from tests.fitting.rendered import Frames

    method = METHODS[request.param]()
    target = Clip.of_track(track, Frames(clip[1]), gpu_model)
    options = method.options(steps=4, size=64, width=8, batch=2, device=device)
    out = tmp_path_factory.mktemp("trained") / "weights.safetensors"
    return method, target, method.train([target], out, options)


def test_training(trained):
    method, target, done = trained
    assert done.steps == 4 and done.rollbacks == 0 and done.losses and all(map(math.isfinite, done.losses.values()))
    assert done.weights.is_file() and method.load(done.weights, target.model) is not None


def test_the_same_weights_make_the_same_frames(trained, model, device):
    from neural_render import Clip

    method, target, done = trained
    frames = []
    for head, where in ((model, "cpu"), (target.model, device)):
        own = Clip.of_track(target.track, target.frames, head)
        weights = method.load(done.weights, head)
        frames.append(np.stack(list(method.animate(weights, own, own, device=where))))
    assert frames[0].shape == (8, 256, 256, 3)
    off = np.abs(frames[0].astype(int) - frames[1])
    assert off.mean() < 1.5 and np.quantile(off, 0.99) <= 12  # bfloat16 on one of them, or on both


def test_in_float32_they_are_nearer(trained, model, device):
    from neural_render.methods.base import DEFAULT
    from neural_render.methods.deep_video_portraits.synthesis import synthesize_crops
    from neural_render.methods.deep_video_portraits.weights import Weights

    method, target, done = trained
    if method.name != DEFAULT:
        pytest.skip(f"the networks of '{DEFAULT}' alone are compared by themselves")
    weights, pictures = Weights.load(done.weights, model=model), []
    for head, where in ((model, "cpu"), (target.model, device)):
        made = synthesize_crops(weights.network(where), weights, target.track, model=head, device=where)
        pictures.append(np.stack([image for image, _ in made]))
    off = np.abs(pictures[0].astype(int) - pictures[1])
    assert off.mean() < 0.5 and np.quantile(off, 0.99) <= 4


def test_live(trained, model, device):
    method, target, done = trained
    if not method.can("live"):
        pytest.skip(f"'{method.name}' can't be driven live")
    live = method.live(method.load(done.weights), target, device=device)
    for k in range(2):
        picture = live(target.track.parameters.expanded()[k])
        assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8


@pytest.mark.parametrize("bfloat16", [False, True])
def test_steps_and_checkpoints(device, tmp_path, bfloat16):
    """Every loss that needs no weights of its own, shifts, held-out scores; then on from the checkpoint."""
    from neural_render.methods.deep_video_portraits.settings import Settings
    from neural_render.methods.deep_video_portraits.trainer import Trainer
    from neural_render.training import resume, run
    from tests.neural_render.arrays import moving_disc

    settings = Settings(
        size=64, width=8, batch=2, adversarial_after=1, shift=0.05, scale=0.05, background=False, clip=1.0,
        losses={"l1": 100.0, "adversarial": 1.0, "feature-matching": 1.0}, held_out=0.25, bfloat16=bfloat16,
    )  # fmt: skip
    trainer = Trainer(settings, moving_disc(), device)
    assert next(trainer.generator.parameters()).device.type == torch.device(device).type
    done = run(trainer, tmp_path / "checkpoint", seconds=1e6, steps=4, logs=None)
    assert done.steps == 4 and all(map(math.isfinite, done.losses.values())) and "discriminator" in done.losses
    assert trainer.scores and math.isfinite(trainer.score()) and trainer.sheet().dtype == np.uint8
    again = Trainer(settings, moving_disc(), device)
    resume(again, tmp_path / "checkpoint", {})
    assert again.step == 4 and again.scores
    for a, b in zip(trainer.generator.parameters(), again.generator.parameters()):
        assert torch.equal(a, b)
    assert run(again, tmp_path / "checkpoint", seconds=1e6, steps=6).steps == 6


def test_random_numbers_of_the_caller_stay(device):
    from neural_render.methods.deep_video_portraits.settings import Settings
    from neural_render.methods.deep_video_portraits.trainer import Trainer
    from tests.neural_render.arrays import moving_disc

    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        trainer = Trainer(Settings(size=64, width=4), moving_disc(), device)
        losses = trainer.advance()
        drawn.append((torch.rand(1, device=device).item(), losses["l1"]))
    torch.manual_seed(5)
    assert drawn[0][0] == drawn[1][0] == torch.rand(1, device=device).item()
    assert drawn[0][1] == pytest.approx(drawn[1][1], rel=1e-3)
