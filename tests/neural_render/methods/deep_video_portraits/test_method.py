import dataclasses

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render import Clip
from neural_render.compositing import SHARED
from neural_render.images import cut_out, resize_square
from neural_render.methods.base import METHODS, method_of
from neural_render.methods.common.order import target_frames
from neural_render.methods.deep_video_portraits import synthesis
from neural_render.methods.deep_video_portraits.method import DeepVideoPortraits, Options
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.synthesis import (
    inference_network,
    synthesize,
    synthesize_crops,
)
from neural_render.methods.deep_video_portraits.weights import Weights
from tests.neural_render.conftest import FRAMES, HEIGHT, WIDTH, Frames

SETTINGS = Settings(adversarial_after=2, batch=2)


def train(track, frames, out, *, model, report=None, **options):
    """A few steps of a small network."""
    clip = Clip.of_track(track, frames, model)
    options = Options(**{"size": 64, "width": 4, "textured": False, **options})
    return DeepVideoPortraits(SETTINGS).train([clip], out, options, **({"report": report} if report else {}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, track, clip, model):
    return train(track, clip, tmp_path_factory.mktemp("weights") / "w.safetensors", model=model, steps=4)


def test_summary_and_weights(trained, track, model):
    assert (trained.steps, trained.frames, trained.excluded, trained.resumed_at) == (4, FRAMES - 1, 1, 0)
    assert set(trained.losses) == {"l1", "adversarial", "discriminator"}
    header = Weights.load(trained.weights, model=model).header
    assert (header.frame_width, header.frame_height, header.size) == (WIDTH, HEIGHT, 64)
    assert header.sources == ({"name": "synthetic"},)


def test_train_resumes_to_the_same_weights(trained, tmp_path, track, clip, model):
    out = tmp_path / "w.safetensors"
    train(track, clip, out, steps=2, model=model)
    assert train(track, clip, out, steps=4, model=model).resumed_at == 2
    whole, parts = Weights.load(trained.weights), Weights.load(out)
    assert all(torch.equal(v, parts.generator[k]) for k, v in whole.generator.items())
    with pytest.raises(PortraitError, match="width 4 instead of 8"):
        train(track, clip, out, model=model, width=8)


def test_events_say_what_is_left_out(tmp_path, track, clip, model):
    said = []
    train(track, clip, tmp_path / "w", model=model, steps=1, report=said.append)
    assert any("1 of 14 frames have no tracked face" in event.note for event in said)
    assert all(0 <= event.done <= event.total for event in said)
    assert {"crops", "maps", "training"} <= {event.stage for event in said}


def test_bad_arguments(tmp_path, track, clip, model):
    for options, reason in [
        ({"size": 100}, "size: expected"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": float("nan")}, "minutes"),
        ({"width": 1}, "width"),
        ({"batch": 0}, "batch"),
        ({"steps": 0}, "steps"),
        ({"held_out": 1.0}, "held-out"),
        ({"losses": {"l2": 1.0}}, "unknown loss 'l2'"),
        ({"losses": {"perceptual": 1.0}, "vgg": str(tmp_path / "none")}, "no such file"),
    ]:
        with pytest.raises(PortraitError, match=reason):
            train(track, clip, tmp_path / "w", model=model, **options)
    with pytest.raises(PortraitError, match="did you mean 'size'"):
        DeepVideoPortraits.options(sise=64)
    foreign = dataclasses.replace(track, fingerprint="0" * 16)
    with pytest.raises(PortraitError, match="fitted with model"):
        train(foreign, clip, tmp_path / "w", model=model)
    with pytest.raises(PortraitError, match="expected the pictures"):
        train(track, None, tmp_path / "w", model=model)
    assert list(tmp_path.iterdir()) == []


def test_held_out_frames_score_the_training(tmp_path, track, clip, model):
    summary = train(track, clip, tmp_path / "w", held_out=0.2, model=model, steps=3)
    assert summary.frames == FRAMES - 1 - 2
    assert 0 < summary.score < 2
    header = Weights.load(tmp_path / "w").header
    assert (header.target["held_out"], header.target["score"]) == (2, summary.score)
    assert {"samples", "tensorboard", "best.safetensors"} <= {p.name for p in (tmp_path / "w.work").iterdir()}


def test_the_method_gives_what_synthesis_gives(trained, track, clip, model):
    method = method_of(trained.weights)
    assert isinstance(method, METHODS["deep-video-portraits"])
    weights = method.load(trained.weights, model)
    given = method.animate(weights, Clip.of_track(track, clip, model), Clip.of_track(track, model=model))
    made = synthesize(trained.weights, track, clip, model=model)
    assert all(np.array_equal(a, b) for a, b in zip(given, made, strict=True))


def test_panels_show_maps_and_the_result_from_near(trained, track, clip, model):
    method = method_of(trained.weights)
    target = Clip.of_track(track, clip, model)
    shown = list(method.panels(method.load(trained.weights), target, target, iter(clip.frames), 90))
    assert len(shown) == FRAMES and all(panel["maps"].shape == (90, 90, 3) for panel in shown)
    assert all(panel["maps"][:45].any() for panel in shown)


def test_live_pictures_are_those_of_a_clip(trained, track, clip, model):
    method = method_of(trained.weights)
    weights = method.load(trained.weights, model)
    live = method.live(weights, Clip.of_track(track, clip, model))
    made = synthesize_crops(inference_network(weights), weights, track, model=model)
    for parameters, (expected, _) in zip(track.parameters.expanded(), made, strict=True):
        assert live.size == expected.shape[:2]
        assert np.abs(live(parameters).astype(int) - expected).max() <= 3  # bfloat16


def test_one_frame_clip_trains(tmp_path, track, clip, model):
    one = dataclasses.replace(
        track, parameters=track.parameters[:1], times=track.times[:1], status=track.status[:1],
        confidence=track.confidence[:1],
    )  # fmt: skip
    summary = train(one, Frames(clip.frames[:1]), tmp_path / "w", model=model, steps=3)
    assert summary.frames == 1
    assert np.isfinite(list(summary.losses.values())).all()


def test_synthesis_streams_whole_frames(trained, track, clip, model):
    frames = list(synthesize(trained.weights, track, clip, model=model, batch=4))
    crop = Weights.load(trained.weights).header.crop
    assert len(frames) == FRAMES
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[crop.y0 : crop.y0 + crop.side, crop.x0 : crop.x0 + crop.side] = False
    for k, frame in enumerate(frames):
        assert frame.shape == (HEIGHT, WIDTH, 3)
        assert frame.dtype == np.uint8
        assert np.array_equal(frame[outside], clip.frames[k][outside])
        assert np.array_equal(frame, clip.frames[k]) is (k == 5)  # no face there: as it was


def test_what_the_network_is_too_coarse_for_comes_from_the_clips_own_frames(trained, track, clip, model, monkeypatch):
    weights = Weights.load(trained.weights)
    crop, size = weights.header.crop, weights.header.size
    grain = np.random.default_rng(0).integers(-12, 13, (HEIGHT, WIDTH, 1))
    fine = Frames((clip.frames.astype(int) + grain).clip(0, 255).astype(np.uint8))

    def perfect(network, weights, track, **options):
        for frame in fine.frames:
            yield resize_square(cut_out(frame, crop), size), np.ones((size, size), bool)

    monkeypatch.setattr(synthesis, "synthesize_crops", perfect)
    inside = np.s_[:, crop.y0 + 20 : crop.y0 + crop.side - 20, crop.x0 + 20 : crop.x0 + crop.side - 20]
    error = []
    for own in (weights.own.frames(0, FRAMES - 2), None):  # trained without the last two
        made = np.stack(list(synthesize(dataclasses.replace(weights, own=own), track, fine, model=model)))
        error.append(np.abs(made.astype(int) - fine.frames)[inside].mean())
    assert error[0] < 0.6 * error[1]


def test_of_the_head_a_share_is_the_clips_own(trained, track, clip, model, monkeypatch):
    weights = Weights.load(trained.weights)
    crop, size = weights.header.crop, weights.header.size

    def brighter(network, weights, track, **options):
        for frame in clip.frames:
            near = (resize_square(cut_out(frame, crop), size).astype(int) + 10).clip(0, 255).astype(np.uint8)
            yield near, np.ones((size, size), bool)

    monkeypatch.setattr(synthesis, "synthesize_crops", brighter)
    inside = np.s_[:5, crop.y0 + 20 : crop.y0 + crop.side - 20, crop.x0 + 20 : crop.x0 + crop.side - 20]
    off = []
    for own in (weights.own, None):
        made = np.stack(list(synthesize(dataclasses.replace(weights, own=own), track, clip, model=model)))
        off.append((made.astype(int) - clip.frames)[inside].mean())
    assert off[0] == pytest.approx((1 - SHARED) * off[1], abs=1.0) and off[1] > 8


def test_batches_do_not_change_the_result(trained, track, model):
    weights = Weights.load(trained.weights)
    network = weights.network()
    one = np.stack([c for c, _ in synthesize_crops(network, weights, track, model=model, batch=1)])
    five = np.stack([c for c, _ in synthesize_crops(network, weights, track, model=model, batch=5)])
    assert np.abs(one.astype(int) - five).max() <= 3  # bfloat16


def test_target_frames(track):
    assert target_frames(track) == list(range(FRAMES))
    assert target_frames(track, 5) == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3]
    assert target_frames(track, 1) == [0] * FRAMES
    listed = track.with_parameters(track.parameters, target_frames=[3] * FRAMES)
    assert target_frames(listed, 5) == [3] * FRAMES
    with pytest.raises(PortraitError, match="one target frame for each"):
        target_frames(track.with_parameters(track.parameters, target_frames=[1, 2]))


def test_longer_track_plays_the_target_back_and_forth(trained, track, clip, model):
    order = list(range(FRAMES)) + list(range(FRAMES - 2, -1, -1))
    rows = torch.tensor(order)
    longer = dataclasses.replace(
        track, parameters=track.parameters[rows], times=torch.arange(len(order)).double() / 25,
        status=torch.ones(len(order), dtype=torch.int64), confidence=torch.ones(len(order)),
    )  # fmt: skip
    frames = list(synthesize(trained.weights, longer, clip, model=model))
    assert len(frames) == 27
    assert np.array_equal(frames[0][:, 0], clip.frames[0][:, 0])
    assert np.array_equal(frames[26][:, 0], clip.frames[0][:, 0])


def test_tracks_that_do_not_belong_are_refused_at_once(trained, track, clip, model):
    with pytest.raises(PortraitError, match="expected frames of 160 x 120"):
        synthesize(trained.weights, dataclasses.replace(track, width=320), clip, model=model)
    with pytest.raises(PortraitError, match="track: made with model"):
        synthesize(trained.weights, dataclasses.replace(track, fingerprint="0" * 16), clip, model=model)
    with pytest.raises(PortraitError, match="give the target clip"):
        list(synthesize(trained.weights, track, Frames(clip.frames[:, ::2, ::2]), model=model))
