"""The person's texture as a fourth map: in training, weights, synthesis, live."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render import Clip
from neural_render.methods.common.texture import kept_texture, linear
from neural_render.methods.deep_video_portraits.conditioning import (
    CHANNELS,
    condition,
    head_crop,
    inputs,
    render_maps,
)
from neural_render.methods.deep_video_portraits.method import DeepVideoPortraits
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.synthesis import inference_network, synthesize_crops
from neural_render.methods.deep_video_portraits.weights import Weights

METHOD = DeepVideoPortraits(Settings(adversarial_after=2, batch=2))


@pytest.fixture(scope="module")
def target(track, clip, model) -> Clip:
    return Clip.of_track(track, clip, model)


@pytest.fixture(scope="module")
def trained(target, tmp_path_factory):
    out = tmp_path_factory.mktemp("textured") / "w.safetensors"
    METHOD.train([target], out, METHOD.options(size=64, width=4, steps=4, textured=True))
    return METHOD.load(out, target.model), out


def test_the_map_is_the_person(track, clip, model, target, tmp_path):
    """Drawn with the texture, the clip's own frames are found again where the head is."""
    texture = kept_texture(tmp_path / "texture", target, 128, 4)
    assert texture.dtype == torch.uint8 and torch.equal(kept_texture(tmp_path / "texture", target, 128, 4), texture)
    crop, frames = head_crop(track, model), torch.tensor([2, 9])
    made = render_maps(model, track, frames, crop, 64, texture=linear(texture, model))
    assert made.shape == (2, 64, 64, CHANNELS + 3)
    inside = made[..., 3:6].max(-1) > 0
    apart = np.abs(made[..., :3].astype(int) - made[..., CHANNELS:])[inside]
    assert 0 < apart.mean() < 6  # the clip is the shaded model


def test_the_current_texture_goes_first():
    maps = torch.arange(2 * 3 * 12, dtype=torch.uint8).reshape(2, 3, 1, 1, 12)
    x = ((condition(maps) + 1) * 127.5).round()[..., 0, 0]
    assert x.shape == (2, inputs(3, True)) and inputs(3, False) == 27
    assert x[0].tolist() == [33, 34, 35, *range(9), *range(12, 21), *range(24, 33)]


def test_weights_have_the_texture(trained, target):
    weights, out = trained
    assert weights.header.textured and weights.texture.shape == (128, 128, 3)
    bare = dataclasses.replace(weights, texture=None)
    bare.save(out.with_name("bare"))
    with pytest.raises(PortraitError, match="expected a texture where the header says so"):
        Weights.load(out.with_name("bare"))
    dataclasses.replace(weights, texture=weights.texture[..., :2]).save(out.with_name("two"))
    with pytest.raises(PortraitError, match="expected a texture \\(S, S, 3\\) of bytes"):
        Weights.load(out.with_name("two"))


def test_every_way_to_a_picture_has_it(trained, target):
    weights, _ = trained
    made = [m for m, _ in synthesize_crops(inference_network(weights), weights, target.track, model=target.model)]
    blank = dataclasses.replace(weights, texture=torch.zeros_like(weights.texture))
    other = [m for m, _ in synthesize_crops(inference_network(blank), blank, target.track, model=target.model)]
    assert np.abs(np.stack(made).astype(int) - np.stack(other)).max() > 3
    live = METHOD.live(weights, target)
    for parameters, expected in zip(target.track.parameters.expanded()[:3], made):
        assert np.abs(live(parameters).astype(int) - expected).max() <= 3  # bfloat16


def test_panels_show_it(trained, target):
    weights, _ = trained
    shown = next(iter(METHOD.panels(weights, target, target, iter(target.frames.frames), 90)))
    assert shown["maps"].shape == (90, 90, 3) and shown["maps"][45:, 45:].max() > 40
