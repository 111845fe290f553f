"""UV-GAN: what the network sees and gives, what its training does, what its weights keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from facemodel import PortraitError
from neural_render.training import resume, run, save
from neural_render.uv_gan.filling import mirror_fill_batch
from neural_render.uv_gan.generator import INPUTS, UVGenerator, generator_input
from neural_render.uv_gan.samples import TextureSet, face_middle, synthetic_set
from neural_render.uv_gan.settings import Settings
from neural_render.uv_gan.trainer import UVTrainer, augment, mean_texture, middle
from neural_render.uv_gan.weights import CompletionHeader, CompletionWeights, complete
from renderer import linear_to_srgb, srgb_to_linear

LOSSES = {"l1": 100.0, "global": 0.3}  # the middle of so small a texture is too small for one
TINY = Settings(size=32, width=8, batch=4, adversarial_after=2, rate=2e-3, losses=LOSSES)


@pytest.fixture(scope="module")
def data(model):
    return synthetic_set(model, 4, 32, seed=1)


def test_input_shows_nothing_of_a_hole():
    texture, noise = torch.rand(2, 3, 8, 8), torch.full((2, 3, 8, 8), 7.0)
    known = torch.ones(2, 1, 8, 8)
    known[:, :, :, 5:] = 0
    x = generator_input(texture, known, noise)
    assert x.shape == (2, INPUTS, 8, 8)
    assert torch.equal(x, generator_input(texture * known, known, noise))
    assert (x[:, :3, :, 5:] == 7).all() and torch.equal(x[:, :3, :, :5], texture[..., :5])
    assert torch.equal(x[:, 3:6], x[:, :3].flip(-1)) and torch.equal(x[:, 7:], known.flip(-1))


def test_a_new_generator_is_mirror_completion():
    generator, mean = UVGenerator(32, 8), torch.rand(3, 32, 32) - 0.5
    generator.start_from(mean)
    half = torch.rand(1, 3, 32, 16) - 0.5
    texture = torch.cat([half, half.flip(-1)], -1)
    known = torch.ones(1, 1, 32, 32)
    known[..., 20:] = 0
    x = generator_input(texture, known, torch.randn_like(texture))
    expected = mirror_fill_batch(texture * known, known, mean[None])
    torch.testing.assert_close(generator(x), expected.clamp(-1, 1))
    with pytest.raises(ValueError, match="expected"):
        generator(x[..., :16])
    with pytest.raises(ValueError, match="power of two"):
        UVGenerator(48)


def test_mirror_fill_of_a_batch():
    """A texture that differs from a symmetric mean by one tone: all of it comes back from a known quarter."""
    mean = torch.rand(1, 3, 16, 16)
    mean = (mean + mean.flip(-1)) / 2
    known = torch.zeros(2, 1, 16, 16)
    known[0, :, 4:10, 2:9] = known[1, :, :, 9:] = 1
    textures = mean + torch.tensor([0.1, -0.2]).view(2, 1, 1, 1)
    torch.testing.assert_close(mirror_fill_batch(textures * known, known, mean), textures, atol=1e-5, rtol=0)


def test_synthetic_set(data, model):
    assert len(data) == 8 and data.size == 32 and data.people.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    again = synthetic_set(model, 2, 32, seed=1)
    assert torch.equal(again.textures, data.textures[:4]) and torch.equal(again.masks, data.masks[:4])
    shown = (data.masks > 127).float().flatten(1).mean(1)
    assert (shown > 0.03).all() and (shown < 0.7).all() and not (data.masks[:, ~data.island] > 0).any()
    # Heads turned to their left (positive) show their right, the atlas' left.
    side = (data.masks > 127).float().sum(1)
    lean = side[:, :16].sum(-1) - side[:, 16:].sum(-1)
    turned = data.yaws.abs() > 25
    assert turned.any() and (lean[turned].sign() == data.yaws[turned].sign()).all()


def test_sets_are_kept_and_joined(data, tmp_path):
    path, facts = tmp_path / "set.safetensors", {"size": 32}
    data.save(path, facts)
    kept = TextureSet.load(path, facts)
    assert kept.name == data.name and torch.equal(kept.known, data.known) and kept.known.dtype == torch.bool
    assert TextureSet.load(path, {"size": 64}) is None and TextureSet.load(tmp_path / "none", facts) is None
    both = TextureSet.join([data, data])
    assert len(both) == 16 and len(both.people.unique()) == 8 and len(both.masks) == 16


def hole_error(trainer):
    """L1 of the generator itself in the holes of all textures, each with its own mask."""
    rows = np.arange(len(trainer.data))
    real, shown, _ = trainer.batch(rows, rows)
    with torch.no_grad():
        made = trainer.generator(generator_input(real, shown, torch.zeros_like(real)))
    hole = (1 - shown) * trainer.data.island
    return float(((made - real).abs().mean(1, keepdim=True) * hole).sum() / hole.sum())


def test_training_learns(data):
    trainer = UVTrainer(replace(TINY, losses={"l1": 100.0}), data)
    start = hole_error(trainer)
    for _ in range(40):
        assert set(trainer.advance()) == {"l1"}
    assert hole_error(trainer) < 0.8 * start


def test_discriminators_join_after_a_while(data):
    trainer = UVTrainer(TINY, data)
    named = [set(trainer.advance()) for _ in range(3)]
    assert named == [{"l1"}, {"l1"}, {"l1", "global", "global-discriminator"}]


def test_the_middle_of_the_face_has_a_discriminator_too(model):
    trainer = UVTrainer(Settings(size=64, width=4, batch=2, adversarial_after=0), synthetic_set(model, 1, 64))
    before = {n: [p.clone() for p in m.parameters()] for n, m in trainer.modules.items()}
    assert set(trainer.advance()) == {"l1", "global", "global-discriminator", "local", "local-discriminator"}
    for name, module in trainer.modules.items():
        assert any(not torch.equal(a, b) for a, b in zip(before[name], module.parameters())), name


def test_a_stopped_training_goes_on_to_the_same_bits(data, tmp_path):
    whole, half = UVTrainer(TINY, data), UVTrainer(TINY, data)
    for _ in range(4):
        whole.advance()
    for _ in range(2):
        half.advance()
    save(half, tmp_path / "c.safetensors", {"data": data.name})
    rest = UVTrainer(TINY, data)
    resume(rest, tmp_path / "c.safetensors", {"data": data.name})
    for _ in range(2):
        rest.advance()
    for a, b in zip(whole.modules["generator"].parameters(), rest.modules["generator"].parameters()):
        assert torch.equal(a, b)
    with pytest.raises(PortraitError, match="another training"):
        resume(rest, tmp_path / "c.safetensors", {"data": "other"})


def test_only_true_texels_teach(data):
    """What a texture holds where it isn't known changes nothing."""
    known = data.known.clone()
    known[:, :, :10] = False
    spoilt = data.textures.clone()
    spoilt[:, :, :10] = 255
    trainers = [UVTrainer(TINY, replace(data, textures=t, known=known)) for t in (data.textures, spoilt)]
    for _ in range(2):
        values = [trainer.advance()["l1"] for trainer in trainers]
        assert values[0] == values[1]
    a, b = (trainer.generator.state_dict() for trainer in trainers)
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_people_kept_out_are_scored(data, tmp_path):
    trainer = UVTrainer(replace(TINY, held_out=0.25), data)
    assert set(data.people[trainer.held_out].tolist()).isdisjoint(data.people[trainer.trained_on].tolist())
    assert len(trainer.held_out) == 2
    done = run(trainer, tmp_path / "c.safetensors", seconds=60, steps=3, logs=tmp_path)
    assert done.steps == 3 and 0 < trainer.scores[0][1] < 2
    assert trainer.sheet().shape == (3 * 32, 2 * 32, 3) and list((tmp_path / "samples").glob("*.png"))


def test_identity_reaches_the_generator(data):
    settings = replace(TINY, losses={"l1": 0.0, "identity": 1.0})
    trainer = UVTrainer(settings, data, embed=lambda t: t[:, :, ::4, ::4].flatten(1))
    before = [p.clone() for p in trainer.generator.parameters()]
    assert trainer.advance()["identity"] > 0
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.generator.parameters()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": {"l2": 1.0}}, "unknown loss"),
        ({"losses": {"l1": -1.0}}, "at least 0"),
        ({"losses": {"identity": 1.0}}, "embedding"),
        ({"size": 64}, "texels a side"),
        ({"held_out": 1.0}, "none to train on"),
    ],
)
def test_bad_settings(data, change, message):
    with pytest.raises(PortraitError, match=message):
        UVTrainer(replace(TINY, **change), data)


def test_augmentation():
    torch.manual_seed(0)
    real, shown = torch.rand(64, 3, 16, 16) - 0.5, torch.ones(64, 1, 16, 16)
    shown[..., 8:] = 0
    out, seen, known = augment(real, shown, shown, 0.0, 0.0)
    assert torch.equal(known, seen)
    flipped = seen[:, 0, 0, 0] == 0
    assert 16 < int(flipped.sum()) < 48
    torch.testing.assert_close(out[flipped], real[flipped].flip(-1))
    torch.testing.assert_close(out[~flipped], real[~flipped])
    _, seen, known = augment(real, torch.ones_like(shown), torch.ones_like(shown), 0.0, 1.0)
    assert known.all()
    assert (seen.flatten(1).mean(1) < 1).float().mean() > 0.9
    brighter, _, _ = augment(real, shown, shown, 0.3, 0.0)
    assert 0.02 < float((brighter.mean((1, 2, 3)) - real.mean((1, 2, 3))).abs().mean()) < 0.3


def test_the_local_discriminator_sees_eyes_nose_and_mouth(model):
    from renderer import atlas_values

    marks = torch.zeros(len(model.mean), 1)
    corners = model.triangles[model.embedding("ibug68").triangles[27:]]  # nose, eyes, mouth
    marks[corners.flatten()] = 1
    marked = atlas_values(model, marks, 128)[None, ..., 0][None]
    seen = middle(marked, face_middle(model))
    assert float(seen.sum()) > 0.9 * float(marked.sum()) and seen.shape[-1] < 0.6 * 128
    assert face_middle(model) == (7 / 32, 25 / 32, 8 / 32, 26 / 32)


def test_weights_and_completion_of_a_larger_texture(model, data, tmp_path):
    generator = UVGenerator(32, 8)
    generator.start_from(mean_texture(data, np.arange(8)))
    header = CompletionHeader(model.name, model.fingerprint, 32, 8, "group", 5, 1.0, 8, 4, 4)
    path = tmp_path / "w.safetensors"
    CompletionWeights(header, generator.state_dict()).save(path)
    loaded = CompletionWeights.load(path, model)
    assert loaded.header == header
    for a, b in zip(generator.state_dict().values(), loaded.network().state_dict().values()):
        assert torch.equal(a, b)
    truth = srgb_to_linear(data.textures[0].float() / 255)
    large = truth.repeat_interleave(2, 0).repeat_interleave(2, 1)
    weight = (data.masks[0] > 127).float().repeat_interleave(2, 0).repeat_interleave(2, 1)
    whole = loaded.completer()(large * weight[..., None], weight, large)
    assert whole.shape == (64, 64, 3)
    kept = weight == 1
    torch.testing.assert_close(whole[kept], large[kept])
    hole = data.island.repeat_interleave(2, 0).repeat_interleave(2, 1) & ~kept
    error = (linear_to_srgb(whole) - linear_to_srgb(large))[hole].abs().mean()
    assert float(error) < 0.5 * float(linear_to_srgb(large)[hole].abs().mean())
    # Nothing of what a hole holds comes through.
    spoilt = torch.where(kept[..., None], large, torch.tensor(0.9))
    torch.testing.assert_close(complete(loaded.network(), spoilt, weight, large), whole)


def test_broken_weights(model, tmp_path):
    header = CompletionHeader(model.name, "0" * 16, 32, 8, "group", 5, 1.0, 8, 4, 4)
    path = tmp_path / "w.safetensors"
    CompletionWeights(header, UVGenerator(32, 16).state_dict()).save(path)
    with pytest.raises(PortraitError, match="trained with model"):
        CompletionWeights.load(path, model)
    with pytest.raises(PortraitError, match="fit their header"):
        CompletionWeights.load(path).network()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(PortraitError, match="not a whole"):
        CompletionWeights.load(path)
