"""Completion of textures: its training, its weights on either device, and a whole texture as ``portrait uv`` has it."""

from __future__ import annotations

import math

import pytest
import torch

SIZE = 64  # texels of the network


@pytest.fixture(scope="module")
def textures(model):
    from neural_render.uv_gan.samples import synthetic_set

    return synthetic_set(model, 3, SIZE)


@pytest.fixture(scope="module")
def weights(model, textures, device, tmp_path_factory):
    """The path of weights after a few steps with all losses."""
    from neural_render.training import resume, run
    from neural_render.uv_gan.settings import Settings
    from neural_render.uv_gan.trainer import UVTrainer
    from neural_render.uv_gan.weights import CompletionHeader, CompletionWeights

    folder = tmp_path_factory.mktemp("uv")
    losses = {"l1": 100.0, "global": 0.3, "local": 0.3, "identity": 1.0}
    settings = Settings(size=SIZE, width=8, batch=4, adversarial_after=1, losses=losses, held_out=0.34)
    embed = lambda pictures: pictures[:, :, ::8, ::8].flatten(1)  # noqa: E731
    for steps in (3, 5):  # the second goes on from the first one's checkpoint
        trainer = UVTrainer(settings, textures, device, embed=embed)
        resume(trainer, folder / "checkpoint", {})
        done = run(trainer, folder / "checkpoint", seconds=1e6, steps=steps)
    assert done.steps == 5 and {"l1", "global", "local", "identity"} <= done.losses.keys()
    assert all(map(math.isfinite, done.losses.values())) and math.isfinite(trainer.score())
    assert trainer.sheet().shape[2] == 3
    header = CompletionHeader("m", model.fingerprint, SIZE, 8, settings.norm, 5, 1.0, len(textures), 3, 3)
    CompletionWeights(header, trainer.averages["generator"].state_dict()).save(folder / "weights")
    return folder / "weights"


@pytest.mark.parametrize("size", [SIZE, 2 * SIZE])
def test_completion(model, weights, device, size):
    """Wherever the texture and the network lie, the result is the same, and lies where the texture does."""
    from neural_render.uv_gan.weights import CompletionWeights

    g = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 8, 8, generator=g)
    texture = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")[0].movedim(0, -1).clamp(0.05, 1)
    weight = torch.zeros(size, size)
    weight[size // 4 :, : size // 2] = 1
    found = CompletionWeights.load(weights, model)
    made = []
    for network, lies in (("cpu", "cpu"), (device, "cpu"), (device, device), ("cpu", device)):
        whole = found.completer(network)(texture.to(lies), weight.to(lies), texture.flip(0).to(lies))
        assert whole.device.type == torch.device(lies).type
        made.append(whole.cpu())
    for other in made[1:]:
        torch.testing.assert_close(other, made[0], atol=0.01, rtol=0.01)


@pytest.mark.parametrize("complete", ["mirror", "network", None])
def test_a_texture_of_many_frames(model, gpu_model, clip, track, weights, device, complete):
    """What ``portrait uv --merge`` does between reading and writing."""
    from neural_render.uv_gan.filling import blend_weight, mirror_fill
    from neural_render.uv_gan.weights import CompletionWeights
    from portrait.services.uv import dressed, merged
    from portrait.services.uv_outputs import TexturedFace
    from renderer import main_island
    from tests.fitting.rendered import Frames

    short = track.with_parameters(track.parameters)
    short.status[2:] = 0  # two frames are enough
    pictures = []
    for head, where in ((model, "cpu"), (gpu_model, device)):
        skin = merged(head, short, Frames(clip[1]), 0, 128)
        completers = {"mirror": mirror_fill, "network": CompletionWeights.load(weights, model).completer(where)}
        island = main_island(head, 128)
        weight = blend_weight(skin.confidence, island)
        dress = dressed(skin, weight, island, completers.get(complete))
        assert dress.device == head.mean.device
        pictures.append(TexturedFace(head, skin.parameters, dress.clamp(0, 1), lit=True).at_yaw(20.0, 128).astype(int))
    assert abs(pictures[0] - pictures[1]).mean() < 1
