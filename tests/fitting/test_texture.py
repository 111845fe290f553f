"""Textures of frames: what is seen, what is trusted, what many frames say together."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from facemodel import PortraitError
from fitting.texture import FrameTexture, TextureMerger, blur, frame_texture, gain_between, unoccluded
from neural_render.uv_gan.filling import blend_weight, mirror_fill
from renderer import atlas_values, main_island, render_textured
from synthetic import Shot, SkinAtlas, frame_shot, make_person

SIZE = 96
SIDE = Shot(yaw=40.0, pitch=0.0, roll=0.0, light=4, expression=0, focal=2.0)


@pytest.fixture(scope="module")
def person(model):
    return make_person(model, SkinAtlas.of(model, SIZE), 2, 1)


def photograph(model, person, shot, size=192):
    """Parameters, and the picture (size, size, 3) uint8, over black."""
    parameters, camera = frame_shot(model, person, shot, size)
    picture, alpha = render_textured(model, parameters, camera, person.albedo)
    return parameters, (picture * alpha * 255).round().byte()[0]


@pytest.fixture(scope="module")
def seen(model, person):
    return frame_texture(model, *photograph(model, person, SIDE), SIZE)


def trusted(frame, island):
    return (frame.confidence > 0.2) & island


def test_light_is_divided_out(model, person, seen):
    """The person's own albedo comes back, the fitted model's doesn't explain it."""
    where = trusted(seen, main_island(model, SIZE))
    assert 0.15 < float(where.float().mean()) < 0.6
    error = (seen.delit - person.albedo)[where].abs().mean()
    assert float(error) < 0.03 and float(error) < 0.6 * float((seen.albedo - person.albedo)[where].abs().mean())
    torch.testing.assert_close(seen.delit * seen.light, seen.color)


def test_the_far_side_and_the_neck_are_not_trusted(model, seen):
    """Turned to its left, which is on the right of picture and atlas, a head shows its right side."""
    half = SIZE // 2
    assert float(seen.confidence[:, :half].sum()) > 2 * float(seen.confidence[:, half:].sum())
    assert not (seen.confidence[~seen.visible] > 0).any()
    neck = atlas_values(model, model.region("neck").float()[:, None], SIZE)[..., 0]
    assert float(seen.confidence[neck > 0.99].max()) < 1e-6


def test_an_occluder_is_found_and_a_mole_is_not(model, person, seen):
    parameters, picture = photograph(model, person, replace(SIDE, yaw=0.0))
    plain = frame_texture(model, parameters, picture, SIZE)
    covered = picture.clone()
    covered[92:132, 60:96] = torch.tensor([20, 60, 200], dtype=torch.uint8)  # a blue hand on a cheek
    hidden = frame_texture(model, parameters, covered, SIZE)
    blue = (hidden.color[..., 2] > 2 * hidden.color[..., 0]) & (plain.confidence > 0.3)
    assert int(blue.sum()) > 100
    assert float(hidden.confidence[blue].mean()) < 0.25 * float(plain.confidence[blue].mean())
    elsewhere = (plain.confidence > 0.3) & (hidden.color - plain.color).abs().sum(-1).lt(1e-4)
    assert float(hidden.confidence[elsewhere].mean()) > 0.7 * float(plain.confidence[elsewhere].mean())
    spotted = torch.full((SIZE, SIZE, 3), 0.3)
    spotted[40, 40] = 0.05
    everywhere = torch.ones(SIZE, SIZE, dtype=torch.bool)
    assert unoccluded(spotted, torch.full_like(spotted, 0.3), everywhere).min() > 0.9
    # A darker exposure isn't an occluder.
    assert unoccluded(0.2 * spotted, torch.full_like(spotted, 0.3), everywhere).min() > 0.9


def before_a_wall(model, person, yaw, aside):
    """The picture of a head before a bright wall, and parameters by which it's ``aside`` mm from where it is."""
    parameters, camera = frame_shot(model, person, replace(SIDE, yaw=yaw), 320)
    picture, alpha = render_textured(model, parameters, camera, person.albedo)
    picture = ((picture * alpha + 0.92 * (1 - alpha)) * 255).round().byte()[0]
    return parameters.replace(translation=parameters.translation + torch.tensor([aside, 0.0, 0.0])), picture


def share_of_wall(model, person, texture, light):
    """Of the texels of the face, those that are twice as bright as the person is under that light."""
    hidden = ["scalp", "neck"]
    other = torch.stack([atlas_values(model, model.region(n).float()[:, None], SIZE)[..., 0] for n in hidden]).amax(0)
    skin = main_island(model, SIZE) & (other < 0.5)
    off = (texture.clamp_min(0.01) / (person.albedo * light).clamp_min(0.01)).log().mean(-1)
    return float((off > 0.7)[skin].float().mean())


@pytest.mark.parametrize(("yaw", "aside"), [(34.0, 6.0), (-34.0, -6.0), (0.0, 6.0)])
def test_the_wall_behind_a_head_stays_out_of_its_texture(model, person, yaw, aside):
    """Where the fitted outline is beyond the true one the picture shows the wall."""
    f = frame_texture(model, *before_a_wall(model, person, yaw, aside), SIZE)
    whole = mirror_fill(f.color, blend_weight(f.confidence, main_island(model, SIZE)), f.albedo * f.light)
    assert share_of_wall(model, person, whole, f.light) < 0.015
    # And where it isn't, no skin is lost.
    parameters, picture = before_a_wall(model, person, yaw, 0.0)
    exact = frame_texture(model, parameters, picture, SIZE)
    black = frame_texture(model, parameters, torch.where((picture == 235).all(-1, keepdim=True), 0, picture), SIZE)
    assert float((exact.confidence > 0.15).sum()) > 0.95 * float((black.confidence > 0.15).sum())


def test_the_wall_stays_out_of_a_merged_texture(model, person):
    """Of a clip whose outlines are all off to one side."""
    frames = [frame_texture(model, *before_a_wall(model, person, yaw, 6.0), SIZE) for yaw in (22.0, 34.0, 46.0)]
    merger = TextureMerger(SIZE)
    for take in (merger.add, merger.refine):
        for f in frames:
            take(f)
    texture, confidence = merger.result()
    weight = blend_weight(confidence, main_island(model, SIZE))
    whole = mirror_fill(texture, weight, frames[1].albedo)
    assert share_of_wall(model, person, whole, torch.ones(3)) < 0.02


def frame(color, confidence, light=1.0):
    """A frame of flat light: ``color`` is its albedo."""
    shape = (*color.shape[:2], 3)
    lit = torch.full(shape, light)
    return FrameTexture(color * lit, confidence > 0, confidence, lit, color)


def test_merging_joins_sides_of_other_exposures():
    """Each frame shows a half and a bit; one is under twice the light, by a fit that doesn't know."""
    truth = 0.2 + 0.3 * torch.rand(16, 16, 3, generator=torch.Generator().manual_seed(0))
    left, right = torch.zeros(16, 16), torch.zeros(16, 16)
    left[:, :10], right[:, 6:] = 1.0, 1.0
    merger = TextureMerger(16)
    frames = [frame(truth, left), frame(truth * 1.8, right, light=0.5)]
    for f in frames:
        merger.add(f)
    for f in frames:
        merger.refine(f)
    texture, confidence = merger.result()
    # In the mean of the exposures: no seam where the halves meet.
    torch.testing.assert_close(texture, truth * 1.8**0.5, atol=1e-4, rtol=1e-3)
    assert (confidence > 0.5).all() and merger.seen.all()


def test_what_passes_across_the_face_is_left_out():
    truth = torch.full((12, 12, 3), 0.4)
    truth[:, ::2] = 0.3
    frames = []
    for k in range(6):
        color = truth + 0.004 * torch.randn(12, 12, 3, generator=torch.Generator().manual_seed(k))
        color[2 * k : 2 * k + 2] = 0.9  # a finger, in another place each time
        frames.append(frame(color, torch.ones(12, 12)))
    merger = TextureMerger(12)
    for f in frames:
        merger.add(f)
    mean = merger.sum / merger.weight[..., None]
    for f in frames:
        merger.refine(f)
    robust = merger.result()[0]
    assert float((robust - truth).abs().mean()) < 0.3 * float((mean - truth).abs().mean())


def test_one_frame_keeps_its_confidence_and_none_is_refused():
    confidence = torch.rand(8, 8)
    merger = TextureMerger(8)
    merger.add(frame(torch.full((8, 8, 3), 0.5), confidence))
    torch.testing.assert_close(merger.result()[1], confidence)
    with pytest.raises(PortraitError, match="no frame shows"):
        TextureMerger(8).result()


def test_gain_and_blur():
    texture, weight = torch.rand(9, 9, 3) + 0.1, torch.rand(9, 9)
    torch.testing.assert_close(
        gain_between(texture, texture * torch.tensor([2.0, 1, 0.5]), weight), torch.tensor([2.0, 1, 0.5])
    )
    assert torch.equal(gain_between(texture, texture * 2, 0 * weight), torch.ones(3))
    where = torch.zeros(9, 9, dtype=torch.bool)
    where[:, :4] = True
    out = blur(torch.where(where[..., None], torch.full((9, 9, 3), 2.0), torch.full((9, 9, 3), 99.0)), where, 2.0)
    torch.testing.assert_close(out, torch.full((9, 9, 3), 2.0))  # what isn't there doesn't leak in
